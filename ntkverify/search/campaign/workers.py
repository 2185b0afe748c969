"""One process or several on the cells of a campaign, with progress."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.search.campaign.campaign import Progress, search_cell
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.score import Score
from ntkverify.theorem.loading import load_theorems
from ntkverify.theorem.theorem import Theorem

Answered = Callable[[Cell], bool]
#: told how far all cells are together: evaluations, seconds of processor time in them, the best margin and its claim
Watch = Callable[[int, float, float | None, str], object]

_POLL = 0.3  # seconds between two looks at the others' progress


def run(
    theorems: Mapping[str, Theorem],
    cells: Sequence[tuple[str, Cell]],
    store: Store,
    *,
    processes: int = 1,
    answered: Answered | None = None,
    watch: Watch = lambda evaluations, seconds, margin, claim: None,
    wall: float | None = None,
) -> None:
    """Search all cells to their ends.

    Parameters
    ----------
    theorems : mapping from path to Theorem
        The modules, loaded.
    cells : sequence of (path, Cell)
        What to search.
    store : Store
        The record; a file where there is more than one process.
    processes : int
        How many search; each takes the next cell that no living process has.
    answered : callable, optional
        Whether what a cell is to find out is known already; such a cell is not searched. Asked by a single process.
    watch : callable
        Told how far all cells are together.
    wall : float, optional
        Seconds after which all of it is to end, from when the theorems are loaded: a cell has its share of what is left
        when it begins, and one that has not begun by then is left for another time.

    Raises
    ------
    NtkVerifyError
        If several processes are to share a record in memory, or one of them died.
    """
    if processes < 1 or (processes > 1 and store.path is None):
        raise NtkVerifyError("several processes need a --store on disk, and there must be at least one.")
    for _, cell in cells if answered is None else ():  # a cell that is skipped should not look like one to resume
        store.open_cell(cell.settings())
    if processes == 1:
        _alone(theorems, cells, store, answered, watch, wall)
        return
    context = multiprocessing.get_context("spawn")
    members = [
        context.Process(target=_work, args=(list(theorems), list(cells), str(store.path), rank, processes, wall))
        for rank in range(processes)
    ]
    with _not_interrupted():  # from their first line on: one that still imports would end in a traceback
        for member in members:
            member.start()
    names = [cell_id(cell.settings()) for _, cell in cells]
    try:
        while any(member.is_alive() for member in members):
            time.sleep(_POLL)
            watch(*store.progress(names), "")
    finally:  # an interrupted campaign leaves no process behind
        for member in members:
            member.terminate()
            member.join()
    if any(member.exitcode for member in members):
        raise NtkVerifyError("a process of the campaign died; the same command resumes from the record.")


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


def _alone(
    theorems: Mapping[str, Theorem],
    cells: Sequence[tuple[str, Cell]],
    store: Store,
    answered: Answered | None,
    watch: Watch,
    wall: float | None,
) -> None:
    """All cells in this process, but for those whose question is answered."""
    best: tuple[float | None, str] = (None, "")
    count, seconds = 0, 0.0

    def show(cell: Cell, score: Score, spent: float) -> None:
        """Progress of one evaluation."""
        nonlocal best, count, seconds
        count += 1
        seconds += spent
        if not score.vacuous and (best[0] is None or score.margin > best[0]):
            best = score.margin, cell.claim
        watch(count, seconds, *best)

    def skipped(cell: Cell) -> bool:
        """Whether a cell's question is answered; its budget counts as used."""
        nonlocal count, seconds
        known = answered is not None and answered(cell)
        count += cell.evaluations if known else 0
        seconds += (cell.seconds or 0.0) if known else 0.0
        return known

    _drain(theorems, cells, store, show, skipped, wall=wall)


def _work(
    paths: list[str], cells: list[tuple[str, Cell]], store: str, rank: int, processes: int, wall: float | None
) -> None:
    """One of several processes; starts at another place than its siblings, so that they rarely meet."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    theorems = load_theorems(paths)
    start = rank * len(cells) // processes
    with Store(Path(store)) as record:
        order = cells[start:] + cells[:start]
        _drain(theorems, order, record, lambda cell, score, seconds: None, wall=wall, processes=processes)


def _drain(
    theorems: Mapping[str, Theorem],
    cells: Sequence[tuple[str, Cell]],
    store: Store,
    show: Progress,
    skipped: Answered = lambda cell: False,
    *,
    wall: float | None = None,
    processes: int = 1,
) -> None:
    """Go round the cells until all are finished; those of another process are waited for, or taken over if it dies."""
    until = None if wall is None else time.time() + wall
    pending = list(cells)
    while pending:
        left: list[tuple[str, Cell]] = []
        for index, (path, cell) in enumerate(pending):
            if skipped(cell):
                continue
            end = None if until is None else _share(until, cell, [*pending[index:], *left], processes)
            if end is not None and end <= time.time() and not store.is_finished(cell_id(cell.settings())):
                continue  # no time is left: it stays open
            if not search_cell(theorems[path], cell, store, path=path, progress=show, until=end):
                left.append((path, cell))
        if len(left) == len(pending):
            time.sleep(_POLL)
        pending = left


def _share(until: float, cell: Cell, left: Sequence[tuple[str, Cell]], processes: int) -> float:
    """When a cell that begins now ends, so that all that are left have a share of the time like their budgets'."""
    now, whole = time.time(), sum(other.seconds or 1.0 for _, other in left)
    return now + (until - now) * min(1.0, processes * (cell.seconds or 1.0) / whole)
