"""What people give to a diagnosis, read or refused in one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.names import chosen


def names_of(what: str, given: Any) -> tuple[str, ...]:
    """A sequence of names; a single name is a sequence of its letters, and refused."""
    if isinstance(given, str):
        raise NtkVerifyError(f"{what} is a sequence of names, not one; write {what}=({given!r},).")
    if not isinstance(given, Iterable):
        raise NtkVerifyError(f"{what} is a sequence of names, not {given!r}.")
    return tuple(given)


def by_block(what: str, given: Any, blocks: Collection[str]) -> Mapping[str, Any]:
    """A mapping of known blocks to arrays."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise NtkVerifyError(
            f"{what} are given by block, not as {type(given).__name__}; write {what}={{{next(iter(blocks))!r}: ...}}."
        )
    for name in given:
        if name not in blocks:
            chosen(str(name), blocks, what="block", of="the points")
    return given


def made_equation(given: Callable[..., Any], coordinates: Sequence[sympy.Symbol]) -> Any:
    """What a function of the coordinates, all of them in one tuple, returns.

    Raises
    ------
    NtkVerifyError
        If it takes something else, or fails.
    """
    name = getattr(given, "__name__", repr(given))
    remedy = (
        "give a function of one argument, the tuple of all coordinates, such as lambda points: heat(points[0], "
        "points[1:])"
    )
    try:
        inspect.signature(given).bind(tuple(coordinates))
    except TypeError as error:
        raise NtkVerifyError(f"the equation {name!r} can't be called ({error}); {remedy}.") from None
    except ValueError:  # a built-in function has no signature
        pass
    try:
        return given(tuple(coordinates))
    except NtkVerifyError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise NtkVerifyError(
            f"the equation {name!r} can't be made of {len(coordinates)} coordinates ({reason}); {remedy}."
        ) from error


def solution_of(given: Callable[..., Any], coordinates: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...]:
    """The components of a state that is a function of the coordinates."""
    count = len(coordinates)
    if not callable(given):
        raise NtkVerifyError(
            f"a state is a function of the coordinates or a mapping of block name to array, not {given!r}."
        )
    try:
        inspect.signature(given).bind(*coordinates)
    except TypeError:
        raise NtkVerifyError(
            f"the points have {count} coordinate{'s' if count > 1 else ''}, which the state does not take; give a "
            f"function of {count} argument{'s' if count > 1 else ''}."
        ) from None
    except ValueError:  # a built-in function has no signature
        pass
    remedy = "give a function of the coordinates that returns a sympy expression of them, by sympy.sin, not numpy.sin"
    try:
        solution = given(*coordinates)
        components = solution if isinstance(solution, tuple | list) else (solution,)
        read = tuple(sympy.sympify(part, strict=True) for part in components)
    except (TypeError, AttributeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise NtkVerifyError(f"the state can't be computed in sympy ({reason}); {remedy}.") from None
    for part in read:
        if not isinstance(part, sympy.Expr) or part.free_symbols - set(coordinates):
            raise NtkVerifyError(f"the state {part} is no expression of the coordinates alone; {remedy}.")
    return read
