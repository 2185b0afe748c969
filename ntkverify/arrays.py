"""The array of numbers that most of the library is about, what is left of two, and how people's numbers are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError

Array = NDArray[np.float64]  #: of float64, on the host, of any shape


@dataclass(frozen=True)
class Difference:
    """left - right, as a measure returns it: its rounding error is that of the two, however much of them cancels."""

    left: Any
    right: Any


def difference(left: Any, right: Any) -> Difference:
    """What a claim measures as left - right; without ``error=`` the rounding of `left` and `right` is allowed for."""
    return Difference(left, right)


def whole_number(name: str, given: Any, *, least: int) -> int:
    """An integer of at least `least`; 1e3 is one, "8" and True are none.

    Raises
    ------
    NtkVerifyError
        In one sentence that begins with `name`.
    """
    is_whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    read = given if is_whole else real_number(name, given)  # an integer may be beyond every float
    if read != math.floor(read) or read < least:
        raise NtkVerifyError(f"{name} must be a whole number, at least {least}, not {given!r}.")
    return int(read)


def real_number(name: str, given: Any) -> float:
    """A finite number.

    Raises
    ------
    NtkVerifyError
        In one sentence that begins with `name`.
    """
    try:
        # a string is no number though float takes it; a bool is a mistake
        number = math.nan if isinstance(given, str | bytes | bool | np.bool_) else float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise NtkVerifyError(f"{name} must be a finite number, not {given!r}.")
    return number


def positive_number(name: str, given: Any) -> float:
    """A finite number above 0.

    Raises
    ------
    NtkVerifyError
        In one sentence that begins with `name`.
    """
    if (number := real_number(name, given)) <= 0:
        raise NtkVerifyError(f"{name} must be positive, not {given!r}.")
    return number


def real_array(what: str, given: Any, remedy: str) -> Array:
    """An array of real numbers in float64.

    Parameters
    ----------
    what : str
        Beginning of the sentence, with its verb: "block 'x' is", "points are".
    given : array_like
        What is read.
    remedy : str
        End of the sentence.

    Raises
    ------
    NtkVerifyError
        For what is no rectangular array of numbers, and for complex ones.
    """
    try:
        read = np.asarray(given)
        if not np.iscomplexobj(read):
            return np.asarray(read, np.float64)
    except (TypeError, ValueError):
        raise NtkVerifyError(f"{what} not a rectangular array of numbers; {remedy}.") from None
    raise NtkVerifyError(f"{what} complex; give real numbers, such as the real parts.")
