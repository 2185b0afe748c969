"""The table of verdicts that ends a test session."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEADINGS = (
    "claim",
    "quantifier",
    "verdict",
    "slack",
    "instances",
    "vacuous",
    "would have missed",
    "rests on",
    "seconds",
)


def format_slack(slack: float | None) -> str:
    """Slack with three digits; a dash where the quantifier has no bound."""
    if slack is None or math.isinf(slack):
        return "-"
    return f"{slack:.3g}"


def why_vacuous(record: Mapping[str, Any]) -> str:
    """Which assumption kept how many instances out: ``vacuous because of ASSUMPTION in 93%``; else empty."""
    unmet: Mapping[str, int] = record.get("unmet") or {}
    shares = [f"{name!r} in {100 * count / record['instances']:.0f}%" for name, count in unmet.items()]
    return f"vacuous because of {', '.join(shares)}" if shares else ""


def mostly_vacuous(record: Mapping[str, Any]) -> str:
    """The same where it keeps out half of the instances, or more."""
    return why_vacuous(record) if 2 * record["vacuous"] >= record["instances"] else ""


def render(rows: Sequence[Sequence[str]], headings: Sequence[str], *, width: int) -> list[str]:
    """Columns aligned to their contents; the first is cut so that a line fits into `width`."""
    cells = [list(headings), *map(list, rows)]
    sizes = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    room = max(60, width - sum(sizes[1:]) - 2 * (len(sizes) - 1))
    sizes[0] = min(sizes[0], room)
    lines = []
    for row in cells:
        first = row[0] if len(row[0]) <= sizes[0] else row[0][: sizes[0] - 1] + "…"
        rest = (cell.rjust(size) for cell, size in zip(row[1:], sizes[1:], strict=True))
        lines.append("  ".join([first.ljust(sizes[0]), *rest]).rstrip())
    return lines


def verdict_table(records: Iterable[Mapping[str, Any]], *, width: int = 120) -> list[str]:
    """Lines of the table, grouped by theorem, in the order of the records."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        grouped.setdefault(record["theorem"], []).append(record)
    lines: list[str] = []
    for theorem, group in grouped.items():
        rows = [
            (
                f"{'control: ' if r['kind'] == 'control' else ''}{r['claim']}",
                r["quantifier"].partition("(")[0].replace("_", " "),
                r["verdict"],
                format_slack(r["slack"]),
                str(r["instances"]),
                str(r["vacuous"]),
                r.get("missed", ""),
                re.split(r"[ ,]", r.get("level", "").removeprefix("exact "))[0],
                f"{r['seconds']:.1f}",
            )
            for r in group
        ]
        lines += [
            f"{theorem} ({group[0]['source']})",
            *(f"  {line}" for line in render(rows, HEADINGS, width=width - 2)),
            *(f"  {record['claim']!r} is {why}" for record in group if (why := mostly_vacuous(record))),
            "",
        ]
    return lines[:-1]
