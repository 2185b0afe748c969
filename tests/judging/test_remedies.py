"""What an open verdict names as its remedy, and what a witness records."""

import json

import numpy as np
import pytest
import sympy

from ntkverify import Check, Instance, NtkVerifyError, Source, Theorem, always, identity, with_probability
from ntkverify.judging.slack import Threshold, blame
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.regression import RegressionRun
from ntkverify.training import GradientDescent

x = sympy.Symbol("x", real=True)


def verdict(measure, *, run=AlgebraRun, instance=None, assumption=None, **options):
    theorem = Theorem("T", source=Source(), statement="S")
    if assumption is not None:
        theorem.assumption("met")(assumption)
    theorem.instances("some", run=run, quick=2)(lambda: instance or Instance(data={"x": [1.0]}, width=1))
    theorem.conclusion("c", **options)(measure)
    return Check(theorem).verdict(theorem.claims["c"])


@pytest.mark.parametrize(
    ("found", "remedy"),
    [
        (lambda: verdict(lambda run: 0, holds=always, bound=1, assumption=lambda run: -1), "meet the assumption 'met'"),
        (lambda: verdict(lambda run: 0, holds=always, bound=1, given=lambda run: False), "meet the event given=..."),
        (lambda: verdict(lambda run: 1 + 1e-15, holds=always, bound=1), "attained=True"),
        (lambda: verdict(lambda: (sympy.sin(x) ** 2, sympy.Function("f")(x)), holds=identity), "error=..."),
        (
            lambda: verdict(lambda run: 1 + 1e-15, holds=with_probability(sympy.Rational(1, 2)), bound=1),
            "attained=True",
        ),
        (
            lambda: verdict(
                lambda run: np.random.default_rng(run.instance.seed).random(),
                holds=with_probability(sympy.Rational(1, 2)),
                bound=sympy.Rational(49, 100),
            ),
            "--ntk-profile ci or thorough",
        ),
    ],
)
def test_an_inconclusive_verdict_names_its_remedy(found, remedy):
    found = found()
    assert found.status == "inconclusive", found.evidence
    assert remedy in found.remedy
    assert found.record()["remedy"] == found.remedy


def test_what_is_decided_needs_none():
    assert verdict(lambda run: 0, holds=always, bound=1).remedy == ""
    assert verdict(lambda run: 2, holds=always, bound=1).remedy == ""


class OwnStep(RegressionRun):
    """Sets its step itself; the instance has none."""

    def training(self):
        return GradientDescent(0.25)


def test_a_witness_has_the_step_that_its_run_set():
    instance = Instance(data={"inputs": [[1.0]], "targets": [1.0]}, width=8, steps=2)
    found = verdict(lambda run: run.losses.max(), run=OwnStep, instance=instance, holds=always, bound=1e9)
    assert json.loads(found.witness)["step"] == 0.25
    untrained = verdict(lambda run: float(run.m), run=OwnStep, instance=instance, holds=always, bound=1e9)
    assert json.loads(untrained.witness)["step"] == 0  # nothing was trained


def test_what_fails_in_a_module_has_its_line(tmp_path):
    from ntkverify import load_theorem

    path = tmp_path / "mine.py"
    path.write_text(
        "from ntkverify import Instance, Source, Theorem, always\n"
        "from ntkverify.problems.algebra import AlgebraRun\n"
        "theorem = Theorem('T', source=Source(), statement='S')\n"
        "class Run(AlgebraRun):\n"
        "    def __init__(self, *a, **k):\n"
        "        raise KeyError('mine')\n"
        "theorem.instances('some', run=Run, quick=1)(lambda: Instance())\n"
        "theorem.conclusion('c', holds=always, bound=1)(lambda run: run.nothing)\n"
        "theorem.control('d', holds=always, bound=1)(lambda run: 2)\n"
    )
    theorem = load_theorem(path)
    with pytest.raises(NtkVerifyError, match=r"^mine.py:6: KeyError: 'mine'$"):
        Check(theorem).verdict(theorem.claims["c"])
    path.write_text(path.read_text().replace("        raise", "        super().__init__(*a, **k); return; raise"))
    theorem = load_theorem(path)
    with pytest.raises(NtkVerifyError, match=r"^mine.py:8: Run of theorem 'T' does not know 'nothing'"):
        Check(theorem).verdict(theorem.claims["c"])


def test_an_error_of_ours_passes_as_it_is(monkeypatch):
    def fails(*arguments):
        raise RuntimeError("of ours")

    monkeypatch.setattr("ntkverify.judging.check.judge", fails)
    with pytest.raises(RuntimeError, match="of ours"):
        verdict(lambda run: 0, holds=always, bound=1)


def test_nobody_is_to_blame_where_nothing_was_concluded():
    lemma = Threshold("a lemma", "lemma", 64)
    assert "No conclusion is checked on these instances" in blame([lemma], 1000, 128)
    assert "needs a width" in blame([], 1000, 128)
    assert "to blame is 'a lemma'" in blame([lemma, Threshold("c", "conclusion", 2)], 1000, 128)
