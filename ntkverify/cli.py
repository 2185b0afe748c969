"""The command ``ntkverify``: search, necessity, frontier, replay, certify, runs.

Exit status of `search`: 1 when a violation was found; of `certify`: 1 when the answer is not CERTIFIED; else 0. 2 for
bad input.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ntkverify.errors import NtkVerifyError

#: modules of `ntkverify.commands` that hold more commands than the one they are named after
_HOMES = {"necessity": "search", "replay": "files", "certify": "files", "runs": "files"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ntkverify", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, function: str, text: str) -> argparse.ArgumentParser:
        """A command with its help, and the name of the function that runs it."""
        command = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.set_defaults(function=function)
        return command

    search = add("search", "search", "look for instances that violate a theorem's claims inside its assumptions")
    search.add_argument("theorems", nargs="+", metavar="THEOREM", help="theorem modules")
    search.add_argument("--claim", action="append", default=[], help="only this claim; repeatable")
    search.add_argument(
        "--family", "--regime", action="append", default=[], help="only this family of instances; repeatable"
    )
    search.add_argument("--relax", action="append", default=[], metavar="ASSUMPTION", help="drop it; repeatable")
    search.add_argument(
        "--plant", action="append", default=[], help="make something wrong: 'NAME * 1/2', 'NAME with m**2'"
    )
    search.add_argument(
        "--engine",
        action="append",
        help="portfolio (all but random, one after the other), differential-evolution, evolution-strategies, "
        "hypothesis, mutation or random; repeatable; default: portfolio",
    )
    search.add_argument("--evaluations", type=int, default=2000, help="budget of each claim")
    search.add_argument("--minutes", type=float, help="budget of the whole campaign, shared evenly by its claims")
    search.add_argument("--max-width", type=int, default=2**20, help="wider instances are not run")
    search.add_argument("--entropy", type=int, default=0, help="changes every draw")
    search.add_argument("--processes", type=int, default=1, help="processes that share the campaign")
    search.add_argument("--store", default="ntkverify.sqlite", help="record; the same command again resumes it")
    search.add_argument("--out", default="violations", metavar="FOLDER", help="where violations are written")

    _necessity(add)
    _frontier(add)
    _files(add)
    return parser


def _necessity(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    necessity = add("necessity", "necessity", "drop each assumption in turn: violated without it, or not found")
    necessity.add_argument("theorem", metavar="THEOREM", help="theorem module")
    necessity.add_argument("--assumption", action="append", default=[], help="only this one; repeatable")
    necessity.add_argument("--claim", action="append", default=[], help="only this claim; repeatable")
    necessity.add_argument("--evaluations", type=int, default=400, help="budget of each claim and assumption")
    necessity.add_argument("--minutes", type=float, help="budget of all of them together")
    necessity.add_argument("--max-width", type=int, default=2**16, help="wider instances are not run")
    necessity.add_argument("--entropy", type=int, default=0, help="changes every draw")
    necessity.add_argument("--store", default="ntkverify.sqlite", help="record; the same command again resumes it")
    necessity.add_argument("--out", default="violations", metavar="FOLDER", help="where violations are written")


def _frontier(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    frontier = add("frontier", "frontier_command", "the threshold at which a conclusion starts to hold")
    frontier.add_argument("theorem", metavar="THEOREM", help="theorem module")
    frontier.add_argument("--over", default="width", help="width, step, or a parameter of the instances")
    frontier.add_argument("--against", default="n", help="what the curve is drawn over: n, lambda_0, a parameter ...")
    frontier.add_argument("--values", help="values of it, separated by commas; default: those that are drawn")
    frontier.add_argument("--claim", help="default: the first conclusion")
    frontier.add_argument(
        "--family", "--regime", help="family of instances; default: the one with the most values of --against"
    )
    frontier.add_argument("--fraction", type=float, default=0.9, help="share of draws in which the claim must hold")
    frontier.add_argument("--draws", type=int, default=120, help="draws at a point, at most")
    frontier.add_argument("--low", type=float, help="least value of --over; default: far below what is prescribed")
    frontier.add_argument("--high", type=float, help="largest value of --over")
    frontier.add_argument("--steps", type=int, help="training steps; default: what the family of instances draws")
    frontier.add_argument("--entropy", type=int, default=0, help="changes every draw")
    frontier.add_argument("--data", default="frontier.json", metavar="FILE", help="where the data go")
    frontier.add_argument("--png", metavar="FILE", help="also draw the phase diagram")


def _files(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Commands on what a search wrote."""
    for name, text in (
        ("replay", "repeat a violation in float64 and show it against its bound"),
        ("certify", "repeat a violation in balls, preconditions included"),
    ):
        command = add(name, name, text)
        command.add_argument("file", metavar="FILE", help="violation written by a search")
        command.add_argument("--theorem", metavar="MODULE", help="where the theorem's module is now")
        if name == "certify":
            command.add_argument("--bits", type=int, default=128, help="first precision")
            command.add_argument("--limit", type=int, default=1024, help="largest precision")
            command.add_argument("--entropy", type=int, help="claims of probability: names the fresh seeds")

    runs = add("runs", "runs", "list the record of a campaign, export it")
    runs.add_argument("store", nargs="?", default="ntkverify.sqlite", help="record of a campaign")
    runs.add_argument("--csv", metavar="FILE", help="export every evaluation")
    runs.add_argument("--parquet", metavar="FILE", help="export every evaluation; needs pyarrow")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        # the libraries behind a command load when it runs, so that --help is instant
        home = _HOMES.get(options.command, options.command)
        command: Any = getattr(importlib.import_module(f"ntkverify.commands.{home}"), options.function)
        return int(command(options))
    except NtkVerifyError as error:
        print(f"ntkverify: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ntkverify: interrupted; the same command resumes.", file=sys.stderr)
        return 130


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
