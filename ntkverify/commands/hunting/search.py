"""``ntkverify search``."""

from __future__ import annotations

from pathlib import Path

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError


@shared.command(
    "search",
    examples="""
ntkverify search theorems/ --minutes 20
ntkverify search my_theorem.py --claim "the rate" --evaluations 5000
ntkverify search my_theorem.py --plant "eta_max * 2" """,
)
@shared.some_theorems
@shared.claims
@shared.families
@click.option("--relax", multiple=True, metavar="ASSUMPTION", help="No longer ask for it; repeatable.")
@click.option(
    "--plant", multiple=True, metavar="TEXT", help="Make something wrong: 'NAME * 1/2', 'NAME with m**2'; repeatable."
)
@click.option(
    "--engine", "engines", multiple=True, metavar="NAME",
    help="portfolio (all but random, one after the other), differential-evolution, evolution-strategies, hypothesis, "
    "mutation or random; repeatable.  [default: portfolio]",
)  # fmt: skip
@click.option(
    "--evaluations", type=click.IntRange(min=1), default=2000, show_default=True, help="Budget of each claim."
)
@click.option(
    "--minutes", type=float, callback=shared.positive, help="Budget of the whole search, shared evenly by its claims."
)
@click.option(
    "--max-width", type=click.IntRange(min=1), default=2**20, show_default=True, help="Wider instances are not run."
)
@shared.entropy
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that share the search."
)
@shared.store
@shared.violations
@shared.table_options
def command(
    theorems: list[Path],
    claims: tuple[str, ...],
    families: tuple[str, ...],
    relax: tuple[str, ...],
    plant: tuple[str, ...],
    engines: tuple[str, ...],
    evaluations: int,
    minutes: float | None,
    max_width: int,
    entropy: int,
    processes: int,
    store: str,
    out: str,
    as_json: bool,
    full: bool,
) -> int:
    """Look for instances that violate claims inside the assumptions.

    Every evaluation is on record when it is made: the same command resumes. A violation is a file, for `ntkverify
    replay` and `ntkverify certify`.
    """
    from ntkverify.commands.hunting import campaign
    from ntkverify.judging.falsehoods import planted
    from ntkverify.report.campaign import summarise
    from ntkverify.search.campaign.cells import cells_of
    from ntkverify.search.campaign.store import Store
    from ntkverify.search.climb.engines import DEFAULT_ENGINES

    folder = needs.folder(out, "--out")
    loaded = campaign.loaded(theorems)
    wanted = campaign.named(loaded, claims, what="claim", kind="claims")
    on = campaign.named(loaded, families, what="family of instances", kind="families")
    dropped = campaign.named(loaded, relax, what="assumption", kind="assumptions")
    cells: campaign.Cells = []
    for path, theorem in loaded.items():
        if (claims and not wanted[path]) or (families and not on[path]) or (relax and not dropped[path]):
            continue
        with planted(theorem, plant):  # a plant that can't be read is refused before anything runs
            found = cells_of(
                theorem,
                path=path,
                claims=wanted[path],
                families=on[path],
                relax=dropped[path],
                plants=plant,
                engines=engines or DEFAULT_ENGINES,
                evaluations=evaluations,
                entropy=entropy,
                max_width=max_width,
            )
        cells += [(path, cell) for cell in found]
    cells = campaign.with_minutes(cells, minutes, processes)
    if not cells:
        raise NtkVerifyError("there is nothing to search: no claim is checked on what was asked for.")
    campaign.require_balls(loaded, cells)
    with Store(store) as record:
        campaign.run(loaded, cells, record, processes=processes, minutes=minutes)
        summary = summarise(record, [cell for _, cell in cells])
    summary.show(as_json=as_json, full=full)
    summary.write(folder, quiet=as_json)
    return 1 if summary.found else 0
