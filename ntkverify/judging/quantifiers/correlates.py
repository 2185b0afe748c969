"""``correlates``: of two numbers that independent draws measure, one grows with the other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import optimize

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Trial
from ntkverify.judging.verdict import Status, Tally
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier


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
class Correlates(Quantifier):
    """The two numbers that a run measures have at least this rank correlation over independent draws.

    A claim measures an array of two numbers. It is confirmed where the whole interval lies beyond `least`, violated
    where none of it does.

    Parameters
    ----------
    least : float
        Kendall's tau is at least this; for a negative number at most this.
    """

    least: float

    is_statistical: ClassVar[bool] = True
    takes_bound: ClassVar[bool] = False
    takes_event: ClassVar[bool] = False

    def limits(self, trial: Trial) -> None:
        """Two numbers of one run exceed nothing."""

    def judge(self, claim: Claim, trials: Iterable[Trial], *, alpha: float) -> Tally:
        """Collect the pairs of all runs that exercise the claim, and compare the interval with what is claimed."""
        tally = Tally()
        pairs = []
        for trial in trials:
            tally.add(trial)
            if trial.outcome.vacuous:
                continue
            if trial.outcome.value.size != 2:
                raise NtkVerifyError(
                    f"claim {claim.name!r} holds {self.name} and must measure two numbers per run, not "
                    f"{trial.outcome.value.size}."
                )
            pairs.append(trial.outcome.value.ravel())
        tally.slack = None
        if len(pairs) < 2:
            tally.status, tally.evidence = "inconclusive", "fewer than two instances exercised the claim"
        else:
            tally.status, tally.evidence = self.decide(np.array(pairs), alpha=alpha)
        return tally

    def decide(self, pairs: Array, *, alpha: float) -> tuple[Status, str]:
        """Status and evidence of pairs, one a row."""
        found = rank_correlation(pairs[:, 0], pairs[:, 1], alpha=alpha)
        sign = 1 if self.least >= 0 else -1
        near, far = sorted((sign * found.low, sign * found.high))
        claimed = sign * self.least
        status: Status = "holds" if near >= claimed else "violated" if far < claimed else "inconclusive"
        side = "at least" if sign > 0 else "at most"
        return status, (
            f"Kendall's tau {found.tau:.3f} in [{found.low:.3f}, {found.high:.3f}] over {found.draws} draws, claimed "
            f"{side} {self.least:g}; wrong with probability < {alpha:.1e}, whatever the law"
        )


def correlates(least: float) -> Correlates:
    """Kendall's rank correlation of the two measured numbers is at least `least`, or at most that if it is negative."""
    value: Any = least
    if not isinstance(value, int | float) or not -1 < value < 1:
        raise NtkVerifyError(f"correlates needs a rank correlation strictly between -1 and 1, not {least}.")
    return Correlates(f"correlates({value:g})", float(value))
