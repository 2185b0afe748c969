"""Markdown that keeps its cells, LaTeX that compiles."""

import shutil
import subprocess

import pytest

from ntkverify.report.files.changes import Change
from ntkverify.report.files.documents import latex_of, markdown_of
from ntkverify.report.files.schema import SCHEMA, Verdicts
from ntkverify.report.table import mostly_vacuous, verdict_table

AWKWARD = 'max_r ||w_r(k) - w_r(0)|| <= 4 sqrt(n) ~ 100% of {R} & #1 $x^2$ \\ `a` [b] "c" <d> *e*'


def record(**fields):
    found = {name: field.default for name, field in SCHEMA.items()}
    return found | {
        "theorem": "my_folder/first_one", "claim": AWKWARD, "kind": "lemma", "quantifier": "with_probability(0.9)",
        "verdict": "holds", "slack": 2.0, "instances": 15, "vacuous": 14, "unmet": {"width at least m_0": 14},
        "seconds": 1.0, "evidence": "0 of 39 draws failed", "missed": "rate < 0.1", "level": "exact statistics",
        "source": "own, derived", "settings": {"profile": "ci", "entropy": 7},
    } | fields  # fmt: skip


VERDICTS = Verdicts((record(), record(claim="b", kind="control", verdict="not refuted", remedy="remedy: draw_more")))
CHANGED = [Change("my_folder/first_one", AWKWARD, "slack", "1", "2")]


def test_markdown_has_a_row_of_seven_cells_for_every_claim():
    text = markdown_of(VERDICTS, CHANGED, "old.jsonl")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "rests on" not in line]
    cells = [len(line.replace(r"\|", "").strip("| ").split("|")) for line in rows]
    assert cells == [5, 5, 5, 7, 7, 7]
    assert "control: b" in text
    assert "because of 'width at least m\\_0' in 93%" in text
    assert "profile ci, entropy 7" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path):
    (tmp_path / "v.tex").write_text(latex_of(VERDICTS, CHANGED, "old_one.jsonl"), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "v.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "v.pdf").exists()
    assert "Overfull" not in done.stdout


def test_the_table_says_which_assumption_left_most_instances_out():
    assert mostly_vacuous(record(vacuous=7, unmet={"a": 7})) == ""
    lines = verdict_table([record(claim="c")])
    assert lines[-1] == "  'c' is vacuous because of 'width at least m_0' in 93%"
