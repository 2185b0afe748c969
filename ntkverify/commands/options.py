"""Arguments and options that commands share; a name means the same in all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ntkverify.commands import needs
from ntkverify.errors import NtkVerifyError

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

PROFILES = ("quick", "ci", "thorough")


def command(name: str, *, examples: str) -> Decorator:
    """A command called `name` whose help ends in examples, one a line."""
    lines = "\n".join(f"  {line}" for line in examples.strip().splitlines())
    return click.command(name, epilog=f"\b\nExamples:\n{lines}")


def _modules(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> Any:
    from ntkverify.theorem.files import find_modules

    return find_modules(names)


#: theorem modules, from files, folders and names; everything below theorems/ without any
theorems = click.argument("theorems", nargs=-1, metavar="[THEOREM]...", callback=_modules)
#: the same, at least one
some_theorems = click.argument("theorems", nargs=-1, required=True, metavar="THEOREM...", callback=_modules)

claims = click.option(
    "--claim", "claims", multiple=True, metavar="TEXT", help="Only this claim, by its sentence or a part; repeatable."
)
families = click.option(
    "--family", "--regime", "families", multiple=True, metavar="NAME",
    help="Only this family of instances; repeatable.",
)  # fmt: skip
family = click.option("--family", "--regime", "family", metavar="NAME", help="Family of instances.")
profile = click.option(
    "--profile", type=click.Choice(PROFILES), default="quick", show_default=True,
    help="How many instances are drawn, and how many more until a claim is decided.",
)  # fmt: skip
backend = click.option(
    "--backend", metavar="NAME",
    help="What networks run on: array, cpu, gpu, or auto, the fastest that is there.  [default: $NTKVERIFY_BACKEND, "
    "or auto]",
)  # fmt: skip
entropy = click.option(
    "--entropy", type=click.IntRange(min=0), default=0, show_default=True,
    help="Other draws; the same number repeats a run.",
)  # fmt: skip
store = click.option(
    "--store", default="ntkverify.sqlite", show_default=True, metavar="FILE",
    help="Record of the search; the same command resumes it, unless the module has changed.",
)  # fmt: skip
violations = click.option(
    "--out", default="violations", show_default=True, metavar="FOLDER", help="Where violations are written."
)
_workers = click.option(
    "--workers", "--processes", "workers", type=click.IntRange(min=1), default=1, show_default=True,
    help="Share the work: so many on this machine.",
)  # fmt: skip
_scheduler = click.option(
    "--scheduler", metavar="ADDRESS", help="Share the work: the workers of a Dask scheduler, tcp://HOST:8786."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
full = click.option("--full", is_flag=True, help="Whole names and all columns, however wide.")


def workers(function: Function) -> Function:
    """``--workers`` and ``--scheduler``."""
    wrapped: Function = _workers(_scheduler(function))
    return wrapped


def shared_out(workers: int, scheduler: str | None) -> bool:
    """Whether work is for others than this process; refused without what that needs.

    Raises
    ------
    NtkVerifyError
        If both options are given, or Dask distributed is not installed.
    """
    if workers > 1 and scheduler is not None:
        raise NtkVerifyError("--workers starts some on this machine, --scheduler takes those that are there; give one.")
    if workers == 1 and scheduler is None:
        return False
    needs.package("distributed", "leave --workers and --scheduler out")
    return True


def table_options(function: Function) -> Function:
    """``--json`` and ``--full``, which every command with a table has."""
    wrapped: Function = as_json(full(function))
    return wrapped


def positive(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse a number that is not positive."""
    if value is not None and not value > 0:
        raise NtkVerifyError(f"{parameter.opts[0]} must be positive, not {value:g}.")
    return value
