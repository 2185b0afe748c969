"""Records of finished sweeps, shared by the processes of a session."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
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

    def fetch(self, key: str, compute: Callable[[], Record]) -> Record:
        """The record under `key`; computed by exactly one process, read by the others."""
        if self.folder is None:
            return compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{hashlib.sha256(f'{key}|{_VERSIONS}'.encode()).hexdigest()}.pickle"
        with filelock.FileLock(f"{path}.lock"):
            if path.exists():
                found: Record = pickle.loads(path.read_bytes())
                return found
            record = compute()
            # renamed when complete: a killed process leaves no half of a record behind
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(pickle.dumps(record))
            unfinished.replace(path)
            return record
