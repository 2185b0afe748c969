"""A small pool that shares chunks out to threads; the compiled kernels release the interpreter's lock.

Plain threads instead of numba's parallel loops: no second compilation, safe after a fork and from several
threads at once, and no spinning workers when another process holds a core.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def available_threads() -> int:
    """Number of processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ntkverify")


def share(work: Callable[[int], None], count: int, threads: int) -> None:
    """Call ``work(0) .. work(count - 1)``, each thread taking the next one as it gets free."""
    threads = min(threads, count)
    if threads <= 1:
        for i in range(count):
            work(i)
        return
    # next() on a count is atomic under the interpreter's lock
    tickets = itertools.count()

    def take() -> None:
        while (i := next(tickets)) < count:
            work(i)

    others = [_pool(os.getpid(), threads - 1).submit(take) for _ in range(threads - 1)]
    try:
        take()
    finally:
        for other in others:
            other.result()
