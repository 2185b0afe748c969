"""``ntkverify necessity``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.commands.hunting.campaign import Cells
    from ntkverify.search.campaign.cells import Cell
    from ntkverify.search.campaign.store import Store


@shared.command(
    "necessity",
    examples="""
ntkverify necessity theorems/natural_gradient/gradient_descent_regression.py
ntkverify necessity my_theorem.py --assumption "unit inputs" --minutes 5""",
)
@shared.some_theorems
@click.option("--assumption", "assumptions", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@shared.claims
@click.option(
    "--evaluations", type=click.IntRange(min=1), default=400, show_default=True,
    help="Budget of each claim and assumption.",
)  # fmt: skip
@click.option("--minutes", type=float, callback=shared.positive, help="Budget of all of them together.")
@click.option(
    "--max-width", type=click.IntRange(min=1), default=2**16, show_default=True, help="Wider instances are not run."
)
@shared.entropy
@shared.workers
@shared.store
@shared.violations
@shared.table_options
def command(
    theorems: list[Path],
    assumptions: tuple[str, ...],
    claims: tuple[str, ...],
    evaluations: int,
    minutes: float | None,
    max_width: int,
    entropy: int,
    workers: int,
    scheduler: str | None,
    store: str,
    out: str,
    as_json: bool,
    full: bool,
) -> int:
    """Drop each assumption in turn: is a claim violated without it?

    A violation means that the assumption is needed, and the exit status is 1. "Not found" is no proof that it is
    superfluous.
    """
    from ntkverify.commands.hunting import campaign
    from ntkverify.execution.machine.cluster import workers_at
    from ntkverify.report.campaign import Necessity
    from ntkverify.search.campaign.cells import cells_of
    from ntkverify.search.campaign.store import Store

    folder = needs.folder(out, "--out")
    shared.shared_out(workers, scheduler)
    loaded = campaign.loaded(theorems)
    wanted = campaign.named(loaded, claims, what="claim", kind="claims")
    dropped = campaign.named(loaded, assumptions, what="assumption", kind="assumptions")
    questions = [
        (path, name)
        for path, theorem in loaded.items()
        if wanted[path] or not claims
        for name in (dropped[path] if assumptions else theorem.assumptions)
    ]
    budget: dict[str, Any] = {"evaluations": evaluations, "entropy": entropy, "max_width": max_width}
    cells: campaign.Cells = [
        (path, cell)
        for path, name in questions
        for cell in cells_of(loaded[path], path=path, claims=wanted[path], relax=[name], **budget)
    ]
    if not questions:
        raise NtkVerifyError("there is no assumption to drop: none of these theorems has one that was asked for.")
    campaign.require_balls(loaded, cells)
    with (
        Store(store) as record,
        campaign.resumable(record),
        workers_at(workers=workers, scheduler=scheduler) as cluster,
    ):
        cells = campaign.with_minutes(cells, minutes, cluster)
        answered = functools.partial(_answered, cells, record)
        campaign.run(loaded, cells, record, cluster=cluster, answered=answered, minutes=minutes)
        table = Necessity()
        for path, name in questions:
            chosen = [cell for at, cell in cells if at == path and cell.relax == (name,)]
            table.add(record, name, chosen, theorem=loaded[path].id)
    table.show(as_json=as_json, full=full)
    table.write(folder, quiet=as_json)
    return 1 if table.found else 0


def _answered(cells: Cells, record: Store, cell: Cell) -> bool:
    """Whether a claim is violated without what the cell drops: one is enough to need it."""
    from ntkverify.search.campaign.store import cell_id
    from ntkverify.search.evidence.settle import VIOLATED

    alike = [
        cell_id(other.settings())
        for _, other in cells
        if (other.theorem, other.relax) == (cell.theorem, cell.relax) and other != cell
    ]
    return any(status in VIOLATED for name in alike for status, _ in record.findings(name).values())
