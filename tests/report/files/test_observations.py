"""Evaluations on file: their status, their margins, and that the verdict is the same with and without."""

import json

MODULE = """
import sympy
from ntkverify import Instance, Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem("Small", source=Source(), statement="values are at most 1")

@theorem.assumption("x is at most 2")
def small(run):
    return 2 - run.x

@theorem.assumption("x is odd")
def odd(run):
    return run.x % 2 - 0.5

@theorem.instances("some", run=AlgebraRun, quick=20)
def some(draw):
    from hypothesis import strategies as st
    return Instance(parameters={"x": float(draw(st.integers(0, 30)))})

@theorem.conclusion("x is at most one", holds=always, bound=sympy.Integer(1))
def conclusion(run):
    return run.x

@theorem.control("x is at most zero", holds=always, bound=sympy.Integer(0), assumes="x is at most 2")
def control(run):
    return run.x
"""


def test_every_evaluation_is_a_line(pytester):
    pytester.makeini("[pytest]\n")
    (pytester.path / "mine.py").write_text(MODULE, encoding="utf-8")
    done = pytester.runpytest_subprocess("--observe", "o.jsonl", "--verdicts", "v.jsonl")
    conclusion, control = map(json.loads, (pytester.path / "v.jsonl").read_text().splitlines())
    lines = [json.loads(text) for text in (pytester.path / "o.jsonl").read_text().splitlines()]
    mine = [one for one in lines if one["property"].endswith("x is at most one")]
    assert len(mine) == conclusion["instances"]
    for one in mine:
        x, features = one["arguments"]["parameters"]["x"], one["features"]
        assert features["margin of x is at most 2"] == 2 - x
        assert features["margin of x is odd"] == x % 2 - 0.5
        unmet = "x is at most 2" if x > 2 else "x is odd" if x % 2 == 0 else ""
        assert (one["status"], one["status_reason"]) == (("gave_up" if unmet else "passed"), unmet)
        if not unmet:
            assert features["margin"] < 0
    missed = [one["status_reason"] for one in mine if one["status"] == "gave_up"]
    assert conclusion["unmet"] == {name: missed.count(name) for name in conclusion["unmet"]}
    assert sum(conclusion["unmet"].values()) == conclusion["vacuous"]
    assert any(one["status"] == "failed" for one in lines if one["property"].endswith("x is at most zero"))
    share = 100 * conclusion["unmet"]["x is at most 2"] / conclusion["instances"]
    done.stdout.fnmatch_lines([f"*'x is at most one' is vacuous because of 'x is at most 2' in {share:.0f}%*"])
    # what is observed changes nothing
    pytester.runpytest_subprocess("--verdicts", "w.jsonl")
    again = [json.loads(text) for text in (pytester.path / "w.jsonl").read_text().splitlines()]
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in (conclusion, control)]


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_drawn(pytester):
    result = pytester.runpytest_subprocess("--observe", "nowhere/o.jsonl")
    result.stderr.fnmatch_lines(
        ["*--observe *nowhere/o.jsonl: the file can't be written (No such file or directory).*"]
    )
