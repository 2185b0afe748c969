"""The code in the documentation of the symbols runs as it stands."""

import re
from pathlib import Path

import numpy as np

import ntkverify.symbolic.network.activations as activations

PAGE = Path(__file__).parents[2] / "docs" / "symbols.md"


def test_every_block_runs_in_one_session(monkeypatch, capsys):
    # the page registers an activation; the registry is put back afterwards
    monkeypatch.setattr(activations, "_REGISTRY", dict(activations._REGISTRY))
    rng = np.random.default_rng(0)
    names = {"points": rng.standard_normal((4, 3)), "a": rng.random((3, 2)), "b": rng.random((2, 2))}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert "the Gram matrix stays close" in capsys.readouterr().out
