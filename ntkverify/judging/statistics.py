"""Tests of samples behind the quantifiers; `ntkverify.judging.rates` has those of draws that fail or do not.

False alarm: calling a true claim violated. False pass: confirming a claim that is false by a stated amount. What is
found here gives intervals at any level, from which a quantifier reads both. Distribution functions come from scipy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # not `from scipy import stats`: that takes a third of a second, and loads when it is first used
from numpy.typing import ArrayLike

from ntkverify.errors import NtkVerifyError


@dataclass(frozen=True)
class Slope:
    """Result of `log_log_slope`.

    Parameters
    ----------
    slope : float
        Fitted exponent.
    error : float
        Its standard error.
    draws : int
        Number of points fitted.
    """

    slope: float
    error: float
    draws: int

    def interval(self, alpha: float) -> tuple[float, float]:
        """Contains the exponent with probability 1 - alpha."""
        half = float(scipy.stats.t.ppf(1 - alpha / 2, self.draws - 2)) * self.error
        return self.slope - half, self.slope + half


def log_log_slope(widths: ArrayLike, values: ArrayLike) -> Slope:
    """Exponent of ``value ~ width**exponent`` from independent draws at several widths.

    The logarithms of the values are fitted by least squares; intervals are exact when they scatter
    normally and alike at every width (a law that only changes scale scatters alike), approximate otherwise.

    Raises
    ------
    NtkVerifyError
        If there are fewer than three draws or two widths, or a value is not positive and finite.
    """
    x, y = np.asarray(widths, float), np.asarray(values, float)
    if x.size < 3 or np.unique(x).size < 2:
        raise NtkVerifyError(f"a slope needs at least three draws over two widths, not {x.size} draws.")
    if not (np.isfinite(y).all() and (y > 0).all()):
        raise NtkVerifyError("a log-log slope needs positive finite values; one is zero, negative or not finite.")
    fit = scipy.stats.linregress(np.log(x), np.log(y))
    # of values that are all the same nothing is left to scatter
    error = float(fit.stderr) if np.ptp(y) > 0 else 0.0
    return Slope(float(fit.slope), error, int(x.size))


@dataclass(frozen=True)
class Distance:
    """Kolmogorov distance of a sample from a law.

    Parameters
    ----------
    distance : float
        What the sample shows.
    draws : int
        Sample size.
    """

    distance: float
    draws: int

    def noise(self, alpha: float) -> float:
        """The sample's distance is this far from the true one with probability at most alpha.

        By the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant, valid for every sample size.
        """
        return math.sqrt(math.log(2 / alpha) / (2 * self.draws))

    @property
    def noise_in_the_middle(self) -> float:
        """Median of what a sample of the very law shows, 0.83/sqrt(N) (Kolmogorov)."""
        return float(scipy.stats.kstwobign.ppf(0.5)) / math.sqrt(self.draws)

    def beyond(self, alpha: float) -> float:
        """The true distance is at least this, but for probability alpha."""
        return self.distance - self.noise(alpha)

    def within(self, alpha: float) -> float:
        """The true distance is at most this, but for probability alpha."""
        return self.distance + self.noise(alpha)


def distance_from(sample: ArrayLike, cdf: Callable[[Any], Any]) -> Distance:
    """Kolmogorov distance between a sample and a law.

    Raises
    ------
    NtkVerifyError
        If the sample is empty or not finite, or the law no distribution function.
    """
    x = np.sort(np.asarray(sample, float))
    if x.size == 0 or not np.isfinite(x).all():
        raise NtkVerifyError("a goodness-of-fit test needs a non-empty finite sample.")
    shares = np.asarray(cdf(x), float)
    if shares.shape != x.shape or not (np.diff(shares, prepend=0, append=1) >= 0).all():
        raise NtkVerifyError("a distribution function must be vectorised and grow from 0 to 1; a density does not.")
    return Distance(float(scipy.stats.ks_1samp(x, cdf).statistic), int(x.size))
