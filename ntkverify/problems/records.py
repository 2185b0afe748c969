"""Records of finished sweeps, shared by the processes of a session."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import filelock

Record = TypeVar("Record")
#: what computes a record; another version may compute another
_VERSIONS = " ".join(f"{name} {metadata.version(name)}" for name in ("ntkverify", "numpy", "scipy"))


class RecordStore:
    """Records of finished sweeps, shared by the processes of one test session.

    Parameters
    ----------
    folder : Path or None
        Where records lie; without a folder nothing is shared between processes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def fetch(
        self, key: str, compute: Callable[[], tuple[Record, Iterable[str]]], values: Mapping[str, str]
    ) -> tuple[Record, Iterable[str]]:
        """The record under `key`, and what it was made with; computed by exactly one process, read by the others.

        Parameters
        ----------
        key : str
            Everything that the record depends on, but for the constants of its theorem.
        compute : callable
            Makes the record; returns it with the names of the constants that it was made with.
        values : mapping of str to str
            All constants as they are now. A record is found again while those that it was made with are the same.
        """
        if self.folder is None:
            return compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = hashlib.sha256(f"{key}|{_VERSIONS}".encode()).hexdigest()
        known = self.folder / f"{stem}.known"
        with filelock.FileLock(f"{known}.lock"):
            variants: list[dict[str, str]] = pickle.loads(known.read_bytes()) if known.exists() else []
            for number, read in enumerate(variants):
                if all(values.get(name) == value for name, value in read.items()):
                    record: Record = pickle.loads((self.folder / f"{stem}.{number}").read_bytes())
                    return record, read
            record, names = compute()
            _write(self.folder / f"{stem}.{len(variants)}", record)
            _write(known, [*variants, {name: values[name] for name in names}])
            return record, names


def _write(path: Path, what: object) -> None:
    """Renamed when complete: a killed process leaves no half of a record behind."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(pickle.dumps(what))
    unfinished.replace(path)
