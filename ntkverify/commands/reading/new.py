"""``ntkverify new``."""

from __future__ import annotations

from pathlib import Path

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError


@shared.command(
    "new",
    examples="""
ntkverify new initial_residual
ntkverify new my_theorems/heavy_ball.py --kind training --title "Heavy ball"
ntkverify check my_theorems/heavy_ball.py""",
)
@click.argument("file", metavar="FILE")
@click.option(
    "--kind", type=click.Choice(["algebra", "start", "training"]), default="start", show_default=True,
    help="An inequality of linear algebra; a network as it is drawn; one trained by a method of your own.",
)  # fmt: skip
@click.option("--title", metavar="TEXT", help="One line.  [default: from the file's name]")
def command(file: str, kind: str, title: str | None) -> int:
    """Write a theorem module to begin with: it holds as it stands, its control is refuted."""
    from ntkverify.commands.reading.templates import KINDS, rendered
    from ntkverify.theorem.files import is_named_like_a_test

    path = Path(file if Path(file).suffix else f"{file}.py")
    if path.suffix != ".py":
        raise NtkVerifyError(f"{file} is no name of a theorem module; it ends in .py.")
    if is_named_like_a_test(path):
        raise NtkVerifyError(
            f"{path} is named like a file of ordinary tests, in which pytest looks for no theorem; choose another."
        )
    if path.exists():
        raise NtkVerifyError(f"{path} is there already; give another name.")
    needs.folder(path.parent, "FILE")
    title = " ".join((title or path.stem.replace("_", " ").capitalize()).split())
    if not title or set(title) & set('"\\'):
        raise NtkVerifyError("--title must be a line without quotation marks and backslashes.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered(kind, title, path.name), encoding="utf-8")
    print(f"written: {path}, {KINDS[kind][0]}; `ntkverify check {path}` judges it.")
    return 0
