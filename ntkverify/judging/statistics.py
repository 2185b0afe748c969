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

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

#: probability of one false alarm anywhere in a test session
SESSION_BUDGET = 1e-6


def _check_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise NtkVerifyError(f"the level alpha must lie strictly between 0 and 1, not {alpha}.")


@dataclass(frozen=True)
class FailureTest:
    """Result of `failure_rate`: the null hypothesis is "draw i fails with probability at most delta_i".

    Parameters
    ----------
    failures, draws : int
        What was seen.
    p_value : float
        Probability, at the worst case of the null hypothesis, of at least this many failures.
    rejected : bool
        ``p_value <= alpha``; wrong with probability at most alpha.
    detectable : float
        Smallest common failure probability that these many draws reject with the given power; inf means that
        not even a claim that always fails would have been found.
    """

    failures: int
    draws: int
    p_value: float
    rejected: bool
    detectable: float


def failure_rate(failures: int, deltas: ArrayLike, *, alpha: float, power: float = 0.99) -> FailureTest:
    """Exact one-sided test of ``P(draw i fails) <= delta_i`` over independent draws, their number fixed beforehand.

    The number of failures is at its largest, in distribution, when every draw fails with its delta_i: then
    it is Poisson binomial (binomial when all are equal).

    Parameters
    ----------
    failures : int
        How many draws failed.
    deltas : array (draws,)
        The allowed failure probability of each draw, in [0, 1).
    alpha : float
        Level.
    power : float
        With which probability a failure rate of `detectable` is found.

    Raises
    ------
    NtkVerifyError
        If a probability lies outside its range or the counts are impossible.
    """
    _check_level(alpha)
    _check_level(1 - power)
    allowed = np.asarray(deltas, float)
    if not ((allowed >= 0) & (allowed < 1)).all():
        raise NtkVerifyError(f"allowed failure probabilities must lie in [0, 1), not {allowed}.")
    if not 0 <= failures <= allowed.size:
        raise NtkVerifyError(f"{failures} failures in {allowed.size} draws is impossible.")
    null = _failures(allowed)
    p_value = min(1.0, float(null.sf(failures - 1)))
    return FailureTest(
        failures, allowed.size, p_value, p_value <= alpha, detectable_rate(allowed, alpha=alpha, power=power)
    )


def detectable_rate(deltas: ArrayLike, *, alpha: float, power: float = 0.99) -> float:
    """Smallest common failure probability found by `failure_rate` with probability `power`; inf if none is."""
    allowed = np.asarray(deltas, float)
    critical = critical_failures(allowed, alpha=alpha)
    if critical > allowed.size:
        return math.inf
    # P(at least `critical` failures) as a function of p is a beta distribution function
    return float(stats.beta.ppf(power, critical, allowed.size - critical + 1))


def critical_failures(deltas: ArrayLike, *, alpha: float) -> int:
    """Least number of failures that `failure_rate` rejects; one more than the draws if it never does."""
    allowed = np.asarray(deltas, float)
    counts = np.arange(1, allowed.size + 1)
    rejects = np.asarray(_failures(allowed).sf(counts - 1)) <= alpha
    return int(counts[rejects][0]) if rejects.any() else allowed.size + 1


def _failures(deltas: Array) -> Any:
    """Distribution of the number of failures at the worst case of the null hypothesis."""
    if (deltas == deltas[0]).all():
        return stats.binom(deltas.size, deltas[0])
    return stats.poisson_binom(deltas)


class EProcess:
    """Anytime-valid evidence against ``P(draw i fails) <= delta_i``: watch it after every draw, stop whenever you like.

    The likelihood ratio of a common failure probability theta against delta_i is a supermartingale under every
    failure probability up to delta_i < theta; mixed over theta with a Beta(1/2, 1/2) prior cut to (largest delta, 1)
    it stays one, so by Ville's inequality it ever reaches 1/alpha with probability at most alpha. Values
    from independent campaigns on the same claim may be multiplied.

    Parameters
    ----------
    largest : float
        No delta_i exceeds it; known before the first draw. In (0, 1).
    """

    def __init__(self, largest: float) -> None:
        if not 0 < largest < 1:
            raise NtkVerifyError(f"delta must lie strictly between 0 and 1, not {largest}.")
        self.largest = largest
        self.failures = 0
        self.draws = 0
        self._log_null = 0.0

    def update(self, failed: bool, *, delta: float | None = None) -> float:
        """Record one draw, allowed to fail with probability `delta` (the largest by default); returns the log e-value.

        Raises
        ------
        NtkVerifyError
            If `delta` exceeds the largest announced.
        """
        allowed = self.largest if delta is None else delta
        if not 0 < allowed <= self.largest:
            raise NtkVerifyError(f"delta is {allowed} for one draw, outside (0, {self.largest}] as announced.")
        self.draws += 1
        self.failures += bool(failed)
        self._log_null += math.log(allowed) if failed else math.log1p(-allowed)
        return self.log_value

    @property
    def log_value(self) -> float:
        """Natural logarithm of the e-value."""
        a, b = 0.5 + self.failures, 0.5 + self.draws - self.failures
        kept = special.betaincc(a, b, self.largest)  # posterior mass of theta > largest delta
        if kept == 0:  # below 1e-300: so many successes that there is no evidence at all
            return -math.inf
        mixed = special.betaln(a, b) + math.log(kept)
        prior = special.betaln(0.5, 0.5) + math.log(special.betaincc(0.5, 0.5, self.largest))
        return float(mixed - prior - self._log_null)

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
    normally and alike at every width (a law that only changes scale scatters alike), approximate otherwise.

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
