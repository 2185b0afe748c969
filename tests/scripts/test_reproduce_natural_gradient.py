"""The reproduction runs in small, resumes from what is there, and survives a damaged line."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce_natural_gradient.py"


def call(folder, *options):
    return subprocess.run(
        [sys.executable, SCRIPT, "--out", folder, "--problems", "poisson-1d", "--seeds", "1", *options],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_resumes_and_reports(tmp_path):
    options = ("--methods", "NGD", "Adam", "--parts", "main", "--steps", "8", "--baseline-steps", "3")
    first = call(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    assert "| 1-D Poisson | 320, 22 |" in (tmp_path / "tables.md").read_text()
    runs = (tmp_path / "runs.jsonl").read_text()
    assert len(runs.splitlines()) == 2
    assert json.loads(runs.splitlines()[0])["error"] > 0
    (tmp_path / "runs.jsonl").write_text(runs + '{"half')
    again = call(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert "damaged line" in again.stderr
    assert (tmp_path / "runs.jsonl").read_text().startswith(runs)  # nothing was run twice


def test_bad_options_are_one_sentence(tmp_path):
    found = call(tmp_path, "--eta", "2")
    assert found.returncode != 0
    assert "eta in (0, 1]" in found.stderr
    assert "Traceback" not in found.stderr
