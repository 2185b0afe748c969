"""Search all theorems for violations under one budget, and measure what the search finds of planted falsehoods.

    python scripts/find_violations.py --minutes 20
    python scripts/find_violations.py --planted --evaluations 2000 --seconds 60

With ``--planted`` every claim with a bound is made wrong in turn - its bound tightened, a wrong exponent, an assumption
dropped - and the search and random draws get the same budget. Which variants are false by 5% or more is not known
beforehand: one counts as such when either of them saw a margin of at least 0.05, beyond rounding. For a claim of
probability a margin says nothing about how often it fails; there a variant counts when fresh seeds confirmed either.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sympy
from tqdm import tqdm

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.pytest_plugin import is_theorem_module
from ntkverify.quantifiers import WithProbability
from ntkverify.report.table import render
from ntkverify.search import workers
from ntkverify.search.campaign import cells_of, results, search_cell
from ntkverify.search.commands import tabulate, with_minutes
from ntkverify.search.engines import DEFAULT_ENGINES
from ntkverify.search.margin import searchable
from ntkverify.search.planted import plants_of
from ntkverify.search.settle import FOUND
from ntkverify.search.store import Store
from ntkverify.theorem import Theorem

FALSE_BY = 0.05  #: margin from which on a variant counts as clearly false


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("theorems", nargs="*", help="theorem modules; default: all below theorems/")
    parser.add_argument("--evaluations", type=int, default=2000, help="budget of each claim, or of each variant")
    parser.add_argument("--minutes", type=float, help="budget of the whole search")
    parser.add_argument("--seconds", type=float, default=60, help="budget of each variant and engine, with --planted")
    parser.add_argument("--planted", action="store_true", help="measure the search on planted falsehoods")
    parser.add_argument("--only", metavar="TEXT", help="claims whose name contains TEXT")
    parser.add_argument("--max-width", type=int, default=2**17, help="wider instances are not run")
    parser.add_argument("--factor", default="2/3", help="by which bounds are tightened, with --planted")
    parser.add_argument("--processes", type=int, default=1, help="processes that share the search")
    parser.add_argument("--entropy", type=int, default=0, help="changes every draw")
    parser.add_argument("--store", default="violations.sqlite", help="record; the same command again resumes it")
    parser.add_argument("--out", default="violations", help="folder for violations")
    parser.add_argument("--json", metavar="FILE", help="also write the table of planted falsehoods to FILE")
    return parser.parse_args()


def variants(theorem: Theorem, factor: sympy.Rational, only: str | None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, claim, options of the campaign) of every wrong variant."""
    for claim in theorem.claims.values():
        if claim.kind == "control" or not searchable(claim) or (only and only not in claim.name):
            continue
        for plant in plants_of(claim, factor=factor):
            yield ("exponent" if " with " in plant else "tightened"), claim.name, {"plants": [plant]}
        for assumption in theorem.assumptions_of(claim):
            yield "dropped", claim.name, {"relax": [assumption.name]}


def planted(options: argparse.Namespace, theorems: dict[str, Theorem]) -> None:
    """The table of planted falsehoods, random draws beside the default engines."""
    rows = []
    everything = [
        (path, theorem, *variant)
        for path, theorem in theorems.items()
        for variant in variants(theorem, sympy.Rational(options.factor), options.only)
    ]
    with Store(options.store) as store:
        for path, theorem, kind, claim, wrong in tqdm(everything, unit="variant", leave=False):
            random = isinstance(theorem.claims[claim].quantifier, WithProbability)
            row: dict[str, Any] = {"theorem": theorem.id, "claim": claim, "kind": kind, "random claim": random, **wrong}
            for label, engines in (("search", DEFAULT_ENGINES), ("random", ("random",))):
                cells = cells_of(
                    theorem, path=path, claims=[claim], engines=engines, evaluations=options.evaluations,
                    seconds=options.seconds, entropy=options.entropy, max_width=options.max_width, **wrong,
                )  # fmt: skip
                for cell in cells:
                    search_cell(theorem, cell, store, path=path)
                found = [r for _, r in results(store, cells)]
                row[label] = any(status in FOUND for r in found for status, _ in r["violations"])
                row[f"{label} margin"] = max(
                    (r["best_margin"] for r in found if r["best_margin"] is not None), default=None
                )
                row[f"{label} evaluations"] = sum(r["evaluations"] for r in found)
            rows.append(row)
            if options.json:
                Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("\n".join(render([_cells(row) for row in rows], HEADINGS, width=170)))
    false = [row for row in rows if _clearly_false(row)]
    print(f"\n{len(rows)} variants, {len(false)} of them false by {FALSE_BY:.0%} or more")
    for label in ("search", "random"):
        hits = sum(row[label] for row in false)
        print(f"{label}: {hits} of {len(false)} found")


HEADINGS = ("claim", "variant", "search", "margin", "evaluations", "random", "margin", "evaluations")


def _margin(row: dict[str, Any], label: str) -> float:
    margin = row[f"{label} margin"]
    return -1.0 if margin is None else float(margin)


def _clearly_false(row: dict[str, Any]) -> bool:
    if row["random claim"]:
        return bool(row["search"] or row["random"])
    return max(_margin(row, "search"), _margin(row, "random")) >= FALSE_BY


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    what = "; ".join(row.get("plants", row.get("relax", [])))
    what = what.removeprefix(row["claim"]).strip() if "plants" in row else f"without {what}"
    cells = [row["claim"], what]
    for label in ("search", "random"):
        cells += ["found" if row[label] else "-", f"{_margin(row, label):+.3g}", str(row[f"{label} evaluations"])]
    return tuple(cells)


def main() -> None:
    options = arguments()
    found = Path(__file__).parents[1].glob("theorems/**/*.py")
    paths = options.theorems or sorted(str(p) for p in found if is_theorem_module(p))
    theorems = {path: load_theorem(path) for path in paths}
    if options.planted:
        planted(options, theorems)
        return
    cells = [
        (path, replace(cell, max_width=options.max_width))
        for path, theorem in theorems.items()
        for cell in cells_of(theorem, path=path, evaluations=options.evaluations, entropy=options.entropy)
        if not options.only or options.only in cell.claim
    ]
    cells = with_minutes(cells, options.minutes)
    with Store(options.store) as store:
        workers.run(theorems, cells, store, processes=options.processes)
        rows, files = tabulate(store, [cell for _, cell in cells], Path(options.out))
    print("\n".join(render(rows, ("claim", "verdict", "best margin", "evaluations", "vacuous", "seconds"), width=130)))
    for file in files:
        print(f"written: {file}")
    sys.exit(1 if files else 0)


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        print(f"find_violations: {error}", file=sys.stderr)
        sys.exit(2)
