"""Cut-offs and truncated entropies, against spectra whose entropy is known."""

import math

import numpy as np
import pytest

from ntkverify.arithmetic.ball_numbers import ball_array
from ntkverify.errors import NtkVerifyError
from ntkverify.measures.entropy import (
    DEFINITIONS,
    above,
    h1,
    h2,
    h3,
    h4,
    reached,
    rounding_threshold,
    saturated,
    shannon,
    truncated_residuals,
)

SPECTRUM = np.array([4.0, 2.0, 1.0, 1.0, 1e-20])


class TestCutoffs:
    def test_a_threshold_counts_what_exceeds_it(self):
        assert above(SPECTRUM, 1.0) == 2
        assert above(SPECTRUM, rounding_threshold(5, 7) * 4) == 4
        assert rounding_threshold(5, 7) == 7 * 2.0**-52

    def test_the_modes_that_gradient_descent_has_reached(self):
        # eta = 1/sigma_1^2: those at least sigma_1/sqrt(t)
        assert [reached(SPECTRUM, eta=1 / 16, time=t) for t in (0.5, 1, 4, 16, 1e42)] == [0, 1, 2, 4, 5]

    def test_saturation_is_the_first_residual_near_the_least(self):
        assert saturated([5.0, 1.0, 0.101, 0.1, 0.5], excess=0.02) == 2
        assert saturated([5.0, 1.0, 0.101, 0.1, 0.5], excess=0.0) == 3

    def test_truncated_residuals_are_those_of_least_squares(self):
        rng = np.random.default_rng(0)
        matrix, right = rng.standard_normal((6, 4)), rng.standard_normal(6)
        found = truncated_residuals(matrix, right)
        assert found[0] == np.linalg.norm(right)
        assert found[-1] == pytest.approx(math.sqrt(np.linalg.lstsq(matrix, right)[1][0]), rel=1e-12)
        assert (np.diff(found) <= 1e-14).all()


class TestEntropies:
    def test_a_flat_spectrum_has_the_logarithm_of_its_length(self):
        flat = np.full(8, 3.0)
        assert h1(flat, 8) == pytest.approx(math.log(8), rel=1e-14)
        assert h1(flat, 5) == pytest.approx(math.log(5), rel=1e-14)
        assert h3(flat, 5) == pytest.approx(1, rel=1e-14)
        assert h4(flat, 5) == pytest.approx(math.log(5) / math.log(8), rel=1e-14)
        assert h2(flat, 4) == pytest.approx(math.log(8) / 2, rel=1e-14)  # half of the mass, each - 1/8 ln 1/8

    def test_powers_of_two_by_hand(self):
        half = np.array([2.0, 1.0, 1.0])
        assert h1(half, 3) == pytest.approx(1.5 * math.log(2), rel=1e-14)
        assert h1(half, 3, power=2) == pytest.approx(math.log(6) - 2 / 3 * math.log(4), rel=1e-14)

    @pytest.mark.parametrize("name", DEFINITIONS)
    def test_no_definition_sees_the_scale(self, name):
        entropy = DEFINITIONS[name].entropy
        assert entropy(SPECTRUM * 7, 4) == pytest.approx(entropy(SPECTRUM, 4), rel=1e-14)

    def test_a_single_value_and_values_of_zero(self):
        assert h1(SPECTRUM, 1) == h3(SPECTRUM, 1) == 0
        assert shannon(np.array([0.5, 0.5, 0.0])) == pytest.approx(math.log(2), rel=1e-14)

    def test_tiny_values_do_not_underflow_into_nan(self):
        assert np.isfinite(h1(np.array([1.0, 1e-200, 1e-300]), 3, power=2))

    @pytest.mark.parametrize("name", DEFINITIONS)
    def test_balls_enclose_what_floats_give(self, name):
        entropy = DEFINITIONS[name].entropy
        difference = entropy(ball_array(SPECTRUM), 4) - float(entropy(SPECTRUM, 4))
        assert abs(difference) < 1e-14

    @pytest.mark.parametrize("cutoff", [0, 6])
    def test_a_cutoff_outside_the_spectrum_is_refused(self, cutoff):
        with pytest.raises(NtkVerifyError, match="between 1 and 5"):
            h1(SPECTRUM, cutoff)

    @pytest.mark.parametrize("values", [np.empty(0), np.eye(2), np.array([1.0, -1.0]), np.array([np.nan])])
    def test_what_is_no_spectrum_is_refused(self, values):
        with pytest.raises(NtkVerifyError, match="singular value"):
            h1(values, 1)

    def test_zeros_alone_have_no_entropy(self):
        with pytest.raises(NtkVerifyError, match="zeros alone has no entropy"):
            h1(np.zeros(3), 1)
        assert h1(np.array([1.0, 0.0, 0.0]), 3) == 0
