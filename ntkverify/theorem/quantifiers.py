"""How strongly a claim claims: the five quantifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError


@dataclass(frozen=True)
class Quantifier:
    """Base of the five; `name` is what tables show."""

    name: str

    @property
    def is_statistical(self) -> bool:
        """Whether its verdict spends a share of the session's budget of false alarms."""
        return isinstance(self, WithProbability | ScalesAs | InLaw)


@dataclass(frozen=True)
class WithProbability(Quantifier):
    """Each independent draw satisfies the bound with at least this probability.

    Parameters
    ----------
    probability : sympy.Expr
        The claimed probability, in (0, 1), in the symbols of the theorem.
    """

    probability: sympy.Expr


@dataclass(frozen=True)
class ScalesAs(Quantifier):
    """The measured quantity grows like width**exponent.

    Parameters
    ----------
    exponent : float
        Claimed exponent.
    tolerance : float
        Deviation of the fitted exponent that finite widths may cause. The claim is violated when the confidence
        interval lies outside ``exponent +- tolerance``; it is inconclusive when that interval is wider than the band,
        or when the fitted exponent itself lies outside and the interval touches.
    """

    exponent: float
    tolerance: float


@dataclass(frozen=True)
class InLaw(Quantifier):
    """The measured quantity follows a distribution up to a stated Kolmogorov distance.

    Parameters
    ----------
    cdf : callable
        Distribution function of the claimed law, vectorised.
    within : sympy.Expr
        Allowed Kolmogorov distance, in the symbols of the theorem.
    """

    cdf: Callable[[NDArray[Any]], NDArray[Any]]
    within: sympy.Expr


identity = Quantifier("identity")  #: two sides are equal, symbolically or within a stated rounding error
always = Quantifier("always")  #: every instance inside the assumptions satisfies the bound


def with_probability(probability: sympy.Expr | float) -> WithProbability:
    """The bound holds with at least this probability over the draw of the weights."""
    expression = sympy.sympify(probability)
    if expression.is_number and not 0 < expression < 1:
        raise NtkVerifyError(f"with_probability needs a probability strictly between 0 and 1, not {probability}.")
    return WithProbability(f"with_probability({expression})", expression)


def scales_as(exponent: float | sympy.Expr, *, tolerance: float) -> ScalesAs:
    """The measured quantity scales like ``m**exponent`` over the widths that the instances cover."""
    if not tolerance > 0:
        raise NtkVerifyError(f"scales_as needs a positive tolerance on the exponent, not {tolerance}.")
    return ScalesAs(f"scales_as(m**{exponent})", float(exponent), tolerance)


def in_law(
    cdf: Callable[[NDArray[Any]], NDArray[Any]], *, within: sympy.Expr | float, name: str = "distribution"
) -> InLaw:
    """The measured quantity has distribution function `cdf`, up to the Kolmogorov distance `within`."""
    return InLaw(f"in_law({name})", cdf, sympy.sympify(within))
