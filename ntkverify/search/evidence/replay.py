"""Replaying a violation in float64: the trajectory against its bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.judging.case import Trial
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
    with planted(theorem, violation.plants):
        case = violation.case(theorem)
        outcome = case.outcome(violation.instance)
        with np.errstate(all="ignore"):
            trial = Trial(case, case.run(violation.instance))
            bound, _ = trial.limits
            return Replay(outcome, trial.measured, np.broadcast_to(bound, trial.measured.shape), trial.applies)
