"""Figures of a page: SVG by matplotlib, in the page's colours and its fonts."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.report.page.trajectories import Curves

#: colours that the style sheet names; matplotlib gets stand-ins, which no figure has otherwise
_COLOURS = {"ink": "#000001", "muted": "#000002", "rule": "#000003", "good": "#000004", "seen": "#000005"}
_SIZE = (4.3, 2.7)  # inches of 72 points, which a page shows as pixels
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def trajectory(curves: Curves, *, salt: str) -> str:
    """A measured quantity and its bound: the median of the draws and the band of all of them.

    Parameters
    ----------
    curves : Curves
        What to draw.
    salt : str
        Makes identifiers of this figure differ from those of others on the page.

    Raises
    ------
    NtkVerifyError
        Without matplotlib.
    """
    figure, axes = _figure()
    measured, bound, logarithmic = _seen(curves)
    for rows, colour, style in ((bound, "seen", (0, (5, 2))), (measured, "good", "solid")):
        known = np.isfinite(rows).any(axis=0)
        at, rows = curves.at[known], rows[:, known]
        low, middle, high = np.nanmin(rows, axis=0), np.nanmedian(rows, axis=0), np.nanmax(rows, axis=0)
        axes.fill_between(at, low, high, color=_COLOURS[colour], alpha=0.22, linewidth=0)
        axes.plot(at, middle, color=_COLOURS[colour], linestyle=style, linewidth=1.6)
    if logarithmic:
        axes.set_yscale("log")
        _count_decades(axes)
    axes.set_xlabel(curves.along, color=_COLOURS["muted"])
    axes.margins(x=0.02)
    return _svg(figure, salt)


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise NtkVerifyError(
            "a figure needs matplotlib, which is not installed: pip install 'ntkverify[report]'."
        ) from None
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_COLOURS["rule"])
    axes.tick_params(which="both", color=_COLOURS["rule"], labelcolor=_COLOURS["muted"], labelsize=10)
    axes.grid(visible=True, which="major", color=_COLOURS["rule"], linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _seen(curves: Curves) -> tuple[Array, Array, bool]:
    """Measured numbers and bounds, and whether they are seen on a logarithmic axis, on which zeros have no place."""
    both = np.stack([curves.measured, curves.bound])
    found = both[np.isfinite(both) & (both != 0)]
    if not found.size or found.min() < 0 or found.max() <= 10 * found.min():
        return curves.measured, curves.bound, False
    both = np.where(both == 0, np.nan, both)
    return both[0], both[1], bool(np.isfinite(both).any(axis=(1, 2)).all())


def _count_decades(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """A power of ten as people write it: 0.01, 10, 10⁻⁵."""
    exponent = round(float(np.log10(value)))
    return f"{10.0**exponent:g}" if -3 < exponent < 4 else "10" + str(exponent).translate(_RAISED)


def _svg(figure: Any, salt: str) -> str:
    """The element alone: no date, no identifiers but those that are referred to, colours by name, text as text."""
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.hashsalt": salt, "svg.fonttype": "none", "font.size": 10}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)  # a style is the page's
    named = set(re.findall(r"#([\w.-]+)", re.sub(r"#0000\d\d", "", text)))
    text = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in named else "", text)
    for name, stand_in in _COLOURS.items():
        text = text.replace(stand_in, f"var(--{name})")
    text = re.sub(r"font-family: [^;\"]*;?", "", re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text))
    text = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg class="plot" viewBox="\1" role="img">', text, count=1)
    return re.sub(r">\s+<", "><", text).strip()
