"""``ntkverify frontier``."""

import json
from pathlib import Path

import pytest

from ntkverify.cli import main

THEOREM = Path(__file__).parents[2] / "theorems/natural_gradient/gradient_descent_regression.py"


def test_every_conclusion_that_prescribes_a_width_has_a_curve_and_a_figure(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    options = ["--claim", "L(k) <= (1 - eta lambda_0/2)^k L(0)"]
    options += ["--values", "2", "--draws", "20", "--high", "8", "--steps", "2", "--png"]
    assert main(["frontier", str(THEOREM), *options, "--out", str(tmp_path)]) == 0
    assert "prescribed / needed" in capsys.readouterr().out
    (data,) = tmp_path.glob("gradient_descent_regression.*.json")
    assert data.with_suffix(".png").exists()
    record = json.loads(data.read_text())
    assert (record["steps"], record["high"]) == (2, 8)
    assert [t["at"] for t in record["curve"]] == [2]
    assert all(s["value"] <= 8 for t in record["curve"] for s in t["samples"])
    # what is prescribed is asked for, not run
    assert all(t["prescribed"] > 1e4 for t in record["curve"])
