"""Refuse what cannot fit before it is tried, with the figures."""

from __future__ import annotations

from pathlib import Path

import psutil

from ntkverify.errors import NtkVerifyError

# the memory that a container grants its processes, and what they use of it
_GROUP = Path("/sys/fs/cgroup")
#: bytes that are there wherever this runs; asking the system takes longer than a step of a small network
ALWAYS_FREE = 1 << 24


def free_memory() -> int:
    """Bytes of memory that a new array could take without swapping, within what a container grants."""
    free = int(psutil.virtual_memory().available)
    try:
        limit, used = ((_GROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(free, max(int(limit) - int(used), 0))
    except (OSError, ValueError):  # no such limit, or "max"
        return free


def refuse_beyond_memory(needed: int, what: str, *, free: int | None = None) -> None:
    """Raise if `needed` bytes are not free, where `free` is what a device has; by default the host.

    Raises
    ------
    NtkVerifyError
        Naming what was asked for, the memory it needs and the memory that is free.
    """
    if free is None:
        if needed <= ALWAYS_FREE:
            return
        free = free_memory()
    if needed > free:
        raise NtkVerifyError(
            f"{what} needs {needed / 2**30:.3g} GiB but {free / 2**30:.3g} GiB are free; "
            "use a smaller width or fewer samples"
        )
