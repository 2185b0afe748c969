"""Names that people give, and the nearest that there are."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from ntkverify.errors import NtkVerifyError


def chosen(name: str, known: Collection[str], *, what: str, of: str) -> str:
    """The one of `known` that a name means: itself, or the only one that it is a part of.

    Parameters
    ----------
    name : str
        What was asked for.
    known : collection of str
        What there is.
    what, of : str
        What these are called, and whose they are, for the sentence: "claim", "theorem 'folder/file'".

    Raises
    ------
    NtkVerifyError
        If it means none or several, with the nearest and all that there are.
    """
    if name in known:
        return name
    matching = [other for other in known if name.lower() in other.lower()] if name else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise NtkVerifyError(f"{what} {name!r} of {of} may be {' or '.join(map(repr, matching))}; say more of it.")
    raise NtkVerifyError(f"{of} has no {what} {name!r}; {nearest(name, known)}")


def refuse_keywords(given: Collection[str], known: Collection[str], *, of: str, needed: Collection[str] = ()) -> None:
    """Refuse a keyword that nothing has, and one that is missing.

    Raises
    ------
    NtkVerifyError
        With the nearest, and all that there are.
    """
    for name in given:
        if name not in known:
            raise NtkVerifyError(f"{of} has no keyword {name!r}; {nearest(name, known)}")
    for name in needed:
        if name not in given:
            raise NtkVerifyError(f"{of} needs the keyword {name!r}; give {name}=....")


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a sentence about a name that nothing has: the nearest, and all that there are."""
    if not known:
        return "there is none."
    lowered = {other.lower(): other for other in known}
    near = [lowered[other] for other in difflib.get_close_matches(name.lower(), lowered, 1, 0.5)]
    if not near:  # one word of a sentence, mistyped
        words = {word: other for other in reversed(list(known)) for word in other.lower().split()}
        near = [words[word] for word in difflib.get_close_matches(name.lower(), words, 1)]
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    return f"{suggestion}choose one of {', '.join(map(repr, known))}."
