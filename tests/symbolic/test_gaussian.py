"""Closed forms of Gaussian expectations against 50-digit quadrature, for each family of activations.

Each family is checked through the covariance E[sigma(w.x) sigma(w.x')] of a network without biases, and its
one-dimensional reduction is written out here by hand: polar coordinates for powers of ReLU, and the conditional
expectation given w.x for the others. Values of one sign are compared relatively; values that change sign,
relative to sqrt(E sigma^2 E sigma'^2), the size that rounding of the input alone gives their error.
"""

import functools
import math

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.activations import Activation
from ntkverify.symbolic.functions import PositivePower, Z
from ntkverify.symbolic.gaussian import gaussian_expectation
from ntkverify.symbolic.halfspace import PlaneMoments, plane_moment, theta_symbol
from ntkverify.symbolic.limits import limit_gram
from ntkverify.symbolic.neuron import random_features_neuron
from ntkverify.symbolic.operators import coordinates, identity

DIGITS = 50
INSTANCES = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # shrinking would cost minutes of 50-digit quadrature
)
TINY = 1e-8

angles = st.one_of(
    st.floats(TINY, math.pi - TINY),
    st.floats(-8, 0).map(lambda e: 10.0**e),
    st.floats(-8, 0).map(lambda e: math.pi - 10.0**e),
    st.sampled_from([TINY, math.pi - TINY, 1e-4, math.pi / 2, math.pi - 1e-4]),
)
norms = st.floats(0.05, 1.5)


@functools.cache
def gram_of(activation):
    points = coordinates("x_0 x_1")
    return limit_gram(random_features_neuron(activation, {"data": identity(points)}))


def exact_geometry(points):
    """Norms and the plane frame of two float64 points, to 50 digits."""
    x, y = ([mpmath.mpf(c) for c in p] for p in points)
    rho, rho2 = (mpmath.sqrt(mpmath.fdot(p, p)) for p in (x, y))
    sine = (x[0] * y[1] - x[1] * y[0]) / (rho * rho2)
    return rho, rho2, mpmath.fdot(x, y) / (rho * rho2), abs(sine)


def trapezoid(function, *, even=False):
    """The integral of function(u) phi(u); the integrands are entire, and decay like a Gaussian."""
    # the narrowest integrand is exp(-u^2 (1 + 2 * 1.5^2 + 2 * 1.5^2) / 2); for a Gaussian of variance v the rule errs
    # by 2 exp(-2 pi^2 v / h^2), here 2e-55, and the tail beyond 16 is below 1e-55
    step, count = mpmath.mpf(1) / 8, 128
    start = 1 if even else -count
    values = [function(k * step) * mpmath.exp(-((k * step) ** 2) / 2) for k in range(start, count + 1)]
    total = 2 * mpmath.fsum(values) + function(mpmath.mpf(0)) if even else mpmath.fsum(values)
    return total * step / mpmath.sqrt(2 * mpmath.pi)


def points_at(rho, rho2, angle):
    return np.array([[rho, 0.0], [rho2 * np.cos(angle), rho2 * np.sin(angle)]])


def check(activation, points, expected, *, scale=None):
    """The float64 matrix to 1e-12, mpmath to 40 digits, and the balls must contain the value."""
    flint = pytest.importorskip("flint")
    gram = gram_of(activation)
    size = abs(expected) if scale is None else scale
    assert abs(gram.matrix(points)[0, 1] - float(expected)) <= 1e-12 * float(size)
    exact = gram.matrix_mpmath(points, DIGITS)[0][1]
    assert abs(exact - expected) <= mpmath.mpf(10) ** -40 * size
    ball = gram.matrix_balls(points, 128)[0, 1]
    value = flint.arb(mpmath.nstr(expected, DIGITS), mpmath.nstr(size * mpmath.mpf(10) ** -42, 5))
    assert ball.overlaps(value)
    assert ball.rad() < flint.arb(mpmath.nstr(size, 5)) * flint.arb("1e-25")


class TestPositivePowers:
    @pytest.mark.parametrize("power", [1, 2, 3])
    def test_against_polar_quadrature(self, power):
        @INSTANCES
        @example(1.0, 1.0, TINY)
        @example(1.0, 1.0, math.pi - TINY)
        @given(norms, norms, angles)
        def run(rho, rho2, angle):
            points = points_at(rho, rho2, angle)
            with mpmath.workdps(DIGITS + 10):
                r, r2, cosine, sine = exact_geometry(points)
                supplement = mpmath.atan2(sine, -cosine)
                # in units of the supplement the integrand is analytic and the Gauss rule needs one panel
                integral = mpmath.quad(
                    lambda s: (mpmath.sin(supplement * s) * mpmath.sin(supplement * (1 - s))) ** power,
                    [0, 1],
                    method="gauss-legendre",
                    maxdegree=5,
                )
                radial = 2**power * mpmath.factorial(power)
                expected = (r * r2) ** power * radial * supplement * integral / (2 * mpmath.pi)
                check(f"relu{power}" if power > 1 else "relu", points, expected)

        run()

    def test_zero_identical_and_opposite_points(self):
        points = np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0], [-2.0, -4.0]])
        got = gram_of("relu2").covariance(points)
        # E (u)_+^4 = 3/2
        expected = np.zeros((4, 4))
        expected[1:3, 1:3] = 37.5
        expected[3, 3] = 1.5 * 20.0**2
        np.testing.assert_allclose(got, expected, rtol=1e-14)

    def test_array_moments_agree_with_the_closed_form_of_every_order(self):
        theta = np.array([1e-8, 0.1, 1.0, 2.0, 3.0, math.pi - 1e-3])
        with mpmath.workdps(60):
            exact = [mpmath.mpf(t) for t in theta]
            supplement = np.array([float(mpmath.pi - t) for t in exact])
            moments = PlaneMoments(supplement, degree=9)
            for a, b, i, j in [(0, 0, 0, 3), (2, 0, 1, 0), (1, 2, 2, 1), (0, 4, 0, 0), (3, 1, 2, 2), (2, 2, 0, 2)]:
                closed = sympy.lambdify(theta_symbol, plane_moment(a, b, i, j), "mpmath")
                for value, t in zip(moments(a, b, i, j), exact, strict=True):
                    expected = float(closed(t))
                    # an odd power of v changes sign inside the wedge: then rounding is relative to the mean modulus
                    size = abs(expected) if b % 2 == 0 else abs(expected) + 1.0
                    assert abs(value - expected) <= 1e-13 * size


class TestErf:
    @INSTANCES
    @given(norms, norms, angles)
    def test_erf_against_quadrature(self, rho, rho2, angle):
        points = points_at(rho, rho2, angle)
        with mpmath.workdps(DIGITS + 10):
            r, r2, c, s = exact_geometry(points)
            width = mpmath.sqrt(1 + 2 * (r2 * s) ** 2)
            expected = trapezoid(lambda u: mpmath.erf(r * u) * mpmath.erf(r2 * c * u / width), even=True)
            scale = mpmath.sqrt(
                mpmath.mpf(4)
                / mpmath.pi**2
                * mpmath.asin(2 * r**2 / (1 + 2 * r**2))
                * mpmath.asin(2 * r2**2 / (1 + 2 * r2**2))
            )
            check("erf", points, expected, scale=scale)

    @INSTANCES
    @given(norms, norms, angles)
    def test_its_derivative_against_quadrature(self, rho, rho2, angle):
        points = points_at(rho, rho2, angle)
        with mpmath.workdps(DIGITS + 10):
            r, r2, c, s = exact_geometry(points)
            width = 1 + 2 * (r2 * s) ** 2
            expected = trapezoid(
                lambda u: 4 / mpmath.pi * mpmath.exp(-((r * u) ** 2) - (r2 * c * u) ** 2 / width) / mpmath.sqrt(width),
                even=True,
            )
            check(Activation("erf_slope", sympy.diff(sympy.erf(Z), Z)), points, expected)

    # a sum of products of the families that have 200 instances each
    @settings(INSTANCES, max_examples=50)
    @given(norms, norms, angles)
    def test_gelu_against_quadrature(self, rho, rho2, angle):
        points = points_at(rho, rho2, angle)
        with mpmath.workdps(DIGITS + 10):
            r, r2, c, s = exact_geometry(points)

            def smoothed(mean, deviation):
                width = mpmath.sqrt(1 + deviation**2)
                z = mean / width
                return mean * mpmath.ncdf(z) + deviation**2 * mpmath.npdf(z) / width

            expected = trapezoid(lambda u: smoothed(r * u, 0) * smoothed(r2 * c * u, r2 * s))
            check("gelu", points, expected, scale=r * r2)


class TestWavesAndPolynomials:
    @pytest.mark.parametrize("name", ["sin", "cos"])
    def test_waves_against_quadrature(self, name):
        wave = getattr(mpmath, name)

        @INSTANCES
        @given(norms, norms, angles)
        def run(rho, rho2, angle):
            points = points_at(rho, rho2, angle)
            with mpmath.workdps(DIGITS + 10):
                r, r2, c, s = exact_geometry(points)
                damping = mpmath.exp(-((r2 * s) ** 2) / 2)
                expected = trapezoid(lambda u: wave(r * u) * wave(r2 * c * u) * damping, even=True)
                sign = 1 if name == "cos" else -1
                scale = mpmath.sqrt((1 + sign * mpmath.exp(-2 * r**2)) * (1 + sign * mpmath.exp(-2 * r2**2))) / 2
                check(name, points, expected, scale=scale)

        run()

    @INSTANCES
    @given(norms, norms, angles)
    def test_a_polynomial_against_quadrature(self, rho, rho2, angle):
        points = points_at(rho, rho2, angle)
        with mpmath.workdps(DIGITS + 10):
            r, r2, c, s = exact_geometry(points)

            def smoothed(mean, deviation):  # E[z^3 - z + 2] for z ~ N(mean, deviation^2)
                return mean**3 + 3 * mean * deviation**2 - mean + 2

            expected = trapezoid(lambda u: smoothed(r * u, 0) * smoothed(r2 * c * u, r2 * s))
            scale = mpmath.sqrt((15 * r**6 + 6 * r**4 + r**2 + 4) * (15 * r2**6 + 6 * r2**4 + r2**2 + 4))
            check(Activation("cubic", Z**3 - Z + 2), points, expected, scale=scale)


class TestGaussianExpectation:
    w = sympy.symbols("w_0 w_1 w_2", real=True)

    def test_polynomials_follow_wick_for_any_covariance(self):
        a, b, c = sympy.symbols("a b c", positive=True)
        sigma = sympy.Matrix([[a, b], [b, c]])
        w = self.w[:2]
        assert sympy.expand(gaussian_expectation(w[0] ** 2 * w[1] ** 2, w, covariance=sigma) - (a * c + 2 * b**2)) == 0
        assert gaussian_expectation(w[0] ** 3 * w[1], w, covariance=sigma) == 3 * a * b
        assert gaussian_expectation(w[0] ** 2 * w[1], w, covariance=sigma) == 0

    def test_half_space_moments_with_polynomial_factors(self):
        x = sympy.symbols("x_0 x_1", positive=True)
        z = self.w[0] * x[0] + self.w[1] * x[1]
        got = gaussian_expectation(self.w[0] ** 2 * PositivePower(z, 2), self.w[:2])
        # by symmetry half of E[w_0^2 z^2] = |x|^2 + 2 x_0^2
        assert sympy.expand(got - (3 * x[0] ** 2 + x[1] ** 2) / 2) == 0

    def test_two_directions_with_a_polynomial_agree_with_a_derivative_of_the_kernel(self):
        x, y = sympy.symbols("x_0 x_1", real=True), sympy.symbols("y_0 y_1", real=True)
        zx, zy = (self.w[0] * p[0] + self.w[1] * p[1] for p in (x, y))
        moment = gaussian_expectation(self.w[0] * self.w[1] * PositivePower(zx, 1) * PositivePower(zy, 1), self.w[:2])
        # d/dx_0 d/dx_1 of E (z)_+^3 (z')_+ is 6 E w_0 w_1 (z)_+ (z')_+
        higher = gaussian_expectation(PositivePower(zx, 3) * PositivePower(zy, 1), self.w[:2])
        at = dict(zip((*x, *y), map(sympy.Rational, ("1/3", "2", "-1/2", "3/7")), strict=True))
        expected = sympy.diff(higher, x[0], x[1]).subs(at) / 6
        assert abs(sympy.N(moment.subs(at) - expected, 40)) < 1e-35

    def test_a_covariance_acts_like_transformed_weights(self):
        root = sympy.Matrix([[2, 0], [1, 3]])
        w = self.w[:2]
        mixed = dict(zip(w, root * sympy.Matrix(w), strict=True))
        for f in (
            w[0] ** 2 * PositivePower(w[0] + w[1], 1) * PositivePower(w[0] - w[1], 2),
            w[1] * sympy.erf(w[0]) * sympy.exp(-((w[0] - w[1]) ** 2)),
            w[0] * w[1] * sympy.sin(w[0]) * sympy.sin(w[1]),
        ):
            with_covariance = gaussian_expectation(f, w, covariance=root * root.T)
            transformed = gaussian_expectation(f.subs(mixed, simultaneous=True), w)
            assert abs(sympy.N(with_covariance - transformed, 30)) < 1e-25

    def test_no_closed_form_and_wrong_shapes_are_refused(self):
        w = self.w
        with pytest.raises(NtkVerifyError, match=r"tanh\(z\)"):
            gaussian_expectation(sympy.tanh(w[0]) ** 2, w)
        with pytest.raises(NtkVerifyError, match="erf times sin or cos"):
            gaussian_expectation(sympy.erf(w[0]) * sympy.sin(w[1]), w)
        with pytest.raises(NtkVerifyError, match=r"3 variables need a symmetric \(3, 3\).*\(2, 2\)"):
            gaussian_expectation(w[0], w, covariance=sympy.eye(2))
