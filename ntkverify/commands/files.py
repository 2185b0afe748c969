"""What `ntkverify replay`, `certify` and `runs` do with what a search wrote."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.judging.falsehoods import planted
from ntkverify.report.campaign import describe, replay_table
from ntkverify.report.table import render
from ntkverify.search.campaign.export import write_csv, write_parquet
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.certify import certify as certify_instance
from ntkverify.search.evidence.fresh_seeds import combined_log_e, confirm
from ntkverify.search.evidence.replay import replay as replay_violation
from ntkverify.search.evidence.settle import ALPHA
from ntkverify.search.evidence.violation import Violation, digest
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.theorem import Theorem


def _theorem_of(violation: Violation, module: str | None) -> Theorem:
    path = module or violation.path
    theorem = load_theorem(path)
    violation.case(theorem)
    if violation.sha256 != digest(path):
        print(f"note: {path} has changed since the violation was found.", file=sys.stderr)
    return theorem


def replay(options: argparse.Namespace) -> int:
    """``ntkverify replay``."""
    violation = Violation.load(options.file)
    theorem = _theorem_of(violation, options.theorem)
    result = replay_violation(theorem, violation)
    _print_header(violation)
    print("\n".join(replay_table(result, from_below=theorem.claims[violation.claim].from_below)))
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
        case = violation.case(theorem)
        if case.claim.quantifier.is_decided_by_redrawing:
            return _by_fresh_seeds(options, case, violation)
        certificate = certify_instance(case, violation.instance, bits=options.bits, limit=options.limit)
    if certificate.measured is not None and certificate.bound is not None:
        print(f"measured in [{certificate.measured[0]}, {certificate.measured[1]}]")
        print(f"bound    in [{certificate.bound[0]}, {certificate.bound[1]}]")
        print(
            f"at entry {certificate.entry} with {certificate.bits} bits; rounding allowed: {certificate.tolerance:.3g}"
        )
    print(f"{certificate.status}: {certificate.reason}.")
    return 0 if certificate.status == "CERTIFIED" else 1


def _by_fresh_seeds(options: argparse.Namespace, case: Case, violation: Violation) -> int:
    before = list(violation.evidence.get("confirmations", []))
    try:
        used = {int(c["entropy"]) for c in before}
        combined_log_e(before)
    except (TypeError, KeyError, ValueError):
        raise NtkVerifyError(f"violation file {options.file}: the confirmations are damaged; search again.") from None
    entropy = options.entropy if options.entropy is not None else max(used, default=0) + 2**33
    if entropy < 0 or entropy in used:
        raise NtkVerifyError(f"--entropy {entropy} was used before or is negative; give another, to draw fresh seeds.")
    result = confirm(case, violation.instance, entropy=entropy, alpha=ALPHA)
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
