"""Frontiers and tables of necessity that searches left as JSON, for a page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.report.frontiers import headings, notes, table_rows
from ntkverify.search.frontier.bisection import Sample, Threshold


@dataclass(frozen=True)
class Table:
    """A table that a search has made.

    Parameters
    ----------
    theorem : str
        Of which theorem.
    title : str
        What was asked.
    headings, rows
        The cells.
    notes : tuple of str
        Sentences below it.
    command : str
        What makes it again.
    """

    theorem: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    command: str


def read_searched(paths: Sequence[str]) -> list[Table]:
    """Tables in files of ``frontier`` (those that it writes, or ``--json``) and of ``necessity --json``.

    Raises
    ------
    NtkVerifyError
        If a file can't be read or holds something else.
    """
    found: list[Table] = []
    for path in paths:
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NtkVerifyError(f"--with {path} can't be read ({error}); name what `frontier` wrote.") from None
        rows = content if isinstance(content, list) else [content]
        try:
            found += [_frontier(row) for row in rows if "curve" in row]
            found += _necessity([row for row in rows if "without it" in row])
        except (KeyError, TypeError, AttributeError) as error:
            raise NtkVerifyError(f"--with {path}: {error!r} is missing or odd; name what `frontier` wrote.") from None
        if not any("curve" in row or "without it" in row for row in rows):
            raise NtkVerifyError(
                f"--with {path} holds neither a frontier nor a table of necessity; name what `frontier` wrote or "
                "`necessity --json` printed."
            )
    return found


def _frontier(row: Mapping[str, Any]) -> Table:
    names = {field.name for field in fields(Threshold)}
    curve = []
    for point in row["curve"]:
        kept = {name: value for name, value in point.items() if name in names}
        curve.append(Threshold(**{**kept, "samples": tuple(Sample(**sample) for sample in point["samples"])}))
    over, against, fraction = row["over"], row["against"], row["fraction"]
    words = ["ntkverify", "frontier", row["theorem"], "--claim", row["claim"], "--over", over, "--against", against]
    for name in ("fraction", "draws", "low", "high", "steps", "entropy"):
        words += [f"--{name}", str(row[name])] if row.get(name) is not None else []
    words += ["--values", ",".join(f"{value:g}" for value in row["values"])] if row.get("values") else []
    words += ["--family", row["family"]] if "data" not in row else ["--data", str(row["data"])]
    return Table(
        row["theorem"],
        f"from which {over} on it holds in {fraction:g} of the draws: {row['claim']}",
        headings(over, against),
        tuple(table_rows(curve, fraction=fraction)),
        tuple(notes(curve, over=over, against=against, fraction=fraction)),
        shlex.join(words),
    )


def _necessity(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    return [
        Table(
            theorem,
            "which assumptions are needed: each left out in turn",
            ("assumption", "without it", "claim", "instance, made small", "exercised"),
            tuple(
                (r["assumption"], r["without it"], r["claim"], r["instance"], f"{r['exercised']} of {r['evaluations']}")
                for r in rows
                if r["theorem"] == theorem
            ),
            (),
            shlex.join(["ntkverify", "necessity", theorem]),
        )
        for theorem in dict.fromkeys(row["theorem"] for row in rows)
    ]
