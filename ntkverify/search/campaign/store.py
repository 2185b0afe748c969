"""The record of a campaign: every evaluation, as it happens, in an SQLite file that several processes may write.

A campaign is a set of cells (one claim on one family by one engine). A cell's proposals are deterministic, so that the
pair (cell, vector) names an evaluation: recorded once, answered from the record ever after. A process that dies loses
nothing but the evaluation in flight.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import filelock

from ntkverify.errors import NtkVerifyError
from ntkverify.search.score import LARGEST, VACUOUS, Score

APPLICATION = 0x4E544B56  #: "NTKV" in the header of a store
FORMAT = 2  #: version of the tables; a reader refuses newer ones

_TABLES = """
CREATE TABLE IF NOT EXISTS cells (
    id TEXT PRIMARY KEY, settings TEXT NOT NULL, finished INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS evaluations (
    cell TEXT NOT NULL, vector BLOB NOT NULL, margin REAL NOT NULL, failed INTEGER NOT NULL, doubtful INTEGER NOT NULL,
    reason TEXT NOT NULL, seconds REAL NOT NULL, failures INTEGER NOT NULL DEFAULT 0, draws INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cell, vector)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (
    cell TEXT NOT NULL, vector BLOB NOT NULL, status TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (cell, vector)) WITHOUT ROWID;
"""
#: what a store of format 1 lacks; its number of failures stood for whether the bound was exceeded
_UPGRADE = (
    "ALTER TABLE evaluations ADD COLUMN failures INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE evaluations ADD COLUMN draws INTEGER NOT NULL DEFAULT 0",
    "UPDATE evaluations SET failures = failed, failed = failed > 0",
)
#: came later: a store without it is read all the same, and one with it by earlier versions
_DATES = "CREATE TABLE IF NOT EXISTS dates (cell TEXT PRIMARY KEY, opened TEXT NOT NULL)"
_COLUMNS = {
    "cells": {"id", "settings", "finished"},
    "evaluations": {"cell", "vector", "margin", "failed", "doubtful", "reason", "seconds", "failures", "draws"},
    "findings": {"cell", "vector", "status", "content"},
}


def cell_id(settings: Mapping[str, Any]) -> str:
    """Name of a cell: a digest of everything that determines its evaluations."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]


def pack(vector: Sequence[int]) -> bytes:
    """A vector as the record keeps it."""
    return struct.pack(f"<{len(vector)}I", *vector)


def unpack(blob: bytes) -> tuple[int, ...]:
    """A vector read back."""
    return struct.unpack(f"<{len(blob) // 4}I", blob)


class Store:
    """The record of a campaign.

    Parameters
    ----------
    path : str or Path or None
        The file; made if it does not exist. None keeps the record in memory.
    must_exist : bool
        Refuse a path without a file instead of making one.

    Raises
    ------
    NtkVerifyError
        If the file is damaged, foreign, or from a newer version.
    """

    def __init__(self, path: str | Path | None, *, must_exist: bool = False) -> None:
        self.path = None if path is None else Path(path)
        if must_exist and (self.path is None or not self.path.is_file()):
            raise NtkVerifyError(f"there is no campaign store {path}; give the file that a search wrote.")
        try:
            # autocommit: every evaluation is on record before the next one starts
            self._db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
        except sqlite3.Error as error:
            raise NtkVerifyError(f"campaign store {path} can't be opened ({error}); choose another --store.") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise NtkVerifyError(
                f"campaign store {path} is damaged or no SQLite file ({error}); move it away or choose another --store."
            ) from None
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        names = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        if names and application != APPLICATION:
            raise NtkVerifyError(f"{self.path} is an SQLite file of another program; choose another --store.")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise NtkVerifyError(
                f"store {self.path} has format {version}, this version reads up to {FORMAT}; upgrade ntkverify."
            )
        if names:
            verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise NtkVerifyError(f"campaign store {self.path} is damaged ({verdict}); move it away.")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if not names:
            # in one transaction, so that a process killed here leaves an empty file and not half a store
            self._db.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {APPLICATION};"
                f" PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        elif version < FORMAT:
            self._upgrade()
        self._db.execute(_DATES)
        for table, columns in _COLUMNS.items():
            present = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            if present != columns:
                raise NtkVerifyError(
                    f"campaign store {self.path} lacks the columns of {table!r}; it is damaged: move it away."
                )

    def _upgrade(self) -> None:
        """Give a store of format 1 what it lacks, in one transaction, of which another process may have been first."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if self._db.execute("PRAGMA user_version").fetchone()[0] < FORMAT:
                for statement in (*_UPGRADE, f"PRAGMA user_version = {FORMAT}"):
                    self._db.execute(statement)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- writing ----------------------------------------------------------------------------------------------------

    def open_cell(self, settings: Mapping[str, Any]) -> str:
        """Make a cell known; returns its name."""
        name = cell_id(settings)
        self._write("INSERT OR IGNORE INTO cells (id, settings) VALUES (?, ?)", name, json.dumps(settings))
        self._write("INSERT OR IGNORE INTO dates VALUES (?, ?)", name, time.strftime("%Y-%m-%d %H:%M"))
        return name

    def finish_cell(self, cell: str) -> None:
        """Mark a cell as done."""
        self._write("UPDATE cells SET finished = 1 WHERE id = ?", cell)

    def add(self, cell: str, vector: Sequence[int], score: Score, seconds: float) -> None:
        """Record an evaluation; one that is already there stays. A margin that is no number exercises nothing."""
        margin = min(score.margin, LARGEST) if score.margin > VACUOUS else VACUOUS
        self._write(
            "INSERT OR IGNORE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            cell, pack(vector), margin, int(score.failed), int(score.doubtful), score.reason, seconds, score.failures,
            score.draws,
        )  # fmt: skip

    def add_finding(self, cell: str, vector: Sequence[int], status: str, content: Mapping[str, Any]) -> None:
        """Record what became of a suspected violation."""
        self._write(
            "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?)", cell, pack(vector), status, json.dumps(content)
        )

    def _write(self, statement: str, *values: Any) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise NtkVerifyError(
                f"campaign store {self.path} can't be written ({error}); free space or mend it."
            ) from None

    @contextmanager
    def claim_cell(self, cell: str) -> Iterator[bool]:
        """Take a cell for this process; false if another one has it. The system frees a dead process' cells."""
        if self.path is None:
            yield True
            return
        folder = self.path.with_name(self.path.name + ".locks")
        folder.mkdir(exist_ok=True)
        lock = filelock.FileLock(folder / f"{cell}.lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with closing(self._db.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise NtkVerifyError(f"campaign store {self.path} is damaged ({error}); move it away.") from None

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """A value that is not what this program writes means a damaged file."""
        try:
            yield
        except NtkVerifyError:
            raise
        except (ValueError, TypeError, KeyError, struct.error) as error:
            raise NtkVerifyError(f"campaign store {self.path} is damaged ({error!r}); move it away.") from None

    def is_finished(self, cell: str) -> bool:
        """Whether a cell is done."""
        rows = self._read("SELECT finished FROM cells WHERE id = ?", cell)
        return bool(rows and rows[0][0])

    def evaluations(self, cell: str) -> dict[tuple[int, ...], Score]:
        """All evaluations of a cell."""
        rows = self._read(
            "SELECT vector, margin, failed, doubtful, reason, failures, draws FROM evaluations WHERE cell = ?", cell
        )
        with self._decoding():
            return {
                unpack(vector): Score(margin, bool(failed), bool(doubtful), reason, int(failures), int(draws))
                for vector, margin, failed, doubtful, reason, failures, draws in rows
            }

    def findings(self, cell: str) -> dict[tuple[int, ...], tuple[str, dict[str, Any]]]:
        """Status and content of all suspected violations of a cell."""
        rows = self._read("SELECT vector, status, content FROM findings WHERE cell = ?", cell)
        with self._decoding():
            return {unpack(v): (status, json.loads(content)) for v, status, content in rows}

    def largest_excess(self, cell: str) -> tuple[float | None, float | None]:
        """Largest margin of a cell's failing evaluations, and of those that were looked into; None without any."""
        ((exceeded, followed),) = self._read(
            "SELECT MAX(CASE WHEN e.failed THEN e.margin END), MAX(CASE WHEN f.status IS NOT NULL THEN e.margin END)"
            " FROM evaluations e LEFT JOIN findings f ON f.cell = e.cell AND f.vector = e.vector WHERE e.cell = ?",
            cell,
        )
        return exceeded, followed

    def seconds(self, cell: str) -> dict[tuple[int, ...], float]:
        """Seconds of each of a cell's evaluations, of processor time unless it had an end by the clock."""
        rows = self._read("SELECT vector, seconds FROM evaluations WHERE cell = ?", cell)
        with self._decoding():
            return {unpack(vector): float(seconds) for vector, seconds in rows}

    def progress(self, cells: Sequence[str] | None = None) -> tuple[int, float, float | None]:
        """Number of evaluations, seconds in them, and best margin so far, of these cells or of all."""
        chosen = "" if cells is None else f"WHERE cell IN ({', '.join('?' * len(cells))})"
        count, seconds, best = self._read(
            "SELECT COUNT(*), COALESCE(SUM(seconds), 0), MAX(CASE WHEN margin > ? THEN margin END)"
            f" FROM evaluations {chosen}",
            VACUOUS,
            *(cells or ()),
        )[0]
        return int(count), float(seconds), best

    def summary(self) -> list[dict[str, Any]]:
        """One row per cell: settings, number of evaluations, best margin, state, findings."""
        rows = self._read(
            "SELECT c.id, c.settings, c.finished, COUNT(e.margin), COALESCE(SUM(e.margin = -1e9), 0),"
            " MAX(CASE WHEN e.margin > -1e9 THEN e.margin END), COALESCE(SUM(e.seconds), 0), MAX(e.reason),"
            " MAX(d.opened) FROM cells c LEFT JOIN evaluations e ON e.cell = c.id LEFT JOIN dates d ON d.cell = c.id"
            " GROUP BY c.id ORDER BY c.rowid"
        )
        result = []
        for name, settings, finished, count, vacuous, best, seconds, reason, opened in rows:
            with self._decoding():
                known = json.loads(settings)
                for key in ("theorem", "claim", "regime", "engine"):
                    if not isinstance(known[key], str):
                        raise TypeError(key)
                if not all(isinstance(entry, str) for entry in known["relax"]):
                    raise TypeError("relax")
            statuses = [status for status, _ in self.findings(name).values()]
            result.append(
                {
                    "cell": name,
                    **known,
                    "opened": opened or "",
                    "finished": bool(finished),
                    "evaluations": count,
                    "vacuous": vacuous,
                    "best_margin": best,
                    "seconds": round(seconds, 3),
                    "reason": reason or "",
                    "findings": statuses,
                }
            )
        return result

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every evaluation with the settings of its cell."""
        cells = {row["cell"]: row for row in self.summary()}
        for cell, vector, margin, failed, seconds in self._read(
            "SELECT cell, vector, margin, failed, seconds FROM evaluations"
        ):
            known = cells.get(cell, {})
            yield {
                "cell": cell,
                **{key: known.get(key, "") for key in ("theorem", "claim", "engine")},
                "family": known.get("regime", ""),
                "relax": "; ".join(known.get("relax", ())),
                "vector": " ".join(map(str, unpack(vector))),
                "margin": margin,
                "vacuous": margin == VACUOUS,
                "failed": bool(failed),
                "seconds": seconds,
            }
