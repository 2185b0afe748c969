"""A mean over m neurons is close to its expectation: Hoeffding, Chebyshev, Bernstein with both of its terms.

Hoeffding   terms in an interval of length 1 (entries of a ReLU Gram matrix):
            P(|mean - E| >= t) <= 2 exp(-2 m t^2)
Chebyshev   V >= E||G||^2 of one term: ||mean - E|| <= sqrt(V/(m delta)) with probability 1 - delta
Bernstein   terms cut off at M: ||mean - E|| <= sqrt(2 V l/m) + 2 M l/(3 m) + sqrt(V delta/(2 m)), l = log(4/delta),
            with probability 1 - delta if some term is cut with probability delta/2 at most (Pinelis: no union over
            entries); the last term is what the cut moves the expectation
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy import Rational, exp, log, sqrt

from ntkverify import always, scales_as, with_probability
from ntkverify.glossary import delta, m
from ntkverify.lemmas.part import Part
from ntkverify.symbolic.constants.derived import Derived, solve_for
from ntkverify.theorem.theorem import Theorem

_HALF_LINE = sympy.Interval.open(0, sympy.oo)


def hoeffding(count: sympy.Expr, deviation: sympy.Expr, *, draws: sympy.Expr = m) -> sympy.Expr:
    """Probability that one of `count` means over `draws` neurons is off by more than `deviation`."""
    return 2 * count * exp(-2 * draws * deviation**2)


def chebyshev(second_moment: sympy.Expr) -> sympy.Expr:
    """What the deviation exceeds with probability delta at most."""
    return sqrt(second_moment / (m * delta))


def chebyshev_width(second_moment: sympy.Expr, tolerance: sympy.Expr) -> Derived:
    """Sufficient for a deviation of at most `tolerance` with probability 1 - delta."""
    return solve_for(m, sympy.Le(second_moment / (m * delta), tolerance**2))


def bernstein(second_moment: sympy.Expr, largest: sympy.Expr) -> sympy.Expr:
    """The same with both terms and the tail."""
    ell = log(4 / delta)
    terms = sqrt(2 * second_moment * ell / m) + Rational(2, 3) * largest * ell / m
    return terms + sqrt(second_moment * delta / (2 * m))


def least_width(failure: sympy.Expr, values: Mapping[sympy.Symbol, Any]) -> int:
    """The least width at which a probability of failure is delta at most, at exact values."""
    needed = solve_for(m, sympy.Le(failure, delta)).expression
    least: int = math.ceil(needed.subs(dict(values)).evalf(50))
    return least


class Concentration(Part):
    """The initial Gram matrix, or whatever else a run measures, against its limit.

    Parameters
    ----------
    theorem : Theorem
        Receives the claims.
    of : str
        What a run answers for.
    **where
        Options that all claims share, such as ``assumes=`` and ``uses=``.
    """

    name = "concentration"

    def __init__(self, theorem: Theorem, *, of: str = "initial_gram_error", **where: Any) -> None:
        super().__init__(theorem)
        self.where = {"of": of, **where}

    def within(
        self, sentence: str, bound: sympy.Expr, *, kind: str = "lemma", quarter: str | None = None, **where: Any
    ) -> None:
        """At most `bound` with probability 1 - delta; `quarter` names the control that a quarter of it is enough."""
        self._add(kind)(sentence, holds=with_probability(1 - delta), bound=bound, **{**self.where, **where})
        if quarter is not None:
            self.false(quarter, bound / 4, **where)

    def false(self, sentence: str, bound: sympy.Expr, **where: Any) -> None:
        """A control: at most `bound` with probability 1 - delta."""
        self.within(sentence, bound, kind="control", **where)

    def shrinks(self, sentence: str, *, kind: str = "lemma", fast: str | None = None, **where: Any) -> None:
        """Of the order of m^(-1/2); `fast` names the control that it is of the order of 1/m."""
        options = {**self.where, **where}
        self._add(kind)(sentence, holds=scales_as(Rational(-1, 2), tolerance=0.1), **options)
        if fast is not None:
            self.control(fast, holds=scales_as(-1, tolerance=0.1), **options)

    def hoeffding_tail(self) -> None:
        """Hoeffding's tail is delta from the derived width on, and smaller beyond it."""
        count, tolerance, beyond = sympy.symbols("count tolerance beyond", positive=True)
        width = solve_for(m, sympy.Le(hoeffding(count, tolerance), delta)).expression
        self.lemma(
            "Hoeffding: from its width on one of the means is off by more than the tolerance with probability delta",
            of=hoeffding(count, tolerance).subs(m, width + beyond),
            holds=always,
            bound=delta,
            over={
                **dict.fromkeys((tolerance, beyond), _HALF_LINE),
                count: sympy.Interval(1, sympy.oo),
                delta: sympy.Interval.open(0, 1),
            },
        )

    def falls(self, sentence: str, bound: Callable[..., sympy.Expr], *of: str) -> None:
        """A deviation that is allowed, a function of so many positive numbers, gets smaller as the width grows."""
        numbers, beyond = [sympy.Symbol(name, positive=True) for name in of], sympy.Symbol("beyond", positive=True)
        self.lemma(
            sentence,
            of=bound(*numbers).subs(m, m + beyond),
            holds=always,
            bound=bound(*numbers),
            over={**dict.fromkeys((*numbers, m, beyond), _HALF_LINE), delta: sympy.Interval.open(0, 1)},
        )

    def _add(self, kind: str) -> Any:
        return {"lemma": self.lemma, "conclusion": self.conclusion, "control": self.control}[kind]
