"""A claim about all numbers in given ranges: proved, refuted by a certified point, or else sampled."""

from __future__ import annotations

import math
from dataclasses import replace

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import CONFIRM
from ntkverify.judging.rates import upwards
from ntkverify.judging.verdict import Tally
from ntkverify.proving.points import worst_of_samples
from ntkverify.proving.prove import Proof, able, decide
from ntkverify.proving.question import Question
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

#: what has to be installed, for the evidence
TOOLS = "z3-solver and python-flint are not both installed (pip install 'ntkverify[proofs]')"


#: factors by which a bound is tightened to find a point where it is as tight
PAST = (sympy.Rational(1001, 1000), sympy.Rational(11, 10))
LOOSE = 3.0  #: where samples leave more than that there is no need to


def proof_of(theorem: Theorem, claim: Claim) -> Proof:
    """What the solvers make of a claim."""
    return decide(theorem.question_of(claim))


def judge_ranges(theorem: Theorem | None, claim: Claim) -> Tally:
    """The verdict; its slack is the least ratio of both sides at a fixed list of points, and where tighter bounds fail.

    What is open, or would need a solver that is not installed, is compared with 50 digits at these points, and says so.
    """
    if theorem is None:
        raise NtkVerifyError(f"claim {claim.name!r} is about ranges of a theorem's constants; name the theorem.")
    asked = theorem.question_of(claim)
    proof = decide(asked)
    if proof.refutation is not None:
        return Tally("violated", tried=1, level="certified", evidence=f"{proof.refutation.text} ({proof.how})")
    tried, failing, ratio = worst_of_samples(asked)
    ratio = _tightest(asked, ratio)
    slack = ratio if math.isfinite(ratio) else None
    if proof.status == "proved":
        return Tally(slack=slack, tried=1, level="proved", evidence=f"for all numbers in the ranges: {proof.how}")
    why = f"{proof.how if able() else TOOLS}: not proved, compared with 50 digits at {tried} points"
    level = f"sampled, {tried} points, 50 digits"
    if failing is not None:
        where = ", ".join(f"{symbol} = {value.evalf(8)}" for symbol, value in failing.items())
        return Tally("violated", slack, tried, level=level, evidence=f"{why}, fails at {where or 'once'}")
    missed = f"points < {upwards(1 - (1 - CONFIRM) ** (1 / tried))}" if tried > 1 else ""
    return Tally("holds", slack, tried, level=level, evidence=why, missed=missed)


def _tightest(asked: Question, ratio: float) -> float:
    """The ratio of both sides at a point that refutes the larger one over the first of `PAST` that can be, if less."""
    for past in PAST if ratio < LOOSE else ():
        if past < ratio and (refutation := decide(replace(asked, right=asked.right / past)).refutation):
            left, right = (float(side.subs(refutation.point)) for side in (asked.left, asked.right))
            return min(ratio, right / left) if left > 0 and right > 0 else ratio
    return ratio
