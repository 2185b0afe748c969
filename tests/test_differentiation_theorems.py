"""Every claim with a bound is refuted once the bound is tightened past the slack that was measured."""

from pathlib import Path

import pytest
import sympy

from ntkverify import load_theorem
from ntkverify.judging.check import Check

FOLDER = Path(__file__).parents[1] / "theorems" / "differentiation"


@pytest.mark.parametrize(
    "name", ["truncated_entropy", "hard_boundary", "periodic_kernels", "spectra_and_speed", "sine_features"]
)
def test_bounds_are_refuted_past_their_slack(name):
    theorem = load_theorem(FOLDER / f"{name}.py")
    check, tried = Check(theorem, backend="array"), 0
    for claim in list(theorem.claims.values()):
        verdict = check.verdict(claim)
        assert verdict.passed, verdict
        if claim.kind == "control" or claim.bound is None or claim.bound == 0:
            continue
        factor = sympy.Rational(verdict.slack) * sympy.Rational(101, 100)
        with theorem.mutated(claim.name, factor if claim.from_below else 1 / factor):
            assert check.verdict(theorem.claims[claim.name]).status == "violated", claim.name
        tried += 1
    assert tried >= 2
