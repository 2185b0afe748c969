"""The table of a frontier: where a claim begins to hold, and where it is prescribed."""

from __future__ import annotations

from collections.abc import Iterable

from ntkverify.search.frontier.bisection import Threshold, draws_needed


def headings(over: str, against: str) -> tuple[str, ...]:
    """Of the table."""
    return (against, f"{over} needed", "band", "prescribed", "prescribed / needed")


def table_rows(curve: Iterable[Threshold], *, fraction: float = 0.9) -> list[tuple[str, ...]]:
    """Cells of the table: place, threshold, band, prescribed, and how much more is prescribed than needed."""
    rows: list[tuple[str, ...]] = []
    for t in curve:
        ratio = "-" if t.value is None or t.prescribed is None else f"{t.prescribed / t.value:.3g}"
        rows.append((f"{t.at:g}", _needed(t, fraction), _band(t), _prescribed(t), ratio))
    return rows


def notes(curve: Iterable[Threshold], *, over: str, against: str, fraction: float) -> list[str]:
    """A sentence for each place at which too few draws were made to say anything."""
    said = []
    for t in curve:
        held = _wherever_tried(t, fraction)
        if held is not None:
            needed = draws_needed(fraction, holds=held)
            word = "held" if held else "failed"
            draws = max(s.draws for s in t.samples)
            said.append(
                f"{against} = {t.at:g}: {word} at every {over} tried, but {draws} draws there can't show that it "
                f"{'holds in' if held else 'holds in less than'} {fraction:g} of all; {needed} can, --draws {needed}"
            )
    return said


def _wherever_tried(t: Threshold, fraction: float) -> bool | None:
    """Whether the claim held at every value that was tried, or failed at every one, undecided; else None."""
    if t.value is not None or t.throughout is not None or any(not s.draws for s in t.samples):
        return None
    held = {s.held >= fraction * s.draws for s in t.samples}
    return held.pop() if len(held) == 1 else None


def _needed(t: Threshold, fraction: float) -> str:
    if t.throughout is not None:
        return "holds throughout" if t.throughout else "fails throughout"
    if t.value is not None:
        return _number(t.value)
    held = _wherever_tried(t, fraction)
    if held is not None:
        return f"{'holds' if held else 'fails'} wherever tried"
    return "too seldom exercised" if any(s.draws for s in t.samples) else "-"


def _band(t: Threshold) -> str:
    """Between the last value that certainly fails and the first that certainly holds, as far as they are known."""
    if t.low is None and t.high is None:
        return "-" if t.value is None else "open"
    if t.low is None:
        return f"up to {_number(t.high)}"
    return f"from {_number(t.low)}" if t.high is None else f"{_number(t.low)} .. {_number(t.high)}"


def _prescribed(t: Threshold) -> str:
    if t.prescribed is None:
        return "-"
    if not t.spread or t.spread[1] <= 1.05 * t.spread[0]:
        return _number(t.prescribed)
    return f"{t.prescribed:.3g} ({t.spread[0]:.1g} .. {t.spread[1]:.1g})".replace("e+", "e")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}".replace("e+", "e")
