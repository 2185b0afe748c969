"""``ntkverify next``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError

#: what is looked at first, and what to do about it
REMEDIES = {
    "violated": "ntkverify check {path} --claim {claim} --full",
    "not refuted": "falsify it further: a control should fail twice as often as it claims",
    "not judged": "ntkverify check {path} --claim {claim}",
    "inconclusive": "ntkverify check {path} --claim {claim} --profile ci",
    "never exercised": "ntkverify slack {path}, or draw instances that meet its assumptions",
    "mostly vacuous": "draw instances that meet its assumptions",
    "loose": "ntkverify slack {path}",
    "not checked": "ntkverify check {path}",
}
_LOOSE = 10.0  #: slack from which on a claim is listed as loose
_VACUOUS = 0.9  #: share of vacuous instances from which on it is listed


@shared.command(
    "next",
    examples="""
ntkverify next
ntkverify next theorems/natural_gradient --limit 20
ntkverify next --verdicts verdicts.jsonl""",
)
@shared.theorems
@click.option("--verdicts", metavar="FILE", help="Verdicts that `pytest --verdicts FILE` wrote, not the last check's.")
@click.option(
    "--store", default="ntkverify.sqlite", show_default=True, metavar="FILE", help="Record of a search, if it is there."
)
@click.option("--limit", type=click.IntRange(min=1), default=12, show_default=True, help="Lines at most.")
@shared.table_options
def command(theorems: list[Path], verdicts: str | None, store: str, limit: int, as_json: bool, full: bool) -> int:
    """What to look at first: violated, inconclusive, never exercised, loosest.

    From what `ntkverify check` reached last, and from the record of a search.
    """
    from ntkverify.report import console
    from ntkverify.theorem.files import BROUGHT, ids_of

    # those that come along are called by their names, wherever they are installed
    named = {path: path.is_absolute() and path.is_relative_to(BROUGHT) for path in theorems}
    paths = {name: name if named[path] else str(path) for path, name in ids_of(theorems).items()}
    found = [*_of_verdicts(theorems, _read(verdicts) if verdicts else None), *_of_search(store, set(paths))]
    order = list(REMEDIES)
    found.sort(key=lambda row: (order.index(row["why"]), -(row["slack"] or 0.0)))
    for row in found:
        where = shlex.quote(paths.get(row["theorem"], row["theorem"]))
        row["do"] = REMEDIES[row["why"]].format(path=where, claim=shlex.quote(row["claim"]))
    shown = found if full else found[:limit]
    if as_json:
        console.show_json(shown)
        return 0
    if not found:
        print("nothing: every claim was checked, decided and exercised, and none is looser than tenfold.")
        return 0
    for row in shown:
        slack = f", slack {row['slack']:.3g}" if row["slack"] else ""
        line = f"{row['why']}{slack}: {row['theorem']}" + (f": {row['claim']}" if row["claim"] else "")
        print(line if full or len(line) <= console.width() else line[: console.width() - 1] + "…")
        print(f"  {row['do']}")
    if len(shown) < len(found):
        print(f"... and {len(found) - len(shown)} more; --limit or --full shows them.")
    return 0


def _row(theorem: str, claim: str, why: str, slack: float | None = None) -> dict[str, Any]:
    return {"theorem": theorem, "claim": claim, "why": why, "slack": slack}


def _of_verdicts(theorems: list[Path], written: list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
    from ntkverify.commands.checking.kept import kept
    from ntkverify.theorem.files import ids_of

    for path, name in ids_of(theorems).items():
        if written is not None:
            records = [record for record in written if record["theorem"] == name]
        else:
            known = kept(path)
            # what was checked alone may have a shorter id than among others
            records = [] if known is None or known["changed"] else [{**r, "theorem": name} for r in known["records"]]
        if not records:
            yield _row(name, "", "not checked")
        for record in records:
            yield from _of_record(record)


def _of_record(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    word, name, claim = record["verdict"], record["theorem"], record["claim"]
    tried, vacuous = record["instances"], record["vacuous"]
    if word in REMEDIES:
        yield _row(name, claim, word)
    elif tried and vacuous == tried:
        yield _row(name, claim, "never exercised")
    elif tried and vacuous >= _VACUOUS * tried:
        yield _row(name, claim, "mostly vacuous")
    elif record["kind"] != "control" and (record["slack"] or 0) > _LOOSE:
        yield _row(name, claim, "loose", record["slack"])


def _of_search(store: str, names: set[str]) -> Iterator[dict[str, Any]]:
    """Claims that a search never exercised."""
    from ntkverify.search.campaign.store import Store

    if not Path(store).is_file():
        return
    with Store(store, must_exist=True) as record:
        grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in record.summary():
            if row["theorem"] in names and not row["relax"] and row["evaluations"]:
                grouped.setdefault((row["theorem"], row["claim"]), []).append(row)
    for (theorem, claim), rows in grouped.items():
        if all(row["evaluations"] == row["vacuous"] for row in rows):
            yield _row(theorem, claim, "never exercised")


def _read(file: str) -> list[dict[str, Any]]:
    import json

    try:
        records = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
        for record in records:
            _ = [record[key] for key in ("theorem", "claim", "kind", "verdict", "slack", "instances", "vacuous")]
        return records
    except (OSError, UnicodeDecodeError) as error:
        raise NtkVerifyError(f"--verdicts {file} can't be read: {error}.") from None
    except (ValueError, KeyError, TypeError):
        raise NtkVerifyError(
            f"--verdicts {file} holds no verdicts; give what `pytest --verdicts FILE` wrote."
        ) from None
