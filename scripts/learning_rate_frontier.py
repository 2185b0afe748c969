"""The largest step at which the loss never rises: gradient and natural gradient descent on a heat PINN.

    python scripts/learning_rate_frontier.py

Bisects, per seed, the largest multiple of 1/||H^inf|| (gradient descent) and the largest step itself (natural gradient
descent) for which 20 steps never raise the loss, and prints it beside what the theorems allow: lambda_0/||H^inf||^2
(what expanding the square of the residual costs), 2/(3 ||H^inf||), and below 1 for natural gradient descent; and
beside 2/||H(0)||, where linear stability ends on the network drawn.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.instances import space_time_points
from ntkverify.problems.pinn import PinnRun

NOTHING = Theorem("frontier", source=Source(provenance="derived"), statement="the loss never rises")


def never_rises(data: dict[str, Any], options: argparse.Namespace, *, method: Any, step: float, seed: int) -> bool:
    """Whether `options.steps` steps never raise the loss by more than its rounding error."""
    instance = Instance(data=data, width=options.width, step=step, steps=options.steps, seed=seed)
    run = PinnRun(instance, NOTHING, activation=options.activation, method=method)
    with np.errstate(all="ignore"):
        losses, errors = run.losses, run.losses_error
    return bool(np.isfinite(losses).all() and (np.diff(losses) <= errors[1:] + errors[:-1]).all())


def frontier(data: dict[str, Any], options: argparse.Namespace, *, method: Any, unit: float, seed: int) -> float:
    """Largest multiple of `unit` below 8, to 1% (0 below 1e-3), by bisection."""
    low, high = 0.0, 8.0
    while high - low > 0.01 * high and high > 1e-3:
        middle = (low + high) / 2
        if never_rises(data, options, method=method, step=middle * unit, seed=seed):
            low = middle
        else:
            high = middle
    return low


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--activation", default="relu3")
    options = parser.parse_args()
    if min(options.width, options.steps, options.seeds) < 1:
        raise NtkVerifyError("width, steps and seeds must be at least 1.")
    data = space_time_points(lambda strategy: 0, 2, 2, 1)
    run = PinnRun(Instance(data=data, width=1), NOTHING, activation=options.activation)
    descent, natural, linear = [], [], []
    for seed in tqdm(range(options.seeds), desc="seeds", unit="seed"):
        descent.append(frontier(data, options, method="gradient", unit=1 / run.limit_norm, seed=seed))
        drawn = PinnRun(Instance(data=data, width=options.width, seed=seed), NOTHING, activation=options.activation)
        linear.append(2 * run.limit_norm / float(np.linalg.norm(drawn.at_start.gram, 2)))
        natural.append(frontier(data, options, method="natural gradient", unit=1.0, seed=seed))
    print(f"heat equation, {options.activation}, {run.n} samples, width {options.width}, {options.steps} steps")
    print(f"lambda_0 = {run.lambda_0:.4g}, ||H^inf|| = {run.limit_norm:.4g}\n")
    print("| step | expanding the square | allowed | 2/||H(0)|| | largest measured |\n|---|---|---|---|---|")
    expanded = run.lambda_0 / run.limit_norm
    print(f"| GD, in 1/||H^inf|| | {expanded:.2g} | 0.667 | {spread(linear)} | {spread(descent)} |")
    print(f"| NGD | - | below 1 | - | {spread(natural)} |")
    print("\nLeast, median and most of the seeds.")


def spread(values: list[float]) -> str:
    """Least, median and largest."""
    return f"{np.min(values):.3g}, {np.median(values):.3g}, {np.max(values):.3g}"


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"learning_rate_frontier: {error}")
