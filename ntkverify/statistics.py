"""Statistical tests behind the quantifiers, each with both of its error rates stated.

False alarm: calling a true claim violated. Every test takes the level ``alpha`` it may spend on
that. False pass: missing a claim that is false by a stated amount; every test says by how much a
claim must be false to be found with probability at least ``1 - alpha`` (or a stated power).
Distribution functions come from scipy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ntkverify.errors import NtkVerifyError

#: probability of one false alarm anywhere in a test session
SESSION_BUDGET = 1e-6


def _check_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise NtkVerifyError(f"the level alpha must lie strictly between 0 and 1, not {alpha}.")


@dataclass(frozen=True)
class BinomialTest:
    """Result of `failure_rate`: the null hypothesis is "the failure probability is at most delta".

    Parameters
    ----------
    failures, draws : int
        What was seen.
    p_value : float
        Probability, at the worst case of the null hypothesis, of at least this many failures.
    rejected : bool
        ``p_value <= alpha``; wrong with probability at most alpha.
    detectable : float
        Smallest failure probability that these many draws reject with the given power; 1 or more means
        that not even a claim that always fails would have been found.
    upper : float
        Upper Clopper-Pearson confidence bound of the failure probability at level alpha.
    """

    failures: int
    draws: int
    p_value: float
    rejected: bool
    detectable: float
    upper: float


def failure_rate(failures: int, draws: int, delta: float, *, alpha: float, power: float = 0.99) -> BinomialTest:
    """Exact one-sided binomial test of ``P(failure) <= delta`` at a number of draws fixed beforehand.

    Raises
    ------
    NtkVerifyError
        If a probability lies outside (0, 1) or the counts are impossible.
    """
    _check_level(alpha)
    _check_level(1 - power)
    if not 0 <= delta < 1:
        raise NtkVerifyError(f"the allowed failure probability must lie in [0, 1), not {delta}.")
    if not 0 <= failures <= draws:
        raise NtkVerifyError(f"{failures} failures in {draws} draws is impossible.")
    p_value = float(stats.binom.sf(failures - 1, draws, delta))
    upper = 1.0 if failures == draws else float(stats.beta.ppf(1 - alpha, failures + 1, draws - failures))
    return BinomialTest(
        failures, draws, p_value, p_value <= alpha, detectable_rate(draws, delta, alpha=alpha, power=power), upper
    )


def detectable_rate(draws: int, delta: float, *, alpha: float, power: float = 0.99) -> float:
    """Smallest failure probability found by `failure_rate` with probability `power`; inf if none is."""
    critical = _critical(draws, delta, alpha)
    if critical > draws:
        return math.inf
    # P(at least `critical` failures) as a function of p is a beta distribution function
    return float(stats.beta.ppf(power, critical, draws - critical + 1))


def draws_needed(delta: float, detect: float, *, alpha: float, power: float = 0.99, limit: int = 100_000) -> int:
    """Least number of draws for which `detectable_rate` is at most `detect`.

    Raises
    ------
    NtkVerifyError
        If ``detect <= delta`` or more than `limit` draws are needed.
    """
    if detect <= delta:
        raise NtkVerifyError(f"a failure rate of {detect} is allowed by the claim itself (delta = {delta}).")
    low, high = 0, 1
    while detectable_rate(high, delta, alpha=alpha, power=power) > detect:
        low, high = high, 2 * high
        if high > limit:
            raise NtkVerifyError(f"more than {limit} draws are needed to tell {detect} from {delta}; raise `detect`.")
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_rate(middle, delta, alpha=alpha, power=power) > detect:
            low = middle
        else:
            high = middle
    return high


class EProcess:
    """Anytime-valid evidence against ``P(failure) <= delta``: watch it after every draw, stop whenever you like.

    The likelihood ratio of a failure probability theta > delta against delta is a supermartingale under every
    failure probability up to delta; mixed over theta with a Beta(1/2, 1/2) prior cut to (delta, 1) it stays one, so
    by Ville's inequality it ever reaches 1/alpha with probability at most alpha. Values from independent
    campaigns on the same claim may be multiplied.

    Parameters
    ----------
    delta : float
        The allowed failure probability, in (0, 1).
    """

    def __init__(self, delta: float) -> None:
        if not 0 < delta < 1:
            raise NtkVerifyError(f"delta must lie strictly between 0 and 1, not {delta}.")
        self.delta = delta
        self.failures = 0
        self.draws = 0

    def update(self, failed: bool) -> float:
        """Record one draw and return the logarithm of the e-value."""
        self.draws += 1
        self.failures += bool(failed)
        return self.log_value

    @property
    def log_value(self) -> float:
        """Natural logarithm of the e-value."""
        a, b = 0.5 + self.failures, 0.5 + self.draws - self.failures
        kept = special.betaincc(a, b, self.delta)  # posterior mass of theta > delta
        if kept == 0:  # below 1e-300: so many successes that there is no evidence at all
            return -math.inf
        mixed = special.betaln(a, b) + math.log(kept)
        prior = special.betaln(0.5, 0.5) + math.log(special.betaincc(0.5, 0.5, self.delta))
        null = self.failures * math.log(self.delta) + (self.draws - self.failures) * math.log1p(-self.delta)
        return float(mixed - prior - null)

    def rejects(self, alpha: float) -> bool:
        """Whether the evidence suffices at level alpha, at this moment."""
        _check_level(alpha)
        return self.log_value >= -math.log(alpha)


@dataclass(frozen=True)
class Slope:
    """Result of `log_log_slope`.

    Parameters
    ----------
    slope : float
        Fitted exponent.
    low, high : float
        Confidence interval at level alpha.
    draws : int
        Number of points fitted.
    """

    slope: float
    low: float
    high: float
    draws: int

    @property
    def resolution(self) -> float:
        """An exponent further than this from the truth is excluded with probability at least 1 - alpha."""
        return self.high - self.low


def log_log_slope(widths: ArrayLike, values: ArrayLike, *, alpha: float) -> Slope:
    """Exponent of ``value ~ width**exponent`` from independent draws at several widths, with a t interval.

    The logarithms of the values are fitted by least squares; the interval is exact when they scatter
    normally and alike at every width, which is what a law that only changes scale gives up to the shape.

    Raises
    ------
    NtkVerifyError
        If there are fewer than three draws or two widths, or a value is not positive and finite.
    """
    _check_level(alpha)
    x, y = np.asarray(widths, float), np.asarray(values, float)
    if x.size < 3 or np.unique(x).size < 2:
        raise NtkVerifyError(f"a slope needs at least three draws over two widths, not {x.size} draws.")
    if not (np.isfinite(y).all() and (y > 0).all()):
        raise NtkVerifyError("a log-log slope needs positive finite values; one is zero, negative or not finite.")
    fit = stats.linregress(np.log(x), np.log(y))
    half = float(stats.t.ppf(1 - alpha / 2, x.size - 2) * fit.stderr)
    return Slope(float(fit.slope), float(fit.slope - half), float(fit.slope + half), int(x.size))


@dataclass(frozen=True)
class Fit:
    """Result of `goodness_of_fit`.

    Parameters
    ----------
    distance : float
        Kolmogorov distance between the sample and the claimed distribution.
    allowed : float
        Largest distance compatible with the claim at level alpha.
    detectable : float
        A true distance beyond this is found with probability at least 1 - alpha.
    draws : int
        Sample size.
    rejected : bool
        ``distance > allowed``; wrong with probability at most alpha.
    """

    distance: float
    allowed: float
    detectable: float
    draws: int
    rejected: bool


def goodness_of_fit(sample: ArrayLike, cdf: Callable[[Any], Any], *, within: float, alpha: float) -> Fit:
    """Test "the distribution of the sample is within Kolmogorov distance `within` of `cdf`".

    By the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant, valid for every sample size, the
    empirical distribution is within ``sqrt(log(2/alpha) / (2 N))`` of the true one except with probability alpha.
    """
    _check_level(alpha)
    x = np.asarray(sample, float)
    if x.size == 0 or not np.isfinite(x).all():
        raise NtkVerifyError("a goodness-of-fit test needs a non-empty finite sample.")
    distance = float(stats.ks_1samp(x, cdf).statistic)
    noise = math.sqrt(math.log(2 / alpha) / (2 * x.size))
    return Fit(distance, within + noise, within + 2 * noise, int(x.size), distance > within + noise)


def share_budget(tests: int, *, budget: float = SESSION_BUDGET) -> float:
    """Level of one test when `tests` of them share one budget of false alarms (union bound)."""
    _check_level(budget)
    return budget / max(tests, 1)


def power_at(rate: float, draws: int, delta: float, *, alpha: float) -> float:
    """Probability that `failure_rate` rejects when the true failure probability is `rate`."""
    return float(stats.binom.sf(_critical(draws, delta, alpha) - 1, draws, rate))


def _critical(draws: int, delta: float, alpha: float) -> int:
    """Least number of failures that `failure_rate` rejects; ``draws + 1`` if it never does."""
    return int(stats.binom.isf(alpha, draws, delta)) + 1
