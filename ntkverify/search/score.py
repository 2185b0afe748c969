"""What a search climbs: one dimensionless margin per claim and instance, with vacuous instances scored out.

The margin is how far the measured quantity is past its bound, as a fraction of the bound; positive is an excess.
Only an excess beyond the claim's rounding error counts as a violation. A claim of probability is scored by
the order statistic of a few draws that the claimed probability leaves below the bound; that only *selects* an
instance, and fresh seeds decide (`ntkverify.search.evidence.fresh_seeds`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.judging.outcome import Outcome
from ntkverify.seeds import AS_DRAWN
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Assumption, Claim

#: margins are cut off here, so that an overflow is a very bad violation rather than an infinity
LARGEST = 1e6
#: what a run that can't be made or measured raises: it exercises nothing
NOT_RUN = (NtkVerifyError, ArithmeticError, np.linalg.LinAlgError)
#: what an instance that does not exercise the claim scores: below every margin
VACUOUS = -1e9


@dataclass(frozen=True)
class Score:
    """One evaluation of a search.

    Parameters
    ----------
    margin : float
        What the search climbs; `VACUOUS` for an instance that does not exercise the claim.
    failed : bool
        The bound is exceeded by more than the rounding error (for a claim of probability: often enough to be selected).
    doubtful : bool
        The bound is exceeded by less than the rounding error.
    reason : str
        Why an instance could not be run at all; empty if it could.
    failures : int
        How many draws exceeded the bound by more than the rounding error, of those that a claim is scored by.
    draws : int
        How many were made for it: none where another vector stands for the same instance. What it cost, not what it is.
    """

    margin: float
    failed: bool = False
    doubtful: bool = False
    reason: str = ""
    failures: int = 0
    draws: int = field(default=0, compare=False)

    @property
    def vacuous(self) -> bool:
        """Whether the claim was not exercised."""
        return self.margin == VACUOUS


def searchable(claim: Claim) -> bool:
    """Whether single instances can violate a claim: not where it speaks of a population or of expressions only."""
    return not claim.is_symbolic and (
        claim.quantifier.is_decided_by_one_run or claim.quantifier.is_decided_by_redrawing
    )


def score(case: Case, instance: Instance, *, seeds: Sequence[int] = ()) -> Score:
    """Score one instance for one claim.

    Parameters
    ----------
    case, instance
        What to put to what.
    seeds : sequence of int
        Seeds of the draws that a claim of probability is scored by; ignored where one run decides.
    """
    try:
        if case.claim.quantifier.is_decided_by_one_run:
            return replace(_of(case.outcome(instance)), draws=1)
        outcomes = []
        for seed in seeds:
            outcome = case.outcome(instance.with_seed(seed))
            outcomes.append(outcome)
            if outcome.vacuous and case.claim.given is None:
                break  # assumptions do not depend on the draw of the weights
    except NOT_RUN as error:
        return Score(VACUOUS, reason=str(error))
    allowed = case.claim.quantifier.allowed_failures(case.trial(instance))
    scores = [_of(outcome) for outcome in outcomes if not outcome.vacuous]
    return replace(_selected(scores, allowed), failures=sum(one.failed for one in scores), draws=len(outcomes))


def unmet(case: Case, run: Any) -> set[str]:
    """Names of the claim's assumptions, relaxed ones included, that a run misses or can't be asked about."""
    return {a.name for a in case.theorem.assumptions_of(case.claim) if not _met(a, run)}


def _met(assumption: Assumption, run: Any) -> bool:
    try:
        with np.errstate(all="ignore"):
            return bool(assumption.margin(run) >= 0)
    except NOT_RUN:
        return False


class _WeightsDrawn(BaseException):
    """A claim asked for the weights; no `Exception`, which a measure may catch."""


class _WithoutWeights(Instance):
    """An instance that says so when anything asks what its weights are drawn from."""

    @classmethod
    def of(cls, instance: Instance) -> _WithoutWeights:
        made = cls(**{field.name: getattr(instance, field.name) for field in fields(instance)})
        object.__setattr__(made, "text", instance.to_json())
        return made

    def __getattribute__(self, name: str) -> Any:
        if name in ("weight_seed", "seed", *AS_DRAWN) and "text" in super().__getattribute__("__dict__"):
            raise _WeightsDrawn
        return super().__getattribute__(name)

    def to_json(self) -> str:
        text: str = self.__dict__["text"]
        return text


def draws_weights(case: Case, instances: Sequence[Instance]) -> bool:
    """Whether a claim asks for the weights on the first of these instances that exercises it; so it does if none does.

    Many a claim of a theorem about networks speaks of the limit Gram matrix alone.
    """
    for instance in instances:
        try:
            if not case.outcome(_WithoutWeights.of(instance)).vacuous:
                return False
        except _WeightsDrawn:
            return True
        except NOT_RUN:
            continue
    return True


def _selected(scores: list[Score], allowed: float) -> Score:
    """The best margin that remains when the allowed share of the draws is set aside."""
    if not scores:
        return Score(VACUOUS)
    ordered = sorted(scores, key=lambda s: -s.margin)
    return ordered[min(math.floor(allowed * len(ordered)), len(ordered) - 1)]


def _of(outcome: Outcome) -> Score:
    if outcome.vacuous:
        return Score(VACUOUS)
    if math.isnan(outcome.margin):  # a store keeps numbers only, and an engine could not rank it
        return Score(VACUOUS, reason="what is measured, or its rounding error, is no number here")
    margin = min(max(outcome.margin, -LARGEST), LARGEST)
    return Score(margin, outcome.failed, outcome.doubtful, failures=int(outcome.failed))
