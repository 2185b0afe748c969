"""How measurements become a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging import statistics
from ntkverify.judging.case import Trial
from ntkverify.judging.outcome import Outcome
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifiers import InLaw, ScalesAs, WithProbability
from ntkverify.theorem.theorem import Theorem

Status = Literal["holds", "violated", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """What all runs together say about a claim.

    Parameters
    ----------
    theorem, claim, kind, quantifier : str
        Which claim.
    status : {"holds", "violated", "inconclusive"}
        The verdict proper; a control is refuted when it is violated.
    slack : float or None
        Worst slack over all instances; for ``with_probability``, unless refuted early, the factor by which the bound
        could be tightened and still fail no more often than claimed; None where the quantifier has no bound.
    instances, vacuous : int
        How many were tried, and how many of them did not exercise the claim.
    seconds : float
        Time spent, shared runs counted where they were first needed.
    evidence : str
        How the verdict was reached, with error rates where it is statistical.
    witness : str or None
        JSON of the instance that violates the claim or comes closest to it.
    source : str
        Where the theorem comes from, with its provenance.
    """

    theorem: str
    claim: str
    kind: str
    quantifier: str
    status: Status
    slack: float | None
    instances: int
    vacuous: int
    seconds: float
    evidence: str
    witness: str | None = None
    source: str = ""

    @property
    def shown(self) -> str:
        """The word for tables: a control is ``refuted`` when all is well."""
        if self.kind != "control":
            return self.status
        return {"violated": "refuted", "holds": "not refuted"}.get(self.status, self.status)

    @property
    def passed(self) -> bool:
        """Whether all is well: a claim holds, a control is refuted."""
        return self.shown in ("holds", "refuted")

    def record(self) -> dict[str, Any]:
        """Plain JSON-ready dictionary; an infinite slack (nothing measurable) is null."""
        record = asdict(self)
        del record["status"]
        finite = self.slack is not None and math.isfinite(self.slack)
        return {**record, "verdict": self.shown, "slack": self.slack if finite else None}


def judge(theorem: Theorem, claim: Claim, trials: Iterable[Trial], *, alpha: float) -> Verdict:
    """The verdict on one claim from its trials; `alpha` is the level that a statistical quantifier may spend."""
    started = time.perf_counter()
    if claim.is_symbolic:
        tally = _symbolic(claim)
    else:
        if isinstance(claim.quantifier, WithProbability):
            method = _with_probability
        elif isinstance(claim.quantifier, ScalesAs | InLaw):
            method = _distributional
        else:
            method = _always
        tally = method(claim, iter(trials), alpha)
    if tally.status == "holds" and tally.tried == tally.vacuous:
        tally.status, tally.evidence = "inconclusive", "no instance exercised the claim"
    return Verdict(
        theorem=theorem.id or theorem.title,
        claim=claim.name,
        kind=claim.kind,
        quantifier=claim.quantifier.name,
        status=tally.status,
        slack=tally.slack,
        instances=tally.tried,
        vacuous=tally.vacuous,
        seconds=round(time.perf_counter() - started, 3),
        evidence=tally.evidence,
        witness=tally.witness,
        source=theorem.source.label,
    )


@dataclass
class _Tally:
    """Running totals over the instances of one claim."""

    status: Status = "holds"
    slack: float | None = None
    tried: int = 0
    vacuous: int = 0
    evidence: str = ""
    witness: str | None = None

    def add(self, trial: Trial) -> None:
        outcome = trial.outcome
        self.tried += 1
        self.vacuous += outcome.vacuous
        if not outcome.vacuous and (self.slack is None or outcome.slack < self.slack):
            self.slack, self.witness = outcome.slack, trial.run.instance.to_json()


def _symbolic(claim: Claim) -> _Tally:
    left, right = (sympy.sympify(side) for side in claim.measure())
    gap = sympy.simplify(left - right)
    if gap == 0 or (gap.is_Matrix and gap.is_zero_matrix):
        return _Tally(tried=1, evidence="equal symbolically")
    at = {s: sympy.Rational(7 + 3 * i, 11) for i, s in enumerate(sorted(gap.free_symbols, key=str))}
    number = gap.subs(at).evalf(50)
    for entry in number if number.is_Matrix else (number,):
        if entry.is_number and abs(entry) > sympy.Float("1e-40"):
            return _Tally(status="violated", tried=1, evidence=f"the two sides differ by {entry.evalf(5)} at {at}")
    return _Tally(status="inconclusive", tried=1, evidence=f"simplification left {gap}")


def _always(claim: Claim, trials: Iterator[Trial], alpha: float) -> _Tally:
    tally = _Tally()
    doubtful = 0
    for trial in trials:
        tally.add(trial)
        outcome = trial.outcome
        doubtful += outcome.doubtful
        if outcome.failed:
            tally.status, tally.slack, tally.witness = "violated", outcome.slack, trial.run.instance.to_json()
            tally.evidence = (
                f"one instance exceeds the bound by the factor {1 / max(outcome.slack, 1e-300):.4g} (float64 only)"
            )
            return tally
    if doubtful and not claim.attained:
        tally.status = "inconclusive"
        tally.evidence = f"{doubtful} instances exceed the bound by less than their rounding error"
    else:
        tally.evidence = f"within the bound on {tally.tried - tally.vacuous} instances"
        if doubtful:
            tally.evidence += f", attained to rounding on {doubtful}"
    return tally


def _with_probability(claim: Claim, trials: Iterator[Trial], alpha: float) -> _Tally:
    quantifier = claim.quantifier
    assert isinstance(quantifier, WithProbability)
    tally, outcomes, deltas = _Tally(), [], []
    drawn = list(trials)
    # the probability depends on data and parameters, not on the draw: known before the first outcome
    allowed = [1 - float(trial.value(quantifier.probability)) for trial in drawn]
    process = statistics.EProcess(max(allowed, default=0.5))
    for trial, delta in zip(drawn, allowed, strict=True):
        tally.add(trial)
        outcome = trial.outcome
        if outcome.vacuous:
            continue
        outcomes.append(outcome)
        deltas.append(delta)
        process.update(outcome.failed, delta=delta)
        if process.rejects(alpha / 2):
            tally.status = "violated"
            tally.evidence = (
                f"{process.failures} of {process.draws} draws failed, {sum(deltas):.3g} expected at the most; "
                f"log e-value {process.log_value:.1f}, false alarm < {alpha:.1e}"
            )
            return tally
    if outcomes:
        _decide(tally, outcomes, deltas, alpha)
    return tally


def _decide(tally: _Tally, outcomes: list[Outcome], deltas: list[float], alpha: float) -> None:
    """The exact test at the full number of draws; the e-process has the other half of alpha."""
    failures = sum(outcome.failed for outcome in outcomes)
    doubtful = sum(outcome.doubtful for outcome in outcomes)
    # the factor by which the bound could be tightened and still fail no more often than the claim allows
    spare = int(sum(deltas) + 1e-9)  # 1 - 0.9 is a little less than 0.1
    tally.slack = sorted(outcome.slack for outcome in outcomes)[spare]
    test = statistics.failure_rate(failures, deltas, alpha=alpha / 2)
    seen = f"{failures} of {test.draws} draws failed, {sum(deltas):.3g} expected at the most"
    if test.rejected:
        tally.status, tally.evidence = "violated", f"{seen}; p = {test.p_value:.1e}, false alarm < {alpha:.1e}"
    elif doubtful and statistics.failure_rate(failures + doubtful, deltas, alpha=alpha / 2).rejected:
        tally.status = "inconclusive"
        tally.evidence = (
            f"{seen}; {doubtful} more exceed the bound by less than their rounding error, which would decide"
        )
    elif math.isinf(test.detectable):
        tally.status = "inconclusive"
        tally.evidence = f"{seen}; too few draws to find even a claim that always fails at level {alpha / 2:.1e}"
    else:
        tally.evidence = (
            f"{seen}; false alarm < {alpha:.1e}, "
            f"a failure rate of {test.detectable:.2f} would be found with probability 0.99"
        )


def _distributional(claim: Claim, trials: Iterator[Trial], alpha: float) -> _Tally:
    quantifier = claim.quantifier
    tally = _Tally()
    widths: list[float] = []
    values: list[Array] = []
    within = 0.0
    for trial in trials:
        tally.add(trial)
        outcome = trial.outcome
        if outcome.vacuous:
            continue
        if outcome.value.size != 1:
            raise NtkVerifyError(
                f"claim {claim.name!r} holds {quantifier.name} and must measure one number per run, not "
                f"{outcome.value.size}: numbers of one run are not independent."
            )
        widths.append(trial.run.m)
        values.append(outcome.value.ravel())
        if isinstance(quantifier, InLaw):
            within = max(within, float(trial.value(quantifier.within)))
    tally.slack = None
    if not values:
        return tally
    sample = np.concatenate(values)
    if isinstance(quantifier, InLaw):
        fit = statistics.goodness_of_fit(sample, quantifier.cdf, within=within, alpha=alpha)
        tally.slack = fit.allowed / fit.distance if fit.distance > 0 else math.inf
        tally.status = "violated" if fit.rejected else "inconclusive" if fit.detectable >= 1 else "holds"
        tally.evidence = (
            f"distance {fit.distance:.3g} from the law over {fit.draws} values, allowed {fit.allowed:.3g}; "
            f"false alarm < {alpha:.1e}, a true distance of {fit.detectable:.2g} would be found"
        )
        return tally
    assert isinstance(quantifier, ScalesAs)
    slope = statistics.log_log_slope(widths, sample, alpha=alpha)
    low, high = quantifier.exponent - quantifier.tolerance, quantifier.exponent + quantifier.tolerance
    why = ""
    if slope.high < low or slope.low > high:
        tally.status = "violated"
    elif slope.resolution > 2 * quantifier.tolerance:
        tally.status, why = "inconclusive", "the interval is wider than the band: "
    elif not low <= slope.slope <= high:
        tally.status, why = "inconclusive", "the fit lies outside the band, which the interval touches: "
    tally.evidence = why + (
        f"exponent {slope.slope:.3f} in [{slope.low:.3f}, {slope.high:.3f}] over {slope.draws} draws, "
        f"claimed {quantifier.exponent:g} +- {quantifier.tolerance:g}; for normal scatter false alarm < {alpha:.1e}, "
        f"an exponent off by more than {quantifier.tolerance + slope.resolution:.2g} would be found"
    )
    return tally
