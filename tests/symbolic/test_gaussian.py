"""Closed forms of Gaussian expectations against 50-digit quadrature, for each family of activations.

Each family is checked through the covariance E[sigma(w.x) sigma(w.x')] of a network without biases, and its
one-dimensional reduction is written out here by hand: polar coordinates for powers of ReLU, and the conditional
expectation given w.x for the others. All values are compared relatively, except where a kernel is a sum of terms of
both signs (cubic, leaky ReLU, GELU): these are held against sqrt(E sigma^2 E sigma'^2), and the share of the
instances that agree relatively all the same is asserted.
"""

import math

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import example, given
from limit_references import (
    COUNT,
    INSTANCES,
    TINY,
    Agreement,
    angles,
    exact_geometry,
    gram_of,
    legendre,
    needs_balls,
    norms,
    points_at,
    smooth_expectation,
)

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.gaussian import gaussian_expectation
from ntkverify.symbolic.expectation.halfspace import PlaneMoments, plane_moment, theta_symbol
from ntkverify.symbolic.expectation.wick import PlanePolynomials
from ntkverify.symbolic.expression.functions import PositivePower, Z
from ntkverify.symbolic.network.activations import Activation, leaky_relu


@pytest.fixture(autouse=True)
def sixty_digits():
    with needs_balls():
        yield


def check_family(activation, reference, *, signed=False, least_share=1.0):
    """Compare with ``reference(rho, rho', cosine, sine)`` on all instances, relatively unless the kernel is signed."""
    agreement = Agreement(activation, signed=signed)

    @INSTANCES
    @example(1.0, 1.0, TINY)
    @example(1.0, 1.0, math.pi - TINY)
    @given(norms, norms, angles)
    def run(rho, rho2, angle):
        points = points_at(rho, rho2, angle)
        agreement(points, reference(*exact_geometry(points)))

    run()
    share, count = agreement.share()
    assert count >= COUNT
    assert share >= least_share


def polar(power, other, supplement):
    """E[(w.x)_+^i (w.x')_+^j] of unit vectors at an angle of pi - supplement, in polar coordinates.

    In units of the supplement the frequencies are at most (i + j) pi = 16 pi, hence 8 pi on [-1, 1], of which
    Gauss-Legendre with 64 nodes leaves less than (e 8 pi/(4 * 64))^128 < 1e-70.
    """
    from flint import arb

    total = arb(0)
    for node, weight in legendre(64):
        s = (1 + node) / 2
        total += weight / 2 * (supplement * s).sin() ** power * (supplement * (1 - s)).sin() ** other
    half = arb(power + other) / 2
    radial = 2**half * (half + 1).gamma()
    return radial * supplement * total / (2 * arb.pi())


class TestPositivePowers:
    @pytest.mark.parametrize("power", range(1, 9))
    def test_against_polar_quadrature(self, power):
        from flint import arb

        def reference(rho, rho2, cosine, sine):
            return (rho * rho2) ** power * polar(power, power, arb.atan2(sine, -cosine))

        check_family(f"relu{power}" if power > 1 else "relu", reference)

    def test_leaky_relu_against_polar_quadrature(self):
        """z_+ - s (-z)_+: of the four products two are at the angle, and two at its supplement."""
        from flint import arb

        def reference(rho, rho2, cosine, sine):
            slope = arb(1) / 100
            near, far = (polar(1, 1, arb.atan2(sine, sign * cosine)) for sign in (-1, 1))
            return rho * rho2 * ((1 + slope**2) * near - 2 * slope * far)

        check_family(leaky_relu("1/100"), reference, signed=True, least_share=0.98)

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
    def test_erf_against_quadrature(self):
        def reference(rho, rho2, cosine, sine):
            width = (1 + 2 * (rho2 * sine) ** 2).sqrt()
            return smooth_expectation(lambda u: (rho * u).erf() * (rho2 * cosine * u / width).erf())

        check_family("erf", reference)

    @pytest.mark.parametrize(
        ("activation", "factor"),
        [
            (Activation("erf_slope", sympy.diff(sympy.erf(Z), Z)), lambda pi: 4 / pi),
            (Activation("shifted_bump", sympy.exp(1 - Z**2)), lambda pi: pi * 0 + (pi * 0 + 2).exp()),
        ],
        ids=["erf_slope", "exp(1-z^2)"],
    )
    def test_gaussian_bumps_against_quadrature(self, activation, factor):
        from flint import arb

        def reference(rho, rho2, cosine, sine):
            width = 1 + 2 * (rho2 * sine) ** 2
            found = smooth_expectation(lambda u: (-((rho * u) ** 2) - (rho2 * cosine * u) ** 2 / width).exp())
            return factor(arb.pi()) * found / width.sqrt()

        check_family(activation, reference)

    @pytest.mark.heavy
    def test_gelu_against_quadrature(self):
        from flint import arb

        def cumulative(z):
            return (1 + (z / arb(2).sqrt()).erf()) / 2

        def density(z):
            return (-z * z / 2).exp() / (2 * arb.pi()).sqrt()

        def reference(rho, rho2, cosine, sine):
            width = (1 + (rho2 * sine) ** 2).sqrt()

            def product(u):
                z = rho2 * cosine * u / width
                smoothed = rho2 * cosine * u * cumulative(z) + (rho2 * sine) ** 2 * density(z) / width
                return rho * u * cumulative(rho * u) * smoothed

            return smooth_expectation(product)

        check_family("gelu", reference, signed=True, least_share=0.98)


class TestWavesAndPolynomials:
    @pytest.mark.parametrize("name", ["sin", "cos"])
    def test_waves_against_quadrature(self, name):
        def reference(rho, rho2, cosine, sine):
            damping = (-((rho2 * sine) ** 2) / 2).exp()
            found = smooth_expectation(lambda u: getattr(rho * u, name)() * getattr(rho2 * cosine * u, name)())
            return damping * found

        check_family(name, reference)

    def test_a_polynomial_against_quadrature(self):
        def reference(rho, rho2, cosine, sine):
            def smoothed(mean, deviation):  # E[z^3 - z + 2] for z ~ N(mean, deviation^2)
                return mean**3 + 3 * mean * deviation**2 - mean + 2

            return smooth_expectation(lambda u: smoothed(rho * u, 0) * smoothed(rho2 * cosine * u, rho2 * sine))

        check_family(Activation("cubic", Z**3 - Z + 2), reference, signed=True, least_share=0.98)

    def test_small_arguments_cancel_nowhere(self):
        """At norms of 1e-6 the kernel of sin is 1e-12 cos(theta), the difference of two numbers near 1/2."""
        for rho in (1e-3, 1e-6, 1e-12):
            points = points_at(rho, 2 * rho, 1.0)
            _, _, cosine, _ = exact_geometry(points)
            # E sin sin = exp(-(q11 + q22)/2) sinh(q12)
            expected = math.exp(-5 * rho**2 / 2) * math.sinh(2 * rho**2 * float(cosine))
            assert gram_of("sin").matrix(points)[0, 1] == pytest.approx(expected, rel=1e-14)


class TestGaussianExpectation:
    w = sympy.symbols("w_0 w_1 w_2", real=True)

    def test_polynomials_follow_wick_for_any_covariance(self):
        a, b, c = sympy.symbols("a b c", positive=True)
        sigma = sympy.Matrix([[a, b], [b, c]])
        w = self.w[:2]
        assert sympy.expand(gaussian_expectation(w[0] ** 2 * w[1] ** 2, w, covariance=sigma) - (a * c + 2 * b**2)) == 0
        assert gaussian_expectation(w[0] ** 3 * w[1], w, covariance=sigma) == 3 * a * b
        assert gaussian_expectation(w[0] ** 2 * w[1], w, covariance=sigma) == 0

    def test_products_that_share_their_expansions_come_out_as_if_alone(self):
        rng = np.random.default_rng(0)
        first, second = rng.standard_normal((2, 3, 2, 2))

        def polynomials():
            return PlanePolynomials(first.__getitem__, second.__getitem__, 1.0)

        monomials = [(0, 0, 1, 2), (0, 1, 2), (), (1, 1), (0, 0, 1, 2), (2,)]
        together = list(map(polynomials(), monomials))
        for monomial, found in zip(monomials, together, strict=True):
            alone = polynomials()(monomial)
            assert found.keys() == alone.keys()
            assert all(np.array_equal(found[key], alone[key]) for key in alone)
        # E[w_1^2 | u, v] = (u e_11 + v e_21)^2 + 1 - e_11^2 - e_21^2
        expected = {(2, 0): first[1] ** 2, (1, 1): 2 * first[1] * second[1], (0, 2): second[1] ** 2}
        expected[0, 0] = 1 - first[1] ** 2 - second[1] ** 2
        for key, value in expected.items():
            np.testing.assert_allclose(together[3][key], value, rtol=1e-14, atol=1e-15)

    def test_half_space_moments_with_polynomial_factors(self):
        x = sympy.symbols("x_0 x_1", positive=True)
        z = self.w[0] * x[0] + self.w[1] * x[1]
        got = gaussian_expectation(self.w[0] ** 2 * PositivePower(z, 2), self.w[:2])
        # by symmetry half of E[w_0^2 z^2] = |x|^2 + 2 x_0^2
        assert sympy.expand(got - (3 * x[0] ** 2 + x[1] ** 2) / 2) == 0

    def test_proportional_directions(self):
        (w,) = self.w[:1]
        assert gaussian_expectation(PositivePower(w, 1) * PositivePower(-w, 1), [w]) == 0
        # E w_+ (2w)_+ = 2/2
        assert gaussian_expectation(PositivePower(w, 1) * PositivePower(2 * w, 1), [w]) == 1
        x, y = sympy.symbols("x y", positive=True)
        assert sympy.expand(
            gaussian_expectation(PositivePower(x * w, 1) * PositivePower(y * w, 2), [w])
        ) == sympy.expand(x * y**2 * sympy.sqrt(2 / sympy.pi))

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
        with pytest.raises(NtkVerifyError, match="no covariance: it is not positive semidefinite"):
            gaussian_expectation(w[0], w[:2], covariance=sympy.Matrix([[1, 2], [2, 1]]))
        with pytest.raises(NtkVerifyError, match=r"3 variables need a symmetric \(3, 3\).*\(2, 2\)"):
            gaussian_expectation(w[0], w, covariance=sympy.eye(2))
