"""Both error rates of every test, by exact calculation or by many seeded repetitions."""

import itertools

import numpy as np
import pytest
from scipy import stats

from ntkverify import NtkVerifyError
from ntkverify.judging import statistics


class TestFailureRate:
    @pytest.mark.parametrize("delta", [0.01, 0.1, 0.5])
    @pytest.mark.parametrize("draws", [10, 66, 500])
    def test_false_alarm_is_at_most_alpha(self, delta, draws):
        alpha = 1e-3
        rejected = [f for f in range(draws + 1) if statistics.failure_rate(f, [delta] * draws, alpha=alpha).rejected]
        assert stats.binom.pmf(rejected, draws, delta).sum() <= alpha

    @pytest.mark.parametrize("delta", [0.01, 0.1])
    def test_detectable_rate_is_found_with_the_stated_power(self, delta):
        draws, alpha = 200, 1e-4
        rate = statistics.detectable_rate([delta] * draws, alpha=alpha)
        critical = statistics.critical_failures([delta] * draws, alpha=alpha)
        assert stats.binom.sf(critical - 1, draws, rate) == pytest.approx(0.99, abs=1e-9)
        assert stats.binom.sf(critical - 1, draws, 0.9 * rate) < 0.99

    def test_different_deltas_keep_the_level(self):
        deltas, alpha = [0.001] * 40 + [0.3] * 5, 1e-3
        critical = statistics.critical_failures(deltas, alpha=alpha)
        # by convolution of the single draws
        law = np.ones(1)
        for delta in deltas:
            law = np.convolve(law, [1 - delta, delta])
        assert law[critical:].sum() <= alpha < law[critical - 1 :].sum()
        assert statistics.failure_rate(critical, deltas, alpha=alpha).rejected
        # pooled under the largest delta the same failures would pass
        assert not statistics.failure_rate(critical, [0.3] * 45, alpha=alpha).rejected

    def test_too_few_draws_detect_nothing(self):
        assert statistics.detectable_rate([0.1] * 3, alpha=1e-6) == np.inf

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [((5, [0.1] * 4), {"alpha": 0.1}), ((0, [1.5]), {"alpha": 0.1}), ((0, [0.1]), {"alpha": 0.0})],
    )
    def test_impossible_input(self, arguments, options):
        with pytest.raises(NtkVerifyError, match=r"must lie|impossible"):
            statistics.failure_rate(*arguments, **options)


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

    def test_expectation_under_the_null_with_different_deltas(self):
        # exactly, over all 2^10 outcomes of draws with their own delta, each at its boundary
        deltas = [0.02, 0.1, 0.05, 0.1, 0.01] * 2
        total = 0.0
        for outcome in itertools.product([False, True], repeat=10):
            process = statistics.EProcess(0.1)
            for failed, delta in zip(outcome, deltas, strict=True):
                process.update(failed, delta=delta)
            probability = np.prod([d if f else 1 - d for f, d in zip(outcome, deltas, strict=True)])
            total += probability * np.exp(process.log_value)
        assert total == pytest.approx(1, abs=1e-12)

    def test_delta_outside_the_unit_interval(self):
        with pytest.raises(NtkVerifyError, match="delta"):
            statistics.EProcess(1.0)
        with pytest.raises(NtkVerifyError, match="announced"):
            statistics.EProcess(0.1).update(True, delta=0.2)


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
