"""``with_probability``: independent draws fail no more often than claimed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import BLUNT, CONFIRM, REFUTE, SHARP
from ntkverify.judging.case import Trial
from ntkverify.judging.draws import Draws, FamilyDraws
from ntkverify.judging.outcome import Outcome
from ntkverify.judging.rates import TooMany, excluded_rate, excludes
from ntkverify.judging.verdict import Status, Tally
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier

#: draws without one that exercises the claim, after which no more are made
HOPELESS = 200


@dataclass(frozen=True)
class WithProbability(Quantifier):
    """Each independent draw satisfies the bound with at least this probability.

    Parameters
    ----------
    probability : sympy.Expr
        The claimed probability, in (0, 1), in the symbols of the theorem.
    """

    probability: sympy.Expr

    level: ClassVar[str] = "exact statistics"
    is_decided_by_redrawing: ClassVar[bool] = True

    def allowed_failures(self, trial: Trial) -> float:
        """What the probability leaves."""
        return 1 - float(trial.value(self.probability))

    def judge(self, claim: Claim, draws: Draws) -> Tally:
        """Every family for itself: different data first, then the worst of them with fresh seeds."""
        tally = Tally()
        words: list[Status] = []
        slacks: list[float] = []
        for family in draws.families:
            found = _Judged(self, tally, family, REFUTE / (2 * len(draws.families))).found()
            slacks.append(found.slack)
            tally.slack = min(slacks)
            tally.evidence = "; ".join(filter(None, (tally.evidence, found.evidence)))
            if found.status == "violated":
                tally.status, tally.evidence, tally.missed = "violated", found.evidence, ""
                break
            words.append(found.status)
            tally.missed = tally.missed or found.missed
        else:
            # what is too dear to be confirmed is said beside what was, and is the word only where nothing else was
            confirmed: Status = "observed" if set(words) == {"observed"} else "holds"
            tally.status = "inconclusive" if "inconclusive" in words else confirmed
        return tally


@dataclass(frozen=True)
class _Found:
    """What one family says."""

    status: Status
    slack: float
    evidence: str
    missed: str = ""


class _Judged:
    """One family of instances under one claim of probability.

    Data are drawn first, each once: a bound that fails for one data set in twenty keeps a failure rate of 5% over all,
    and no probability. The data set that fares worst is then drawn afresh, since the draws that it was selected by say
    nothing about it any more.
    """

    def __init__(self, quantifier: WithProbability, tally: Tally, draws: FamilyDraws, alpha: float) -> None:
        self.quantifier = quantifier
        self.tally = tally
        self.draws = draws
        self.alpha = alpha
        self.outcomes: list[Outcome] = []
        self.data = 0

    def _seen(self, trial: Trial, evidence: TooMany) -> Outcome | None:
        """The outcome of a trial, which is counted; None if it does not exercise the claim."""
        self.tally.add(trial)
        outcome = trial.outcome
        if outcome.vacuous:
            return None
        delta = self.quantifier.allowed_failures(trial)
        self.draws.allow(delta)
        evidence.update(outcome.failed, delta)
        return outcome

    def found(self) -> _Found:
        """Look at data, then at the worst."""
        overall = TooMany()
        worst: tuple[tuple[bool, float], int] | None = None
        for number, trial in self.draws.data():
            outcome = self._seen(trial, overall)
            if outcome is None:
                continue
            self.data += 1
            self.outcomes.append(outcome)
            if overall.rejects(self.alpha):
                return self._violated(overall, f"{self.data} data sets")
            rank = (not (outcome.failed or outcome.doubtful), outcome.slack)
            if worst is None or rank < worst[0]:
                worst = (rank, number)
        if worst is None:
            # the event may be rare: the one data set there is, or the first, is drawn on
            worst = ((True, math.inf), 0)
        return self._afresh(worst[1], overall)

    def _afresh(self, number: int, overall: TooMany) -> _Found:
        """Draw one data set with fresh seeds until the claim is decided."""
        evidence, doubtful, delta = TooMany(), 0, math.nan
        outcomes: list[Outcome] = []
        for trial in self.draws.again(number):
            outcome = self._seen(trial, evidence)
            if outcome is None:
                if evidence.draws == 0 and self.draws.made > HOPELESS:
                    break
                continue
            outcomes.append(outcome)
            doubtful += outcome.doubtful
            delta = self.quantifier.allowed_failures(trial)
            if evidence.rejects(self.alpha):
                return self._violated(evidence, "fresh draws of the worst data" if self.data > 1 else "draws")
            failures = evidence.failures + doubtful
            if failures <= evidence.expected and excludes(failures, evidence.draws, SHARP * delta, level=CONFIRM):
                break
        if not outcomes:
            few = self.outcomes[0].slack if self.outcomes else math.inf
            return self._open(few, "too few draws exercised the claim", "")
        return self._decided(outcomes, evidence, doubtful, delta, overall)

    def _decided(
        self, outcomes: list[Outcome], evidence: TooMany, doubtful: int, delta: float, overall: TooMany
    ) -> _Found:
        failures, count = evidence.failures + doubtful, evidence.draws
        rate = excluded_rate(failures, count, level=CONFIRM)
        # the factor by which the bound could be tightened and still fail no more often than the claim allows
        spare = int(evidence.expected + 1e-9)  # 1 - 0.9 is a little less than 0.1
        slack = sorted(outcome.slack for outcome in outcomes)[min(spare, count - 1)]
        seen = f"{evidence.failures} of {count} draws failed, {evidence.expected:.3g} expected at the most"
        if doubtful:
            seen += f", {doubtful} more exceed the bound by less than their rounding error"
        missed = f"rate < {min(rate, 1):.2g}"
        if self.data > 1:
            seen = f"worst of {self.data} data sets: {seen}"
            missed += f", data < {1 - (1 - CONFIRM) ** (1 / self.data):.2g}"
        too_many = failures > evidence.expected or overall.failures > overall.expected + 3 * math.sqrt(overall.expected)
        limit = min(BLUNT * delta, (1 + delta) / 2)
        if too_many:
            return _Found("inconclusive", slack, f"{seen}: more than claimed, too few to refute", missed)
        if rate > limit:
            return self._open(slack, f"{seen}; a failure rate of {rate:.2g} is excluded at 99%, too little", missed)
        return _Found("holds", slack, f"{seen}; a failure rate of {rate:.2g} is excluded at 99%", missed)

    def _open(self, slack: float, evidence: str, missed: str) -> _Found:
        """A claim that is neither refuted nor confirmed is observed where its module says why no more can be drawn."""
        family = self.draws.runs.family
        failed = sum(outcome.failed for outcome in self.outcomes)
        if not family.observed or failed:
            return _Found("inconclusive", slack, evidence, missed)
        return _Found("observed", slack, f"{family.name!r} only observed ({family.observed}): {evidence}", missed)

    def _violated(self, evidence: TooMany, what: str) -> _Found:
        return _Found(
            "violated",
            min(outcome.slack for outcome in self.outcomes) if self.outcomes else 0.0,
            f"{evidence.failures} of {evidence.draws} {what} failed, {evidence.expected:.3g} expected at the most; "
            f"log e-value {evidence.log_value:.1f}, false alarm < {2 * self.alpha:.1e}",
        )


def with_probability(probability: sympy.Expr | float) -> WithProbability:
    """The bound holds with at least this probability over the draw of the weights."""
    expression = sympy.sympify(probability)
    if expression.is_number and not 0 < expression < 1:
        raise NtkVerifyError(f"with_probability needs a probability strictly between 0 and 1, not {probability}.")
    return WithProbability(f"with_probability({expression})", expression)
