"""Nonnegative by signs and derivatives: a function that starts at 0 and does not fall is nowhere negative.

f >= 0 on a box if every factor has a sign there, or if f >= 0 on the side where a variable begins (or ends) and its
derivative in that variable is >= 0 (<= 0) on the whole box; both are asked in the same way. This decides what bisection
can't: equality at an end, and ranges without an end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sympy

from ntkverify.proving import smt
from ntkverify.proving.balls import sign_of
from ntkverify.proving.question import Question

#: how many derivatives may follow each other, and how many questions may be asked in all
DEEPEST, MOST = 7, 120
#: operations of a function whose derivatives are looked at
LONGEST = 150
_SMOOTH = (
    *(sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.sinh, sympy.cosh),
    *(sympy.tanh, sympy.atan, sympy.erf, sympy.erfc),
)
_KNOWN = (sympy.Symbol, sympy.Number, sympy.NumberSymbol, sympy.Add, sympy.Mul, sympy.Pow, *_SMOOTH)

Box = tuple[tuple[sympy.Symbol, sympy.Interval], ...]


@dataclass
class _Ladder:
    steps: list[str] = field(default_factory=list)
    asked: int = 0
    known: dict[tuple[sympy.Expr, Box], bool] = field(default_factory=dict)

    def nonnegative(self, f: sympy.Expr, box: Box, depth: int = 0) -> bool:
        box = tuple((s, i) for s, i in box if s in f.free_symbols)
        if (f, box) not in self.known:
            self.known[f, box] = False  # what leads back to itself shows nothing
            self.asked += 1
            self.known[f, box] = self.asked <= MOST and self._nonnegative(f, box, depth)
        return self.known[f, box]

    def _nonnegative(self, f: sympy.Expr, box: Box, depth: int) -> bool:
        if not box:
            return self._say(sign_of(f) in (0, 1), f"{f} >= 0, a number")
        if f.is_nonnegative:
            return self._say(True, f"{f} >= 0 by the signs of its terms")
        if (answer := algebraic(f, box)) is not None:
            return self._say(answer, f"{f} >= 0 by {smt.version()}")
        f = _normal(f)
        factors = [part for part in sympy.Mul.make_args(f) if not self._is_square(part)]
        if len(factors) > 1:
            signs = [self._sign(part, box, depth + 1) for part in factors]
            if all(signs):
                return self._say(signs.count(-1) % 2 == 0, f"{f} >= 0 by the signs of its factors")
            left = [part for part, sign in zip(factors, signs, strict=True) if not sign]
            rest = sympy.Mul(sympy.Integer(-1) ** signs.count(-1), *left)
            return self.nonnegative(rest, box, depth)
        if len(factors) < len(sympy.Mul.make_args(f)):
            return self.nonnegative(sympy.Mul(*factors), box, depth)
        return depth < DEEPEST and any(self._along(f, box, depth, *way) for way in _ways(f, box))

    def _is_square(self, part: sympy.Expr) -> bool:
        even = isinstance(part, sympy.Pow) and part.exp.is_Integer and part.exp % 2 == 0 and part.exp > 0
        return bool(part.is_nonnegative or even)

    def _sign(self, part: sympy.Expr, box: Box, depth: int) -> int:
        if part.is_nonnegative or part.is_nonpositive:
            return 1 if part.is_nonnegative else -1
        if part.is_number:
            return sign_of(part) or 0
        if depth > 2:
            return 0
        for sign in (1, -1):
            if self.nonnegative(sign * part, box, DEEPEST - 2):
                return sign
        return 0

    def _along(self, f: sympy.Expr, box: Box, depth: int, symbol: sympy.Symbol, end: sympy.Expr, rises: int) -> bool:
        try:
            side = _normal(f.subs(symbol, end))
        except (ValueError, TypeError, ZeroDivisionError):
            return False
        if side.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) or not defined(f, box, {symbol: end}):
            return False
        if not self.nonnegative(side, box, depth):
            return False
        slope = rises * sympy.diff(f, symbol)
        return self._say(
            self.nonnegative(slope, box, depth + 1),
            f"{f} >= 0, as it is at {symbol} = {end} and its derivative has the sign {'+' if rises > 0 else '-'}",
        )

    def _say(self, shown: bool, line: str) -> bool:
        if shown:
            self.steps.append(line)
        return shown


def _normal(f: sympy.Expr) -> sympy.Expr:
    """Factors where there are any; common positive ones are stripped later."""
    return sympy.factor(sympy.powsimp(sympy.expand(f)), deep=False)


def _ways(f: sympy.Expr, box: Box) -> Iterator[tuple[sympy.Symbol, sympy.Expr, int]]:
    """Where a variable may begin, and whether the function is to rise from there."""
    for symbol, interval in sorted(box, key=lambda pair: str(pair[0])):
        if symbol in f.free_symbols:
            for end, rises in ((interval.start, 1), (interval.end, -1)):
                if end.is_finite:
                    yield symbol, end, rises


def defined(f: sympy.Expr, box: Box, at: Mapping[sympy.Symbol, sympy.Expr] = MappingProxyType({})) -> bool:
    """Whether f is smooth on the box, and on the side of it that is named: no root or quotient of what may vanish."""
    for part in sympy.preorder_traversal(f):
        if not isinstance(part, _KNOWN):
            return False
        if isinstance(part, sympy.Pow) and not isinstance(part, sympy.exp):
            if not (part.exp.is_Integer and part.exp > 0) and not _positive(part.base, box, at):
                return False
        elif isinstance(part, sympy.log) and not _positive(part.args[0], box, at):
            return False
    return True


def _positive(base: sympy.Expr, box: Box, at: Mapping[sympy.Symbol, sympy.Expr]) -> bool:
    if at and not _positive(base.subs(at), tuple((s, i) for s, i in box if s not in at), {}):
        return False
    if base.is_positive:
        return True
    if base.is_number:
        return sign_of(base) == 1
    return algebraic(base, box, strict=True) is True


def algebraic(f: sympy.Expr, box: Box, *, strict: bool = False) -> bool | None:
    """Whether f >= 0 (> 0) on a box, by z3; None if it can't tell."""
    if not smt.is_there():
        return None
    try:
        text = smt.text_of(Question(sympy.Integer(0), f, strict, tuple((s, i) for s, i in box if s in f.free_symbols)))
    except smt.NotAlgebraic:
        return None
    return {"unsat": True, "sat": False}.get(smt.ask(text, (), limit=smt.RLIMIT // 20).word)


def by_signs(asked: Question) -> list[str] | None:
    """The steps that show a question without side conditions, last one last; None if there are none."""
    too_long = sympy.count_ops(asked.gap) > LONGEST
    if asked.given or asked.strict or too_long or not defined(asked.gap, asked.box):
        return None
    ladder = _Ladder()
    return ladder.steps if ladder.nonnegative(asked.gap, asked.box) else None
