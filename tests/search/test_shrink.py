"""Violations become small: inside their family, and networks beyond it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from ntkverify import Instance, load_theorem
from ntkverify.instances import generator
from ntkverify.judging.case import Case
from ntkverify.judging.falsehoods import planted
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.search.campaign.campaign import results, search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.settle import Draws, settle
from ntkverify.search.evidence.shrink_in_family import lower
from ntkverify.search.evidence.shrink_instance import shrink
from ntkverify.search.evidence.violation import Violation
from ntkverify.search.score import VACUOUS, Score, score
from ntkverify.search.space.coordinates import GRID, Space
from ntkverify.theorem.parts import Family

REGRESSION = Path(__file__).parents[2] / "theorems/natural_gradient/gradient_descent_regression.py"
GRADIENT = "max_r ||dL/dw_r|| <= sqrt(n/m) ||r||"


def test_a_smaller_size_is_searched_with_other_numbers():
    """Two numbers with a sum beyond 1.6 violate as well as six with a sum beyond 4.8, but the first two need not."""

    def build(draw):
        return Instance(data={"x": generator(draw).uniform(0, 1, draw(st.integers(1, 6)))})

    space = Space(Family("r", build, AlgebraRun, {}), "t")

    def measure(instance):
        x = np.array(instance.data["x"])
        return Score(VACUOUS) if len(x) < 2 else Score(x.mean() - 0.8, failed=x.mean() > 0.8)

    rng = np.random.default_rng(0)
    while True:
        vector = rng.integers(0, GRID, space.dimension).tolist()
        if len(space.instance(vector).data["x"]) == 6 and measure(space.instance(vector)).failed:
            break
    small = space.instance(lower(vector, space.instance, measure, most=400))
    assert len(small.data["x"]) == 2
    assert measure(small).failed


def test_turns_that_do_not_matter_are_dropped():
    turned = Instance(width=4, seed=2**90, turns=[(0.3, 10), (0.2, 11), (0.1, 12)])
    kept = shrink(turned, lambda instance: (0.2, 11) in instance.turns)
    assert kept.turns == ((0.2, 11),)
    far = Instance(width=4, seed=2**90, turns=[(0.31234567891, 2**100), (0.2, 2**101)])
    simple = shrink(far, lambda instance: any(angle > 0.25 for angle, _ in instance.turns))
    assert simple == Instance(width=1, seed=0, turns=[(0.3, 1)])
    assert shrink(turned, lambda instance: True) == Instance(width=1, seed=0)


def test_a_probability_that_would_round_to_one_hides_no_later_number():
    near = Instance(parameters={"delta": 0.912345, "other": 0.123456}, width=1)
    assert shrink(near, lambda instance: instance.width == 1).parameters == {"delta": 0.9, "other": 0.1}
    kept = shrink(near, lambda instance: instance.parameters["delta"] > 0.911)
    assert kept.parameters == {"delta": 0.92, "other": 0.1}


def test_a_factor_of_the_weights_is_dropped_or_rounded():
    scaled = Instance(width=4, seed=2**90, scale=0.31234567891)
    assert shrink(scaled, lambda instance: instance.width > 0) == Instance(width=1)
    assert shrink(scaled, lambda instance: instance.scale < 0.9) == Instance(width=1, seed=0, scale=0.89)
    longer = replace(scaled, scale=3.33333)
    assert shrink(longer, lambda instance: instance.scale > 1.1) == Instance(width=1, seed=0, scale=1.3)
    # beyond a threshold that rounding to nearest would cross
    assert shrink(longer, lambda instance: instance.scale > 3.3331) == Instance(width=1, seed=0, scale=4.0)


def test_evenness_of_the_weights_is_dropped_or_rounded():
    even = Instance(width=4, seed=2**90, evenness=0.31234567891)
    assert shrink(even, lambda instance: instance.width > 0) == Instance(width=1)
    assert shrink(even, lambda instance: instance.evenness > 0) == Instance(width=1, seed=0, evenness=0.3)
    assert shrink(even, lambda instance: instance.evenness in (even.evenness, 1)).evenness == 1
    assert shrink(even, lambda instance: 0.3123 < instance.evenness < 1) == Instance(width=1, seed=0, evenness=0.4)


def test_a_planted_falsehood_about_networks_ends_with_one_sample_one_dimension_and_few_neurons():
    """Nine tenths of the gradient bound fail for a single active neuron on a single input: nothing is smaller."""
    pytest.importorskip("flint")
    theorem = load_theorem(REGRESSION)
    plant = f"{GRADIENT} * 9/10"
    (cell,) = cells_of(
        theorem, path=REGRESSION, claims=[GRADIENT], families=["any width"], plants=[plant], engines=["mutation"],
        evaluations=60,
    )  # fmt: skip
    with Store(None) as store:
        assert search_cell(theorem, cell, store, path=REGRESSION)
        ((_, row),) = results(store, [cell])
    ((status, content),) = row["violations"]
    assert status == "certified"
    # the family's own stays the witness; what is smaller than any of it stands beside
    assert content["instance"]["width"] >= 1
    instance = content["evidence"]["outside the family"]["instance"]
    assert np.shape(instance["data"]["inputs"]) == (1, 1)
    assert (instance["width"], instance["steps"]) == (1, 1)
    with planted(theorem, [plant]):
        restored = Instance.from_json(json.dumps(instance))
        assert score(cell.case(theorem), restored).failed


def test_what_balls_refute_inside_the_family_is_no_violation_beyond_it(theorem, module, monkeypatch):
    """A shrunk network that violates does not stand for an instance of the family that does not."""
    pytest.importorskip("flint")
    from ntkverify.search.evidence import settle as module_of_settle
    from ntkverify.search.evidence.certify import Certificate

    claim, family = theorem.claims["squares sum to n at most"], theorem.families["vectors"]
    case = Case(theorem, claim, family, relaxed=("entries at most 1",))
    drawn = Instance(data={"x": [2.0]}, parameters={"scale": 1.0}, width=4, theorem=theorem.id, family="vectors")
    seen = []

    def answer(case, instance):
        seen.append(instance.width)
        return Certificate("REFUTED" if instance.width == 4 else "CERTIFIED", "", 128)

    monkeypatch.setattr(module_of_settle, "certify", answer)
    found = settle(case, Violation.suspected(case, drawn, path=module), draws=Draws())
    assert seen == [4]  # nobody asks for what lies beyond
    assert found.status == "refuted"
