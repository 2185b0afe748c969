"""Hermite series in the plane: values and error estimates against references of 24 digits and more."""

import math

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from limit_references import (
    COUNT,
    INSTANCES,
    TINY,
    angles,
    exact_geometry,
    gram_of,
    needs_balls,
    norms,
    points_at,
    trapezoid_nodes,
)

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation import quadrature
from ntkverify.symbolic.expectation.quadrature import plane_expectations
from ntkverify.symbolic.expression.functions import PositivePower, Softplus, Z
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.laws import Normal
from ntkverify.symbolic.network.neuron import pinn_neuron, random_features_neuron, regression_neuron
from ntkverify.symbolic.network.operators import coordinates

FUNCTIONS = {
    "tanh": (sympy.tanh(Z), mpmath.tanh),
    "sigmoid": ((1 + sympy.tanh(Z / 2)) / 2, lambda z: (1 + mpmath.tanh(z / 2)) / 2),
    "softplus": (Softplus(Z), lambda z: mpmath.log(1 + mpmath.exp(z))),
    "swish": (Z * (1 + sympy.tanh(Z / 2)) / 2, lambda z: z * (1 + mpmath.tanh(z / 2)) / 2),
}


def expectations(requests, rho, rho2, angle):
    arrays = (np.array([[f(angle)]]) for f in (np.cos, np.sin))
    values, errors = plane_expectations(requests, np.array([rho]), np.array([rho2]), *arrays)
    return [v.item() for v in values], [e.item() for e in errors]


def trapezoid(function, step, reach=16):
    """The integral of function(u) phi(u); for an integrand analytic within d it errs by about exp(-2 pi d/step)."""
    nodes = [step * k for k in range(-int(reach / step), int(reach / step) + 1)]
    return step * mpmath.fsum(function(u) * mpmath.npdf(u) for u in nodes)


def plane_reference(name, rho, rho2, cosine, sine):
    """E[A(rho u) A(rho' (u cosine + v sine))] by trapezoidal rules in u and v, to about 24 digits.

    tanh(x) = 1 - 2/(1 + exp(2x)) has its poles where exp(2x) = -1, at a distance of pi/2, the others at pi. The
    exponential of a sum is the product of two tables.
    """
    from flint import arb

    half = 1 if name == "tanh" else 2  # all of them in terms of s = 1/(1 + exp(2 x/half))
    distance = half * math.pi / 2
    strips = [distance / max(float(rho), float(rho2 * abs(cosine))), distance / float(rho2 * sine)]
    (us, masses), (vs, weights) = (trapezoid_nodes(strip=strip, digits=26) for strip in strips)

    def logistic(z):  # 1/(1 + exp(z))
        return 1 / (1 + z.exp())

    outer = {
        "tanh": lambda z: 1 - 2 * logistic(2 * z),
        "sigmoid": lambda z: 1 - logistic(z),
        "softplus": lambda z: (1 + z.exp()).log(),
        "swish": lambda z: z * (1 - logistic(z)),
    }[name]
    powers = [(2 * rho2 * sine * v / half).exp() for v in vs]
    # swish has the argument itself as a factor
    slopes = [w * rho2 * sine * v for v, w in zip(vs, weights, strict=True)]
    total, mass = arb(0), sum(weights)
    for u, outer_mass in zip(us, masses, strict=True):
        base = (2 * rho2 * cosine * u / half).exp()
        if name == "softplus":
            inner = sum(w * (1 + base * p).log() for w, p in zip(weights, powers, strict=True))
        else:
            shares = [1 / (1 + base * p) for p in powers]
            fallen = sum(w * s for w, s in zip(weights, shares, strict=True))
            inner = mass - (2 if name == "tanh" else 1) * fallen
            if name == "swish":
                inner = rho2 * cosine * u * inner - sum(w * s for w, s in zip(slopes, shares, strict=True))
        total += outer_mass * outer(rho * u) * inner
    return total


class TestFamilies:
    @pytest.mark.heavy
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_against_quadrature_in_the_plane(self, name):
        """Two hundred instances each, against the natural size: the terms of a Hermite series have both signs."""
        gram = gram_of(name)
        relative = []

        @INSTANCES
        @example(1.0, 1.0, TINY)
        @example(1.0, 1.0, math.pi - TINY)
        @given(norms, norms, angles)
        def run(rho, rho2, angle):
            points = points_at(rho, rho2, angle)
            value, error = gram.matrix_with_error(points)
            with needs_balls():
                expected = plane_reference(name, *exact_geometry(points))
                # the reference is far more accurate than a float64
                off = abs(float(expected - value[0, 1].item()))
            size = math.sqrt(value[0, 0] * value[1, 1])
            assert off <= error[0, 1]
            assert off <= 1e-12 * size
            assert error[0, 1] <= 2e-12 * size
            relative.append(off <= 1e-12 * abs(value[0, 1]))

        run()
        assert len(relative) >= COUNT
        # only tanh changes sign, where its kernel is odd in the cosine
        assert sum(relative) / len(relative) >= (0.95 if name == "tanh" else 1.0)


class TestErrorEstimates:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_they_cover_the_error_at_parallel_and_opposite_arguments(self, name):
        """One dimension, where 50 digits are cheap; and the worst case of the series, as cos^k does not decay."""
        expression, function = FUNCTIONS[name]

        @settings(
            max_examples=8, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
        )
        @example(1.0, 1.0, 1)
        @given(st.floats(0.05, 1.6), st.floats(0.05, 1.6), st.sampled_from([1, -1]))
        def run(rho, rho2, sign):
            powers = (0, 2, 3)
            requests = [(expression, expression, a, 0) for a in powers]
            values, errors = expectations(requests, rho, rho2, 0.0 if sign > 0 else math.pi)
            with mpmath.workdps(50):
                # poles of tanh(1.6 u) are at distance pi/3.2, hence exp(-2 pi d/step) = 1e-53
                step = mpmath.mpf(1) / 20
                for a, value, error in zip(powers, values, errors, strict=True):
                    exact = trapezoid(lambda u, a=a: u**a * function(rho * u) * function(sign * rho2 * u), step)
                    assert abs(value - exact) <= error
                    assert error <= 1e-12 * max(1.0, abs(value))

        run()

    def test_they_cover_the_error_at_random_angles(self):
        rng = np.random.default_rng(5)
        for angle in (1e-6, 1.2, math.pi - 1e-4):
            rho, rho2 = rng.uniform(0.2, 1.2, 2)
            requests = [
                (sympy.tanh(Z), sympy.tanh(Z / 2) ** 2, a, b) for a, b in ((0, 0), (1, 0), (1, 2), (0, 4), (2, 1))
            ]
            values, errors = expectations(requests, rho, rho2, angle)
            with mpmath.workdps(30):
                step, cos, sin = mpmath.mpf(1) / 6, mpmath.cos(mpmath.mpf(angle)), mpmath.sin(mpmath.mpf(angle))
                nodes = [step * k for k in range(-60, 61)]
                mass = [mpmath.npdf(u) * step for u in nodes]
                table = [
                    [mpmath.tanh(rho2 * (u * cos + v * sin) / 2) ** 2 * w for v, w in zip(nodes, mass, strict=True)]
                    for u in nodes
                ]
                for (_, _, a, b), value, error in zip(requests, values, errors, strict=True):
                    inner = [mpmath.fsum(v**b * t for v, t in zip(nodes, row, strict=True)) for row in table]
                    exact = mpmath.fsum(
                        u**a * mpmath.tanh(rho * u) * w * i for u, w, i in zip(nodes, mass, inner, strict=True)
                    )
                    # poles at a distance of at least 1.3: the reference errs by about exp(-2 pi 1.3 * 6) = 5e-22
                    assert abs(value - exact) <= error <= 1e-12

    def test_a_faint_pole_close_to_the_line_is_seen(self):
        function = sympy.sin(Z) + sympy.tanh(8 * Z) / 10**6
        (value,), (error,) = expectations([(function, function, 0, 0)], 1.0, 1.0, 0.0)
        with mpmath.workdps(30):
            exact = trapezoid(lambda u: (mpmath.sin(u) + mpmath.tanh(8 * u) / 10**6) ** 2, mpmath.mpf(1) / 60, reach=12)
            assert abs(value - exact) <= error <= 1e-13

    def test_matrices_return_their_estimate(self):
        t, x = coordinates("t x")
        points = {"interior": np.array([[0.1, 0.2], [0.3, 0.5]]), "boundary": np.array([[0.0, 0.5]])}
        matrix, error = limit_gram(pinn_neuron("tanh", ops.heat(t, [x]))).matrix_with_error(points)
        size = np.sqrt(np.multiply.outer(np.diag(matrix), np.diag(matrix)))
        assert np.all(error > 0)
        assert np.max(error / size) < 1e-10
        _, closed = limit_gram(pinn_neuron("relu3", ops.heat(t, [x]))).matrix_with_error(points)
        assert not closed.any()


class TestPlaneExpectations:
    def test_agrees_with_a_closed_form_in_the_plane(self):
        (value,), (error,) = expectations([(sympy.sin(Z), sympy.sin(Z), 0, 0)], 1.3, 0.7, 1.1)
        expected = np.exp(-(1.3**2 + 0.7**2) / 2) * np.sinh(1.3 * 0.7 * np.cos(1.1))
        assert abs(value - expected) <= error < 1e-14

    def test_a_kink_on_one_side_is_integrated(self):
        # u tanh(u) is even, so that the half line has half of it
        (value,), (error,) = expectations([(PositivePower(Z, 1), sympy.tanh(Z), 0, 0)], 1.0, 1.0, 0.0)
        with mpmath.workdps(30):
            exact = trapezoid(lambda u: u * mpmath.tanh(u), mpmath.mpf(1) / 16) / 2
        assert abs(value - exact) <= error < 1e-12

    def test_kinks_on_both_sides_and_slopes_elsewhere_are_refused(self):
        kinked = sympy.tanh(Z) * PositivePower(Z, 0)
        with pytest.raises(NtkVerifyError, match=r"with a kink in both"):
            expectations([(kinked, kinked, 0, 0)], 1.0, 1.0, 1.0)
        moved = sympy.tanh(Z - 1000)
        with pytest.raises(NtkVerifyError, match=r"points of norm 1e\+03 .* where its argument is not 0; scale"):
            expectations([(moved, moved, 0, 0)], 1000.0, 1000.0, 0.0)

    def test_steep_functions_are_integrated_in_polar_coordinates(self):
        """tanh at a norm of 1000 is a sign but for a strip: E = 2 arcsin(c)/pi to some 1e-6."""
        (value,), (error,) = expectations([(sympy.tanh(Z), sympy.tanh(Z), 0, 0)], 1000.0, 1000.0, math.pi / 3)
        assert abs(value - 1 / 3) < 1e-5
        assert error < 1e-10

    @pytest.mark.parametrize("power", [0, 1])
    def test_polar_coordinates_agree_with_the_series_where_both_work(self, power, monkeypatch):
        requests = [(sympy.tanh(Z), 1 - sympy.tanh(Z) ** 2, power, 1 - power), (Z * sympy.tanh(Z), Z, power, 2)]
        series, estimates = expectations(requests, 2.0, 3.0, 0.3)
        monkeypatch.setattr(quadrature, "_LARGEST_NORM", 0.1)
        polar, errors = expectations(requests, 2.0, 3.0, 0.3)
        for one, other, error, estimate in zip(series, polar, errors, estimates, strict=True):
            assert abs(one - other) <= error + estimate < 1e-10

    def test_a_steep_softplus(self):
        """softplus(100 z)/100 at a norm of 1, 60 degrees apart; 60-digit quadrature gives 0.166651559126."""
        steep = Activation("steep", Softplus(100 * Z) / 100)
        points = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
        matrix, error = limit_gram(regression_neuron(steep, dimension=2)).matrix_with_error(points)
        assert matrix[0, 1] == pytest.approx(0.166651559126, abs=1e-12)
        assert error.max() < 1e-11

    def test_weights_of_a_large_deviation(self):
        """A deviation of 100 is a slope of 100: the same matrix but for the chain rule's factor."""
        points = np.array([[1.0, 0.0], [0.6, 0.8]])
        drawn = limit_gram(regression_neuron("tanh", dimension=2, laws={"inner": Normal(100)})).matrix(points)
        steep = limit_gram(regression_neuron(Activation("steep_tanh", sympy.tanh(100 * Z)), dimension=2)).matrix(points)
        np.testing.assert_allclose(drawn * 1e4, steep, rtol=1e-9)


class TestMixedProducts:
    def test_an_error_function_times_a_wave(self):
        (x,) = coordinates("x")
        mixed = Activation("erf_plus_sin", sympy.erf(Z) + sympy.sin(Z))
        neuron = random_features_neuron(mixed, {"u": ops.identity((x,))})
        matrix, error = limit_gram(neuron).matrix_with_error([[0.5], [1.5]])
        with mpmath.workdps(30):
            exact = trapezoid(
                lambda w: (mpmath.erf(w / 2) + mpmath.sin(w / 2)) * (mpmath.erf(1.5 * w) + mpmath.sin(1.5 * w)),
                mpmath.mpf(1) / 10,
            )
        assert abs(matrix[0, 1] - exact) <= error[0, 1] < 1e-13
