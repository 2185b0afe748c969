"""The theorem that docs/add_a_theorem.md builds in front of the reader is collected, holds, and hangs together."""

import json
import re
from pathlib import Path

import pytest

from ntkverify import load_theorem
from ntkverify.theorem.proof import proof_of

PAGE = (Path(__file__).parents[1] / "docs" / "add_a_theorem.md").read_text(encoding="utf-8")
MODULE = "\n\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "heavy_ball.py"
    path.write_text(MODULE, encoding="utf-8")
    return path


def test_it_hangs_together(path):
    theorem = load_theorem(path)
    proof = proof_of(theorem)
    assert len(proof.pieces) == 1
    assert proof.unused == ()
    assert theorem.roles.data == {"inputs": ("n", "d"), "targets": ("n",)}
    assert len([line for line in MODULE.splitlines() if line.strip()]) <= 110


@pytest.mark.parametrize("entropy", ["0", "5"])
def test_its_claims_hold_and_its_controls_are_refuted(pytester, path, entropy):
    result = pytester.runpytest_subprocess(path, "--verdicts", "v.jsonl", "--ntk-entropy", entropy)
    result.assert_outcomes(passed=7)
    written = [json.loads(line) for line in (pytester.path / "v.jsonl").read_text().splitlines()]
    assert [v["verdict"] for v in written].count("refuted") == 2
    # the page's table, whose sentences are cut to its width
    table = [line.split("  ")[2].removeprefix("control: ") for line in PAGE.splitlines() if line.startswith("    ")]
    assert all(any(v["claim"].startswith(row.rstrip("…")) for row in table if len(row) > 20) for v in written)
