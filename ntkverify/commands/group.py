"""The command line as a whole: which commands there are, and what their ends mean.

A command's file is imported when the command is named or listed, and the libraries behind it when it runs, so that
``--help`` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import click

import ntkverify

#: exit statuses, alike for all commands
WELL, FOUND, BAD_INPUT, CRASHED, INTERRUPTED = 0, 1, 2, 3, 130
#: what a shell says of a program whose reader has left; no verdict, which the reader may not have seen
UNREAD = 141

#: commands in the order in which help lists them, and the packages that they are in
COMMANDS = {
    "list": "reading",
    "show": "reading",
    "check": "checking",
    "next": "reading",
    "report": "reading",
    "slack": "checking",
    "mutants": "checking",
    "search": "hunting",
    "necessity": "hunting",
    "frontier": "hunting",
    "replay": "hunting",
    "certify": "hunting",
    "runs": "hunting",
    "new": "reading",
    "doctor": "reading",
}

EXITS = """\b
Exit status: 0 all well; 1 a violation, a control that is not refuted, an
inconclusive claim or an undecided excess; 2 bad input, in one sentence;
3 an error of ntkverify's own; 130 interrupted; 141 output cut short."""


class OnRecord(click.Abort):
    """Ctrl-C where evaluations are on record, so that the same command goes on from there."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Also the nearest names, of commands that are not imported yet."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of a day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `name` of the module of that name."""
        if cmd_name not in COMMANDS:
            return None
        module: Any = importlib.import_module(f"ntkverify.commands.{COMMANDS[cmd_name]}.{cmd_name}")
        command: click.Command = module.command
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""\b
Examples:
  ntkverify check theorems/
  ntkverify show gradient_descent_regression
  ntkverify COMMAND --help

{EXITS}""",
)
@click.version_option(ntkverify.__version__, prog_name="ntkverify", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, help="Show where an error of ntkverify's own comes from.")
@click.pass_context
def commands(context: click.Context, traceback: bool) -> None:
    """Check theorems about wide two-layer networks, symbolically and numerically.

    THEOREM is a module, a folder of modules, or a theorem's name.
    """
    context.obj = {"traceback": traceback}
