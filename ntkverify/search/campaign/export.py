"""Exports of a campaign's record."""

from __future__ import annotations

import csv
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.search.campaign.store import Store

COLUMNS = ("cell", "theorem", "claim", "family", "engine", "relax", "vector", "margin", "vacuous", "failed", "seconds")


def write_csv(store: Store, path: Path) -> int:
    """Write every evaluation as CSV; returns their number."""
    try:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            count = 0
            for row in store.rows():
                writer.writerow([row[column] for column in COLUMNS])
                count += 1
    except OSError as error:
        raise NtkVerifyError(f"{path} can't be written ({error}); choose another file.") from None
    return count


def write_parquet(store: Store, path: Path) -> int:
    """Write every evaluation as Parquet; returns their number.

    Raises
    ------
    NtkVerifyError
        Without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise NtkVerifyError(
            "Parquet needs pyarrow, which is not installed: pip install pyarrow, or use --csv."
        ) from None
    rows = list(store.rows())
    table = pyarrow.table({column: [row[column] for row in rows] for column in COLUMNS})
    try:
        pyarrow.parquet.write_table(table, path)
    except OSError as error:
        raise NtkVerifyError(f"{path} can't be written ({error}); choose another file.") from None
    return len(rows)
