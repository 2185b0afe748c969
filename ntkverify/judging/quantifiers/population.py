"""What quantifiers about all runs together share: one number of each run, and a test of the sample."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import BLUNT, CONFIRM, REFUTE, SHARP
from ntkverify.judging.case import Trial
from ntkverify.judging.draws import Draws, FamilyDraws
from ntkverify.judging.verdict import Status, Tally, to_exercise
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
    beyond : float or None
        How far the sample is past what is claimed, as a fraction of what is allowed, where the slack does not say so.
    reach : float
        How large the deviation is that would have been missed; of several families the one with the largest says it.
    """

    status: Status
    slack: float | None
    evidence: str
    missed: str = ""
    beyond: float | None = None
    reach: float = math.inf

    @property
    def past(self) -> float:
        """How far the sample is past what is claimed, as a fraction of what is allowed; negative within."""
        if self.beyond is not None:
            return self.beyond
        return -1.0 if self.slack is None else 1 / self.slack - 1 if self.slack > 0 else math.inf


@dataclass(frozen=True)
class OfPopulation(Quantifier):
    """Base of what is claimed of the numbers that all runs measure, where no run alone is right or wrong."""

    #: how many numbers each run gives; None for any number of independent ones
    numbers: ClassVar[int | None] = 1
    #: whether the families of a claim make one sample, as those of several widths do for an exponent
    pools_families: ClassVar[bool] = False
    #: draws that one sample may have, for what its test costs
    most_draws: ClassVar[int] = 200_000
    #: whether "holds" with `tolerated` = 1 excludes every deviation that the claim excludes
    is_exact_about_tolerance: ClassVar[bool] = True
    is_decided_by_sampling: ClassVar[bool] = True
    level: ClassVar[str] = "exact statistics"
    takes_bound: ClassVar[bool] = False
    takes_event: ClassVar[bool] = False

    @abstractmethod
    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """What a sample says, the numbers of each of these trials.

        Parameters
        ----------
        sample : array (N,), or (N, numbers) where each run gives several
            The numbers; in one row where runs give any number.
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
        """Every family for itself, unless they make one sample: a mixture of two laws is neither of them.

        The worst word speaks for all; a family that exercises nothing leaves the claim open.
        """
        tally = Tally()
        groups = [draws.families] if self.pools_families else [[family] for family in draws.families]
        trials: list[Trial] = []
        found = [self._decided(claim, tally, group, trials, refute=REFUTE / len(groups)) for group in groups]
        decisions = [decision for decision in found if decision is not None]
        tally.slack, tally.witness = None, None
        if not decisions:
            return tally
        worst = max(decisions, key=lambda decision: ("holds", "inconclusive", "violated").index(decision.status))
        bluntest = worst if worst.status == "violated" else max(decisions, key=lambda decision: decision.reach)
        tally.status, tally.missed = worst.status, bluntest.missed
        tally.slack = min((d.slack for d in decisions if d.slack is not None), default=None)
        tally.evidence = "; ".join(decision.evidence for decision in decisions) + self.aside(trials)
        exercised = {trial.case.family.name for trial in trials if not trial.outcome.vacuous}
        idle = [family.case for family in draws.families if family.case.family.name not in exercised]
        if idle:
            names = ", ".join(repr(case.family.name) for case in idle)
            tally.evidence += f"; no instance of {names} exercised the claim"
            if tally.status != "violated":
                tally.status, tally.missed, tally.remedy = "inconclusive", "", to_exercise(idle[0].theorem, claim)
        return tally

    def aside(self, trials: Sequence[Trial]) -> str:
        """What else the evidence has to say of all trials, those that did not exercise the claim among them."""
        return ""

    def _decided(
        self, claim: Claim, tally: Tally, families: Sequence[FamilyDraws], trials: list[Trial], *, refute: float
    ) -> Decision | None:
        """Collect the numbers of all runs that exercise the claim, decide, and look again at twice as many."""
        exercised: list[Trial] = []
        decision: Decision | None = None
        for look in range(LOOKS):
            before = len(exercised)
            for trial in _next(families, look):
                tally.add(trial)
                trials.append(trial)
                if not trial.outcome.vacuous:
                    exercised.append(self._counted(claim, trial))
            if len(exercised) == before:
                break
            levels = {"refute": refute / LOOKS, "confirm": 1 - (1 - CONFIRM) / LOOKS}
            sample = self.sample_of(exercised)
            # a look that leaves the claim open may be the last: then what the budget forces will do
            decision = self.decide(sample, exercised, **levels, tolerated=BLUNT)
            if decision.status == "violated":
                break
            if look < LOOKS - 1 and self.decide(sample, exercised, **levels, tolerated=SHARP).status == "holds":
                break
        return decision

    def sample_of(self, trials: list[Trial]) -> Array:
        """The numbers of these trials, as `decide` takes them."""
        if self.numbers is None:
            return np.concatenate([trial.outcome.value.ravel() for trial in trials])
        sample = np.array([trial.outcome.value.ravel() for trial in trials])
        return sample[:, 0] if self.numbers == 1 else sample

    def _counted(self, claim: Claim, trial: Trial) -> Trial:
        size = trial.outcome.value.size
        if self.numbers is not None and size != self.numbers:
            count = {1: "one number", 2: "two numbers"}.get(self.numbers, f"{self.numbers} numbers")
            raise NtkVerifyError(
                f"claim {claim.name!r} holds {self.name} and must measure {count} per run, not {size}: numbers of one "
                "run are not independent."
            )
        return trial


def _next(families: Sequence[FamilyDraws], look: int) -> Iterator[Trial]:
    """The prescribed draws, then as many again, then twice as many, each as far as the budget lasts."""
    for family in families:
        size = family.count
        start, stop = (0, size) if look == 0 else (size << (look - 1), size << look)
        yield from family.first(start, stop)
