"""Files of verdicts: the versioned schema that tables, Markdown, LaTeX, pages and comparisons are made of.

A file is JSON in one of two shapes: a *stream*, one verdict a line, which a check appends to as it goes and which may
be concatenated; or a *document*, one object that holds all of them. Every verdict is whole in itself: it says which
version of the schema it follows and with what settings it was reached. What earlier versions wrote is read too.

Nothing heavy is imported here: the pytest plugin writes streams.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError

FORMAT = "ntkverify.verdicts"  #: what a document calls itself
VERSION = 1  #: of the schema; lines without a version are of version 0

_NUMBER = (int, float)


@dataclass(frozen=True)
class Field:
    """One field of a verdict.

    Parameters
    ----------
    types : tuple of type
        What it may be.
    meaning : str
        In one sentence.
    default
        What it is where an earlier version of the schema did not have it; `REQUIRED` if it always had it.
    """

    types: tuple[type, ...]
    meaning: str
    default: Any = ...


REQUIRED = ...  #: no default

#: the schema, field by field
SCHEMA: dict[str, Field] = {
    "format": Field((int,), "version of this schema", 0),
    "theorem": Field((str,), "folder and file of the theorem's module"),
    "claim": Field((str,), "the sentence"),
    "kind": Field((str,), "lemma, conclusion or control"),
    "quantifier": Field((str,), "how strongly it is claimed"),
    "verdict": Field(
        (str,), "holds, observed, violated, inconclusive, not judged, not exercised; of a control refuted, not refuted"
    ),
    "slack": Field((*_NUMBER, type(None)), "bound / measured where it is tightest; null where nothing is bounded"),
    "instances": Field((int,), "how many were drawn"),
    "vacuous": Field((int,), "how many of them did not exercise the claim"),
    "unmet": Field((dict,), "why: how many instances missed which assumption first, or the event", {}),
    "seconds": Field(_NUMBER, "time spent, shared runs counted where they were first needed"),
    "evidence": Field((str,), "how the verdict was reached, with its error rates"),
    "witness": Field((str, type(None)), "JSON of the instance that violates the claim or comes closest to it", None),
    "source": Field((str,), "paper, version and provenance", ""),
    "level": Field((str,), "what it rests on: proved, certified, exact statistics, float64", ""),
    "missed": Field((str,), "what would have gone unnoticed with probability 0.01 at the most", ""),
    "unresolved": Field((int,), "entries left out because rounding may have decided them", 0),
    "remedy": Field((str,), "what may decide an inconclusive claim", ""),
    "settings": Field((dict,), "profile, entropy, backend and version of ntkverify", {}),
}
KINDS = ("lemma", "conclusion", "control")
#: every word that a verdict may be, the good ones first
WORDS = ("holds", "observed", "refuted", "violated", "inconclusive", "not refuted", "not judged", "not exercised")
GOOD = frozenset({"holds", "observed", "refuted"})

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts as a file has them.

    Parameters
    ----------
    records : tuple of mapping
        One for each claim, with every field of `SCHEMA`; the last that the file has, where it has several.
    source : str
        The file.
    """

    records: tuple[Record, ...]
    source: str = ""

    def of(self, theorem: str) -> tuple[Record, ...]:
        """The verdicts on one theorem, in the order of the file."""
        return tuple(record for record in self.records if record["theorem"] == theorem)

    @property
    def theorems(self) -> tuple[str, ...]:
        """Theorems in the order of the file."""
        return tuple(dict.fromkeys(record["theorem"] for record in self.records))

    @property
    def settings(self) -> tuple[Mapping[str, Any], ...]:
        """The different settings under which they were reached."""
        found: list[Mapping[str, Any]] = []
        for record in self.records:
            if record["settings"] and record["settings"] not in found:
                found.append(record["settings"])
        return tuple(found)


def settings_of(*, profile: str, entropy: int, backend: str | None) -> dict[str, Any]:
    """With what verdicts are reached, for who reads them later."""
    from ntkverify import __version__

    named = backend or os.environ.get("NTKVERIFY_BACKEND") or "auto"
    return {"profile": profile, "entropy": entropy, "backend": named, "ntkverify": __version__}


def whole(record: Record, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict with every field of the schema."""
    return {"format": VERSION, **record, "settings": dict(settings)}


def line(record: Record, settings: Mapping[str, Any]) -> str:
    """A verdict as a line of a stream."""
    return json.dumps(whole(record, settings)) + "\n"


def document(records: Iterable[Record]) -> str:
    """Verdicts as one document."""
    rows = [{"format": VERSION, **record} for record in records]
    return json.dumps({"format": FORMAT, "version": VERSION, "verdicts": rows}, indent=1, allow_nan=False) + "\n"


def counts(records: Iterable[Record]) -> dict[str, int]:
    """How many verdicts there are of each word, good ones first; none of those that do not occur."""
    words = [record["verdict"] for record in records]
    return {word: words.count(word) for word in dict.fromkeys((*WORDS, *words)) if word in words}


def read_verdicts(path: str | Path) -> Verdicts:
    """Read a file of verdicts: a stream, a document, or what ``check --json`` prints.

    Raises
    ------
    NtkVerifyError
        If there is no such file, or something in it is no verdict: with the line, and what is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise NtkVerifyError(
            f"the file of verdicts {path} can't be read ({why}); `ntkverify check --verdicts FILE` writes one."
        ) from None
    found: dict[tuple[str, str], Record] = {}
    for place, row in _rows(text, str(path)):
        record = _checked(row, place)
        found[record["theorem"], record["claim"]] = record
    if not found:
        raise NtkVerifyError(f"{path} holds no verdict; `ntkverify check --verdicts {path}` writes some.")
    return Verdicts(tuple(found.values()), str(path))


def _rows(text: str, path: str) -> Iterable[tuple[str, Any]]:
    """Every verdict with its place."""
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _lines(text, path)
        return
    if isinstance(whole, dict) and "verdicts" in whole:
        if whole.get("format", FORMAT) != FORMAT:
            raise NtkVerifyError(f"{path} is {whole['format']!r} and no file of verdicts; name another.")
        _refuse_newer(whole.get("version", 0), path)
        whole = whole["verdicts"]
    rows = whole if isinstance(whole, list) else [whole]
    yield from ((f"{path}, verdict {number}", row) for number, row in enumerate(rows, 1))


def _lines(text: str, path: str) -> Iterable[tuple[str, Any]]:
    for number, written in enumerate(text.splitlines(), 1):
        if not written.strip():
            continue
        try:
            yield f"{path}:{number}", json.loads(written)
        except ValueError:
            raise NtkVerifyError(
                f"{path}:{number} is no JSON; the line may have been cut short: take it out, or check again."
            ) from None


def _checked(row: Any, place: str) -> Record:
    """A verdict with every field of the schema."""
    if not isinstance(row, dict):
        raise NtkVerifyError(f"{place} is {type(row).__name__} and no verdict; name a file of `check --verdicts`.")
    _refuse_newer(row.get("format", 0), place)
    found = dict(row)
    for name, field in SCHEMA.items():
        if name not in found:
            if field.default is REQUIRED:
                raise NtkVerifyError(
                    f"{place} has no {name!r}, so it is no verdict; name a file of `check --verdicts`."
                )
            found[name] = field.default
        value = found[name]
        if not isinstance(value, field.types) or (isinstance(value, bool) and bool not in field.types):
            allowed = " or ".join("null" if kind is type(None) else kind.__name__ for kind in field.types)
            raise NtkVerifyError(f"{place}: {name} is {value!r}, not {allowed}; correct it, or check again.")
    for name, words in (("kind", KINDS), ("verdict", WORDS)):
        if found[name] not in words:
            raise NtkVerifyError(f"{place}: {name} is {found[name]!r}; it may be {', '.join(words)}.")
    return found


def _refuse_newer(version: Any, place: str) -> None:
    if not isinstance(version, int) or version > VERSION:
        raise NtkVerifyError(
            f"{place} follows version {version!r} of the schema, this program knows up to {VERSION}; update ntkverify."
        )
