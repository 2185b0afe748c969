"""What quantifiers about all runs together share: one number of each run, and a test of the sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import BLUNT, CONFIRM, REFUTE, SHARP
from ntkverify.judging.case import Trial
from ntkverify.judging.draws import Draws
from ntkverify.judging.verdict import Status, Tally
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier

#: how often a sample is looked at, each time doubled; the levels are shared among the looks
LOOKS = 3


@dataclass(frozen=True)
class Decision:
    """What a sample says.

    Parameters
    ----------
    status : {"holds", "violated", "inconclusive"}
        The word.
    slack : float or None
        How sharp the claim is, where that can be said.
    evidence, missed : str
        How it was decided, and what would have been missed.
    """

    status: Status
    slack: float | None
    evidence: str
    missed: str = ""


@dataclass(frozen=True)
class OfPopulation(Quantifier):
    """Base of what is claimed of the numbers that all runs measure, where no run alone is right or wrong."""

    level: ClassVar[str] = "exact statistics"
    takes_bound: ClassVar[bool] = False
    takes_event: ClassVar[bool] = False

    @abstractmethod
    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """What a sample says, one number of each of these trials.

        Parameters
        ----------
        sample : array (N,)
            The numbers.
        trials : list of N trials
            Where they come from.
        refute : float
            Level of a refutation.
        confirm : float
            With which probability at least the other side is to be excluded before the claim holds.
        tolerated : float
            The claim holds when a deviation of this times the claimed one is excluded.
        """

    def limits(self, trial: Trial) -> None:
        """A single number exceeds nothing."""

    def judge(self, claim: Claim, draws: Draws) -> Tally:
        """Collect the numbers of all runs that exercise the claim, decide, and look again at twice as many."""
        tally = Tally()
        exercised: list[Trial] = []
        tally.slack = None
        for look in range(LOOKS):
            before = len(exercised)
            for trial in _next(draws, look):
                tally.add(trial)
                if not trial.outcome.vacuous:
                    exercised.append(_one_number(self, claim, trial))
            if len(exercised) == before:
                break
            sample = np.concatenate([trial.outcome.value.ravel() for trial in exercised])
            decision = self.decide(
                sample,
                exercised,
                refute=REFUTE / LOOKS,
                confirm=1 - (1 - CONFIRM) / LOOKS,
                tolerated=SHARP if look < LOOKS - 1 else BLUNT,
            )
            blunt = self.decide(
                sample, exercised, refute=REFUTE / LOOKS, confirm=1 - (1 - CONFIRM) / LOOKS, tolerated=BLUNT
            )
            tally.status, tally.slack = blunt.status, blunt.slack
            tally.evidence, tally.missed = blunt.evidence, blunt.missed
            if decision.status != "inconclusive":
                break
        tally.witness = None
        return tally


def _next(draws: Draws, look: int) -> Iterator[Trial]:
    """The prescribed draws, then as many again, then twice as many, each as far as the budget lasts."""
    for family in draws.families:
        size = family.count
        start, stop = (0, size) if look == 0 else (size << (look - 1), size << look)
        yield from family.first(start, stop)


def _one_number(quantifier: Quantifier, claim: Claim, trial: Trial) -> Trial:
    if trial.outcome.value.size != 1:
        raise NtkVerifyError(
            f"claim {claim.name!r} holds {quantifier.name} and must measure one number per run, not "
            f"{trial.outcome.value.size}: numbers of one run are not independent."
        )
    return trial
