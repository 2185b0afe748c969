"""A claim of probability on one family of instances: different data, the worst of them, and those afresh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import scipy

from ntkverify.judging.budget import BLUNT, CONFIRM, REFUTE, SHARP
from ntkverify.judging.case import Trial
from ntkverify.judging.draws import FamilyDraws
from ntkverify.judging.outcome import Outcome
from ntkverify.judging.rates import TooMany, excluded_rate, excludes, upwards
from ntkverify.judging.verdict import Status, Tally

#: draws without one that exercises the claim, after which no more are made
HOPELESS = 200
#: so many data sets that fare worst are drawn so many times more, to see which is the worst
SUSPECTS, LOOKS_AT_EACH = 6, 4


@dataclass(frozen=True)
class Found:
    """What one family says.

    Parameters
    ----------
    status : {"holds", "violated", "inconclusive", "observed"}
        The word.
    slack : float
        The factor by which the bound could be tightened and still fail no more often than claimed.
    evidence : str
        How it was decided.
    rate, share : float
        The failure rate that was excluded, and the share of data that may always fail unseen; 0 for fixed data.
    aside : str
        What else the table has to say.
    doubtful : bool
        Whether it is open because rounding may decide some of the draws.
    """

    status: Status
    slack: float
    evidence: str
    rate: float = 1.0
    share: float = 0.0
    aside: str = ""
    doubtful: bool = False


@dataclass
class _Suspect:
    """A data set, and how it fared so far."""

    number: int
    failures: int
    slack: float
    looks: int = 0
    delta: float = 0.0

    @property
    def rank(self) -> tuple[int, float]:
        return (-self.failures, self.slack)


class _Afresh:
    """What the fresh draws of one data set showed.

    A probability may depend on the draw: what is excluded is excluded for the least that is allowed, `delta`.
    """

    def __init__(self) -> None:
        self.slacks: list[float] = []
        self.failures = 0
        self.doubtful = 0
        self.expected = 0.0
        self.delta = 1.0

    @property
    def draws(self) -> int:
        """How many exercised the claim."""
        return len(self.slacks)

    def add(self, outcome: Outcome, delta: float) -> None:
        """Count a draw; one that rounding may decide counts as failed."""
        self.slacks.append(outcome.slack)
        self.failures += outcome.failed or outcome.doubtful
        self.doubtful += outcome.doubtful
        self.expected += delta
        self.delta = min(self.delta, delta)


class OneFamily:
    """One family of instances under one claim of probability.

    Data are drawn first, each once: a bound that fails for one data set in twenty keeps a failure rate of 5% over all,
    and no probability. Those that fare worst are looked at again, and the worst of them is then drawn afresh, since the
    draws that it was selected by say nothing about it any more.

    Parameters
    ----------
    allowed : callable
        The failure probability that a trial's claim allows.
    tally : Tally
        Counts the trials.
    draws : FamilyDraws
        Where trials come from.
    alpha : float
        Level of each of the two tests that may refute: over all data, and of the worst.
    is_control : bool
        Whether to go on until the claim is refuted.
    """

    def __init__(
        self,
        allowed: Callable[[Trial], float],
        tally: Tally,
        draws: FamilyDraws,
        alpha: float,
        is_control: bool = False,
    ) -> None:
        self.allowed = allowed
        self.tally = tally
        self.draws = draws
        self.alpha = alpha
        self.is_control = is_control
        self.overall = TooMany()
        self.doubtful = 0
        self.slack = math.inf
        self.distinct: set[str] = set()

    def _seen(self, trial: Trial, evidence: TooMany | None = None) -> Outcome | None:
        """The outcome of a trial, which is counted; None if it does not exercise the claim.

        One that rounding alone decides has not failed, which counts against a refutation, and speaks for no claim.
        """
        self.tally.add(trial)
        outcome = trial.outcome
        if outcome.vacuous and not outcome.unresolved:
            return None
        delta = self.allowed(trial)
        self.draws.allow(delta)
        if outcome.vacuous:
            if evidence is not None:
                evidence.update(False, delta)
            return None
        self.slack = min(self.slack, outcome.slack)
        if evidence is not None:
            evidence.update(outcome.failed, delta)
        return outcome

    def found(self) -> Found:
        """Look at data, at the worst of them again, then at the worst afresh."""
        suspects: list[_Suspect] = []
        for number, trial in self.draws.data():
            outcome = self._seen(trial, self.overall)
            if outcome is None:
                continue
            self.distinct.add(trial.run.instance.content)
            self.doubtful += outcome.doubtful
            if self.overall.rejects(self.alpha):
                return self._violated(self.overall, "data sets")
            failed = int(outcome.failed or outcome.doubtful)
            suspects.append(_Suspect(number, failed, outcome.slack, delta=self.allowed(trial)))
        # the event may be rare: the one data set there is, or the first, is drawn on
        worst = self._worst(suspects) if suspects else _Suspect(0, 0, math.inf)
        if worst.delta:
            self.draws.allow_afresh(worst.delta)
        return self._afresh(worst)

    def _worst(self, suspects: list[_Suspect]) -> _Suspect:
        """The data set that fares worst, of those that did so far each looked at a few times more."""
        suspects.sort(key=lambda suspect: suspect.rank)
        if len(self.distinct) < 2:
            return suspects[0]
        chosen = suspects[: SUSPECTS if suspects[0].failures else SUSPECTS // 2]
        for suspect in chosen:
            for trial in self.draws.again(suspect.number):
                suspect.looks += 1
                outcome = self._seen(trial)
                if outcome is not None:
                    suspect.failures += outcome.failed or outcome.doubtful
                    suspect.slack = min(suspect.slack, outcome.slack)
                if suspect.looks == LOOKS_AT_EACH or self.draws.is_dear:
                    break
        return min(chosen, key=lambda suspect: suspect.rank)

    def _afresh(self, worst: _Suspect) -> Found:
        """Draw one data set with fresh seeds until the claim is decided."""
        evidence, seen = TooMany(), _Afresh()
        for trial in self.draws.again(worst.number, after=worst.looks):
            outcome = self._seen(trial, evidence)
            if outcome is None:
                if not seen.slacks and self.draws.made > HOPELESS:
                    break
                continue
            delta = self.allowed(trial)
            seen.add(outcome, delta)
            if outcome.failed or outcome.doubtful:
                self.draws.allow_more(delta)
            if evidence.rejects(self.alpha):
                return self._violated(evidence, "fresh draws of the worst data" if len(self.distinct) > 1 else "draws")
            few = seen.failures <= seen.expected
            if few and not self.is_control and excludes(seen.failures, seen.draws, SHARP * seen.delta, level=CONFIRM):
                break
        if not seen.slacks:
            return self._open(self.slack, "too few draws exercised the claim")
        return self._decided(seen)

    def _decided(self, afresh: _Afresh) -> Found:
        rate = excluded_rate(afresh.failures, afresh.draws, level=CONFIRM)
        # the factor by which the bound could be tightened and still fail no more often than the claim allows
        spare = int(afresh.expected + 1e-9)  # 1 - 0.9 is a little less than 0.1
        slack = sorted(afresh.slacks)[min(spare, afresh.draws - 1)]
        failed = afresh.failures - afresh.doubtful
        seen = f"{failed} of {afresh.draws} draws failed, {afresh.expected:.3g} expected at the most"
        if afresh.doubtful:
            seen += f", rounding may decide {afresh.doubtful} more"
        share, data = 0.0, len(self.distinct)
        if data > 1:
            seen = f"worst of {data} data sets: {seen}"
            share = 1 - (1 - CONFIRM) ** (1 / data)
        if afresh.failures > afresh.expected:
            doubtful = failed <= afresh.expected
            return Found(
                "inconclusive", slack, f"{seen}: more than claimed, too few to refute", rate, share, doubtful=doubtful
            )
        if self._too_many():
            seen = f"{self.overall.failures + self.doubtful} of {self.overall.draws} data sets failed"
            evidence = f"{seen}, {self.overall.expected:.3g} expected at the most; too few to refute"
            return Found("inconclusive", slack, evidence, rate, share)
        if rate > min(BLUNT * afresh.delta, (1 + afresh.delta) / 2):
            return self._open(slack, f"{seen}; a failure rate of {upwards(rate)} is excluded at 99%, too little", rate)
        return Found("holds", slack, f"{seen}; a failure rate of {upwards(rate)} is excluded at 99%", rate, share)

    def _too_many(self) -> bool:
        """Whether so many data sets failed at once as one claim in a hundred would have that is true."""
        failures, draws = self.overall.failures + self.doubtful, self.overall.draws
        return draws > 0 and bool(
            scipy.stats.binom.sf(failures - 1, draws, self.overall.expected / draws) < 1 - CONFIRM
        )

    def _open(self, slack: float, evidence: str, rate: float = 1.0) -> Found:
        """A claim that is neither refuted nor confirmed is observed where its module says why no more can be drawn."""
        family = self.draws.runs.family
        seen = self.overall.draws and not self.overall.failures + self.doubtful
        if not family.observed or not seen:
            return Found("inconclusive", slack, evidence, rate)
        aside = f"{family.name!r} only observed"
        return Found("observed", slack, f"{aside} ({family.observed}): {evidence}", rate, aside=aside)

    def _violated(self, evidence: TooMany, what: str) -> Found:
        return Found(
            "violated",
            self.slack,
            f"{evidence.failures} of {evidence.draws} {what} failed, {evidence.expected:.3g} expected at the most; "
            f"log e-value {evidence.log_value:.1f}, false alarm < {REFUTE:.1e}",
        )
