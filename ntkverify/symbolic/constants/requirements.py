"""Requirements ``left <= right`` of a proof: compared exactly, and the integers from which on they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from sympy.core.relational import Relational

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import exact_number

#: digits with which a requirement is compared; a tie closer than this is refused, not guessed
DIGITS = 50
#: implicit requirements are searched downwards from 2 to this power
LARGEST = 256
_TIE = sympy.Float(10, DIGITS) ** -(DIGITS - 10)


@dataclass(frozen=True)
class Requirement:
    """``left <= right``, one link of a chain, with the reason why it is asked for.

    `closed` is False where no closed form of the unknown is to be looked for: sympy takes minutes over an unknown that
    stands in logarithms and roots on both sides, to find none.
    """

    name: str
    left: sympy.Expr
    right: sympy.Expr
    reason: str
    closed: bool = True

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


def exact_values(values: Mapping[sympy.Symbol, Any]) -> dict[sympy.Symbol, sympy.Expr]:
    """Values as exact real numbers; a float counts as the decimal fraction that it prints as."""
    exact = {}
    for symbol, value in values.items():
        number = exact_number(value) if not _is_unusable(value) else sympy.nan
        if not (number.is_number and number.is_finite and number.is_extended_real):
            raise NtkVerifyError(f"the value of {symbol} must be a finite real number, not {value}.")
        if symbol.is_positive and not number.is_positive:
            raise NtkVerifyError(f"{symbol} is declared positive, but its value is {value}.")
        exact[symbol] = number
    return exact


def _is_unusable(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and not math.isfinite(value)


def least_integer(
    requirement: Requirement, unknown: sympy.Symbol, closed: sympy.Expr | None, exact: Mapping[sympy.Symbol, Any]
) -> int:
    """The least integer from which on `requirement` holds, at exact values of the other symbols.

    Where the closed form does not settle it, the integer above the last failure on a grid of eight points per doubling
    is taken: a failure that lies between two of them, with the requirement holding on both sides, is not seen.

    Parameters
    ----------
    requirement : Requirement
    unknown : sympy.Symbol
        What must be large enough.
    closed : sympy.Expr, optional
        The solution of left = right, if there is one.
    exact : mapping of sympy.Symbol to sympy number

    Raises
    ------
    NtkVerifyError
        If the requirement fails at 2^256 still.
    """
    fixed = Requirement(
        requirement.name, requirement.left.subs(exact), requirement.right.subs(exact), requirement.reason
    )

    def at(candidate: int) -> bool:
        return holds(fixed, {unknown: sympy.Integer(candidate)})

    guess = None if closed is None else closed.subs(exact)
    if guess is not None and guess.is_finite and guess.is_extended_real:
        # the closed form is trusted only after the requirement itself has been put to the test on both sides of it
        start = max(1, int(sympy.ceiling(guess.evalf(DIGITS))))
        for candidate in (start - 1, start, start + 1):
            if candidate >= 1 and at(candidate) and (candidate == 1 or not at(candidate - 1)):
                if all(at(larger) for larger in _larger(candidate)):
                    return candidate
                break
    return _by_search(fixed, unknown, at)


def _by_search(fixed: Requirement, unknown: sympy.Symbol, at: Callable[[int], bool]) -> int:
    """From above: what must hold is every larger width too, and log(m) <= m-like requirements hold again near 1.

    A float64 scan with a few points per doubling finds the last failure; every decision is made again exactly.
    """
    top = 2**LARGEST
    if not at(top):
        raise NtkVerifyError(
            f"requirement {fixed.name!r} fails at {unknown} = 2^{LARGEST} still; it must get easier as {unknown} grows."
        )
    sides = sympy.lambdify(unknown, [fixed.left, fixed.right], "numpy")
    grid = np.exp2(np.arange(0, 8 * LARGEST + 1) / 8)
    with np.errstate(all="ignore"):
        left, right = (np.broadcast_to(np.asarray(side, float), grid.shape) for side in sides(grid))
    # where it cannot tell (0 <= 0, nan) the point counts as a failure until the exact comparison says otherwise
    candidates = [int(g) for g in grid[~(left < right)]]
    low = next((c for c in reversed(candidates) if not at(c)), None)
    if low is None:
        return 1
    high = low + 1
    while not at(high):
        high = high + max(1, (high - low) * 2)
    return _last_step(low, high, at)


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


def holds(requirement: Requirement, values: Mapping[sympy.Symbol, Any]) -> bool:
    """Whether ``left <= right`` at exact values, decided with 50 digits; a tie counts as holding only if exact."""
    left, right = requirement.left, requirement.right
    missing = (left.free_symbols | right.free_symbols) - set(values)
    if missing:
        raise NtkVerifyError(
            f"requirement {requirement.name!r} needs a value for {', '.join(sorted(map(str, missing)))}."
        )
    # numbers go in while evaluating: sympy takes several times as long to write them into the expression first
    sides = left.evalf(DIGITS, subs=values), right.evalf(DIGITS, subs=values)
    if not all(side.is_extended_real and side is not sympy.nan for side in sides):
        return False
    if not all(side.is_finite for side in sides):
        return bool(sides[0] < sides[1])
    # relative to the two sides: a failure probability of 1e-80 is compared as carefully as a width of 1e80
    if abs(sides[1] - sides[0]) > _TIE * max(abs(sides[0]), abs(sides[1])):
        return bool(sides[1] > sides[0])
    return bool(sympy.simplify((right - left).subs(values)) == 0)
