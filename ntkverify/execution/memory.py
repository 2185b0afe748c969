"""Refuse what cannot fit before it is tried, with the figures."""

from __future__ import annotations

import os
from pathlib import Path

from ntkverify.errors import NtkVerifyError


def free_memory() -> int:
    """Bytes of memory that a new array could take, or a very large number where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**62


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
