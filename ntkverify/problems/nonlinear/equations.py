"""Equations as what writes an operator over the coordinates of a problem, named so that theorems share them."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from ntkverify.symbolic.network.operators import Operator, burgers, derivative, self_advection, squared_solution

VISCOSITY = sympy.Rational(1, 10)


def first_derivative(points: Sequence[sympy.Symbol]) -> Operator:
    """u_x."""
    return derivative(points, 1)


def second_derivative(points: Sequence[sympy.Symbol]) -> Operator:
    """u_xx."""
    return derivative(points, 2)


def square(points: Sequence[sympy.Symbol]) -> Operator:
    """u^2."""
    return squared_solution(points)


def self_advected(points: Sequence[sympy.Symbol]) -> Operator:
    """u u_x."""
    return self_advection(points[0])


def inviscid_burgers(points: Sequence[sympy.Symbol]) -> Operator:
    """u_t + u u_x, time first."""
    return burgers(points[0], points[1])


def viscous_burgers(points: Sequence[sympy.Symbol]) -> Operator:
    """u_t + u u_x - u_xx/10, time first."""
    return burgers(points[0], points[1], viscosity=VISCOSITY)
