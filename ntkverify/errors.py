"""The one error type for anything a user can mend, and names that a user may have misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NtkVerifyError(ValueError):
    """Bad input: one sentence that says what was wrong, where, and what to do."""


def known_name(name: str, known: Iterable[str], *, what: str, where: str) -> str:
    """The one of the known names that is meant: itself, or the only one that begins so.

    Raises
    ------
    NtkVerifyError
        Naming the nearest, or all if none is near.
    """
    names = list(known)
    beginning = [other for other in names if other.startswith(name)] if name else []
    if name in names:
        return name
    if len(beginning) == 1:
        return beginning[0]
    if beginning:
        raise NtkVerifyError(f"{where} has {len(beginning)} {what}s that begin with {name!r}; write more of it.")
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, names)) or 'none'}."
    raise NtkVerifyError(f"{where} has no {what} {name!r}; {hint}")
