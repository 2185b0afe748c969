"""``always``: one run that exceeds the bound refutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ntkverify.judging.budget import CONFIRM
from ntkverify.judging.draws import Draws
from ntkverify.judging.quantifiers.ranges import judge_ranges, proof_of
from ntkverify.judging.rates import upwards
from ntkverify.judging.verdict import LESS_ROUNDING, Tally
from ntkverify.proving.prove import Proof
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier
from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Always(Quantifier):
    """Every instance inside the assumptions satisfies the bound."""

    is_decided_by_one_run: ClassVar[bool] = True
    takes_ranges: ClassVar[bool] = True

    def proof(self, theorem: Theorem, claim: Claim) -> Proof | None:
        """Of a claim over ranges."""
        return None if claim.over is None else proof_of(theorem, claim)

    def judge(self, claim: Claim, draws: Draws) -> Tally:
        """Look for an excess, to the first; one that rounding may explain refutes nothing and confirms nothing."""
        if claim.over is not None:
            return judge_ranges(draws.theorem, claim)
        tally = Tally()
        doubtful = 0
        exercised: dict[str, int] = {}
        different: dict[str, set[str]] = {}
        without_network: set[str] = set()
        for trial in draws.until_refuted():
            tally.add(trial)
            outcome = trial.outcome
            family = trial.case.family.name
            exercised[family] = exercised.get(family, 0) + (not outcome.vacuous)
            if not outcome.vacuous and trial.case.family.draws:
                different.setdefault(family, set()).add(trial.run.instance.content)
                without_network |= {family} if not trial.run.instance.width else set()
            doubtful += outcome.doubtful
            if outcome.failed:
                tally.status, tally.slack, tally.witness = "violated", outcome.slack, trial.run.recorded.to_json()
                tally.evidence = (
                    f"one instance exceeds the bound by the factor {1 / max(outcome.slack, 1e-300):.4g} (float64 only)"
                )
                return tally
        if doubtful and not claim.attained:
            tally.status = "inconclusive"
            tally.evidence = f"{doubtful} instances exceed the bound by less than their rounding error"
            tally.remedy = LESS_ROUNDING
        elif tally.tried > tally.vacuous:
            tally.evidence = f"within the bound on {tally.tried - tally.vacuous} instances"
            alike = {name: len(found) for name, found in different.items() if len(found) < exercised[name]}
            for name, count in alike.items():
                same = "one and the same" if count == 1 else f"only {count} different ones"
                tally.evidence += f", the {exercised[name]} of {name!r} being {same} with fresh seeds"
            # where no weights are drawn the same data with fresh seeds are the same instance
            told = {name: alike[name] if name in alike and name in without_network else exercised[name]
                    for name in exercised}  # fmt: skip
            fewest = min(count for count in told.values() if count)
            tally.missed = f"draws < {upwards(1 - (1 - CONFIRM) ** (1 / fewest))}" if fewest > 1 else ""
            if idle := [family for family, count in exercised.items() if not count]:
                tally.evidence += f", none of {', '.join(map(repr, idle))}"
            if doubtful:
                tally.evidence += f", attained to rounding on {doubtful}"
        return tally


always = Always("always")  #: every instance inside the assumptions satisfies the bound
