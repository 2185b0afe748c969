"""`prove`: is an inequality true at every point of a box? Proved, refuted by a certified point, or open."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sympy

from ntkverify.proving import balls, smt
from ntkverify.proving.balls import NotForBalls, sign_of
from ntkverify.proving.boxes import bisect
from ntkverify.proving.ladder import by_signs
from ntkverify.proving.points import Refutation, corners, first_refutation, next_to_corners
from ntkverify.proving.question import Question, question
from ntkverify.symbolic.expression.cache import cached

Status = Literal["proved", "refuted", "open"]


@dataclass(frozen=True)
class Proof:
    """What became of a question.

    Parameters
    ----------
    asked : str
        The question in a line.
    status : {"proved", "refuted", "open"}
        Proved at every point; refuted at one; or neither within the limits of work, which are counted and not timed.
    how : str
        Solver and version, or how many boxes and how small; why it is open.
    refutation : Refutation or None
        The point that refutes.
    text : str
        What somebody else can check: SMT-LIB text, whose answer is ``unsat`` where the question is proved; steps; or
        boxes.
    """

    asked: str
    status: Status
    how: str
    refutation: Refutation | None = None
    text: str = ""

    @property
    def suffix(self) -> str:
        """Of a file with the text."""
        return ".smt2" if "(check-sat)" in self.text else ".txt"


def prove(
    inequality: sympy.Basic,
    box: Mapping[sympy.Symbol, sympy.Interval],
    *,
    given: Iterable[sympy.Basic] | sympy.Basic = (),
) -> Proof:
    """Decide an inequality for all values of its symbols.

    Inequalities of roots and rational functions are put to z3, which decides real algebra. The others are decided by
    signs and derivatives (`ntkverify.proving.ladder`) or by bisection in balls (`ntkverify.proving.boxes`). Answers are
    kept on disk.

    Parameters
    ----------
    inequality : sympy relation
        ``sympy.Le(left, right, evaluate=False)`` or another of <, >=, >. An equality counts for <= and >=, and refutes
        < and >.
    box : mapping of sympy.Symbol to sympy.Interval
        The range of every symbol: open or closed, of exact numbers, or without an end.
    given : sympy relation or several
        Side conditions.

    Returns
    -------
    Proof
        Where an expression is not defined on all of the box (the root of a negative number, a quotient by 0), nothing
        is proved.

    Raises
    ------
    NtkVerifyError
        If a symbol has no range, or a number is rounded.

    Examples
    --------
    >>> a = sympy.Symbol("a")
    >>> prove(2 * sympy.sqrt(1 - a) <= 2 - a, {a: sympy.Interval(0, 1)}).status
    'proved'
    """
    return decide(question(inequality, box, given))


def decide(asked: Question) -> Proof:
    """`prove` for a question that is put already."""
    key = f"{sympy.srepr((asked.left, asked.right, asked.box, asked.given))} {asked.strict} {_tools()}"
    return cached("proof", key, lambda: _proved(asked))


def able() -> bool:
    """Whether both solvers are installed."""
    return smt.is_there() and balls.is_there()


@functools.cache
def _tools() -> str:
    """What an answer depends on besides the question."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    versions = [tool.version() for tool in (smt, balls) if tool.is_there()]
    return f"{hashlib.sha256(sources).hexdigest()} {versions}"


def _proved(asked: Question) -> Proof:
    try:
        text = smt.text_of(asked)
    except smt.NotAlgebraic:
        return _by_ranges(asked) or _by_balls(asked, "")
    if not smt.is_there():
        return _by_balls(asked, "z3 is not installed; ")
    answer = smt.ask(text, asked.symbols)
    if answer.word == "unsat":
        return Proof(asked.text, "proved", smt.version(), text=text)
    if answer.word == "sat":
        if refutation := _certified(asked, answer.candidates):
            return Proof(asked.text, "refuted", f"{smt.version()}, certified in balls", refutation, text)
        return _by_balls(asked, f"{smt.version()} names a point that could not be certified; ", text)
    return _by_balls(asked, f"{smt.version()} gave up after {smt.RLIMIT} units; ", text)


def _by_ranges(asked: Question) -> Proof | None:
    """Proved where of exp, log, ... no more is needed than their range and sign."""
    if not smt.is_there():
        return None
    try:
        text = smt.text_of(asked, abstract=True)
    except smt.NotAlgebraic:
        return None
    if smt.ask(text, (), limit=smt.RLIMIT // 20).word != "unsat":
        return None
    return Proof(asked.text, "proved", f"{smt.version()}, from the range and sign of exp, log, ...", text=text)


def _certified(asked: Question, candidates: Iterable[Mapping[sympy.Symbol, sympy.Expr]]) -> Refutation | None:
    return first_refutation(asked, candidates) if balls.is_there() else None


def _by_balls(asked: Question, so_far: str, text: str = "") -> Proof:
    if not balls.is_there():
        return Proof(asked.text, "open", f"{so_far}python-flint is not installed", text=text)
    try:
        if refutation := first_refutation(asked, corners(asked)):
            return Proof(asked.text, "refuted", f"{so_far}a corner, {balls.version()}", refutation)
        if not asked.box:
            sign = sign_of(asked.gap)
            if sign == 1 or (sign == 0 and not asked.strict):
                enclosure = f"right - left = {asked.gap.evalf(30)}"
                return Proof(asked.text, "proved", f"{so_far}one number, {balls.version()}", text=enclosure)
            return Proof(asked.text, "open", f"{so_far}the sign of one number is undecided")
        # of a bounded box bisection makes short work; what has no end needs signs, and bisection may still refute it
        bounded = all(end.is_finite for _, interval in asked.box for end in interval.args[:2])
        found = bisect(asked) if bounded else None
        if (found is None or found.left) and (steps := by_signs(asked)):
            how = f"{so_far}{len(steps)} steps by signs and derivatives, numbers by {balls.version()}"
            return Proof(asked.text, "proved", how, text="\n".join([asked.text, *steps, ""]))
        if refutation := first_refutation(asked, next_to_corners(asked)):
            return Proof(asked.text, "refuted", f"{so_far}next to a corner, {balls.version()}", refutation)
        found = found or bisect(asked)
    except NotForBalls as error:
        return Proof(asked.text, "open", f"{so_far}no enclosure of {error} is known", text=text)
    how = f"{so_far}{len(found.done)} boxes, halved {found.depth} times at most, {balls.version()}"
    if found.refutation:
        return Proof(asked.text, "refuted", how, found.refutation)
    if found.left:
        listed = "\n".join([f"{asked.text} is open on", *found.left[:200], ""])
        return Proof(asked.text, "open", f"{how}; {len(found.left)} are left", text=listed)
    return Proof(asked.text, "proved", how, text="\n".join([f"{asked.text} on each of", *found.done, ""]))
