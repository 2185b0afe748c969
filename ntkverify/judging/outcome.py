"""What one run says about one claim.

Rounding: a float64 measurement of a quantity known to the absolute error e decides ``always`` only
when it clears the bound by more than e; in between the verdict is ``inconclusive``. A claim may
state e (``error=``); the default is `DEFAULT_ROUNDING` relative to the measurement, enough for a
quantity assembled by a short formula from quantities that are accurate to a few hundred ulps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

#: relative rounding error of a measurement whose claim states none: 2^10 units in the last place
DEFAULT_ROUNDING = 2.0**10 * np.finfo(np.float64).eps


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
    value : array
        The measured quantity.
    at_worst : (float, float)
        Measured quantity and bound where the slack is smallest; NaN without a bound.
    margin : float
        How far past the bound by more than the rounding error, as a fraction of the bound, where that is most; what a
        search climbs. Rounding that is counted in would lead it to where there is nothing but rounding.
    """

    vacuous: bool
    failed: bool
    doubtful: bool
    slack: float
    value: Array
    at_worst: tuple[float, float] = (math.nan, math.nan)
    margin: float = -math.inf


def compare(measured: Array, bound: Array, error: Array, *, from_below: bool) -> Outcome:
    """What measured numbers say about their bounds, each known to the absolute error that stands beside it."""
    if not np.isfinite(bound).all():
        raise NtkVerifyError("a bound is not finite on an instance; restrict the instances or correct the bound.")
    lost = ~np.isfinite(measured)  # a run that left the range of float64 keeps no bound
    with np.errstate(all="ignore"):
        ratio = measured / bound if from_below else bound / measured
        excess = bound - measured if from_below else measured - bound
    ratio = np.where(lost, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
    failed = lost | (excess > error)
    worst = int(ratio.argmin())
    # a bound of zero has no fraction: there any excess counts as one whole
    scale = np.where(bound != 0, np.abs(bound), np.where(measured != 0, np.abs(measured), 1.0))
    idle = (bound == 0) & (measured == 0)  # nothing happened: no more of an excess than zero below a positive bound
    with np.errstate(all="ignore"):
        margin = np.where(lost, np.inf, np.where(idle, -1.0, (excess - error) / scale))
    return Outcome(
        vacuous=False,
        failed=bool(failed.any()),
        doubtful=bool((excess > 0).any() and not failed.any()),
        slack=float(ratio.flat[worst]),
        value=measured,
        at_worst=(float(measured.flat[worst]), float(bound.flat[worst])),
        margin=float(margin.max()),
    )
