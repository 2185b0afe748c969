"""``--data`` of show, check, slack, frontier and search: what is printed, and how mistakes end."""

import json

import pytest

from ntkverify.cli import main

MODULE = """
from sympy import sqrt
from ntkverify import Source, Theorem
from ntkverify.glossary import k, lambda_0, limit_norm, loss_0
from ntkverify.lemmas.relu.own_method import OwnMethod
from ntkverify.training import GradientDescent

theorem = Theorem("Half the rate", source=Source(), statement="S")
own = OwnMethod(theorem, lambda run: GradientDescent(run.eta), largest_step=1 / limit_norm, steps=8)
own.rate("half the rate", (1 - lambda_0 / limit_norm / 2) ** k * loss_0)
theorem.lemma("the step", of="eta", holds=__import__("ntkverify").always, bound=1 / limit_norm, attained=True)
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text(MODULE)
    (tmp_path / "points.csv").write_text("x1,x2,y\n1,0,1\n0,1,-1\n")
    (tmp_path / "long.csv").write_text("x1,x2,y\n2,0,1\n0,1,-3\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *words):
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_show_prints_the_theorem_at_the_data(desk, capsys):
    status, out, _ = run(capsys, "show", "half.py", "--data", "points.csv", "--step", "1.5", "--width", "512")
    assert status == 0
    for said in ("lambda_0", "largest step", "as asked for", "512", "steps to 1e-6", "2 of 3 claims"):
        assert said in out
    status, out, _ = run(capsys, "show", "half.py", "--data", "points.csv", "--json")
    content = json.loads(out)
    assert content["largest_step"] == pytest.approx(2)
    assert content["lambda_0"] == pytest.approx(0.5)
    assert content["parameters"] == {"C": 1.0, "delta": 0.25}


def test_targets_and_parameters_are_options(desk, capsys):
    words = ("--data", "points.csv", "--targets", "x2", "--set", "delta=0.5", "--set", "C=7", "--json")
    content = json.loads(run(capsys, "show", "half.py", *words)[1])
    assert content["data"] == {"inputs": [2, 2], "targets": [2]}
    assert content["parameters"] == {"C": 7.0, "delta": 0.5}


def test_check_judges_within_and_beyond(desk, capsys):
    words = ("check", "half.py", "--data", "points.csv", "--width", "256", "--steps", "5", "--draws", "3")
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "beyond the theorem, where a failure refutes nothing: the theorem says this of" in out
    assert "1: false on purpose" in out
    content = json.loads(run(capsys, *words, "--json", "--verdicts", "v.jsonl")[1])
    assert [v["verdict"] for v in content["verdicts"]] == ["observed", "holds"]
    assert list(content["beyond"]) == ["4096 neurons: half the rate"]
    written = [json.loads(line) for line in (desk / "v.jsonl").read_text().splitlines()]
    assert [v["claim"] for v in written] == ["4096 neurons: half the rate", "the step"]


def test_what_fails_within_the_assumptions_ends_with_one(desk, capsys):
    text = MODULE.replace("bound=1 / limit_norm, attained", "bound=1 / limit_norm / 2, attained")
    (desk / "wrong.py").write_text(text)
    words = ("--data", "points.csv", "--width", "64", "--steps", "2", "--draws", "2")
    status, out, _ = run(capsys, "check", "wrong.py", *words)
    assert status == 1
    assert "violated: lemma 'the step'" in out


def test_an_assumption_that_fails_leaves_claims_out(desk, capsys):
    words = ("check", "half.py", "--data", "long.csv", "--set", "C=1", "--width", "64", "--steps", "2", "--draws", "2")
    status, out, _ = run(capsys, *words)
    assert status == 1  # nothing is left to put to the test
    assert "assumes 'unit inputs', missed by 1" in out
    assert run(capsys, *words, "--unit", "--relax", "targets")[0] == 0


def test_slack_frontier_and_search_take_the_same(desk, capsys):
    data = ("--data", "points.csv", "--width", "64")
    status, out, _ = run(capsys, "slack", "half.py", *data, "--steps", "4", "--draws", "4", "--max-width", "32")
    assert status == 0
    assert "width 64, step 2, 4 steps" in out
    words = ("frontier", "half.py", *data, "--steps", "4", "--draws", "12", "--high", "64", "--json")
    status, out, _ = run(capsys, *words)
    assert status == 0
    (record,) = json.loads(out)
    assert record["data"] == "points.csv"
    assert [t["at"] for t in record["curve"]] == [2]
    search = ("search", "half.py", *data, "--steps", "2", "--evaluations", "12", "--store", "s.sqlite", "--json")
    status, out, _ = run(capsys, *search)
    assert status in (0, 1)
    assert "the step" in out
    # other data are another question: nothing is taken from the record of the first
    (desk / "points.csv").write_text("x1,x2,y\n0,1,1\n1,0,0.5\n")
    other = run(capsys, *search)[1]
    assert run(capsys, "runs", "s.sqlite")[1].count("the step") >= 2
    assert other


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_an_overflow_but_the_verdict(desk, capsys):
    """Steps that no network survives, on threads and in the estimate of the time."""
    words = ("--data", "points.csv", "--width", "40000", "--step", "1e300", "--set", "C=1")
    status, out, err = run(capsys, "show", "half.py", *words)
    assert (status, err) == (0, "")
    assert "no  step" in out.replace("  no ", "  no  ") or "missed by 1e+300" in out
    status, out, err = run(capsys, "check", "half.py", *words, "--steps", "4", "--draws", "2", "--relax", "step")
    assert (status, err) == (0, "")
    assert "fails" in out


@pytest.mark.parametrize(
    "words",
    [
        ("search", "broken.py", "--engine", "hypothesys"),
        ("show", "broken.py", "--data", "nowhere.csv"),
        ("check", "broken.py", "--data", "inputs=points.csv,targets=nowhere.csv"),
        ("check", "broken.py", "--backend", "cpi"),
    ],
)
def test_what_needs_no_theorem_is_refused_before_it_is_loaded(desk, capsys, words):
    (desk / "broken.py").write_text("from ntkverify import Theorem\n1 / 0\ntheorem = Theorem()\n")
    status, _, err = run(capsys, *words)
    assert status == 2
    assert "broken.py" not in err
    assert "ZeroDivisionError" not in err


@pytest.mark.parametrize("command", ["check", "slack", "search", "frontier", "necessity", "check --data points.csv"])
def test_a_misspelt_symbol_has_its_line_in_every_command(desk, capsys, command):
    text = MODULE.replace("bound=1 / limit_norm, att", "bound=1 / __import__('sympy').Symbol('limit_nrom'), att")
    (desk / "typo.py").write_text(text)
    words = command.split()
    status, _, err = run(capsys, words[0], "typo.py", *words[1:], *(["--width", "8"] if words[1:] else []))
    assert status == 2
    line = 1 + text.splitlines().index(next(x for x in text.splitlines() if x.startswith("theorem.lemma")))
    assert f"typo.py:{line}: the bound of claim 'the step'" in err
    assert "'limit_nrom'" in err
    assert "the nearest name that they know is 'limit_norm'." in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "half.py", "--unit"), "--unit goes with --data; name your points with --data FILE."),
        (("check", "half.py", "--set", "delta=1"), "--set goes with --data"),
        (("check", "half.py", "--draws", "3"), "--draws and --relax go with --data"),
        (("show", "half.py", "--data", "nowhere.csv"), "--data nowhere.csv: there is no such file; name a CSV or NPZ"),
        (("show", "half.py", "--data", "points.csv", "--targets", "z"), "'z' is no file, and no column of points.csv"),
        (("show", "half.py", "--data", "points.csv", "--set", "delta"), "--set 'delta' is not NAME=VALUE"),
        (("show", "half.py", "--data", "points.csv", "--set", "dleta=1"), "has no parameter 'dleta'; did you mean"),
        (("show", "half.py", "--data", "inputs=points.csv,b"), "'b' is not BLOCK=FILE"),
        (("show", "half.py", "--data", "points=points.csv"), "has no block 'points', it takes 'inputs', 'targets'"),
        (("show", "half.py", "--data", "points.csv", "--latex"), "--latex prints a theorem for all data"),
        (("show", "half.py", "half.py", "wrong.py", "--data", "points.csv"), "--data is for one theorem"),
        (
            ("check", "half.py", "--data", "points.csv", "--kind", "lemma"),
            "--kind, --workers, --scheduler, --observe and --proofs are not for --data",
        ),
        (("search", "half.py", "--data", "points.csv", "--processes", "2"), "--data is for one process"),
        (("search", "half.py", "--data", "points.csv", "--max-width", "8"), "asks for 4.1e+03 neurons at these data"),
        (("slack", "half.py", "--data", "points.csv", "--instance", "i.json"), "--instance has data of its own"),
    ],
)
def test_mistakes_are_one_sentence_and_status_two(desk, capsys, words, said):
    (desk / "wrong.py").write_text(MODULE)
    status, out, err = run(capsys, *words)
    assert status == 2
    assert said in err
    assert err.startswith("ntkverify: ")
    assert err.count("\n") == 1
    assert out == ""
