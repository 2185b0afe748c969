r"""Gaussian moments of polynomials, sin, cos, Gaussians and erf, in any arithmetic.

A function of one linear form is split into `pieces`, z^p * (1, cos kz or sin kz) * e^{-c z^2} * (1 or erf(az)). For two
of them the measure is tilted by the Gaussian factors; then Stein's identity E[w_i F] = sum_j Sigma_ij E[d_j F] takes
one factor of the polynomial off at a time, and what remains is a characteristic function or

.. math:: E[\mathrm{erf}(a z)\,\mathrm{erf}(b z')]
          = \frac2\pi \arctan\frac{2ab\,q_{12}}{\sqrt{(1 + 2a^2 q_{11})(1 + 2b^2 q_{22}) - 4a^2b^2 q_{12}^2}}.

All of it runs on float64 arrays (all pairs of points at once), mpmath numbers, balls and sympy expressions alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.pieces import Piece, pieces_of
from ntkverify.symbolic.expression.running_error import UNIT, Tracked

LEFT, RIGHT = -1, -2
Token = int
"""A weight's index, or LEFT or RIGHT for the linear form itself."""
Wave = tuple[str, sympy.Expr]
"""``"cos"`` or ``"sin"``, and the frequency."""
_CONSTANT: Wave = ("cos", sympy.S.Zero)


class Functions(Protocol):
    """What an arithmetic must offer besides + - * / and integer powers."""

    def number(self, value: sympy.Expr) -> Any:
        """A sympy number in this arithmetic."""

    def call(self, name: str, *arguments: Any) -> Any:
        """sqrt, exp, cosh, sinh or atan."""


class ArrayFunctions:
    """float64 arrays that carry their rounding error."""

    def number(self, value: sympy.Expr) -> Tracked:
        """Rounded to float64."""
        return Tracked.rounded(float(value))

    def call(self, name: str, *arguments: Any) -> Any:
        """By NumPy."""
        return getattr(arguments[0], name)()

    def damped(self, wave: str, decay: Tracked, q: Tracked) -> Tracked:
        """exp(-decay) cosh(q) or exp(-decay) sinh(q), where either factor alone may overflow or underflow."""
        size = np.abs(q.value)
        largest = np.exp(size - decay.value)
        if wave == "cos":
            value = largest * (1 + np.exp(-2 * size)) / 2
        else:
            value = np.copysign(largest, q.value) * -np.expm1(-2 * size) / 2
        moved = decay.error + q.error + UNIT * (size + np.abs(decay.value))
        return Tracked.rounded(value, largest * np.expm1(np.minimum(moved, 700.0)) + UNIT * np.abs(value))


def _damped(functions: Functions, wave: str, decay: Any, q: Any) -> Any:
    if isinstance(functions, ArrayFunctions):
        return functions.damped(wave, decay, q)
    return functions.call("exp", -decay) * functions.call(f"{wave}h", q)


class SymbolicFunctions:
    """sympy expressions."""

    def number(self, value: sympy.Expr) -> sympy.Expr:
        """As it is."""
        return value

    def call(self, name: str, *arguments: Any) -> Any:
        """By sympy."""
        return getattr(sympy, name)(*arguments)


@dataclass
class Geometry:
    """Covariances of the weights and of the two linear forms.

    Parameters
    ----------
    functions : Functions
    covariance : callable
        (token, token) to their covariance.
    gap : object
        q11 q22 - q12^2, given apart because it cancels for nearly parallel forms.
    """

    functions: Functions
    covariance: Callable[[Token, Token], Any]
    gap: Any
    _moments: dict[Any, Any] = field(default_factory=dict)
    _tilts: dict[Any, tuple[Geometry, Any]] = field(default_factory=dict)
    _entries: dict[tuple[Token, Token], Any] = field(default_factory=dict)

    def entry(self, a: Token, b: Token) -> Any:
        """Covariance of two tokens."""
        key = (min(a, b), max(a, b))
        if key not in self._entries:
            self._entries[key] = self.covariance(*key)
        return self._entries[key]

    def tilted(self, left: sympy.Expr, right: sympy.Expr) -> tuple[Geometry, Any]:
        """The geometry after multiplying the density by exp(-left z^2 - right z'^2), and the expectation of that.

        Sigma~ = Sigma - Sigma L (I + C Q)^-1 C L^T Sigma with L = [l, l'], C = 2 diag(left, right).
        """
        if (left, right) not in self._tilts:
            number = self.functions.number
            c, d = number(2 * left), number(2 * right)
            q11, q12, q22 = (self.entry(*pair) for pair in ((LEFT, LEFT), (LEFT, RIGHT), (RIGHT, RIGHT)))
            determinant = 1 + c * q11 + d * q22 + c * d * self.gap
            special = {
                (LEFT, LEFT): (q11 + d * self.gap) / determinant,
                (RIGHT, LEFT): q12 / determinant,
                (RIGHT, RIGHT): (q22 + c * self.gap) / determinant,
            }

            def covariance(a: Token, b: Token) -> Any:
                if (a, b) in special:
                    return special[a, b]
                if a in (LEFT, RIGHT):
                    own, other = self.entry(a, b), self.entry(LEFT + RIGHT - a, b)
                    factor, weight = (1 + d * q22, d) if a == LEFT else (1 + c * q11, c)
                    return (factor * own - weight * q12 * other) / determinant
                al, ar, bl, br = (self.entry(t, s) for t in (a, b) for s in (LEFT, RIGHT))
                cross = c * (1 + d * q22) * al * bl + d * (1 + c * q11) * ar * br - c * d * q12 * (al * br + ar * bl)
                return self.entry(a, b) - cross / determinant

            moved = Geometry(self.functions, covariance, self.gap / determinant)
            self._tilts[left, right] = moved, 1 / self.functions.call("sqrt", determinant)
        return self._tilts[left, right]

    def moment(self, tokens: Sequence[Token], left: Piece, right: Piece) -> Any:
        """E[product of the tokens * left piece(z) * right piece(z')].

        Raises
        ------
        NtkVerifyError
            For erf times sin or cos, which has no closed form here.
        """
        coefficient = self.functions.number(left.coefficient * right.coefficient)
        geometry, factor = self, 1
        if left.damping != 0 or right.damping != 0:
            geometry, factor = self.tilted(left.damping, right.damping)
        every = tuple(sorted([*tokens, *[LEFT] * left.power, *[RIGHT] * right.power]))
        if left.scale != 0 or right.scale != 0:
            if left.frequency != 0 or right.frequency != 0:
                raise NtkVerifyError("no closed form is known for the Gaussian expectation of erf times sin or cos.")
            return coefficient * factor * geometry._erf(every, left.scale, right.scale)
        waves = geometry._waves(every, (left.wave, left.frequency), (right.wave, right.frequency))
        return coefficient * factor * waves

    def _waves(self, tokens: tuple[Token, ...], left: Wave, right: Wave) -> Any:
        """E[tokens * left(k z) * right(h z')].

        Without tokens it is exp(-(k^2 q11 + h^2 q22)/2) times cosh(k h q12) for two cosines, sinh for two sines (so
        that nothing cancels for small arguments) and 0 for one of each.
        """
        key = (tokens, left, right)
        if key in self._moments:
            return self._moments[key]
        number, (k, h) = self.functions.number, (left[1], right[1])
        if tokens:
            first, rest = tokens[0], tokens[1:]
            result = self._paired(first, rest, lambda others: self._waves(others, left, right))
            for side, (wave, frequency) in ((LEFT, left), (RIGHT, right)):
                if frequency != 0:
                    slope = number(frequency if wave == "sin" else -frequency) * self.entry(first, side)
                    turned = ("cos" if wave == "sin" else "sin", frequency)
                    others = (turned, right) if side == LEFT else (left, turned)
                    result = result + slope * self._waves(rest, *others)
        elif left[0] != right[0]:
            result = number(sympy.S.Zero)
        elif k == 0 and h == 0:
            result = number(sympy.S.One)
        else:
            squares = number(k**2) * self.entry(LEFT, LEFT) + number(h**2) * self.entry(RIGHT, RIGHT)
            result = _damped(self.functions, left[0], squares / 2, number(k * h) * self.entry(LEFT, RIGHT))
        self._moments[key] = result
        return result

    def _erf(self, tokens: tuple[Token, ...], a: sympy.Expr, b: sympy.Expr) -> Any:
        """E[tokens * erf(a z) * erf(b z')], where a scale of 0 stands for no factor."""
        if a == 0 and b == 0:
            return self._waves(tokens, _CONSTANT, _CONSTANT)
        key = (tokens, a, b)
        if key in self._moments:
            return self._moments[key]
        number = self.functions.number
        if tokens:
            first, rest = tokens[0], tokens[1:]
            result = self._paired(first, rest, lambda others: self._erf(others, a, b))
            for side, scale, remaining in ((LEFT, a, (sympy.S.Zero, b)), (RIGHT, b, (a, sympy.S.Zero))):
                if scale != 0:
                    damping = (scale**2, sympy.S.Zero) if side == LEFT else (sympy.S.Zero, scale**2)
                    geometry, factor = self.tilted(*damping)
                    slope = number(2 * scale / sympy.sqrt(sympy.pi)) * self.entry(first, side)
                    result = result + slope * factor * geometry._erf(rest, *remaining)
        elif a == 0 or b == 0:
            result = number(sympy.S.Zero)
        else:
            q11, q12, q22 = (self.entry(*pair) for pair in ((LEFT, LEFT), (LEFT, RIGHT), (RIGHT, RIGHT)))
            c, d = number(2 * a**2), number(2 * b**2)
            determinant = 1 + c * q11 + d * q22 + c * d * self.gap
            ratio = number(2 * a * b) * q12 / self.functions.call("sqrt", determinant)
            result = number(2 / sympy.pi) * self.functions.call("atan", ratio)
        self._moments[key] = result
        return result

    def _paired(self, first: Token, rest: tuple[Token, ...], value: Callable[[tuple[Token, ...]], Any]) -> Any:
        total = self.functions.number(sympy.S.Zero)
        for partner in dict.fromkeys(rest):
            position = rest.index(partner)
            remaining = rest[:position] + rest[position + 1 :]
            total = total + rest.count(partner) * self.entry(first, partner) * value(remaining)
        return total


def smooth_moment(tokens: Sequence[Token], left: sympy.Expr, right: sympy.Expr, geometry: Geometry) -> Any:
    """E[product of weights * A(z) * B(z')] for two functions of ``Z`` that have pieces.

    Raises
    ------
    NtkVerifyError
        If one has none, or they are erf and a wave.
    """
    pieces_left, pieces_right = pieces_of(left), pieces_of(right)
    if pieces_left is None or pieces_right is None:
        raise NtkVerifyError(f"no closed form is known for the Gaussian expectation of {left} times {right}.")
    total = geometry.functions.number(sympy.S.Zero)
    for s in pieces_left:
        for t in pieces_right:
            total = total + geometry.moment(tokens, s, t)
    return total
