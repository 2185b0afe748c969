"""``ntkverify slack`` and ``ntkverify mutants``."""

import json
from pathlib import Path

import pytest

from ntkverify.cli import main

ROOT = Path(__file__).parents[2]
THEOREM = str(ROOT / "theorems/natural_gradient/gradient_descent_regression.py")
GRADIENT = "max_r ||dL/dw_r|| <= sqrt(n/m) ||r||"


def test_a_witness_is_profiled_again(tmp_path, capsys):
    from ntkverify import load_theorem
    from ntkverify.judging.draws import draw_instances

    theorem = load_theorem(THEOREM)
    (instance,) = draw_instances(theorem.families["any width"], 1, entropy=0)
    content = {**json.loads(instance.to_json()), "theorem": theorem.id, "regime": "any width"}
    (tmp_path / "witness.json").write_text(json.dumps(content))
    options = ["--instance", str(tmp_path / "witness.json"), "--draws", "0"]
    assert main(["slack", THEOREM, *options, "--full"]) == 0
    assert GRADIENT in capsys.readouterr().out
    assert main(["slack", THEOREM, *options, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["instance"] == content
    assert GRADIENT in [row["claim"] for row in found["slack"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.py"], "there is no theorem file"),
        ([THEOREM, "--regime", "nowhere"], "has no family of instances 'nowhere'"),
        ([THEOREM, "--instance", str(ROOT / "README.md")], "README.md is not JSON"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(arguments, message, capsys):
    assert main(["slack", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_mutants_reports_every_mutant(capsys):
    assert main(["mutants", THEOREM, "--only", "at the largest step"]) == 0
    assert "1 of 1 mutants refuted" in capsys.readouterr().out
    assert main(["mutants", THEOREM, "--only", "at the largest step", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["claim"] == "eta ||H(k)|| <= 1 at the largest step"
