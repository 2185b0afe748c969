"""``with_probability``: independent draws fail no more often than claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import REFUTE
from ntkverify.judging.case import Trial
from ntkverify.judging.draws import Draws
from ntkverify.judging.quantifiers.worst_data import Found, OneFamily
from ntkverify.judging.rates import upwards
from ntkverify.judging.verdict import LESS_ROUNDING, Status, Tally
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.quantifier import Quantifier


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
        """What the probability leaves.

        Raises
        ------
        NtkVerifyError
            If it is none, on this instance.
        """
        probability = float(trial.value(self.probability))
        if not 0 < probability < 1:
            raise NtkVerifyError(
                f"claim {trial.case.claim.name!r} holds with probability {probability:g} on an instance; a probability "
                "lies strictly between 0 and 1."
            )
        return 1 - probability

    def judge(self, claim: Claim, draws: Draws) -> Tally:
        """Every family for itself: different data first, then the worst of them with fresh seeds."""
        tally = Tally()
        found: list[Found] = []
        for family in draws.families:
            alpha = REFUTE / (2 * len(draws.families))
            found.append(OneFamily(self.allowed_failures, tally, family, alpha, draws.is_control).found())
            tally.slack = min(f.slack for f in found)
            if found[-1].status == "violated":
                tally.status, tally.evidence = "violated", found[-1].evidence
                return tally
        words = {f.status for f in found}
        # what is too dear to be confirmed is said beside what was, and is the word only where nothing else was
        confirmed: Status = "observed" if words == {"observed"} else "holds"
        tally.status = "inconclusive" if "inconclusive" in words else confirmed
        tally.evidence = "; ".join(f.evidence for f in found)
        tally.remedy = LESS_ROUNDING if any(f.doubtful for f in found) else ""
        tally.missed = "; ".join(dict.fromkeys([*_missed(found), *(f.aside for f in found if f.aside)]))
        return tally


def _missed(found: list[Found]) -> list[str]:
    """The largest rate and share that some family would have missed."""
    confirmed = [f for f in found if f.status != "observed"]
    if not confirmed:
        return []
    rate, share = max(f.rate for f in confirmed), max(f.share for f in confirmed)
    return [f"rate < {upwards(rate)}" + (f", data < {upwards(share)}" if share else "")]


def with_probability(probability: sympy.Expr | float) -> WithProbability:
    """The bound holds with at least this probability over the draw of the weights."""
    expression = sympy.sympify(probability)
    if expression.is_number and not 0 < expression < 1:
        raise NtkVerifyError(f"with_probability needs a probability strictly between 0 and 1, not {probability}.")
    return WithProbability(f"with_probability({expression})", expression)
