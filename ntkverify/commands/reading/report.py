"""``ntkverify report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.commands.group import BAD_INPUT, FOUND, WELL
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.report.files.changes import Change
    from ntkverify.report.files.schema import Record

#: what a report may be, and which packages it needs besides
FORMS: dict[str, tuple[str, ...]] = {
    ".html": ("jinja2", "latex2mathml", "graphlay", "matplotlib"),
    ".svg": ("graphlay",),
    ".md": (),
    ".tex": (),
    ".txt": (),
    ".json": (),
}


@shared.command(
    "report",
    examples="""
ntkverify report --verdicts verdicts.jsonl
ntkverify report gradient_descent_regression -o review.html
ntkverify report --verdicts new.jsonl --against old.jsonl -o changes.md
ntkverify report gradient_descent_regression --data points.csv --unit --width 4096 --relax width""",
)
@shared.theorems
@click.option("--verdicts", metavar="FILE", help="Verdicts of `check --verdicts`.  [default: the last; else a check]")
@click.option("--against", metavar="FILE", help="Also say what is different from these verdicts.")
@click.option("--with", "searched", multiple=True, metavar="FILE", help="What `frontier` or `necessity --json` left.")
@click.option(
    "-o", "--out", default="report.html", show_default=True, metavar="FILE",
    help=f"What is written; its ending says as what: {' '.join(FORMS)}.",
)  # fmt: skip
@click.option(
    "--curve-draws", type=click.IntRange(min=0), default=12, show_default=True,
    help="Draws of the weights that a curve is of; 0 for no curves.",
)  # fmt: skip
@shared.profile
@shared.backend
@shared.entropy
@data_options()
@click.option("--draws", type=click.IntRange(min=1), help="With --data: so many draws of the weights and no more.")
@click.option("--relax", multiple=True, metavar="ASSUMPTION", help="With --data: no longer ask for it; repeatable.")
def command(
    theorems: list[Path],
    verdicts: str | None,
    against: str | None,
    searched: tuple[str, ...],
    out: str,
    curve_draws: int,
    profile: str,
    backend: str | None,
    entropy: int,
    given: Given | None,
    draws: int | None,
    relax: tuple[str, ...],
) -> int:
    """Write what was found as one file: a page with statements, graphs of proofs, slack and trajectories.

    The page needs nothing but itself. Verdicts are those of a file, or the last ones; a theorem that was not checked
    since it was changed is checked now. With --against the exit status is 1 where a claim that was well no longer is.
    """
    from ntkverify.commands.reading.writers import AtData, Own, Writer
    from ntkverify.report.files.changes import changes
    from ntkverify.report.files.schema import read_verdicts
    from ntkverify.report.page.searched import read_searched

    form = Path(out).suffix.lower()
    if form not in FORMS:
        raise NtkVerifyError(f"-o {out}: a report ends in one of {' '.join(FORMS)}; choose one of them.")
    needs.file(out, "--out")
    for package in FORMS[form]:
        needs.package(package, "write another kind of report, -o report.md")
    if (draws or relax) and given is None:
        raise NtkVerifyError("--draws and --relax go with --data; name your points with --data FILE.")
    if form == ".svg" and len(theorems) != 1:
        raise NtkVerifyError(
            f"-o {out}: a graph is of one theorem, but {len(theorems)} were named; name the one you mean."
        )
    old = read_verdicts(against).records if against else ()
    tables = read_searched(searched)
    settings = {"profile": profile, "entropy": entropy, "backend": backend}
    if given is not None:
        if verdicts:
            raise NtkVerifyError("--data draws networks on your points; leave --verdicts out.")
        at = given.at(only(theorems), relax=relax, backend=backend)
        writer: Writer = AtData(at, settings, draws=draws, curve_draws=curve_draws)
    else:
        writer = Own(theorems, verdicts, settings, curve_draws=curve_draws)
    records = writer.records
    asked = {record["theorem"] for record in records}
    changed = changes([record for record in old if record["theorem"] in asked], records) if against else []
    text = writer.written(form, tables, changed, against or "", _again(out, verdicts, against, searched))
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise NtkVerifyError(f"{out} can't be written ({error.strerror}); choose another --out.") from None
    _say(writer.shown, changed, against, out, len(text.encode()))
    return BAD_INPUT if writer.failed else FOUND if any(change.is_worse for change in changed) else WELL


def _again(out: str, verdicts: str | None, against: str | None, searched: Sequence[str]) -> str:
    """The command of the page as a whole."""
    import sys

    from ntkverify.report.page.content import command

    if Path(sys.argv[0]).name.startswith(("ntkverify", "__main__")):
        return command(*sys.argv[1:])
    words = [*(["--verdicts", verdicts] if verdicts else []), *(["--against", against] if against else [])]
    return command("report", *words, *(word for file in searched for word in ("--with", file)), "-o", out)


def _say(records: Sequence[Record], changed: Sequence[Change], against: str | None, out: str, size: int) -> None:
    from ntkverify.report.files.schema import counts

    print(", ".join(f"{count} {word}" for word, count in counts(records).items()))
    if against:
        worse = sum(change.is_worse for change in changed)
        print(f"{len(changed)} differences from {against}" + (f", {worse} of them for the worse" if worse else ""))
    print(f"written: {out} ({size / 1e6:.2f} MB)")
