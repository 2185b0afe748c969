"""Differential operators, linear and nonlinear, scalar and vector valued, from the equation as one writes it.

>>> x = coordinates("x")
>>> u = unknown("u", x)
>>> Operator.from_expression(u * u.diff(*x), [u], x).is_linear
False
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy
from sympy.core.function import AppliedUndef

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.choices import normal_form
from ntkverify.symbolic.expression.forms import linear_parts
from ntkverify.symbolic.expression.functions import exact_number

Coordinates = tuple[sympy.Symbol, ...]
LINEAR = sympy.Symbol("linear part", real=True)  #: stands for what enters a residual linearly
#: up to so many derivatives of a nonlinear residual have a sum over neurons each
MANY = 8


@dataclass(frozen=True)
class Slot:
    """One derivative of one component of the solution.

    Parameters
    ----------
    component : int
        Which component of the solution (0 for a scalar equation).
    orders : tuple of int
        Order of differentiation in each coordinate.
    """

    component: int
    orders: tuple[int, ...]

    @property
    def order(self) -> int:
        """Total order of differentiation."""
        return sum(self.orders)


@dataclass(frozen=True)
class Operator:
    """A differential operator u -> residual(slots of u; coordinates), linear or not.

    Parameters
    ----------
    coordinates : tuple of sympy.Symbol
        The independent variables.
    slots : tuple of Slot
        The derivatives that enter.
    symbols : tuple of sympy.Symbol
        Stand for the slots inside `residual`.
    residual : sympy.Expr
        Pointwise function of the symbols and the coordinates.
    """

    coordinates: Coordinates
    slots: tuple[Slot, ...]
    symbols: tuple[sympy.Symbol, ...]
    residual: sympy.Expr

    @classmethod
    def from_expression(
        cls, expression: sympy.Expr, unknowns: Sequence[sympy.Expr], coordinates: Sequence[sympy.Symbol]
    ) -> Operator:
        """Read an operator off the left-hand side of an equation.

        Parameters
        ----------
        expression : sympy.Expr
            In the unknowns, their derivatives (``u.diff(x, 2)``) and the coordinates.
        unknowns : sequence of applied functions
            The components of the solution, each from `unknown`.
        coordinates : sequence of sympy.Symbol
            The independent variables, in the order of a sample's coordinates.

        Raises
        ------
        NtkVerifyError
            If a derivative is in a variable that is no coordinate, a symbol or function is unknown, or the equation
            complex, or a coefficient has no normal form.
        """
        coordinates, unknowns = tuple(coordinates), tuple(unknowns)
        if len(set(coordinates)) < len(coordinates):
            raise NtkVerifyError(f"the coordinates {coordinates} name one of them twice.")
        if sympy.sympify(expression).has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise NtkVerifyError(f"the coefficients of an equation must be finite, but it reads {expression}.")
        if sympy.sympify(expression).has(sympy.I):
            raise NtkVerifyError(
                f"the equation {expression} is complex; write its real and imaginary part as two equations in two real "
                "unknowns, one block each."
            )
        expression = exact_number(sympy.sympify(expression).doit())
        replaced: dict[sympy.Expr, Slot] = {}
        for atom in sorted(expression.atoms(sympy.Derivative), key=sympy.default_sort_key):
            if atom.expr not in unknowns:
                raise NtkVerifyError(f"{atom} differentiates {atom.expr}, but the unknowns are {_listed(unknowns)}.")
            counts = dict.fromkeys(coordinates, 0)
            for variable, count in atom.variable_count:
                if variable not in counts:
                    raise NtkVerifyError(
                        f"{atom} is a derivative in {variable}, but the coordinates are {coordinates}."
                    )
                counts[variable] += int(count)
            replaced[atom] = Slot(unknowns.index(atom.expr), tuple(counts.values()))
        bare = expression.xreplace({a: sympy.Dummy() for a in replaced})
        for function in sorted(bare.atoms(AppliedUndef), key=sympy.default_sort_key):
            if function not in unknowns:
                raise NtkVerifyError(f"{function} enters the equation, but the unknowns are {_listed(unknowns)}.")
            replaced[function] = Slot(unknowns.index(function), (0,) * len(coordinates))
        if not replaced:
            raise NtkVerifyError(f"the equation {expression} holds none of the unknowns {_listed(unknowns)}.")
        ordered = sorted(replaced.items(), key=lambda item: (item[1].component, item[1].order, item[1].orders))
        names = _slot_names([slot for _, slot in ordered], [str(u.func) for u in unknowns], coordinates)
        symbols = tuple(sympy.Symbol(name, real=True) for name in names)
        residual = expression.xreplace(dict(zip((a for a, _ in ordered), symbols, strict=True)))
        stray = residual.free_symbols - set(symbols) - set(coordinates)
        if stray:
            raise NtkVerifyError(
                f"the equation holds the symbols {_listed(sorted(stray, key=str))}, which are neither coordinates "
                f"({_listed(coordinates)}) nor unknowns; give parameters as numbers."
            )
        residual = normal_form(residual, symbols)
        return cls(coordinates, tuple(s for _, s in ordered), symbols, residual)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.coordinates)

    @property
    def components(self) -> int:
        """Number of components of the solution that the operator needs at least."""
        return 1 + max(s.component for s in self.slots)

    @property
    def order(self) -> int:
        """Highest order of differentiation."""
        return max(s.order for s in self.slots)

    @property
    def is_linear(self) -> bool:
        """Whether the residual is linear (not merely affine) in the slots."""
        return self.coefficients is not None

    @cached_property
    def coefficients(self) -> tuple[sympy.Expr, ...] | None:
        """What multiplies each slot of a linear operator; None if it is not linear."""
        slots = set(self.symbols)
        written = linear_parts(self.residual, slots)
        if written is not None and written[1] == 0:
            # as they were written: 1/(e^2 + (x - c)^2) multiplied out is a difference of large numbers
            return tuple(written[0].get(s, sympy.S.Zero) for s in self.symbols)
        partial = tuple(sympy.expand(sympy.diff(self.residual, s)) for s in self.symbols)
        rebuilt = sympy.Add(*(c * s for c, s in zip(partial, self.symbols, strict=True)))
        if any(c.free_symbols & slots for c in partial) or sympy.expand(self.residual - rebuilt) != 0:
            return None
        return partial

    @cached_property
    def parts(self) -> tuple[tuple[sympy.Symbol, Operator], ...]:
        """What enters the residual pointwise, a symbol and an operator each.

        A linear operator is one part. Of a nonlinear one they are the slots one by one; where there are many, as of
        u_t - Laplacian u + u^3 in a hundred dimensions, those that enter linearly are one part together.
        """
        single = [(s, Operator(self.coordinates, (t,), (s,), s)) for s, t in zip(self.symbols, self.slots, strict=True)]
        if self.is_linear:
            return ((LINEAR, self),)
        slots = set(self.symbols)
        partial = {s: sympy.expand(sympy.diff(self.residual, s)) for s in self.symbols} if len(slots) > MANY else {}
        linear = [s for s in partial if not partial[s].free_symbols & slots]
        if len(linear) < 2:
            return tuple(single)
        places = [self.symbols.index(s) for s in linear]
        residual = sympy.Add(*(partial[s] * s for s in linear))
        together = Operator(self.coordinates, tuple(self.slots[i] for i in places), tuple(linear), residual)
        return ((LINEAR, together), *((s, part) for s, part in single if s not in linear))

    @property
    def pointwise(self) -> sympy.Expr:
        """The residual as a function of the symbols of its parts and of the coordinates."""
        if self.is_linear:
            return LINEAR
        (first, part), *_ = self.parts
        if first != LINEAR:
            return self.residual
        return LINEAR + self.residual.xreplace(dict.fromkeys(part.symbols, sympy.S.Zero))

    def features(self, *functions: sympy.Expr) -> tuple[sympy.Expr, ...]:
        """The slots of the given components, as expressions in the coordinates."""
        if len(functions) < self.components:
            raise NtkVerifyError(
                f"the operator acts on {self.components} components, but {len(functions)} functions were given."
            )
        return tuple(differentiate(functions[s.component], self.coordinates, s.orders) for s in self.slots)

    def apply(self, *functions: sympy.Expr) -> sympy.Expr:
        """The residual of explicit functions of the coordinates, one per component."""
        values = self.features(*functions)
        return self.residual.subs(dict(zip(self.symbols, values, strict=True)), simultaneous=True)

    __call__ = apply

    def linearised(self, *state: sympy.Expr) -> Operator:
        """The linear operator sum_a (d residual / d slot_a)(state) d^a, with the coefficients frozen at `state`."""
        values = dict(zip(self.symbols, self.features(*state), strict=True))
        residual = sum(
            (sympy.diff(self.residual, s).subs(values, simultaneous=True) * s for s in self.symbols), sympy.S.Zero
        )
        return Operator(self.coordinates, self.slots, self.symbols, residual)

    def linear_combination(self, values: Sequence[sympy.Expr]) -> sympy.Expr:
        """For a linear operator: the residual with `values` in place of the slots, expanded coefficients first."""
        if self.coefficients is None:
            raise NtkVerifyError(f"the operator {self.residual} is not linear, but a linear one is needed here.")
        return sympy.Add(*(c * v for c, v in zip(self.coefficients, values, strict=True)))


def coordinates(names: str) -> Coordinates:
    """Real symbols, ``coordinates("t x y")``."""
    return tuple(sympy.symbols(names, real=True, seq=True))


def unknown(name: str, variables: Sequence[sympy.Symbol]) -> sympy.Expr:
    """An unknown function of the coordinates, to write an equation with."""
    return sympy.Function(name)(*variables)


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


def _slot_names(slots: Sequence[Slot], unknowns: Sequence[str], variables: Coordinates) -> list[str]:
    """``u_xx`` and the like; with the orders in brackets where that would name two things."""
    short = [unknowns[s.component] + _suffix(s, variables) for s in slots]
    if len(set(short)) == len(short) and not set(short) & set(map(str, variables)):
        return short
    return [f"{unknowns[s.component]}[{','.join(map(str, s.orders))}]" for s in slots]


def _suffix(slot: Slot, variables: Coordinates) -> str:
    text = "".join(str(v) * n for v, n in zip(variables, slot.orders, strict=True))
    return f"_{text}" if text else ""


def differentiate(function: sympy.Expr, variables: Coordinates, orders: tuple[int, ...]) -> sympy.Expr:
    """The partial derivative of these orders, one for each variable."""
    for variable, order in zip(variables, orders, strict=True):
        if order:
            function = sympy.diff(function, variable, order)
    return function
