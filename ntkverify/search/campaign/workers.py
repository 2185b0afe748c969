"""The cells of a campaign by this process, or by workers, with progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ntkverify.execution.machine.cluster import Cluster
from ntkverify.search.campaign.campaign import Progress, search_cell
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.spread import spread
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.score import Score
from ntkverify.theorem.theorem import Theorem

Answered = Callable[[Cell], bool]
#: told how far all cells are together: evaluations, seconds in them, the best margin and its claim
Watch = Callable[[int, float, float | None, str], object]

_POLL = 0.3  # seconds between two looks at the others' progress


def run(
    theorems: Mapping[str, Theorem],
    cells: Sequence[tuple[str, Cell]],
    store: Store,
    *,
    cluster: Cluster | None = None,
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
        The record, which this process alone writes.
    cluster : Cluster, optional
        Workers that search; this process by default.
    answered : callable, optional
        Whether what a cell is to find out is known already; such a cell is not searched. With a cluster it may depend
        on cells of the same theorem that drop the same assumptions, and on no others.
    watch : callable
        Told how far all cells are together.
    wall : float, optional
        Seconds after which all of it is to end, from when the theorems are loaded: a cell has its share of what is
        left, in one process when it begins, and one that has not begun by then is left for another time.

    Raises
    ------
    NtkVerifyError
        If workers are lost, all of them or over one and the same task.
    """
    for _, cell in cells if answered is None else ():  # a cell that is skipped should not look like one to resume
        store.open_cell(cell.settings())
    if cluster is None:
        _alone(theorems, cells, store, answered, watch, wall)
        return
    until = None if wall is None else time.time() + wall
    spread(cells, store, cluster, answered=answered, watch=watch, until=until)


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


def _drain(
    theorems: Mapping[str, Theorem],
    cells: Sequence[tuple[str, Cell]],
    store: Store,
    show: Progress,
    skipped: Answered = lambda cell: False,
    *,
    wall: float | None = None,
) -> None:
    """Go round the cells until all are finished; those of another process are waited for, or taken over if it dies."""
    until = None if wall is None else time.time() + wall
    pending = list(cells)
    while pending:
        left: list[tuple[str, Cell]] = []
        for index, (path, cell) in enumerate(pending):
            if skipped(cell):
                continue
            end = None if until is None else _share(until, cell, [*pending[index:], *left])
            if end is not None and end <= time.time() and not store.is_finished(cell_id(cell.settings())):
                continue  # no time is left: it stays open
            if not search_cell(theorems[path], cell, store, path=path, progress=show, until=end):
                left.append((path, cell))
        if len(left) == len(pending):
            time.sleep(_POLL)
        pending = left


def _share(until: float, cell: Cell, left: Sequence[tuple[str, Cell]]) -> float:
    """When a cell that begins now ends, so that all that are left have a share of the time like their budgets'."""
    now, whole = time.time(), sum(other.seconds or 1.0 for _, other in left)
    return now + (until - now) * min(1.0, (cell.seconds or 1.0) / whole)
