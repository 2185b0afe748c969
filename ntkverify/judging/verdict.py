"""How measurements become a verdict."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ntkverify.display import details_html, table_html
from ntkverify.judging.case import Trial
from ntkverify.judging.draws import Draws
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

Status = Literal["holds", "violated", "inconclusive", "observed", "not judged", "not exercised"]


@dataclass(frozen=True, repr=False)
class Verdict:
    """What all runs together say about a claim.

    Parameters
    ----------
    theorem, claim, kind, quantifier : str
        Which claim.
    status : {"holds", "violated", "inconclusive", "observed", "not judged", "not exercised"}
        The verdict proper; a control is refuted when it is violated, and what can't be run is not judged. At given data
        a claim of which nothing was measured is not exercised.
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
        Where the claim comes from, with its provenance.
    level : str
        What the verdict rests on: ``proved``, ``certified``, ``exact statistics``, ``float64, n instances``.
    missed : str
        What would have gone unnoticed, with probability 0.01 at the most.
    unresolved : int
        Entries that were not exercised because rounding may be more than a hundredth of them.
    remedy : str
        What may decide an inconclusive claim.
    unmet : dict of str to int
        How many of the vacuous instances missed which assumption, the first that they miss, or the event.
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
    level: str = ""
    missed: str = ""
    unresolved: int = 0
    remedy: str = ""
    unmet: dict[str, int] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The word for tables: a control is ``refuted`` when all is well."""
        if self.kind != "control":
            return self.status
        return {"violated": "refuted", "holds": "not refuted", "observed": "not refuted"}.get(self.status, self.status)

    @property
    def passed(self) -> bool:
        """Whether all is well: a claim holds or is only to be observed, a control is refuted; what was met but not
        exercised fails nothing either."""
        return self.shown in ("holds", "observed", "refuted") or (
            self.status == "not exercised" and self.vacuous < self.instances
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready dictionary; an infinite slack (nothing measurable) is null."""
        record = asdict(self)
        del record["status"]
        finite = self.slack is not None and math.isfinite(self.slack)
        return {**record, "verdict": self.shown, "slack": self.slack if finite else None}

    record = to_dict

    def __repr__(self) -> str:
        slack = "" if self.slack is None or not math.isfinite(self.slack) else f", slack {self.slack:.3g}"
        return f"<{self.kind} {self.claim!r}: {self.shown}{slack}>"

    def _repr_html_(self) -> str:
        hidden = {"claim", "kind", "verdict", "slack"}
        rows = [
            (name, value)
            for name, value in self.to_dict().items()
            if name not in hidden and value not in ("", None, {})
        ]
        return details_html(
            f"{self.shown}: {self.claim}" + ("" if self.slack is None else f" (slack {self.slack:.3g})"),
            table_html(("", ""), rows),
        )


@dataclass
class Tally:
    """Running totals over the trials of one claim, and what its quantifier makes of them; see `Verdict`."""

    status: Status = "holds"
    slack: float | None = None
    tried: int = 0
    vacuous: int = 0
    evidence: str = ""
    witness: str | None = None
    level: str = ""
    missed: str = ""
    unresolved: int = 0
    remedy: str = ""
    unmet: Counter[str] = field(default_factory=Counter)

    def add(self, trial: Trial) -> None:
        """Count a trial; the one with the least slack is the witness."""
        outcome = trial.outcome
        self.tried += 1
        self.vacuous += outcome.vacuous
        self.unmet.update([outcome.unmet] if outcome.unmet else [])
        self.unresolved += outcome.unresolved
        if not outcome.vacuous and (self.slack is None or outcome.slack < self.slack):
            self.slack, self.witness = outcome.slack, trial.run.recorded.to_json()


def judge(theorem: Theorem, claim: Claim, draws: Draws) -> Verdict:
    """The verdict on one claim from its draws."""
    started = time.perf_counter()
    tally: Tally = claim.quantifier.judge(claim, draws)
    exercised = tally.tried - tally.vacuous
    if tally.status != "violated" and not exercised:
        tally.status, tally.evidence, tally.missed = "inconclusive", "no instance exercised the claim", ""
        tally.remedy = to_exercise(theorem, claim)
    if tally.unresolved:
        tally.evidence += f"; {tally.unresolved} entries left out, which rounding may have decided"
    level = tally.level or claim.quantifier.level
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
        source=theorem.label_of(claim),
        level=f"float64, {exercised} instances" if level == "float64" else level,
        missed=tally.missed,
        unresolved=tally.unresolved,
        unmet=dict(tally.unmet.most_common()),
        remedy=(tally.remedy or MORE_DRAWS) if tally.status == "inconclusive" else "",
    )


#: what decides most that is open
MORE_DRAWS = (
    "remedy: draw more, with --ntk-profile ci or thorough (--profile for `ntkverify check`); if that leaves it open, "
    "loosen the bound"
)
#: what decides where rounding might
LESS_ROUNDING = (
    "remedy: state a smaller rounding error with error=..., say attained=True if the bound is reached, or leave out "
    "with given=... where both sides are equal by construction"
)


def to_exercise(theorem: Theorem, claim: Claim) -> str:
    """What instances have to meet, so that a claim is exercised."""
    names = [repr(assumption.name) for assumption in theorem.assumptions_of(claim)]
    missed = [f"the assumption{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    missed += ["the event given=..."] if claim.given is not None else []
    return f"remedy: let the instances meet {' and '.join(missed) or 'what the claim is about'}"


def unjudged(theorem: Theorem, claim: Claim, reason: str) -> Verdict:
    """The row of a claim that could not be judged: its backend is not there, say, or its measure fails."""
    return Verdict(
        theorem=theorem.id or theorem.title,
        claim=claim.name,
        kind=claim.kind,
        quantifier=claim.quantifier.name,
        status="not judged",
        slack=None,
        instances=0,
        vacuous=0,
        seconds=0.0,
        evidence=reason,
        source=theorem.label_of(claim),
    )
