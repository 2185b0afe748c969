"""Bisection in balls: a box is done when an enclosure of the gap, or of what it grows from, is not negative on it.

Enclosures are those of the gap itself and of its mean value form, whose width falls like the square of the box's. At a
side where the gap and so many of its derivatives vanish identically, the sign of the next derivative decides. A
variable in which the gap is monotone is set to the end where it is least.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from ntkverify.proving.balls import PRECISION, compiled, enclosed, precision
from ntkverify.proving.points import Refutation, first_refutation
from ntkverify.proving.question import Question

#: how many boxes are looked at, how often one is halved, and how many derivatives at a side are tried
MOST, DEEPEST, FLATTEST = 6000, 60, 6
_INFINITE = float("inf")


@dataclass(frozen=True)
class Bisected:
    """What bisection found.

    Parameters
    ----------
    refutation : Refutation or None
        A point that refutes.
    done : list of str
        Boxes on which the inequality holds.
    left : list of str
        Boxes on which it is open.
    depth : int
        How often the smallest box was halved.
    """

    refutation: Refutation | None
    done: list[str]
    left: list[str]
    depth: int


@dataclass(frozen=True)
class _Side:
    """A side on which the gap and its first `order` - 1 derivatives vanish."""

    index: int
    at_start: bool
    sign: int
    derivative: int  # its place among the compiled functions


def bisect(asked: Question) -> Bisected:
    """Look at boxes, the least promising first, until none is left or one refutes.

    Ranges without an end are mapped to (0, 1]: x = start + (1 - s)/s.

    Raises
    ------
    NotForBalls
        If the question has a function that balls have not.
    """
    with precision(PRECISION):
        return _Bisection(asked).run()


class _Bisection:
    def __init__(self, asked: Question) -> None:
        self.asked = asked
        self.symbols = asked.symbols
        self.back: list[sympy.Expr] = []
        ranges = []
        for symbol, interval in asked.box:
            self.back.append(_bounded(symbol, interval))
            unbounded = self.back[-1] != symbol
            ranges.append((sympy.Integer(0), sympy.Integer(1)) if unbounded else (interval.start, interval.end))
        self.ranges = ranges
        self.spans = [(enclosed(start), enclosed(end - start)) for start, end in ranges]
        mapped = dict(zip(self.symbols, self.back, strict=True))
        gap = asked.gap.xreplace(mapped)
        self.smooth = not gap.has(sympy.Abs, sympy.Max, sympy.Min, sympy.sign)
        functions = [gap]
        if self.smooth:
            functions += [sympy.diff(gap, symbol) for symbol in self.symbols]
        self.sides = self._sides(gap, functions) if self.smooth else []
        self.functions = compiled(functions, self.symbols)
        self.conditions = compiled([_margin(c).xreplace(mapped) for c in asked.given], self.symbols)
        self.exact = [c for c in asked.given if isinstance(c, sympy.Eq)]

    def _sides(self, gap: sympy.Expr, functions: list[sympy.Expr]) -> list[_Side]:
        found = []
        for index, (symbol, (start, end)) in enumerate(zip(self.symbols, self.ranges, strict=True)):
            if self.back[index] != symbol:
                continue
            for at_start, at in ((True, start), (False, end)):
                derivative, order = gap, 0
                while order <= FLATTEST and _vanishes(derivative, symbol, at):
                    derivative, order = sympy.diff(derivative, symbol), order + 1
                if 0 < order <= FLATTEST:
                    found.append(_Side(index, at_start, 1 if at_start or order % 2 == 0 else -1, len(functions)))
                    functions.append(derivative)
        return found

    def run(self) -> Bisected:
        done: list[str] = []
        counter = itertools.count()
        start = tuple((sympy.Rational(0), sympy.Rational(1)) for _ in self.symbols)
        heap: list[tuple[float, int, int, Any]] = [(0.0, next(counter), 0, start)]
        deepest = looked = 0
        left: list[str] = []
        while heap and looked < MOST:
            _, _, depth, box = heapq.heappop(heap)
            looked += 1
            deepest = max(deepest, depth)
            verdict, where, priority = self._look(box)
            if verdict:
                done.append(_spelled(self.symbols, box))
                continue
            if refutation := self._refuted(box):
                return Bisected(refutation, done, [], deepest)
            if depth == DEEPEST:
                left.append(_spelled(self.symbols, box))
                continue
            low, high = box[where]
            middle = (low + high) / 2
            for half in ((low, middle), (middle, high)):
                heapq.heappush(heap, (priority, next(counter), depth + 1, (*box[:where], half, *box[where + 1 :])))
        left += [_spelled(self.symbols, box) for _, _, _, box in heap]
        return Bisected(None, done, left, deepest)

    def _ball(self, index: int, low: sympy.Rational, high: sympy.Rational) -> Any:
        """The ball of a share of a variable's range."""
        import flint

        start, length = self.spans[index]
        a, b = (start + length * flint.fmpq(int(share.p), int(share.q)) for share in (low, high))
        return a if low == high else a.union(b)

    def _look(self, box: Sequence[tuple[Any, Any]]) -> tuple[bool, int, float]:
        """Whether a box is done; else where to halve it, and how soon."""
        balls = [self._ball(i, *part) for i, part in enumerate(box)]
        if any(margin < 0 for margin in self.conditions(*balls)):
            return True, 0, 0.0
        whole = self.functions(*balls)
        gap = whole[0]
        widths = [float(ball.rad()) for ball in balls]
        if self._is_fine(gap):
            return True, 0, 0.0
        if not self.smooth or not gap.is_finite():  # it may be undefined somewhere, whatever its derivatives are
            return False, max(range(len(box)), key=lambda i: widths[i]), _low(gap)
        for side in self.sides:
            # the gap is the side's derivative somewhere between, times a power of the distance from the side
            low, high = box[side.index]
            touches = low == 0 if side.at_start else high == 1
            if touches and not self.asked.strict and side.sign * whole[side.derivative] >= 0:
                return True, 0, 0.0
        slopes = whole[1 : 1 + len(balls)]
        middles = [self._ball(i, m, m) for i, m in ((i, (low + high) / 2) for i, (low, high) in enumerate(box))]
        mean = self.functions(*middles)[0]
        for slope, ball, middle in zip(slopes, balls, middles, strict=True):
            mean += slope * (ball - middle)
        if self._is_fine(mean):
            return True, 0, 0.0
        if not self.asked.given and self._on_least_side(balls, slopes, box):
            return True, 0, 0.0
        sizes = [float(abs(s).upper()) * w if s.is_finite() else _INFINITE for s, w in zip(slopes, widths, strict=True)]
        if any(size == _INFINITE for size in sizes) or not any(sizes):
            sizes = widths
        lows = [_low(ball) for ball in (gap, mean)]
        return False, max(range(len(box)), key=lambda i: (box[i][1] > box[i][0], sizes[i])), max(lows)

    def _on_least_side(self, balls: list[Any], slopes: Sequence[Any], box: Sequence[tuple[Any, Any]]) -> bool:
        """The same with every variable in which the gap is monotone at the end where it is least."""
        moved = list(balls)
        for index, slope in enumerate(slopes):
            low, high = box[index]
            if slope >= 0:
                moved[index] = self._ball(index, low, low)
            elif slope <= 0:
                moved[index] = self._ball(index, high, high)
        return moved != balls and self._is_fine(self.functions(*moved)[0])

    def _is_fine(self, gap: Any) -> bool:
        return bool(gap > 0 if self.asked.strict else gap >= 0)

    def _refuted(self, box: Sequence[tuple[Any, Any]]) -> Refutation | None:
        """Its middle, where the gap is negative there."""
        middles = [(low + high) / 2 for low, high in box]
        balls = [self._ball(i, m, m) for i, m in enumerate(middles)]
        if not self.functions(*balls)[0] < 0:
            return None
        inner = {
            s: start + (end - start) * m for s, m, (start, end) in zip(self.symbols, middles, self.ranges, strict=True)
        }
        outer = {s: back.subs(s, inner[s]) for s, back in zip(self.symbols, self.back, strict=True)}
        return first_refutation(self.asked, [outer])


def _bounded(symbol: sympy.Symbol, interval: sympy.Interval) -> sympy.Expr:
    """What a variable is in terms of one of a bounded range; itself where its range is bounded."""
    start, end = interval.start, interval.end
    if start.is_finite and end.is_finite:
        return symbol
    if start.is_finite:
        return start + (1 - symbol) / symbol
    if end.is_finite:
        return end - (1 - symbol) / symbol
    return (2 * symbol - 1) / (symbol * (1 - symbol))


def _vanishes(expression: sympy.Expr, symbol: sympy.Symbol, at: sympy.Expr) -> bool:
    try:
        value = expression.subs(symbol, at)
        others = sorted(value.free_symbols, key=str)
        somewhere = value.subs({other: sympy.Rational(7 + 3 * i, 11 + i) for i, other in enumerate(others)})
        if not abs(somewhere.evalf(30)) < 1e-20:  # algebra takes long over what is plainly not 0
            return False
        return bool(value == 0 or sympy.simplify(value) == 0)
    except (ValueError, TypeError, ZeroDivisionError):
        return False


def _margin(condition: sympy.core.relational.Relational) -> sympy.Expr:
    """Negative where a side condition fails; of an equation, whatever is off it on either side."""
    if isinstance(condition, sympy.Eq):
        return -sympy.Abs(condition.lhs - condition.rhs)
    return condition.gts - condition.lts


def _low(ball: Any) -> float:
    return float(ball.lower()) if ball.is_finite() else -_INFINITE


def _spelled(symbols: Sequence[sympy.Symbol], box: Sequence[tuple[Any, Any]]) -> str:
    return ", ".join(f"{symbol} in [{low}, {high}]" for symbol, (low, high) in zip(symbols, box, strict=True))
