"""The comparison runs in small, resumes from what is there, and its verdicts are those of the counts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def call(folder, *options):
    return subprocess.run(
        [sys.executable, SCRIPTS / "reproduce_differentiation.py", "--out", folder, *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.heavy
def test_it_runs_resumes_and_reports(tmp_path):
    options = ("--equations", "Poisson", "--activations", "sin", "--draws", "9", "--exact-draws", "1", "--size", "16")
    options += ("--correlated", "4", "--parts", "above", "correlation", "plateau")
    first = call(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    table = (tmp_path / "tables.md").read_text()
    assert "| H3, one threshold N eps | float64 | 1 | yes 9/9 [0.56, 1.00] |" in table
    # definitions that agree in every cell share their rows
    assert re.search(r"H1, one threshold N eps[^|]*H4[^|]*\| float64 \| 5 \| no 0/9 \[0.00, 0.44\] \|", table)
    assert "| H3, noise-aware | float64 | 1 | no 0/9" in table
    assert "| Poisson, sin | exact |" in table
    runs = (tmp_path / "runs.jsonl").read_text()
    assert {json.loads(line)["part"] for line in runs.splitlines()} == {"above", "correlation", "plateau"}
    again = call(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "runs.jsonl").read_text() == runs  # nothing was run twice
    assert (tmp_path / "tables.md").read_text() == table


def test_bad_options_are_one_sentence(tmp_path):
    found = call(tmp_path, "--draws", "0")
    assert found.returncode != 0
    assert "must be at least 1" in found.stderr
    assert "Traceback" not in found.stderr
