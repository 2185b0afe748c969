"""The part for natural gradient descent: worst steps and worst Jacobians keep the bounds, and tell wrong constants."""

import pytest
import sympy
from sympy import Rational

from ntkverify import Check, Source, Theorem
from ntkverify.lemmas.natural_gradient import NaturalGradient, StableJacobian
from ntkverify.lemmas.suprema import Suprema


@pytest.fixture(scope="module")
def theorem():
    theorem = Theorem("T", source=Source(), statement="S")
    natural, jacobian = NaturalGradient(theorem), StableJacobian(theorem)
    natural.contraction()
    natural.epsilon_forms()
    jacobian.thresholds()
    jacobian.worst_case()
    return theorem


def words(theorem, scaled=None):
    check = Check(theorem)
    if scaled is None:
        return {claim.name: check.verdict(claim).shown for claim in theorem.claims.values()}
    with theorem.mutated(*scaled):
        return words(theorem)


def test_the_worst_cases_are_kept_and_the_controls_refuted(theorem):
    assert set(words(theorem).values()) == {"holds", "refuted"}


@pytest.mark.parametrize(
    ("constant", "factor"),
    [("epsilon", 2), ("epsilon", Rational(1, 2)), ("gamma", 2), ("gamma_eigenvalue", 2), ("gamma_contraction", 2)],
)
def test_a_wrong_constant_is_told(theorem, constant, factor):
    assert "violated" in words(theorem, (constant, factor)).values()


def test_the_rate_is_one_whatever_lambda_0(theorem):
    assert theorem.roles.rate == sympy.Integer(1)


class TestSuprema:
    @pytest.mark.parametrize("activation", ["tanh", "erf"])
    def test_they_bound_a_grid_and_are_reached(self, activation):
        theorem = Theorem("T", source=Source(), statement="S")
        Suprema(theorem, activation, (1, 2, 3)).reached()
        assert set(words(theorem).values()) == {"holds"}

    @pytest.mark.parametrize("factor", [Rational(999, 1000), Rational(1001, 1000)])
    def test_one_that_is_off_by_a_thousandth_is_told(self, factor):
        theorem = Theorem("T", source=Source(), statement="S")
        Suprema(theorem, "tanh", (2,)).reached()
        assert "violated" in words(theorem, ("s_2", factor)).values()
