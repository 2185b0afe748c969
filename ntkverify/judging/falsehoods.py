"""Planted falsehoods: a theorem with something deliberately wrong, to measure what a search finds.

A plant is written as text, so that cells and violation files carry it: ``NAME * 1/2`` scales a constant or the bound of
a claim, ``NAME with m**2`` gives a symbol of a claim's bound a wrong exponent. A dropped assumption is no plant but
``relax``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

_SCALE = re.compile(r"(?P<name>.+) \* (?P<factor>\d+(?:/[1-9]\d*)?)")
HALF = sympy.Rational(1, 2)
_POWER = re.compile(r"(?P<name>.+) with (?P<symbol>\w+)\*\*(?P<power>\d+(?:/[1-9]\d*)?)")


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
            if scale := _SCALE.fullmatch(text):
                stack.enter_context(theorem.mutated(scale["name"], sympy.Rational(scale["factor"])))
            elif power := _POWER.fullmatch(text):
                stack.enter_context(
                    _wrong_exponent(theorem, power["name"], power["symbol"], sympy.Rational(power["power"]))
                )
            else:
                raise NtkVerifyError(f"the plant {text!r} can't be read; write 'NAME * 1/2' or 'NAME with m**2'.")
        yield


@contextmanager
def _wrong_exponent(theorem: Theorem, name: str, symbol: str, power: sympy.Rational) -> Iterator[None]:
    claim = theorem.claims.get(name)
    if claim is None or claim.bound is None:
        raise NtkVerifyError(f"theorem {theorem.title!r} has no claim {name!r} with a bound.")
    found = [s for s in claim.bound.free_symbols if str(s) == symbol]
    if not found:
        raise NtkVerifyError(f"the bound of {name!r} does not contain {symbol!r}.")
    theorem.claims[name] = replace(claim, bound=claim.bound.xreplace({found[0]: found[0] ** power}))
    try:
        yield
    finally:
        theorem.claims[name] = claim


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
