"""The reproduction runs in small, resumes from what is there, and survives a damaged line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce_natural_gradient.py"


def call(folder, *options):
    return subprocess.run(
        [sys.executable, SCRIPT, "--out", folder, "--problems", "poisson-1d", "--seeds", "1", *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.heavy
def test_it_runs_resumes_and_reports(tmp_path):
    options = ("--methods", "NGD", "Adam", "--parts", "main", "--baseline-steps", "80")
    first = call(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    table = (tmp_path / "tables.md").read_text()
    assert "| 1-D Poisson | NGD | 0.5 | 40 |" in table
    assert "| 1-D Poisson | Adam | 1 of 1 | 1 of 1 | 1 of 1 |" in table
    runs = (tmp_path / "runs.jsonl").read_text()
    records = [json.loads(line) for line in runs.splitlines()]
    assert [r["part"] for r in records].count("pilot") == 4
    natural, adam = (r for r in records if r["part"] == "main")
    assert 0 < natural["error"] < adam["error"] < adam["equal_steps"]
    (tmp_path / "runs.jsonl").write_text(runs + '{"half')
    again = call(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert "damaged line" in again.stderr
    assert (tmp_path / "runs.jsonl").read_text().startswith(runs)  # nothing was run twice
    assert (tmp_path / "tables.md").read_text() == table


def test_bad_options_are_one_sentence(tmp_path):
    found = call(tmp_path, "--seeds", "0")
    assert found.returncode != 0
    assert "must be at least 1" in found.stderr
    assert "Traceback" not in found.stderr
