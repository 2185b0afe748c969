"""A campaign over workers: each climbs a cell for some seconds from what is on record, and the client keeps the record.

A worker that is lost costs what it has not reported, a few seconds of one cell, and the cell goes on from there
elsewhere. A cell's climb is the same whoever takes which part of it.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.cluster import Cluster
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.evidence.violation import digest
from ntkverify.search.score import Score
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.theorem import Theorem

#: seconds for which a worker climbs before it reports
WINDOW = 4.0

Value = TypeVar("Value")
Vector = tuple[int, ...]
Record = tuple[dict[Vector, Score], dict[Vector, float], dict[Vector, tuple[str, dict[str, Any]]]]


@functools.lru_cache(maxsize=32)
def theorem_at(path: str, sha256: str, called: str) -> Theorem:
    """The theorem, by its id, of a module that is to lie at the same place on every machine.

    Raises
    ------
    NtkVerifyError
        If it does not, or is another.
    """
    if not Path(path).is_file() or digest(path) != sha256:
        raise NtkVerifyError(f"a worker has not the same {path}; put the same file there on every machine.")
    return load_theorem(path, called=called)


def climb_on(
    path: str, sha256: str, cell: Cell, record: Record, time_of: tuple[float, float] | None
) -> tuple[Record, bool]:
    """Climb a cell from a record for a window: what is new, and whether the cell is finished. Runs on a worker.

    Parameters
    ----------
    path, sha256, cell, record
        What to search, and what is known of it.
    time_of : (float, float), optional
        Seconds since the cell was begun, and seconds that are left to it: clocks of machines differ.
    """
    theorem, (scores, spent, findings) = theorem_at(path, sha256, cell.theorem), record
    now = time.time()
    began, until = (None, None) if time_of is None else (now - time_of[0], now + time_of[1])
    with Store(None) as store:
        name = store.open_cell(cell.settings())
        for vector, score in scores.items():
            store.add(name, vector, score, spent[vector])
        for vector, (status, content) in findings.items():
            store.add_finding(name, vector, status, content)
        search_cell(theorem, cell, store, path=path, until=until, began=began, pause=time.monotonic() + WINDOW)
        return (
            _beyond(store.evaluations(name), scores),
            _beyond(store.seconds(name), spent),
            _beyond(store.findings(name), findings),
        ), store.is_finished(name)


def _beyond(now: dict[Vector, Value], before: dict[Vector, Value]) -> dict[Vector, Value]:
    """What has come to be known."""
    return {vector: value for vector, value in now.items() if before.get(vector) != value}


def spread(
    cells: Sequence[tuple[str, Cell]],
    store: Store,
    cluster: Cluster,
    *,
    answered: Callable[[Cell], bool] | None,
    watch: Callable[[int, float, float | None, str], object],
    share: Callable[[Cell, Sequence[tuple[str, Cell]]], float | None],
) -> None:
    """Search all cells to their ends by workers.

    Cells of one question, where some may be answered by others, go one after the other as in a single process.

    Parameters
    ----------
    cells, store, answered, watch
        As for `ntkverify.search.campaign.workers.run`.
    cluster : Cluster
        The workers.
    share : callable
        Told a cell that begins and those that have not: the seconds that it has, or None for all it takes.

    Raises
    ------
    NtkVerifyError
        If another process searches one of the cells.
    """
    with ExitStack() as claims:
        client = _Client(cells, store, claims, answered=answered, share=share)
        client.begin_all()
        for (path, _, cell, _, _), (record, finished) in cluster.run(climb_on, client.tasks):
            client.take(path, cell, record, finished=finished)
            watch(*store.progress(client.names), "")


class _Client:
    """Gives cells out, and puts what comes back on record; see `spread`."""

    def __init__(
        self,
        cells: Sequence[tuple[str, Cell]],
        store: Store,
        claims: ExitStack,
        *,
        answered: Callable[[Cell], bool] | None,
        share: Callable[[Cell, Sequence[tuple[str, Cell]]], float | None],
    ) -> None:
        self.store, self.claims, self.answered, self.share = store, claims, answered, share
        self.questions: dict[Any, deque[tuple[str, Cell]]] = {}
        for number, (path, cell) in enumerate(cells):
            key = number if answered is None else (cell.theorem, cell.relax)
            self.questions.setdefault(key, deque()).append((path, cell))
        self.names = [cell_id(cell.settings()) for _, cell in cells]
        self.tasks: deque[tuple[Any, ...]] = deque()
        self._times: dict[str, tuple[float, float]] = {}
        self._asked: dict[str, deque[tuple[str, Cell]]] = {}

    def begin_all(self) -> None:
        """Give out the first cell of every question."""
        for queue in self.questions.values():
            self._begin(queue)

    def take(self, path: str, cell: Cell, record: Record, *, finished: bool) -> None:
        """Put a window's work on record; then the cell goes on, or the next of its question begins."""
        name, (scores, seconds, findings) = cell_id(cell.settings()), record
        for vector, score in scores.items():
            self.store.add(name, vector, score, seconds[vector])
        for vector, (status, content) in findings.items():
            self.store.add_finding(name, vector, status, content)
        if finished:
            self.store.finish_cell(name)
            self._begin(self._asked[name])
        else:
            self._give(path, cell, name)

    def _begin(self, queue: deque[tuple[str, Cell]]) -> None:
        """Give out the next cell of a question that has something left to find out."""
        while queue:
            path, cell = queue.popleft()
            if self.answered is not None and self.answered(cell):
                continue
            name = self.store.open_cell(cell.settings())
            if self.store.is_finished(name):
                continue
            if not self.claims.enter_context(self.store.claim_cell(name)):
                raise NtkVerifyError(
                    f"another process searches {cell.claim!r}; wait for it, or choose another --store."
                )
            left = [entry for other in self.questions.values() for entry in other]
            seconds = self.share(cell, [(path, cell), *left])
            if seconds is not None and seconds <= 0:
                continue  # no time is left: it stays open
            if seconds is not None:
                self._times[name] = time.time(), time.time() + seconds
            self._asked[name] = queue
            self._give(path, cell, name)
            return

    def _give(self, path: str, cell: Cell, name: str) -> None:
        store, times, now = self.store, self._times, time.time()
        record = store.evaluations(name), store.seconds(name), store.findings(name)
        time_of = (now - times[name][0], max(times[name][1] - now, 0.0)) if name in times else None
        self.tasks.append((path, digest(path), cell, record, time_of))
