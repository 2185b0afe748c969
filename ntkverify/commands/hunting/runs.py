"""``ntkverify runs``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared

if TYPE_CHECKING:
    from ntkverify.search.campaign.store import Store


@shared.command(
    "runs",
    examples="""
ntkverify runs
ntkverify runs ntkverify.sqlite --csv evaluations.csv""",
)
@click.argument("store", default="ntkverify.sqlite", metavar="[STORE]")
@click.option("--csv", metavar="FILE", help="Export every evaluation.")
@click.option("--parquet", metavar="FILE", help="Export every evaluation; needs pyarrow.")
@shared.table_options
def command(store: str, csv: str | None, parquet: str | None, as_json: bool, full: bool) -> int:
    """List the record of a search, export it."""
    from ntkverify.report import console
    from ntkverify.search.campaign.export import write_csv, write_parquet
    from ntkverify.search.campaign.store import Store

    if csv:
        needs.file(csv, "--csv")
    if parquet:
        needs.package("pyarrow", "use --csv")
        needs.file(parquet, "--parquet")
    exports: list[tuple[str | None, Callable[[Store, Path], int]]] = [(csv, write_csv), (parquet, write_parquet)]
    with Store(store, must_exist=True) as record:
        rows = record.summary()
        if as_json:
            console.show_json(rows)
        else:
            for number, theorem in enumerate(dict.fromkeys(row["theorem"] for row in rows)):
                print(("\n" if number else "") + theorem)
                cells = [_cells(row) for row in rows if row["theorem"] == theorem]
                headings = ("claim", "family", "date", "state", "exercised", "margin", "found")
                console.show(cells, headings, full=full, indent=2)
        for target, write in exports:
            if target:
                count = write(record, Path(target))
                click.echo(f"{count} evaluations written to {target}", err=as_json)
    return 0


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    engine = "" if row["engine"] == "portfolio" else f" by {row['engine']}"
    return (
        row["claim"] + (f" without {', '.join(row['relax'])}" if row["relax"] else "") + engine,
        row["regime"],
        row["opened"][:10],
        "finished" if row["finished"] else "open",
        f"{row['evaluations'] - row['vacuous']} of {row['evaluations']}",
        "-" if row["best_margin"] is None else f"{row['best_margin']:+.2g}",
        ", ".join(dict.fromkeys(row["findings"])) or "-",
    )
