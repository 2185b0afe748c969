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
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache


class _Thread(threading.local):
    """What a thread may use while it is kept to less, and where a helper has been put."""

    allowed: frozenset[int] | None = None
    place: frozenset[int] | None = None


_THREAD = _Thread()
# held by the one caller at a time that stays put; the processors of several could collide, and they share their helpers
_PLACED = threading.Lock()


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
        Processors that the caller may use; empty where the system does not say.
    place : frozenset of int
        Those that its helpers are put on.
    """

    allowed: frozenset[int]
    place: frozenset[int]

    def help(self, work: Callable[[], None]) -> None:
        """Do a helper's work, in its own thread."""
        # the place is kept when the work is done, being the same most of the time
        if self.place and _THREAD.place != self.place:
            _THREAD.place = self.place if _put(self.place) else None
        _THREAD.allowed = self.allowed or None
        try:
            work()
        finally:
            _THREAD.allowed = None


def anywhere() -> Elsewhere:
    """Helpers wherever the calling thread may be."""
    allowed = allowed_processors()
    return Elsewhere(allowed, allowed)


@contextmanager
def staying_put() -> Iterator[Elsewhere]:
    """Keep the calling thread on its processor, and say where its helpers should be.

    Threads and processes that are started in the meantime stay there for good, but for helpers. The caller is left
    alone within another such block, while another thread is in one, and where it has one processor only.
    """
    free, here = anywhere(), frozenset({_current_processor()})
    lock = _PLACED  # a child that is forked within gets another one
    if _THREAD.allowed is not None or not here < free.allowed or not lock.acquire(blocking=False):
        yield free
        return
    try:
        _THREAD.allowed = free.allowed
        _put(here)
        yield Elsewhere(free.allowed, free.allowed - here)
    finally:
        try:
            if os.sched_getaffinity(0) == here:  # otherwise somebody else has placed the thread meanwhile
                _put(free.allowed)
        finally:
            _THREAD.allowed = None
            lock.release()


def _after_fork() -> None:
    """A child goes on without the block that its parent may be in."""
    global _PLACED
    _PLACED = threading.Lock()
    if _THREAD.allowed is not None:
        _put(_THREAD.allowed)
        _THREAD.allowed = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _put(processors: frozenset[int]) -> bool:
    """Restrict the calling thread; whether that was possible."""
    try:
        os.sched_setaffinity(0, processors)
    except OSError:
        return False  # a sandbox that does not let threads be placed, or a processor that has gone
    return True


@cache
def _sched_getcpu() -> Callable[[], int] | None:
    return getattr(ctypes.PyDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


def _current_processor() -> int:
    """The processor that the calling thread is on; negative where the system does not say, or not place threads."""
    ask = _sched_getcpu()
    return -1 if ask is None else ask()
