"""Planted falsehoods: a theorem with something deliberately wrong, to measure what a search finds.

A plant is written as text, so that cells and violation files carry it: ``NAME * 1/2`` scales a constant or the bound of
a claim, ``NAME with m**2`` gives a symbol of a constant or of a claim's bound a wrong exponent, ``NAME, requirement 2 *
1/2`` scales one of the terms whose largest (or least) a constant contains, and ``NAME, exponent + 3/10`` moves the
exponent that a power law claims. A dropped assumption is no plant but ``relax``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.parts import Claim, Constant
from ntkverify.theorem.theorem import Theorem

_SCALE = re.compile(r"(?P<name>.+) \* (?P<factor>\d+(?:/[1-9]\d*)?)")
HALF = sympy.Rational(1, 2)
_POWER = re.compile(r"(?P<name>.+) with (?P<symbol>\w+)\*\*(?P<power>\d+(?:/[1-9]\d*)?)")
_TERM = re.compile(r"(?P<name>.+), requirement (?P<number>\d+) \* (?P<factor>\d+(?:/[1-9]\d*)?)")
_SHIFT = re.compile(r"(?P<name>.+), exponent (?P<sign>[+-]) (?P<by>\d+(?:/[1-9]\d*)?)")


@contextmanager
def planted(theorem: Theorem, plants: Sequence[str]) -> Iterator[None]:
    """Make some things wrong for the length of a ``with`` block.

    Raises
    ------
    NtkVerifyError
        If a plant can't be read or names nothing of the theorem.
    """
    with ExitStack() as stack:
        for text in plants:
            if term := _TERM.fullmatch(text):
                stack.enter_context(
                    _wrong_term(theorem, term["name"], int(term["number"]), sympy.Rational(term["factor"]))
                )
            elif shift := _SHIFT.fullmatch(text):
                stack.enter_context(
                    _wrong_law(
                        theorem, shift["name"], sympy.Rational(shift["by"]) * (-1 if shift["sign"] == "-" else 1)
                    )
                )
            elif scale := _SCALE.fullmatch(text):
                stack.enter_context(theorem.mutated(scale["name"], sympy.Rational(scale["factor"])))
            elif power := _POWER.fullmatch(text):
                stack.enter_context(
                    _wrong_exponent(theorem, power["name"], power["symbol"], sympy.Rational(power["power"]))
                )
            else:
                raise NtkVerifyError(
                    f"the plant {text!r} can't be read; write 'NAME * 1/2', 'NAME with m**2', 'NAME, requirement 2 * "
                    "1/2' or 'NAME, exponent + 3/10'."
                )
        yield


@contextmanager
def _wrong_exponent(theorem: Theorem, name: str, symbol: str, power: sympy.Rational) -> Iterator[None]:
    constant, claim = theorem.constants.get(name), theorem.claims.get(name)
    expression = claim.bound if claim is not None else None if constant is None else constant.expression
    if expression is None:
        raise NtkVerifyError(
            f"theorem {theorem.title!r} has no constant {name!r}, nor a claim of that name with a bound."
        )
    found = [s for s in expression.free_symbols if str(s) == symbol]
    if not found:
        of = "the bound of " if claim is not None else ""
        raise NtkVerifyError(f"{of}{name!r} does not contain {symbol!r}.")
    wrong = expression.xreplace({found[0]: found[0] ** power})
    part: Constant | Claim = claim or theorem.constants[name]
    part = replace(part, bound=wrong) if isinstance(part, Claim) else replace(part, expression=wrong)
    with theorem.replaced(name, part):
        yield


@contextmanager
def _wrong_term(theorem: Theorem, name: str, number: int, factor: sympy.Rational) -> Iterator[None]:
    found = requirements_of(theorem.constants[name].expression) if name in theorem.constants else []
    if not 1 <= number <= len(found):
        raise NtkVerifyError(f"{name!r} of theorem {theorem.title!r} is no constant with a requirement {number}.")
    constant, (extreme, wanted) = theorem.constants[name], found[number - 1]
    # left as it is, lest sympy compare what it has compared before
    terms = [factor * term if term == wanted else term for term in extreme.args]
    wrong = constant.expression.xreplace({extreme: extreme.func(*terms, evaluate=False)})
    with theorem.replaced(name, replace(constant, expression=wrong)):
        yield


@contextmanager
def _wrong_law(theorem: Theorem, name: str, by: sympy.Rational) -> Iterator[None]:
    claim = theorem.claims.get(name)
    moved = None if claim is None else claim.quantifier.moved(by)
    if claim is None or moved is None:
        raise NtkVerifyError(f"theorem {theorem.title!r} has no claim {name!r} of an exponent.")
    with theorem.replaced(name, replace(claim, quantifier=moved)):
        yield


def requirements_of(expression: sympy.Expr) -> list[tuple[sympy.Expr, sympy.Expr]]:
    """The terms whose largest, or least, a constant contains: the requirements that it meets.

    Returns
    -------
    list of (extreme, term)
        The maximum or minimum with each of its terms, in a fixed order that begins with what the whole constant is.
    """
    extremes = sorted(expression.atoms(sympy.Max, sympy.Min), key=lambda found: (found != expression, str(found)))
    return [(extreme, term) for extreme in extremes for term in sorted(extreme.args, key=str)]


def plants_of(claim: Claim, *, factor: sympy.Rational = HALF) -> list[str]:
    """Wrong variants of one claim: its bound tightened by `factor`, and every symbol with a wrong exponent.

    An exponent is wrong in both directions, halved and doubled; one of the two makes the bound looser, and stays true.
    """
    if claim.bound is None:
        return []
    tight = 1 / factor if claim.from_below else factor
    symbols = sorted(str(s) for s in claim.bound.free_symbols)
    return [f"{claim.name} * {tight}"] + [
        f"{claim.name} with {symbol}**{power}" for symbol in symbols for power in ("1/2", "2")
    ]
