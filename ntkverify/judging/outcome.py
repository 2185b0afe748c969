"""What one run says about one claim.

Rounding: a float64 measurement of a quantity known to the absolute error e decides ``always`` only
when it clears the bound by more than e; in between the verdict is ``inconclusive``. A claim may
state e (``error=``); the default is `DEFAULT_ROUNDING` relative to what was compared, enough for a
quantity assembled by a short formula from quantities that are accurate to a few hundred ulps; a measure that
subtracts returns a `ntkverify.arrays.Difference`, whose operands count. Where e is more than a hundredth of
measurement and bound, the claim is not exercised: anything could be kept there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

#: relative rounding error of a measurement whose claim states none: 2^10 units in the last place
DEFAULT_ROUNDING = 2.0**10 * np.finfo(np.float64).eps
#: an entry says something about its bound where its rounding error is at most this share of bound or measurement
RESOLVED = 0.01
#: why a run is vacuous where it meets every assumption
THE_EVENT, TOO_ROUND = "the event that the claim conditions on", "rounding, or sides that are equal by construction"


@dataclass(frozen=True)
class Outcome:
    """What one run says about one claim.

    Parameters
    ----------
    vacuous : bool
        The run misses an assumption or the event that the claim conditions on.
    failed : bool
        The bound is exceeded by more than the rounding error.
    doubtful : bool
        The bound is exceeded, but by less than the rounding error.
    slack : float
        Worst ratio bound / measured (measured / bound for a lower bound) over the run; inf when nothing was measured.
        For bounds that are not positive one more than what is left to the bound, as a fraction of it.
    value : array
        The measured quantity.
    at_worst : (float, float)
        Measured quantity and bound where the slack is smallest; NaN without a bound.
    margin : float
        How far past the bound by more than the rounding error, as a fraction of the bound, where that is most; what a
        search climbs. Rounding that is counted in would lead it to where there is nothing but rounding.
    unresolved : int
        Entries that are not exercised because rounding may be more than a hundredth of them.
    unmet : str
        Why a run is vacuous: the first assumption that it misses, or one of `THE_EVENT` and `TOO_ROUND`.
    """

    vacuous: bool
    failed: bool
    doubtful: bool
    slack: float
    value: Array
    at_worst: tuple[float, float] = (math.nan, math.nan)
    margin: float = -math.inf
    unresolved: int = 0
    unmet: str = ""


def compare(
    measured: Array, bound: Array, error: Array, *, from_below: bool, trivial: NDArray[np.bool_] | bool = False
) -> Outcome:
    """What measured numbers say about their bounds, each known to the absolute error that stands beside it.

    Parameters
    ----------
    measured, bound, error : array
        Of one shape.
    from_below : bool
        Whether the bound is a lower one.
    trivial : mask, optional
        Where the two sides are equal by construction, which says nothing of slack, nor of what a search climbs.
    """
    if not np.isfinite(bound).all():
        raise NtkVerifyError("a bound is not finite on an instance; restrict the instances or correct the bound.")
    lost = ~np.isfinite(measured)  # a run that left the range of float64 keeps no bound
    with np.errstate(all="ignore"):
        excess = bound - measured if from_below else measured - bound
        unresolved = (error > RESOLVED * np.maximum(np.abs(bound), np.abs(measured))) & ~lost & ~(excess > error)
    # what is equal by construction, or decided by rounding, says nothing
    if (unresolved | (np.logical_and(trivial, ~lost) & ~(excess > error))).all():
        return Outcome(True, False, False, math.inf, measured, unresolved=int(unresolved.sum()), unmet=TOO_ROUND)
    ratios = _slack(measured, bound, excess, from_below)
    equal = np.logical_and(trivial, ~lost)
    slack = np.where(equal, np.inf, ratios)[~unresolved]
    count, kept = int(unresolved.sum()), ~unresolved
    measured, bound, error, excess, lost = (x[kept] for x in (measured, bound, error, excess, lost))
    equal = equal[kept]
    failed = np.logical_or(lost, excess > error)
    worst = int(slack.argmin())
    # a bound of zero has no fraction: there any excess counts as one whole
    scale = np.where(bound != 0, np.abs(bound), np.where(measured != 0, np.abs(measured), 1.0))
    idle = (bound == 0) & (measured == 0)  # nothing happened: no more of an excess than zero below a positive bound
    with np.errstate(all="ignore"):
        margin = np.where(lost, np.inf, np.where(idle, -1.0, (excess - error) / scale))
    # two sides that are equal by construction would hide from a search how near the others come
    margin = np.where(equal & ~failed, -np.inf, margin)
    return Outcome(
        vacuous=False,
        failed=bool(failed.any()),
        doubtful=bool((excess > 0).any() and not failed.any()),
        slack=float(slack[worst]),
        value=measured,
        at_worst=(float(measured[worst]), float(bound[worst])),
        margin=float(margin.max()),
        unresolved=count,
    )


def _slack(measured: Array, bound: Array, excess: Array, from_below: bool) -> Array:
    """By how much each entry keeps its bound; a ratio where the bound is positive."""
    with np.errstate(all="ignore"):
        ratio = measured / bound if from_below else np.where(measured <= 0, np.inf, bound / measured)
        by_margin = 1 - excess / np.where(bound != 0, np.abs(bound), np.abs(measured))
        idle = (bound == 0) & (measured == 0)
        slack = np.where(bound > 0, np.maximum(ratio, 0), np.where(idle, np.inf, by_margin))
    return np.where(np.isfinite(measured), slack, 0.0)
