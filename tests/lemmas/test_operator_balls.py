"""Balls of a neural operator: the width that they ask for, and which starts and steps are inside."""

from types import SimpleNamespace

import numpy as np
import pytest
from sympy import Rational

from ntkverify import Instance, Source, Theorem
from ntkverify.data.hypotheses import least_width
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.balls import SPLITS, OperatorBalls, sigma, split, tau
from ntkverify.lemmas.neural_operator.bounds import Lambda, norm_sum
from ntkverify.problems.neural_operator.run import operator

SHARES = {"share_gram": "1/4", "share_flips": "1/4", "share_branch": "1/4", "share_trunk": "1/4"}
SPLIT = {"tau": "1/4", "sigma": "1/4", "zeta": "3", "theta": "1/1000", **SHARES}


@pytest.fixture(scope="module")
def theorem():
    return Theorem("T", source=Source(), statement="S")


@pytest.fixture(scope="module")
def balls(theorem):
    descent = GradientDescent(theorem, rate=Lambda, norm=norm_sum, kept=1 - tau - sigma, splits=SPLITS)
    return OperatorBalls(theorem, descent)


@pytest.mark.heavy
@pytest.mark.parametrize(("functions", "units", "scale"), [(1, 1, 1.0), (2, 3, 1e4)])
def test_what_a_network_is_asked_for_leads_to_the_least_width(balls, theorem, functions, units, scale):
    data = {"functions": np.eye(2)[:functions], "queries": np.eye(2)[:1]}
    parameters = {"p": units, "C": 1.0, "delta": 0.1, "alpha": scale}
    free = split(**{name: Rational(part) for name, part in SPLIT.items()})
    shares = {symbol.name: float(value) for symbol, value in free.items()}

    def at(width):
        instance = Instance(data=data, parameters={**parameters, **shares}, width=width, step=1.0)
        return operator(coupled=True)(instance, theorem)

    width = balls.width(**data, split=free, scale=scale, **{"p": units, "C": 1, "delta": Rational(1, 10)})
    assert width % 2 == 0
    assert least_width(balls.wanted, at) == width
    margins = [at(width - 2).evaluate(r.right - r.left) for r in balls.requirements if not r.closed]
    assert min(margins) < 0


def stub(**other):
    """All bounds 1, a unit's radius 1/2."""
    drift = {"trunk": np.array([0.0, 0.9, 0.9]), "branch": np.array([0.0, 0.9, 0.9])}
    known = {"R": 1.0, "S": 1.0, "p": 4.0, "near": 1.0, "near_unit": 1.0, "beta": 0.5, "gamma": 0.5}
    near = {"trunk_near": lambda radius: 0.1, "branch_near": lambda radius: 0.1, "number": float}
    found = SimpleNamespace(**known, **near, evaluate=lambda bound: 1.0, unit_drift=np.array([0.0, 0.4, 0.4]))
    found.of_group = lambda name, group: drift[group]
    vars(found).update(other)
    return found


class TestInside:
    def test_all_weights_in_their_balls(self, balls):
        assert balls.inside(stub()).tolist() == [True, True, True]
        assert balls.step_inside(stub()).tolist() == [True, True]

    def test_one_unit_outside_of_its_own(self, balls):
        run = stub(unit_drift=np.array([0.0, 0.6, 0.4]))
        assert balls.inside(run).tolist() == [True, False, True]
        assert balls.step_inside(run).tolist() == [False, False]
        assert balls.moved(run).tolist() == [0, 1.2, 0.9]

    @pytest.mark.parametrize("other", [{"beta": 1.1}, {"gamma": 1.1}, {"branch_near": lambda radius: 1.1}])
    def test_a_start_outside(self, balls, other):
        assert not balls.inside(stub(**other)).any()
        assert balls.features_bounded(stub(**other)) == ("branch_near" in other)


def test_a_unit_that_moves_farther_than_its_share_switches_unseen(theorem):
    """One unit of each neuron moves by S, the others rest: none was within S/sqrt(p), and yet the twin changes.

    So the change is not bounded by the share within S/sqrt(p) where only all units together are known to move by S.
    """
    S, units = 0.1, 4
    data = {"functions": np.eye(2)[:1], "queries": np.eye(2)[:1]}
    run = operator()(Instance(data=data, parameters={"p": units}, width=8, step=1.0), theorem)
    weights = np.ones_like(run.weights)
    weights[:, 2] = -0.9 * S
    arguments = np.abs(weights[:, 2:].reshape(8, units, 2)[:, :, 0])
    assert not (arguments <= S / np.sqrt(units)).any()
    moved = weights.copy()
    moved[:, 2] += S
    change = np.linalg.norm(run.group_gram_at(moved, "branch") - run.group_gram_at(weights, "branch"))
    assert operators.branch_gram_change(1.0, 0.0, 0.0) == 0
    assert change > 0.2
