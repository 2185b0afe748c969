"""Tables and figures of the comparison of automatic and finite differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from reproduction.differentiation import DEFINITIONS, EQUATIONS, STEPS, label
from scipy import stats

from ntkverify.judging.quantifiers.correlates import rank_correlation

LEVEL = 0.99  #: of the intervals
Record = dict[str, Any]
PRECISIONS = ("float64", "float32", "exact")


def verdict(wins: int, draws: int) -> str:
    """Whether AD is above FD in more than half of all draws, with counts and the exact interval of the share."""
    interval = stats.binomtest(wins, draws).proportion_ci(LEVEL, method="exact")
    word = "yes" if interval.low > 0.5 else "no" if interval.high < 0.5 else "open"
    return f"{word} {wins}/{draws} [{interval.low:.2f}, {interval.high:.2f}]"


def above_table(
    records: list[Record], names: Iterable[str], activations: Iterable[str], equations: Iterable[str]
) -> str:
    """Definition by precision and scale against activation and operator."""
    columns = [(e, a) for e in equations for a in activations]
    cells: dict[Any, list[bool]] = defaultdict(list)
    for r in records:
        for name, (first, other) in r["entropies"].items():
            cells[name, r["precision"], r["scale"], r["equation"], r["activation"]].append(first > other)
    keys = sorted({key[1:3] for key in cells}, key=lambda k: (PRECISIONS.index(k[0]), k[1]))
    shown = {name: [[cells.get((name, *key, *column), []) for column in columns] for key in keys] for name in names}
    lines = [
        "| definition | precision | R | " + " | ".join(f"{e}, {a}" for e, a in columns) + " |",
        "|---|---|---|" + "---|" * len(columns),
    ]
    for same in _alike(shown):
        for (precision, scale), row in zip(keys, shown[same[0]], strict=True):
            entries = [verdict(sum(cell), len(cell)) if cell else "" for cell in row]
            lines.append(f"| {'; '.join(same)} | {precision} | {scale:g} | " + " | ".join(entries) + " |")
    return "\n".join(lines)


def _alike(shown: dict[str, Any]) -> list[list[str]]:
    """Definitions whose tables of verdicts and counts are the same, together."""
    groups: dict[str, list[str]] = {}
    for name, rows in shown.items():
        groups.setdefault(str([[(sum(cell), len(cell)) for cell in row] for row in rows]), []).append(name)
    return list(groups.values())


def correlation_table(records: list[Record]) -> str:
    """Kendall's tau of each entropy with residual loss and speed, between AD and FD of a draw, and across draws."""
    lines = [
        "| definition | model | AD above FD | faster, isotropic | faster, waves | lower residual loss | "
        "across draws: faster, isotropic | across: lower residual loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in (label(*d) for d in DEFINITIONS):
        for network in (False, True):
            chosen = [r for r in records if r["network"] == network]
            if len(chosen) < 2:
                continue
            entropies = np.array([r["entropies"][name] for r in chosen])
            measures = {
                "isotropic": np.array([r["isotropic"] for r in chosen]),
                "waves": np.array([[curve[STEPS.index(1000)] for curve in r["curves"]] for r in chosen]),
                "residual": np.array([r["residual"] for r in chosen]),
            }
            logs = {key: np.log(np.maximum(value, 1e-300)) for key, value in measures.items()}
            gain = entropies[:, 0] - entropies[:, 1]
            shown = [verdict(int((gain > 0).sum()), len(gain))]
            shown += [tau(gain, logs[key][:, 1] - logs[key][:, 0]) for key in ("isotropic", "waves", "residual")]
            shown += [tau(entropies[:, 0], -logs[key][:, 0]) for key in ("isotropic", "residual")]
            lines.append(f"| {name} | {'network' if network else 'random features'} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def tau(first: Any, second: Any) -> str:
    """A rank correlation with its interval."""
    found = rank_correlation(first, second, alpha=1 - LEVEL)
    return f"{found.tau:.2f} [{found.low:.2f}, {found.high:.2f}]"


def size_table(records: list[Record]) -> str:
    """Residual losses, losses after 1000 steps and numbers of retained values over N: medians of AD and FD."""
    groups: dict[Any, list[Record]] = defaultdict(list)
    for r in records:
        groups[r["equation"], r["activation"], r["boundary"], r["size"]].append(r)
    lines = [
        "| problem | boundary rows | N = M | retained, AD | FD | residual loss, AD | FD | AD lower | "
        "loss after 1000 steps, AD | FD |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (equation, activation, boundary, size), chosen in sorted(groups.items()):
        counts = np.median([r["cutoffs"] for r in chosen], axis=0)
        residual = np.array([r["residual"] for r in chosen])
        after = np.median([[c[STEPS.index(1000)] for c in r["curves"]] for r in chosen], axis=0)
        wins = verdict(int((residual[:, 0] < residual[:, 1]).sum()), len(chosen))
        middle = np.median(residual, axis=0)
        lines.append(
            f"| {equation}, {activation} | {'yes' if boundary else 'no'} | {size} | {counts[0]:g} | {counts[1]:g} | "
            f"{middle[0]:.1e} | {middle[1]:.1e} | {wins} | {after[0]:.2g} | {after[1]:.2g} |"
        )
    return "\n".join(lines)


def plateau_table(records: list[Record]) -> str:
    """Median of the last quarter of the computed spectrum of A_FD, as the spacing falls with N = M fixed."""
    groups: dict[Any, list[float]] = defaultdict(list)
    for r in records:
        values = r["spectra"][1]
        groups[r["equation"], r["activation"], r["precision"], r["refined"]].append(
            float(np.median(values[-(len(values) // 4) :]))
        )
    finer = sorted({key[3] for key in groups})
    lines = [
        "| problem | precision | " + " | ".join(f"h/{k}" for k in finer) + " | slope |",
        "|---|---|" + "---|" * (len(finer) + 1),
    ]
    for start in sorted({key[:3] for key in groups}):
        levels = [float(np.median(groups[(*start, k)])) for k in finer]
        slope = np.polyfit(np.log(finer), np.log(levels), 1)[0]
        lines.append(
            f"| {start[0]}, {start[1]} | {start[2]} | " + " | ".join(f"{v:.1e}" for v in levels) + f" | {slope:.2f} |"
        )
    return "\n".join(lines)


def report(records: list[Record], settings: str, activations: Iterable[str]) -> str:
    """All tables that there are records for, as Markdown."""
    parts: dict[str, list[Record]] = defaultdict(list)
    for r in records:
        parts[r["part"]].append(r)
    names = [label(*d) for d in DEFINITIONS]
    equations = [e for e in EQUATIONS if any(r["equation"] == e for r in parts["above"])]
    text = [settings]
    if parts["above"]:
        text += [
            "## Is AD above FD?",
            "The default display, *inferred*: H3 with one common threshold near machine epsilon.",
            above_table(parts["above"], names[:1], activations, equations),
            "All other definitions:",
            above_table(parts["above"], names[1:], activations, equations),
        ]
    if parts["correlation"]:
        text += ["## Does a higher entropy go with lower losses?", correlation_table(parts["correlation"])]
    if parts["sizes"]:
        text += ["## Over the number of points", size_table(parts["sizes"])]
    if parts["plateau"]:
        text += ["## The plateau of finite differences", plateau_table(parts["plateau"])]
    return "\n\n".join(text) + "\n"


def draw_figures(records: list[Record], folder: Path) -> bool:
    """Singular values, residual losses and training curves; False without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    spectra = [r for r in records if r["part"] == "plateau" and r["seed"] == 0]
    curves = [r for r in records if r["part"] == "sizes" and r["seed"] == 0 and not r["boundary"]]
    for name, chosen, panel in (("singular_values", spectra, _spectra), ("training_curves", curves, _curves)):
        titles = sorted({(r["equation"], r["activation"]) for r in chosen})
        if not titles:
            continue
        figure = Figure(figsize=(4.5 * len(titles), 3.8), layout="constrained")
        FigureCanvasAgg(figure)
        for place, title in enumerate(titles):
            axes = figure.add_subplot(1, len(titles), place + 1)
            panel(axes, [r for r in chosen if (r["equation"], r["activation"]) == title])
            axes.set_yscale("log")
            axes.set_title(", ".join(title), fontsize=9)
            axes.legend(fontsize=6)
        figure.savefig(folder / f"{name}.png", dpi=130)
    return True


def _spectra(axes: Any, chosen: list[Record]) -> None:
    for r in chosen:
        for way, values in zip(("AD", "FD"), r["spectra"], strict=True):
            if way == "FD" or r["refined"] == 1:
                line = {"exact": "-", "float64": "--", "float32": ":"}[r["precision"]]
                step = f", h/{r['refined']}" if way == "FD" else ""
                kept = [v / values[0] for v in values]
                axes.plot(range(1, len(kept) + 1), kept, line, lw=1, label=f"{way}{step}, {r['precision']}")
    axes.set_xlabel("k")
    axes.set_ylabel("sigma_k/sigma_1")


def _curves(axes: Any, chosen: list[Record]) -> None:
    for r in sorted(chosen, key=lambda r: r["size"]):
        for way, values, line in zip(("AD", "FD"), r["curves"], ("-", "--"), strict=True):
            axes.plot(STEPS[1:], values[1:], line, label=f"{way}, N = {r['size']}")
    axes.set_xscale("log")
    axes.set_xlabel("steps of gradient descent")
    axes.set_ylabel("loss, as a share of the first")
