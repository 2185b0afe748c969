"""Rank correlation with an interval, against SciPy and against laws whose tau is known."""

import numpy as np
import pytest
from scipy import stats

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.quantifiers.correlates import correlates, rank_correlation


def normal_pairs(rng, count, correlation):
    x = rng.standard_normal(count)
    return x, correlation * x + np.sqrt(1 - correlation**2) * rng.standard_normal(count)


class TestRankCorrelation:
    def test_tau_is_that_of_scipy(self):
        x, y = normal_pairs(np.random.default_rng(1), 60, 0.5)
        assert rank_correlation(x, y, alpha=0.1).tau == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)

    @pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
    def test_the_interval_covers_more_often_than_it_says(self, correlation):
        rng = np.random.default_rng(2)
        true = 2 / np.pi * np.arcsin(correlation)  # Kendall's tau of a normal pair
        found = [rank_correlation(*normal_pairs(rng, 40, correlation), alpha=0.05) for _ in range(300)]
        missed = sum(not f.low <= true <= f.high for f in found)
        assert stats.binom.sf(missed - 1, 300, 0.05) > 1e-6

    def test_the_ends_solve_the_chernoff_bound(self):
        x = np.arange(20.0)
        found = rank_correlation(x, x, alpha=0.01)
        assert found.high == 1
        assert (1 + found.low) / 2 == pytest.approx((0.01 / 2) ** (1 / 10), rel=1e-6)  # q^(n/2) = alpha/2 at q^ = 1

    def test_an_interval_narrows_with_draws_and_widens_with_certainty(self):
        rng = np.random.default_rng(3)
        x, y = normal_pairs(rng, 400, 0.7)
        few, many = (rank_correlation(x[:n], y[:n], alpha=1e-3) for n in (50, 400))
        surer = rank_correlation(x, y, alpha=1e-9)
        assert many.high - many.low < few.high - few.low
        assert surer.low < many.low < many.high < surer.high

    def test_ties_count_half(self):
        assert rank_correlation([1, 1, 1], [1, 2, 3], alpha=0.1).tau == 0

    @pytest.mark.parametrize(("x", "y"), [([1.0], [2.0]), ([1.0, np.nan], [1.0, 2.0]), ([1.0, 2.0], [1.0])])
    def test_bad_samples_are_refused(self, x, y):
        with pytest.raises(NtkVerifyError, match="two finite numbers of each"):
            rank_correlation(x, y, alpha=0.1)


def decided(least, pairs):
    return correlates(least).decide(pairs, [], refute=1e-6, confirm=0.997, tolerated=1.25)


class TestVerdicts:
    def pairs(self, correlation, count=400):
        return np.stack(normal_pairs(np.random.default_rng(4), count, correlation), axis=1)

    @pytest.mark.parametrize(
        ("correlation", "least", "status"),
        [
            (0.98, 0.3, "holds"),
            (0.0, 0.5, "violated"),
            (0.5, 1 / 3, "inconclusive"),  # tau is 1/3 exactly
            (-0.98, -0.3, "holds"),
            (0.98, -0.3, "violated"),
        ],
    )
    def test_each_is_reached(self, correlation, least, status):
        found = decided(least, self.pairs(correlation))
        assert found.status == status
        assert "over 400 draws" in found.evidence

    def test_few_draws_confirm_nothing(self):
        assert decided(0.0, self.pairs(0.999, 6)).status == "inconclusive"
        assert decided(0.0, self.pairs(0.999, 1)).status == "inconclusive"

    def test_negative_correlations_are_mirrored(self):
        above, below = decided(0.3, self.pairs(0.9)), decided(-0.3, self.pairs(0.9) * np.array([1, -1]))
        assert above.status == below.status == "holds"
        assert "at least 0.3" in above.evidence
        assert "at most -0.3" in below.evidence

    @pytest.mark.parametrize("least", [1, -1, "0.5", 2.0])
    def test_what_is_no_correlation_is_refused(self, least):
        with pytest.raises(NtkVerifyError, match="strictly between -1 and 1"):
            correlates(least)
