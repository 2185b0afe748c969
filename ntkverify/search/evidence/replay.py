"""Replaying a violation in float64: the trajectory against its bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.falsehoods import planted
from ntkverify.judging.outcome import Outcome
from ntkverify.search.evidence.violation import Violation
from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Replay:
    """A violation repeated in float64.

    Parameters
    ----------
    outcome : Outcome
        What the run says about the claim.
    measured, bound : array
        Entry by entry, where the claim applies or not.
    applies : array of bool
        Where the event that the claim conditions on happens.
    """

    outcome: Outcome
    measured: Array
    bound: Array
    applies: NDArray[np.bool_]


def replay(theorem: Theorem, violation: Violation) -> Replay:
    """Repeat a violation in float64.

    Raises
    ------
    NtkVerifyError
        If the violation is of another theorem, or its instance can't be run.
    """
    with planted(theorem, violation.plants), np.errstate(all="ignore"):
        trial = violation.case(theorem).trial(violation.instance)
        limits = trial.case.claim.quantifier.limits(trial)
        if limits is None:
            raise NtkVerifyError(f"claim {violation.claim!r} has no bound to replay against.")
        bound = np.broadcast_to(limits[0], trial.measured.shape)
        return Replay(trial.outcome, trial.measured, bound, trial.applies)
