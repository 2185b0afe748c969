"""Neurons moved the worst way: what the lemmas measure of them is what the network does."""

import numpy as np
import pytest

from ntkverify import Instance, Source, Theorem
from ntkverify.lemmas.pinn.moved import MovedNeurons, keeps_signs
from ntkverify.problems.pinn import pinn

THEOREM = Theorem("T", source=Source(), statement="S")
DATA = {"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]]}


def moved(backend="array", *, width=64, **parameters):
    given = {"one": 0.0, "length": 2.0**-4, "alpha": 30.0, **parameters}
    instance = Instance(data=DATA, parameters=given, width=width, seed=3)
    return pinn(activation="relu3", coupled=True, kind=MovedNeurons)(instance, THEOREM, backend=backend)


@pytest.mark.parametrize("one", [0.0, 1.0])
def test_simpsons_rule_is_what_outputs_change_by(one):
    run = moved(one=one)
    assert keeps_signs(run)
    before, after = (run.executor.residuals(run._moved(run.executor, w), run.frozen) for w in run.ends)
    change = (run.ends[0] - run.ends[1]).ravel()
    assert np.linalg.norm(before - after - run.rows[2] @ change) == pytest.approx(run.missed, rel=1e-6)


def test_no_other_direction_changes_more():
    run = moved(one=1.0, length=2.0**-12)
    (at,) = np.flatnonzero((run.ends[0] != run.ends[1]).any(axis=1))
    start, most = run.rows[0], run.changed
    for way in np.random.default_rng(0).standard_normal((50, 3)):
        other = run.ends[0].copy()
        other[at] += 2.0**-12 * way / np.linalg.norm(way)
        rows = run.jacobian_at(other).reshape(len(start), -1)
        assert np.linalg.norm(rows - start) <= most * (1 + 1e-2)


def test_nothing_moves_where_a_sign_would_change():
    run = moved(width=2, length=10.0)
    assert run.distance == 0
    assert run.reach == 1
    assert not keeps_signs(run)


@pytest.mark.parametrize("name", ["changed", "missed", "gram_change", "reach", "distance"])
def test_balls_enclose_what_is_measured(name):
    plain, exact = moved(width=4), moved("ball", width=4)
    assert float(getattr(exact, name).arb.mid()) == pytest.approx(float(getattr(plain, name)), rel=1e-9)
    assert keeps_signs(exact) == keeps_signs(plain)
