"""Mutants: a theorem with one constant or one bound scaled. The check is worth what it refutes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.check import Check
from ntkverify.problems.records import RecordStore
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

FACTORS = (sympy.Rational(1, 2), sympy.Integer(2))
#: how far past its slack a bound is tightened, in turn; what one instance refutes falls at the first, while a claim of
#: probability is refuted when so many draws fail as it takes to tell their share from the one allowed
PAST = tuple(sympy.Rational(x, 100) for x in (101, 125, 150, 200, 300, 500))


@dataclass(frozen=True)
class Mutant:
    """One constant, or the bound of one claim, scaled by a factor."""

    name: str
    factor: sympy.Rational
    is_constant: bool


@dataclass(frozen=True)
class Fate:
    """What became of a mutant.

    Parameters
    ----------
    mutant : Mutant
        Which.
    status : {"refuted", "control lost", "inconclusive", "error", "survived", "missed"}
        "refuted": a claim is violated. Otherwise the first of these that happened: a control is no longer refuted, a
        verdict cannot be reached, a claim cannot be evaluated; or none of them. "missed": a survivor that a search
        violated (`ntkverify.search.campaign.mutants`).
    claim : str or None
        The claim that showed it.
    evidence : str
        Its evidence or error, or the slack that the mutant left.
    """

    mutant: Mutant
    status: str
    claim: str | None
    evidence: str

    @property
    def refuted(self) -> bool:
        """Whether a claim of the mutant is violated; nothing less counts."""
        return self.status == "refuted"


@dataclass(frozen=True)
class Margin:
    """How far a bound may be tightened.

    Parameters
    ----------
    claim : str
        Whose bound.
    slack : float
        As the claim's verdict has it.
    past : sympy.Rational or None
        The first of `PAST` by whose product with the slack the bound is tightened and refuted; None if none is.
    """

    claim: str
    slack: float
    past: sympy.Rational | None


def past_slack(check: Check, claim: Claim) -> Margin | None:
    """Tighten the bound of a claim past its measured slack, on the same runs and more where the claim draws on.

    None where no factor tightens anything: no bound, a bound of 0, or nothing measured but 0.

    Raises
    ------
    NtkVerifyError
        If the claim does not pass as it stands.
    """
    if claim.bound is None or claim.bound == 0:
        return None
    verdict = check.verdict(claim)
    if not verdict.passed:
        raise NtkVerifyError(f"{claim.name!r} is {verdict.shown} before it is tightened; mend it first.")
    if verdict.slack is None or not 0 < verdict.slack < math.inf:
        return None
    for past in PAST:
        factor = sympy.Rational(verdict.slack) * past
        with check.theorem.mutated(claim.name, factor if claim.from_below else 1 / factor):
            if check.verdict(claim).status == "violated":
                return Margin(claim.name, verdict.slack, past)
    return Margin(claim.name, verdict.slack, None)


def mutants(theorem: Theorem) -> Iterator[Mutant]:
    """Every constant halved and doubled, every claim's bound tightened by two."""
    for name in theorem.constants:
        for factor in FACTORS:
            yield Mutant(name, factor, True)
    for claim in theorem.claims.values():
        if claim.bound is not None and claim.kind != "control":
            yield Mutant(claim.name, FACTORS[1] if claim.from_below else FACTORS[0], False)


def _claims_of(theorem: Theorem, mutant: Mutant) -> list[Claim]:
    """The claims that a mutant may change."""
    return list(theorem.claims.values()) if mutant.is_constant else [theorem.claims[mutant.name]]


def check_original(
    theorem: Theorem, chosen: Iterable[Mutant], *, profile: str, store: RecordStore, entropy: int = 0
) -> None:
    """Check the claims as they stand: one that fails unmutated would seem to refute every mutant.

    Raises
    ------
    NtkVerifyError
        If a verdict fails.
    """
    check = Check(theorem, profile=profile, entropy=entropy, store=store)
    for claim in {claim.name: claim for mutant in chosen for claim in _claims_of(theorem, mutant)}.values():
        verdict = check.verdict(claim)
        if not verdict.passed:
            raise NtkVerifyError(
                f"theorem {theorem.id or theorem.title!r}: {verdict.claim!r} is {verdict.shown} without any mutation; "
                "mend the theorem first."
            )


def fate(theorem: Theorem, mutant: Mutant, *, profile: str, store: RecordStore, entropy: int = 0) -> Fate:
    """Check a mutant until a claim is violated; records of unchanged runs come from `store`."""
    weaker: Fate | None = None
    slack = ""
    with theorem.mutated(mutant.name, mutant.factor):
        check = Check(theorem, profile=profile, entropy=entropy, store=store)
        for claim in _claims_of(theorem, mutant):
            try:
                verdict = check.verdict(claim)
            except NtkVerifyError as error:
                weaker = weaker or Fate(mutant, "error", claim.name, str(error))
                continue
            if not verdict.passed:
                if verdict.status == "violated":
                    return Fate(mutant, "refuted", claim.name, verdict.evidence)
                status = "control lost" if claim.kind == "control" else "inconclusive"
                weaker = weaker or Fate(mutant, status, claim.name, verdict.evidence)
            elif not mutant.is_constant and verdict.slack is not None:
                slack = f"still true with slack {verdict.slack:.3g} on {verdict.instances} instances"
    return weaker or Fate(mutant, "survived", None, slack)
