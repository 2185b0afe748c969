"""Where threads run: a caller and its helpers on different processors.

Linux wakes a thread beside the one that woke it unless it sees an idle processor, and in a virtual machine a
halted one may look taken. Caller and helper, which wake each other through the interpreter's lock, were
then seen to share one of two processors for milliseconds, and a sweep took as long as with one thread. So while
work is shared out the caller stays on the processor that it is on, and the helpers keep off it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache


class _Thread(threading.local):
    """What a thread may use while it is kept to less."""

    allowed: frozenset[int] | None = None


_THREAD = _Thread()


def allowed_processors() -> frozenset[int]:
    """The processors that this thread may use, whatever it is kept to here; empty where the system does not say."""
    if _THREAD.allowed is not None:
        return _THREAD.allowed
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


@dataclass(frozen=True)
class Elsewhere:
    """Where a caller's helpers stay.

    Parameters
    ----------
    allowed : frozenset of int
        Processors that the caller may use.
    others : frozenset of int
        Those that it is not on; empty where nobody is placed.
    """

    allowed: frozenset[int]
    others: frozenset[int]

    def help(self, work: Callable[[], None]) -> None:
        """Do a helper's work, in its own thread."""
        if not self.others:
            work()
            return
        # the place is kept when the work is done, being the same most of the time
        if os.sched_getaffinity(0) != self.others:
            _place(self.others)
        _THREAD.allowed = self.allowed
        try:
            work()
        finally:
            _THREAD.allowed = None


@contextmanager
def staying_put() -> Iterator[Elsewhere]:
    """Keep the calling thread on its processor, and say where its helpers should be."""
    allowed, here = allowed_processors(), _current_processor()
    if _THREAD.allowed is not None or here not in allowed or len(allowed) < 2:
        # a share within another one, a system that places no threads, or nowhere to go
        yield Elsewhere(allowed, frozenset())
        return
    try:
        _THREAD.allowed = allowed
        _place({here})
        yield Elsewhere(allowed, allowed - {here})
    finally:
        _place(allowed)
        _THREAD.allowed = None


def _place(processors: frozenset[int] | set[int]) -> None:
    """Restrict the calling thread."""
    # where a sandbox does not let threads be placed, or a processor has gone, the system's own choice stands
    with suppress(OSError):
        os.sched_setaffinity(0, processors)


@cache
def _sched_getcpu() -> Callable[[], int] | None:
    return getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


def _current_processor() -> int:
    """The processor that the calling thread is on; negative where the system does not say, or not place threads."""
    ask = _sched_getcpu()
    return -1 if ask is None else ask()
