"""Shared families: options are drawn in their order, widths are powers of two, own widths are fixed points."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st

from ntkverify import Instance
from ntkverify.instances import families, with_targets
from ntkverify.judging.draws import draw_instances
from ntkverify.theorem.parts import Family


def build(draw, *, width, fraction=1.0, steps=0, **parameters):
    return Instance(width=width, step=fraction, steps=steps, parameters=parameters)


def drawn(of, count=40):
    counts = dict.fromkeys(("quick", "ci", "thorough"), count)
    return draw_instances(Family("some", of, lambda *a: None, counts), count, entropy=1)


def test_training_draws_widths_and_fractions():
    found = drawn(families.training(build, powers=(3, 5), fractions=(0.5, 1.0), steps=7))
    assert {i.width for i in found} == {8, 16, 32}
    assert {i.step for i in found} == {0.5, 1.0}
    assert {i.steps for i in found} == {7}


@pytest.mark.parametrize("make", [families.separated, families.narrow])
def test_delta_joins_the_parameters(make):
    options = {"width": 4} if make is families.separated else {}
    (found, *_) = drawn(make(build, delta=0.25, R=1.5, **options), 1)
    assert found.parameters == {"R": 1.5, "delta": 0.25}


def test_beyond_stability_is_in_units_of_the_largest_step():
    (found,) = drawn(families.beyond_stability(build, times=3.0, width=4), 1)
    assert found.step == 4.5


def test_a_ladder_has_the_rungs_that_it_is_given():
    assert {i.width for i in drawn(families.ladder(build, powers=(1, 6)))} == {2, 64}


def test_an_own_width_that_grows_with_itself_is_a_fixed_point():
    def wanted(instance):
        return 50 + 10 * math.log(instance.width)

    (found, *_) = drawn(families.own_width(build, wanted, R=st.sampled_from([1.0, 2.0])), 4)
    assert found.width >= wanted(found) > found.width - 2


def test_targets_are_between_minus_one_and_one():
    points = {"interior": np.zeros((3, 2)), "boundary": np.ones((2, 2))}
    found = with_targets(lambda strategy: 0, points)
    assert found["source"].shape == (3,)
    assert found["values"].shape == (2,)
    assert max(np.abs(found["source"]).max(), np.abs(found["values"]).max()) <= 1


def test_both_ends_of_an_interval_are_different_points():
    from ntkverify.instances import box_points

    for entropy in range(20):
        points = box_points(lambda strategy, entropy=entropy: entropy, 2, 2, 1)
        assert sorted(points["boundary"].ravel()) == [0.0, 1.0]
