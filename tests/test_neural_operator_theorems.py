"""Every bound of the theorems on neural operators is refuted past its measured slack."""

from pathlib import Path

import pytest
import sympy

from ntkverify import load_theorem
from ntkverify.judging.check import Check
from ntkverify.judging.quantifiers.always import Always

FOLDER = Path(__file__).parents[1] / "theorems" / "neural_operator"


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["kronecker_limits", "initial_gram", "stability", "gradient_flow", "gradient_descent"])
def test_bounds_are_refuted_past_their_slack(name):
    theorem = load_theorem(FOLDER / f"{name}.py")
    check, tried = Check(theorem), 0
    for claim in list(theorem.claims.values()):
        if claim.kind == "control" or claim.bound is None:
            continue
        # a claim of probability has the slack of a quantile, which few draws know to some percent
        beyond = sympy.Rational(101, 100) if isinstance(claim.quantifier, Always) else 2
        factor = sympy.Rational(check.verdict(claim).slack) * beyond
        with theorem.mutated(claim.name, factor if claim.from_below else 1 / factor):
            assert check.verdict(theorem.claims[claim.name]).status == "violated", claim.name
        tried += 1
    assert tried >= 2
