"""What became of the mutants of every module: writes the end of `docs/mutants.md`.

    ntkverify mutants theorems --results mutants.jsonl
    python scripts/mutant_table.py mutants.jsonl

The first takes long, goes on where it was interrupted, and may be given one module after another.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ntkverify import load_theorem
from ntkverify.judging.mutation import mutants

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "mutants.md"
MARK = "<!-- what follows is written by scripts/mutant_table.py -->"
KINDS = ("constant", "bound", "exponent", "requirement")
#: what needs no reason: refuted, or implied by the theorem
CLOSED = ("refuted", "weaker")
#: of a plant the part that says what was done to the name before it
_CHANGE = re.compile(
    r" (\* \d+(?:/\d+)?)$| with (\w+\*\*\d+(?:/\d+)?)$|, (exponent [+-] \S+)$|, (requirement \d+ \* \S+)$"
)
_SLACK = re.compile(r"slack (\S+?)(?:,| |$)")

Record = dict[str, Any]


def modules() -> list[str]:
    """Ids of all theorem modules."""
    return [f"{path.parent.name}/{path.stem}" for path in sorted((ROOT / "theorems").glob("*/*.py"))]


def totals(names: Iterable[str]) -> dict[str, int]:
    """How many mutants modules have."""
    return {name: sum(1 for _ in mutants(load_theorem(ROOT / "theorems" / f"{name}.py"))) for name in names}


def latest(lines: Iterable[str]) -> list[Record]:
    """The last record of each mutant."""
    found: dict[tuple[str, str], Record] = {}
    for line in lines:
        record = json.loads(line)
        found[record["theorem"], record["change"]] = record
    return list(found.values())


def counts(records: Iterable[Record], of: dict[str, int]) -> list[str]:
    """A table: for each module and kind how many were refuted, how many are weaker, and how many are neither.

    A module of whose mutants some are missing says so.
    """
    cells: dict[str, dict[str, list[int]]] = defaultdict(lambda: {kind: [0, 0, 0] for kind in KINDS})
    for record in records:
        status = record["status"]
        cells[record["theorem"]][record["kind"]][CLOSED.index(status) if status in CLOSED else 2] += 1
    rows = [f"| module | {' | '.join(f'{kind}s' for kind in KINDS)} |", f"|---|{'---|' * len(KINDS)}"]
    for theorem in sorted(cells):
        shown = [", ".join(map(str, cells[theorem][kind])) if sum(cells[theorem][kind]) else "" for kind in KINDS]
        run = sum(sum(cell) for cell in cells[theorem].values())
        part = "" if run == of[theorem] else f" ({run} of {of[theorem]})"
        rows.append(f"| `{theorem}`{part} | {' | '.join(shown)} |")
    total = [sum(cell[kind][i] for cell in cells.values() for kind in KINDS) for i in range(3)]
    rows += ["", f"All together {total[0]} refuted, {total[1]} weaker, {total[2]} neither."]
    return rows


def survivors(records: Iterable[Record]) -> list[str]:
    """A table of what was neither refuted nor weaker, the changes of one constant or bound in a row."""
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        if record["status"] not in CLOSED:
            key = record["theorem"], record["mutant"], record["status"], record["claim"] or ""
            groups[key].append(record)
    rows = ["| module | constant or bound | changed | what was seen |", "|---|---|---|---|"]
    for (theorem, name, status, claim), found in sorted(groups.items()):
        changed = ", ".join(_change(record["change"]) for record in found)
        rows.append(f"| `{theorem}` | {_cell(name)} | {_cell(changed)} | {_cell(_seen(status, claim, found))} |")
    return rows


def _change(plant: str) -> str:
    match = _CHANGE.search(plant)
    return next(part for part in match.groups() if part) if match else plant


def _seen(status: str, claim: str, found: list[Record]) -> str:
    if len(found) == 1 or status != "survived":
        said = found[0]["evidence"]
        return said if status == "survived" else f"{status}{f', {claim!r}' if claim else ''}: {said}"
    slacks = sorted(float(match[1]) for record in found if (match := _SLACK.search(record["evidence"])))
    return "still true" + (f" with slack {slacks[0]:.3g} to {slacks[-1]:.3g}" if slacks else "")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def section(records: list[Record]) -> str:
    """The end of the page."""
    reached = {record["theorem"] for record in records}
    missing = [f"`{name}`" for name in modules() if name not in reached]
    profiles = sorted({record["settings"]["profile"] for record in records})
    lines = [
        "", "# Counts", "",
        f"Profile {' and '.join(profiles)}. In each cell: refuted, weaker, neither. Behind a module whose run was cut",
        "off stands how many of its mutants it reached.", "", *counts(records, totals(reached)), "",
    ]  # fmt: skip
    if missing:
        lines += [f"Not run, or without mutants: {', '.join(missing)}.", ""]
    return "\n".join([*lines, "# Neither refuted nor weaker", "", *survivors(records)])


def page(records: list[Record]) -> str:
    """The page with its end written anew."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
    return f"{above}\n\n{MARK}\n{section(records)}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    PAGE.write_text(page(latest(parser.parse_args().results.read_text().splitlines())), encoding="utf-8")
