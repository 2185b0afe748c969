"""Damped natural gradient: what a run says of itself is what the weights do."""

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.lemmas import premises
from ntkverify.problems.natural_gradient.damped import DampedPathRun
from ntkverify.problems.regression import RegressionRun


class Damped(DampedPathRun, RegressionRun):
    activation = "tanh"


THEOREM = Theorem("damped", source=Source(provenance="derived"), statement="w+ = w - eta J^T (H + mu)^-1 r")
X = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
DATA = {"inputs": X, "targets": [1.0, -1.0, 0.5]}
INSTANCE = Instance(data=DATA, parameters={"mu": 0.3}, width=40, step=0.5, steps=3, seed=3)


@pytest.fixture(scope="module")
def run():
    return Damped(INSTANCE, THEOREM, backend="array")


def test_a_step_is_that_of_the_large_matrix(run):
    rows = run.jacobian_at(run.weights).reshape(3, -1)
    step = np.linalg.solve(rows.T @ rows + 0.3 * np.eye(rows.shape[1]), rows.T @ run.trajectory.residuals[0])
    assert run.trajectory.lengths[0] == pytest.approx(0.5 * np.linalg.norm(step), rel=1e-10)
    assert run.way[-1] == pytest.approx(run.trajectory.lengths.sum())


def test_the_recursion_leaves_no_more_than_rounding(run):
    after = run.damped_step + run.trajectory.remainders
    assert np.abs(run.trajectory.residuals[1:] - after).max() <= run.solve_error[1:].max()


def test_modes_are_those_of_the_eigenvectors(run):
    values, vectors = np.linalg.eigh(run.trajectory.grams[0])
    parts = run.trajectory.residuals @ vectors
    assert 0 < (values >= 0.3).sum() < 3
    np.testing.assert_allclose(run.modes(above=True), np.linalg.norm(parts[:, values >= 0.3], axis=1), atol=1e-12)
    np.testing.assert_allclose(run.modes(above=False), np.linalg.norm(parts[:, values < 0.3], axis=1), atol=1e-12)


def test_what_is_carried_falls_by_half_of_the_step(run):
    np.testing.assert_allclose(run.carried([1.0, 0.0, 2.0]), [0.0, 1.0, 0.75, 0.75**2 + 2])


def test_the_kernel_moves_with_the_jacobian(run):
    assert run.jacobian_pushes[0] == 0
    last = run.trajectory.grams[-1] @ np.linalg.inv(run.trajectory.grams[-1] + 0.3 * np.eye(3))
    first = run.trajectory.grams[0] @ np.linalg.inv(run.trajectory.grams[0] + 0.3 * np.eye(3))
    assert run.kernel_change[-1] == pytest.approx(np.linalg.norm(last - first, 2), rel=1e-9)
    assert run.kernel_change_error < 1e-9 * run.kernel_change[-1]


def test_balls_enclose_all_of_it(run):
    flint = pytest.importorskip("flint")
    with flint.ctx.workprec(128):
        exact = run.on("ball")
        pairs = [(exact.modes(above=True), run.modes(above=True))]
        pairs += [
            (getattr(exact, name), getattr(run, name)) for name in ("way", "paid", "jacobian_pushes", "kernel_change")
        ]
        pairs.append((exact.carried(exact.remainder), run.carried(run.remainder)))
    for balls, values in pairs:
        for ball, value in zip(balls, values, strict=True):
            low, high = float(ball.arb.lower()), float(ball.arb.upper())
            assert low - 1e-9 <= value <= high + 1e-9
            assert high - low < 1e-9


def test_unit_inputs_may_be_parallel_where_a_theorem_says_so():
    theorem = Theorem("parallel", source=Source(provenance="derived"), statement="no least eigenvalue")
    assert (
        premises.unit_inputs(theorem, parallel=True) == ("unit inputs", "targets at most C") == (*theorem.assumptions,)
    )
    twice = Instance(data={"inputs": X[[0, 0]], "targets": [1.0, 1.0]}, parameters={"C": 1.0, "mu": 0.3}, width=4)
    run = Damped(twice, theorem)
    assert all(assumption.margin(run) >= 0 for assumption in theorem.assumptions.values())
    with pytest.raises(NtkVerifyError, match="parallel"):
        _ = run.lambda_0
