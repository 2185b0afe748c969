"""What `search` and `necessity` share: names to cells, minutes to seconds, progress."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from ntkverify.commands import needs
from ntkverify.commands.group import OnRecord
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.cluster import Cluster
from ntkverify.judging.check import Check
from ntkverify.report import console
from ntkverify.search.campaign import workers
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.store import Store
from ntkverify.theorem.loading import load_theorems
from ntkverify.theorem.names import chosen, nearest
from ntkverify.theorem.theorem import Theorem

Cells = list[tuple[str, Cell]]


def loaded(paths: Sequence[Path]) -> dict[str, Theorem]:
    """Theorems by the path of their modules; a symbol of a bound that nobody answers for is refused."""
    theorems = load_theorems(paths)
    for theorem in theorems.values():
        Check(theorem).refuse_unknown_symbols()
    return theorems


def named(theorems: Mapping[str, Theorem], names: Sequence[str], *, what: str, kind: str) -> dict[str, list[str]]:
    """For each theorem those of the `names` that are among its `kind`, in full; each has to be somewhere.

    Parameters
    ----------
    theorems : mapping of str to Theorem
        Where they may be.
    names : sequence of str
        What was asked for.
    what : str
        What they are called in a sentence.
    kind : {"claims", "families", "assumptions"}
        Where in a theorem they stand.
    """
    found: dict[str, list[str]] = {path: [] for path in theorems}
    for name in names:
        if len(theorems) == 1:
            ((path, theorem),) = theorems.items()
            found[path].append(chosen(name, getattr(theorem, kind), what=what, of=f"theorem {theorem.id!r}"))
            continue
        matching = {path: _meant(name, getattr(theorem, kind)) for path, theorem in theorems.items()}
        if not any(matching.values()):
            known = list(dict.fromkeys(other for theorem in theorems.values() for other in getattr(theorem, kind)))
            raise NtkVerifyError(f"none of {len(theorems)} theorems has the {what} {name!r}; {nearest(name, known)}")
        for path, others in matching.items():
            found[path] += others
    return found


def _meant(name: str, known: Mapping[str, object]) -> list[str]:
    return [name] if name in known else [other for other in known if name.lower() in other.lower()]


def with_minutes(
    cells: Cells, minutes: float | None, cluster: Cluster | None = None, *, endless: bool = False
) -> Cells:
    """Give each claim (with what is dropped for it) an even share of the minutes of all workers.

    A claim's families share it as they do its evaluations. An `endless` search counts no evaluations.
    """
    if minutes is None:
        return cells
    claims = Counter[tuple[str, str, tuple[str, ...]]]()
    for path, cell in cells:
        claims[path, cell.claim, cell.relax] += cell.evaluations
    whole = 60 * minutes * (1 if cluster is None else cluster.size) / max(len(claims), 1)
    return [
        (path, replace(cell, seconds=whole * cell.evaluations / claims[path, cell.claim, cell.relax], endless=endless))
        for path, cell in cells
    ]


def require_balls(theorems: Mapping[str, Theorem], cells: Cells) -> None:
    """Refuse to search without python-flint what only balls can settle."""
    for path, cell in cells:
        if theorems[path].claims[cell.claim].quantifier.is_decided_by_one_run:
            needs.package("flint", "search claims of probability only, with --claim")


@contextmanager
def resumable(store: Store) -> Iterator[None]:
    """Ctrl-C in here says that the same command goes on, if anything is on record."""
    try:
        yield
    except KeyboardInterrupt as error:
        if not store.progress()[0]:
            raise
        click.echo(err=True)  # closes the line of the terminal's ^C
        raise OnRecord from error


def run(
    theorems: Mapping[str, Theorem],
    cells: Cells,
    store: Store,
    *,
    cluster: Cluster | None = None,
    answered: Callable[[Cell], bool] | None = None,
    minutes: float | None = None,
) -> None:
    """Search all cells; of a budget in minutes the progress counts minutes, else evaluations."""
    began = time.time()
    total = sum(cell.evaluations for _, cell in cells) if minutes is None else 60 * minutes
    with console.progress("searching", total, unit="evaluations" if minutes is None else "") as bar:

        def watch(count: int, seconds: float, margin: float | None, claim: str) -> None:
            note = "" if margin is None else f"best margin {margin:+.3g}" + (f" ({claim})" if claim else "")
            bar.to(count if minutes is None else time.time() - began, note)

        wall = None if minutes is None else 60 * minutes
        workers.run(theorems, cells, store, cluster=cluster, answered=answered, watch=watch, wall=wall)
