"""Mutants: a theorem with one constant, bound or exponent made wrong. The check is worth what it refutes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.check import Check
from ntkverify.judging.falsehoods import planted, terms_of
from ntkverify.problems.records import RecordStore
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

FACTORS = (sympy.Rational(1, 2), sympy.Integer(2))
#: an exponent that is claimed up to a tolerance is moved by so many of them: the bands lie apart by one
SHIFT = 3
#: how far past its slack a bound is tightened, in turn; what one instance refutes falls at the first, while a claim of
#: probability is refuted when so many draws fail as it takes to tell their share from the one allowed
PAST = tuple(sympy.Rational(x, 100) for x in (101, 125, 150, 200, 300, 500))


@dataclass(frozen=True)
class Mutant:
    """One constant, or one claim, with something made wrong.

    Parameters
    ----------
    name : str
        Whose.
    factor : sympy.Rational
        What the constant or the bound is scaled by; 1 where that is not what is wrong.
    is_constant : bool
        Whether `name` is a constant, which any claim may contain.
    kind : {"constant", "bound", "exponent", "requirement"}
        What is made wrong; a requirement is one of the terms whose largest a constant is.
    change : str
        How, as `ntkverify.judging.falsehoods` reads it; empty for a factor.
    """

    name: str
    factor: sympy.Rational
    is_constant: bool
    kind: str = ""
    change: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.kind or ("constant" if self.is_constant else "bound"))

    @property
    def plant(self) -> str:
        """The mutant as a falsehood to be planted."""
        return self.change or f"{self.name} * {self.factor}"


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
    """Constants halved and doubled, bounds tightened by two; then exponents, and requirements one by one.

    Each symbol of a constant's expression or of a bound gets half and twice its exponent: one of the two makes a bound
    looser as a rule, and stays true. A claimed power of the width is moved by `SHIFT` tolerances. Of a constant that is
    the largest of several terms each is halved, of the least of several each is doubled.
    """
    claims = [claim for claim in theorem.claims.values() if claim.kind != "control"]
    for name in theorem.constants:
        for factor in FACTORS:
            yield Mutant(name, factor, True)
    for claim in claims:
        if claim.bound is not None:
            yield Mutant(claim.name, FACTORS[1] if claim.from_below else FACTORS[0], False)
    one = sympy.Integer(1)
    expressions = [(name, constant.expression, True) for name, constant in theorem.constants.items()]
    expressions += [(claim.name, claim.bound, False) for claim in claims if claim.bound is not None]
    for name, expression, is_constant in expressions:
        for symbol in sorted({str(s) for s in expression.free_symbols} - theorem.constants.keys()):
            for power in FACTORS:
                yield Mutant(name, one, is_constant, "exponent", f"{name} with {symbol}**{power}")
    for claim in claims:
        tolerance = getattr(claim.quantifier, "tolerance", None)
        if tolerance is not None and claim.quantifier.moved(0) is not None:
            shift = SHIFT * sympy.Rational(str(tolerance))
            for sign in "-+":
                yield Mutant(claim.name, one, False, "exponent", f"{claim.name}, exponent {sign} {shift}")
    for name, constant in theorem.constants.items():
        factor = FACTORS[1] if isinstance(constant.expression, sympy.Min) else FACTORS[0]
        for number in range(1, len(terms_of(constant.expression)) + 1):
            yield Mutant(name, one, True, "requirement", f"{name}, requirement {number} * {factor}")


def _claims_of(theorem: Theorem, mutant: Mutant) -> list[Claim]:
    """The claims that a mutant may change."""
    return list(theorem.claims.values()) if mutant.is_constant else [theorem.claims[mutant.name]]


def check_original(
    theorem: Theorem,
    chosen: Iterable[Mutant],
    *,
    profile: str,
    store: RecordStore,
    entropy: int = 0,
    draws: int | None = None,
) -> None:
    """Check the claims as they stand: one that fails unmutated would seem to refute every mutant.

    Raises
    ------
    NtkVerifyError
        If a verdict fails; where so many `draws` were asked for and too few are what is wrong, it says that.
    """
    check = Check(theorem, profile=profile, entropy=entropy, store=store)
    for claim in {claim.name: claim for mutant in chosen for claim in _claims_of(theorem, mutant)}.values():
        verdict = check.verdict(claim)
        if verdict.passed:
            continue
        said = f"theorem {theorem.id or theorem.title!r}: {verdict.claim!r} is {verdict.shown} without any mutation"
        if verdict.status == "violated" and claim.kind != "control":
            raise NtkVerifyError(f"{said}; mend the theorem first.")
        if draws is not None:
            raise NtkVerifyError(f"{said}, which {draws} draws are too few to decide; give more --draws, or none.")
        raise NtkVerifyError(f"{said}; give another --profile or leave the claim out with --only, or mend it first.")


def fate(theorem: Theorem, mutant: Mutant, *, profile: str, store: RecordStore, entropy: int = 0) -> Fate:
    """Check a mutant until a claim is violated; records of unchanged runs come from `store`."""
    weaker: Fate | None = None
    slack = ""
    with planted(theorem, [mutant.plant]):
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
