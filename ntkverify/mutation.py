"""Mutants: a theorem with one constant or one bound scaled. The check is worth what it refutes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy

from ntkverify.check import Check
from ntkverify.errors import NtkVerifyError
from ntkverify.run import RecordStore
from ntkverify.theorem import Theorem

FACTORS = (sympy.Rational(1, 2), sympy.Integer(2))


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
    killed_by : str or None
        First claim whose verdict failed; None if the mutant survived.
    evidence : str
        That claim's verdict (or error) and evidence, or the slack that the mutant left.
    """

    mutant: Mutant
    killed_by: str | None
    evidence: str


def mutants(theorem: Theorem) -> Iterator[Mutant]:
    """Every constant halved and doubled, every claim's bound tightened by two."""
    for name in theorem.constants:
        for factor in FACTORS:
            yield Mutant(name, factor, True)
    for claim in theorem.claims.values():
        if claim.bound is not None and claim.kind != "control":
            yield Mutant(claim.name, FACTORS[1] if claim.from_below else FACTORS[0], False)


def fate(theorem: Theorem, mutant: Mutant, *, profile: str, store: RecordStore, entropy: int = 0) -> Fate:
    """Check a mutant until the first verdict fails; records of unchanged runs come from `store`."""
    with theorem.mutated(mutant.name, mutant.factor):
        check = Check(theorem, profile=profile, entropy=entropy, store=store)
        claims = [theorem.claims[mutant.name]] if not mutant.is_constant else list(theorem.claims.values())
        slack = ""
        for claim in claims:
            try:
                verdict = check.verdict(claim)
            except NtkVerifyError as error:
                return Fate(mutant, claim.name, f"error: {error}")
            if not verdict.passed:
                return Fate(mutant, claim.name, f"{verdict.shown}: {verdict.evidence}")
            if not mutant.is_constant and verdict.slack is not None:
                slack = f"still true with slack {verdict.slack:.3g} on {verdict.instances} instances"
    return Fate(mutant, None, slack)
