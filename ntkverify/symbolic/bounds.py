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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy import optimize
from sympy.core.relational import Relational

from ntkverify.errors import NtkVerifyError

Array = NDArray[np.float64]

#: digits with which a requirement is compared; a tie closer than this is refused, not guessed
DIGITS = 50
#: implicit requirements are searched downwards from 2 to this power
LARGEST = 256
_TIE = sympy.Float(10, DIGITS) ** -(DIGITS - 10)


@dataclass(frozen=True)
class Derived:
    """A derived expression together with the steps that led to it.

    Parameters
    ----------
    expression : sympy.Expr
        The result.
    steps : tuple of (str, sympy.Basic)
        One line per step: what was done, and the formula it left.
    """

    expression: sympy.Expr
    steps: tuple[tuple[str, sympy.Basic], ...]

    def text(self) -> str:
        """The derivation, one step a line."""
        return "\n".join(f"{what}: {formula}" for what, formula in self.steps)

    def latex(self, *, printer: Callable[[sympy.Basic], str] = sympy.latex) -> str:
        """The derivation as the body of a LaTeX ``align*`` environment."""
        return " \\\\\n".join(rf"& \text{{{what}:}} \quad {printer(formula)}" for what, formula in self.steps)


def derived(expression: sympy.Expr, reason: str, *earlier: Derived) -> Derived:
    """`expression` with `reason` as its last step, after the steps of what it was built from."""
    steps = tuple(step for part in earlier for step in part.steps)
    return Derived(expression, (*steps, (reason, expression)))


def solve_for(symbol: sympy.Symbol, inequality: Relational) -> Derived:
    """Solve ``left <= right`` for `symbol` at equality.

    Parameters
    ----------
    symbol : sympy.Symbol
        What to solve for; its assumptions (positive) select the branch.
    inequality : sympy.Rel
        An inequality that is monotone in `symbol`.

    Returns
    -------
    Derived
        The extreme value of `symbol`, with the inequality as first step.

    Raises
    ------
    NtkVerifyError
        If the equality has no solution, or more than one, in closed form.
    """
    solution = _isolate(symbol, inequality.lhs, inequality.rhs)
    if solution is None:
        raise NtkVerifyError(f"{inequality} has no unique closed-form solution for {symbol}; state a simpler bound.")
    return Derived(solution, (("requirement", inequality), (f"solved for {symbol}", sympy.Eq(symbol, solution))))


def _isolate(symbol: sympy.Symbol, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr | None:
    """The one positive solution of ``left = right``, or None where sympy finds none or several."""
    try:
        found = sympy.solve(left - right, symbol)
    except NotImplementedError:  # sympy's word for "no algorithm"; the caller falls back to root finding
        return None
    positive = [s for s in found if s.is_positive is not False and not s.has(sympy.I, sympy.LambertW)]
    if len(positive) != 1:
        return None
    # sympy leaves log(b**e), which overflows when evaluated; b > 0 here, so the exponent may come out
    return sympy.simplify(positive[0]).replace(
        lambda e: isinstance(e, sympy.log) and e.args[0].is_Pow,
        lambda e: e.args[0].exp * sympy.log(e.args[0].base),
    )


@dataclass(frozen=True)
class Requirement:
    """``left <= right``, one link of a chain, with the reason why it is asked for."""

    name: str
    left: sympy.Expr
    right: sympy.Expr
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "left", sympy.sympify(self.left))
        object.__setattr__(self, "right", sympy.sympify(self.right))

    @property
    def inequality(self) -> Relational:
        """The requirement as a sympy relation."""
        return sympy.Le(self.left, self.right, evaluate=False)


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
        If no requirement contains the unknown, or two requirements share a name.
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
        return {r.name: _isolate(self.unknown, r.left, r.right) for r in self._binding}

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
        return [r.name for r in self._expanded if not _holds(r, values)]

    def width(self, values: Mapping[sympy.Symbol, Any]) -> Split:
        """The least integer that satisfies every requirement at `values` of the given and free symbols.

        Raises
        ------
        NtkVerifyError
            If a requirement without the unknown fails, or none of the integers tried satisfies an implicit one.
        """
        exact = {symbol: sympy.nsimplify(value, rational=True) for symbol, value in values.items()}
        for requirement in self._static:
            if not _holds(requirement, exact):
                raise NtkVerifyError(
                    f"requirement {requirement.name!r} ({requirement.left} <= {requirement.right}) fails whatever "
                    f"{self.unknown} is: change the free parameters."
                )
        needed = {r.name: self._least_integer(r, exact) for r in self._binding}
        binding = max(needed, key=lambda name: needed[name])
        shares = {symbol: exact[symbol] for symbol in self.free}
        return Split(shares, max(needed.values()), binding)

    def _least_integer(self, requirement: Requirement, exact: Mapping[sympy.Symbol, Any]) -> int:
        closed = self.thresholds[requirement.name]
        if closed is not None:
            guess = max(1, int(sympy.ceiling(closed.subs(exact).evalf(DIGITS))))
            # the closed form is trusted only after the requirement itself has been put to the test
            for candidate in (guess, guess + 1):
                if _holds(requirement, {**exact, self.unknown: candidate}):
                    return candidate
            raise NtkVerifyError(f"requirement {requirement.name!r} does not get easier as {self.unknown} grows.")
        # from above: what must hold is every larger width too, and log(m) <= m-like requirements hold again near 1
        high: int = 2**LARGEST
        if not _holds(requirement, {**exact, self.unknown: high}):
            raise NtkVerifyError(f"requirement {requirement.name!r} fails at {self.unknown} = 2^{LARGEST} still.")
        while high > 1 and _holds(requirement, {**exact, self.unknown: high // 2}):
            high //= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _holds(requirement, {**exact, self.unknown: middle}) else (middle, high)
        return high

    def minimise(self, values: Mapping[sympy.Symbol, Any], *, start: Mapping[sympy.Symbol, Any]) -> Split:
        """Choose the free parameters that make the sufficient width small.

        The nonlinear programme is solved in floating point (scipy's SLSQP on the logarithm of the width),
        its answer rounded to rationals and pulled towards `start` until every requirement holds exactly:
        the result is always sufficient, and optimal up to rounding where SLSQP found the optimum.

        Parameters
        ----------
        values : mapping of sympy.Symbol to number
            The given symbols.
        start : mapping of sympy.Symbol to number
            A strictly feasible choice of the free parameters, for instance the equal split of the textbook proof.

        Returns
        -------
        Split
            Never wider than with `start`.
        """
        exact = {symbol: sympy.nsimplify(value, rational=True) for symbol, value in values.items()}
        origin = {symbol: sympy.nsimplify(start[symbol], rational=True) for symbol in self.free}
        best = self.width({**exact, **origin})
        optimum = self._optimum(exact, origin)
        for pull in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            shares = {s: _four_digits(optimum[s] + (float(origin[s]) - optimum[s]) * pull / 1024) for s in self.free}
            if any(value <= 0 for value in shares.values()):
                continue
            if all(_holds(r, {**exact, **shares}) for r in self._static):
                found = self.width({**exact, **shares})
                best = min(best, found, key=lambda split: split.width)
        return best

    def _optimum(
        self, exact: Mapping[sympy.Symbol, Any], origin: Mapping[sympy.Symbol, Any]
    ) -> dict[sympy.Symbol, float]:
        """The floating-point optimum of the epigraph problem: minimise t with t >= log(threshold) for each."""
        closed = [e.subs(exact) for e in self.thresholds.values() if e is not None]
        static = [(r.right - r.left).subs(exact) for r in self._static]
        raw = sympy.lambdify(self.free, closed, "numpy")
        slacks = sympy.lambdify(self.free, static, "numpy")
        x0 = np.array([float(origin[s]) for s in self.free])

        def logarithms(x: Array) -> Array:
            return np.asarray(np.log(np.asarray(raw(*x), float).ravel()))

        def constraints(z: Array) -> Array:
            with np.errstate(all="ignore"):
                values = np.concatenate([z[-1] - logarithms(z[:-1]), np.asarray(slacks(*z[:-1]), float).ravel()])
            return np.asarray(np.nan_to_num(values, nan=-1e3, posinf=1e3, neginf=-1e3))

        z0 = np.append(x0, logarithms(x0).max())
        result = optimize.minimize(
            lambda z: float(z[-1]),
            list(z0),
            bounds=optimize.Bounds([1e-4] * len(x0) + [-np.inf], np.inf),
            constraints=optimize.NonlinearConstraint(constraints, 0, np.inf),
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-12},
        )
        return dict(zip(self.free, map(float, result.x[:-1]), strict=True))


def _holds(requirement: Requirement, values: Mapping[sympy.Symbol, Any]) -> bool:
    """Whether ``left <= right`` at exact values, decided with 50 digits; a tie counts as holding only if exact."""
    gap = (requirement.right - requirement.left).subs(values)
    missing = gap.free_symbols
    if missing:
        raise NtkVerifyError(
            f"requirement {requirement.name!r} needs a value for {', '.join(sorted(map(str, missing)))}."
        )
    number = gap.evalf(DIGITS)
    scale = 1 + abs(requirement.right.subs(values).evalf(DIGITS))
    if abs(number) > _TIE * scale:
        return bool(number > 0)
    return bool(sympy.simplify(gap) == 0)


def _four_digits(value: float) -> sympy.Rational:
    return sympy.Rational(round(value * 10**4), 10**4)


def total(shares: Iterable[sympy.Expr]) -> sympy.Expr:
    """Sum of the shares that a proof splits a quantity into."""
    return sympy.Add(*shares)
