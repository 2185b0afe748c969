"""Differential operators, linear and nonlinear, scalar and vector valued, from the equation as one writes it.

>>> x = coordinates("x")
>>> u = unknown("u", x)
>>> Operator.from_expression(u * u.diff(*x), [u], x).is_linear
False
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy.core.function import AppliedUndef

from ntkverify.errors import NtkVerifyError

Coordinates = tuple[sympy.Symbol, ...]


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
            If a derivative is in a variable that is no coordinate, or a symbol or function is unknown.
        """
        coordinates, unknowns = tuple(coordinates), tuple(unknowns)
        if len(set(coordinates)) < len(coordinates):
            raise NtkVerifyError(f"the coordinates {coordinates} name one of them twice.")
        if sympy.sympify(expression).has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise NtkVerifyError(f"the coefficients of an equation must be finite, but it reads {expression}.")
        expression = sympy.sympify(expression).doit()
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
        names = [str(unknowns[s.component].func) + _suffix(s, coordinates) for _, s in ordered]
        symbols = tuple(sympy.Symbol(name, real=True) for name in names)
        residual = expression.xreplace(dict(zip((a for a, _ in ordered), symbols, strict=True)))
        stray = residual.free_symbols - set(symbols) - set(coordinates)
        if stray:
            raise NtkVerifyError(
                f"the equation holds the symbols {_listed(sorted(stray, key=str))}, which are neither coordinates "
                f"({_listed(coordinates)}) nor unknowns; give parameters as numbers."
            )
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
        return self._coefficients() is not None

    def _coefficients(self) -> tuple[sympy.Expr, ...] | None:
        partial = tuple(sympy.expand(sympy.diff(self.residual, s)) for s in self.symbols)
        rebuilt = sum((c * s for c, s in zip(partial, self.symbols, strict=True)), sympy.S.Zero)
        if any(c.has(*self.symbols) for c in partial) or sympy.expand(self.residual - rebuilt) != 0:
            return None
        return partial

    def features(self, *functions: sympy.Expr) -> tuple[sympy.Expr, ...]:
        """The slots of the given components, as expressions in the coordinates."""
        if len(functions) < self.components:
            raise NtkVerifyError(
                f"the operator acts on {self.components} components, but {len(functions)} functions were given."
            )
        return tuple(_differentiate(functions[s.component], self.coordinates, s.orders) for s in self.slots)

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
        coefficients = self._coefficients()
        if coefficients is None:
            raise NtkVerifyError(f"the operator {self.residual} is not linear, but a linear one is needed here.")
        return sum((c * v for c, v in zip(coefficients, values, strict=True)), sympy.S.Zero)


def coordinates(names: str) -> Coordinates:
    """Real symbols, ``coordinates("t x y")``."""
    return tuple(sympy.symbols(names, real=True, seq=True))


def unknown(name: str, variables: Sequence[sympy.Symbol]) -> sympy.Expr:
    """An unknown function of the coordinates, to write an equation with."""
    return sympy.Function(name)(*variables)


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


def _suffix(slot: Slot, variables: Coordinates) -> str:
    text = "".join(str(v) * n for v, n in zip(variables, slot.orders, strict=True))
    return f"_{text}" if text else ""


def _differentiate(function: sympy.Expr, variables: Coordinates, orders: tuple[int, ...]) -> sympy.Expr:
    for variable, order in zip(variables, orders, strict=True):
        if order:
            function = sympy.diff(function, variable, order)
    return function


def _scalar(variables: Sequence[sympy.Symbol]) -> tuple[Coordinates, sympy.Expr]:
    return tuple(variables), unknown("u", variables)


def _sum_of_second(u: sympy.Expr, space: Sequence[sympy.Symbol]) -> sympy.Expr:
    return sum((u.diff(s, 2) for s in space), sympy.S.Zero)


# Ready-made equations. Each is written as in a textbook; `time` comes first among the coordinates.


def identity(variables: Sequence[sympy.Symbol]) -> Operator:
    """u itself: regression, boundary and initial values."""
    xs, u = _scalar(variables)
    return Operator.from_expression(u, [u], xs)


def derivative(variables: Sequence[sympy.Symbol], *orders: int) -> Operator:
    """One partial derivative, of the given order in each coordinate."""
    xs, u = _scalar(variables)
    if len(orders) != len(xs):
        raise NtkVerifyError(f"{len(orders)} orders of differentiation were given for {len(xs)} coordinates.")
    return Operator.from_expression(_differentiate(u, xs, orders), [u], xs)


def gradient(variables: Sequence[sympy.Symbol]) -> tuple[Operator, ...]:
    """All first derivatives, one operator each."""
    n = len(variables)
    return tuple(derivative(variables, *(int(i == j) for j in range(n))) for i in range(n))


def laplacian(space: Sequence[sympy.Symbol]) -> Operator:
    """Sum of the second derivatives."""
    xs, u = _scalar(space)
    return Operator.from_expression(_sum_of_second(u, xs), [u], xs)


def biharmonic(space: Sequence[sympy.Symbol]) -> Operator:
    """The Laplacian of the Laplacian."""
    xs, u = _scalar(space)
    return Operator.from_expression(sympy.expand(_sum_of_second(_sum_of_second(u, xs).doit(), xs).doit()), [u], xs)


def helmholtz(space: Sequence[sympy.Symbol], *, wavenumber: sympy.Expr | int = 1) -> Operator:
    """Laplacian plus squared wavenumber times u."""
    xs, u = _scalar(space)
    return Operator.from_expression(_sum_of_second(u, xs) + sympy.sympify(wavenumber) ** 2 * u, [u], xs)


def heat(time: sympy.Symbol, space: Sequence[sympy.Symbol], *, diffusivity: sympy.Expr | int = 1) -> Operator:
    """u_t - diffusivity * Laplacian u; the diffusivity may depend on the coordinates."""
    xs, u = _scalar((time, *space))
    return Operator.from_expression(u.diff(time) - sympy.sympify(diffusivity) * _sum_of_second(u, space), [u], xs)


def advection(time: sympy.Symbol, space: Sequence[sympy.Symbol], *, velocity: Sequence[sympy.Expr]) -> Operator:
    """u_t + velocity . grad u; the velocity may depend on the coordinates."""
    xs, u = _scalar((time, *space))
    if len(velocity) != len(space):
        raise NtkVerifyError(f"the velocity has {len(velocity)} components, but space has {len(space)} dimensions.")
    flow = sum((v * u.diff(s) for v, s in zip(velocity, space, strict=True)), sympy.S.Zero)
    return Operator.from_expression(u.diff(time) + flow, [u], xs)


def wave(time: sympy.Symbol, space: Sequence[sympy.Symbol], *, speed: sympy.Expr | int = 1) -> Operator:
    """u_tt - speed^2 * Laplacian u."""
    xs, u = _scalar((time, *space))
    return Operator.from_expression(u.diff(time, 2) - sympy.sympify(speed) ** 2 * _sum_of_second(u, space), [u], xs)


def squared_solution(variables: Sequence[sympy.Symbol]) -> Operator:
    """The nonlinear residual u^2."""
    xs, u = _scalar(variables)
    return Operator.from_expression(u**2, [u], xs)


def self_advection(x: sympy.Symbol) -> Operator:
    """The nonlinear residual u u_x."""
    xs, u = _scalar((x,))
    return Operator.from_expression(u * u.diff(x), [u], xs)


def burgers(time: sympy.Symbol, x: sympy.Symbol, *, viscosity: sympy.Expr | int = 0) -> Operator:
    """u_t + u u_x - viscosity u_xx; inviscid by default."""
    xs, u = _scalar((time, x))
    return Operator.from_expression(u.diff(time) + u * u.diff(x) - sympy.sympify(viscosity) * u.diff(x, 2), [u], xs)


def navier_stokes(
    space: Sequence[sympy.Symbol], *, reynolds: sympy.Expr | int, time: sympy.Symbol | None = None
) -> dict[str, Operator]:
    """Incompressible Navier-Stokes: one momentum equation per dimension and the continuity equation.

    The solution's components are the velocities and then the pressure; steady if no `time` is given.
    """
    xs: Coordinates = (*((time,) if time is not None else ()), *space)
    velocity = [unknown(f"v{i}", xs) for i in range(len(space))]
    pressure = unknown("p", xs)
    unknowns = [*velocity, pressure]
    equations = {}
    for i, v in enumerate(velocity):
        inertia = v.diff(time) if time is not None else sympy.S.Zero
        inertia += sum((vj * v.diff(s) for vj, s in zip(velocity, space, strict=True)), sympy.S.Zero)
        momentum = inertia + pressure.diff(space[i]) - _sum_of_second(v, space) / sympy.sympify(reynolds)
        equations[f"momentum_{space[i]}"] = Operator.from_expression(momentum, unknowns, xs)
    divergence = sum((v.diff(s) for v, s in zip(velocity, space, strict=True)), sympy.S.Zero)
    equations["continuity"] = Operator.from_expression(divergence, unknowns, xs)
    return equations
