"""``with_probability``: independent draws fail no more often than claimed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging import statistics
from ntkverify.judging.case import Trial
from ntkverify.judging.outcome import Outcome
from ntkverify.judging.verdict import Tally
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

    is_statistical: ClassVar[bool] = True
    is_decided_by_redrawing: ClassVar[bool] = True

    def allowed_failures(self, trial: Trial) -> float:
        """What the probability leaves."""
        return 1 - float(trial.value(self.probability))

    def judge(self, claim: Claim, trials: Iterable[Trial], *, alpha: float) -> Tally:
        """Watch an e-process after every draw, and test the number of failures exactly after the last."""
        tally, outcomes, deltas = Tally(), [], []
        drawn = list(trials)
        # the probability depends on data and parameters, not on the draw: known before the first outcome
        allowed = [self.allowed_failures(trial) for trial in drawn]
        process = statistics.EProcess(max(allowed, default=0.5))
        for trial, delta in zip(drawn, allowed, strict=True):
            tally.add(trial)
            if trial.outcome.vacuous:
                continue
            outcomes.append(trial.outcome)
            deltas.append(delta)
            process.update(trial.outcome.failed, delta=delta)
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


def _decide(tally: Tally, outcomes: list[Outcome], deltas: list[float], alpha: float) -> None:
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


def with_probability(probability: sympy.Expr | float) -> WithProbability:
    """The bound holds with at least this probability over the draw of the weights."""
    expression = sympy.sympify(probability)
    if expression.is_number and not 0 < expression < 1:
        raise NtkVerifyError(f"with_probability needs a probability strictly between 0 and 1, not {probability}.")
    return WithProbability(f"with_probability({expression})", expression)
