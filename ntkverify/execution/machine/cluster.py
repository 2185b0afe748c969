"""Workers of Dask distributed, on this machine or behind a scheduler's address: tasks are given out a few at a time."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ntkverify.errors import NtkVerifyError

#: tasks that are out for each worker, so that none waits for the client
AHEAD = 2
#: seconds that an address has to answer
PATIENCE = 5
#: seconds without any worker after which a scheduler that lost them all is given up
_DESERTED = 60.0


class Cluster:
    """Workers, and a client that gives them tasks.

    A task whose worker is lost is given to another by Dask. Results are released as they come.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    @property
    def size(self) -> int:
        """Number of threads of all workers, each of which runs one task at a time."""
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def run(self, function: Callable[..., Any], tasks: deque[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Each task's arguments with the function's result, as they are finished; tasks may be added meanwhile."""
        out: dict[Any, tuple[Any, ...]] = {}
        try:
            while tasks or out:
                while tasks and len(out) < AHEAD * self.size:
                    task = tasks.popleft()
                    out[self.client.submit(function, *task, pure=False)] = task
                done = self._finished(list(out))
                for future in [f for f in out if f in done]:
                    task, result = out.pop(future), self._result(future)
                    future.release()
                    yield task, result
        finally:
            self.client.cancel(list(out))

    def in_order(self, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """The function's results in the order of the tasks; what was begun and is not asked for is cancelled."""
        left, out = iter(tasks), deque[Any]()
        try:
            while True:
                while len(out) < AHEAD * self.size and (task := next(left, None)) is not None:
                    out.append(self.client.submit(function, *task, pure=False))
                if not out:
                    return
                while not out[0].done():
                    self._finished([out[0]])
                yield self._result(out.popleft())
        finally:
            self.client.cancel(list(out))

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """The function's result on every worker, by its address."""
        found: dict[str, Any] = self.client.run(function, *arguments)
        return found

    def _finished(self, futures: list[Any]) -> set[Any]:
        """Those that are done, at least one."""
        from distributed import wait

        seen = time.monotonic()
        while True:
            try:
                return set(wait(futures, timeout=PATIENCE, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                if self.client.status != "running":
                    raise _lost() from None
                if self.client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen > _DESERTED:
                    raise NtkVerifyError("all workers are gone; start some, and the same command again.") from None

    def _result(self, future: Any) -> Any:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise NtkVerifyError(
                f"a task has ended {error.allowed_failures + 1} workers, for want of memory perhaps; give each more, "
                "or search smaller instances."
            ) from None
        except CancelledError:
            raise _lost() from None


def _lost() -> NtkVerifyError:
    return NtkVerifyError("the connection to the scheduler is lost; the same command goes on from what is on record.")


@contextmanager
def workers_at(*, workers: int, scheduler: str | None) -> Iterator[Cluster | None]:
    """The workers behind a scheduler's address, or so many on this machine; None for one that is this process.

    Raises
    ------
    NtkVerifyError
        If nobody answers at the address within seconds, or workers have another version.
    """
    if scheduler is None and workers == 1:
        yield None
        return
    with local_workers(workers) if scheduler is None else _remote(scheduler) as found:
        yield found


def _quiet() -> None:
    """What a user is to know of workers is said in a sentence."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def local_workers(count: int) -> Iterator[Cluster]:
    """So many workers on this machine, of one thread each; they end with the block."""
    from distributed import Client, LocalCluster

    _quiet()
    with _not_interrupted():  # from their first line on: one that still imports would end in a traceback
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        client = Client(cluster)
    try:
        yield Cluster(client)
    finally:  # an interrupted command leaves no process behind
        with _not_interrupted():
            client.close()
            cluster.close()


@contextmanager
def _remote(address: str) -> Iterator[Cluster]:
    from distributed import Client

    import ntkverify

    _quiet()
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NtkVerifyError(
            f"no Dask scheduler answers at {address} ({reason}); start one by `dask scheduler`, and give --scheduler "
            "the address that it prints."
        ) from None
    try:
        if not client.nthreads():
            raise NtkVerifyError(f"the scheduler at {address} has no workers; start some by `dask worker {address}`.")
        try:
            versions = client.run(version)
        except Exception as error:  # whatever keeps a worker from importing this package
            raise NtkVerifyError(
                f"the workers at {address} can't run ntkverify ({error}); install {ntkverify.__version__} there."
            ) from None
        for worker, found in versions.items():
            if found != ntkverify.__version__:
                raise NtkVerifyError(
                    f"the worker {worker} has ntkverify {found} and this is {ntkverify.__version__}; install the same."
                )
        yield Cluster(client)
    finally:
        client.close()


def version() -> str:
    """The version of this package, where it is asked for."""
    import ntkverify

    return ntkverify.__version__


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Processes that are started here do not hear of Ctrl-C, which goes to all; the first process ends the others."""
    if threading.current_thread() is not threading.main_thread():  # nobody else may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
