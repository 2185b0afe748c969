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
        return " \\\\\n".join(rf"& \text{{{_plain(what)}:}} \quad {printer(formula)}" for what, formula in self.steps)


def _plain(text: str) -> str:
    """`text` with the characters escaped that LaTeX gives a meaning in text mode."""
    special = {c: "\\" + c for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}"}
    return "".join(special.get(c, c) for c in text)


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
    # Lambert's W has two real branches and sympy returns one: such an equation is left to root finding
    positive = [s for s in found if s.is_positive is not False and not s.has(sympy.I)]
    if len(positive) != 1 or positive[0].has(sympy.LambertW):
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
        inexact = (self.left - self.right).atoms(sympy.Float)
        if inexact:
            raise NtkVerifyError(
                f"requirement {self.name!r} holds the float {min(inexact, key=str)}, but constants are exact: "
                "write a fraction or a root."
            )

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
        exact = _exact(values)
        return [r.name for r in self._expanded if not _holds(r, exact)]

    def width(self, values: Mapping[sympy.Symbol, Any]) -> Split:
        """The least integer from which on every requirement holds, at `values` of the given and free symbols.

        Where a requirement is implicit, or its two sides meet more than once, the integer above its last
        failure counts. That the requirements hold at the integer itself is decided exactly; that they go on
        holding is tried on a grid of larger integers, a few per doubling.

        Raises
        ------
        NtkVerifyError
            If a requirement without the unknown fails, one gets harder as the unknown grows, or none of
            the integers tried satisfies an implicit one.
        """
        exact = _exact(values)
        missing = [str(symbol) for symbol in self.free if symbol not in exact]
        if missing:
            raise NtkVerifyError(f"the chain needs a value for {', '.join(missing)}.")
        for requirement in self._static:
            if not _holds(requirement, exact):
                raise NtkVerifyError(
                    f"requirement {requirement.name!r} ({requirement.left} <= {requirement.right}) fails whatever "
                    f"{self.unknown} is: change the free parameters."
                )
        needed = {r.name: self._least_integer(r, exact) for r in self._binding}
        binding = max(needed, key=lambda name: needed[name])
        width = needed[binding]
        failing = self.violated({**exact, self.unknown: width})
        if failing:
            raise NtkVerifyError(
                f"requirement {failing[0]!r} fails at {self.unknown} = {width} ({binding!r}); it must get "
                f"easier as {self.unknown} grows."
            )
        return Split({symbol: exact[symbol] for symbol in self.free}, width, binding)

    def _least_integer(self, requirement: Requirement, exact: Mapping[sympy.Symbol, Any]) -> int:
        """The least integer from which on `requirement` holds."""
        fixed = Requirement(
            requirement.name, requirement.left.subs(exact), requirement.right.subs(exact), requirement.reason
        )

        def holds(candidate: int) -> bool:
            return _holds(fixed, {self.unknown: sympy.Integer(candidate)})

        closed = self.thresholds[requirement.name]
        guess = None if closed is None else closed.subs(exact)
        if guess is not None and guess.is_finite and guess.is_extended_real:
            # the closed form is trusted only after the requirement itself has been put to the test on both sides of it
            start = max(1, int(sympy.ceiling(guess.evalf(DIGITS))))
            for candidate in (start - 1, start, start + 1):
                if candidate >= 1 and holds(candidate) and (candidate == 1 or not holds(candidate - 1)):
                    if all(holds(larger) for larger in _larger(candidate)):
                        return candidate
                    break
        return self._by_search(fixed, holds)

    def _by_search(self, fixed: Requirement, holds: Callable[[int], bool]) -> int:
        """From above: what must hold is every larger width too, and log(m) <= m-like requirements hold again near 1.

        A float64 scan with a few points per doubling finds the last failure; every decision is made again exactly.
        """
        top = 2**LARGEST
        if not holds(top):
            raise NtkVerifyError(
                f"requirement {fixed.name!r} fails at {self.unknown} = 2^{LARGEST} still; it must get easier as "
                f"{self.unknown} grows."
            )
        sides = sympy.lambdify(self.unknown, [fixed.left, fixed.right], "numpy")
        grid = np.exp2(np.arange(0, 8 * LARGEST + 1) / 8)
        with np.errstate(all="ignore"):
            left, right = (np.broadcast_to(np.asarray(side, float), grid.shape) for side in sides(grid))
        # where it cannot tell (0 <= 0, nan) the point counts as a failure until the exact comparison says otherwise
        candidates = [int(g) for g in grid[~(left < right)]]
        low = next((c for c in reversed(candidates) if not holds(c)), None)
        if low is None:
            return 1
        high = low + 1
        while not holds(high):
            high = high + max(1, (high - low) * 2)
        return _last_step(low, high, holds)

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
        exact = _exact(values)
        origin = _exact({symbol: start[symbol] for symbol in self.free if symbol in start})
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


def _exact(values: Mapping[sympy.Symbol, Any]) -> dict[sympy.Symbol, sympy.Expr]:
    """Values as exact real numbers; a float counts as the decimal fraction that it prints as."""
    exact = {}
    for symbol, value in values.items():
        number = sympy.nsimplify(sympy.sympify(value), rational=True) if not _is_unusable(value) else sympy.nan
        if not (number.is_number and number.is_finite and number.is_extended_real):
            raise NtkVerifyError(f"the value of {symbol} must be a finite real number, not {value}.")
        if symbol.is_positive and not number.is_positive:
            raise NtkVerifyError(f"{symbol} is declared positive, but its value is {value}.")
        exact[symbol] = number
    return exact


def _is_unusable(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and not math.isfinite(value)


def _larger(width: int) -> list[int]:
    """A grid above `width`: a few points in the first octave, then powers of two times it."""
    near = [width + (width * k + 7) // 8 for k in range(1, 8)]
    return [*near, *(width << k for k in (1, 2, 4, 8, 16, 32, 64))]


def _last_step(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Bisection between a failure at `low` and a success at `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _holds(requirement: Requirement, values: Mapping[sympy.Symbol, Any]) -> bool:
    """Whether ``left <= right`` at exact values, decided with 50 digits; a tie counts as holding only if exact."""
    left, right = requirement.left.subs(values), requirement.right.subs(values)
    missing = (right - left).free_symbols
    if missing:
        raise NtkVerifyError(
            f"requirement {requirement.name!r} needs a value for {', '.join(sorted(map(str, missing)))}."
        )
    sides = left.evalf(DIGITS), right.evalf(DIGITS)
    if not all(side.is_extended_real and side is not sympy.nan for side in sides):
        return False
    if not all(side.is_finite for side in sides):
        return bool(sides[0] < sides[1])
    # relative to the two sides: a failure probability of 1e-80 is compared as carefully as a width of 1e80
    if abs(sides[1] - sides[0]) > _TIE * max(abs(sides[0]), abs(sides[1])):
        return bool(sides[1] > sides[0])
    return bool(sympy.simplify(right - left) == 0)


def _rounded(value: float, towards: Callable[[float], int]) -> sympy.Rational:
    """A positive float as a fraction with five significant digits."""
    if not (math.isfinite(value) and value > 0):
        return sympy.S.Zero
    exponent = 4 - math.floor(math.log10(value))
    return (
        sympy.Rational(towards(sympy.Rational(value) * sympy.Integer(10) ** exponent)) / sympy.Integer(10) ** exponent
    )


def total(shares: Iterable[sympy.Expr]) -> sympy.Expr:
    """Sum of the shares that a proof splits a quantity into."""
    return sympy.Add(*shares)
