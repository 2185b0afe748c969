"""The tables at the end of `docs/mutants.md`."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from mutant_table import counts, latest, survivors  # noqa: E402


def record(mutant, change, kind, status, evidence="", claim=None):
    return {
        "theorem": "some/module", "mutant": mutant, "change": change, "kind": kind, "status": status, "claim": claim,
        "evidence": evidence, "settings": {"profile": "quick"},
    }  # fmt: skip


RECORDS = [
    record("C", "C * 1/2", "constant", "refuted"),
    record("C", "C * 2", "constant", "weaker"),
    record("C", "C with n**2", "exponent", "survived", "still true on 9 instances with slack 3.5, least in 'a | b'"),
    record("C", "C with n**1/2", "exponent", "survived", "still true on 9 instances with slack 1.2, least in 'c'"),
    record("a | b", "a | b * 1/2", "bound", "inconclusive", "too few", "a | b"),
]


def test_counts_are_refuted_weaker_and_neither():
    rows = counts(RECORDS, {"some/module": 5})
    assert rows[2] == "| `some/module` | 1, 1, 0 | 0, 0, 1 | 0, 0, 2 |  |"
    assert counts(RECORDS, {"some/module": 7})[2].startswith("| `some/module` (5 of 7) | 1, 1, 0 |")
    assert rows[-1] == "All together 1 refuted, 1 weaker, 3 neither."


def test_changes_of_one_constant_share_a_row():
    rows = survivors(RECORDS)[2:]
    assert rows == [
        "| `some/module` | C | n**2, n**1/2 | still true with slack 1.2 to 3.5 |",
        r"| `some/module` | a \| b | * 1/2 | inconclusive, 'a \| b': too few |",
    ]


def test_the_last_record_of_a_mutant_counts():
    again = {**RECORDS[-1], "status": "refuted"}
    found = latest(json.dumps(one) for one in [*RECORDS, again])
    assert len(found) == len(RECORDS)
    assert counts(found, {"some/module": 5})[-1] == "All together 2 refuted, 1 weaker, 2 neither."
