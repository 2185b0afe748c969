"""The physics-informed run against dense definitions, and its trajectory against the training module."""

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.problems.pinn import PinnRun, heat_equation, pinn, poisson_equation, problem_neuron
from ntkverify.training import HeavyBall, dense_least_norm, gradient_descent, natural_gradient_descent

EPS = np.finfo(float).eps
THEOREM = Theorem("t", source=Source(provenance="derived"), statement="s")
RNG = np.random.default_rng(0)
DATA = {
    "interior": RNG.uniform(size=(4, 2)),
    "boundary": RNG.uniform(size=(3, 2)),
    "source": RNG.uniform(size=4),
    "values": RNG.uniform(size=3),
}


def make(method="gradient", activation="tanh", **options):
    instance = Instance(data=DATA, width=300, step=options.pop("step", 0.05), steps=3, seed=7)
    return pinn(activation=activation, method=method, **options)(instance, THEOREM)


def network(run):
    return draw_weights(run.neuron, run.instance.seed, run.m)


def executor(run):
    return make_executor(
        run.neuron,
        run.points,
        {"interior": DATA["source"], "boundary": DATA["values"]},
        scale={"interior": 1 / 2, "boundary": 1 / np.sqrt(3)},
        backend="array",
    )


@pytest.mark.parametrize("activation", ["tanh", "relu3"])
@pytest.mark.parametrize("equation", [heat_equation, poisson_equation])
def test_residuals_and_gram_matrix_at_the_start(activation, equation):
    run = make(activation=activation, equation=equation)
    weights, signs = network(run)
    error = run.trajectory.residuals_error[0]
    assert (np.abs(run.trajectory.residuals[0] - executor(run).residuals(weights, signs)) <= 2 * error).all()
    gram = executor(run).gram(weights, signs)
    tolerance = 300 * 40 * EPS * np.trace(gram)  # roundings per entry: neurons times operations
    np.testing.assert_allclose(run.trajectory.grams[0], gram, atol=tolerance, rtol=0)
    np.testing.assert_allclose(run.at_start.gram, gram, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("method", "train"), [("gradient", gradient_descent), ("natural gradient", natural_gradient_descent)]
)
def test_trajectory_is_that_of_the_training_module(method, train):
    run = make(method)
    weights, signs = network(run)
    wanted = train(executor(run), weights, signs, eta=run.eta, steps=run.steps)
    condition = run.eigenvalues[:, -1].max() / run.eigenvalues[:, 0].min()
    tolerance = condition * 300 * 40 * EPS * run.residual_0
    np.testing.assert_allclose(run.trajectory.residuals, wanted.residuals, atol=tolerance, rtol=0)


@pytest.mark.parametrize("method", ["gradient", "natural gradient"])
def test_steps_split_into_a_linear_part_and_a_remainder(method):
    record = make(method).trajectory
    gap = np.diff(record.residuals, axis=0) - record.linear - record.remainders
    assert (np.abs(gap) <= 4 * (record.residuals_error[1:] + record.residuals_error[:-1])).all()


def test_jacobian_change_is_measured_from_the_start_and_along_the_step():
    run = make("natural gradient")
    weights, signs = network(run)
    problem = executor(run)
    first = problem.jacobian(weights, signs)
    after = natural_gradient_descent(problem, weights, signs, eta=run.eta, steps=1).weights
    moved = problem.jacobian(after, signs) - first
    assert run.trajectory.jacobian_change[1] == pytest.approx(np.linalg.norm(moved, 2), rel=1e-9)
    assert run.trajectory.path_change[0] == pytest.approx(np.linalg.norm(moved, 2), rel=1e-9)
    assert run.trajectory.path_from_start[0] < run.trajectory.path_change[0]
    assert run.trajectory.drift[1] == pytest.approx(np.linalg.norm(after - weights, axis=1).max(), rel=1e-9)
    assert run.trajectory.lengths[0] == pytest.approx(np.linalg.norm(after - weights), rel=1e-9)


def test_gradient_descent_says_that_it_does_not_measure_the_jacobian():
    record = make().trajectory
    with pytest.raises(NtkVerifyError, match="holds no 'jacobian_change'; measured were"):
        _ = record.jacobian_change


@pytest.mark.parametrize("scale", [1.0, 1.01])
def test_the_central_difference_finds_a_wrong_jacobian(scale, monkeypatch):
    run = make()
    right = run.jacobian_at
    monkeypatch.setattr(run, "jacobian_at", lambda weights: scale * right(weights))
    product, difference, bound = run.derivative_check
    assert (np.abs(product - difference) <= bound).all() == (scale == 1)


@pytest.mark.parametrize("scale", [1.0, 1.01])
def test_a_homogeneous_network_finds_a_wrong_jacobian(scale, monkeypatch):
    run = make(activation="relu3")
    right = run.jacobian_at
    monkeypatch.setattr(run, "jacobian_at", lambda weights: scale * right(weights))
    product, outputs, bound = run.along_weights
    assert (np.abs(product - 3 * outputs) <= 4 * bound).all() == (scale == 1)


def test_rounding_bound_covers_the_difference_to_balls():
    """Heat equation with ReLU^3, where the terms of the residual cancel."""
    flint = pytest.importorskip("flint")
    assert flint
    run = make(activation="relu3")
    weights, signs = network(run)
    targets = {"interior": DATA["source"].astype(object), "boundary": DATA["values"].astype(object)}
    points = {name: x.astype(object) for name, x in run.points.items()}
    exact = make_executor(run.neuron, points, targets, backend="ball", bits=200)
    residuals = exact.residuals(weights.astype(object), signs.astype(object))
    scales = np.repeat([1 / 2, 1 / np.sqrt(3)], [4, 3])
    gap = [abs(float(r * s - float(v))) for r, s, v in zip(residuals, scales, run.trajectory.residuals[0], strict=True)]
    assert (np.array(gap) <= run.trajectory.residuals_error[0]).all()


def test_limit_gram_is_normalised_by_the_sizes_of_the_blocks():
    run = make(activation="relu3")
    assert np.allclose(run.limit_gram, run.limit_gram.T)
    assert 0 < run.lambda_0 < run.limit_norm <= np.trace(run.limit_gram)
    twice = {"interior": np.repeat(DATA["interior"], 2, axis=0), "boundary": DATA["boundary"]}
    doubled = Instance(data=twice, width=10)
    again = PinnRun(doubled, THEOREM)
    assert np.trace(again.limit_gram) == pytest.approx(np.trace(run.limit_gram), rel=1e-12)
    with pytest.raises(NtkVerifyError, match="singular to rounding"):
        _ = again.lambda_0


def test_what_the_data_determine_needs_no_network():
    given = pinn(activation="tanh", method="natural gradient", relative=True)
    run = given(Instance(data=DATA, width=30, step=0.5, steps=1, seed=7), THEOREM)
    assert run.n == 7
    known = run.residual_0
    assert not run.has_measured
    assert known == pytest.approx(run.residuals[0], abs=run.residuals_error[0])
    assert known == pytest.approx(np.sqrt(np.mean(DATA["source"] ** 2) + np.mean(DATA["values"] ** 2)))
    # targets that are not relative to the outputs leave r(0) to the draw
    assert make(activation="tanh").residual_0 == make(activation="tanh").residuals[0]
    # no memory holds such a network, and none is asked for
    assert given(Instance(data=DATA, width=10**18, step=0.5, steps=1), THEOREM).residual_0 == known


def test_mistakes_are_named():
    with pytest.raises(NtkVerifyError, match="same number of coordinates"):
        PinnRun(Instance(data={"interior": [[0.0, 1.0]], "boundary": [[1.0]]}, width=3), THEOREM)
    with pytest.raises(NtkVerifyError, match="at least one neuron"):
        PinnRun(Instance(data={"interior": [[0.0]], "boundary": [[1.0]]}), THEOREM)
    with pytest.raises(NtkVerifyError, match="unknown method"):
        _ = make("magic").trajectory
    with pytest.raises(NtkVerifyError, match="full rank"):
        dense_least_norm(np.zeros((3, 8)), np.ones(3))


def test_the_heat_neuron_has_a_weight_per_coordinate_and_a_bias():
    assert [str(w) for w in problem_neuron("relu3", heat_equation, 3).weights] == ["w_0", "w_1", "w_2", "b"]


@pytest.mark.parametrize("method", ["gradient", "natural gradient"])
def test_every_backend_measures_the_same_trajectory(method):
    instance = Instance(data=DATA, width=30, step=0.05, steps=3, seed=7)
    runs = [pinn(method=method)(instance, THEOREM, backend=backend) for backend in ("array", "cpu")]
    one, other = (run.trajectory for run in runs)
    assert set(one.records) == set(other.records)
    np.testing.assert_allclose(one.residuals, other.residuals, atol=10 * one.residuals_error.max(), rtol=0)
    for name in ("grams", "drift", "drift_rms", "lengths", "weight_norm"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, err_msg=name)


def test_a_subclass_trains_by_a_method_of_its_own_and_cannot_hide_behind_another_trajectory():
    class Momentum(PinnRun):
        def training(self):
            return HeavyBall(self.eta, 0.9)

    instance = Instance(data=DATA, width=30, step=0.05, steps=3, seed=7)
    losses = Momentum(instance, THEOREM).losses
    plain = PinnRun(instance, THEOREM).losses
    assert losses[1] == pytest.approx(plain[1])
    assert abs(losses[3] - plain[3]) > 1e-3 * plain[3]
    with pytest.raises(NtkVerifyError, match="override `training`"):
        type("Other", (PinnRun,), {"descent": property(lambda run: None)})
