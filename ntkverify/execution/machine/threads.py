"""A small pool that shares chunks out to threads; the compiled kernels release the interpreter's lock.

Plain threads instead of numba's parallel loops: no second compilation, safe after a fork and from several
threads at once, and no spinning workers when another process holds a core.
"""

from __future__ import annotations

import importlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from ntkverify.execution.machine.placement import allowed_processors, anywhere, staying_put

Part = TypeVar("Part")


def available_threads() -> int:
    """Number of processors that the calling thread may run on."""
    return len(allowed_processors()) or os.cpu_count() or 1


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ntkverify")


def share(work: Callable[[int], None], count: int, threads: int, *, brief: bool = True) -> None:
    """Call ``work(0) .. work(count - 1)``, each thread taking the next one as it gets free.

    If the work is brief, some milliseconds, the caller stays on its processor meanwhile, and `work` should start no
    threads or processes of its own. Longer work the system spreads by itself.
    """
    threads = min(threads, count)
    if threads <= 1:
        for i in range(count):
            work(i)
        return
    # next() on a count is atomic under the interpreter's lock
    tickets, work = itertools.count(), as_here(work)

    def take() -> None:
        while (i := next(tickets)) < count:
            work(i)

    with staying_put() if brief else nullcontext(anywhere()) as elsewhere:
        others = [_pool(os.getpid(), threads - 1).submit(elsewhere.help, take) for _ in range(threads - 1)]
        try:
            take()
        finally:
            # all chunks are taken by now, so that one who has not begun is not needed; waiting for it from inside
            # another share's chunk would be waiting for oneself
            begun = [other for other in others if not other.cancel()]
            wait(begun)  # all of them, before the error of one is raised
            for other in begun:
                other.result()


@cache
def _controller() -> ThreadpoolController:
    # compiled code calls SciPy's BLAS, a library of its own that must be loaded before the controller looks for them
    importlib.import_module("scipy.linalg.cython_blas")
    return ThreadpoolController()


class _Limit:
    """How many callers want BLAS to use one thread, and what takes that back."""

    lock = threading.Lock()
    callers = 0
    limiter: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS use one thread; its setting is the process's, so the last of several callers restores it."""
    with _Limit.lock:
        if _Limit.callers == 0:
            _Limit.limiter = _controller().limit(limits=1, user_api="blas")
        _Limit.callers += 1
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.callers -= 1
            if _Limit.callers == 0:
                _Limit.limiter.restore_original_limits()


def in_order(work: Callable[[Any], Part], parts: list[Any]) -> Iterator[Part]:
    """Results of `work` in the order of `parts`, on all cores where there are parts enough to share."""
    if len(parts) < 4 or (cores := os.cpu_count() or 1) == 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(cores) as pool:
        yield from pool.map(as_here(work), parts)


def as_here(work: Callable[[Any], Part]) -> Callable[[Any], Part]:
    """`work` for other threads, which do not know by themselves what NumPy is to say of an overflow in this one."""
    settings: Any = np.geterr()

    def done(part: Any) -> Part:
        with np.errstate(**settings):
            return work(part)

    return done
