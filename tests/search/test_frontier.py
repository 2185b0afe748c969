"""Frontiers against thresholds that are known, necessity against assumptions that are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, load_theorem
from ntkverify.cli import main
from ntkverify.judging.case import Case
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.report.frontiers import table_rows
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.shrink_instance import shrink
from ntkverify.search.frontier.bisection import Bisection
from ntkverify.search.frontier.frontier import best_family, first_conclusion, frontier, prescribes_width
from ntkverify.search.frontier.setting import Setting
from ntkverify.theorem.parts import Family

REGRESSION = Path(__file__).parents[2] / "theorems/natural_gradient/gradient_descent_regression.py"
LARGEST = "the scaled largest entry"


def test_a_falling_frontier_is_where_it_is_known_to_be(theorem):
    """Data of modulus 1/2: ``scale |x| <= 2`` holds up to scale 4, and is assumed up to scale 2."""
    family = Family("vectors", lambda: Instance(data={"x": [0.5]}, parameters={"scale": 1.0}), AlgebraRun, {})
    theorem.families["vectors"] = family
    (found,) = frontier(Case(theorem, theorem.claims[LARGEST], family), Setting("scale", low=0.1, high=50), draws=80)
    assert found.low <= 4 <= found.high
    assert found.value == pytest.approx(4, rel=0.06)  # the bisection stops at a ratio of 1.05
    assert found.prescribed == pytest.approx(2, rel=1e-9)
    assert all(s.low <= s.held / s.draws <= s.high for s in found.samples)


def test_a_threshold_in_probability_lies_in_its_band(theorem):
    """P(u <= width / 100) passes 0.9 at width 90."""
    claim = "a fair coin"
    build = lambda: Instance(data={"x": [1.0]}, parameters={"scale": 1.0}, width=1)  # noqa: E731
    family = theorem.families["vectors"] = Family("vectors", build, AlgebraRun, {})

    def narrow(run):
        return np.random.default_rng(run.instance.seed).random() * 50 / run.m

    theorem.claims[claim] = replace(theorem.claims[claim], measure=narrow)
    (found,) = frontier(Case(theorem, theorem.claims[claim], family), Setting("width", high=1000), draws=400)
    assert found.low < 90 < found.high
    assert found.low <= found.value <= found.high
    assert found.prescribed is None


def test_a_width_beyond_memory_is_prescribed_all_the_same():
    """Three inputs in a plane ask for more neurons than any machine holds."""
    theorem = load_theorem(REGRESSION)
    claim, family = first_conclusion(theorem), theorem.families["any width"]
    angles = np.array([0.0, 0.2, 1.5])
    inputs = np.column_stack([np.cos(angles), np.sin(angles)])
    data = {"inputs": inputs, "targets": [1.0, 0.0, -1.0]}
    shares = {"tau": 0.25, "sigma": 0.25, "zeta": 1.0, "share_gram": 0.25, "share_flips": 0.25, "share_output": 0.25}
    instance = Instance(
        theorem=theorem.id, family=family.name, data=data, parameters={"C": 1.0, "delta": 0.1, **shares}, width=8,
        step=0.1, steps=2,
    )  # fmt: skip
    needed = float(family.run(instance, theorem).m_0)
    assert needed > 1e12
    case = Case(theorem, claim, family)
    search = Bisection(case, [instance], Setting(low=1, high=100), fraction=0.9, draws=20, entropy=0)
    assert search.prescribed() == pytest.approx(needed, rel=1e-9)
    assert prescribes_width(theorem, claim)


def test_a_threshold_that_hardly_any_draw_exercises_is_none(theorem):
    """The event happens in every twentieth draw only, too seldom to say anything."""
    build = lambda: Instance(data={"x": [1.0]}, parameters={"scale": 1.0}, width=1)  # noqa: E731
    family = theorem.families["vectors"] = Family("vectors", build, AlgebraRun, {})
    claim = replace(
        theorem.claims["a fair coin"],
        measure=lambda run: 1.0 / run.m,
        given=lambda run: np.random.default_rng(run.instance.seed).random() < 0.05,
    )
    (found,) = frontier(Case(theorem, claim, family), Setting("width", high=1000), draws=60)
    assert found.value is None


def test_training_lasts_as_long_as_asked_for(theorem):
    """What is measured grows with the steps: the threshold is twice as high for twice as many."""
    build = lambda: Instance(data={"x": [1.0]}, parameters={"scale": 1.0}, width=1, steps=3)  # noqa: E731
    family = theorem.families["vectors"] = Family("vectors", build, AlgebraRun, {})
    claim = replace(theorem.claims[LARGEST], measure=lambda run: 10.0 * run.steps / run.m)
    for steps, expected in ((None, 15), (40, 200), (80, 400)):
        (found,) = frontier(Case(theorem, claim, family), Setting("width", high=1000), draws=40, steps=steps)
        assert found.value == pytest.approx(expected, rel=0.06)
    with pytest.raises(NtkVerifyError, match="at least one training step"):
        frontier(Case(theorem, claim, family), steps=0)


def test_a_claim_without_a_threshold_says_on_which_side_it_is(theorem):
    family = Family("vectors", lambda: Instance(data={"x": [0.5]}, parameters={"scale": 1.0}), AlgebraRun, {})
    theorem.families["vectors"] = family
    for low, high, words in ((0.1, 1, "holds throughout"), (5, 50, "fails throughout")):
        curve = frontier(Case(theorem, theorem.claims[LARGEST], family), Setting("scale", low, high), draws=120)
        assert curve[0].value is None
        assert table_rows(curve)[0][1] == words
    theorem.claims[LARGEST] = replace(theorem.claims[LARGEST], given=lambda run: False)
    assert table_rows(frontier(Case(theorem, theorem.claims[LARGEST], family), Setting("scale"), draws=60))[0][1] == "-"


def test_where_nothing_can_be_run_the_conclusion_does_not_hold(theorem):
    """Below scale 1 every draw raises: that is where the threshold is."""
    family = Family("vectors", lambda: Instance(data={"x": [0.5]}, parameters={"scale": 1.0}), AlgebraRun, {})
    theorem.families["vectors"] = family

    def runs_from_one_on(run):
        if run.scale < 1:
            raise NtkVerifyError("too small to be run")
        return 1.0

    theorem.claims[LARGEST] = replace(theorem.claims[LARGEST], measure=runs_from_one_on)
    (found,) = frontier(Case(theorem, theorem.claims[LARGEST], family), Setting("scale", low=0.1, high=50), draws=60)
    assert found.value == pytest.approx(1, rel=0.06)
    assert found.low < 1
    assert found.samples[0].draws == found.samples[0].refused > 0
    assert found.samples[0].held == 0


def test_the_family_with_the_most_values_is_taken(theorem):
    theorem.families["fixed"] = Family("fixed", lambda: Instance(data={"x": [1.0]}), AlgebraRun, {})
    claim = first_conclusion(theorem)
    assert best_family(theorem, claim, against="n", entropy=0).name == "vectors"
    with pytest.raises(NtkVerifyError, match="nobody"):
        best_family(theorem, claim, against="nobody", entropy=0)


def test_the_command_writes_data_and_a_figure(module, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    options = ["frontier", str(module), "--claim", LARGEST, "--over", "scale", "--values", "1,2", "--draws", "40"]
    files = ["--out", str(tmp_path / "out"), "--png"]
    assert main([*options, *files]) == 0
    (data,) = (tmp_path / "out").glob("*.json")
    curve = json.loads(data.read_text())["curve"]
    assert [t["at"] for t in curve] == [1, 2]
    assert data.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "prescribed" in capsys.readouterr().out
    for wrong in (
        ["--over", "nothing"],
        ["--values", "99"],
        ["--against", "x"],
        ["--fraction", "2"],
        ["--claim", "no"],
    ):
        assert main([*options, *files, *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_matplotlib_is_one_sentence(monkeypatch, tmp_path):
    import sys

    from ntkverify.report.figures import phase_diagram

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NtkVerifyError, match=r"ntkverify\[report\]"):
        phase_diagram([], tmp_path / "x.png", over="m", against="n", title="", fraction=0.9)


def test_necessity_tells_needed_from_not_needed(module, tmp_path, capsys):
    command = [
        "necessity", str(module), "--claim", LARGEST, "--evaluations", "200", "--store", str(tmp_path / "s"),
        "--out", str(tmp_path / "out"), "--full",
    ]  # fmt: skip
    assert main(command) == 1  # needed, by a violation without it
    lines = capsys.readouterr().out.splitlines()
    assert main(command) == 1  # answered from the record
    assert capsys.readouterr().out.splitlines() == lines
    (entries,) = [line for line in lines if line.lstrip().startswith("entries at most 1")]
    (scale,) = [line for line in lines if line.lstrip().startswith("scale at most 2")]
    assert "violated (certified)" in entries
    assert "violated (certified)" in scale
    assert "x 1" in scale  # the smallest instance has one entry
    assert len(list((tmp_path / "out").iterdir())) == 2
    # one violation is enough: the engines after the first that finds one are not asked
    with Store(tmp_path / "s") as store:
        rows = store.summary()
    assert [row["finished"] for row in rows] == [True, True]  # nor do they look like cells to resume
    for relax in (["entries at most 1"], ["scale at most 2"]):
        alike = [row for row in rows if row["relax"] == relax]
        assert [bool(row["evaluations"]) for row in alike].count(True) == 1
        assert [status for row in alike for status in row["findings"]] == ["certified"]


def test_shrinking_reaches_the_smallest_of_everything():
    big = Instance(
        data={"inputs": np.linspace(0.1, 1, 12).reshape(4, 3), "targets": np.linspace(-1, 1, 4) / 3},
        parameters={"delta": 0.123456},
        width=1000,
        step=0.0987654321,
        steps=40,
        seed=2**100,
    )

    def violates(instance):
        rows = np.atleast_2d(instance.array("inputs"))
        return rows.shape[0] >= 2 and len(rows) == len(instance.data["targets"]) and instance.width >= 37

    small = shrink(big, violates)
    assert (len(small.data["inputs"]), len(small.data["targets"])) == (2, 2)
    assert len(small.data["inputs"][0]) == 1
    assert (small.width, small.steps, small.seed) == (37, 1, 0)
    assert set(np.ravel(small.data["inputs"])) | set(small.data["targets"]) <= {0.0, 1.0}
    assert small.step == 0.1
    assert violates(small)
    assert shrink(small, violates) == small
