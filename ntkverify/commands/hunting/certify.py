"""``ntkverify certify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.judging.case import Case
    from ntkverify.search.evidence.violation import Violation


@shared.command(
    "certify",
    examples="""
ntkverify certify violations/gradient_descent_regression-0123456789.json
ntkverify certify violation.json --bits 256 --limit 4096""",
)
@click.argument("file", metavar="FILE")
@click.option("--theorem", "where", metavar="THEOREM", help="Where the theorem's module is now.")
@click.option("--bits", type=click.IntRange(min=2), default=128, show_default=True, help="First precision.")
@click.option("--limit", type=click.IntRange(min=2), default=1024, show_default=True, help="Largest precision.")
@click.option("--entropy", type=click.IntRange(min=0), help="Claims of probability: names the fresh seeds.")
@shared.as_json
def command(file: str, where: str | None, bits: int, limit: int, entropy: int | None, as_json: bool) -> int:
    """Repeat a violation in balls, preconditions included.

    The answer is CERTIFIED (exit status 0), REFUTED or UNDECIDED (1). A claim of probability is drawn with fresh
    seeds, and stays UNDECIDED.
    """
    from ntkverify.commands.hunting.violations import introduce, theorem_of
    from ntkverify.judging.falsehoods import planted
    from ntkverify.report import console
    from ntkverify.search.evidence.certify import certify
    from ntkverify.search.evidence.violation import Violation

    if bits > limit:
        raise NtkVerifyError("--bits must lie between 2 and --limit.")
    violation = Violation.load(file)
    theorem = theorem_of(violation, where)
    with planted(theorem, violation.plants):
        case = violation.case(theorem)
        if case.claim.quantifier.is_decided_by_redrawing:
            return _by_fresh_seeds(file, case, violation, entropy, as_json=as_json)
        needs.package("flint", "`ntkverify replay` it in float64")
        certificate = certify(case, violation.instance, bits=bits, limit=limit)
        outside = violation.outside
        beyond = None if outside is None else certify(case, outside, bits=bits, limit=limit)
    if as_json:
        also = {} if beyond is None else {"outside the family": beyond.record()}
        console.show_json({"theorem": violation.theorem, "claim": violation.claim, **certificate.record(), **also})
    else:
        introduce(violation)
        if certificate.measured is not None and certificate.bound is not None:
            print(f"measured in [{certificate.measured[0]}, {certificate.measured[1]}]")
            print(f"bound    in [{certificate.bound[0]}, {certificate.bound[1]}]")
            print(
                f"at entry {certificate.entry} with {certificate.bits} bits; rounding allowed: "
                f"{certificate.tolerance:.3g}"
            )
        print(f"{certificate.status}: {certificate.reason}.")
        if beyond is not None:
            print(f"the smaller instance outside the family: {beyond.status}: {beyond.reason}.")
    return 0 if certificate.status == "CERTIFIED" else 1


def _by_fresh_seeds(file: str, case: Case, violation: Violation, entropy: int | None, *, as_json: bool) -> int:
    from dataclasses import replace

    from ntkverify.commands.hunting.violations import introduce
    from ntkverify.report import console
    from ntkverify.search.evidence.fresh_seeds import combined_log_e, confirm
    from ntkverify.search.evidence.settle import ALPHA

    before = list(violation.evidence.get("confirmations", []))
    try:
        used = {int(c["entropy"]) for c in before}
        combined_log_e(before)
    except (TypeError, KeyError, ValueError):
        raise NtkVerifyError(f"violation file {file}: the confirmations are damaged; search again.") from None
    chosen = entropy if entropy is not None else max(used, default=0) + 2**33
    if chosen in used:
        raise NtkVerifyError(f"--entropy {chosen} was used before; give another, to draw fresh seeds.")
    needs.file(file, "copy of it")
    result = confirm(case, violation.instance, entropy=chosen, alpha=ALPHA)
    confirmations = [*before, result.record()]
    total = combined_log_e(confirmations)
    found: dict[str, Any] = {**violation.evidence, "confirmations": confirmations, "log_e": total}
    if as_json:
        console.show_json({"theorem": violation.theorem, "claim": violation.claim, "status": "UNDECIDED", **found})
    else:
        introduce(violation)
        print(
            f"{result.failures} of {result.draws} fresh draws failed, at most {result.delta:.3g} claimed; "
            f"log e-value {result.log_e:.1f}, {total:.1f} over {len(confirmations)} confirmations."
        )
        print("UNDECIDED: a claim of probability is refuted by statistics, not by a certificate.")
    Path(file).write_text(replace(violation, evidence=found).to_json() + "\n", encoding="utf-8")
    return 1
