"""``identity``: two sides are equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy

from ntkverify.judging.case import Trial
from ntkverify.judging.draws import Draws
from ntkverify.judging.quantifiers.always import Always
from ntkverify.judging.verdict import Tally
from ntkverify.theorem.parts import Claim


@dataclass(frozen=True)
class Identity(Always):
    """Two sides are equal: as expressions, or on every run within their rounding error."""

    takes_bound: ClassVar[bool] = False
    takes_expressions: ClassVar[bool] = True
    takes_ranges: ClassVar[bool] = False

    def objection(self, claim: Claim) -> str:
        """Also of two sides whose rounding error nobody knows."""
        if claim.error is None and claim.bound is None and not claim.is_symbolic:
            return "is a numerical identity; give its rounding error with error=...."
        return super().objection(claim)

    def measured(self, found: Any, numbers: Callable[[Any], Any]) -> Any:
        """The distance of the two sides."""
        left, right = (numbers(side) for side in found)
        return abs(left - right)

    def limits(self, trial: Trial) -> tuple[Any, Any]:
        """The sides may differ by their rounding error, and by no more."""
        return trial.rounding, 0.0

    def judge(self, claim: Claim, draws: Draws) -> Tally:
        """Simplify the difference of two expressions; runs are judged like those of a bound."""
        return _of_expressions(claim) if claim.is_symbolic else super().judge(claim, draws)


def _of_expressions(claim: Claim) -> Tally:
    left, right = (sympy.sympify(side) for side in claim.measure())
    gap = sympy.simplify(left - right)
    if gap == 0 or (gap.is_Matrix and gap.is_zero_matrix):
        return Tally(tried=1, level="proved", evidence="equal symbolically")
    at = {s: sympy.Rational(7 + 3 * i, 11) for i, s in enumerate(sorted(gap.free_symbols, key=str))}
    number = gap.subs(at).evalf(50)
    for entry in number if number.is_Matrix else (number,):
        if entry.is_number and abs(entry) > sympy.Float("1e-40"):
            evidence = f"the two sides differ by {entry.evalf(5)} at {at}"
            return Tally(status="violated", tried=1, level="proved", evidence=evidence)
    return Tally(
        status="inconclusive",
        tried=1,
        evidence=f"simplification left {gap}",
        remedy="remedy: return simpler sides, or measure them on runs with error=...",
    )


identity = Identity("identity")  #: two sides are equal, symbolically or within a stated rounding error
