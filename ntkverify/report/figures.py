"""Phase diagrams; matplotlib is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.search.frontier.bisection import Threshold


def phase_diagram(
    curve: Sequence[Threshold], path: str | Path, *, over: str, against: str, title: str, fraction: float
) -> None:
    """Draw the share of draws in which a claim held, its threshold with the confidence band, and what is prescribed.

    Raises
    ------
    NtkVerifyError
        Without matplotlib, or where the file can't be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise NtkVerifyError(
            "a figure needs matplotlib, which is not installed: pip install 'ntkverify[report]', or leave --png out."
        ) from None
    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    samples = [(t.at, s.value, s.held / s.draws) for t in curve for s in t.samples if s.draws]
    if samples:
        x, y, share = zip(*samples, strict=True)
        points = axes.scatter(x, y, c=share, cmap="viridis", vmin=0, vmax=1, s=28)
        figure.colorbar(points, ax=axes, label="share of draws in which it holds")
    known = [(t.at, t.value) for t in curve if t.value is not None]
    if known:  # a legend names what is drawn
        axes.plot(
            [at for at, _ in known], [value for _, value in known], "k-", label=f"holds in {fraction:g} of the draws"
        )
    banded = [(t.at, t.low, t.high) for t in curve if t.low is not None and t.high is not None]
    if len(banded) > 1:
        axes.fill_between(
            [b[0] for b in banded], [b[1] for b in banded], [b[2] for b in banded], color="k", alpha=0.15, label="band"
        )
    elif banded:  # an area of one place would be invisible
        axes.vlines([banded[0][0]], [banded[0][1]], [banded[0][2]], color="k", alpha=0.3, lw=6, label="band")
    prescribed = [(t.at, t.prescribed) for t in curve if t.prescribed is not None]
    if prescribed:
        axes.plot([at for at, _ in prescribed], [value for _, value in prescribed], "r--", label="prescribed")
    axes.set_yscale("log")
    axes.set_xlabel(against)
    axes.set_ylabel(over)
    axes.set_title(title, fontsize=9)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise NtkVerifyError(f"the figure {path} can't be written ({error}); choose another --png.") from None
