"""The scripts as commands: what they print, and one sentence and a status for what they can't do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THEOREM = ROOT / "theorems/natural_gradient/gradient_descent_regression.py"


def call(script, *arguments):
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_witness_is_profiled_again(tmp_path):
    from ntkverify import load_theorem
    from ntkverify.judging.draws import draw_instances

    theorem = load_theorem(THEOREM)
    (instance,) = draw_instances(theorem.families["any width"], 1, entropy=0)
    content = {**json.loads(instance.to_json()), "theorem": theorem.id, "regime": "any width"}
    (tmp_path / "witness.json").write_text(json.dumps(content))
    done = call(
        "slack_profile.py",
        THEOREM,
        "--instance",
        tmp_path / "witness.json",
        "--draws",
        0,
        "--json",
        tmp_path / "out.json",
    )
    assert done.returncode == 0, done.stderr
    assert "max_r ||dL/dw_r|| <= sqrt(n/m) ||r||" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["instance"] == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.py"], "there is no theorem file"),
        ([THEOREM, "--regime", "nowhere"], "has no instances 'nowhere'"),
        ([THEOREM, "--instance", ROOT / "README.md"], "README.md is not JSON"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(arguments, message):
    done = call("slack_profile.py", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_width_frontier_writes_a_curve_and_a_figure_for_each_conclusion(tmp_path):
    pytest.importorskip("matplotlib")
    options = ["--only", "L(k)", "--draws", "20", "--max-width", "8", "--steps", "2", "--out", tmp_path]
    done = call("width_frontier.py", THEOREM, *options)
    assert done.returncode == 0, done.stderr
    assert "prescribed / needed" in done.stdout
    (data,) = tmp_path.glob("gradient_descent_regression.*.json")
    assert data.with_suffix(".png").exists()
    record = json.loads(data.read_text())
    assert (record["steps"], record["max_width"]) == (2, 8)
    assert [t["at"] for t in record["curve"]] == [1, 2, 3, 4, 5, 6]
    assert all(s["value"] <= 8 for t in record["curve"] for s in t["samples"])
    # what is prescribed is asked for, not run
    assert all(t["prescribed"] > 1e4 for t in record["curve"])


def test_mutate_reports_every_mutant(tmp_path):
    done = call("mutate.py", THEOREM, "--only", "at the largest step", "--json", tmp_path / "fates.json")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 mutants refuted" in done.stdout
    assert json.loads((tmp_path / "fates.json").read_text())[0]["claim"] == "eta ||H(k)|| <= 1 at the largest step"
    done = call("mutate.py", THEOREM, "--only", "at the largest step", "--past-slack", "--json", tmp_path / "past.json")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 bounds refuted past their slack" in done.stdout
    assert json.loads((tmp_path / "past.json").read_text())[0]["past"] == "101/100"
