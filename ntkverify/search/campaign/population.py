"""Claims about a population of runs: a search draws on until the sample refutes them.

No single instance violates such a claim, so there is nothing to climb. The check looks at as many draws as a module
prescribes and at a few times more; here there are half as many again at each look, to the end of the budget, the levels
of all looks together being `ALPHA`. Only the last look may call a claim open, at `OPEN`: when the budget ends does not
depend on what the sample shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import BLUNT, CONFIRM
from ntkverify.judging.case import Case, Trial
from ntkverify.judging.draws import Stream
from ntkverify.search.campaign.timing import Timing
from ntkverify.search.evidence.settle import ALPHA, OPEN
from ntkverify.search.evidence.violation import Violation
from ntkverify.search.score import NOT_RUN, VACUOUS, Score
from ntkverify.theorem.instance import Instance

#: draws for each evaluation of a budget, and what they may cost in neurons times residuals times sweeps
DRAWS_EACH, WORK_EACH = 16, 2e4
_FIRST = 500  # draws at the first look, if the family prescribes no more
_GROWTH = 1.5  # from a look to the next
_PROFILE = "quick"
_SURE = 0.999  # with which a deviation is excluded before a search ends early


@dataclass
class Sample:
    """What was drawn for one claim, of one family or of several that make one sample.

    Parameters
    ----------
    cases : sequence of Case
        The claim on each of these families.
    entropy : int
        Names the draws.
    """

    cases: Sequence[Case]
    entropy: int

    def __post_init__(self) -> None:
        self.streams = [Stream(case.family, entropy=self.entropy) for case in self.cases]
        self.trials: list[Trial] = []
        self.made, self.work, self.reason = 0, 0.0, ""
        self.first: Instance | None = None

    def draw(self) -> None:
        """One more run of each family; one that cannot be run exercises nothing."""
        for case, stream in zip(self.cases, self.streams, strict=True):
            drawn = stream.instance(0, self.made) if stream.is_fixed else stream.instance(self.made)
            instance = replace(drawn, theorem=case.theorem.id, family=case.family.name)
            self.first = self.first or instance
            try:
                with np.errstate(all="ignore"):
                    trial = case.trial(instance)
                    vacuous = trial.outcome.vacuous
            except NOT_RUN as error:
                self.reason = str(error)
                self.work += 1
                continue
            self.work += trial.run.work
            if not vacuous:
                self.trials.append(trial)
        self.made += 1


def sampled(
    cases: Sequence[Case],
    *,
    evaluations: int | None,
    entropy: int,
    path: str | Path,
    plants: tuple[str, ...],
    timing: Timing | None = None,
) -> tuple[Score, tuple[str, Violation] | None]:
    """Draw until the claim is refuted or the budget is used up.

    Parameters
    ----------
    cases : sequence of Case
        The claim on each of its families that make one sample.
    evaluations : int or None
        Budget, `DRAWS_EACH` draws for each; None for as many as there is time for.
    entropy : int
        Names the draws.
    path, plants
        For the file of a violation.
    timing : Timing, optional
        When it ends, whatever is left of the budget.

    Returns
    -------
    (Score, (status, Violation) or None)
        How far past the claim the sample is, and what was found: "confirmed" where it is refuted, "open" where the
        draws refute it at `OPEN` and do not suffice for more, "unconfirmed" where chance may have taken the sample past
        what is claimed.
    """
    sample = Sample(cases, entropy)
    found = _looked_at(sample, Limits(cases, evaluations=evaluations, timing=timing))
    if found is None or sample.first is None:
        return Score(VACUOUS, reason=sample.reason), None
    decision, is_open = found
    past, violated = decision.past, decision.status == "violated"
    score = Score(max(past, 0.0) if violated else past, violated)
    if not violated and past <= 0:
        return score, None
    status = "confirmed" if violated else "open" if is_open else "unconfirmed"
    evidence: dict[str, Any] = {"kind": "population", "status": status, "alpha": ALPHA, "draws": sample.made}
    evidence |= {"exercised": len(sample.trials), "entropy": entropy, "evidence": decision.evidence}
    suspect = Violation.suspected(cases[0], sample.first, path=path, plants=plants)
    return score, (status, suspect.with_evidence(**evidence))


class Limits:
    """How long a sample is drawn on, see `sampled`; the clock starts when it is made."""

    def __init__(self, cases: Sequence[Case], *, evaluations: int | None, timing: Timing | None) -> None:
        quantifier: Any = cases[0].claim.quantifier  # one that is decided by sampling
        most = quantifier.most_draws
        self.timing = timing or Timing(None, None, 0.0)
        self.began = self.timing.now()
        self.prescribed = max(case.family.counts.get(_PROFILE, 1) for case in cases)
        self.draws = most if evaluations is None else min(most, DRAWS_EACH * evaluations)
        self.work = np.inf if evaluations is None else WORK_EACH * evaluations

    def allow(self, sample: Sample) -> bool:
        """Whether there is one more draw to be made; there always is a first."""
        late = self.timing.is_over(self.timing.now() - self.began)
        within = sample.made < self.prescribed or (sample.made < self.draws and sample.work < self.work)
        return sample.made == 0 or (within and not late)


def _looked_at(sample: Sample, limits: Limits) -> tuple[Any, bool] | None:
    """What the last look at a growing sample decides, and would at `OPEN`; None if there was nothing to look at."""
    quantifier: Any = sample.cases[0].claim.quantifier  # one that is decided by sampling
    look, goal, found = 0, max(_FIRST, limits.prescribed), None
    while limits.allow(sample):
        while sample.made < goal and limits.allow(sample):
            sample.draw()
        if len(sample.trials) > 1:
            try:
                decision = _decided(quantifier, sample, refute=ALPHA / ((look + 1) * (look + 2)))
                is_open = decision.past > 0 and _decided(quantifier, sample, refute=OPEN).status == "violated"
                found = decision, is_open
            except NtkVerifyError as error:
                # a number that the test can't take, the logarithm of 0; the last look counts
                sample.reason = str(error)
                break
            if decision.status == "violated" or _is_settled(quantifier, sample):
                break
        look, goal = look + 1, math.ceil(_GROWTH * goal)
    return found


def _is_settled(quantifier: Any, sample: Sample) -> bool:
    """Whether a deviation beyond what is claimed is excluded, so that more draws would find none."""
    if not quantifier.is_exact_about_tolerance:
        return False
    values = quantifier.sample_of(sample.trials)
    found = quantifier.decide(values, sample.trials, refute=ALPHA, confirm=_SURE, tolerated=1.0)
    return bool(found.status == "holds")


def _decided(quantifier: Any, sample: Sample, *, refute: float) -> Any:
    values = quantifier.sample_of(sample.trials)
    return quantifier.decide(values, sample.trials, refute=refute, confirm=CONFIRM, tolerated=BLUNT)
