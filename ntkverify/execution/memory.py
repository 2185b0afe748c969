"""Refuse what cannot fit before it is tried, with the figures."""

from __future__ import annotations

import psutil

from ntkverify.errors import NtkVerifyError


def free_memory() -> int:
    """Bytes of memory that a new array could take without swapping."""
    return int(psutil.virtual_memory().available)


def refuse_beyond_memory(needed: int, what: str) -> None:
    """Raise if `needed` bytes are not free.

    Raises
    ------
    NtkVerifyError
        Naming what was asked for, the memory it needs and the memory that is free.
    """
    free = free_memory()
    if needed > free:
        raise NtkVerifyError(
            f"{what} needs {needed / 2**30:.3g} GiB but {free / 2**30:.3g} GiB are free; "
            "use a smaller width or fewer samples"
        )
