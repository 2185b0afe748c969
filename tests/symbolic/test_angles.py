"""Bounds on least eigenvalues from inner products: the series, and what they enclose."""

import math

import numpy as np
import pytest
import sympy

from ntkverify import NtkVerifyError
from ntkverify.problems.neural_operator.limits import limit_factors
from ntkverify.symbolic.limit import angles
from ntkverify.symbolic.limit.angles import KERNELS, AngleBounds, angle_bounds, coefficients, row_sums, termwise


def matrix(points, kernel):
    factors = limit_factors(("relu", None, points.shape[1], 2), points, {"data": np.eye(2)})
    return factors.branch_gram if kernel == "gram" else factors.branch_covariance


def directions(n, d, *, spread=3.0, seed=0):
    rng = np.random.default_rng(seed)
    x = np.eye(d)[0] + spread * rng.standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def moduli(x):
    return np.abs(x @ x.T) * (1 - np.eye(len(x)))


class TestSeries:
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_it_is_that_of_the_kernel(self, kernel):
        rho = sympy.Symbol("rho")
        angle = sympy.acos(rho)
        whole = {
            "gram": rho * (sympy.pi - angle) / (2 * sympy.pi),
            "covariance": (sympy.sqrt(1 - rho**2) + (sympy.pi - angle) * rho) / (2 * sympy.pi),
        }[kernel]
        series = sympy.Poly(sympy.series(whole, rho, 0, 9).removeO(), rho)
        wanted = [float(series.coeff_monomial(rho**p)) for p in range(9)]
        np.testing.assert_allclose(coefficients(kernel, 9), wanted, rtol=1e-14)

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("power", [1, 2, 7, 64, 1001])
    def test_tails_are_below_what_is_left_and_near_it(self, kernel, power):
        left = 0.5 - sum(coefficients(kernel, power))
        found = angles._integral(kernel, power)
        assert found <= left * (1 + 1e-9)
        assert power < 64 or found > 0.9 * left
        assert angles._tails(kernel)[np.array([power])][0] == pytest.approx(left, rel=1e-3)

    def test_row_sums_are_those_of_powers(self):
        entries = moduli(directions(5, 3))
        found = list(row_sums(entries, 4))
        assert found[0] == 4
        assert found[3] == pytest.approx((entries**3).sum(axis=1).max())


class TestBounds:
    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize(("n", "d", "spread"), [(2, 2, 3.0), (7, 3, 3.0), (40, 6, 3.0), (30, 8, 0.1), (3, 2, 1e-3)])
    def test_they_enclose_the_spectrum(self, kernel, n, d, spread):
        for seed in range(5):
            x = directions(n, d, spread=spread, seed=seed)
            values, found = np.linalg.eigvalsh(matrix(x, kernel)), angle_bounds(x, kernel)
            rounding = 64 * n * np.finfo(float).eps
            assert found.lower <= values[0] + rounding
            assert values[0] <= found.upper + rounding
            assert values[-1] <= found.norm
            assert termwise(moduli(x), kernel) <= values[0] + rounding

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_powers_two_an_octave_cost_little(self, kernel):
        for seed in range(10):
            x = directions(20, 8, seed=seed)
            assert angle_bounds(x, kernel).lower >= 0.75 * termwise(moduli(x), kernel)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_blocks_and_many_samples_say_nothing_more(self, kernel, monkeypatch):
        x = directions(30, 4)
        values, whole = np.linalg.eigvalsh(matrix(x, kernel)), angle_bounds(x, kernel)
        monkeypatch.setattr(angles, "_BLOCK", 70)
        np.testing.assert_allclose(
            [angle_bounds(x, kernel).lower, angle_bounds(x, kernel).upper], [whole.lower, whole.upper], rtol=1e-12
        )
        found = angle_bounds(x, kernel, pairwise=4)
        assert 0 < found.lower <= whole.lower * (1 + 1e-12)
        assert found.lower <= values[0] <= found.upper
        assert found.upper == pytest.approx(whole.upper)  # by the nearest of each, whose kernel is the largest

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_a_sample_at_obtuse_angles_to_all_others_is_not_its_own_neighbour(self, kernel):
        x = np.array([[math.cos(a), math.sin(a)] for a in (0.0, 2.2, 4.2)])
        found = angle_bounds(x, kernel, pairwise=0)
        assert found.lower <= np.linalg.eigvalsh(matrix(x, kernel))[0] <= found.upper

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_two_samples_lose_less_than_two_fifths_at_any_angle(self, kernel):
        for angle in (0.3, 1e-2, 1e-5):
            x = np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
            least = np.linalg.eigvalsh(matrix(x, kernel))[0]
            assert 0.6 * least <= termwise(moduli(x), kernel) <= least

    @pytest.mark.parametrize("angle", [1e-6, 1e-3, 0.5, math.pi / 2, 3.0])
    def test_two_samples_leave_no_room(self, angle):
        found = angle_bounds([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
        wanted = 0.5 - abs(math.cos(angle)) * (math.pi - angle) / (2 * math.pi)
        assert found.lower <= wanted * (1 + 1e-9) + 1e-15
        # an inner product is known to some ulps, and an angle of 1e-6 from it to a thousandth
        assert found.lower == pytest.approx(found.upper, rel=1e-2)

    def test_opposite_samples_are_told_apart_by_the_kernel_itself(self):
        x = np.array([[1.0, 0.0], [-1.0, 0.0]])
        assert termwise(moduli(x), "gram") == 0
        assert angle_bounds(x).lower == pytest.approx(0.5)

    def test_lengths_scale_rows_and_columns(self):
        x = directions(6, 3)
        lengths = np.array([0.5, 1.0, 2.0, 1.0, 3.0, 0.7])
        whole = matrix(x, "gram") * np.outer(lengths, lengths)
        values, found = np.linalg.eigvalsh(whole), angle_bounds(x * lengths[:, None])
        assert found.lower <= values[0] <= found.upper
        assert values[-1] <= found.norm

    def test_one_sample_is_half_of_its_square(self):
        found = angle_bounds([[0.0, 2.0]])
        assert found.lower == pytest.approx(2.0)
        assert found.upper == pytest.approx(2.0)

    def test_repeated_samples_leave_nothing(self):
        assert angle_bounds([[0.6, 0.8], [0.6, 0.8]]).lower == 0

    def test_scaled(self):
        assert AngleBounds(1.0, 2.0, 3.0).scaled(2.0) == AngleBounds(2.0, 4.0, 6.0)

    @pytest.mark.parametrize("points", [np.zeros((0, 3)), [[0.0, 0.0], [1.0, 0.0]], [1.0, 2.0]])
    def test_what_has_no_angle_is_refused(self, points):
        with pytest.raises(NtkVerifyError, match="none of them zero"):
            angle_bounds(points)
