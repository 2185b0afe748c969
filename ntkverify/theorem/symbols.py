"""Symbols of bounds: one name, one symbol; and what nobody knows, with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sympy

from ntkverify import glossary
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.theorem.theorem import Theorem

GLOSSARY = {str(s): s for s in vars(glossary).values() if isinstance(s, sympy.Symbol)}


def refuse_homonyms(theorem: Theorem) -> None:
    """Refuse two symbols of one name: to sympy they differ, and to a run they are the same.

    Raises
    ------
    NtkVerifyError
        If a bound or a constant has a symbol whose assumptions differ from those of its namesake.
    """
    known = dict(GLOSSARY)
    known.update({name: constant.symbol for name, constant in theorem.constants.items()})
    for where, expression in _expressions(theorem):
        for symbol in expression.free_symbols:
            other = known.setdefault(str(symbol), symbol)
            if other != symbol:
                raise NtkVerifyError(
                    f"{where} of theorem {theorem.title!r} has a second symbol called {str(symbol)!r}, which is "
                    f"{_words(symbol)} where the first is {_words(other)}; use the first, "
                    f"{'ntkverify.glossary.' if str(symbol) in GLOSSARY else ''}{symbol}."
                )


def refuse_unknown(theorem: Theorem, answers: Any) -> None:
    """Refuse a symbol of a bound that nobody answers for.

    Parameters
    ----------
    theorem : Theorem
        Whose claims are looked at.
    answers : callable
        Takes a family of instances and returns the names that a run of it knows, beyond the theorem's own.

    Raises
    ------
    NtkVerifyError
        If a symbol is neither in the glossary, a quantity, a constant nor known to the run of one drawn instance.
    """
    own = {*GLOSSARY, *theorem.quantities, *theorem.constants}
    for claim in theorem.claims.values():
        if claim.bound is None or claim.is_symbolic:
            continue
        for symbol in sorted(theorem.expand(claim.bound).free_symbols, key=str):
            if (name := str(symbol)) in own:
                continue
            for family in theorem.families_of(claim):
                known: Iterable[str] = answers(family)
                if name not in known:
                    near = difflib.get_close_matches(name, sorted({*own, *known}), n=1, cutoff=0)
                    raise NtkVerifyError(
                        f"{claim.place}: the bound of claim {claim.name!r} of theorem {theorem.title!r} has the symbol "
                        f"{name!r}, for which runs of {family.name!r} have no answer; the nearest name that they know "
                        f"is {near[0]!r}."
                    )


def _expressions(theorem: Theorem) -> Iterable[tuple[str, sympy.Basic]]:
    for name, constant in theorem.constants.items():
        yield f"constant {name!r}", constant.expression
    for name, claim in theorem.claims.items():
        for expression in (claim.bound, claim.measured_expression, *claim.where, *(claim.over or ())):
            if expression is not None:
                yield f"claim {name!r}", expression


def _words(symbol: sympy.Symbol) -> str:
    said = [name for name, value in sorted(symbol.assumptions0.items()) if value and name in _TELLING]
    return " ".join(said) or "anything"


_TELLING = ("positive", "nonnegative", "integer", "real")
