"""What the commands of the reproductions share. Import it before anything that imports NumPy."""

# ruff: noqa: E402 - the number of threads must be set before NumPy is imported

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # small matrices: threads of BLAS only get in each other's way
    os.environ.setdefault(name, "1")

from tqdm import tqdm

from ntkverify import NtkVerifyError

Records = list[dict[str, Any]]


def parser(description: str, out: str, **lists: Iterable[str]) -> argparse.ArgumentParser:
    """A parser with ``--out``, the folder of runs and tables, and an option for each of the lists to choose from."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    found.add_argument("--out", type=Path, default=Path(out), help="folder of runs and tables")
    for name, choices in lists.items():
        found.add_argument(f"--{name}", nargs="+", choices=choices, default=list(choices))
    return found


def carry_out(
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]],
    totals: dict[str, int | None],
    settings: str,
    folder: Path,
    *,
    report: Callable[[Records, str], str],
    draw_figures: Callable[[Records, Path], Any],
) -> None:
    """Print the settings, make all runs of all parts, write OUT/tables.md and draw the figures."""
    print(settings)
    wanted: Records = []
    for part, records in parts.items():
        wanted += list(tqdm(records(), desc=part, unit="run", total=totals.get(part)))
    text = report(wanted, settings)
    (folder / "tables.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    draw_figures(wanted, folder)


def guarded(main: Callable[[], None]) -> None:
    """Call it; what a user can mend is one sentence and a status other than zero."""
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
