"""The reproduction runs in small, resumes from what is there, and learns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce_neural_operator.py"


def call(folder, *options):
    return subprocess.run(
        [sys.executable, SCRIPT, "--out", folder, "--problems", "antiderivative", *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.heavy
def test_it_runs_resumes_and_reports(tmp_path):
    options = ("--seeds", "1", "--gd-steps", "300", "--ngd-steps", "10")
    first = call(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    table = (tmp_path / "tables.md").read_text()
    assert "| antiderivative | NGD | 0.5 | 10 |" in table
    runs = (tmp_path / "runs.jsonl").read_text()
    descent, natural = (json.loads(line) for line in runs.splitlines())
    assert natural["test_error"] < 0.2
    assert natural["residual"] < descent["residual"] < 0.6
    again = call(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "runs.jsonl").read_text() == runs  # nothing was run twice


def test_bad_options_are_one_sentence(tmp_path):
    found = call(tmp_path, "--seeds", "0")
    assert found.returncode != 0
    assert "must be at least 1" in found.stderr
    assert "Traceback" not in found.stderr
