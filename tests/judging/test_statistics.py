"""Intervals of exponents and distances hold what they promise, over many seeded repetitions."""

import numpy as np
import pytest
from scipy import stats

from ntkverify import NtkVerifyError
from ntkverify.judging import statistics


class TestSlope:
    def test_coverage(self):
        rng = np.random.default_rng(1)
        widths = np.repeat([64, 256, 1024], 10)
        missed = 0
        for _ in range(500):
            fit = statistics.log_log_slope(widths, widths**-0.5 * np.exp(0.3 * rng.standard_normal(30)))
            low, high = fit.interval(0.05)
            missed += not low <= -0.5 <= high
        assert missed <= stats.binom.isf(1e-4, 500, 0.05)
        assert missed >= stats.binom.ppf(1e-4, 500, 0.05)

    @pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, -1.0, 2.0], [1.0, np.nan, 2.0]])
    def test_bad_values(self, values):
        with pytest.raises(NtkVerifyError, match="slope"):
            statistics.log_log_slope([1, 2, 4][: len(values)], values)


class TestDistance:
    def test_level_and_power(self):
        rng = np.random.default_rng(2)
        alpha, draws = 0.01, 400
        true = [statistics.distance_from(rng.standard_normal(draws), stats.norm.cdf) for _ in range(300)]
        assert sum(seen.beyond(alpha) > 0 for seen in true) <= stats.binom.isf(1e-4, 300, alpha)
        # a shift whose Kolmogorov distance is twice the noise
        distance = 2 * true[0].noise(alpha)
        shift = 2 * stats.norm.ppf(0.5 + distance / 2)
        false = [statistics.distance_from(shift + rng.standard_normal(draws), stats.norm.cdf) for _ in range(300)]
        assert sum(seen.within(alpha) < distance for seen in false) <= stats.binom.isf(1e-4, 300, alpha)
        assert sum(seen.beyond(alpha) > 0 for seen in false) >= stats.binom.ppf(1e-4, 300, 1 - alpha)

    def test_empty_or_infinite_sample(self):
        for sample in ([], [np.inf]):
            with pytest.raises(NtkVerifyError, match="sample"):
                statistics.distance_from(sample, stats.norm.cdf)
