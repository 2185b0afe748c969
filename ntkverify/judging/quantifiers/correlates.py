"""``correlates``: of two numbers that independent draws measure, one grows with the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import optimize

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Trial
from ntkverify.judging.quantifiers.population import Decision, OfPopulation
from ntkverify.judging.verdict import Status


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall's tau of a sample of pairs, with an interval.

    Parameters
    ----------
    tau : float
        Share of concordant pairs of draws less that of discordant ones.
    low, high : float
        The tau of the population lies between them except with probability alpha, whatever the law of the draws.
    draws : int
        Sample size.
    """

    tau: float
    low: float
    high: float
    draws: int


def rank_correlation(first: Array, second: Array, *, alpha: float) -> RankCorrelation:
    """Kendall's tau with an interval that holds at every sample size and for every law, ties counting half.

    The share q of concordant pairs is a U-statistic: an average, over all ways to pair the draws up, of means of
    floor(n/2) independent numbers in [0, 1]. Hoeffding's argument (1963, section 5) gives it the Chernoff bound of such
    a mean, P(q^ is as far above q) <= exp(-floor(n/2) KL(q^, q)), and likewise below.

    Raises
    ------
    NtkVerifyError
        For fewer than two draws, or numbers that are not finite.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    if not 0 < alpha < 1:
        raise NtkVerifyError(f"the level alpha must lie strictly between 0 and 1, not {alpha}.")
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NtkVerifyError("a rank correlation needs two finite numbers of each of at least two draws.")
    count = len(x)
    upper = np.triu_indices(count, 1)
    signs = np.sign(np.subtract.outer(x, x)[upper]) * np.sign(np.subtract.outer(y, y)[upper])
    share = float((1 + signs.mean()) / 2)
    allowed = math.log(2 / alpha) / (count // 2)
    low, high = _chernoff_end(share, 0.0, allowed), _chernoff_end(share, 1.0, allowed)
    return RankCorrelation(2 * share - 1, 2 * low - 1, 2 * high - 1, count)


def _divergence(q: float, p: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli laws."""
    parts = ((q, p), (1 - q, 1 - p))
    return sum(a * math.log(a / b) if b > 0 else math.inf for a, b in parts if a > 0)


def _chernoff_end(share: float, end: float, allowed: float) -> float:
    """The share furthest towards an end of [0, 1] whose divergence from the one seen is allowed."""
    if _divergence(share, end) <= allowed:
        return end
    inside = optimize.brentq(lambda p: min(_divergence(share, p), 1e300) - allowed, share, end, xtol=1e-12)
    return float(inside)


@dataclass(frozen=True)
class Correlates(OfPopulation):
    """The two numbers that a run measures have at least this rank correlation over independent draws.

    A claim measures an array of two numbers. It is confirmed where the whole interval lies beyond `least`, violated
    where none of it does.

    Parameters
    ----------
    least : float
        Kendall's tau is at least this; for a negative number at most this.
    """

    least: float

    numbers: ClassVar[int] = 2
    most_draws: ClassVar[int] = 4000  # all pairs of them are looked at

    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """Compare the interval with what is claimed, at the level of a refutation and at that of a confirmation.

        A correlation has no scale by which a deviation could be tolerated: `least` itself is confirmed, or nothing.
        """
        if len(sample) < 2:
            return Decision("inconclusive", None, "a rank correlation needs two draws")
        sign = 1 if self.least >= 0 else -1
        ours = sample * np.array([1, sign])
        sure, shown = (rank_correlation(ours[:, 0], ours[:, 1], alpha=alpha) for alpha in (refute, 1 - confirm))
        claimed = sign * self.least
        status: Status = "holds" if shown.low >= claimed else "violated" if sure.high < claimed else "inconclusive"
        ends = sorted((sign * shown.low, sign * shown.high))
        evidence = (
            f"Kendall's tau {sign * shown.tau:.3f} in [{ends[0]:.3f}, {ends[1]:.3f}] at {confirm:.1%} over "
            f"{shown.draws} draws, whatever their law; claimed {'at least' if sign > 0 else 'at most'} {self.least:g}"
        )
        if status == "violated":
            evidence += f"; false alarm < {refute:.1e}"
        missed = f"tau {'below' if sign > 0 else 'above'} {sign * shown.low:.2g}"
        return Decision(status, None, evidence, missed, claimed - shown.tau, reach=-shown.low)


def correlates(least: float) -> Correlates:
    """Kendall's rank correlation of the two measured numbers is at least `least`, or at most that if it is negative."""
    value: Any = least
    if not isinstance(value, int | float) or not -1 < value < 1:
        raise NtkVerifyError(f"correlates needs a rank correlation strictly between -1 and 1, not {least}.")
    return Correlates(f"correlates({value:g})", float(value))
