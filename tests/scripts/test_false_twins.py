"""False theorems beside their true twins; the table in the docs is what the script prints."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from false_twins import SEARCHED, pairs, searched  # noqa: E402

PAIRS = {(pair.mistake, pair.name): pair for pair in pairs()}
CHEAP = [key for key, pair in PAIRS.items() if pair.count <= 40]


@pytest.mark.parametrize("key", CHEAP, ids=" ".join)
def test_a_false_one_never_holds_by_statistics_and_its_twin_is_not_violated(key):
    false, true = PAIRS[key].verdicts(entropy=1)
    assert false.status != "holds" or false.level.startswith("float64")
    assert true.status == "holds"


def test_the_table_covers_all_pairs_with_the_words_that_are_promised():
    text = (ROOT / "docs" / "results" / "false_twins.md").read_text(encoding="utf-8").partition(SEARCHED)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][1:]
    assert [(row[0], row[1]) for row in rows] == list(PAIRS)
    assert len(rows) == 20
    assert sum(row[2] == "violated" for row in rows) >= 14
    assert all(row[2] != "holds" or row[4].startswith("float64") for row in rows)
    assert sum(row[3] == "inconclusive" for row in rows) <= 2
    assert not any(row[3] == "violated" for row in rows)
    assert re.search(r"python scripts/false_twins.py --entropy \d", text)


@pytest.mark.parametrize(
    "key",
    [
        ("union bound missing", "largest of 16 normals"),
        ("0.85 claimed as 0.9", "an exponential"),
        ("2 sqrt(2) dropped from a path", "a geometric sum of steps"),
        ("a law through its tolerance", "Laplace for normal"),
    ],
    ids=" ".join,
)
def test_a_search_tells_them_apart(key):
    pair = PAIRS[key]
    assert searched(pair.theorem(pair.false), entropy=7).found
    assert not searched(pair.theorem(pair.true), entropy=7).found


def test_the_table_of_searches_has_what_is_promised():
    text = (ROOT / "docs" / "results" / "false_twins.md").read_text(encoding="utf-8").partition(SEARCHED)[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][1:]
    assert [(row[0], row[1]) for row in rows] == list(PAIRS)
    totals = re.findall(r"entropy \d+: (\d+) of 20 false ones, (\d+) of 20 true ones", text)
    assert len(totals) == 5
    assert all(int(false) >= 18 and int(true) == 0 for false, true in totals)
    assert all(float(row[5]) <= 60 for row in rows)
