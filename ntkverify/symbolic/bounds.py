"""Explicit constants: a chain of inequalities goes in, sufficient widths and radii come out.

A proof with hidden constants says "choose the radius small and the width large". Written as a
`Chain` of `Requirement` objects ``left <= right`` it can be solved: every requirement that contains
the unknown is isolated for it, the largest threshold is sufficient, and the shares that the proof
splits its slack into (of the failure probability, of the least eigenvalue) are free parameters
that may be chosen to make the threshold small. Every evaluation is exact up to the last rounding:
numbers enter as rationals and comparisons are made with 50 digits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy import optimize

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.derived import Derived, derived, isolate, solve_for
from ntkverify.symbolic.requirements import DIGITS, Requirement, exact_values, holds, least_integer

__all__ = ["DIGITS", "Chain", "Derived", "Requirement", "Split", "derived", "solve_for"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """A choice of a chain's free parameters and the width that it makes sufficient.

    Parameters
    ----------
    shares : dict of sympy.Symbol to sympy.Rational
        The free parameters, exact.
    width : int
        The smallest integer for which every requirement holds with these shares.
    binding : str
        Name of the requirement that asks for this width.
    """

    shares: dict[sympy.Symbol, sympy.Expr]
    width: int
    binding: str


class Chain:
    """Requirements with one unknown (the width), definitions, and free parameters.

    Parameters
    ----------
    unknown : sympy.Symbol
        What is to be made large enough; must be positive.
    requirements : sequence of Requirement
        Each must hold; those that contain the unknown must get easier as it grows.
    definitions : mapping of sympy.Symbol to sympy.Expr
        Intermediate quantities (a radius), expanded before solving.
    free : sequence of sympy.Symbol
        Positive parameters that may be chosen.

    Raises
    ------
    NtkVerifyError
        If no requirement contains the unknown, two requirements share a name, or the definitions run in a circle.
    """

    def __init__(
        self,
        unknown: sympy.Symbol,
        requirements: Sequence[Requirement],
        *,
        definitions: Mapping[sympy.Symbol, sympy.Expr] | None = None,
        free: Sequence[sympy.Symbol] = (),
    ) -> None:
        names = [r.name for r in requirements]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise NtkVerifyError(f"two requirements of the chain are called {sorted(twice)[0]!r}; rename one.")
        self.unknown = unknown
        self.requirements = tuple(requirements)
        self.definitions = dict(definitions or {})
        self.free = tuple(free)
        for symbol in self.definitions:
            if symbol in self.expand(symbol).free_symbols:
                raise NtkVerifyError(f"the definition of {symbol} leads back to {symbol}; break the circle.")
        if not self._binding:
            raise NtkVerifyError(f"no requirement of the chain contains {unknown}: there is nothing to solve for.")

    def expand(self, expression: sympy.Expr) -> sympy.Expr:
        """`expression` with every definition written out."""
        for _ in range(len(self.definitions) + 1):
            expression = expression.subs(self.definitions)
        return expression

    def mapped(self, change: Callable[[sympy.Expr], sympy.Expr]) -> Chain:
        """The same chain with `change` applied to both sides of every requirement (to write named constants out)."""
        changed = [Requirement(r.name, change(r.left), change(r.right), r.reason) for r in self._expanded]
        return Chain(self.unknown, changed, free=self.free)

    @property
    def static(self) -> tuple[Requirement, ...]:
        """The requirements without the unknown: what a split of the slack must satisfy whatever the width."""
        return self._static

    @functools.cached_property
    def _expanded(self) -> tuple[Requirement, ...]:
        return tuple(
            Requirement(r.name, self.expand(r.left), self.expand(r.right), r.reason) for r in self.requirements
        )

    @functools.cached_property
    def _binding(self) -> tuple[Requirement, ...]:
        return tuple(r for r in self._expanded if self.unknown in (r.left - r.right).free_symbols)

    @functools.cached_property
    def _static(self) -> tuple[Requirement, ...]:
        return tuple(r for r in self._expanded if self.unknown not in (r.left - r.right).free_symbols)

    @functools.cached_property
    def thresholds(self) -> dict[str, sympy.Expr | None]:
        """Per requirement that contains the unknown: its least value in closed form, None where it is implicit."""
        return {r.name: isolate(self.unknown, r.left, r.right) for r in self._binding}

    def sufficient(self) -> Derived:
        """The sufficient value of the unknown as a sympy expression, with its derivation.

        Raises
        ------
        NtkVerifyError
            If a requirement can only be solved numerically (the unknown stands on both sides); use `width`.
        """
        implicit = [name for name, expression in self.thresholds.items() if expression is None]
        if implicit:
            raise NtkVerifyError(
                f"requirement {implicit[0]!r} has {self.unknown} on both sides and no closed form; "
                "evaluate it at numbers with Chain.width."
            )
        steps: list[tuple[str, sympy.Basic]] = [
            (f"definition of {symbol}", sympy.Eq(symbol, value)) for symbol, value in self.definitions.items()
        ]
        for requirement in self.requirements:
            steps.append((f"{requirement.name} ({requirement.reason})", requirement.inequality))
            closed = self.thresholds.get(requirement.name)
            if closed is not None:
                steps.append((f"solved for {self.unknown}", sympy.Ge(self.unknown, closed)))
        expression = sympy.Max(*self.thresholds.values())
        steps.append((f"all requirements on {self.unknown}", sympy.Ge(self.unknown, expression)))
        return Derived(expression, tuple(steps))

    def violated(self, values: Mapping[sympy.Symbol, Any]) -> list[str]:
        """Names of the requirements that fail at exact `values` of every symbol, compared with 50 digits."""
        exact = exact_values(values)
        return [r.name for r in self._expanded if not holds(r, exact)]

    def width(self, values: Mapping[sympy.Symbol, Any]) -> Split:
        """The least integer from which on every requirement holds, at `values` of the given and free symbols.

        Where a requirement is implicit, or its two sides meet more than once, the integer above its last
        failure counts. That the requirements hold at the integer itself is decided exactly; that they go on
        holding is tried on a grid of larger integers, a few per doubling, not proved (`least_integer`).

        Raises
        ------
        NtkVerifyError
            If a requirement without the unknown fails, one gets harder as the unknown grows, or none of
            the integers tried satisfies an implicit one.
        """
        exact = exact_values(values)
        missing = [str(symbol) for symbol in self.free if symbol not in exact]
        if missing:
            raise NtkVerifyError(f"the chain needs a value for {', '.join(missing)}.")
        for requirement in self._static:
            if not holds(requirement, exact):
                raise NtkVerifyError(
                    f"requirement {requirement.name!r} ({requirement.left} <= {requirement.right}) fails whatever "
                    f"{self.unknown} is: change the free parameters."
                )
        needed = {r.name: least_integer(r, self.unknown, self.thresholds[r.name], exact) for r in self._binding}
        binding = max(needed, key=lambda name: needed[name])
        width = needed[binding]
        failing = self.violated({**exact, self.unknown: width})
        if failing:
            raise NtkVerifyError(
                f"requirement {failing[0]!r} fails at {self.unknown} = {width} ({binding!r}); it must get "
                f"easier as {self.unknown} grows."
            )
        return Split({symbol: exact[symbol] for symbol in self.free}, width, binding)

    def minimise(self, values: Mapping[sympy.Symbol, Any], *, start: Mapping[sympy.Symbol, Any]) -> Split:
        """Choose the free parameters that make the sufficient width small.

        The nonlinear programme is solved in floating point (scipy's SLSQP on logarithms of the width and of the
        parameters), its answer rounded to rationals and pulled towards `start` until every requirement holds
        exactly: the result is always sufficient, and optimal up to rounding where SLSQP found the optimum.

        Parameters
        ----------
        values : mapping of sympy.Symbol to number
            The given symbols.
        start : mapping of sympy.Symbol to number
            A feasible choice of the free parameters, for instance the equal split of the textbook proof.

        Returns
        -------
        Split
            Never wider than with `start`.

        Raises
        ------
        NtkVerifyError
            If `start` leaves out a free parameter, has one that is not positive, or is not feasible.
        """
        exact = exact_values(values)
        origin = exact_values({symbol: start[symbol] for symbol in self.free if symbol in start})
        for symbol in self.free:
            if symbol not in origin or not origin[symbol].is_positive:
                raise NtkVerifyError(f"start needs a positive value for {symbol}, not {start.get(symbol)}.")
        best = self.width({**exact, **origin})
        if not self.free:
            return best
        optimum = self._optimum(exact, origin, best.width)
        for pull in (0, 1, 4, 16, 64, 256):
            for towards in (round, math.floor):
                shares = {
                    s: _rounded(optimum[s] + (float(origin[s]) - optimum[s]) * pull / 1024, towards) for s in self.free
                }
                if any(value <= 0 for value in shares.values()):
                    continue
                try:
                    found = self.width({**exact, **shares})
                except NtkVerifyError:  # rounding left the feasible set; the next candidate lies further inside
                    continue
                best = min(best, found, key=lambda split: split.width)
        return best

    def _optimum(
        self, exact: Mapping[sympy.Symbol, Any], origin: Mapping[sympy.Symbol, Any], width: int
    ) -> dict[sympy.Symbol, float]:
        """The floating-point optimum: minimise t = log(unknown) subject to every requirement at exp(t).

        A requirement enters as log(right) - log(left) >= 0 where both sides are positive, so that widths of any
        size and radii of any size weigh alike; closed-form thresholds enter as t >= log(threshold).
        """
        ordered = [r for r in self._expanded if self.thresholds.get(r.name) is None]
        sides = sympy.lambdify(
            (*self.free, self.unknown), [[r.left.subs(exact), r.right.subs(exact)] for r in ordered], "numpy"
        )
        closed = sympy.lambdify(self.free, [e.subs(exact) for e in self.thresholds.values() if e is not None], "numpy")

        def constraints(z: Array) -> Array:
            parameters, t = np.exp(z[:-1]), z[-1]
            with np.errstate(all="ignore"):
                thresholds = t - np.log(np.asarray(closed(*parameters), float).ravel())
                pairs = np.asarray(sides(*parameters, np.exp(t)), float).reshape(-1, 2)
                left, right = pairs[:, 0], pairs[:, 1]
                positive = (left > 0) & (right > 0)
                gaps = np.where(positive, np.log(right) - np.log(left), right - left)
            every = np.concatenate([thresholds, gaps])
            return np.asarray(np.nan_to_num(every, nan=-1e3, posinf=1e3, neginf=-1e3))

        z0 = np.log([*(float(origin[s]) for s in self.free), float(width)])
        result = optimize.minimize(
            lambda z: float(z[-1]),
            list(z0),
            constraints=optimize.NonlinearConstraint(constraints, 0, np.inf),
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-12},
        )
        found = np.exp(np.clip(result.x[:-1], -600, 600))
        return dict(zip(self.free, map(float, found), strict=True))


def _rounded(value: float, towards: Callable[[float], int]) -> sympy.Rational:
    """A positive float as a fraction with five significant digits."""
    if not (math.isfinite(value) and value > 0):
        return sympy.S.Zero
    exponent = 4 - math.floor(math.log10(value))
    return (
        sympy.Rational(towards(sympy.Rational(value) * sympy.Integer(10) ** exponent)) / sympy.Integer(10) ** exponent
    )
