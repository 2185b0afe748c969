"""The tables of the reproduction as Markdown, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reproduction.problems import METHODS, PROBLEMS

Records = list[dict[str, Any]]


def quantiles(values: Sequence[float]) -> str:
    """Median with the 10% and 90% quantiles; what did not finish counts as infinite."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], method="inverted_cdf")
    return f"{middle:.2e} ({low:.1e} .. {high:.1e})"


def cell(records: Records, column: str = "error") -> str:
    """Quantiles of the runs, with the number of those that did not finish."""
    if not records:
        return "-"
    errors = [r[column] if r.get(column) is not None and np.isfinite(r[column]) else np.inf for r in records]
    lost = int(np.isinf(errors).sum())
    return quantiles(errors) + (f", {lost} of {len(records)} failed" if lost else "")


def selected(runs: Records, **wanted: Any) -> Records:
    """The runs with these values."""
    return [r for r in runs if all(r.get(name) == value for name, value in wanted.items())]


def main_table(runs: Records) -> list[str]:
    """Errors by problem and method at three budgets."""
    lines = [
        "Relative L2 error on 1000 test points, median (10% .. 90%) over the seeds. Baselines three times: after as",
        "many steps as NGD took, after as much processor time as NGD took, and at the end of their own budget.",
        "",
        "| problem | method | step | steps | seconds | NGD's steps | NGD's time | at the end | paper |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, problem in PROBLEMS.items():
        for method in METHODS:
            mine = selected(runs, problem=key, method=method)
            if not mine:
                continue
            seconds = np.median([r["seconds"] or np.nan for r in mine])
            budgets = ["-", "-"] if method == "NGD" else [cell(mine, "equal_steps"), cell(mine, "equal_seconds")]
            eta = {"GD": f"{mine[0]['eta']:.3g}/\\|\\|H(0)\\|\\|", "L-BFGS": "line search"}.get(method, mine[0]["eta"])
            cells = [problem.title, method, eta, mine[0]["steps"], f"{seconds:.2g}", *budgets, cell(mine)]
            lines.append("| " + " | ".join(map(str, cells)) + f" | {problem.paper[method]:.2e} |")
    return lines


def duels(runs: Records) -> list[str]:
    """How often natural gradient descent has the smaller error, seed by seed."""
    lines = ["", "Seeds on which NGD's error is the smaller one, of those run:", ""]
    lines += ["| problem | against | NGD's steps | NGD's time | at the end |", "|---|---|---|---|---|"]
    for key, problem in PROBLEMS.items():
        natural = {r["seed"]: r["error"] for r in selected(runs, problem=key, method="NGD")}
        for method in METHODS[1:]:
            mine = [r for r in selected(runs, problem=key, method=method) if r["seed"] in natural]
            if not mine:
                continue
            cells = []
            for column in ("equal_steps", "equal_seconds", "error"):
                pairs = [(natural[r["seed"]], r.get(column)) for r in mine]
                # a run that failed, or a budget too short for one moment, has not won
                won = sum(a is not None and (b is None or not b <= a) for a, b in pairs)
                cells.append(f"{won} of {len(pairs)}")
            lines.append(f"| {problem.title} | {method} | " + " | ".join(cells) + " |")
    return lines


def rate_table(runs: Records) -> list[str]:
    """Errors by step and method."""
    if not runs:
        return []
    methods = [m for m in METHODS if selected(runs, method=m)]
    lines = ["", f"Step robustness, {PROBLEMS[runs[0]['problem']].title}; GD's steps are in units of 1/||H(0)||.", ""]
    lines += ["| step | " + " | ".join(methods) + " | steps of NGD |", "|---|" + "---|" * (len(methods) + 1)]
    for eta in sorted({r["eta"] for r in runs}, reverse=True):
        cells = [cell(selected(runs, method=m, eta=eta)) for m in methods]
        steps = [r["steps"] for r in selected(runs, method="NGD", eta=eta)]
        lines.append(f"| {eta:g} | " + " | ".join(cells) + f" | {steps[0] if steps else '-'} |")
    return lines


def width_table(runs: Records) -> list[str]:
    """Errors of natural gradient descent by width."""
    if not runs:
        return []
    lines = [
        "",
        f"Widths, NGD, {PROBLEMS[runs[0]['problem']].title} on {runs[0]['samples']} samples:",
        "",
        "| width | error | condition of J J^T |",
    ]
    lines += ["|---|---|---|"]
    for width in sorted({r["width"] for r in runs}):
        mine = selected(runs, width=width)
        conditions = [r["condition"] for r in mine if "condition" in r]
        largest = f"{np.median(conditions):.1e}" if conditions else "-"
        lines.append(f"| {width} | {cell(mine)} | {largest} |")
    return lines


def spectrum_table(runs: Records) -> list[str]:
    """Certified least eigenvalues beside float64's."""
    if not runs:
        return []
    lines = [
        "",
        "Least eigenvalue of the Gram matrix J J^T of 1-D Poisson at the start, certified in ball arithmetic of",
    ]
    lines += ["512 bits, with float64's value next to it (paper: 3.47e-11, with a largest eigenvalue of 1.73e4):", ""]
    lines += ["| interior points, seed | certified enclosure | float64 eigvalsh | float64 svd of J | condition |"]
    lines += ["|---|---|---|---|---|"]
    for r in runs:
        enclosure = f"[{r['lower']}, {r['upper']}]"
        numbers = f"{r['float64']:.3e} | {r['float64_svd']:.3e} | {r['condition']:.3g}"
        lines.append(f"| {r['interior']}, {r['seed']} | {enclosure} | {numbers} |")
    return lines


def report(runs: Records, settings: str) -> str:
    """All tables as Markdown."""
    part = {name: selected(runs, part=name) for name in ("main", "rates", "widths", "spectrum")}
    lines = ["# Natural gradient descent for physics-informed networks, reproduced", "", settings, ""]
    if part["main"]:
        lines += main_table(part["main"]) + duels(part["main"])
    lines += rate_table(part["rates"]) + width_table(part["widths"]) + spectrum_table(part["spectrum"])
    return "\n".join(lines) + "\n"


def draw_figures(runs: Records, folder: Path) -> None:
    """Errors by problem and method, by step and by width: one dot per seed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no figure: matplotlib is not installed; pip install matplotlib and run again (runs are kept)")
        return
    main = selected(runs, part="main")
    shown = [key for key in PROBLEMS if selected(main, problem=key)]
    if shown:
        figure, axes = plt.subplots(1, len(shown), figsize=(2.6 * len(shown), 2.8), squeeze=False)
        for axis, key in zip(axes[0], shown, strict=True):
            for x, method in enumerate(METHODS):
                errors = [r["error"] for r in selected(main, problem=key, method=method)]
                axis.semilogy([x] * len(errors), [np.nan if e is None else e for e in errors], "k.", alpha=0.5)
                axis.semilogy([x - 0.3, x + 0.3], [PROBLEMS[key].paper[method]] * 2, "r-")
            axis.set_xticks(range(len(METHODS)), METHODS, rotation=45)
            axis.set_title(PROBLEMS[key].title)
        axes[0][0].set_ylabel("relative L2 error (red: paper)")
        figure.tight_layout()
        figure.savefig(folder / "errors.png", dpi=80)
        plt.close(figure)
    panels = [
        (name, quantity, found)
        for name, quantity in (("rates", "eta"), ("widths", "width"))
        if (found := selected(runs, part=name))
    ]
    if panels:
        figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 2.8), squeeze=False)
        for axis, (_, quantity, found) in zip(axes[0], panels, strict=True):
            for method in METHODS:
                mine = [r for r in selected(found, method=method) if r["error"] is not None]
                if mine:
                    axis.loglog([r[quantity] for r in mine], [r["error"] for r in mine], ".", label=method, alpha=0.6)
            axis.set_xlabel({"eta": "step", "width": "width"}[quantity])
            axis.set_title(PROBLEMS[found[0]["problem"]].title)
            axis.legend()
        axes[0][0].set_ylabel("relative L2 error")
        figure.tight_layout()
        figure.savefig(folder / "ablations.png", dpi=80)
        plt.close(figure)
