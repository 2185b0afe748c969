"""Search all theorems for violations under one budget.

    python scripts/find_violations.py --minutes 20

What the search finds of falsehoods planted on purpose is measured by `scripts/planted_falsehoods.py`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.commands.search import with_minutes
from ntkverify.pytest_plugin import is_theorem_module
from ntkverify.report.campaign import summarise
from ntkverify.search.campaign import workers
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("theorems", nargs="*", help="theorem modules; default: all below theorems/")
    parser.add_argument("--evaluations", type=int, default=2000, help="budget of each claim")
    parser.add_argument("--minutes", type=float, help="budget of the whole search")
    parser.add_argument("--only", metavar="TEXT", help="claims whose name contains TEXT")
    parser.add_argument("--max-width", type=int, default=2**17, help="wider instances are not run")
    parser.add_argument("--processes", type=int, default=1, help="processes that share the search")
    parser.add_argument("--entropy", type=int, default=0, help="changes every draw")
    parser.add_argument("--store", default="violations.sqlite", help="record; the same command again resumes it")
    parser.add_argument("--out", default="violations", help="folder for violations")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    found = Path(__file__).parents[1].glob("theorems/**/*.py")
    paths = options.theorems or sorted(str(p) for p in found if is_theorem_module(p))
    theorems = {path: load_theorem(path) for path in paths}
    cells = [
        (path, replace(cell, max_width=options.max_width))
        for path, theorem in theorems.items()
        for cell in cells_of(theorem, path=path, evaluations=options.evaluations, entropy=options.entropy)
        if not options.only or options.only in cell.claim
    ]
    cells = with_minutes(cells, options.minutes)
    with Store(options.store) as store:
        workers.run(theorems, cells, store, processes=options.processes)
        summary = summarise(store, [cell for _, cell in cells], Path(options.out))
    summary.show()
    sys.exit(1 if summary.violated else 0)


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        print(f"find_violations: {error}", file=sys.stderr)
        sys.exit(2)
