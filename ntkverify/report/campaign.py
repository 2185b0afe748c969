"""Tables of a campaign, and its findings as files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.report.table import render
from ntkverify.search.campaign.campaign import results
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.replay import Replay
from ntkverify.search.evidence.settle import CLOSING, VIOLATED

#: what a finding is called in tables; the first that applies counts
WORDS = {
    "certified": "violated (certified)",
    "confirmed": "violated (fresh seeds)",
    "undecided": "float64 excess, undecided",
}
HEADINGS = ("claim", "verdict", "best margin", "evaluations", "vacuous", "seconds")


@dataclass(frozen=True)
class Summary:
    """A campaign's table.

    Parameters
    ----------
    lines : list of tuple of str
        One line per claim.
    files : list of Path
        What was written: violations, and excesses that balls could not decide.
    violated : bool
        Whether anything is violated; an undecided excess is not.
    """

    lines: list[tuple[str, ...]]
    files: list[Path]
    violated: bool

    def show(self) -> None:
        """Print the table and the files' names."""
        print("\n".join(render(self.lines, HEADINGS, width=130)))
        for file in self.files:
            print(f"written: {file}")


def summarise(store: Store, cells: Sequence[Cell], folder: Path) -> Summary:
    """One line per claim, and the findings as files."""
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell, row in results(store, cells):
        grouped.setdefault((cell.theorem, cell.claim), []).append(row)
    files = {
        write_violation(content, folder)
        for rows in grouped.values()
        for row in rows
        for status, content in row["violations"]
        if status in CLOSING
    }
    violated = any(status in VIOLATED for rows in grouped.values() for row in rows for status, _ in row["violations"])
    return Summary([_line(claim, rows) for (_, claim), rows in grouped.items()], sorted(files), violated)


def _line(claim: str, rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    states = {status for row in rows for status, _ in row["violations"]}
    verdict = next((word for status, word in WORDS.items() if status in states), "not found")
    if verdict == "not found" and all(row["evaluations"] == row["vacuous"] for row in rows):
        verdict = "never exercised"
        reason = max((row["reason"] for row in rows), default="")
        verdict += f" ({reason[:60]})" if reason else ""
    margins = [row["best_margin"] for row in rows if row["best_margin"] is not None]
    return (
        claim,
        verdict,
        f"{max(margins):+.3g}" if margins else "-",
        str(sum(row["evaluations"] for row in rows)),
        str(sum(row["vacuous"] for row in rows)),
        f"{sum(row['seconds'] for row in rows):.1f}",
    )


def without_assumption(
    store: Store, name: str, cells: Sequence[Cell], folder: Path
) -> tuple[tuple[str, ...], list[Path]]:
    """The line of the assumption `name` in the table of necessity, and the smallest finding as a file."""
    count, exercised, found, reason = 0, 0, [], ""
    for _, row in results(store, cells):
        count += row["evaluations"]
        exercised += row["evaluations"] - row["vacuous"]
        reason = max(reason, row["reason"])
        found += [v for v in row["violations"] if v[0] in CLOSING]
    work = f"{exercised} of {count}"
    if not found:
        word = "not found in the budget" if exercised else "never exercised" + (f" ({reason[:60]})" if reason else "")
        return (name, word if cells else "no such claim assumes it", "-", "-", work), []
    order = list(WORDS)
    status, content = min(found, key=lambda v: (order.index(v[0]), size_of(v[1]["instance"])))
    word = WORDS[status] if status in VIOLATED else f"not found ({WORDS[status]})"
    sizes = describe(content["instance"])
    return (name, word, content["claim"], sizes, work), [write_violation(content, folder)]


def write_violation(content: dict[str, Any], folder: Path) -> Path:
    """Write a finding under a name that its content determines; a file that is there stays, for it may know more."""
    text = json.dumps(content, indent=1, allow_nan=False)
    stem = f"{Path(content['path']).stem}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    path = folder / f"{stem}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # `certify` multiplies further e-values into the file of a claim of probability
            path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise NtkVerifyError(f"violations can't be written to {folder} ({error}); choose another --out.") from None
    return path


def size_of(instance: dict[str, Any]) -> tuple[int, ...]:
    """What makes an instance small: its data, its network, its steps."""
    entries = sum(_entries(value) for value in instance["data"].values())
    return entries, instance["width"], instance["steps"]


def _entries(value: Any) -> int:
    return sum(map(_entries, value)) if isinstance(value, list) else 1


def describe(instance: dict[str, Any]) -> str:
    """Sizes of an instance in a few characters."""
    shapes = []
    for name, value in instance["data"].items():
        rows = len(value) if isinstance(value, list) else 1
        columns = len(value[0]) if isinstance(value, list) and value and isinstance(value[0], list) else None
        shapes.append(f"{name} {rows}" + ("" if columns is None else f"x{columns}"))
    moved = [f"weights turned towards {len(instance['turns'])} draws"] if instance.get("turns") else []
    moved += [f"lengths of weights evened out by {instance['evenness']:.3g}"] if instance.get("evenness") else []
    moved += [f"weights times {instance['scale']:.3g}"] if instance.get("scale", 1.0) != 1 else []
    return ", ".join([*shapes, f"m={instance['width']}", f"steps={instance['steps']}", *moved])


def replay_table(replay: Replay, *, from_below: bool = False) -> list[str]:
    """Lines of a repeated violation against its bound, entry by entry."""
    rows: list[Any] = []
    for index, (value, limit, applies) in enumerate(
        zip(replay.measured.ravel(), replay.bound.ravel(), replay.applies.ravel(), strict=True)
    ):
        past = limit - value if from_below else value - limit
        note = "" if applies else "not claimed here"
        if applies and past > 0:
            note = "exceeds the bound"
        rows.append((str(index), f"{value:.6e}", f"{limit:.6e}", f"{past / abs(limit) if limit else past:+.3g}", note))
    return render(rows, ("entry", "measured", "bound", "margin", ""), width=120)
