"""Widths of the concentration and flip lemmas: sufficient, and no neuron wider than their bounds ask."""

import math

import pytest
import sympy
from sympy import Rational

from ntkverify import NtkVerifyError, Source, Theorem
from ntkverify.glossary import C, delta, lambda_0, m, n
from ntkverify.instances import orthonormal_inputs
from ntkverify.lemmas.concentration import bernstein, chebyshev, chebyshev_width, hoeffding, least_width
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.relu.pairs import PairsAndScale
from ntkverify.problems.on_data import regression_instance

tolerance, V, M = sympy.symbols("tolerance V M", positive=True)


def bare():
    return Theorem("T", source=Source(), statement="S")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_hoeffding_at_its_least_width(count):
    failure = hoeffding(n**2, tolerance / n)
    at = {n: count, tolerance: Rational(1, 8), delta: Rational(1, 10)}
    width = least_width(failure, at)
    assert failure.subs({**at, m: width}) <= Rational(1, 10) < failure.subs({**at, m: width - 1})


def test_chebyshev_meets_the_tolerance_at_its_width():
    width = chebyshev_width(V, tolerance).expression
    assert sympy.simplify(chebyshev(V).subs(m, width) - tolerance) == 0


def test_bernstein_has_both_terms_and_the_tail():
    """The first falls like the root of the width, the second like the width, the third like the root of delta."""
    bound = bernstein(V, M)
    second = (bound - bound.subs(M, 0)) * m
    assert sympy.simplify(second - Rational(2, 3) * M * sympy.log(4 / delta)) == 0
    assert sympy.simplify(bound.subs(M, 0) * sympy.sqrt(m)).free_symbols == {V, delta}


@pytest.mark.parametrize("count", [1, 5])
def test_flips_at_their_least_width(count):
    theorem = bare()
    flips = Flips(theorem)
    radius, share = Rational(1, 20), Rational(1, 10)
    width = flips.width(count, radius, share)
    failure = theorem.expand(flips.failure(sympy.Integer(count), radius, sympy.Integer(1)))
    assert failure.subs(m, width).evalf() <= share < failure.subs(m, width - 1).evalf()


@pytest.mark.parametrize(("tau", "sigma", "binding"), [("1/8", "1/4", 0), ("1/2", "1/40", 1)])
def test_pairs_at_their_least_width_and_scale(tau, sigma, binding):
    """Of two events, that which asks for the width fails with its half of delta; the scale is where drift is R."""
    theorem = bare()
    pairs = PairsAndScale(theorem)
    split = {pairs.tau: Rational(tau), pairs.sigma: Rational(sigma), pairs.zeta: 1}
    at = {n: 2, lambda_0: 8, pairs.alpha: 4, delta: Rational(1, 10), C: 1, **split}
    width = math.ceil(theorem.value(pairs.width(), at))
    event = pairs.likely[binding]
    fails, allowed = (theorem.expand(side).subs(at) for side in (event.left, event.right))
    assert fails.subs(m, width).evalf() <= allowed.evalf() < fails.subs(m, width - 1).evalf()
    scale = theorem.value(pairs.scale("sufficient"), {**at, m: width})
    grown = {**at, lambda_0: scale**2 / 2, pairs.alpha: scale, m: width}  # lambda_0/alpha^2 stays
    assert theorem.value(pairs.drift / pairs.R, grown) == pytest.approx(1)


def test_a_theorem_without_roles_has_no_instances_on_data():
    with pytest.raises(NtkVerifyError, match=r"declares no largest step.*theorem\.declare"):
        regression_instance(bare(), orthonormal_inputs(2), [1.0, -1.0], width=4)
