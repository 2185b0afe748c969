"""The first step of natural gradient descent against the trajectory that goes through it."""

import numpy as np
import pytest

from ntkverify import Instance, Source, Theorem
from ntkverify.problems.natural_gradient.first_step import first_step
from ntkverify.problems.pinn import pinn

THEOREM = Theorem("t", source=Source(provenance="derived"), statement="s")
RNG = np.random.default_rng(0)
DATA = {
    "interior": RNG.uniform(size=(2, 2)),
    "boundary": RNG.uniform(size=(2, 2)),
    "source": RNG.uniform(size=2) / 10,
    "values": RNG.uniform(size=2) / 10,
}


def instance(share=1.0):
    data = {**DATA, "source": share * DATA["source"], "values": share * DATA["values"]}
    return Instance(data=data, width=500, step=1.0, steps=1, seed=3)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_it_is_the_first_step_of_the_trajectory(activation):
    run = first_step(activation=activation)(instance(), THEOREM)
    whole, half, rounding, squares, cubes, weight_norm = run.first_step
    for found, share in ((whole, 1.0), (half, 0.5)):
        options = {"activation": activation, "method": "natural gradient", "relative": True}
        wanted = pinn(**options)(instance(share), THEOREM)
        assert found == pytest.approx(wanted.remainder[0], abs=rounding + wanted.remainder_error[0])
        if share == 1.0:
            assert weight_norm == pytest.approx(wanted.trajectory.weight_norm.max())
            longest, length = wanted.trajectory.drift[1].max(), np.sqrt(500) * wanted.trajectory.drift_rms[1]
            assert squares == pytest.approx(length**2)
            # sum |d|^3 is at least its value at equal lengths and at most the longest times sum |d|^2
            assert length**3 / np.sqrt(500) <= cubes <= longest * length**2
    assert run.residual_0 == pytest.approx(np.linalg.norm([*DATA["source"], *DATA["values"]]) / np.sqrt(2))
    assert rounding < whole / 1000


def test_signs_are_fair_or_all_plus_one():
    assert set(first_step(activation="tanh")(instance(), THEOREM).frozen[:, 0]) == {-1, 1}
    plain = first_step(activation="tanh", random_signs=False)(instance(), THEOREM)
    assert set(plain.frozen[:, 0]) == {1}
    assert (plain.weights == first_step(activation="tanh")(instance(), THEOREM).weights).all()
