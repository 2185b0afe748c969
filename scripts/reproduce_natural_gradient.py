"""Relative L2 errors of gradient descent, Adam, L-BFGS and natural gradient descent on five linear PDEs.

    python scripts/reproduce_natural_gradient.py

The tables of arXiv 2408.00573 with the settings that its text does not give chosen here and printed: distributions over
seeds beside the paper's single numbers. Interrupt it at any time: each finished run is a line of
OUT/runs.jsonl, and the next call goes on from there. Tables are Markdown; figures need matplotlib.
"""

# ruff: noqa: E402 - the number of threads must be set before NumPy is imported
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # small matrices: threads of BLAS only get in each other's way
    os.environ.setdefault(name, "1")

import numpy as np
import sympy
from tqdm import tqdm

from ntkverify import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.measures.sweep import draw_network
from ntkverify.symbolic.enclosures import least_eigenvalue
from ntkverify.symbolic.neuron import network_neuron, pinn_neuron
from ntkverify.symbolic.operators import Operator, coordinates, identity, unknown
from ntkverify.training import adam, gradient_descent, lbfgs, natural_gradient_descent

PI = sympy.pi
BITS = 512  #: precision of certified eigenvalues
METHODS = ("GD", "Adam", "L-BFGS", "NGD")


@dataclass(frozen=True)
class Problem:
    """A PDE with a known solution on the unit box, written in X = 2x - 1, so that inputs lie in (-1, 1).

    Parameters
    ----------
    title : str
    dimension : int
    operator : callable
        The left-hand side for an unknown and the coordinates X (derivatives in x are twice those in X).
    solution : callable
        u at x.
    interior : int
        Interior points: along each axis (Chebyshev) in up to two dimensions, in all (uniform) above.
    side : int
        Points on each face (two dimensions), in all above.
    faces : tuple of (axis, end)
        Where values are given.
    width : int
    paper : dict
        The paper's numbers by method.
    """

    title: str
    dimension: int
    operator: Callable[..., sympy.Expr]
    solution: Callable[..., sympy.Expr]
    interior: int
    side: int
    faces: tuple[tuple[int, int], ...]
    width: int
    paper: dict[str, float]

    def points(self, seed: int) -> dict[str, Any]:
        """Interior and boundary points in X."""
        rng = np.random.default_rng(seed)
        if self.dimension > 2:
            inside = rng.uniform(-1, 1, (self.interior, self.dimension))
            boundary = rng.uniform(-1, 1, (self.side, self.dimension))
            boundary[np.arange(self.side), np.arange(self.side) % self.dimension] = rng.choice([-1.0, 1.0], self.side)
            return {"interior": inside, "boundary": boundary}
        axis = chebyshev(self.interior)
        inside = np.stack(np.meshgrid(*[axis] * self.dimension, indexing="ij"), -1).reshape(-1, self.dimension)
        if self.dimension == 1:
            return {"interior": inside, "boundary": np.array([[-1.0], [1.0]])}
        edge = chebyshev(self.side)
        parts = []
        for direction, end in self.faces:
            part = np.empty((self.side, 2))
            part[:, direction], part[:, 1 - direction] = end, edge
            parts.append(part)
        return {"interior": inside, "boundary": np.concatenate(parts)}

    def pieces(self) -> tuple[Operator, Callable[..., Any], Callable[..., Any]]:
        """The operator, the source and the solution, the latter two as functions of X."""
        xs = coordinates(" ".join(f"x_{i}" for i in range(self.dimension)))
        u = unknown("u", xs)
        operator = Operator.from_expression(self.operator(u, xs), [u], xs)
        exact = self.solution(*((x + 1) / 2 for x in xs))
        return operator, sympy.lambdify(xs, operator.apply(exact)), sympy.lambdify(xs, exact)


def chebyshev(count: int) -> Any:
    """Zeros of the Chebyshev polynomial of that degree."""
    return -np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _minus_laplacian(u: sympy.Expr, xs: Sequence[sympy.Symbol]) -> sympy.Expr:
    return -4 * sum(u.diff(x, 2) for x in xs)


BOX = ((0, -1), (0, 1), (1, -1), (1, 1))
PROBLEMS = {
    "poisson-1d": Problem(
        "1-D Poisson", 1, _minus_laplacian, lambda x: sympy.sin(PI * x), 20, 0, (), 320,
        {"GD": 1.28e-1, "Adam": 6.46e-2, "L-BFGS": 2.63e-4, "NGD": 1.67e-5},
    ),
    "poisson-2d": Problem(
        "2-D Poisson", 2, _minus_laplacian, lambda x, y: sympy.sin(PI * x) * sympy.sin(PI * y), 13, 13, BOX, 640,
        {"GD": 1.45e-1, "Adam": 5.32e-3, "L-BFGS": 3.17e-3, "NGD": 1.12e-4},
    ),
    "heat-1d": Problem(
        "1-D heat", 2, lambda u, xs: 2 * u.diff(xs[0]) - u.diff(xs[1], 2),
        lambda t, x: sympy.exp(-(PI**2) * t / 4) * sympy.sin(PI * x), 14, 14, BOX[:1] + BOX[2:], 640,
        {"GD": 5.43e-1, "Adam": 6.91e-3, "L-BFGS": 4.98e-3, "NGD": 3.42e-4},
    ),
    "helmholtz-2d": Problem(
        "2-D Helmholtz", 2, lambda u, xs: u - _minus_laplacian(u, xs),
        lambda x, y: sympy.sin(PI * x) * sympy.sin(4 * PI * y), 14, 14, BOX, 1000,
        {"GD": 8.48, "Adam": 1.06, "L-BFGS": 3.35, "NGD": 6.67e-3},
    ),
    "poisson-10d": Problem(
        "10-D Poisson", 10, _minus_laplacian,
        lambda *x: sum(x[i] * x[i + 1] for i in range(0, 10, 2)), 200, 100, (), 500,
        {"GD": 1.35e-2, "Adam": 3.15e-3, "L-BFGS": float("nan"), "NGD": 9.91e-4},
    ),
}  # fmt: skip


def prepare(problem: Problem, seed: int, *, width: int, backend: str = "cpu") -> tuple[Any, Any, Any]:
    """Executor, initial weights and signs."""
    operator, source, solution = problem.pieces()
    points = problem.points(seed)
    values = {"interior": source, "boundary": solution}
    targets = {
        name: np.broadcast_to(np.asarray(values[name](*x.T), float), len(x)).copy() for name, x in points.items()
    }
    scale = {name: len(x) ** -0.5 for name, x in points.items()}
    neuron = pinn_neuron("tanh", operator)
    options: dict[str, Any] = {"threads": 1} if backend == "cpu" else {"bits": BITS}
    executor = make_executor(neuron, points, targets, scale=scale, backend=backend, **options)
    network = draw_network(seed, width, len(neuron.weights))
    return executor, network.weights.T.copy(), network.signs[:, None].astype(float)


def relative_error(problem: Problem, weights: Any, frozen: Any, seed: int) -> float:
    """Relative L2 error on 1000 test points, uniform in the box and independent of the training points."""
    xs = coordinates(" ".join(f"x_{i}" for i in range(problem.dimension)))
    points = np.random.default_rng([seed, 1]).uniform(-1, 1, (1000, problem.dimension))
    exact = np.asarray(problem.pieces()[2](*points.T))
    neuron = network_neuron("tanh", {"data": identity(xs)}, trainable=("inner", "inner_bias"), inner_bias=True)
    test = make_executor(neuron, {"data": points}, {"data": exact}, backend="array")
    return float(np.linalg.norm(test.residuals(weights, frozen)) / np.linalg.norm(exact))


def train(problem: Problem, method: str, seed: int, options: argparse.Namespace, **changed: Any) -> dict[str, Any]:
    """One run: what it was asked for, and what came out."""
    width = changed.get("width", problem.width)
    eta, steps = changed.get("eta", options.eta), changed.get("steps", options.steps)
    executor, weights, frozen = prepare(problem, seed, width=width)
    size = executor.samples.total
    started = time.perf_counter()
    record: dict[str, Any] = {"seed": seed, "width": width, "samples": size}
    try:
        if method == "NGD":
            record |= {"eta": eta, "steps": steps}
            found = natural_gradient_descent(executor, weights, frozen, eta=eta, steps=steps, solver="qr", every=steps)
        elif method == "L-BFGS":
            record |= {"steps": options.lbfgs_steps}
            found = lbfgs(executor, weights, frozen, steps=options.lbfgs_steps)
        else:
            steps = options.baseline_steps
            if method == "Adam":
                record |= {"eta": options.baseline_eta, "steps": steps}
                found = adam(executor, weights, frozen, eta=options.baseline_eta, steps=steps, every=steps)
            else:
                stable = 2 / (3 * float(np.linalg.norm(executor.gram(weights, frozen), 2)))
                record |= {"eta": min(options.baseline_eta, stable), "steps": steps}
                found = gradient_descent(executor, weights, frozen, eta=record["eta"], steps=steps, every=steps)
        record["error"] = relative_error(problem, found.weights, frozen, seed)
        record["residual"] = float(np.sqrt(2 * found.losses[-1]))
        if method == "NGD":
            record["condition"] = float(np.max(found.notes["conditions"]))
    except NtkVerifyError as error:
        record |= {"error": None, "stopped": str(error)}
    return record | {"seconds": round(time.perf_counter() - started, 2)}


def spectrum(seed: int, interior: int) -> dict[str, Any]:
    """The Gram matrix of 1-D Poisson at the start: float64's eigenvalues, and an enclosure of the least one."""
    from flint import arb_mat, ctx

    problem = replace(PROBLEMS["poisson-1d"], interior=interior)
    executor, weights, frozen = prepare(problem, seed, width=problem.width)
    floats = np.linalg.eigvalsh(executor.gram(weights, frozen))
    singular = np.linalg.svd(executor.jacobian(weights, frozen), compute_uv=False)
    before = ctx.prec
    ctx.prec = BITS
    try:
        exact, _, _ = prepare(problem, seed, width=problem.width, backend="ball")
        gram = exact.gram(weights.astype(object), frozen.astype(object))
        enclosed = least_eigenvalue(arb_mat(gram.tolist()), bits=BITS)
    finally:
        ctx.prec = before
    return {
        "seed": seed,
        "interior": interior,
        "lambda_max": float(floats[-1]),
        "float64": float(floats[0]),
        "float64_svd": float(singular[-1] ** 2),
        "lower": enclosed.lower.str(8, radius=False),
        "upper": enclosed.upper.str(8, radius=False),
        "condition": float(floats[-1]) / float(enclosed.upper),
        "error": None,
    }


def jobs(options: argparse.Namespace) -> list[tuple[str, str, str, int, dict[str, Any]]]:
    """(part, problem, method, seed, changed settings) in the order of the tables."""
    seeds = range(options.seeds)
    every = [("main", p, method, s, {}) for p in options.problems for method in options.methods for s in seeds]
    rates = [
        ("rates", "poisson-2d", "NGD", s, {"eta": eta, "steps": options.steps * (1 if eta >= options.eta else 5)})
        for eta in (1.0, 0.5, 0.1, 0.05, 0.01)
        for s in range(min(options.seeds, 3))
    ]
    widths = [
        ("widths", "poisson-1d", "NGD", s, {"width": width}) for width in (20, 80, 320, 1280, 2560) for s in seeds
    ]
    spectra = [
        ("spectrum", "poisson-1d", "NGD", s, {"interior": n}) for n in (20, 32) for s in range(min(options.seeds, 3))
    ]
    table = {"main": every, "rates": rates, "widths": widths, "spectrum": spectra}
    return [job for part in options.parts for job in table[part]]


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Finished runs by what they were asked for; a half-written last line is dropped."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
            found[record["key"]] = record
        except (json.JSONDecodeError, KeyError, TypeError):
            print(f"{path}: a damaged line is ignored", file=sys.stderr)
    return found


def quantiles(values: Sequence[float]) -> str:
    """Median with the 10% and 90% quantiles."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], method="inverted_cdf")
    return f"{middle:.2e} ({low:.1e} .. {high:.1e})"


def cell(records: list[dict[str, Any]]) -> str:
    """Quantiles of the runs that finished, with the number of those that did not."""
    errors = [r["error"] for r in records if r["error"] is not None and np.isfinite(r["error"])]
    lost = len(records) - len(errors)
    if not records:
        return "-"
    return (quantiles(errors) if errors else "nan") + (f", {lost} of {len(records)} stopped" if lost else "")


def report(runs: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """All tables as Markdown."""
    part = {name: [r for r in runs if r["part"] == name] for name in ("main", "rates", "widths", "spectrum")}
    lines = ["# Natural gradient descent for physics-informed networks", ""]
    lines += [f"Settings: {settings(options)}", ""]
    lines += ["Relative L2 error: median (10% .. 90%) over seeds; the paper's number below.", ""]
    lines += ["| problem | width, samples | " + " | ".join(METHODS) + " |", "|---|---|" + "---|" * len(METHODS)]
    for key, problem in PROBLEMS.items():
        mine = [r for r in part["main"] if r["problem"] == key]
        if not mine:
            continue
        size = f"{mine[0]['width']}, {mine[0]['samples']}"
        cells = [cell([r for r in mine if r["method"] == method]) for method in METHODS]
        lines.append(f"| {problem.title} | {size} | " + " | ".join(cells) + " |")
        lines.append("| paper | | " + " | ".join(f"{problem.paper[method]:.2e}" for method in METHODS) + " |")
    for name, quantity in (("rates", "eta"), ("widths", "width")):
        values = sorted({r[quantity] for r in part[name]}, reverse=name == "rates")
        if values:
            lines += ["", f"| {quantity} (NGD, {part[name][0]['problem']}) | error | steps |", "|---|---|---|"]
            for value in values:
                mine = [r for r in part[name] if r[quantity] == value]
                lines.append(f"| {value} | {cell(mine)} | {mine[0]['steps']} |")
    if part["spectrum"]:
        lines += ["", "Least eigenvalue of the Gram matrix of 1-D Poisson at the start (paper: 3.47e-11 of 1.73e4):"]
        lines += ["", "| points, seed | certified enclosure | float64 eigvalsh, svd | condition |", "|---|---|---|---|"]
        for r in part["spectrum"]:
            enclosure = f"[{r['lower']}, {r['upper']}]"
            numbers = f"{r['float64']:.3e}, {r['float64_svd']:.3e} | {r['condition']:.3g}"
            lines.append(f"| {r['interior']}, {r['seed']} | {enclosure} | {numbers} |")
    return "\n".join(lines) + "\n"


def settings(options: argparse.Namespace) -> str:
    """What the paper does not say, chosen here."""
    return (
        "tanh, weights and biases N(0, 1), signs frozen, 1/sqrt(m); residual blocks over sqrt(n_b); Chebyshev points; "
        f"NGD eta {options.eta}, {options.steps} steps, undamped, QR; GD (for SGD) and Adam full batch, eta "
        f"{options.baseline_eta} (GD at most 2/(3 ||H||)), {options.baseline_steps} steps; "
        f"L-BFGS {options.lbfgs_steps} iterations, memory 10; errors on 1000 test points"
    )


def draw_figure(runs: list[dict[str, Any]], path: Path) -> None:
    """Errors by problem and method, one dot per seed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no figure: matplotlib is not installed; pip install matplotlib and run again (runs are kept)")
        return
    shown = [p for p in PROBLEMS if any(r["problem"] == p and r["part"] == "main" for r in runs)]
    figure, axes = plt.subplots(1, max(len(shown), 1), figsize=(3 * max(len(shown), 1), 3), squeeze=False)
    for axis, key in zip(axes[0], shown, strict=False):
        for x, method in enumerate(METHODS):
            errors = [r["error"] for r in runs if (r["part"], r["problem"], r["method"]) == ("main", key, method)]
            axis.semilogy([x] * len(errors), [np.nan if e is None else e for e in errors], "k.", alpha=0.5)
            axis.semilogy([x - 0.3, x + 0.3], [PROBLEMS[key].paper[method]] * 2, "r-")
        axis.set_xticks(range(len(METHODS)), METHODS, rotation=45)
        axis.set_title(PROBLEMS[key].title)
    axes[0][0].set_ylabel("relative L2 error (line: paper)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("natural_gradient_results"), help="folder of runs and tables")
    parser.add_argument("--seeds", type=int, default=10, help="runs per problem and method")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parts = ("main", "rates", "widths", "spectrum")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--eta", type=float, default=0.5, help="step of NGD")
    parser.add_argument("--steps", type=int, default=40, help="steps of NGD")
    parser.add_argument("--baseline-eta", type=float, default=1e-3, help="step of Adam, largest step of GD")
    parser.add_argument("--baseline-steps", type=int, default=2000, help="steps of GD and Adam")
    parser.add_argument("--lbfgs-steps", type=int, default=500)
    options = parser.parse_args()
    if min(options.seeds, options.steps, options.baseline_steps, options.lbfgs_steps) < 1 or not 0 < options.eta <= 1:
        raise NtkVerifyError("seeds and steps must be at least 1 and eta in (0, 1].")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "runs.jsonl"
    print(settings(options))
    finished, wanted = read(path), []
    resolved = {name: value for name, value in vars(options).items() if "steps" in name or "eta" in name}
    with path.open("a", encoding="utf-8") as file:
        for part, key, method, seed, changed in tqdm(jobs(options), desc="runs", unit="run"):
            sizes = [PROBLEMS[key].interior, PROBLEMS[key].side, PROBLEMS[key].width]
            identifier = json.dumps([part, key, *sizes, method, seed, resolved | changed], sort_keys=True)
            if identifier not in finished:
                record = (
                    spectrum(seed, **changed)
                    if part == "spectrum"
                    else train(PROBLEMS[key], method, seed, options, **changed)
                )
                record = {"key": identifier, "part": part, "problem": key, "method": method} | record
                file.write(json.dumps(record) + "\n")
                file.flush()
                finished[identifier] = record
            wanted.append(finished[identifier])
    text = report(wanted, options)
    (options.out / "tables.md").write_text(text, encoding="utf-8")
    print(text)
    draw_figure(wanted, options.out / "errors.png")


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"reproduce_natural_gradient: {error}")
