"""What a quantifier is. The ones there are stand in `ntkverify.judging.quantifiers`, a class and a file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ntkverify.arrays import Difference

if TYPE_CHECKING:
    from ntkverify.theorem.parts import Claim
    from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Quantifier(ABC):
    """How strongly a claim claims, and how that is judged.

    Whoever handles claims asks their quantifiers what follows, so that a new one is one subclass: `judge`, and those of
    the answers below that differ.

    Parameters
    ----------
    name : str
        What tables show.
    """

    name: str

    #: what a verdict rests on where runs decide; ``"float64"`` is followed by the number of instances
    level: ClassVar[str] = "float64"
    #: whether a single run refutes a claim; then searches climb single runs, and balls certify what they find
    is_decided_by_one_run: ClassVar[bool] = False
    #: whether draws of a single instance refute it: searches select instances, and fresh seeds decide
    is_decided_by_redrawing: ClassVar[bool] = False
    #: whether a sample of runs refutes it and no run alone: searches draw on, and climb nothing
    is_decided_by_sampling: ClassVar[bool] = False
    #: whether the measured quantity is compared with a bound
    takes_bound: ClassVar[bool] = True
    #: whether a claim may condition on an event
    takes_event: ClassVar[bool] = True
    #: whether a claim may be about expressions, without a run
    takes_expressions: ClassVar[bool] = False
    #: whether a claim may be about all numbers in the ranges ``over=``
    takes_ranges: ClassVar[bool] = False

    @abstractmethod
    def judge(self, claim: Claim, draws: Any) -> Any:
        """The `ntkverify.judging.verdict.Tally` of a claim.

        `draws` is a `ntkverify.judging.draws.Draws`; iterating over it gives the trials that the claim's families
        prescribe. Levels and budgets stand in `ntkverify.judging.budget`.
        """

    def objection(self, claim: Claim) -> str:
        """What is missing or contradictory in a claim; empty if nothing is."""
        if self.takes_bound and claim.bound is None:
            return f"holds {self.name} but has no bound; give bound=...."
        if not self.takes_bound and claim.bound is not None:
            return f"holds {self.name}, which takes no bound; remove it."
        if not self.takes_event and claim.given is not None:
            return f"holds {self.name}, which can't condition on an event; remove given=...."
        if claim.over is not None and not self.takes_ranges:
            return f"holds {self.name}, which is not for all numbers of a range; remove over=...."
        if not self.takes_expressions and claim.is_symbolic and claim.over is None:
            return f"holds {self.name} and measures no run; give its function the parameter run."
        return ""

    def measured(self, found: Any, numbers: Callable[[Any], Any]) -> Any:
        """The measured quantity, from what a measure returned; `numbers` makes arrays of float64 or of balls."""
        return numbers(found.left) - numbers(found.right) if isinstance(found, Difference) else numbers(found)

    def limits(self, trial: Any) -> tuple[Any, Any] | None:
        """The bound of a `ntkverify.judging.case.Trial` and its rounding error; None if one run exceeds nothing."""
        return trial.bound, trial.rounding

    def moved(self, by: Any) -> Quantifier | None:
        """The same claim with another exponent; None where it claims none."""
        return None

    def proof(self, theorem: Theorem, claim: Claim) -> Any:
        """The `ntkverify.proving.prove.Proof` of a claim over ranges; None of another."""
        return None

    def allowed_failures(self, trial: Any) -> float:
        """Share of the draws of an instance that may fail."""
        return 0.0
