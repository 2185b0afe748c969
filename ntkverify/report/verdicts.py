"""Verdicts as a command shows them: a table that fits, and a sentence for each that fails."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ntkverify.report import console
from ntkverify.report.files.schema import GOOD, counts
from ntkverify.report.table import format_slack, mostly_vacuous, verdict_table


def show_verdicts(
    records: Sequence[Mapping[str, Any]], *, full: bool = False, allow_inconclusive: bool = False
) -> None:
    """Print verdicts by theorem, then what failed and why, then how many there are of each word.

    Parameters
    ----------
    records : sequence of mapping
        `ntkverify.judging.verdict.Verdict.record` of each claim.
    full : bool
        All columns and whole names, instances as JSON.
    allow_inconclusive : bool
        Whether an inconclusive claim is no failure.
    """
    if full:
        widest = max((len(r["claim"]) for r in records), default=0) + 200
        print("\n".join(verdict_table(records, width=widest)))
    else:
        _short(records)
    for record in records:
        if record["verdict"] not in GOOD:
            _explain(record, full=full)
    if records:
        print("\n" + ", ".join(f"{count} {word}" for word, count in counts(records).items()))


def _short(records: Sequence[Mapping[str, Any]]) -> None:
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        grouped.setdefault(record["theorem"], []).append(record)
    for number, (theorem, group) in enumerate(grouped.items()):
        print(("\n" if number else "") + theorem)
        rows = [
            (
                f"{'control: ' if r['kind'] == 'control' else ''}{r['claim']}",
                r["verdict"],
                format_slack(r["slack"]),
                str(r["instances"] - r["vacuous"]),
            )
            for r in group
        ]
        console.show(rows, ("claim", "verdict", "slack", "exercised"), indent=2)
        for record in group:
            if why := mostly_vacuous(record):
                said = f"{record['claim']!r} is {why}"
                print(textwrap.fill(said, console.width(), initial_indent="  ", subsequent_indent="    "))


def _explain(record: Mapping[str, Any], *, full: bool) -> None:
    columns = 10_000 if full else console.width()
    print(f"\n{record['verdict']}: {record['kind']} {record['claim']!r}")
    for sentence in (record["evidence"], record.get("remedy", "")):
        if sentence:
            print(textwrap.fill(sentence, columns, initial_indent="  ", subsequent_indent="  "))
    if record["witness"]:
        from ntkverify.report.campaign import describe

        instance = record["witness"] if full else describe(json.loads(record["witness"])) + " (--full shows it)"
        print(f"  instance: {instance}")
