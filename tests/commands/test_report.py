"""``ntkverify report``: from verdicts, or from nothing; each kind of file; what is refused."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from ntkverify.commands import needs
from ntkverify.report.files.schema import read_verdicts

for needed in ("jinja2", "latex2mathml", "graphlay", "matplotlib"):
    pytest.importorskip(needed)

POINTS = "x1,x2,y\n1,0,1\n0,1,-1\n"


@pytest.fixture
def checked(call, here):
    """The folder, with verdicts on file."""
    call("check", "small", "--verdicts", "v.jsonl")
    return here


def test_one_file_of_verdicts_is_enough_for_every_kind_of_report(checked, call):
    verdicts = read_verdicts("v.jsonl")
    for ending in ("html", "svg", "md", "tex", "txt", "json"):
        status, out, err = call("report", "small", "--verdicts", "v.jsonl", "-o", f"r.{ending}", "--curve-draws", "0")
        assert (status, err) == (0, "")
        assert f"written: r.{ending} (" in out
    assert json.loads((checked / "r.json").read_text())["version"] == 1
    assert read_verdicts("r.json").records == verdicts.records
    page = (checked / "r.html").read_text(encoding="utf-8")
    assert all(record["evidence"].split(";")[0] in page for record in verdicts.records)
    assert "ntkverify check theorems/small --full" in page
    ET.fromstring((checked / "r.svg").read_text(encoding="utf-8"))
    assert "squares sum to n at most" in (checked / "r.txt").read_text()
    assert (checked / "r.md").read_text().count("\n| ") == len(verdicts.records) + 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(checked, call):
    call("report", "small", "--verdicts", "v.jsonl", "-o", "r.tex")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "r.tex"], stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stdout[-1000:]


def test_without_verdicts_the_last_are_taken_and_what_was_changed_is_checked(call, here, monkeypatch):
    from ntkverify.commands.checking import session

    asked = []
    monkeypatch.setattr(
        session, "run_session", lambda *a, run=session.run_session, **o: asked.append(a) or run(*a, **o)
    )
    assert call("report", "-o", "r.md")[0] == 0
    assert len(asked) == 1
    text = (here / "r.md").read_text()
    assert "5 holds" in text or "4 holds" in text
    assert call("report", "-o", "again.md")[0] == 0
    assert len(asked) == 1
    assert (here / "again.md").read_text() == text
    with open("theorems/small.py", "a") as stream:
        stream.write("# changed\n")
    call("report", "-o", "again.md")
    assert len(asked) == 2


def test_two_files_are_compared(checked, call):
    lines = (checked / "v.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    worse = [{**rows[0], "verdict": "violated"}, {**rows[1], "slack": 3 * rows[1]["slack"]}, *rows[2:]]
    (checked / "new.jsonl").write_text("\n".join(map(json.dumps, worse)))
    status, out, _ = call("report", "--verdicts", "new.jsonl", "--against", "v.jsonl", "--curve-draws", "0")
    assert status == 1
    assert "2 differences from v.jsonl, 1 of them for the worse" in out
    page = (checked / "report.html").read_text(encoding="utf-8")
    assert "Since <code>v.jsonl</code>" in page
    assert "verdict: holds → violated" in page
    status, out, _ = call("report", "--verdicts", "v.jsonl", "--against", "new.jsonl", "-o", "r.md")
    assert (status, "2 differences from new.jsonl\n" in out) == (0, True)
    status, out, _ = call("report", "--verdicts", "v.jsonl", "--against", "v.jsonl", "-o", "r.txt")
    assert (status, "0 differences" in out) == (0, True)


def test_frontiers_and_necessity_come_from_what_searches_left(checked, call):
    frontier = ("frontier", "small", "--claim", "eight over m", "--family", "vectors", "--low", "2", "--high", "64")
    _, frontiers, _ = call(*frontier, "--draws", "40", "--json")
    (checked / "f.json").write_text(frontiers)
    _, necessity, _ = call("necessity", "small", "--evaluations", "40", "--json")
    (checked / "n.json").write_text(necessity)
    words = ("report", "small", "--verdicts", "v.jsonl", "--curve-draws", "0", "--with", "f.json", "--with", "n.json")
    assert call(*words)[0] == 0
    page = (checked / "report.html").read_text(encoding="utf-8")
    assert "from which width on it holds in 0.9 of the draws: eight over m is at most one" in page
    assert "which assumptions are needed" in page
    assert "entries at most 1" in page.partition("which assumptions are needed")[2]


def test_data_of_ones_own_end_in_one_file(here, call):
    from tests.commands.test_given import MODULE

    (here / "half.py").write_text(MODULE)
    (here / "points.csv").write_text(POINTS)
    status, out, err = call("report", "half.py", "--data", "points.csv", "--width", "512", "-o", "review.html")
    assert (status, err) == (0, "")
    assert "written: review.html" in out
    page = (here / "review.html").read_text(encoding="utf-8")
    assert "At these data" in page
    assert "points.csv" in page
    assert "Along training" in page
    assert "512 neurons" in page


class TestRefused:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("-o", "r.pdf"), "a report ends in one of .html .svg .md"),
            (("-o", "nowhere/r.html"), "can't be written; choose another --out"),
            (("--verdicts", "none.jsonl"), "can't be read (No such file or directory)"),
            (("--against", "none.jsonl"), "can't be read (No such file or directory)"),
            (("--with", "none.json"), "--with none.json can't be read"),
            (("--relax", "a"), "--draws and --relax go with --data"),
            (("--width", "5"), "--width goes with --data"),
        ],
    )
    def test_in_one_sentence_before_anything_is_computed(self, call, words, said):
        status, out, err = call("report", "small", *words)
        assert (status, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1

    def test_verdicts_on_other_theorems(self, checked, call):
        text = (checked / "v.jsonl").read_text().replace("theorems/small", "theorems/other")
        (checked / "v.jsonl").write_text(text)
        status, _, err = call("report", "small", "--verdicts", "v.jsonl")
        assert status == 2
        assert "v.jsonl has no verdict on theorems/small; it is about theorems/other" in err

    def test_without_the_packages_of_the_extra(self, here, call, monkeypatch):
        known = needs.importlib.util.find_spec
        monkeypatch.setattr(needs.importlib.util, "find_spec", lambda name: None if name == "graphlay" else known(name))
        status, _, err = call("report", "small")
        assert status == 2
        assert "pip install 'ntkverify[report]'" in err

    def test_a_page_needs_no_package_before_it_is_asked_for(self):
        program = "import ntkverify.report.page.content, ntkverify.report.graph.drawing, sys; "
        program += "assert not {'matplotlib', 'jinja2', 'graphlay', 'latex2mathml'} & set(sys.modules)"
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_failure_beyond_the_theorem_is_no_violation(here, call):
    from tests.commands.test_given import MODULE

    rate = "own.rate("
    module = MODULE.replace(rate, """
@theorem.assumption("m is at least 1000")
def wide(run):
    return run.m - 1000

""" + rate, 1)  # fmt: skip
    module += """
theorem.lemma("m is at least 900", of="m", holds=__import__("ntkverify").always, bound=900, from_below=True)
"""
    (here / "half.py").write_text(module)
    (here / "points.csv").write_text(POINTS)
    words = ("report", "half.py", "--data", "points.csv", "--width", "64", "--relax", "1000", "--draws", "3")
    status, out, err = call(*words, "--curve-draws", "0")
    assert (status, err) == (0, "")
    assert "1 fails" in out
    assert "violated" not in out
    page = (here / "report.html").read_text(encoding="utf-8").partition("</style>")[2].partition("<footer>")[0]
    assert "beyond the theorem, where a failure refutes nothing: the theorem assumes" in page
    assert ">violated<" not in page
