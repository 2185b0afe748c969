"""The tables at the end of `docs/mutants.md`."""

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from mutant_table import counts, current, latest, survivors  # noqa: E402


def record(mutant, change, kind, status, evidence="", claim=None):
    return {
        "theorem": "some/module", "mutant": mutant, "change": change, "kind": kind, "status": status, "claim": claim,
        "evidence": evidence, "settings": {"profile": "quick", "survivors": False, "module": "one"},
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
    rows = survivors(RECORDS)
    assert rows[0] == "## some/module"
    assert rows[4:] == [
        "| C | n**2, n**1/2 | 1.2 to 3.5 |  |",
        r"| a \| b | * 1/2 | inconclusive: too few |  |",
    ]


def test_a_search_says_how_much_it_reached():
    said = [
        "still true on 9 instances with slack 3.5; 'c': 0.4 of the bound reached in a search of 90 instances",
        "still true with slack 1.2, least in 'c'; \"d\": 0.7 of the bound reached in a search of 10 instances",
        "'c': 1.5 of the bound reached in a search of 30 instances",
    ]
    found = [
        record("C", f"C with {symbol}**2", "exponent", status, text)
        for symbol, status, text in zip("lmn", ("survived", "survived", "missed"), said, strict=True)
    ]
    likely = record(
        "P", "P * 1/2", "bound", "survived", "still true with slack 3; thorough profile: slack 2 of a bound"
    )
    assert survivors([likely])[4:] == ["| P | * 1/2 | 3 | thorough: 2 |"]
    assert survivors(found)[4:] == ["| C | n**2 | missed | 1.5 of 30 |", "| C | l**2, m**2 | 1.2 to 3.5 | 0.7 of 100 |"]


def test_the_last_record_of_a_mutant_counts():
    again = {**RECORDS[-1], "status": "refuted"}
    found = latest(json.dumps(one) for one in [*RECORDS, again])
    assert len(found) == len(RECORDS)
    assert counts(found, {"some/module": 5})[-1] == "All together 2 refuted, 1 weaker, 2 neither."
    # one of the search stays, unless the module changed
    for module, kept in (("one", "missed"), ("two", "inconclusive")):
        searched = {**RECORDS[-1], "status": "missed", "settings": {"survivors": True, "module": "one"}}
        checked = {**RECORDS[-1], "settings": {"survivors": False, "module": module}}
        assert [one["status"] for one in latest([json.dumps(searched), json.dumps(checked)])] == [kept]


def test_records_of_a_module_that_changed_are_left_out():
    name = "nonlinear_regime/lazy_sums"
    module = hashlib.sha256((ROOT / "theorems" / f"{name}.py").read_bytes()).hexdigest()[:16]
    found = [{"theorem": name, "settings": {"module": digest}} for digest in (module, "of before")]
    assert current(found) == found[:1]
