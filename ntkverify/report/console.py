"""What commands print: tables that fit, JSON, and progress that is silent where nobody watches."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

WIDTH = 80  #: columns of a table where no terminal is wider
_NUMBER = re.compile(r"[<>+\- ]*\d[\d.]*(e[+-]?\d+)?%?( of \d+)?")
_LEAST = 8  # columns that a cell keeps
_SHORT = 21  # of words, such as verdicts


def width() -> int:
    """Columns that a table may take: a terminal's, and 80 in a pipe."""
    return max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) if sys.stdout.isatty() else WIDTH


def fitted(rows: Sequence[Sequence[str]], headings: Sequence[str], *, columns: int | None) -> list[str]:
    """Lines of a table of at most so many columns; what is too long ends in an ellipsis.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells.
    headings : sequence of str
        Headings; a column whose cells are all numbers, or a dash, is aligned to the right.
    columns : int or None
        Width of the table; None for what it needs.
    """
    cells = [list(headings), *map(list, rows)]
    sizes = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    gaps = 2 * (len(sizes) - 1)
    for short in (_SHORT, 0):  # what is short stays whole as long as what is long can give way
        long = [i for i, size in enumerate(sizes) if size > short]
        while columns is not None and sum(sizes) + gaps > columns and any(sizes[i] > _LEAST for i in long):
            sizes[max(long, key=lambda i: sizes[i])] -= 1
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(headings))]
    lines = []
    for row in cells:
        parts = [cell if len(cell) <= size else cell[: size - 1] + "…" for cell, size in zip(row, sizes, strict=True)]
        parts = [p.rjust(s) if r else p.ljust(s) for p, s, r in zip(parts, sizes, right, strict=True)]
        lines.append("  ".join(parts).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or _NUMBER.fullmatch(cell) is not None


def show(rows: Sequence[Sequence[str]], headings: Sequence[str], *, full: bool = False, indent: int = 0) -> None:
    """Print a table; `full` keeps every cell whole."""
    for line in fitted(rows, headings, columns=None if full else width() - indent):
        print(" " * indent + line)


def show_json(content: Any) -> None:
    """Print JSON; numbers that are not finite are null."""
    print(json.dumps(_finite(content), indent=1, allow_nan=False))


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and content - content != 0:
        return None
    return content if content is None or isinstance(content, str | int | float | bool) else str(content)


class Progress:
    """A line that says how far a command is; this one says nothing."""

    def to(self, done: float, note: str = "") -> None:
        """So much is done."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """So much more is done."""


class _Line(Progress):
    """The same, shown with what is left by the pace so far, where the amounts are known to be alike."""

    def __init__(self, bar: Any, task: Any, total: float, unit: str) -> None:
        self.bar, self.task, self.total, self.unit, self.done = bar, task, total, unit, 0.0

    def to(self, done: float, note: str = "") -> None:
        self.done = min(done, self.total)
        self.bar.update(self.task, completed=self.done, note=note[:60])

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.to(self.done + amount, note)


@contextmanager
def progress(label: str, total: float, *, unit: str = "", even: bool = True) -> Iterator[Progress]:
    """Progress on the terminal's error stream, and nothing anywhere else.

    Parameters
    ----------
    label : str
        What is done.
    total : float
        How much there is to do, in units or in seconds.
    unit : str
        What is counted; shown as "3 of 12 `unit`". Without one a share of the time is shown.
    even : bool
        Whether one unit takes about as long as another. Where not, no time left is told, only the time so far.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    count = [TextColumn(f"{{task.completed:.0f}} of {{task.total:.0f}} {unit}")] if unit else []
    left = [TimeRemainingColumn(), TextColumn("left")] if even else [TimeElapsedColumn(), TextColumn("so far")]
    shown: list[Any] = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), *count, *left]
    with Bar(*shown, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bar:
        yield _Line(bar, bar.add_task(label, total=total, note=""), total, unit)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self.start
