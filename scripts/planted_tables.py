"""The tables of `planted_falsehoods.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ntkverify.report.table import render
from ntkverify.search.evidence.settle import CLOSING


def _share(rows: Sequence[dict[str, Any]], label: str) -> str:
    return f"{sum(row[label] is not None for row in rows)} of {len(rows)}"


def table(rows: Sequence[dict[str, Any]], key: str) -> list[str]:
    """False variants grouped by theorem or by kind: how many each of the two found."""
    lines = []
    groups = dict.fromkeys(row[key] for row in rows if row.get("false"))
    if not groups:
        return ["no variant is false"]
    for name in (*groups, "all"):
        group = [row for row in rows if row.get("false") and name in (row[key], "all")]
        work = [f"{np.median([row[f'{label} evaluations'] for row in group]):g}" for label in ("search", "random")]
        lines.append((name, _share(group, "search"), work[0], _share(group, "random"), work[1]))
    headings = (key, "search finds", "median evaluations", "random finds", "median evaluations")
    return render(lines, headings, width=120)


def true_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The true claims under ten times the budget."""
    lines = [
        (row["theorem"], row["claim"], f"{row['best margin']:+.3g}", str(row["evaluations"]),
         ", ".join(s for s in row["statuses"] if s in CLOSING) or "nothing")
        for row in rows if row["kind"] == "true"
    ]  # fmt: skip
    return render(lines, ("theorem", "true claim", "best margin", "evaluations", "found"), width=150)
