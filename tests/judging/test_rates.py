"""Both error rates of a claim of probability: exactly, over all outcomes, or by many seeded repetitions."""

import itertools

import numpy as np
import pytest
from scipy import stats

from ntkverify import NtkVerifyError
from ntkverify.judging import rates


def watched(outcomes, deltas):
    evidence = rates.TooMany()
    for failed, delta in zip(outcomes, deltas, strict=True):
        evidence.update(failed, delta)
    return evidence


class TestTooMany:
    def test_stopping_at_will_keeps_the_level(self):
        # 400 watched sequences at the boundary of the null: the naive test watched like this alarms in a third of them
        rng = np.random.default_rng(0)
        alpha, alarms, naive = 0.05, 0, 0
        for _ in range(400):
            failed = np.cumsum(rng.random(100) < 0.1)
            alarms += any(rates.log_excess(int(f), i, 0.1) >= -np.log(alpha) for i, f in enumerate(failed, 1))
            naive += any(stats.binom.sf(f - 1, i, 0.1) <= alpha for i, f in enumerate(failed, 1) if i >= 10)
        # at level alpha the number of alarms exceeds this bound with probability below 1e-4
        assert alarms <= stats.binom.isf(1e-4, 400, alpha)
        assert naive > stats.binom.isf(1e-4, 400, alpha)

    @pytest.mark.parametrize("deltas", [[0.1] * 10, [0.02, 0.1, 0.05, 0.4, 0.01] * 2])
    @pytest.mark.parametrize("share", [0.3, 1.0])
    def test_expectation_under_the_null_is_at_most_one(self, deltas, share):
        # exactly, over all 2^10 outcomes, at the boundary of the null and inside
        total = 0.0
        for outcome in itertools.product([False, True], repeat=10):
            rate = share * np.array(deltas)
            probability = np.prod(np.where(outcome, rate, 1 - rate))
            total += probability * np.exp(watched(outcome, deltas).log_value)
        assert total <= 1 + 1e-12
        if share == 1:
            assert total == pytest.approx(1, abs=1e-12)

    def test_the_closed_form_is_the_process(self):
        for failures in range(13):
            process = watched([i < failures for i in range(12)], [0.1] * 12)
            assert rates.log_excess(failures, 12, 0.1) == pytest.approx(process.log_value)

    def test_a_claim_that_always_fails_is_refuted_by_nine_draws(self):
        assert watched([True] * 9, [0.1] * 9).rejects(1e-7)
        assert not watched([True] * 8, [0.1] * 8).rejects(1e-7)

    @pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, np.nan])
    def test_delta_outside_the_unit_interval(self, delta):
        with pytest.raises(NtkVerifyError, match="delta"):
            rates.TooMany().update(True, delta)


class TestExclusion:
    def test_clean_draws_exclude_what_the_docs_say(self):
        clean = {rate: next(n for n in range(500) if rates.excludes(0, n, rate, level=0.99)) for rate in (0.125, 0.2)}
        assert clean == {0.125: 39, 0.2: 23}

    @pytest.mark.parametrize("rate", [0.125, 0.2])
    def test_expectation_under_the_null_is_at_most_one(self, rate):
        # exactly, for failure rates at the boundary and beyond
        failures = np.arange(31)
        values = np.exp(rates.log_exclusion(failures, 30, rate))
        assert stats.binom.pmf(failures, 30, rate) @ values == pytest.approx(1, abs=1e-12)
        assert stats.binom.pmf(failures, 30, 1.2 * rate) @ values < 1

    @pytest.mark.heavy
    def test_a_rate_that_is_reached_is_excluded_wrongly_in_one_run_of_a_hundred_at_most(self):
        rng = np.random.default_rng(1)
        wrong = 0
        for _ in range(1000):
            failed = np.cumsum(rng.random(300) < 0.2)
            draws = np.arange(1, 301)
            values = [rates.log_exclusion(int(f), int(n), 0.2) for f, n in zip(failed, draws, strict=True)]
            wrong += max(values) >= -np.log(0.01)
        assert wrong <= stats.binom.isf(1e-4, 1000, 0.01)

    def test_the_excluded_rate_is_the_least(self):
        rate = rates.excluded_rate(3, 100, level=0.99)
        assert rates.excludes(3, 100, rate, level=0.99)
        assert not rates.excludes(3, 100, 0.995 * rate, level=0.99)
        assert rates.excluded_rate(5, 5, level=0.99) == 1
        assert rates.excluded_rate(0, 1, level=0.99) > 0.99
