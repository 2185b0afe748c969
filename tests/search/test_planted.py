"""The study of planted falsehoods on a theorem of a few lines: what is false, what is found, and that it resumes."""

import argparse
import importlib.util
import json
from pathlib import Path

import pytest

from ntkverify import NtkVerifyError

SCRIPT = Path(__file__).parents[2] / "scripts/planted_falsehoods.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("planted_falsehoods", SCRIPT)
    loaded = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # as for a script that is run
        spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.heavy
def test_the_study_knows_what_is_false_and_resumes(study, module, tmp_path, capsys):
    options = argparse.Namespace(
        theorems=[str(module)], evaluations=300, seconds=60, long_seconds=None, claims=2, only=None, widely=2,
        certify=False, max_width=2**14, entropy=0, store=str(tmp_path / "p.sqlite"), json=str(tmp_path / "p.json"),
        again=None, true=False,
    )  # fmt: skip
    rows = study.collect(options)
    # the two claims about all instances that take least work, and one of probability
    truths = [row for row in rows if row["kind"] == "true"]
    assert len(truths) == 3
    assert truths[-1]["claim"] == "a fair coin"
    assert "squares sum to n at most" in {row["claim"] for row in truths}
    assert not {status for row in truths for status in row["statuses"]} & set(study.CLOSING)
    tightened = [row for row in rows if row["kind"].startswith("tightened") and row["kind"].endswith("%")]
    assert len(tightened) == 8
    for row in tightened:
        assert row["false"]
        # the witness exceeds the tightened bound by the share that was asked for
        assert row["false by"] == pytest.approx(float(row["kind"].split()[1].rstrip("%")) / 100, rel=1e-3)
    # |x|^2 <= n^2 is true where |x|^2 <= n is, |x|^2 <= sqrt(n) is not
    exponents = {row["plants"][0].split(" with ")[1]: row["false"] for row in rows if row["kind"] == "exponent"}
    assert exponents == {"n**1/2": True, "n**2": False}
    assert any(row["kind"] == "control" and row["false"] for row in rows)
    dropped = [row for row in rows if row["kind"] == "dropped" and row["claim"] == "squares sum to n at most"]
    assert [(row["relax"], row["false"]) for row in dropped] == [(["entries at most 1"], True)]
    false = [row for row in rows if row.get("false")]
    assert sum(row["search"] is not None for row in false) >= 0.95 * len(false)
    assert json.loads((tmp_path / "p.json").read_text())["variants"] == rows
    assert study.collect(options) == rows  # answered from the record
    # the same falsehoods once more, by a search with other seeds
    file = str(tmp_path / "p.json")
    again = [file, file]  # each is put to the search once
    options.again, options.entropy, options.json, options.store = again, 1, None, str(tmp_path / "again.sqlite")
    options.true, options.evaluations = True, 100
    again = study.collect(options)
    again, searched = again[:-3], again[-3:]
    assert [row["claim"] for row in searched] == [row["claim"] for row in truths]
    assert all(row["evaluations"] > 0 for row in searched)
    assert not {status for row in searched for status in row["statuses"]} & set(study.CLOSING)
    assert [(row["claim"], row.get("plants"), row.get("relax")) for row in again] == [
        (row["claim"], row.get("plants"), row.get("relax")) for row in false
    ]
    assert all("search" in row and "random" in row for row in again)
    assert [row["random evaluations"] for row in again] != [row["random evaluations"] for row in false]
    capsys.readouterr()
    lines = study.table(rows, "kind")
    assert any(line.startswith("all") for line in lines)
    assert len(study.true_table(rows)) == 4
    # nothing to do is said so
    options.only = "no such claim"
    with pytest.raises(NtkVerifyError, match=r"nothing to search: .* whose name contains 'no such claim'"):
        study.collect(options)
    assert study.table(truths, "kind") == ["no variant is false"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"variants": [{}]}'])
def test_falsehoods_that_can_not_be_read_are_named(study, tmp_path, content):
    file = tmp_path / "p.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(NtkVerifyError, match=r"--again .*p.json holds no variants"):
        study.known_rows([str(file)], "theorem.py", ())


def test_falsehoods_of_claims_that_are_gone_are_left_out_and_counted(study, tmp_path, capsys):
    file = tmp_path / "p.json"
    row = {"theorem": "theorem", "kind": "control", "false": True, "search": "exceeded", "random": None}
    rows = [{"claim": "old", **row}, {"claim": "new", **row}, {"claim": "new", **row, "relax": ["a"]}]
    file.write_text(json.dumps({"variants": [*rows, {"claim": "new", **row, "false": False}]}))
    found = study.known_rows([str(file), str(file)], "a/theorem.py", ["new"])
    kept = {"claim": "new", "kind": "control", "false": True}
    assert found == [kept, {**kept, "relax": ["a"]}]
    assert capsys.readouterr().err == "a/theorem.py: left out, being of claims that it no longer has: 1 rows\n"


def test_a_claim_of_probability_is_halved_until_drawn_instances_refute_it(study, tmp_path, vectors_source):
    fair = "holds=with_probability(sympy.Rational(2, 5)), bound=sympy.Rational(1, 2)"
    rare = "holds=with_probability(sympy.Rational(9, 10)), bound=sympy.Rational(19, 20)"
    module = tmp_path / "rare.py"
    module.write_text(vectors_source.replace(fair, rare))
    options = argparse.Namespace(
        theorems=[str(module)], evaluations=60, seconds=60, long_seconds=None, claims=1, only="a fair coin", widely=0,
        certify=False, max_width=2**14, entropy=0, store=str(tmp_path / "p.sqlite"), json=None, again=None,
        true=False,
    )  # fmt: skip
    rows = [row for row in study.collect(options) if row["claim"] == "a fair coin"]
    assert [row["kind"] for row in rows] == ["true", *["tightened, probability"] * 3]
    # 10% may fail; 52% do so above 19/40, which 20 draws may or may not tell, 76% above 19/80, which they tell
    assert [row["plants"][0].split(" * ")[1] for row in rows[1:]] in (["1/2", "1/4", "1/8"], ["1/4", "1/8", "1/16"])
    assert rows[0]["statuses"].count("confirmed") == 0
    assert all(row["search"] == "confirmed" for row in rows[1:])
