"""What quantifiers about all runs together share: one number of each run, and a test of the sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Trial
from ntkverify.judging.verdict import Status, Tally
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier


@dataclass(frozen=True)
class OfPopulation(Quantifier):
    """Base of what is claimed of the numbers that all runs measure, where no run alone is right or wrong."""

    is_statistical: ClassVar[bool] = True
    takes_bound: ClassVar[bool] = False
    takes_event: ClassVar[bool] = False

    @abstractmethod
    def decide(self, sample: Array, trials: list[Trial], *, alpha: float) -> tuple[Status, float | None, str]:
        """Status, slack and evidence of a sample, one number of each of these trials."""

    def limits(self, trial: Trial) -> None:
        """A single number exceeds nothing."""

    def judge(self, claim: Claim, trials: Iterable[Trial], *, alpha: float) -> Tally:
        """Collect the numbers of all runs that exercise the claim, and decide."""
        tally, exercised = Tally(), []
        for trial in trials:
            tally.add(trial)
            if trial.outcome.vacuous:
                continue
            if trial.outcome.value.size != 1:
                raise NtkVerifyError(
                    f"claim {claim.name!r} holds {self.name} and must measure one number per run, not "
                    f"{trial.outcome.value.size}: numbers of one run are not independent."
                )
            exercised.append(trial)
        tally.slack = None
        if exercised:
            sample = np.concatenate([trial.outcome.value.ravel() for trial in exercised])
            tally.status, tally.slack, tally.evidence = self.decide(sample, exercised, alpha=alpha)
        return tally
