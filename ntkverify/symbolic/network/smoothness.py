"""Conditions on a smooth activation under which wide physics-informed networks have positive definite Gram matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import Softplus, Z
from ntkverify.symbolic.network.activations import Activation, get_activation


@dataclass(frozen=True)
class Smoothness:
    """Which conditions an activation meets.

    Parameters
    ----------
    bounded_third : bool
        The third derivative is bounded.
    lipschitz : bool
        The derivatives of order 1, 2 and 3 are Lipschitz: those of order 2, 3 and 4 are bounded.
    analytic : bool
        Real analytic and no polynomial.
    decaying : bool
        sigma^(n)(c x) / sigma^(n)(x) -> 0 for every c > 1 and n >= 2, as x -> oo or as x -> -oo.
    """

    bounded_third: bool
    lipschitz: bool
    analytic: bool
    decaying: bool

    @property
    def missing(self) -> int:
        """Number of conditions that fail."""
        return sum(not met for met in (self.bounded_third, self.lipschitz, self.analytic, self.decaying))


@lru_cache(maxsize=64)
def smoothness(activation: str | Activation) -> Smoothness:
    """Check an activation's conditions symbolically."""
    sigma = get_activation(activation)
    if not sigma.is_analytic:
        bounded = sigma.smoothness >= 3 and bool(sigma.supremum(3).value.is_finite)
        return Smoothness(bounded, False, False, False)
    orders = {n: _is_bounded(sigma, n) for n in (2, 3, 4)}
    return Smoothness(orders[3], all(orders.values()), not sigma.is_polynomial, has_decaying_ratio(sigma))


def _is_bounded(sigma: Activation, order: int) -> bool:
    """Whether a derivative of an analytic activation is bounded: it is continuous, so that only the ends matter."""
    derivative = sigma.derivative(order)
    if derivative.is_polynomial(Z):
        return not derivative.has(Z)
    if derivative.has(sympy.exp, sympy.tanh) and all(
        _decay_rate(derivative.xreplace({Z: sign * Z}), sigma.name) > 0 for sign in (1, -1)
    ):
        return True
    return bool(sigma.supremum(order).value.is_finite)


def has_decaying_ratio(activation: str | Activation) -> bool:
    """Whether sigma^(n)(c x) / sigma^(n)(x) -> 0 for every c > 1 and n >= 2 at one end of the line.

    Where sigma'' is P(x) e^(-k x) (1 + o(1)) with a polynomial P and k > 0, so is every later derivative (its leading
    polynomial is -k P + P'), and the ratio is of the order of e^(-k (c - 1) x). Where sigma'' is a polynomial times
    e^(-q x^2), q > 0, the same holds.

    Raises
    ------
    NtkVerifyError
        If sigma'' is neither rational in one exponential with polynomial coefficients nor a polynomial times a Gaussian
        nor trigonometric.
    """
    sigma = get_activation(activation)
    second = sigma.derivative(2)
    if not sigma.is_analytic or second.is_polynomial(Z):
        return False
    if second.has(sympy.sin, sympy.cos) and not second.has(sympy.exp, sympy.tanh):
        return False  # periodic: the ratio has no limit
    return any(_decay_rate(second.xreplace({Z: sign * Z}), sigma.name) > 0 for sign in (1, -1))


def _decay_rate(function: sympy.Expr, name: str) -> sympy.Expr:
    """k of the leading P(z) e^(-k z) at infinity, oo for a Gaussian."""
    function = function.replace(Softplus, lambda a: sympy.log(1 + sympy.exp(a)))
    gaussians = [e for e in function.atoms(sympy.exp) if sympy.degree(e.args[0], Z) == 2]
    if gaussians and not function.has(sympy.tanh):
        rest = sympy.expand(function / gaussians[0])
        if len(gaussians) == 1 and rest.is_polynomial(Z) and sympy.LC(gaussians[0].args[0], Z) < 0:
            return sympy.oo
    arguments = [a.args[0] for a in function.atoms(sympy.tanh)]
    rates = {sympy.Abs(a / Z) for a in arguments}
    if len(rates) != 1 or not next(iter(rates)).is_number:
        raise NtkVerifyError(f"the decay of the derivatives of {name!r} at infinity can't be read off its expression.")
    (rate,) = rates
    t = sympy.Symbol("t", positive=True)  # t = exp(-2 rate z), so that tanh(rate z) = (1 - t)/(1 + t)
    rational = function.replace(sympy.tanh, lambda a: (1 - t) / (1 + t) if a / Z > 0 else (t - 1) / (1 + t))
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.together(rational)))
    if not (numerator.is_polynomial(t, Z) and denominator.is_polynomial(t, Z)):
        raise NtkVerifyError(f"the decay of the derivatives of {name!r} at infinity can't be read off its expression.")
    least = [min(power for (power,) in sympy.Poly(part, t).monoms()) for part in (numerator, denominator)]
    return 2 * rate * (least[0] - least[1])
