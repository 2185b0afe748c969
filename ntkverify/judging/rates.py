"""Rates of failure, draw by draw: evidence that a claim fails too often, and that it does not.

Both are e-processes: under the hypothesis that is to be excluded their expectation never grows, so that by Ville's
inequality one ever reaches 1/alpha with probability at most alpha, whenever one stops to look.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

#: how much of what delta leaves an alternative fails beyond delta: theta = delta + share * (1 - delta)
_SHARES = np.geomspace(1 / 64, 1, 19)
#: alternatives to a rate that is to be excluded, as fractions of it; half of the weight is on 0
_FRACTIONS = np.array([0.05, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88])


def _log_sum(logarithms: Array) -> Array:
    """Logarithm of the sum of what has these logarithms, over the last axis; scipy's takes ten times as long."""
    largest = logarithms.max(axis=-1)
    return np.asarray(largest + np.log(np.exp(logarithms - largest[..., None]).sum(axis=-1)))


class TooMany:
    """Evidence against "draw i fails with probability at most delta_i", each delta_i known before its draw.

    The likelihood ratio of the failure probability delta_i + s (1 - delta_i) against any up to delta_i is a
    supermartingale; this is its average over nineteen shares s in [1/64, 1]. Evidence from independent
    campaigns on one claim multiplies.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.draws = 0
        self.expected = 0.0
        self._log_ratios = np.full(_SHARES.shape, -math.log(_SHARES.size))

    def update(self, failed: bool, delta: float) -> None:
        """Record one draw that was allowed to fail with probability `delta`.

        Raises
        ------
        NtkVerifyError
            If `delta` does not lie strictly between 0 and 1.
        """
        if not 0 < delta < 1:
            raise NtkVerifyError(f"delta must lie strictly between 0 and 1, not {delta}.")
        self.draws += 1
        self.failures += bool(failed)
        self.expected += delta
        with np.errstate(divide="ignore"):
            self._log_ratios = self._log_ratios + (
                np.log(_SHARES * (1 - delta) / delta + 1) if failed else np.log1p(-_SHARES)
            )

    @property
    def log_value(self) -> float:
        """Natural logarithm of the e-value."""
        return float(_log_sum(self._log_ratios))

    def rejects(self, alpha: float) -> bool:
        """Whether the evidence suffices at level alpha, at this moment."""
        return self.log_value >= -math.log(alpha)


def log_excess(failures: NDArray[np.integer] | int, draws: int, delta: float) -> Array:
    """What `TooMany.log_value` is after so many failures of draws that were all allowed to fail with `delta`."""
    count = np.asarray(failures)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        clean = np.where(draws > count, (draws - count) * np.log1p(-_SHARES), 0.0)
    ratios = count * np.log(_SHARES * (1 - delta) / delta + 1) + clean
    return np.asarray(_log_sum(ratios) - math.log(_SHARES.size))


def log_exclusion(failures: NDArray[np.integer] | int, draws: int, rate: float) -> Array:
    """Logarithm of the e-value against "every draw fails with probability at least `rate`".

    Half of the weight is on the alternative that no draw fails, half on rates of 5% to 88% of `rate`.

    Parameters
    ----------
    failures : int or array of int
        Failures seen.
    draws : int
        Draws made.
    rate : float
        In (0, 1).
    """
    count = np.asarray(failures)[..., None]
    alternatives = _FRACTIONS * rate
    spread = count * np.log(_FRACTIONS) + (draws - count) * (np.log1p(-alternatives) - math.log1p(-rate))
    spread = _log_sum(spread) - math.log(_FRACTIONS.size)
    clean = np.where(count[..., 0] == 0, -draws * math.log1p(-rate), -math.inf)
    return np.asarray(np.logaddexp(clean, spread) - math.log(2))


def excludes(failures: int, draws: int, rate: float, *, level: float) -> bool:
    """Whether a failure rate of `rate` or more is excluded; wrongly with probability at most 1 - `level`."""
    return rate < 1 and bool(log_exclusion(failures, draws, rate) >= -math.log1p(-level))


def excluded_rate(failures: int, draws: int, *, level: float) -> float:
    """The smallest failure rate that is excluded at `level`, to three digits; 1 if none is."""
    low, high = failures / max(draws, 1), 1.0
    while high - low > 5e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if excludes(failures, draws, middle, level=level) else (middle, high)
    return high
