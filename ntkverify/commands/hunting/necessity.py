"""``ntkverify necessity``."""

from __future__ import annotations

from pathlib import Path

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError


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
    from ntkverify.search.campaign.cells import Cell, cells_of
    from ntkverify.search.campaign.store import Store, cell_id
    from ntkverify.search.evidence.settle import VIOLATED

    folder = needs.folder(out, "--out")
    shared.shared_out(workers, scheduler)
    loaded = campaign.loaded(theorems)
    wanted = campaign.named(loaded, claims, what="claim", kind="claims")
    dropped = campaign.named(loaded, assumptions, what="assumption", kind="assumptions")
    questions: list[tuple[str, str]] = []
    cells: campaign.Cells = []
    for path, theorem in loaded.items():
        if claims and not wanted[path]:
            continue
        for name in dropped[path] if assumptions else theorem.assumptions:
            questions.append((path, name))
            found = cells_of(
                theorem,
                path=path,
                claims=wanted[path],
                relax=[name],
                evaluations=evaluations,
                entropy=entropy,
                max_width=max_width,
            )
            cells += [(path, cell) for cell in found]
    if not questions:
        raise NtkVerifyError("there is no assumption to drop: none of these theorems has one that was asked for.")
    campaign.require_balls(loaded, cells)
    with (
        Store(store) as record,
        campaign.resumable(record),
        workers_at(workers=workers, scheduler=scheduler) as cluster,
    ):
        cells = campaign.with_minutes(cells, minutes, cluster)

        def answered(cell: Cell) -> bool:
            """Whether a claim is violated without what the cell drops: one is enough to need it."""
            alike = [
                cell_id(other.settings())
                for _, other in cells
                if (other.theorem, other.relax) == (cell.theorem, cell.relax) and other != cell
            ]
            return any(status in VIOLATED for name in alike for status, _ in record.findings(name).values())

        campaign.run(loaded, cells, record, cluster=cluster, answered=answered, minutes=minutes)
        table = Necessity()
        for path, name in questions:
            chosen = [cell for at, cell in cells if at == path and cell.relax == (name,)]
            table.add(record, name, chosen, theorem=loaded[path].id)
    table.show(as_json=as_json, full=full)
    table.write(folder, quiet=as_json)
    return 1 if table.found else 0
