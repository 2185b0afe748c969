"""Tables of slack, and of the widths that lemmas need."""

from __future__ import annotations

from collections.abc import Iterable

from ntkverify.judging.slack import SlackRow, Threshold
from ntkverify.report.console import fitted


def slack_table(rows: Iterable[SlackRow], *, width: int | None = 120) -> list[str]:
    """Lines of the slack profile."""
    cells = [(row.claim, f"{row.measured:.3e}", f"{row.bound:.3e}", f"{row.slack:.3g}") for row in rows]
    return fitted(cells, ("lemma", "measured", "bound", "slack"), columns=width)


def threshold_table(
    thresholds: Iterable[Threshold], *, prescribed: int, largest: int, width: int | None = 120
) -> list[str]:
    """Lines of the table of needed against prescribed widths."""
    cells = []
    for row in sorted(thresholds, key=lambda t: t.width or largest + 1):
        needed = f"> {largest:.2e}" if row.width is None else f"{row.width:.2e}"
        ratio = f"< {prescribed / largest:.2g}" if row.width is None else f"{prescribed / row.width:.2g}"
        cells.append((row.claim, needed, ratio))
    return fitted(cells, ("lemma", "needed width", "prescribed / needed"), columns=width)
