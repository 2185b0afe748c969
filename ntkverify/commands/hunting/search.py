"""``ntkverify search``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.commands.hunting.campaign import Cells
    from ntkverify.theorem.theorem import Theorem


@shared.command(
    "search",
    examples="""
ntkverify search theorems/ --minutes 20
ntkverify search my_theorem.py --claim "the rate" --evaluations 5000
ntkverify search my_theorem.py --plant "eta_max * 2"
ntkverify search gradient_descent_regression --data points.csv --unit --width 4096""",
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
    "--evaluations", type=click.IntRange(min=1), help="Budget of each claim.  [default: 2000, none with --minutes]"
)
@click.option(
    "--minutes", type=float, callback=shared.positive,
    help="Budget of the whole search, shared evenly by its claims; all of it is used.",
)  # fmt: skip
@click.option(
    "--max-width", type=click.IntRange(min=1), default=2**20, show_default=True, help="Wider instances are not run."
)
@shared.entropy
@shared.workers
@data_options()
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
    evaluations: int | None,
    minutes: float | None,
    max_width: int,
    entropy: int,
    workers: int,
    scheduler: str | None,
    given: Given | None,
    store: str,
    out: str,
    as_json: bool,
    full: bool,
) -> int:
    """Look for instances that violate claims inside the assumptions.

    Every evaluation is on record when it is made: the same command resumes. A violation is a file, for `ntkverify
    replay` and `ntkverify certify`. With --data your points stay as they are, and the search is over the weights.
    """
    from ntkverify.commands.hunting import campaign
    from ntkverify.execution.machine.cluster import workers_at
    from ntkverify.report.campaign import summarise
    from ntkverify.search.campaign.cells import EVALUATIONS, refuse_engines
    from ntkverify.search.campaign.store import Store
    from ntkverify.search.climb.engines import DEFAULT_ENGINES

    folder = needs.folder(out, "--out")
    if shared.shared_out(workers, scheduler) and given is not None:
        raise NtkVerifyError("--data is for one process: workers would load the module without it.")
    refuse_engines(engines or DEFAULT_ENGINES)  # what needs no module comes before it is loaded
    loaded = campaign.loaded(theorems) if given is None else _at(given, theorems, relax, max_width)
    options = {
        "plants": plant, "engines": engines or DEFAULT_ENGINES, "evaluations": evaluations or EVALUATIONS,
        "entropy": entropy, "max_width": max_width,
    }  # fmt: skip
    cells = _cells(loaded, claims, families, relax, options, given)
    if not cells:
        raise NtkVerifyError("there is nothing to search: no claim is checked on what was asked for.")
    campaign.require_balls(loaded, cells)
    with (
        Store(store) as record,
        campaign.resumable(record),
        workers_at(workers=workers, scheduler=scheduler) as cluster,
    ):
        cells = campaign.with_minutes(cells, minutes, cluster, endless=evaluations is None)
        campaign.run(loaded, cells, record, cluster=cluster, minutes=minutes)
        summary = summarise(record, [cell for _, cell in cells])
    summary.show(as_json=as_json, full=full)
    summary.write(folder, quiet=as_json)
    return 1 if summary.found else 0


def _cells(
    loaded: Mapping[str, Theorem],
    claims: tuple[str, ...],
    families: tuple[str, ...],
    relax: tuple[str, ...],
    options: Mapping[str, Any],
    given: Given | None,
) -> Cells:
    """What is searched of every theorem, by the path of its module."""
    from ntkverify.commands.hunting import campaign
    from ntkverify.judging.falsehoods import planted
    from ntkverify.search.campaign.cells import cells_of

    wanted = campaign.named(loaded, claims, what="claim", kind="claims")
    on = campaign.named(loaded, families, what="family of instances", kind="families")
    dropped = campaign.named(loaded, relax, what="assumption", kind="assumptions")
    cells: Cells = []
    for path, theorem in loaded.items():
        if (claims and not wanted[path]) or (families and not on[path]) or (relax and not dropped[path]):
            continue
        with planted(theorem, options["plants"]):  # a plant that can't be read is refused before anything runs
            found = cells_of(theorem, path=path, claims=wanted[path], families=on[path], relax=dropped[path], **options)
        if given is not None:  # a record of other data is another record
            found = [replace(cell, sha256=f"{cell.sha256}+{_digest(theorem)}") for cell in found]
        cells += [(path, cell) for cell in found]
    return cells


def _at(given: Given, theorems: list[Path], relax: tuple[str, ...], max_width: int) -> dict[str, Theorem]:
    """The one theorem on given data, by the path of its module."""
    at = given.at(only(theorems), relax=relax)
    if at.width > max_width:
        raise NtkVerifyError(
            f"the theorem asks for {at.width:.3g} neurons at these data, and --max-width is {max_width}; give a "
            "smaller --width and drop the assumption on it with --relax."
        )
    if not at.assumed.claims:
        raise NtkVerifyError("no claim can be put to these data; `ntkverify check --data` says why not.")
    return {str(theorems[0]): at.assumed}


def _digest(theorem: Theorem) -> str:
    import hashlib

    (family,) = theorem.families.values()
    return hashlib.sha256(family.build().to_json().encode()).hexdigest()[:16]
