"""Both error rates of every test, by exact calculation or by many seeded repetitions."""

import numpy as np
import pytest
from scipy import stats

from ntkverify import NtkVerifyError, statistics


class TestFailureRate:
    @pytest.mark.parametrize("delta", [0.01, 0.1, 0.5])
    @pytest.mark.parametrize("draws", [10, 66, 500])
    def test_false_alarm_is_at_most_alpha(self, delta, draws):
        alpha = 1e-3
        rejected = [f for f in range(draws + 1) if statistics.failure_rate(f, draws, delta, alpha=alpha).rejected]
        assert stats.binom.pmf(rejected, draws, delta).sum() <= alpha

    @pytest.mark.parametrize("delta", [0.01, 0.1])
    def test_detectable_rate_is_found_with_the_stated_power(self, delta):
        draws, alpha = 200, 1e-4
        rate = statistics.detectable_rate(draws, delta, alpha=alpha)
        assert statistics.power_at(rate, draws, delta, alpha=alpha) == pytest.approx(0.99, abs=1e-9)
        assert statistics.power_at(0.9 * rate, draws, delta, alpha=alpha) < 0.99

    def test_too_few_draws_detect_nothing(self):
        assert statistics.detectable_rate(3, 0.1, alpha=1e-6) == np.inf

    def test_draws_needed_is_the_least_number(self):
        draws = statistics.draws_needed(0.1, 0.3, alpha=1e-6)
        assert statistics.detectable_rate(draws, 0.1, alpha=1e-6) <= 0.3
        assert statistics.detectable_rate(draws - 1, 0.1, alpha=1e-6) > 0.3

    def test_confidence_without_failures(self):
        # 1 - (1 - delta)^draws reaches 0.999 at 66 draws for delta = 0.1
        assert statistics.failure_rate(0, 66, 0.1, alpha=1e-3).upper <= 0.1
        assert statistics.failure_rate(0, 65, 0.1, alpha=1e-3).upper > 0.1

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [((5, 4, 0.1), {"alpha": 0.1}), ((0, 4, 1.5), {"alpha": 0.1}), ((0, 4, 0.1), {"alpha": 0.0})],
    )
    def test_impossible_input(self, arguments, options):
        with pytest.raises(NtkVerifyError, match=r"must lie|impossible"):
            statistics.failure_rate(*arguments, **options)

    def test_undetectable_difference_is_refused(self):
        with pytest.raises(NtkVerifyError, match="allowed by the claim itself"):
            statistics.draws_needed(0.1, 0.1, alpha=1e-3)
        with pytest.raises(NtkVerifyError, match="more than 100"):
            statistics.draws_needed(0.1, 0.11, alpha=1e-3, limit=100)


class TestEProcess:
    def test_stopping_at_will_keeps_the_level(self):
        # 400 watched sequences at the boundary of the null: the naive test watched like this alarms in a third of them
        rng = np.random.default_rng(0)
        alpha, alarms, naive = 0.05, 0, 0
        for _ in range(400):
            process, seen, peeked = statistics.EProcess(0.1), False, False
            failed = rng.random(100) < 0.1
            for i, failure in enumerate(failed, 1):
                process.update(failure)
                seen |= process.rejects(alpha)
                peeked |= i >= 10 and stats.binom.sf(failed[:i].sum() - 1, i, 0.1) <= alpha
            alarms += seen
            naive += peeked
        # at level alpha the number of alarms exceeds this bound with probability below 1e-4
        assert alarms <= stats.binom.isf(1e-4, 400, alpha)
        assert naive > stats.binom.isf(1e-4, 400, alpha)

    def test_expectation_under_the_null_is_at_most_one(self):
        # exactly, by summing over all sequences of 12 draws
        draws = 12
        for p in (0.02, 0.1):
            total = 0.0
            for failures in range(draws + 1):
                process = statistics.EProcess(0.1)
                for i in range(draws):
                    process.update(i < failures)
                total += stats.binom.pmf(failures, draws, p) * np.exp(process.log_value)
            assert total <= 1 + 1e-12

    def test_false_claims_are_found(self):
        process = statistics.EProcess(0.1)
        for _ in range(9):
            process.update(True)
        assert process.rejects(1e-7)

    def test_delta_outside_the_unit_interval(self):
        with pytest.raises(NtkVerifyError, match="delta"):
            statistics.EProcess(1.0)


class TestSlope:
    def test_coverage(self):
        rng = np.random.default_rng(1)
        widths = np.repeat([64, 256, 1024], 10)
        missed = 0
        for _ in range(500):
            fit = statistics.log_log_slope(widths, widths**-0.5 * np.exp(0.3 * rng.standard_normal(30)), alpha=0.05)
            missed += not fit.low <= -0.5 <= fit.high
        assert missed <= stats.binom.isf(1e-4, 500, 0.05)
        assert missed >= stats.binom.ppf(1e-4, 500, 0.05)

    @pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, -1.0, 2.0], [1.0, np.nan, 2.0]])
    def test_bad_values(self, values):
        with pytest.raises(NtkVerifyError, match="slope"):
            statistics.log_log_slope([1, 2, 4][: len(values)], values, alpha=0.1)


class TestGoodnessOfFit:
    def test_level_and_power(self):
        rng = np.random.default_rng(2)
        alpha, draws = 0.01, 400
        true = [
            statistics.goodness_of_fit(rng.standard_normal(draws), stats.norm.cdf, within=0, alpha=alpha)
            for _ in range(300)
        ]
        assert sum(fit.rejected for fit in true) <= stats.binom.isf(1e-4, 300, alpha)
        # a shift whose Kolmogorov distance is what the test promises to find
        shift = 2 * stats.norm.ppf(0.5 + true[0].detectable / 2)
        false = [
            statistics.goodness_of_fit(shift + rng.standard_normal(draws), stats.norm.cdf, within=0, alpha=alpha)
            for _ in range(300)
        ]
        assert sum(fit.rejected for fit in false) >= stats.binom.ppf(1e-4, 300, 1 - alpha)

    def test_empty_or_infinite_sample(self):
        for sample in ([], [np.inf]):
            with pytest.raises(NtkVerifyError, match="sample"):
                statistics.goodness_of_fit(sample, stats.norm.cdf, within=0, alpha=0.1)


def test_the_budget_is_shared():
    assert statistics.share_budget(20) == pytest.approx(5e-8)
    assert statistics.share_budget(0) == statistics.SESSION_BUDGET
