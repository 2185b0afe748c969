"""Limit Gram matrices against independent formulas, quadrature and sampling."""

import mpmath
import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.limits import limit_gram
from ntkverify.symbolic.neuron import regression_neuron

EPS = np.finfo(float).eps


class TestReluRegression:
    @pytest.fixture
    def gram(self):
        return limit_gram(regression_neuron("relu", dimension=3))

    def test_the_kernel_is_the_arc_cosine_formula(self, gram):
        q, theta = sympy.Symbol("q", real=True), sympy.Symbol("theta", nonnegative=True)
        assert sympy.simplify(gram.kernel - q * (sympy.pi - theta) / (2 * sympy.pi)) == 0
        assert r"\theta" in gram.latex()

    @pytest.mark.parametrize("angle", [1e-8, 1e-4, 0.3, 1.0, 2.0, 3.0, np.pi - 1e-4, np.pi - 1e-8])
    def test_array_agrees_with_an_exact_angle(self, gram, angle):
        points = np.array([[2.0, 0.0, 0.0], [3 * np.cos(angle), 3 * np.sin(angle), 0.0]])
        with mpmath.workdps(50):
            x, y = ([mpmath.mpf(c) for c in p] for p in points)
            dot = mpmath.fdot(x, y)
            theta = mpmath.atan2(abs(x[0] * y[1] - x[1] * y[0]), dot)
            expected = dot * (mpmath.pi - theta) / (2 * mpmath.pi)
        assert gram.matrix(points)[0, 1] == pytest.approx(float(expected), rel=20 * EPS)

    def test_identical_opposite_and_zero_points(self, gram):
        points = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], [0.0, 0.0, 0.0]])
        expected = np.zeros((4, 4))
        expected[:2, :2] = expected[2, 2] = 7.0
        np.testing.assert_allclose(gram.matrix(points), expected, rtol=20 * EPS)
        assert gram.trace(points) == pytest.approx(21.0, rel=20 * EPS)

    def test_balls_contain_the_exact_values(self, gram):
        flint = pytest.importorskip("flint")
        points = [["1/3", "2", "0"], [-1, -6, "1/1000000000"], [0, 0, 0]]
        balls = gram.matrix_balls(points, 128)
        exact = gram.matrix_mpmath(points, 60)
        for i in range(3):
            for j in range(3):
                with mpmath.workdps(60):
                    assert balls[i, j].overlaps(flint.arb(mpmath.nstr(exact[i][j], 55)))
                assert balls[i, j].rad() < flint.arb("1e-30")

    def test_bad_points_are_refused(self, gram):
        with pytest.raises(NtkVerifyError, match=r"shape \(n, 3\).*shape \(2, 2\)"):
            gram.matrix(np.ones((2, 2)))
        with pytest.raises(NtkVerifyError, match=r"finite.*row 1"):
            gram.matrix(np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]]))
