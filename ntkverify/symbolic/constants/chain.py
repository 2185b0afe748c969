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
from dataclasses import dataclass, replace
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.constants.derived import Derived, derived, isolate, solve_for
from ntkverify.symbolic.constants.optimum import floating_optimum, rounded_fraction
from ntkverify.symbolic.constants.requirements import DIGITS, Requirement, exact_values, holds, least_integer

__all__ = ["DIGITS", "Chain", "Derived", "Requirement", "Split", "derived", "solve_for"]


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
        changed = [replace(r, left=change(r.left), right=change(r.right)) for r in self._expanded]
        return Chain(self.unknown, changed, free=self.free)

    @property
    def static(self) -> tuple[Requirement, ...]:
        """The requirements without the unknown: what a split of the slack must satisfy whatever the width."""
        return self._static

    @functools.cached_property
    def _expanded(self) -> tuple[Requirement, ...]:
        return tuple(replace(r, left=self.expand(r.left), right=self.expand(r.right)) for r in self.requirements)

    @functools.cached_property
    def _binding(self) -> tuple[Requirement, ...]:
        return tuple(r for r in self._expanded if self.unknown in (r.left - r.right).free_symbols)

    @functools.cached_property
    def _static(self) -> tuple[Requirement, ...]:
        return tuple(r for r in self._expanded if self.unknown not in (r.left - r.right).free_symbols)

    @functools.cached_property
    def thresholds(self) -> dict[str, sympy.Expr | None]:
        """Per requirement that contains the unknown: its least value in closed form, None where it is implicit."""
        return {r.name: isolate(self.unknown, r.left, r.right) if r.closed else None for r in self._binding}

    def sufficient(self) -> Derived:
        """The sufficient value of the unknown as a sympy expression, with its derivation.

        Raises
        ------
        NtkVerifyError
            If a requirement can only be solved numerically (the unknown stands on both sides); use `derivation`.
        """
        implicit = [name for name, expression in self.thresholds.items() if expression is None]
        if implicit:
            raise NtkVerifyError(
                f"requirement {implicit[0]!r} has {self.unknown} on both sides and no closed form; "
                "evaluate it at numbers with Chain.width, or Chain.derivation for the steps."
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

    def derivation(self, values: Mapping[sympy.Symbol, Any]) -> Derived:
        """How `width` comes about at exact values, fixed points included, step by step; prints as text and as LaTeX.

        Parameters
        ----------
        values : mapping of sympy.Symbol to number
            The given and the free symbols, for instance ``{**given, **chain.minimise(given, start=...).shares}``.
        """
        split, exact = self.width(values), exact_values(values)
        steps: list[tuple[str, sympy.Basic]] = [(f"value of {s}", sympy.Eq(s, v)) for s, v in exact.items()]
        steps += [(f"definition of {s}", sympy.Eq(s, v)) for s, v in self.definitions.items()]
        for stated, requirement in zip(self.requirements, self._expanded, strict=True):
            steps.append((f"{stated.name} ({stated.reason})", stated.inequality))
            if requirement not in self._binding:
                at = (requirement.left.subs(exact), requirement.right.subs(exact))
                steps.append(("holds at these values", sympy.Le(*at, evaluate=False)))
                continue
            closed = self.thresholds[requirement.name]
            if closed is not None:
                steps.append((f"solved for {self.unknown}", sympy.Ge(self.unknown, closed)))
            least = least_integer(requirement, self.unknown, closed, exact)
            how = "closed form" if closed is not None else f"{self.unknown} on both sides, fixed point by search"
            steps.append((f"least integer ({how})", sympy.Ge(self.unknown, sympy.Integer(least))))
        steps.append((f"all requirements, {split.binding} decides", sympy.Eq(self.unknown, sympy.Integer(split.width))))
        return Derived(sympy.Integer(split.width), tuple(steps))

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
        open_ends = [
            replace(r, left=r.left.subs(exact), right=r.right.subs(exact))
            for r in self._expanded
            if self.thresholds.get(r.name) is None
        ]
        closed = [e.subs(exact) for e in self.thresholds.values() if e is not None]
        optimum = floating_optimum(open_ends, closed, self.unknown, origin, best.width)
        for pull in (0, 1, 4, 16, 64, 256):
            for towards in (round, math.floor):
                pulled = {s: optimum[s] + (float(origin[s]) - optimum[s]) * pull / 1024 for s in self.free}
                shares = {s: rounded_fraction(value, towards) for s, value in pulled.items()}
                if any(value <= 0 for value in shares.values()):
                    continue
                try:
                    found = self.width({**exact, **shares})
                except NtkVerifyError:  # rounding left the feasible set; the next candidate lies further inside
                    continue
                best = min(best, found, key=lambda split: split.width)
        return best
