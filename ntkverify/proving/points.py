"""Points of a box: whether one certainly refutes a question, and a fixed list of them to look at."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import scipy
import sympy

from ntkverify.proving.balls import NotForBalls, compiled, enclosed, sign_of
from ntkverify.proving.question import Point, Question

_SIGNS = {sympy.Le: (-1, 0), sympy.Lt: (-1,), sympy.Ge: (0, 1), sympy.Gt: (1,), sympy.Eq: (0,)}
_DIGITS = 50
_NEAR, _COMBINATIONS = sympy.Rational(1, 10**8), 128


@dataclass(frozen=True)
class Refutation:
    """A point of the box that meets the side conditions and fails the inequality, all of it certified.

    Parameters
    ----------
    point : dict of sympy.Symbol to sympy.Expr
        Exact numbers.
    excess : sympy.Expr
        By how much the left side is larger there, to fifteen digits; 0 where a strict inequality is an equality.
    """

    point: Point
    excess: sympy.Expr

    @property
    def text(self) -> str:
        """The point in a line."""
        where = ", ".join(f"{symbol} = {value}" for symbol, value in self.point.items())
        by = "both sides are equal" if self.excess == 0 else f"the left side is larger by {sympy.N(self.excess, 4)}"
        return f"{f'at {where} ' if where else ''}{by}"


def first_refutation(asked: Question, candidates: Iterable[Point]) -> Refutation | None:
    """The first candidate that certainly refutes; None if none does."""
    try:
        enclosure = compiled([asked.gap], asked.symbols)
    except NotForBalls:
        return None
    for point in candidates:
        # most keep the bound, which is soon seen; the exact number is written out for the others only
        try:
            keeps = bool(asked.box) and enclosure(*(enclosed(value) for value in point.values()))[0] > 0
        except NotForBalls:
            keeps = False
        if keeps:
            continue
        sign = sign_of(asked.gap.subs(point)) if _is_within(asked, point) else None
        if sign == -1 or (sign == 0 and asked.strict):
            excess = sympy.Integer(0) if sign == 0 else -asked.gap.subs(point).evalf(15)
            return Refutation(point, excess)
    return None


def _is_within(asked: Question, point: Point) -> bool:
    for symbol, interval in asked.box:
        value = point[symbol]
        if symbol.is_integer and not value.is_integer:
            return False
        for end, is_open, inside in (
            (interval.start, interval.left_open, 1),
            (interval.end, interval.right_open, -1),
        ):
            if end.is_finite and sign_of(value - end) not in ((inside,) if is_open else (0, inside)):
                return False
    return all(sign_of((c.lhs - c.rhs).subs(point)) in _SIGNS[type(c)] for c in asked.given)


def corners(asked: Question) -> Iterator[Point]:
    """Corners whose ends belong to the box."""
    ends = [
        [e for e, is_open in ((i.start, i.left_open), (i.end, i.right_open)) if e.is_finite and not is_open]
        for _, i in asked.box
    ]
    for values in itertools.product(*ends):
        yield dict(zip(asked.symbols, values, strict=True))


def next_to_corners(asked: Question) -> Iterator[Point]:
    """Combinations of middles and of what is next to ends: there a bound that is attained in a limit fails first."""
    places = []
    for _, interval in asked.box:
        start, end = interval.start, interval.end
        scale = end - start if start.is_finite and end.is_finite else sympy.Integer(1)
        near = [end_ + side * scale * _NEAR for end_, side in ((start, 1), (end, -1)) if end_.is_finite]
        middle = (start + end) / 2 if len(near) == 2 else start + 1 if start.is_finite else sympy.Min(end - 1, 0)
        places.append([middle, *near, *(1 / _NEAR for _ in range(end is sympy.oo))])
    for values in itertools.islice(itertools.product(*places), _COMBINATIONS):
        yield dict(zip(asked.symbols, values, strict=True))


def samples(asked: Question, count: int) -> Iterator[Point]:
    """Points of the box as exact numbers, ends and what is next to them first; side conditions are not looked at.

    A low-discrepancy sequence; ranges without an end are covered over many orders of magnitude.
    """
    yield from corners(asked)
    if not asked.box:
        return
    places = scipy.stats.qmc.Halton(len(asked.box), scramble=False).random(count)
    for place in places:
        yield {s: _at(interval, float(u)) for (s, interval), u in zip(asked.box, place, strict=True)}


def _at(interval: sympy.Interval, u: float) -> sympy.Expr:
    """A point of an interval: of eight every second is uniform, the others close to the ends on a logarithmic scale."""
    start, end = interval.start, interval.end
    u = min(max(u, 1e-6), 1 - 1e-6)
    if start.is_finite and end.is_finite:
        share = u if (u * 1024) % 1 < 0.5 else 10 ** (-9 * u) if u < 0.5 else 1 - 10 ** (-9 * (1 - u))
        return start + (end - start) * sympy.Rational(share)
    size = sympy.Rational(10.0 ** (12 * (u - 0.5)))
    if start.is_finite:
        return start + size
    if end.is_finite:
        return end - size
    return sympy.Rational(math.copysign(10.0 ** (8 * abs(2 * u - 1) - 4), u - 0.5))


def worst_of_samples(asked: Question, count: int = 256) -> tuple[int, Point | None, float]:
    """How many samples meet the side conditions, one that fails by 50 digits if any does, and the least ratio.

    The ratio is right / left where both are positive, infinite where none are.
    """
    tried, ratio = 0, math.inf
    compare = sympy.lambdify(asked.symbols, [asked.left, asked.right], "mpmath")
    conditions = sympy.lambdify(asked.symbols, [c.lhs - c.rhs for c in asked.given], "mpmath")
    import mpmath

    tiny = mpmath.mpf(10) ** (10 - _DIGITS)
    with mpmath.workdps(_DIGITS):
        for point in samples(asked, count):
            try:
                values = [sympy.N(v, _DIGITS)._to_mpmath(200) for v in point.values()]
                met = [mpmath.sign(v) if abs(v) > tiny else 0 for v in conditions(*values)]
                if any(sign not in _SIGNS[type(c)] for sign, c in zip(met, asked.given, strict=True)):
                    continue
                left, right = compare(*values)
                tried += 1
                gap = right - left
                if gap < -tiny * (abs(left) + abs(right)) or (asked.strict and abs(gap) <= tiny * abs(left)):
                    return tried, point, ratio
                if left > 0 and right > 0:
                    ratio = min(ratio, float(right / left))
            except (
                ZeroDivisionError,
                OverflowError,
                ValueError,
                TypeError,
            ):  # not defined there
                continue
    return tried, None, ratio
