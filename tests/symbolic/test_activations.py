"""Activations: derivatives, suprema, smoothness, and defining a new one."""

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import example, given
from hypothesis import strategies as st

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import PositivePower, Softplus, Z, exact_number
from ntkverify.symbolic.network.activations import (
    Activation,
    get_activation,
    leaky_relu,
    names,
    positive_power,
    register,
)

SMOOTH = ["tanh", "erf", "sin", "cos", "sigmoid", "softplus", "swish", "gelu"]


def in_mpmath(expression):
    modules = [{"Softplus": lambda z: mpmath.log(1 + mpmath.exp(z))}, "mpmath"]
    return sympy.lambdify(Z, expression, modules)


class TestDerivatives:
    @pytest.mark.parametrize("name", SMOOTH)
    def test_derivatives_agree_with_numerical_differentiation(self, name):
        activation = get_activation(name)
        function = in_mpmath(activation.expression)
        with mpmath.workdps(40):
            for order in (1, 2, 3, 5):
                derivative = in_mpmath(activation.derivative(order))
                for z in ("-1.3", "0.4", "2.1"):
                    # mpmath differentiates by divided differences at raised precision, good to about 30 digits here
                    assert mpmath.almosteq(
                        derivative(mpmath.mpf(z)), mpmath.diff(function, mpmath.mpf(z), order), 1e-20, 1e-20
                    )

    def test_tanh_and_sigmoid_derivatives_are_polynomials_in_themselves(self):
        s = sympy.Symbol("sigma")
        assert get_activation("tanh").derivative_polynomial(1) == sympy.Poly(1 - s**2, s)
        assert get_activation("sigmoid").derivative_polynomial(1) == sympy.Poly(s - s**2, s)
        for name in ("tanh", "sigmoid"):
            activation = get_activation(name)
            composed = activation.derivative_polynomial(4).as_expr().subs(s, activation.expression)
            assert sympy.expand(composed - activation.derivative(4)) == 0
        assert get_activation("sin").derivative_polynomial(6) == sympy.Poly(-s, s)
        assert get_activation("cos").derivative_polynomial(4) == sympy.Poly(s, s)
        assert Activation("growth", sympy.exp(-Z / 2)).derivative_polynomial(3) == sympy.Poly(-s / 8, s)
        assert get_activation("sin").derivative_polynomial(3) is None
        assert get_activation("swish").derivative_polynomial(1) is None
        assert get_activation("erf").derivative_polynomial(1) is None

    def test_positive_powers_lose_one_power_per_derivative(self):
        assert get_activation("relu3").derivative(2) == 6 * PositivePower(Z, 1)
        assert get_activation("leaky_relu").derivative(1).subs(Z, -3) == sympy.Rational(1, 100)

    def test_more_derivatives_than_there_are_is_an_error(self):
        with pytest.raises(NtkVerifyError, match=r"'relu2' has 2 derivatives.*number 3"):
            get_activation("relu2").derivative(3)


class TestSuprema:
    @pytest.mark.parametrize("name", SMOOTH)
    @pytest.mark.parametrize("order", [1, 2, 3, 4])
    def test_no_point_of_a_fine_grid_exceeds_the_supremum(self, name, order):
        activation = get_activation(name)
        supremum = activation.supremum(order)
        with mpmath.workdps(20):
            function = in_mpmath(activation.derivative(order))
            top = mpmath.mpf(str(sympy.N(supremum.value, 20)))
            on_grid = max(abs(function(mpmath.mpf(k) / 50)) for k in range(-300, 301))
            # sup - max on a grid of step 1/50 is at most sup |f''| (1/100)^2 / 2; all curvatures here are below 100
            assert on_grid <= top * (1 + mpmath.mpf(10) ** -15)
            assert on_grid >= top - 100 * mpmath.mpf("0.01") ** 2 / 2
            if supremum.is_attained:
                at_point = abs(function(mpmath.mpf(str(sympy.N(supremum.point, 20)))))
                assert mpmath.almosteq(at_point, top, 1e-15)

    def test_tanh_fourth_derivative_is_reached_where_the_polynomial_says(self):
        supremum = get_activation("tanh").supremum(4)
        t = sympy.tanh(supremum.point)
        assert supremum.exact
        # t^2 solves 15 t^4 - 15 t^2 + 2 = 0
        assert abs(sympy.N(15 * t**4 - 15 * t**2 + 2, 30)) < sympy.Float("1e-25")
        assert float(supremum.value) == pytest.approx(4.085886, abs=5e-7)

    def test_closed_values(self):
        assert get_activation("tanh").supremum(2).value.equals(4 * sympy.sqrt(3) / 9)
        assert get_activation("erf").supremum(1).value == 2 / sympy.sqrt(sympy.pi)
        assert get_activation("relu3").supremum(3).value == 6
        assert get_activation("relu3").supremum(2).value == sympy.oo
        assert get_activation("leaky_relu").supremum(1).value == 1
        assert not get_activation("tanh").supremum(0).is_attained
        assert not get_activation("swish").supremum(1).exact
        assert get_activation("gelu").supremum(1).point.equals(sympy.sqrt(2))

    def test_waves_of_one_period_are_exact_and_others_are_refused(self):
        fast = Activation("fast", sympy.sin(3 * Z) + sympy.cos(6 * Z)).supremum(0)
        assert fast.exact
        assert fast.value == 2
        assert Activation("scaled", sympy.sin(sympy.pi * Z)).supremum(1).value == sympy.pi
        for unbounded in (Z * sympy.sin(Z), sympy.sin(Z) + sympy.sin(sympy.sqrt(2) * Z)):
            with pytest.raises(NtkVerifyError, match="neither die out nor have one period"):
                Activation("waves", unbounded).supremum(0)

    def test_critical_points_far_from_the_origin_are_found(self):
        far = Activation("far", sympy.tanh(Z - 100) + sympy.exp(-((Z - 40) ** 2))).supremum(1)
        assert float(far.value) == pytest.approx(1, abs=1e-12)
        narrow = Activation("narrow", sympy.exp(-((Z - 7) ** 2)) * sympy.tanh(50 * (Z - 7))).supremum(0)
        on_grid = max(np.exp(-(z**2)) * np.tanh(50 * z) for z in np.linspace(0, 1, 100_001))
        assert float(narrow.value) == pytest.approx(on_grid, rel=1e-6)

    def test_a_function_that_is_not_finite_is_refused(self):
        with pytest.raises(NtkVerifyError, match="must be finite"):
            Activation("bad", sympy.nan * Z)


class TestSupremaBetweenKinks:
    @pytest.mark.parametrize(
        ("expression", "order", "value", "point"),
        [
            (PositivePower(Z, 1) - PositivePower(Z - 6, 1), 0, 6, 7),
            (PositivePower(Z, 1) - PositivePower(Z - 6, 1), 1, 1, 3),
            (PositivePower(Z + 1, 1) - 2 * PositivePower(Z, 1) + PositivePower(Z - 1, 1), 0, 1, 0),
            (PositivePower(Z, 2) - PositivePower(Z - 1, 2) - 2 * PositivePower(Z - 2, 1), 1, 2, sympy.Rational(3, 2)),
            (PositivePower(Z, 1) * sympy.exp(-Z), 0, sympy.exp(-1), 1),
            (PositivePower(Z, 0) * sympy.tanh(Z), 0, 1, sympy.oo),
            (PositivePower(-Z, 1), 0, sympy.oo, -sympy.oo),
            (PositivePower(Z, 1) * sympy.exp(-(Z**2)), 0, sympy.exp(-sympy.Rational(1, 2)) / sympy.sqrt(2), None),
        ],
    )
    def test_pieces_of_any_shape_and_kinks_anywhere(self, expression, order, value, point):
        found = Activation("pieces", expression).supremum(order)
        assert found.exact
        assert found.value == value or found.value.equals(value)
        assert point is None or found.point == point

    def test_what_cannot_be_decided_is_refused(self):
        with pytest.raises(NtkVerifyError, match=r"is not of the form a\*z \+ b"):
            Activation("curved", PositivePower(Z**2 - 1, 1)).supremum(0)
        with pytest.raises(NtkVerifyError, match="waves with kinks"):
            Activation("wave", PositivePower(Z, 1) * sympy.sin(Z)).supremum(0)


class TestProperties:
    def test_parity(self):
        odd = {n for n in names() if get_activation(n).parity == "odd"}
        even = {n for n in names() if get_activation(n).parity == "even"}
        assert odd == {"tanh", "erf", "sin", "identity"}
        assert even == {"cos"}

    def test_smoothness_and_analyticity(self):
        assert get_activation("relu3").smoothness == 3
        assert get_activation("tanh").smoothness == np.inf
        assert {n for n in names() if get_activation(n).is_analytic} == {*SMOOTH, "identity"}
        assert {n for n in names() if get_activation(n).is_polynomial} == {"identity"}

    def test_softplus_is_kept_whole(self):
        assert get_activation("softplus").expression == Softplus(Z)


class TestRegistry:
    def test_an_activation_the_library_has_never_seen(self):
        bump = register(Activation("gaussian_bump", sympy.exp(-(Z**2))))
        assert get_activation("gaussian_bump") is bump
        assert bump.parity == "even"
        assert bump.supremum(1).value.equals(sympy.sqrt(2) * sympy.exp(sympy.Rational(-1, 2)))
        with pytest.raises(NtkVerifyError, match=r"'gaussian_bump'.*exp"):
            register(Activation("gaussian_bump", Z))

    @pytest.mark.parametrize(
        "expression",
        [
            sympy.sign(Z),
            1 / Z,
            sympy.log(Z**2),
            abs(Z),
            sympy.Heaviside(Z),
            sympy.floor(Z),
            sympy.tan(Z),
            sympy.sqrt(Z),
        ],
    )
    def test_parts_without_known_kinks_and_derivatives_are_refused(self, expression):
        with pytest.raises(
            NtkVerifyError, match=r"'odd' holds .*, whose derivatives and kinks are not known; build it"
        ):
            Activation("odd", expression)

    def test_analytic_parts_are_known(self):
        for expression in (1 / (1 + Z**2), sympy.sqrt(1 + Z**2), 1 / sympy.cosh(Z), sympy.log(1 + sympy.exp(Z))):
            assert Activation("fine", expression).is_analytic
        with pytest.raises(NtkVerifyError, match=r"holds the float 0\.5.*write a fraction"):
            Activation("half", Z / 2.0)

    def test_bad_definitions_name_both_sides(self):
        with pytest.raises(NtkVerifyError, match=r"unknown activation 'rleu'; known are relu"):
            get_activation("rleu")
        with pytest.raises(NtkVerifyError, match=r"symbol z only.*\bq\b"):
            Activation("bad", sympy.Symbol("q") * Z)
        with pytest.raises(NtkVerifyError, match="positive integer exponent, not 0"):
            positive_power(0)

    def test_slopes_stay_exact(self):
        assert leaky_relu("1/7").derivative(1).subs(Z, -1) == sympy.Rational(1, 7)
        assert leaky_relu(0.1).derivative(1).subs(Z, -1) == sympy.Rational(1, 10)

    @given(st.floats(allow_nan=False, allow_infinity=False))
    @example(0.5000000000000001)
    @example(1.0000000000000004)
    @example(123456789.12345679)
    def test_floats_stay_the_decimal_fraction_that_they_print_as(self, value):
        exact = exact_number(value)
        assert exact.is_Rational
        # by Python's division of integers, which rounds once; mpmath rounds twice where floats are subnormal
        assert int(exact.p) / int(exact.q) == value
        assert exact == sympy.Rational(repr(value))
