"""A campaign over workers: each climbs a cell for some seconds from what is on record, and the client keeps the record.

A worker that is lost costs what it has not reported, a few seconds of one climb, and the cell goes on from there
elsewhere; following suspects up, and the sample of a claim about a population, are one task each. A cell's climb is the
same whoever takes which part of it.
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
from ntkverify.execution.machine.cluster import AHEAD, Cluster
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.shares import Shares
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.evidence.violation import digest
from ntkverify.search.score import Score
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.theorem import Theorem

#: seconds for which a worker climbs before it reports; as long as it took to go through the record, if that is more
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
) -> tuple[Record, bool, float]:
    """Climb a cell from a record for a window: what is new, whether the cell is finished, and the seconds it took.

    Runs on a worker.

    Parameters
    ----------
    path, sha256, cell, record
        What to search, and what is known of it.
    time_of : (float, float), optional
        Seconds that workers had for the cell, and seconds that are left to it: clocks of machines differ.
    """
    started = time.monotonic()
    theorem, (scores, spent, findings) = theorem_at(path, sha256, cell.theorem), record
    now = time.time()
    began, until = (None, None) if time_of is None else (now - time_of[0], now + time_of[1])
    with Store(None) as store:
        name = store.open_cell(cell.settings())
        for vector, score in scores.items():
            store.add(name, vector, score, spent[vector])
        for vector, (status, content) in findings.items():
            store.add_finding(name, vector, status, content)
        search_cell(theorem, cell, store, path=path, until=until, began=began, window=WINDOW)
        new = (
            _beyond(store.evaluations(name), scores),
            _beyond(store.seconds(name), spent),
            _beyond(store.findings(name), findings),
        )
        return new, store.is_finished(name), time.monotonic() - started


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
    until: float | None,
) -> None:
    """Search all cells to their ends by workers.

    Cells of one question, where some may be answered by others, go one after the other as in a single process.

    Parameters
    ----------
    cells, store, answered, watch
        As for `ntkverify.search.campaign.workers.run`.
    cluster : Cluster
        The workers.
    until : float, optional
        When all of it is to end, as `time.time` counts; a cell that no worker has taken up by then stays open.

    Raises
    ------
    NtkVerifyError
        If another process searches one of the cells.
    """
    with ExitStack() as claims:
        client = _Client(cells, store, claims, cluster, answered=answered, until=until)
        client.begin_all()
        for (path, _, cell, _, _), (record, finished, seconds) in cluster.run(climb_on, client.tasks):
            client.take(path, cell, record, finished=finished, seconds=seconds)
            watch(*store.progress(client.names), "")


class _Client:
    """Gives cells out, and puts what comes back on record; see `spread`."""

    def __init__(
        self,
        cells: Sequence[tuple[str, Cell]],
        store: Store,
        claims: ExitStack,
        cluster: Cluster,
        *,
        answered: Callable[[Cell], bool] | None,
        until: float | None,
    ) -> None:
        self.store, self.claims, self.cluster, self.answered = store, claims, cluster, answered
        questions: dict[Any, deque[tuple[str, Cell]]] = {}
        for number, (path, cell) in enumerate(cells):
            key = number if answered is None else (cell.theorem, cell.relax)
            questions.setdefault(key, deque()).append((path, cell))
        self.questions = list(questions.values())
        weights = {cell_id(cell.settings()): cell.seconds or 1.0 for _, cell in cells}
        self.names = list(weights)
        self.tasks: deque[tuple[Any, ...]] = deque()
        self._shares = None if until is None else Shares(until, weights)
        self._asked: dict[str, deque[tuple[str, Cell]]] = {}  # what waits for each cell that goes on
        self._ready: deque[tuple[str, Cell, str]] = deque()
        self._out = 0  # tasks that workers have or are about to have

    def begin_all(self) -> None:
        """Give out the first cell of every question."""
        for queue in self.questions:
            self._begin(queue)
        self._give()

    def take(self, path: str, cell: Cell, record: Record, *, finished: bool, seconds: float) -> None:
        """Put a window's work on record; then the cell goes on, or the next of its question begins."""
        name, (scores, spent, findings) = cell_id(cell.settings()), record
        for vector, score in scores.items():
            self.store.add(name, vector, score, spent[vector])
        for vector, (status, content) in findings.items():
            self.store.add_finding(name, vector, status, content)
        self._out -= 1
        if self._shares is not None:
            self._shares.charge(name, seconds)
        if finished:
            self.store.finish_cell(name)
            self._end(name)
        else:
            self._ready.append((path, cell, name))
        self._give()

    def _begin(self, queue: deque[tuple[str, Cell]]) -> None:
        """Make the next cell of a question ready that has something left to find out."""
        while queue:
            path, cell = queue.popleft()
            name = cell_id(cell.settings())
            if (self.answered is not None and self.answered(cell)) or self.store.is_finished(name):
                self._close(name)
                continue
            self.store.open_cell(cell.settings())
            if not self.claims.enter_context(self.store.claim_cell(name)):
                raise NtkVerifyError(
                    f"another process searches {cell.claim!r}; wait for it, or choose another --store."
                )
            self._asked[name] = queue
            self._ready.append((path, cell, name))
            return

    def _end(self, name: str) -> None:
        """No worker goes on with a cell: the next of its question begins."""
        self._close(name)
        self._begin(self._asked.pop(name))

    def _close(self, name: str) -> None:
        if self._shares is not None:
            self._shares.close(name)

    def _give(self) -> None:
        """Hand out as many windows as workers take ahead, each cell's in its turn."""
        while self._ready and self._out < AHEAD * self.cluster.size:
            path, cell, name = self._ready.popleft()
            time_of = None
            if (shares := self._shares) is not None:
                if not (shares.rest or shares.used[name]):  # no time is left: it stays open
                    self._end(name)
                    continue
                time_of = shares.used[name], shares.left(name, min(len(self._asked), self.cluster.size))
            record = self.store.evaluations(name), self.store.seconds(name), self.store.findings(name)
            self.tasks.append((path, digest(path), cell, record, time_of))
            self._out += 1
