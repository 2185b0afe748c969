"""What becomes of mutants, one after another, on record in a JSONL file."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ntkverify
from ntkverify.commands.options import PROFILES
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.mutation import CLOSED, Bench, Fate, Mutant, mutants
from ntkverify.problems.records import RecordStore
from ntkverify.report import console
from ntkverify.search.campaign.mutants import hunts
from ntkverify.search.evidence.violation import versions
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.theorem import Theorem

Record = dict[str, Any]
LIBRARY = Path(ntkverify.__file__).parent


@functools.cache
def _library(*, with_search: bool) -> str:
    """Digest of the library's own files, but for those that only show what was found."""
    left_out = {"commands", "report"} if with_search else {"commands", "report", "search"}
    digest = hashlib.sha256()
    for file in sorted(LIBRARY.rglob("*.py")):
        name = file.relative_to(LIBRARY)
        if name.parts[0] not in left_out or file == Path(__file__):
            digest.update(f"{name.as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


class Fates:
    """What becomes of the mutants of theorems; what is on record is not made again.

    A record counts as long as nothing that it depends on has changed: the module, the library, the versions of what
    both stand on, profile, draws and entropy, and for a search its seconds.

    Parameters
    ----------
    file : Path or None
        JSONL that has the records, and gets the new ones; none are kept if None.
    profile, draws, entropy
        As for `ntkverify.judging.mutation.Bench`; `draws` of every family instead of the profile's.
    seconds : float or None
        Processor time of the search for each claim of a survivor; survivors are left as they are if None.

    Raises
    ------
    NtkVerifyError
        If the file holds something else.
    """

    def __init__(
        self, file: Path | None, *, profile: str, draws: int | None, entropy: int, seconds: float | None
    ) -> None:
        self.profile, self.draws, self.entropy, self.seconds = profile, draws, entropy, seconds
        self._file = file
        # a survivor has one record as the check left it, and another one of the search
        self._known: dict[tuple[str, str, bool], Record] = {}
        if file is not None and file.exists():
            for number, line in enumerate(file.read_text().splitlines(), 1):
                try:
                    found = json.loads(line)
                    self._known[found["theorem"], found["change"], found["settings"]["survivors"]] = found
                except (ValueError, KeyError, TypeError):
                    raise NtkVerifyError(
                        f"{file}, line {number} is no record of a mutant; take the line out, or give another --results."
                    ) from None

    def of(self, path: Path, name: str, *, only: str = "", kinds: Sequence[str] = ()) -> Iterator[Record]:
        """The records of one module's mutants, of some names and kinds or of all."""
        theorem = load_theorem(path, called=name)
        if self.draws is not None:
            counts = dict.fromkeys(PROFILES, self.draws)
            theorem.families.update({name: replace(f, counts=counts) for name, f in theorem.families.items()})
        chosen = [m for m in mutants(theorem) if only in m.name and (not kinds or m.kind in kinds)]
        # those of a claim train nothing, so that an interrupted command has most
        chosen.sort(key=lambda mutant: mutant.is_constant)
        with (
            tempfile.TemporaryDirectory() as folder,
            console.progress(theorem.id, len(chosen), unit="mutants") as bar,
        ):
            store = RecordStore(Path(folder))
            bench = Bench(theorem, self.profile, store, self.entropy, self.draws)
            thorough = Bench(theorem, "thorough", store, self.entropy)
            for mutant in chosen:
                record = self._checked(bench, mutant, path)
                if self.seconds is not None and record["status"] not in CLOSED:
                    record = self._searched(thorough, mutant, record, path)
                yield record
                bar.advance(1, mutant.name)

    def _checked(self, bench: Bench, mutant: Mutant, path: Path) -> Record:
        """What the check makes of a mutant."""
        record = self._kept(path, bench.theorem, mutant, survivors=False)
        return record or self._keep(path, bench.theorem, bench.fate(mutant), survivors=False)

    def _searched(self, thorough: Bench, mutant: Mutant, record: Record, path: Path) -> Record:
        """What the search makes of a survivor, and the thorough profile of what the search says nothing of."""
        theorem = thorough.theorem
        known = self._kept(path, theorem, mutant, survivors=True)
        if known is not None:
            return known
        found = Fate(mutant, record["status"], record["claim"], record["evidence"])
        return self._keep(path, theorem, self._again(thorough, found, path), survivors=True)

    def _again(self, thorough: Bench, found: Fate, path: Path) -> Fate:
        said, searched = [found.evidence], []
        assert self.seconds is not None
        for hunt in hunts(thorough.theorem, found.mutant, path=path, seconds=self.seconds, entropy=self.entropy):
            if hunt.violated:
                return replace(found, status="missed", claim=hunt.claim, evidence=hunt.said)
            searched.append(hunt.claim)
            said.append(hunt.said)
        if found.mutant.is_constant or not searched:
            more = thorough.fate(found.mutant, but=searched)
            if more.refuted:
                return replace(more, evidence=f"{more.evidence}; thorough profile")
            looked = more.evidence and not (searched and more.status == "unseen")
            said += [f"thorough profile: {more.evidence}"] if looked else []
        return replace(found, evidence="; ".join(said))

    def _settings(self, path: Path, *, survivors: bool) -> Record:
        """Everything that a record depends on: most claims are the library's, whose version stays while it grows."""
        module = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        settings = {
            "profile": self.profile, "draws": self.draws, "entropy": self.entropy, "survivors": survivors,
            "module": module, "library": _library(with_search=survivors), "versions": versions(),
        }  # fmt: skip
        return {**settings, "seconds": self.seconds} if survivors else settings

    def _kept(self, path: Path, theorem: Theorem, mutant: Mutant, *, survivors: bool) -> Record | None:
        """The record of a mutant, if it is there and depends on nothing that has changed."""
        found = self._known.get((theorem.id, mutant.plant, survivors))
        if found is None or found["settings"] != self._settings(path, survivors=survivors):
            return None
        return {key: value for key, value in found.items() if key != "settings"}

    def _keep(self, path: Path, theorem: Theorem, found: Fate, *, survivors: bool) -> Record:
        mutant = found.mutant
        record = {
            "theorem": theorem.id, "mutant": mutant.name, "factor": str(mutant.factor),
            "is_constant": mutant.is_constant, "kind": mutant.kind, "change": mutant.plant, "status": found.status,
            "claim": found.claim, "evidence": found.evidence,
        }  # fmt: skip
        if self._file is not None:
            with self._file.open("a") as out:
                out.write(json.dumps({**record, "settings": self._settings(path, survivors=survivors)}) + "\n")
        return record
