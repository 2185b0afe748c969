"""The check at many entropies: each is run once for one code, and a failure is told and never forgotten."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import entropies  # noqa: E402

THEOREM = """
import sympy
from ntkverify import Instance, Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem("Small", source=Source(), statement="values are at most LIMIT")


@theorem.instances("some", run=AlgebraRun, quick=3)
def some():
    return Instance(data={"values": [0.5, 1.5]})


@theorem.conclusion("values are at most LIMIT", holds=always, bound=sympy.Integer(LIMIT))
def conclusion(run):
    return run.values


@theorem.control("values plus two are at most one", holds=always, bound=sympy.Integer(1))
def control(run):
    return run.values + 2
"""


def asked(monkeypatch, tmp_path, *words):
    monkeypatch.setattr(entropies, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["entropies.py", *words, "--out", str(tmp_path / "record.jsonl")])
    with pytest.raises(SystemExit) as ended:
        entropies.main()
    return int(ended.value.code)


@pytest.fixture
def tree(tmp_path):
    for folder in ("ntkverify", "theorems/one", "theorems/other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "code.py").write_text("x = 1\n")
    return tmp_path


def test_what_was_run_for_this_code_is_not_run_again(tree, monkeypatch, capsys):
    made = []

    def run(folder, entropy, profile, code):
        made.append((folder, entropy))
        bad = (folder, entropy) == ("theorems/other", 2)
        return {"folder": folder, "entropy": entropy, "profile": profile, "code": code, "status": int(bad),
                "verdicts": {"holds": 3}, "failed": ["FAILED a claim"] * bad, "seconds": 0.0}  # fmt: skip

    monkeypatch.setattr(entropies, "run", run)
    assert asked(monkeypatch, tree, "1") == 0
    assert asked(monkeypatch, tree, "1-2") == 1
    out = capsys.readouterr().out
    assert "theorems/other at 2: FAILED (3 holds)\n  FAILED a claim" in out
    assert "theorems/other: 2 of 2 entropies run, failed at 2" in out
    assert made == [("theorems/one", 1), ("theorems/other", 1), ("theorems/one", 2), ("theorems/other", 2)]
    assert asked(monkeypatch, tree, "1", "--show") == 0
    assert asked(monkeypatch, tree, "1-3", "--show") == 1
    assert len(made) == 4
    # a folder's own code concerns it alone, the package all
    (tree / "theorems/one/code.py").write_text("x = 2\n")
    asked(monkeypatch, tree, "1")
    assert made[4:] == [("theorems/one", 1)]
    (tree / "ntkverify/code.py").write_text("x = 2\n")
    asked(monkeypatch, tree, "1")
    assert made[5:] == [("theorems/one", 1), ("theorems/other", 1)]


def test_a_run_is_pytest_s_with_its_verdicts(tmp_path, monkeypatch):
    monkeypatch.setattr(entropies, "ROOT", tmp_path)
    for name, limit in (("true", "2"), ("false", "1")):
        (tmp_path / f"{name}.py").write_text(THEOREM.replace("LIMIT", limit))
    right, wrong = (entropies.run(f"{name}.py", 5, "quick", "code") for name in ("true", "false"))
    assert (right["status"], right["verdicts"], right["failed"]) == (0, {"holds": 1, "refuted": 1}, [])
    assert (wrong["status"], wrong["verdicts"]) == (1, {"violated": 1, "refuted": 1})
    assert len(wrong["failed"]) == 1
    assert entropies.run("missing.py", 5, "quick", "code")["failed"]


@pytest.mark.parametrize(("text", "meant"), [("7", [7]), ("0-2", [0, 1, 2]), ("1,5,8-9", [1, 5, 8, 9])])
def test_lists_of_entropies(text, meant):
    assert entropies.numbers(text) == meant


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "1,,2"])
def test_what_is_no_list_is_refused(text, tmp_path, monkeypatch, capsys):
    assert asked(monkeypatch, tmp_path, text) == 2
    assert "is no list of numbers like" in capsys.readouterr().err
