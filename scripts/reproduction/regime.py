"""Runs, tables and figures of the linear and the nonlinear regime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from reproduction.equations import EQUATIONS
from reproduction.training import Watch

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.problems.nonlinear.equations import second_derivative, self_advected, viscous_burgers
from ntkverify.problems.nonlinear.full_network import full_network
from ntkverify.training import Adam, LevenbergMarquardt, NaturalGradient, Stopped, follow, lbfgs

METHODS = ("LM", "Adam", "L-BFGS", "NGD")
ADAM_STEPS = (1e-2, 3e-3, 1e-3, 3e-4)
PILOT = 10**6  #: seed of the pilot runs
POINTS = [[x] for x in np.linspace(0.05, 0.95, 10)]
NO_THEOREM = Theorem("a reproduction", source=Source(), statement="none")
FIELDS = {"u_xx": second_derivative, "u u_x": self_advected}
Records = list[dict[str, Any]]


def _source(x: Any) -> Any:
    return 16 / np.pi**2 * np.sin(4 * x / np.pi)


def _network(equation: str, width: int, seed: int, **options: Any) -> Any:
    data = {"interior": POINTS, "interior_target": _source(np.array(POINTS)[:, 0]), "boundary": [[0.0], [1.0]]}
    instance = Instance(data=data, width=width, seed=seed, **options)
    return full_network(FIELDS[equation], activation="tanh")(instance, NO_THEOREM)


def kernel(equation: str, width: int, seed: int) -> dict[str, Any]:
    """||K(0)|| and the largest change of K over 40 steps of gradient descent, absolute and relative."""
    found = _network(equation, width, seed, step=1e-3, steps=40).trajectory.grams
    norm = float(np.linalg.norm(found[0], 2))
    moved = float(max(np.linalg.norm(g - found[0], 2) for g in found))
    return {"seed": seed, "width": width, "norm": norm, "moved": moved, "relative": moved / norm}


def hessian(equation: str, width: int, seed: int) -> dict[str, Any]:
    """||H_r|| of one residual, and the share of nonzeros in 64 of its rows."""
    run = _network(equation, width, seed)
    whole = run.hessian(0)
    size, p = whole.shape[0], whole.blocks.shape[1]
    rows = np.random.default_rng(seed).choice(size, 64, replace=False)
    found = whole.factors[rows] @ whole.core @ whole.factors.T
    for k, row in enumerate(rows):
        neuron = row // p
        found[k, neuron * p : (neuron + 1) * p] += whole.blocks[neuron, row % p]
    share = np.count_nonzero(found) / found.size
    return {"seed": seed, "width": width, "norm": whole.spectral_norm() / float(run.roots[0]), "share": share}


def spectrum(method: str, seed: int) -> dict[str, Any]:
    """Eigenvalues of J J^T of Burgers' equation at the start, half-way and at the end of 60 steps."""
    rng = np.random.default_rng(seed)
    inside, edge = rng.uniform(0, 1, (24, 2)), rng.uniform(0, 1, (12, 2))
    edge[:4, 0], edge[4:8, 1], edge[8:, 1] = 0, 0, 1
    data = {"interior": inside, "boundary": edge, "boundary_target": np.sin(np.pi * edge[:, 1])}
    options: dict[str, Any] = {"method": "natural gradient"} if method == "GN" else {}
    step = 0.1 if method == "GN" else 0.01
    instance = Instance(data=data, width=512, seed=seed, step=step, steps=60)
    run = full_network(viscous_burgers, activation="tanh", **options)(instance, NO_THEOREM)
    values = run.eigenvalues
    kept = {str(k): [float(v) for v in values[k]] for k in (0, 30, 60)}
    return {"seed": seed, "eigenvalues": kept, "residuals": [float(r) for r in run.residuals[[0, 30, 60]]]}


class Limited:
    """A method that ends when its processor time is spent."""

    def __init__(self, method: Any, watch: Watch, seconds: float) -> None:
        self._method, self._watch, self._seconds = method, watch, seconds
        self.name, self.copies, self.eta = method.name, method.copies, method.eta

    def change(self, at: Any) -> Any:
        """The method's change."""
        if self._watch.seconds() > self._seconds:
            raise Stopped
        return self._method.change(at)

    def notes(self) -> dict[str, Any]:
        """The method's notes."""
        notes: dict[str, Any] = self._method.notes()
        return notes


def _method(name: str, eta: float | None) -> tuple[Any, int]:
    """A method, and after how many steps the error is looked at."""
    if name == "LM":
        return LevenbergMarquardt(), 5
    if name == "NGD":
        return NaturalGradient(0.5, solver="qr"), 5
    return Adam(eta or 1e-3), 100


def _descend(name: str, executor: Any, weights: Any, watch: Watch, *, seconds: float, eta: float | None) -> Any:
    def see(at: Any) -> float:
        error = watch.see(at)
        if name == "L-BFGS" and watch.seconds() > seconds:
            raise StopIteration  # which scipy takes as the end of the run
        return error

    if name == "L-BFGS":
        return lbfgs(executor, weights, None, steps=10**6, every=20, record={"error": see})
    method, every = _method(name, eta)
    limited = Limited(method, watch, seconds)
    return follow(executor, weights, None, limited, steps=10**6, every=every, record={"error": see})


def train(key: str, name: str, seed: int, *, seconds: float, eta: float | None = None) -> dict[str, Any]:
    """One run for so much processor time; its last error, and the least on the way."""
    equation = EQUATIONS[key]
    executor, weights = equation.prepare(seed)
    error_of = equation.tester(seed)
    record: dict[str, Any] = {"seed": seed, "eta": eta, "samples": executor.samples.total, "width": equation.width}
    watch = Watch(error_of)
    try:
        with np.errstate(all="ignore"):
            if name == "L-BFGS":
                lbfgs(executor, weights, None, steps=2)
            else:
                follow(executor, weights, None, _method(name, eta)[0], steps=1)  # compiles what is timed below
            watch = Watch(error_of)
            found = _descend(name, executor, weights, watch, seconds=seconds, eta=eta)
            record["error"] = error_of(found.weights)
            record["residual"] = float(np.sqrt(2 * found.losses[-1]))
            record["steps"] = int(found.steps[-1])
    except NtkVerifyError as error:
        record |= {"error": None, "stopped": str(error)}
    errors = [e for _, _, e in watch.moments if np.isfinite(e)]
    record["least"] = min(errors) if errors else None
    record["seconds"] = round(watch.seconds(), 2)
    record["error"] = record["error"] if record["error"] is not None and np.isfinite(record["error"]) else None
    return record


def tuned(key: str, seconds: float) -> dict[str, Any]:
    """The step of Adam whose pilot run ends with the least error."""
    tried = {eta: train(key, "Adam", PILOT, seconds=seconds, eta=eta)["error"] for eta in ADAM_STEPS}
    return {
        "eta": min(tried, key=lambda eta: np.inf if tried[eta] is None else tried[eta]),
        "tried": list(tried.items()),
    }


def selected(runs: Records, **wanted: Any) -> Records:
    """The runs with these entries."""
    return [r for r in runs if all(r.get(name) == value for name, value in wanted.items())]


def width_table(runs: Records, part: str, columns: dict[str, str]) -> list[str]:
    """Median and coefficient of variation over the draws, by equation and width."""
    mine = selected(runs, part=part)
    if not mine:
        return []
    lines = ["| equation | width | " + " | ".join(f"{title}: median | std/mean" for title in columns.values()) + " |"]
    lines += ["|---|---|" + "---|---|" * len(columns)]
    for equation in FIELDS:
        for width in sorted({r["width"] for r in mine}):
            rows = selected(mine, problem=equation, width=width)
            cells = []
            for column in columns:
                values = np.array([r[column] for r in rows])
                spread = f"{values.std() / values.mean():.2g}" if values.mean() else "0"
                cells.append(f"{np.median(values):.3g} | {spread}")
            lines.append(f"| {equation} | {width} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def spectrum_table(runs: Records) -> list[str]:
    """Extreme eigenvalues in training."""
    mine = selected(runs, part="spectrum")
    if not mine:
        return []
    lines = ["| method | step | lambda_min | median | lambda_max | residual |", "|---|---|---|---|---|---|"]
    for r in mine:
        for (step, values), size in zip(r["eigenvalues"].items(), r["residuals"], strict=True):
            cells = (values[0], float(np.median(values)), values[-1], size)
            lines.append(f"| {r['method']} | {step} | " + " | ".join(f"{v:.3g}" for v in cells) + " |")
    return [*lines, ""]


def training_table(runs: Records) -> list[str]:
    """Errors at the end: median, least and largest over the seeds."""
    mine = selected(runs, part="training")
    if not mine:
        return []
    lines = [
        "| equation | method | relative L2 error: median | least | largest | failed | steps | s |",
        "|---" * 8 + "|",
    ]
    for key, equation in EQUATIONS.items():
        for method in METHODS:
            rows = selected(mine, problem=key, method=method)
            if not rows:
                continue
            errors = [np.inf if r["error"] is None else r["error"] for r in rows]
            failed = sum(r["error"] is None for r in rows)
            ends = (float(np.median(errors)), min(errors), max(errors))
            cells = [*(f"{e:.2e}" if np.isfinite(e) else "-" for e in ends), f"{failed} of {len(rows)}"]
            steps = [r["steps"] for r in rows if "steps" in r]
            cells += [f"{int(np.median(steps))}" if steps else "-", f"{np.median([r['seconds'] for r in rows]):.3g}"]
            lines.append(f"| {equation.title} | {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def report(runs: Records, settings: str) -> str:
    """All tables as Markdown."""
    titles = {"norm": "norm of K(0)", "moved": "largest change", "relative": "relative change"}
    lines = ["# The nonlinear regime of physics-informed networks, reproduced", "", settings, ""]
    lines += width_table(runs, "kernel", titles)
    lines += width_table(runs, "hessian", {"norm": "norm of H_r", "share": "share of nonzeros"})
    lines += spectrum_table(runs) + training_table(runs)
    return "\n".join(lines)


def draw_figures(runs: Records, folder: Path) -> None:
    """Kernels and Hessians over the width, spectra, errors: one dot per run."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no figure: matplotlib is not installed; pip install matplotlib and run again (runs are kept)")
        return
    panels = [("kernel", "norm"), ("kernel", "relative"), ("hessian", "norm")]
    shown = [(part, column) for part, column in panels if selected(runs, part=part)]
    if shown:
        figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 2.8), squeeze=False)
        for axis, (part, column) in zip(axes[0], shown, strict=True):
            for equation, marker in zip(FIELDS, ("x", "."), strict=True):
                rows = selected(runs, part=part, problem=equation)
                axis.loglog([r["width"] for r in rows], [r[column] for r in rows], marker, label=equation, alpha=0.6)
            axis.set_xlabel("width")
            axis.set_title(f"{part}, {column}")
            axis.legend()
        figure.tight_layout()
        figure.savefig(folder / "widths.png", dpi=80)
        plt.close(figure)
    found = selected(runs, part="spectrum")
    if found:
        figure, axes = plt.subplots(1, len(found), figsize=(3.2 * len(found), 2.8), squeeze=False)
        for axis, r in zip(axes[0], found, strict=True):
            for step, values in r["eigenvalues"].items():
                axis.semilogy(np.maximum(values, 1e-16), label=f"step {step}")
            axis.set_title(r["method"])
            axis.legend()
        figure.tight_layout()
        figure.savefig(folder / "spectra.png", dpi=80)
        plt.close(figure)
    trained = selected(runs, part="training")
    keys = [key for key in EQUATIONS if selected(trained, problem=key)]
    if keys:
        figure, axes = plt.subplots(1, len(keys), figsize=(2.6 * len(keys), 2.8), squeeze=False)
        for axis, key in zip(axes[0], keys, strict=True):
            for x, method in enumerate(METHODS):
                errors = [r["error"] for r in selected(trained, problem=key, method=method)]
                axis.semilogy([x] * len(errors), [np.nan if e is None else e for e in errors], "k.", alpha=0.6)
            axis.set_xticks(range(len(METHODS)), METHODS, rotation=45)
            axis.set_title(EQUATIONS[key].title, fontsize=8)
        axes[0][0].set_ylabel("relative L2 error")
        figure.tight_layout()
        figure.savefig(folder / "errors.png", dpi=80)
        plt.close(figure)
