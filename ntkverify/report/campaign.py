"""Tables of a campaign, and its findings as files."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.report import console
from ntkverify.search.campaign.campaign import results
from ntkverify.search.campaign.cells import Cell
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.replay import Replay
from ntkverify.search.evidence.settle import REPORTED, VIOLATED

#: what a finding is called in tables; the first that applies counts
WORDS = {
    "certified": "violated (certified)",
    "outside": "violated outside its family (certified)",
    "confirmed": "violated (fresh seeds)",
    "undecided": "float64 excess, undecided",
    "open": "excess in draws, undecided",
}
#: an excess that is no violation, and why
_CAME_TO_NOTHING = {"refuted": "not found (refuted)", "unconfirmed": "not found (chance)"}
_EXPLAINED = {
    "not found (refuted)": "refuted: in float64 the bound was exceeded, in balls it is kept, up to the rounding of "
    "claim and data.",
    "not found (chance)": "chance: draws that were tried failed, fresh ones no more often than the claim allows; or a "
    "sample is past what is claimed, by no more than chance explains.",
    "excess in draws, undecided": "excess in draws, undecided: fresh draws are past what is claimed, further than in "
    "one cell in a thousand is by chance, and do not suffice to refute it; a larger budget looks further.",
    "violated outside its family (certified)": "outside its family: the assumptions hold at the instance that is "
    "certified, and the family draws none like it; its own, in the file too, is too dear for balls.",
    "not followed up": "not followed up: the bound was exceeded where no more suspects were looked into; "
    "a larger budget looks further.",
}
HEADINGS = ("claim", "verdict", "best margin", "exercised", "seconds")


class _Findings:
    """What was found, to be shown and then written, so that a folder that can't be written hides nothing."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []

    @property
    def found(self) -> bool:
        """Whether anything is violated, or exceeds its bound in a way that balls could not decide."""
        return bool(self.contents)

    def write(self, folder: Path, *, quiet: bool = False) -> list[Path]:
        """Write the findings as files, and name them unless `quiet`."""
        files = sorted({write_violation(content, folder) for content in self.contents})
        for file in files if not quiet else ():
            print(f"written: {file}")
        return files


class Summary(_Findings):
    """A campaign's table, one line per claim."""

    def add(self, theorem: str, claim: str, rows: Sequence[dict[str, Any]]) -> None:
        """The line of a claim, from the rows of its cells."""
        margins = [row["best_margin"] for row in rows if row["best_margin"] is not None]
        self.rows.append(
            {
                "theorem": theorem,
                "claim": claim,
                "verdict": _verdict(rows),
                "reason": max((row["reason"] for row in rows), default=""),
                "best_margin": max(margins, default=None),
                "evaluations": sum(row["evaluations"] for row in rows),
                "vacuous": sum(row["vacuous"] for row in rows),
                "seconds": round(sum(row["seconds"] for row in rows), 1),
            }
        )
        findings = [finding for row in rows for finding in row["violations"]]
        self.contents += [content for status, content in findings if status in REPORTED]

    def show(self, *, as_json: bool = False, full: bool = False) -> None:
        """Print the table, theorem by theorem."""
        if as_json:
            console.show_json(self.rows)
            return
        for number, theorem in enumerate(dict.fromkeys(row["theorem"] for row in self.rows)):
            print(("\n" if number else "") + theorem)
            mine = [_cells(row) for row in self.rows if row["theorem"] == theorem]
            console.show(mine, HEADINGS, full=full, indent=2)
        for row in self.rows:
            if row["verdict"] == "never exercised" and row["reason"]:
                said = f"never exercised: {row['claim']!r}: {row['reason']}"
                print(textwrap.fill(said, console.width(), subsequent_indent="  "))
        for word in sorted({row["verdict"] for row in self.rows} & _EXPLAINED.keys()):
            print(textwrap.fill(_EXPLAINED[word], console.width(), subsequent_indent="  "))
        if left := sum(row["verdict"] == "not reached" for row in self.rows):
            print(f"{left} of {len(self.rows)} claims were not reached; the same command goes on with them.")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    margin = "-" if row["best_margin"] is None else f"{row['best_margin']:+.3g}"
    exercised = f"{row['evaluations'] - row['vacuous']} of {row['evaluations']}"
    return row["claim"], row["verdict"], margin, exercised, f"{row['seconds']:.1f}"


def summarise(store: Store, cells: Sequence[Cell]) -> Summary:
    """One line per claim."""
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell, row in results(store, cells):
        grouped.setdefault((cell.theorem, cell.claim), []).append(row)
    summary = Summary()
    for (theorem, claim), rows in grouped.items():
        summary.add(theorem, claim, rows)
    return summary


def _verdict(rows: Sequence[dict[str, Any]]) -> str:
    """What a search says of a claim; an excess that came to nothing is explained."""
    states = {status for row in rows for status, _ in row["violations"]}
    for status, word in WORDS.items():
        if status in states:
            return word
    if not any(row["evaluations"] for row in rows):
        return "not reached"
    if all(row["evaluations"] == row["vacuous"] for row in rows):
        return "never exercised"
    exceeded = any(row["best_margin"] is not None and row["best_margin"] > 0 for row in rows)
    if not exceeded:
        return "not found"
    if "refuted" in states and not all(row["followed"] for row in rows):  # what balls kept was a smaller excess
        return "not followed up"
    return next((word for status, word in _CAME_TO_NOTHING.items() if status in states), "not followed up")


class Necessity(_Findings):
    """The table of necessity, one line per assumption."""

    def add(self, store: Store, name: str, cells: Sequence[Cell], *, theorem: str) -> None:
        """The line of the assumption `name`, and its smallest finding."""
        count, exercised, found, reason = 0, 0, [], ""
        for _, row in results(store, cells):
            count += row["evaluations"]
            exercised += row["evaluations"] - row["vacuous"]
            reason = max(reason, row["reason"])
            found += [v for v in row["violations"] if v[0] in REPORTED]
        line = {"theorem": theorem, "assumption": name, "claim": "-", "instance": "-"}
        if found:
            order = list(WORDS)
            status, content = min(found, key=lambda v: (order.index(v[0]), size_of(v[1]["instance"])))
            word = WORDS[status] if status in VIOLATED else f"not found ({WORDS[status]})"
            outside = content["evidence"].get("outside the family", {}).get("instance")
            shown = describe(content["instance"] if outside is None else outside)
            shown += "" if outside is None else " (outside the family)"
            line |= {"claim": content["claim"], "instance": shown}
            self.contents.append(content)
        elif not cells:
            word = "no such claim assumes it"
        elif exercised:
            word = "not found in the budget"
        elif not count:
            word = "not reached"
        else:
            word = "never exercised" + (f" ({reason[:60]})" if reason else "")
        self.rows.append({**line, "without it": word, "evaluations": count, "exercised": exercised})

    def show(self, *, as_json: bool = False, full: bool = False) -> None:
        """Print the table."""
        if as_json:
            console.show_json(self.rows)
            return
        headings = ("assumption", "without it", "claim", "instance, made small", "exercised")
        for number, theorem in enumerate(dict.fromkeys(row["theorem"] for row in self.rows)):
            print(("\n" if number else "") + theorem)
            cells = [
                (r["assumption"], r["without it"], r["claim"], r["instance"], f"{r['exercised']} of {r['evaluations']}")
                for r in self.rows
                if r["theorem"] == theorem
            ]
            console.show(cells, headings, full=full, indent=2)


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


def replay_rows(replay: Replay, *, from_below: bool = False) -> list[dict[str, Any]]:
    """A repeated violation against its bound, entry by entry."""
    rows: list[dict[str, Any]] = []
    for index, (value, limit, applies) in enumerate(
        zip(replay.measured.ravel(), replay.bound.ravel(), replay.applies.ravel(), strict=True)
    ):
        past = float(limit - value if from_below else value - limit)
        note = "" if applies else "not claimed here"
        if applies and past > 0:
            note = "exceeds the bound"
        margin = past / abs(float(limit)) if limit else past
        rows.append({"entry": index, "measured": float(value), "bound": float(limit), "margin": margin, "note": note})
    return rows
