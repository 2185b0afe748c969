"""A check as an object: the verdicts of pytest, as rows, as a table, in a notebook."""

import sys
import types

import pytest
import sympy

from ntkverify import Instance, NtkVerifyError, Source, Theorem, always, check_theorem
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.report.checked import Report

MODULE = """
import sympy
from ntkverify import Instance, Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem("Squares", source=Source(provenance="derived"), statement="$x^2 \\\\ge 0$")
theorem.instances("numbers", run=AlgebraRun, quick=3)(lambda: Instance(parameters={"x": 2.0}))
theorem.conclusion("at most four", of=lambda run: run.x**2, holds=always, bound=4)
theorem.control("at most <three>", of=lambda run: run.x**2, holds=always, bound=3)
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "squares.py"
    path.write_text(MODULE)
    return path


def theorem_with(bound):
    theorem = Theorem("Squares", source=Source(), statement="S")
    theorem.instances("numbers", run=AlgebraRun, quick=3)(lambda: Instance(parameters={"x": 2.0}))
    theorem.conclusion("squares", of=lambda run: run.x**2, holds=always, bound=bound)
    theorem.control("no squares", of=lambda run: run.x**2, holds=always, bound=1)
    return theorem


def test_a_file_and_a_theorem_are_checked_alike(module):
    report = check_theorem(module)
    assert report.passed
    assert report.counts == {"holds": 1, "refuted": 1}
    assert [v.claim for v in report] == ["at most four", "at most <three>"]
    assert report["at most f"].slack == 1.0
    assert check_theorem(theorem_with(5)).passed
    assert not check_theorem(theorem_with(2)).passed
    with pytest.raises(NtkVerifyError, match="may be 'at most four' or 'at most <three>'; say more of it"):
        report["at most"]


def test_single_claims_and_names_that_are_not_there():
    seen = []
    report = check_theorem(theorem_with(5), claims=["squares"], progress=seen.append)
    assert len(report) == 1
    assert seen == ["squares"]
    with pytest.raises(NtkVerifyError, match="has no claim 'sqares'; did you mean 'squares'"):
        check_theorem(theorem_with(5), claims=["sqares"])
    unknown = theorem_with(sympy.Symbol("who", positive=True))
    with pytest.raises(NtkVerifyError, match="has the symbol 'who', for which"):
        check_theorem(unknown)
    with pytest.raises(NtkVerifyError, match="has no conclusion"):
        check_theorem(Theorem("Empty", source=Source(), statement="S"))


def test_rows_a_table_and_a_page(module, monkeypatch):
    report = check_theorem(module)
    row = report["at most four"].to_dict()
    assert row["verdict"] == "holds"
    assert row == report.to_dicts()[0]
    assert "at most four" in str(report)
    assert str(report).endswith("1 holds, 1 refuted")
    assert repr(report) == "<Report on 'Squares': 1 holds, 1 refuted>"
    assert repr(report["at most <"]) == "<control 'at most <three>': refuted, slack 0.75>"
    page = report._repr_html_()
    assert "at most &lt;three&gt;" in page
    assert "<details>" in page
    assert r"at most \textless{}three\textgreater{} & refuted" in report._repr_latex_()
    assert "refuted: at most &lt;three&gt; (slack 0.75)" in report["at most <"]._repr_html_()
    frames = types.SimpleNamespace(DataFrame=lambda rows: ("frame", rows))
    monkeypatch.setitem(sys.modules, "pandas", frames)
    assert report.to_frame() == ("frame", report.to_dicts())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(NtkVerifyError, match="pip install pandas"):
        report.to_frame()


def test_an_empty_report_has_not_passed():
    empty = Report("T", (), left_out=(("a claim", "no reason"),))
    assert not empty.passed
    assert empty.summary == "no claim was put to the test; 1 left out"
    assert "  1: no reason\n     a claim" in str(empty)
