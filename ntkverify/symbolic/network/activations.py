"""Activations: expression, derivatives, exact suprema, parity and smoothness, all derived from one expression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import PositivePower, Softplus, Z, exact_number
from ntkverify.symbolic.expression.suprema import Supremum, supremum_of


@dataclass(frozen=True)
class Activation:
    """An activation function, given by one sympy expression in the symbol ``Z``.

    Everything else is derived from the expression, so that defining an activation is one line:
    ``Activation("cubic_tanh", sympy.tanh(Z) ** 3)``.

    Parameters
    ----------
    name : str
        Name used in messages and, once registered, for look-up.
    expression : sympy.Expr
        The function of ``Z``.
    """

    name: str
    expression: sympy.Expr

    def __post_init__(self) -> None:
        extra = self.expression.free_symbols - {Z}
        if extra:
            raise NtkVerifyError(
                f"activation {self.name!r} may depend on the symbol z only, but its expression "
                f"also holds {', '.join(sorted(map(str, extra)))}."
            )
        if self.expression.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise NtkVerifyError(f"activation {self.name!r} must be finite, but its expression is {self.expression}.")
        floats = self.expression.atoms(sympy.Float)
        if floats:
            raise NtkVerifyError(
                f"activation {self.name!r} holds the float {min(floats, key=str)}, but its constants are exact: "
                "write a fraction or a root."
            )
        foreign = _foreign_part(self.expression)
        if foreign is not None:
            raise NtkVerifyError(
                f"activation {self.name!r} holds {foreign}, whose derivatives and kinks are not known; build it from "
                "PositivePower(Z, k), Softplus, tanh, sin, cos, exp, erf, atan, sinh, cosh, their sums, products and "
                "compositions, and powers and logarithms of what is positive."
            )

    def __call__(self, argument: sympy.Expr, order: int = 0) -> sympy.Expr:
        """The derivative of the given order at `argument`."""
        return self.derivative(order).xreplace({Z: sympy.sympify(argument)})

    @property
    def smoothness(self) -> int | float:
        """Largest number of derivatives that exist almost everywhere as functions (``inf`` if smooth).

        ReLU^k has k: the next derivative holds a Dirac mass that almost-everywhere calculus loses.
        """
        return min((int(p.args[1]) for p in self.expression.atoms(PositivePower)), default=float("inf"))

    @property
    def is_analytic(self) -> bool:
        """Whether the function is real analytic on the whole line."""
        return not self.expression.has(PositivePower)

    @property
    def is_polynomial(self) -> bool:
        """Whether the function is a polynomial."""
        return bool(self.expression.is_polynomial(Z))

    @property
    def parity(self) -> str | None:
        """``"even"``, ``"odd"`` or ``None``."""
        mirrored = self.expression.xreplace({Z: -Z})
        if sympy.simplify(mirrored - self.expression) == 0:
            return "even"
        return "odd" if sympy.simplify(mirrored + self.expression) == 0 else None

    def derivative(self, order: int) -> sympy.Expr:
        """The derivative of the given order, as a Horner-form polynomial in tanh where it is one.

        Raises
        ------
        NtkVerifyError
            If the order is negative or exceeds `smoothness`.
        """
        if order < 0 or order > self.smoothness:
            raise NtkVerifyError(
                f"activation {self.name!r} has {self.smoothness} derivatives almost everywhere, "
                f"but derivative number {order} was asked for."
            )
        return _derivative(self.expression, order)

    def derivative_polynomial(self, order: int) -> sympy.Poly | None:
        """The derivative as a polynomial in the activation itself, or None where it is not one.

        It exists for affine functions of tanh (tanh and the logistic sigmoid), as tanh' = 1 - tanh^2, and where the
        derivative is a multiple of the activation (exp, and sin and cos at even orders).
        """
        if self.expression.has(sympy.sin, sympy.cos, sympy.exp) and not self.expression.has(sympy.tanh):
            ratio = sympy.simplify(self.derivative(order) / self.expression)
            return sympy.Poly(ratio * sympy.Symbol("sigma"), sympy.Symbol("sigma")) if ratio.is_number else None
        hyperbolic = self.expression.atoms(sympy.tanh)
        if len(hyperbolic) != 1 or not self.is_analytic:
            return None
        t, s = sympy.Dummy("t"), sympy.Symbol("sigma")
        (atom,) = hyperbolic
        outer = self.expression.xreplace({atom: t})
        if outer.has(Z) or sympy.degree(outer, t) != 1:
            return None
        inverse = sympy.solve(sympy.Eq(outer, s), t)[0]
        return sympy.Poly(sympy.expand(self.derivative(order).xreplace({atom: t}).subs(t, inverse)), s)

    def supremum(self, order: int) -> Supremum:
        """sup over the line of |sigma^(order)| with the point where it is reached."""
        return supremum_of(self.derivative(order), Z)


_ANALYTIC = (Softplus, sympy.tanh, sympy.sin, sympy.cos, sympy.exp, sympy.erf, sympy.atan, sympy.sinh, sympy.cosh)


def _foreign_part(expression: sympy.Expr) -> sympy.Expr | None:
    """A part that is neither a power of the positive part nor analytic on the whole line, or None."""
    for part in sympy.preorder_traversal(expression):
        if not part.has(Z) or part == Z or part.is_Add or part.is_Mul or isinstance(part, (*_ANALYTIC, PositivePower)):
            continue
        if part.is_Pow and (part.exp.is_number and ((part.exp.is_Integer and part.exp >= 0) or part.base.is_positive)):
            continue
        if isinstance(part, sympy.log) and part.args[0].is_positive:
            continue
        return part
    return None


@lru_cache(maxsize=256)
def _derivative(expression: sympy.Expr, order: int) -> sympy.Expr:
    if order == 0:
        return expression
    raw = sympy.diff(_derivative(expression, order - 1), Z)
    hyperbolic = raw.atoms(sympy.tanh)
    if len(hyperbolic) != 1:
        return sympy.expand(raw) if raw.has(sympy.exp) else raw
    t = sympy.Dummy("t")
    (atom,) = hyperbolic
    polynomial = sympy.Poly(sympy.expand(raw.xreplace({atom: t})), t)
    return sympy.horner(polynomial).xreplace({t: atom})


def positive_power(power: int) -> Activation:
    """ReLU^power, ``max(z, 0)**power``."""
    if power < 1:
        raise NtkVerifyError(f"a power of ReLU needs a positive integer exponent, not {power}.")
    return Activation("relu" if power == 1 else f"relu{power}", PositivePower(Z, sympy.Integer(power)))


def leaky_relu(slope: sympy.Expr | int | str = "1/100") -> Activation:
    """``z`` for z >= 0 and ``slope * z`` below; give the slope as an exact number."""
    exact = exact_number(slope)
    return Activation("leaky_relu", exact * Z + (1 - exact) * PositivePower(Z, sympy.Integer(1)))


_SIGMOID = (1 + sympy.tanh(Z / 2)) / 2
_REGISTRY: dict[str, Activation] = {
    a.name: a
    for a in (
        *(positive_power(k) for k in range(1, 9)),
        leaky_relu(),
        Activation("tanh", sympy.tanh(Z)),
        Activation("erf", sympy.erf(Z)),
        Activation("sin", sympy.sin(Z)),
        Activation("cos", sympy.cos(Z)),
        Activation("sigmoid", _SIGMOID),
        Activation("softplus", Softplus(Z)),
        Activation("swish", Z * _SIGMOID),
        Activation("gelu", Z * (1 + sympy.erf(Z / sympy.sqrt(2))) / 2),
        Activation("identity", Z),
    )
}


def register(activation: Activation) -> Activation:
    """Make an activation known by name; returns it.

    Raises
    ------
    NtkVerifyError
        If another activation already has the name.
    """
    known = _REGISTRY.get(activation.name)
    if known is not None and known != activation:
        raise NtkVerifyError(
            f"cannot register {activation.expression} as {activation.name!r}: the name stands for {known.expression}."
        )
    _REGISTRY[activation.name] = activation
    return activation


def names() -> tuple[str, ...]:
    """Names of all registered activations."""
    return tuple(_REGISTRY)


def get_activation(activation: str | Activation) -> Activation:
    """Look an activation up by name (an Activation passes through).

    Raises
    ------
    NtkVerifyError
        For a name that is not registered.
    """
    if isinstance(activation, Activation):
        return activation
    if activation not in _REGISTRY:
        raise NtkVerifyError(f"unknown activation {activation!r}; known are {', '.join(_REGISTRY)}.")
    return _REGISTRY[activation]
