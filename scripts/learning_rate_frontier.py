"""The largest step at which the loss never rises: gradient and natural gradient descent on a heat PINN.

    python scripts/learning_rate_frontier.py

Bisects, per seed, the largest multiple of 1/||H^inf|| (gradient descent) and the largest step itself (natural gradient
descent) for which 20 steps never raise the loss, and prints it beside what the theorems allow: lambda_0/||H^inf||^2
(what expanding the square of the residual costs, as proofs before arXiv 2408.00573 did), 2/(3 ||H^inf||), and below 1
for natural gradient descent.
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
    """Largest multiple of `unit` below 8, to 1%, by bisection."""
    low, high = 0.0, 8.0
    while high - low > 0.01 * high:
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
    descent, natural = [], []
    for seed in tqdm(range(options.seeds), desc="seeds", unit="seed"):
        descent.append(frontier(data, options, method="gradient", unit=1 / run.limit_norm, seed=seed))
        natural.append(frontier(data, options, method="natural gradient", unit=1.0, seed=seed))
    print(f"heat equation, {options.activation}, {run.n} samples, width {options.width}, {options.steps} steps")
    print(f"lambda_0 = {run.lambda_0:.4g}, ||H^inf|| = {run.limit_norm:.4g}\n")
    print("| step | allowed before | allowed | largest measured (least, median, most of the seeds) |")
    print("|---|---|---|---|")
    spread = "{:.3g}, {:.3g}, {:.3g}"
    before = run.lambda_0 / run.limit_norm
    low, middle, high = np.min(descent), np.median(descent), np.max(descent)
    print(f"| gradient descent, in 1/||H^inf|| | {before:.2g} | 0.667 | {spread.format(low, middle, high)} |")
    low, middle, high = np.min(natural), np.median(natural), np.max(natural)
    print(f"| natural gradient descent | - | below 1 | {spread.format(low, middle, high)} |")


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"learning_rate_frontier: {error}")
