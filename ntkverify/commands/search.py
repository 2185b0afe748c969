"""What `ntkverify search` and `ntkverify necessity` run: budgets to cells, cells to tables and files."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.falsehoods import planted
from ntkverify.report.campaign import summarise, without_assumption
from ntkverify.report.table import render
from ntkverify.search.campaign import workers
from ntkverify.search.campaign.cells import Cell, cells_of
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.climb.engines import DEFAULT_ENGINES
from ntkverify.search.evidence.settle import VIOLATED
from ntkverify.theorem.loading import load_theorem


def search(options: argparse.Namespace) -> int:
    """``ntkverify search``."""
    cells: list[tuple[str, Cell]] = []
    theorems = {path: load_theorem(path) for path in options.theorems}
    for path, theorem in theorems.items():
        names = [c for c in options.claim if c in theorem.claims] if len(theorems) > 1 else options.claim
        if options.claim and not names:
            continue
        with planted(theorem, options.plant):  # a plant that can't be read is refused before anything runs
            found = cells_of(
                theorem,
                path=path,
                claims=names,
                families=options.family,
                relax=options.relax,
                plants=options.plant,
                engines=options.engine or DEFAULT_ENGINES,
                evaluations=options.evaluations,
                entropy=options.entropy,
                max_width=options.max_width,
            )
        cells += [(path, cell) for cell in found]
    cells = with_minutes(cells, options.minutes)
    if not cells:
        raise NtkVerifyError("there is nothing to search: no claim matches what was asked for.")
    with Store(options.store) as store:
        workers.run(theorems, cells, store, processes=options.processes)
        summary = summarise(store, [cell for _, cell in cells], Path(options.out))
    summary.show()
    return 1 if summary.violated else 0


def with_minutes(cells: list[tuple[str, Cell]], minutes: float | None) -> list[tuple[str, Cell]]:
    """Give each claim (with what is dropped for it) an even share of the minutes, split as its evaluations are."""
    if minutes is None:
        return cells
    if not minutes > 0:
        raise NtkVerifyError("--minutes must be positive.")
    claims = Counter[tuple[str, str, tuple[str, ...]]]()
    for path, cell in cells:
        claims[path, cell.claim, cell.relax] += cell.evaluations
    whole = 60 * minutes / max(len(claims), 1)
    return [
        (path, replace(cell, seconds=whole * cell.evaluations / claims[path, cell.claim, cell.relax]))
        for path, cell in cells
    ]


def necessity(options: argparse.Namespace) -> int:
    """``ntkverify necessity``."""
    theorem = load_theorem(options.theorem)
    names = options.assumption or list(theorem.assumptions)
    cells: list[tuple[str, Cell]] = []
    for name in names:
        found = cells_of(
            theorem,
            path=options.theorem,
            claims=options.claim,
            relax=[name],
            evaluations=options.evaluations,
            entropy=options.entropy,
            max_width=options.max_width,
        )
        cells += [(options.theorem, cell) for cell in found]
    cells = with_minutes(cells, options.minutes)
    with Store(options.store) as store:

        def answered(cell: Cell) -> bool:
            """Whether a claim is violated without what the cell drops: one is enough to need it."""
            alike = (cell_id(other.settings()) for _, other in cells if other.relax == cell.relax and other != cell)
            return any(status in VIOLATED for name in alike for status, _ in store.findings(name).values())

        workers.run({options.theorem: theorem}, cells, store, answered=answered)
        rows, files = [], []
        for name in names:
            chosen = [cell for _, cell in cells if cell.relax == (name,)]
            line, written = without_assumption(store, name, chosen, Path(options.out))
            rows.append(line)
            files += written
    headings = ("assumption", "without it", "claim", "instance, made small", "exercised")
    print("\n".join(render(rows, headings, width=160)))
    for file in files:
        print(f"written: {file}")
    return 0
