"""What became of the mutants of every module: writes the end of `docs/mutants.md`.

    ntkverify mutants theorems --results mutants.jsonl
    ntkverify mutants theorems --results mutants.jsonl --survivors --seconds 2
    python scripts/mutant_table.py mutants.jsonl

The first two take long, go on where they were interrupted, and may be given one module after another. Records of a
module that has changed since are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ntkverify import load_theorem
from ntkverify.judging.mutation import CLOSED, mutants

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "mutants.md"
MARK = "<!-- what follows is written by scripts/mutant_table.py -->"
KINDS = ("constant", "bound", "exponent", "requirement")
#: of a plant the part that says what was done to the name before it
_CHANGE = re.compile(
    r" (\* \d+(?:/\d+)?)$| with (\w+\*\*\d+(?:/\d+)?)$|, (exponent [+-] \S+)$|, (requirement \d+ \* \S+)$"
)
_SLACK = re.compile(r"slack (\S+?)(?:[,;] ?| |$)")
_REACHED = re.compile(r"(\S+) of the bound reached in a search of (\d+) instances")
_THOROUGH = re.compile(r"thorough profile: [^;]*slack (\S+?)(?:[,;] ?| |$)")
#: of the evidence what the check itself saw
_CHECKED = re.compile(r"(.*?)(?:; ['\"].* in a search of .*|; thorough profile: .*)?", re.DOTALL)

Record = dict[str, Any]


def modules() -> list[str]:
    """Ids of all theorem modules."""
    return [f"{path.parent.name}/{path.stem}" for path in sorted((ROOT / "theorems").glob("*/*.py"))]


def totals(names: Iterable[str]) -> dict[str, int]:
    """How many mutants modules have."""
    return {name: sum(1 for _ in mutants(load_theorem(ROOT / "theorems" / f"{name}.py"))) for name in names}


def latest(lines: Iterable[str]) -> list[Record]:
    """The last record of each mutant; one of the search says more than one of the check."""
    found: dict[tuple[str, str], Record] = {}
    for line in lines:
        record = json.loads(line)
        key = record["theorem"], record["change"]
        if not (key in found and _is_searched(found[key]) and not _is_searched(record) and _alike(found[key], record)):
            found[key] = record
    return list(found.values())


def _is_searched(record: Record) -> bool:
    return bool(record["settings"]["survivors"])


def _alike(one: Record, other: Record) -> bool:
    return bool(one["settings"]["module"] == other["settings"]["module"])


def current(records: Iterable[Record]) -> list[Record]:
    """Those of modules as they are now."""
    now = {name: hashlib.sha256((ROOT / "theorems" / f"{name}.py").read_bytes()).hexdigest()[:16] for name in modules()}
    return [record for record in records if now.get(record["theorem"]) == record["settings"]["module"]]


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
    """Tables, one a module, of what was neither refuted nor weaker; changes of one constant or bound share a row."""
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        if record["status"] not in CLOSED:
            key = record["theorem"], record["mutant"], record["status"], record["claim"] or ""
            groups[key].append(record)
    rows: list[str] = []
    for (theorem, name, status, claim), found in sorted(groups.items()):
        if f"## {theorem}" not in rows:
            rows += ["", f"## {theorem}", "", "| constant or bound | changed | drawn | searched |", "|---|---|---|---|"]
        changed = ", ".join(_change(record["change"]) for record in found)
        cells = name, changed, _seen(status, claim, found), _searched(found)
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return rows[1:]


def _change(plant: str) -> str:
    match = _CHANGE.search(plant)
    return next(part for part in match.groups() if part) if match else plant


def _seen(status: str, claim: str, found: list[Record]) -> str:
    """What the check saw of the mutants of a row."""
    if status == "survived":
        slacks = sorted(float(match[1]) for record in found if (match := _SLACK.search(_checked(record))))
        return " to ".join(dict.fromkeys(f"{slack:.3g}" for slack in (*slacks[:1], *slacks[-1:]))) or "holds"
    if status in ("inconclusive", "not run"):
        return f"{status}: {_checked(found[0])}"
    return f"{status}{f': {claim}' if status in ('control lost', 'error') else ''}"


def _checked(record: Record) -> str:
    match = _CHECKED.fullmatch(record["evidence"])
    return match[1] if match else ""


def _searched(found: list[Record]) -> str:
    """How much of the bound searches reached, and by how many instances; or the slack in the thorough profile."""
    each = [match for record in found for match in _REACHED.findall(record["evidence"])]
    reached = [float(share) for share, _ in each]
    if each:
        return f"{max(reached):.3g} of {sum(int(count) for _, count in each)}"
    slacks = [float(match[1]) for record in found if (match := _THOROUGH.search(record["evidence"]))]
    return f"thorough: {min(slacks):.3g}" if slacks else ""


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
    lines += [
        "# Neither refuted nor weaker", "",
        "A number is the slack that the changed bound leaves on the instances drawn. Of a search stands the largest",
        "share of the changed bound that it reached, and the number of instances; above 1 the mutant is false. Where a",
        "search has nothing to say, it is the slack in the thorough profile.",
        "", *survivors(records),
    ]  # fmt: skip
    return "\n".join(lines)


def page(records: list[Record]) -> str:
    """The page with its end written anew."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
    return f"{above}\n\n{MARK}\n{section(records)}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="one file, or one of each who ran some modules")
    lines = [line for file in parser.parse_args().results for line in file.read_text().splitlines()]
    PAGE.write_text(page(current(latest(lines))), encoding="utf-8")
