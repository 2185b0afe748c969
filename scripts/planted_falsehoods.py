"""What the search finds of falsehoods that were planted on purpose, random sampling beside it.

    python scripts/planted_falsehoods.py --evaluations 2000 --seconds 60 --json planted.json
    python scripts/planted_falsehoods.py --again benchmarks/results/planted.json --json again.json
    python scripts/planted_falsehoods.py --tables planted.json

Of each theorem some claims are searched with ten times the budget and other seeds, by every engine and by random
sampling. On the true theorem that must find no violation; the best margin that it reaches says how sharp the claim is.
The variants:

tightened   the bound scaled so that the instance with the best margin exceeds it by 5, 10, 20 or 50%
halved      the bound halved time and again, the first three times that this instance exceeds it by 5% or more; that of
            a claim of probability, the first three times that drawn instances refute it
exponent    a symbol of the bound squared or its root taken
dropped     an assumption no longer asked for
control     the claims that the theorem itself lists as false

A variant counts as false by 5% when there is a witness: an instance that exceeds the bound by 5% or more, beyond
rounding. For a tightened one that is the instance of the long search, for the others a search with other seeds and
twice the budget finds it or not. The searches that are measured never see a witness, and have seeds of their own for
each variant: with the same ones for all, one search's luck would count many times. A claim of probability, whether
tightened or a control, counts as false where the statistical test of `pytest` refutes it. Everything is on record: the
same command resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from planted_tables import table, true_table
from tqdm import tqdm

from ntkverify import NtkVerifyError, glossary, load_theorem
from ntkverify.judging.case import Case
from ntkverify.judging.check import Check
from ntkverify.judging.falsehoods import planted, plants_of
from ntkverify.problems.records import RecordStore
from ntkverify.search.campaign.campaign import results, search_cell, space_of
from ntkverify.search.campaign.cells import Cell, cells_of
from ntkverify.search.campaign.store import Store
from ntkverify.search.climb.engines import DEFAULT_ENGINES
from ntkverify.search.evidence.settle import CLOSING
from ntkverify.search.evidence.violation import versions
from ntkverify.search.score import VACUOUS, score, searchable
from ntkverify.search.space.coordinates import GRID, Space
from ntkverify.theorem.files import is_theorem_module
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

#: options that are written with the figures
RECORDED = (
    "evaluations", "seconds", "long_seconds", "claims", "widely", "only", "certify", "max_width", "entropy", "again",
    "true",
)  # fmt: skip
GRADES = (0.05, 0.1, 0.2, 0.5)
LONGER = 10  # times the budget, on the true theorem
MOST_HALVINGS, KEPT = 40, 3  # halvings of a bound: tried, and kept if false
ALL = (*DEFAULT_ENGINES, "random")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("theorems", nargs="*", help="theorem modules; default: all below theorems/")
    parser.add_argument("--evaluations", type=int, default=2000, help="budget of each variant")
    parser.add_argument("--seconds", type=float, default=60, help="budget of each variant, whatever ends first")
    parser.add_argument("--long-seconds", type=float, help="budget of each true claim; default: ten times that")
    parser.add_argument("--claims", type=int, default=3, help="claims of each theorem that are made wrong")
    parser.add_argument("--only", metavar="TEXT", help="claims to be made wrong: those whose name contains TEXT")
    parser.add_argument("--widely", type=int, default=1, help="those that get wrong exponents and lose assumptions too")
    parser.add_argument("--certify", action="store_true", help="shrink and certify what is found, for minutes each")
    parser.add_argument("--max-width", type=int, default=2**15, help="wider instances are not run")
    parser.add_argument("--entropy", type=int, default=0, help="changes every draw")
    parser.add_argument("--store", default="planted.sqlite", help="record; the same command again resumes it")
    parser.add_argument("--json", metavar="FILE", help="also write all variants to FILE")
    parser.add_argument(
        "--again",
        nargs="+",
        metavar="FILE",
        help="put the search to the false variants that these --json files hold, each once, and to no others",
    )
    parser.add_argument(
        "--true", action="store_true", help="with --again: search the true claims of those files too, ten times as long"
    )
    parser.add_argument("--tables", nargs="+", metavar="FILE", help="search nothing, show what these --json files hold")
    options = parser.parse_args()
    if options.true and not options.again:
        parser.error("--true is for --again; a study of its own searches the true claims anyway")
    return options


class Study:
    """One theorem's variants under one budget."""

    def __init__(self, path: str, options: argparse.Namespace, store: Store) -> None:
        self.path, self.options, self.store = path, options, store
        self.long_seconds: float = options.long_seconds or LONGER * options.seconds
        self.theorem: Theorem = load_theorem(path)
        self.measured_names = set(self.theorem.quantities) - set(vars(glossary))

    def cells(self, claim: str, engines: Sequence[str], *, times: int = 1, other: int = 0, **wrong: Any) -> list[Cell]:
        """The cells of a search with `times` the budget; `other` seeds for what must be independent."""
        seconds = self.options.seconds if times == 1 else times * self.long_seconds / LONGER
        return cells_of(
            self.theorem,
            path=self.path,
            claims=[claim],
            engines=engines,
            evaluations=times * self.options.evaluations,
            seconds=seconds,
            entropy=2 * self.options.entropy + other,
            max_width=self.options.max_width,
            **wrong,
        )

    def finish(self, cell: Cell) -> dict[str, Any]:
        """Search a cell, or wait until another process has; its row of the record."""
        while not search_cell(self.theorem, cell, self.store, path=self.path):
            time.sleep(0.3)
        ((_, row),) = results(self.store, [cell])
        return row

    def ranked(self, wanted: Callable[[Claim], bool]) -> list[Claim]:
        """The claims with a bound that a search can be put to, the cheapest first."""
        ranked = []
        for claim in self.theorem.claims.values():
            if claim.kind == "control" or claim.bound in (None, 0) or not wanted(claim):
                continue
            if claim.bound.free_symbols and {str(s) for s in claim.bound.free_symbols} <= self.measured_names:
                continue  # a bound that is nothing but a measured number has no constant to be made wrong
            if self.options.only and self.options.only not in claim.name:
                continue
            works = [self.work(claim, family.name) for family in self.theorem.families_of(claim)]
            if all(works):
                # a bound that most instances reach is no test of a search
                ranked.append((claim.attained, max(works), claim.name, claim))
        ranked.sort(key=lambda entry: entry[:3])
        return [entry[-1] for entry in ranked]

    def claims(self) -> list[Claim]:
        """The claims of all instances to be made wrong: the cheapest, a conclusion among them where there is one."""
        # a comparison of constants, alike on every instance, is no test of a search
        ranked = self.ranked(lambda claim: claim.quantifier.is_decided_by_one_run)
        found = [claim for claim in ranked if self.varies(claim)]
        chosen = found[: self.options.claims]
        first = next((claim for claim in found if claim.kind == "conclusion"), None)
        if first is not None and first not in chosen:
            chosen[-1] = first
        return chosen

    def work(self, claim: Claim, family: str) -> tuple[bool, float] | None:
        """Whether there is nothing to vary, and neurons times steps times data; None where nothing is run."""
        drawn = self.drawn(family)
        sizes = [max(i.width, 1) * (i.steps + 1) * (1 + sum(np.size(v) for v in i.data.values())) for i in drawn]
        return (all(i == drawn[0] for i in drawn), float(np.median(sizes))) if sizes else None

    def drawn(self, family: str) -> list[Instance]:
        """A few instances of a family that are not too wide."""
        space = Space(self.theorem.families[family], self.theorem.id)
        rng = np.random.default_rng(0)
        found = [space.instance(rng.integers(0, GRID, space.dimension).tolist()) for _ in range(8)]
        return [i for i in found if i is not None and i.width <= self.options.max_width]

    def varies(self, claim: Claim) -> bool:
        """Whether instances differ in their margin."""
        margins = {
            score(Case(self.theorem, claim, family), instance).margin
            for family in self.theorem.families_of(claim)
            for instance in self.drawn(family.name)
        }
        return len(margins - {VACUOUS}) > 1

    def variants(self) -> Iterator[dict[str, Any]]:
        """Every variant with what is known of its falsehood."""
        for rank, claim in enumerate(self.claims()):
            yield from self.tightened(claim)
            if rank < self.options.widely:
                for plant in plants_of(claim)[1:]:
                    yield self.witnessed("exponent", claim.name, plants=[plant])
                for assumption in self.theorem.assumptions_of(claim):
                    yield self.witnessed("dropped", claim.name, relax=[assumption.name])
        probable = self.ranked(lambda claim: claim.quantifier.is_decided_by_redrawing)
        for claim in sorted(probable, key=lambda claim: claim.kind != "conclusion")[:1]:
            yield from self.halved(claim)
        for claim in self.theorem.claims.values():
            if claim.kind == "control" and searchable(claim):
                if not all(self.work(claim, family.name) for family in self.theorem.families_of(claim)):
                    continue
                if claim.quantifier.is_decided_by_redrawing:
                    yield {"kind": "control", "claim": claim.name, "false by": None, "false": True}
                else:
                    yield self.witnessed("control", claim.name)

    def known(self) -> Iterator[dict[str, Any]]:
        """The false variants of earlier studies; with `--true`, their true claims searched for long, after those."""
        rows = known_rows(self.options.again, self.path, self.theorem.claims)
        rows = [row for row in rows if not self.options.only or self.options.only in row["claim"]]
        yield from (row for row in rows if row["kind"] != "true")
        for row in rows:
            if row["kind"] == "true" and self.options.true:
                yield self.true(self.theorem.claims[row["claim"]], DEFAULT_ENGINES)[0]

    def true(self, claim: Claim, engines: Sequence[str] = ALL) -> tuple[dict[str, Any], Cell | None, tuple[int, ...]]:
        """The true claim searched for long: its row, and the cell and the vector of the best margin."""
        best, vector, count, found = -np.inf, (), 0, []
        home = None
        for cell in self.cells(claim.name, engines, times=LONGER, other=1):
            row = self.finish(cell)
            count += row["evaluations"]
            found += [status for status, _ in row["violations"]]
            for key, one in self.store.evaluations(row["cell"]).items():
                if not one.vacuous and one.margin > best:
                    best, vector, home = one.margin, key, cell
        row = {
            "kind": "true", "claim": claim.name, "best margin": float(best), "evaluations": count, "statuses": found,
        }  # fmt: skip
        return row, home, vector

    def tightened(self, claim: Claim) -> Iterator[dict[str, Any]]:
        """The true claim, and the variants that its best instance violates by a given share."""
        row, home, vector = self.true(claim)
        yield row
        best = row["best margin"]
        if home is None or abs(best) >= 1:
            return  # never exercised, or measured zero
        witness = space_of(self.theorem, home).instance(vector)
        assert witness is not None
        for grade in GRADES:
            # measured / bound is 1 + best, or 1 - best for a lower bound
            factor = (1 - best) / (1 - grade) if claim.from_below else (1 + best) / (1 + grade)
            plant = f"{claim.name} * {Fraction(f'{factor:.6g}')}"
            yield self.shown(f"tightened {grade:.0%}", claim, plant, home, witness, grade)
        found = 0
        for power in range(1, MOST_HALVINGS + 1):
            plant = f"{claim.name} * {2**power}" if claim.from_below else f"{claim.name} * 1/{2**power}"
            row = self.shown(f"halved, number {found + 1}", claim, plant, home, witness, GRADES[0])
            if row["false"]:
                yield row
                found += 1
            if found == KEPT:
                return

    def shown(self, kind: str, claim: Claim, plant: str, home: Cell, witness: Instance, grade: float) -> dict[str, Any]:
        """A tightened variant; false if the witness exceeds its bound by the share `grade`."""
        with planted(self.theorem, [plant]):
            seen = score(home.case(self.theorem), witness)
        return {
            "kind": kind, "claim": claim.name, "plants": [plant], "false by": seen.margin,
            "false": seen.failed and seen.margin >= 0.99 * grade,
        }  # fmt: skip

    def halved(self, claim: Claim) -> Iterator[dict[str, Any]]:
        """The true claim of probability, and the halvings of its bound that drawn instances refute."""
        row, _, _ = self.true(claim)
        yield row
        with tempfile.TemporaryDirectory() as folder:
            records = RecordStore(Path(folder))  # halving a bound trains nothing anew
            kept = 0
            for power in range(1, MOST_HALVINGS + 1):
                plant = f"{claim.name} * {2**power}" if claim.from_below else f"{claim.name} * 1/{2**power}"
                with planted(self.theorem, [plant]):
                    check = Check(self.theorem, entropy=2 * self.options.entropy + 1, store=records)
                    verdict = check.verdict(self.theorem.claims[claim.name])
                if verdict.status != "violated":
                    continue
                yield {
                    "kind": "tightened, probability", "claim": claim.name, "plants": [plant], "false by": None,
                    "false": True, "evidence": verdict.evidence,
                }  # fmt: skip
                kept += 1
                if kept == KEPT:
                    return

    def witnessed(self, kind: str, claim: str, **wrong: Any) -> dict[str, Any]:
        """A variant with the best margin that other seeds and twice the budget reach, until 5%."""
        best = -np.inf
        for cell in self.cells(claim, ALL, times=2, other=1, goal=GRADES[0], **wrong):
            self.finish(cell)
            name = self.store.open_cell(cell.settings())
            best = max([best, *(s.margin for s in self.store.evaluations(name).values() if s.failed)])
            if best >= GRADES[0]:
                break
        return {
            "kind": kind, "claim": claim, **wrong, "false by": None if np.isinf(best) else best,
            "false": bool(best >= GRADES[0]),
        }  # fmt: skip

    def measured(self, variant: dict[str, Any]) -> dict[str, Any]:
        """What the search and random sampling find of a false variant."""
        wrong = {key: variant[key] for key in ("plants", "relax") if key in variant}
        random = self.theorem.claims[variant["claim"]].quantifier.is_decided_by_redrawing
        if not random and not self.options.certify:
            wrong["goal"] = 0.0  # the first instance that exceeds the bound beyond rounding
        name = json.dumps([variant.get("plants"), variant.get("relax")])
        own = 2 * zlib.crc32(name.encode())  # even; the searches for witnesses are odd
        for label, engines in (("search", DEFAULT_ENGINES), ("random", ("random",))):
            count, found = 0, []
            for cell in self.cells(variant["claim"], engines, other=own, **wrong):
                row = self.finish(cell)
                count += row["evaluations"]
                found = [status for status, _ in row["violations"] if status in CLOSING]
                if "goal" in wrong:
                    known = self.store.evaluations(row["cell"]).values()
                    found = ["exceeded" for one in known if one.failed and one.margin >= 0]
                if found:
                    break
            variant[label] = found[0] if found else None
            variant[f"{label} evaluations"] = count
        return variant


def known_rows(files: Sequence[str], path: str, claims: Collection[str]) -> list[dict[str, Any]]:
    """The false variants and true claims of one theorem that earlier studies have written, without what they found.

    Two searches can be compared on these variants only: a bound that is tightened moves with the search that it was
    made by. Each stands here once; those of claims that the theorem no longer has are left out, and said so. That a
    variant is false is taken over from the study that had a witness: a bound that has changed since under the same
    name needs a study of its own.
    """
    measured = ("theorem", "search", "search evaluations", "random", "random evaluations")
    known: dict[str, dict[str, Any]] = {}
    for file in files:
        try:
            for row in json.loads(Path(file).read_text(encoding="utf-8"))["variants"]:
                if row["theorem"] == Path(path).stem and (row.get("false") or row["kind"] == "true"):
                    name = json.dumps([row["claim"], row["kind"] == "true", row.get("plants"), row.get("relax")])
                    known.setdefault(name, {key: value for key, value in row.items() if key not in measured})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NtkVerifyError(
                f"--again {file} holds no variants ({error!r}); give a file that --json has written"
            ) from None
    gone = [row for row in known.values() if row["claim"] not in claims]
    if gone:
        print(f"{path}: left out, being of claims that it no longer has: {len(gone)} rows", file=sys.stderr)
    return [row for row in known.values() if row["claim"] in claims]


def collect(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All variants of all theorems, written as they are known."""
    found = Path(__file__).parents[1].glob("theorems/**/*.py")
    rows: list[dict[str, Any]] = []
    settings = {key: getattr(options, key) for key in RECORDED}
    with Store(options.store) as store, tqdm(unit="variant") as bar:
        for path in options.theorems or sorted(str(p) for p in found if is_theorem_module(p)):
            study = Study(path, options, store)
            bar.set_postfix_str(Path(path).stem)
            for variant in study.known() if options.again else study.variants():
                rows.append({"theorem": Path(path).stem, **variant})
                if variant.get("false"):
                    study.measured(rows[-1])
                bar.update()
                if options.json:
                    record = {"settings": settings, "versions": versions(), "variants": rows}
                    Path(options.json).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if not rows:
        source = f"of {', '.join(options.again)} " if options.again else ""
        named = f" whose name contains {options.only!r}" if options.only else ""
        raise NtkVerifyError(
            f"nothing to search: the theorems have no claim {source}with a bound{named}; name other theorems or claims"
        )
    return rows


def main() -> None:
    options = arguments()
    if options.tables:
        rows = [row for file in options.tables for row in json.loads(Path(file).read_text("utf-8"))["variants"]]
    else:
        rows = collect(options)
    print("\n".join([*true_table(rows), "", *table(rows, "theorem"), "", *table(rows, "kind")]))


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        print(f"planted_falsehoods: {error}", file=sys.stderr)
        sys.exit(2)
