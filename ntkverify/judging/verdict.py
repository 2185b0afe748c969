"""How measurements become a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ntkverify.judging.case import Trial
from ntkverify.theorem.parts import Claim
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


@dataclass
class Tally:
    """Running totals over the trials of one claim, and what its quantifier makes of them; see `Verdict`."""

    status: Status = "holds"
    slack: float | None = None
    tried: int = 0
    vacuous: int = 0
    evidence: str = ""
    witness: str | None = None

    def add(self, trial: Trial) -> None:
        """Count a trial; the one with the least slack is the witness."""
        outcome = trial.outcome
        self.tried += 1
        self.vacuous += outcome.vacuous
        if not outcome.vacuous and (self.slack is None or outcome.slack < self.slack):
            self.slack, self.witness = outcome.slack, trial.run.instance.to_json()


def judge(theorem: Theorem, claim: Claim, trials: Iterable[Trial], *, alpha: float) -> Verdict:
    """The verdict on one claim from its trials; `alpha` is the level that a statistical quantifier may spend."""
    started = time.perf_counter()
    tally: Tally = claim.quantifier.judge(claim, trials, alpha=alpha)
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
