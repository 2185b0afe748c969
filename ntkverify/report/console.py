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
_SHORT = len("violated (fresh seeds)")  # of words, such as verdicts


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
    """The same, with what is left by the pace so far, where the amounts are known to be alike."""

    def __init__(self, total: float, unit: str, even: bool) -> None:
        self.total, self.unit, self.even = total, unit, even
        self.done, self.note, self.clock = 0.0, "", Clock()

    def to(self, done: float, note: str = "") -> None:
        self.done, self.note = min(done, self.total), note

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done, self.note = self.done + amount, note

    @property
    def said(self) -> str:
        """How much is done, and for how long it will go on."""
        parts = [f"{self.done:.0f} of {self.total:.0f} {self.unit}"] if self.unit and self.even else []
        parts += [f"{self.done:.0f} {self.unit}"] if self.unit and not self.even else []
        left = self._left()
        parts.append(f"{_minutes(self.clock.seconds)} so far" if left is None else f"{_minutes(left)} left")
        return ", ".join(part for part in (*parts, self.note) if part)

    def _left(self) -> float | None:
        if not self.even:
            return None
        if self.done:
            return (self.total - self.done) * self.clock.seconds / self.done
        # a number of seconds was foretold, or granted
        foretold = 0.0 if self.unit else self.total - self.clock.seconds
        return foretold if foretold > 0 else None


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


@contextmanager
def progress(label: str, total: float, *, unit: str = "", even: bool = True) -> Iterator[Progress]:
    """Progress on the terminal's error stream, and nothing anywhere else.

    Parameters
    ----------
    label : str
        What is done.
    total : float
        How much there is to do: so many units, or so many seconds.
    unit : str
        What is counted; nothing where it is seconds.
    even : bool
        Whether one unit takes about as long as another, and the total is known. Where not, no time left is told, only
        the time so far.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Progress()
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    line, spinner, console = _Line(total, unit, even), Spinner("dots"), Console(stderr=True)

    def drawn() -> Spinner:
        text, room = f"{label}: {line.said}", console.width - 3
        spinner.update(text=Text(text if len(text) <= room else text[: room - 1] + "…"))
        return spinner

    with Live(get_renderable=drawn, console=console, transient=True, refresh_per_second=4):
        yield line


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self.start
