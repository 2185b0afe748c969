"""Learn the antiderivative and the solution operator of 1-D Poisson with a shallow neural operator.

    python scripts/reproduce_neural_operator.py

Input functions are Gaussian processes on [0, 1] seen at sensors; the operator is trained at all pairs of a function
and a query point, by gradient descent at the step of the theorem, 2/(3 (||H^inf|| + ||H~^inf||)), and by natural
gradient descent, and tested on functions and points that it has not seen. Interrupt it at any time: each finished run
is a line of OUT/runs.jsonl, and the next call goes on from there. The table is Markdown; the figure needs matplotlib.
"""

# ruff: noqa: E402 - the number of threads must be set before NumPy is imported
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # small matrices: threads of BLAS only get in each other's way
    os.environ.setdefault(name, "1")

import numpy as np
from reproduction.runs import Runs
from tqdm import tqdm

from ntkverify import NtkVerifyError
from ntkverify.execution.backends import executor_of
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.product_samples import product_samples
from ntkverify.problems.neural_operator.limits import problem_limit, problem_neuron
from ntkverify.training import GradientDescent, NaturalGradient, follow

SENSORS, FUNCTIONS, QUERIES, UNITS, WIDTH = 20, 32, 12, 2, 256
LENGTH = 0.3  #: correlation length of the input functions
TEST_FUNCTIONS, FINE = 100, 201  #: functions to test on; points of the grid on which integrals are taken
NATURAL_STEP, DAMPING = 0.5, 1e-4  #: of natural gradient descent; damping relative to ||H(0)||
SHOWN = 3  #: test functions in the figure
GRID = np.linspace(0, 1, FINE)


def antiderivative(u: Any) -> Any:
    """Integral from 0 to y of functions on the grid, (n, FINE), by the trapezoidal rule."""
    steps = (u[:, 1:] + u[:, :-1]) / 2 / (FINE - 1)
    return np.concatenate([np.zeros((len(u), 1)), np.cumsum(steps, axis=1)], axis=1)


def poisson(u: Any) -> Any:
    """The solution of -w'' = u, w(0) = w(1) = 0."""
    twice = antiderivative(antiderivative(u))
    return GRID * twice[:, -1:] - twice


OPERATORS: dict[str, Callable[[Any], Any]] = {"antiderivative": antiderivative, "poisson": poisson}
TITLES = {"antiderivative": "antiderivative", "poisson": "solution of -w'' = u"}
METHODS = ("GD", "NGD")


def functions(count: int, seed: int) -> Any:
    """Draws of a Gaussian process with squared exponential covariance on the grid, (count, FINE)."""
    distance = GRID[:, None] - GRID[None]
    values, vectors = np.linalg.eigh(np.exp(-(distance**2) / (2 * LENGTH**2)))
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.random.default_rng(seed).standard_normal((count, FINE)) @ root.T


def at(points: int) -> Any:
    """Indices of equally spaced points on the grid."""
    return np.linspace(0, FINE - 1, points).round().astype(int)


def with_one(points: Any) -> Any:
    """Queries with a 1 for the bias."""
    return np.stack([points, np.ones_like(points)], axis=1)


def train(problem: str, method: str, seed: int, steps: int) -> dict[str, Any]:
    """One run: its relative L2 errors on test and training functions, and some predictions."""
    u = functions(FUNCTIONS + TEST_FUNCTIONS, 1000 + seed)
    wanted = OPERATORS[problem](u)
    # targets of size 1: the answer of Poisson's equation is small, and the network's is of that size
    size = float(np.sqrt((wanted[:FUNCTIONS] ** 2).mean()))
    sensors, points = u[:, at(SENSORS)] / np.sqrt(SENSORS), at(QUERIES)
    product = problem_neuron("relu", None, SENSORS, 2, UNITS, True, 1.0)
    training = product_samples(
        product,
        sensors[:FUNCTIONS],
        {"data": with_one(GRID[points])},
        {"data": wanted[:FUNCTIONS, points] / size},
    )
    executor = executor_of(training, backend="cpu")
    weights, frozen = draw_weights(product.unrolled, seed, WIDTH)
    if method == "GD":
        limit = problem_limit("relu", None, SENSORS, 2)
        inputs, queries = sensors[:FUNCTIONS], with_one(GRID[points])
        norms = [
            np.linalg.norm(a, 2) * np.linalg.norm(b, 2)
            for a, b in (
                (limit.branch.covariance(inputs), limit.trunk.matrix(queries)),
                (limit.branch.matrix(inputs), limit.trunk.covariance(queries)),
            )
        ]
        how: Any = GradientDescent(2 / (3 * float(sum(norms))))
    else:
        start = executor.gram(weights, frozen)
        how = NaturalGradient(NATURAL_STEP, damping=DAMPING * float(np.linalg.norm(start, 2)))
    found = follow(executor, weights, frozen, how, steps=steps, every=steps)
    fine = at(FINE // 4)
    everywhere = product_samples(
        product, sensors, {"data": with_one(GRID[fine])}, {"data": np.zeros((len(u), len(fine)))}
    )
    outputs = executor_of(everywhere, backend="cpu").forward(found.weights, frozen).residuals
    predicted, true = size * outputs.reshape(len(u), len(fine)), wanted[:, fine]
    errors = np.linalg.norm(predicted - true, axis=1) / np.linalg.norm(true, axis=1)
    shown = slice(FUNCTIONS, FUNCTIONS + SHOWN)
    return {
        "seed": seed,
        "steps": steps,
        "eta": how.eta,
        "residual": float(np.sqrt(2 * found.losses[-1] / training.total)),
        "train_error": float(np.median(errors[:FUNCTIONS])),
        "test_error": float(np.median(errors[FUNCTIONS:])),
        "worst_error": float(errors[FUNCTIONS:].max()),
        "points": GRID[fine].tolist(),
        "true": true[shown].tolist(),
        "predicted": predicted[shown].tolist(),
    }


def report(records: list[dict[str, Any]]) -> str:
    """Medians and ranges over the seeds, as Markdown."""
    lines = [
        f"{FUNCTIONS} functions at {SENSORS} sensors, {QUERIES} queries, m = {WIDTH}, p = {UNITS}, coupled pairs;",
        f"relative L2 errors, the median over {TEST_FUNCTIONS} functions not seen, then median (least to largest) over",
        f"the seeds. GD at 2/(3 (||H^inf|| + ||H~^inf||)); NGD at {NATURAL_STEP}, damping {DAMPING} ||H(0)||.",
        "",
        "| operator | method | step | steps | residual | error, training functions | error, new functions |",
        "|---|---|---|---|---|---|---|",
    ]
    for problem in OPERATORS:
        for method in METHODS:
            own = [r for r in records if (r["problem"], r["method"]) == (problem, method)]
            if own:
                cells = [_spread([r[key] for r in own]) for key in ("residual", "train_error", "test_error")]
                step = float(np.median([r["eta"] for r in own]))
                lines.append(f"| {problem} | {method} | {step:.2g} | {own[0]['steps']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    return f"{np.median(values):.2e} ({min(values):.1e} to {max(values):.1e})"


def draw_figure(records: list[dict[str, Any]], folder: Path) -> None:
    """True and predicted outputs for functions that were not trained on, seed 0."""
    try:
        import matplotlib
    except ImportError:
        print("the figure needs matplotlib; install it to draw OUT/operators.png", file=sys.stderr)
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    problems = [p for p in OPERATORS if any(r["problem"] == p for r in records)]
    figure, axes = plt.subplots(len(problems), SHOWN, figsize=(4 * SHOWN, 3 * len(problems)), squeeze=False)
    for row, problem in zip(axes, problems, strict=True):
        own = {r["method"]: r for r in records if r["problem"] == problem and r["seed"] == 0}
        for i, axis in enumerate(row):
            first = next(iter(own.values()))
            axis.plot(first["points"], first["true"][i], color="black", label="true")
            for method, style in (("GD", "--"), ("NGD", ":")):
                if method in own:
                    axis.plot(own[method]["points"], own[method]["predicted"][i], style, label=method, linewidth=2)
            axis.set_xlabel("y")
            axis.set_title(f"{TITLES[problem]}, new function {i + 1}", fontsize=9)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(folder / "operators.png", dpi=120)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("neural_operator_results"), help="folder of runs and tables")
    parser.add_argument("--seeds", type=int, default=5, help="runs per operator and method")
    parser.add_argument("--problems", nargs="+", choices=OPERATORS, default=list(OPERATORS))
    parser.add_argument("--gd-steps", type=int, default=10000, help="steps of gradient descent")
    parser.add_argument("--ngd-steps", type=int, default=30, help="steps of natural gradient descent")
    options = parser.parse_args()
    if min(options.seeds, options.gd_steps, options.ngd_steps) < 1:
        raise NtkVerifyError("--seeds, --gd-steps and --ngd-steps must be at least 1; raise what is below.")
    return options


def main() -> None:
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    runs, steps = Runs(options.out / "runs.jsonl"), {"GD": options.gd_steps, "NGD": options.ngd_steps}
    wanted = [(p, method, seed) for p in options.problems for method in METHODS for seed in range(options.seeds)]
    settings = {"sizes": [SENSORS, FUNCTIONS, QUERIES, UNITS, WIDTH, LENGTH, NATURAL_STEP, DAMPING]}
    records = []
    for problem, method, seed in tqdm(wanted, unit="run"):
        key = ("main", problem, method, seed)
        asked = {**settings, "steps": steps[method]}
        records.append(runs.get(key, asked, lambda p=problem, m=method, s=seed: train(p, m, s, steps[m])))
    text = report(records)
    (options.out / "tables.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    draw_figure(records, options.out)


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"reproduce_neural_operator: {error}")
