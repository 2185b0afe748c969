"""``always``: one run that exceeds the bound refutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ntkverify.judging.budget import CONFIRM
from ntkverify.judging.draws import Draws
from ntkverify.judging.verdict import Tally
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier


@dataclass(frozen=True)
class Always(Quantifier):
    """Every instance inside the assumptions satisfies the bound."""

    is_decided_by_one_run: ClassVar[bool] = True

    def judge(self, claim: Claim, draws: Draws) -> Tally:
        """Look for an excess, to the first; one that rounding may explain refutes nothing and confirms nothing."""
        tally = Tally()
        doubtful = 0
        for trial in draws.until_refuted():
            tally.add(trial)
            outcome = trial.outcome
            doubtful += outcome.doubtful
            if outcome.failed:
                tally.status, tally.slack, tally.witness = "violated", outcome.slack, trial.run.instance.to_json()
                tally.evidence = (
                    f"one instance exceeds the bound by the factor {1 / max(outcome.slack, 1e-300):.4g} (float64 only)"
                )
                return tally
        exercised = tally.tried - tally.vacuous
        if doubtful and not claim.attained:
            tally.status = "inconclusive"
            tally.evidence = f"{doubtful} instances exceed the bound by less than their rounding error"
        elif exercised:
            tally.evidence = f"within the bound on {exercised} instances"
            tally.missed = f"draws < {1 - (1 - CONFIRM) ** (1 / exercised):.2g}" if exercised > 1 else ""
            if doubtful:
                tally.evidence += f", attained to rounding on {doubtful}"
        return tally


always = Always("always")  #: every instance inside the assumptions satisfies the bound
