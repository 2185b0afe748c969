"""Ready-made equations, each written as in a textbook; `time` comes first among the coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.network.differential import Coordinates, Operator, Slot, coordinates, differentiate, unknown

__all__ = [
    "Coordinates",
    "Operator",
    "Slot",
    "advection",
    "biharmonic",
    "burgers",
    "coordinates",
    "derivative",
    "gradient",
    "heat",
    "helmholtz",
    "identity",
    "laplacian",
    "navier_stokes",
    "self_advection",
    "squared_solution",
    "unknown",
    "wave",
]


def _scalar(variables: Sequence[sympy.Symbol]) -> tuple[Coordinates, sympy.Expr]:
    return tuple(variables), unknown("u", variables)


def _sum_of_second(u: sympy.Expr, space: Sequence[sympy.Symbol]) -> sympy.Expr:
    return sympy.Add(*(u.diff(s, 2) for s in space))


def identity(variables: Sequence[sympy.Symbol]) -> Operator:
    """u itself: regression, boundary and initial values."""
    xs, u = _scalar(variables)
    return Operator.from_expression(u, [u], xs)


def derivative(variables: Sequence[sympy.Symbol], *orders: int) -> Operator:
    """One partial derivative, of the given order in each coordinate."""
    xs, u = _scalar(variables)
    if len(orders) != len(xs):
        raise NtkVerifyError(f"{len(orders)} orders of differentiation were given for {len(xs)} coordinates.")
    return Operator.from_expression(differentiate(u, xs, orders), [u], xs)


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
