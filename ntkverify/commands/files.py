"""What the command line runs: budgets to cells, cells to tables and files."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.falsehoods import planted
from ntkverify.report.campaign import describe, summarise, without_assumption
from ntkverify.report.table import render
from ntkverify.search.campaign import workers
from ntkverify.search.campaign.cells import Cell, cells_of
from ntkverify.search.campaign.export import write_csv, write_parquet
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.climb.engines import DEFAULT_ENGINES
from ntkverify.search.evidence.certify import certify as certify_instance
from ntkverify.search.evidence.fresh_seeds import combined_log_e, confirm
from ntkverify.search.evidence.replay import replay as replay_violation
from ntkverify.search.evidence.settle import ALPHA, VIOLATED
from ntkverify.search.evidence.violation import Violation, digest
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.quantifiers import WithProbability
from ntkverify.theorem.theorem import Theorem


def search(options: argparse.Namespace) -> int:
    """``ntkverify search``."""
    cells: list[tuple[str, Cell]] = []
    theorems = {path: load_theorem(path) for path in options.theorems}
    for path, theorem in theorems.items():
        names = [c for c in options.claim if c in theorem.claims] if len(theorems) > 1 else options.claim
        if options.claim and not names:
            continue
        with planted(theorem, options.plant):  # a plant that can't be read is refused before anything runs
            found = cells_of(
                theorem,
                path=path,
                claims=names,
                regimes=options.regime,
                relax=options.relax,
                plants=options.plant,
                engines=options.engine or DEFAULT_ENGINES,
                evaluations=options.evaluations,
                entropy=options.entropy,
                max_width=options.max_width,
            )
        cells += [(path, cell) for cell in found]
    cells = with_minutes(cells, options.minutes)
    if not cells:
        raise NtkVerifyError("there is nothing to search: no claim matches what was asked for.")
    with Store(options.store) as store:
        workers.run(theorems, cells, store, processes=options.processes)
        summary = summarise(store, [cell for _, cell in cells], Path(options.out))
    summary.show()
    return 1 if summary.violated else 0


def with_minutes(cells: list[tuple[str, Cell]], minutes: float | None) -> list[tuple[str, Cell]]:
    """Give each claim (with what is dropped for it) an even share of the minutes, split as its evaluations are."""
    if minutes is None:
        return cells
    if not minutes > 0:
        raise NtkVerifyError("--minutes must be positive.")
    claims = Counter[tuple[str, str, tuple[str, ...]]]()
    for path, cell in cells:
        claims[path, cell.claim, cell.relax] += cell.evaluations
    whole = 60 * minutes / max(len(claims), 1)
    return [
        (path, replace(cell, seconds=whole * cell.evaluations / claims[path, cell.claim, cell.relax]))
        for path, cell in cells
    ]


def necessity(options: argparse.Namespace) -> int:
    """``ntkverify necessity``."""
    theorem = load_theorem(options.theorem)
    names = options.assumption or list(theorem.assumptions)
    cells: list[tuple[str, Cell]] = []
    for name in names:
        found = cells_of(
            theorem,
            path=options.theorem,
            claims=options.claim,
            relax=[name],
            evaluations=options.evaluations,
            entropy=options.entropy,
            max_width=options.max_width,
        )
        cells += [(options.theorem, cell) for cell in found]
    cells = with_minutes(cells, options.minutes)
    with Store(options.store) as store:

        def answered(cell: Cell) -> bool:
            """Whether a claim is violated without what the cell drops: one is enough to need it."""
            alike = (cell_id(other.settings()) for _, other in cells if other.relax == cell.relax and other != cell)
            return any(status in VIOLATED for name in alike for status, _ in store.findings(name).values())

        workers.run({options.theorem: theorem}, cells, store, answered=answered)
        rows, files = [], []
        for name in names:
            chosen = [cell for _, cell in cells if cell.relax == (name,)]
            line, written = without_assumption(store, name, chosen, Path(options.out))
            rows.append(line)
            files += written
    headings = ("assumption", "without it", "claim", "instance, made small", "exercised")
    print("\n".join(render(rows, headings, width=160)))
    for file in files:
        print(f"written: {file}")
    return 0


def _theorem_of(violation: Violation, module: str | None) -> Theorem:
    path = module or violation.path
    theorem = load_theorem(path)
    violation.parts(theorem)
    if violation.sha256 != digest(path):
        print(f"note: {path} has changed since the violation was found.", file=sys.stderr)
    return theorem


def replay(options: argparse.Namespace) -> int:
    """``ntkverify replay``."""
    violation = Violation.load(options.file)
    theorem = _theorem_of(violation, options.theorem)
    result = replay_violation(theorem, violation)
    _print_header(violation)
    print("\n".join(result.table(from_below=theorem.claims[violation.claim].from_below)))
    if result.outcome.vacuous:
        print("vacuous: an assumption or the event that the claim conditions on is missed.")
    elif result.outcome.failed:
        print(f"violated in float64 by the fraction {result.outcome.margin:.4g} of the bound.")
    else:
        print("not violated in float64" + (" beyond rounding." if result.outcome.doubtful else "."))
    return 0


def _print_header(violation: Violation) -> None:
    print(f"{violation.theorem}: {violation.claim}")
    for label, names in (("without", violation.relax), ("made wrong", violation.plants)):
        if names:
            print(f"{label}: {', '.join(names)}")
    print(f"instance: {describe(json.loads(violation.instance.to_json()))}")


def certify(options: argparse.Namespace) -> int:
    """``ntkverify certify``."""
    violation = Violation.load(options.file)
    theorem = _theorem_of(violation, options.theorem)
    if not 2 <= options.bits <= options.limit:
        raise NtkVerifyError("--bits must lie between 2 and --limit.")
    _print_header(violation)
    with planted(theorem, violation.plants):
        claim, regime = violation.parts(theorem)
        if isinstance(claim.quantifier, WithProbability):
            return _by_fresh_seeds(options, theorem, violation)
        certificate = certify_instance(
            theorem, claim, regime, violation.instance,
            relax=violation.relax, bits=options.bits, limit=options.limit,
        )  # fmt: skip
    if certificate.measured is not None and certificate.bound is not None:
        print(f"measured in [{certificate.measured[0]}, {certificate.measured[1]}]")
        print(f"bound    in [{certificate.bound[0]}, {certificate.bound[1]}]")
        print(
            f"at entry {certificate.entry} with {certificate.bits} bits; rounding allowed: {certificate.tolerance:.3g}"
        )
    print(f"{certificate.status}: {certificate.reason}.")
    return 0 if certificate.status == "CERTIFIED" else 1


def _by_fresh_seeds(options: argparse.Namespace, theorem: Theorem, violation: Violation) -> int:
    claim, regime = violation.parts(theorem)
    before = list(violation.evidence.get("confirmations", []))
    try:
        used = {int(c["entropy"]) for c in before}
        combined_log_e(before)
    except (TypeError, KeyError, ValueError):
        raise NtkVerifyError(f"violation file {options.file}: the confirmations are damaged; search again.") from None
    entropy = options.entropy if options.entropy is not None else max(used, default=0) + 2**33
    if entropy < 0 or entropy in used:
        raise NtkVerifyError(f"--entropy {entropy} was used before or is negative; give another, to draw fresh seeds.")
    result = confirm(theorem, claim, regime, violation.instance, entropy=entropy, alpha=ALPHA, relax=violation.relax)
    confirmations = [*before, result.record()]
    total = combined_log_e(confirmations)
    content = replace(
        violation, evidence={**violation.evidence, "confirmations": confirmations, "log_e": total}
    ).to_json()
    Path(options.file).write_text(content + "\n", encoding="utf-8")
    print(
        f"{result.failures} of {result.draws} fresh draws failed, at most {result.delta:.3g} claimed; "
        f"log e-value {result.log_e:.1f}, {total:.1f} over {len(confirmations)} confirmations."
    )
    print("UNDECIDED: a claim of probability is refuted by statistics, not by a certificate.")
    return 1


def runs(options: argparse.Namespace) -> int:
    """``ntkverify runs``."""
    with Store(options.store, must_exist=True) as store:
        rows = [
            (
                row["claim"] + (f" without {', '.join(row['relax'])}" if row["relax"] else ""),
                row["engine"],
                "finished" if row["finished"] else "open",
                str(row["evaluations"]),
                str(row["vacuous"]),
                "-" if row["best_margin"] is None else f"{row['best_margin']:+.3g}",
                ", ".join(row["findings"]) or "-",
            )
            for row in store.summary()
        ]
        headings = ("claim", "engine", "state", "evaluations", "vacuous", "best margin", "findings")
        print("\n".join(render(rows, headings, width=150)))
        exports: list[tuple[str | None, Callable[[Store, Path], int]]] = [
            (options.csv, write_csv),
            (options.parquet, write_parquet),
        ]
        for target, write in exports:
            if target:
                print(f"{write(store, Path(target))} evaluations written to {target}")
    return 0


__all__ = ["certify", "necessity", "replay", "runs", "search"]
