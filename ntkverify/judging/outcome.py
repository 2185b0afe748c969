"""What one run says about one claim.

Rounding: a float64 measurement of a quantity known to the absolute error e decides ``always`` only
when it clears the bound by more than e; in between the verdict is ``inconclusive``. A claim may
state e (``error=``); the default is `DEFAULT_ROUNDING` relative to the measurement, enough for a
quantity assembled by a short formula from quantities that are accurate to a few hundred ulps.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.expressions import evaluate
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifiers import identity
from ntkverify.theorem.theorem import Theorem

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


def assess(theorem: Theorem, claim: Claim, run: Any, *, relax: Collection[str] = ()) -> Outcome:
    """Put one claim to one run.

    Parameters
    ----------
    theorem, claim, run
        What to put to what.
    relax : collection of str
        Names of assumptions that are not asked for.

    Raises
    ------
    NtkVerifyError
        If the claim's bound asks for something that the run does not know.
    """
    needed = (a for a in theorem.assumptions_of(claim) if a.name not in relax)
    if any(not assumption.margin(run) >= 0 for assumption in needed):
        return Outcome(True, False, False, math.inf, np.empty(0))
    if claim.quantifier is identity:
        return _assess_identity(claim, run)
    measured = np.asarray(claim.measure(run), dtype=np.float64)
    mask = np.ones(measured.shape, bool)
    if claim.given is not None:
        mask = np.broadcast_to(np.asarray(claim.given(run), bool), measured.shape)
    if not mask.any():
        return Outcome(True, False, False, math.inf, np.empty(0))
    if claim.bound is None:
        return Outcome(False, False, False, math.inf, measured[mask])
    bound = np.broadcast_to(np.asarray(evaluate(theorem, theorem.bound_of(claim), run), np.float64), measured.shape)
    error = DEFAULT_ROUNDING * np.abs(measured) if claim.error is None else np.asarray(claim.error(run), np.float64)
    error = np.broadcast_to(error, measured.shape)[mask]
    _check_error(error, measured[mask], claim)
    return _compare(measured[mask], bound[mask], error, from_below=claim.from_below)


def _check_error(error: Array, measured: Array, claim: Claim) -> None:
    """A rounding error that is negative or NaN would let anything pass; where the measurement is lost it is moot."""
    if not (error >= 0)[np.isfinite(measured)].all():
        raise NtkVerifyError(
            f"claim {claim.name!r} states a rounding error that is negative or not a number; correct it."
        )


def _compare(measured: Array, bound: Array, error: Array, *, from_below: bool) -> Outcome:
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


def _assess_identity(claim: Claim, run: Any) -> Outcome:
    left, right = (np.asarray(side, np.float64) for side in claim.measure(run))
    mask = np.ones(left.shape, bool)
    if claim.given is not None:
        mask = np.broadcast_to(np.asarray(claim.given(run), bool), left.shape)
    if not mask.any() or claim.error is None:
        return Outcome(True, False, False, math.inf, np.empty(0))
    error = np.broadcast_to(np.asarray(claim.error(run), np.float64), left.shape)[mask]
    _check_error(error, (left - right)[mask], claim)
    return _compare(np.abs(left - right)[mask], error, np.zeros_like(error), from_below=False)
