"""A training that is ended and goes on comes to the same end, bit for bit, whatever the method and on however many
processes; those of MPI are in test_mpi."""

import numpy as np
import pytest
from hand_built_neurons import KINDS
from simulated_mpi import on_ranks

from ntkverify import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.sharded import make_sharded
from ntkverify.measures.steps import JacobianPath, Steps
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import (
    Adam,
    Checkpoint,
    GradientDescent,
    HeavyBall,
    ImplicitGradient,
    LevenbergMarquardt,
    NaturalGradient,
    StochasticGradient,
    follow,
    gradient_flow,
    lbfgs,
)

STEPS, EVERY, WIDTH = 7, 3, 1024
METHODS = {
    "gradient": lambda: GradientDescent(0.05),
    "natural": lambda: NaturalGradient(0.5),
    "natural, qr": lambda: NaturalGradient(0.5, solver="qr"),
    "heavy ball": lambda: HeavyBall(0.05, 0.9),
    "stochastic": lambda: StochasticGradient(0.05, batch=2, seed=3),
    "implicit": lambda: ImplicitGradient(0.5),
    "Adam": lambda: Adam(0.05),
    "Levenberg-Marquardt": lambda: LevenbergMarquardt(),
}


class Ended(Exception):
    """What a test ends a training by."""


def problem():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((4, 2))
    return {"data": points / np.linalg.norm(points, axis=1, keepdims=True)}, {"data": rng.standard_normal(4)}


def trained(executor, weights, frozen, method, *, checkpoint=None, end=None, measures=True):
    def watched(at):
        if at.step == end:
            raise Ended
        return float(at.forward.loss)

    return follow(
        executor, weights, frozen, METHODS[method](), steps=STEPS, record={"loss": watched}, checkpoint=checkpoint,
        measures=[Steps(), JacobianPath()] if measures else [],
    )  # fmt: skip


def assert_same(one, other):
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.residuals, other.residuals)
    assert set(one.records) == set(other.records)
    for name, value in one.records.items():
        np.testing.assert_array_equal(value, other.records[name], err_msg=name)
    assert repr(one.notes) == repr(other.notes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["array", "cpu"])
def test_what_goes_on_comes_to_the_same_end(method, backend, tmp_path):
    neuron = regression_neuron("relu", dimension=2)
    executor = make_executor(neuron, *problem(), backend=backend)
    weights, frozen = draw_weights(neuron, 5, WIDTH)
    whole = trained(executor, weights, frozen, method)
    with pytest.raises(Ended):
        trained(executor, weights, frozen, method, checkpoint=Checkpoint(tmp_path, every=EVERY), end=5)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003"]
    seen = []
    again = Checkpoint(tmp_path, every=EVERY)
    method_of = METHODS[method]()
    again_found = follow(
        executor, weights, frozen, method_of, steps=STEPS, checkpoint=again, measures=[Steps(), JacobianPath()],
        record={"loss": lambda at: seen.append(at.step) or float(at.forward.loss)},
    )  # fmt: skip
    assert seen == [4, 5, 6, 7]
    assert_same(again_found, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000006"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["relu", "advection"])
def test_several_processes_train_as_one(method, kind, tmp_path):
    """Of linear residuals and of others; to 1e-12 of the largest, and going on bit for bit."""
    if kind == "relu":
        neuron, (points, targets) = regression_neuron("relu", dimension=2), problem()
    else:
        # along other draws' paths K becomes nearly singular, and one rounding error grows by 1e6 in seven steps
        neuron, rng = KINDS["advection"](), np.random.default_rng(5)
        points = {b.name: rng.standard_normal((2, len(neuron.coordinates))) for b in neuron.blocks}
        targets = {b.name: 0.1 * rng.standard_normal(2) for b in neuron.blocks}
    alone = make_executor(neuron, points, targets, backend="array")
    weights, frozen = draw_weights(neuron, 5, WIDTH)
    whole = trained(alone, weights, frozen, method)

    def work(communicator, **options):
        executor = make_sharded(neuron, points, targets, width=WIDTH, backend="array", communicator=communicator)
        return trained(executor, *executor.draw(5), method, **options)

    found = on_ranks(3, work)
    joined = np.concatenate([part.weights for part in found])
    assert np.abs(joined - whole.weights).max() < 1e-12 * np.abs(whole.weights).max()
    for part in found:
        assert np.abs(part.residuals - whole.residuals).max() < 1e-12 * np.abs(whole.residuals).max()
        np.testing.assert_array_equal(part.residuals, found[0].residuals)
        np.testing.assert_allclose(part.drift_rms, whole.drift_rms, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(part.jacobian_change, whole.jacobian_change, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(part.linear_error, whole.linear_error, rtol=1e-9)
    with pytest.raises(Ended):
        on_ranks(3, lambda c: work(c, checkpoint=Checkpoint(tmp_path, every=EVERY), end=5))
    for part, first in zip(
        on_ranks(3, lambda c: work(c, checkpoint=Checkpoint(tmp_path, every=EVERY))), found, strict=True
    ):
        assert_same(part, first)


def test_another_training_s_checkpoint_and_a_lost_or_damaged_file_are_refused(tmp_path):
    neuron = regression_neuron("relu", dimension=2)
    executor = make_executor(neuron, *problem(), backend="array")
    weights, frozen = draw_weights(neuron, 5, WIDTH)
    kept = Checkpoint(tmp_path, every=EVERY)
    trained(executor, weights, frozen, "gradient", checkpoint=kept)
    for other in (
        lambda: trained(executor, weights + 1, frozen, "gradient", checkpoint=kept),
        lambda: trained(executor, weights, frozen, "natural", checkpoint=kept),
        lambda: trained(executor, weights, frozen, "gradient", checkpoint=kept, measures=False),
    ):
        with pytest.raises(NtkVerifyError, match="holds a checkpoint of another training; choose another"):
            other()
    (file,) = tmp_path.glob("step-*/process-*")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(NtkVerifyError, match=r"is damaged .* remove the folder"):
        trained(executor, weights, frozen, "gradient", checkpoint=kept)
    file.unlink()
    with pytest.raises(NtkVerifyError, match=r"lacks process-000000-of-1\.pickle"):
        trained(executor, weights, frozen, "gradient", checkpoint=kept)
    with pytest.raises(NtkVerifyError, match="at least 1, not 0"):
        Checkpoint(tmp_path, every=0)


def test_a_checkpoint_that_not_all_have_written_does_not_count(tmp_path):
    """What marks it as complete is written last."""
    neuron = regression_neuron("relu", dimension=2)
    executor = make_executor(neuron, *problem(), backend="array")
    weights, frozen = draw_weights(neuron, 5, WIDTH)
    whole = trained(executor, weights, frozen, "gradient")
    trained(executor, weights, frozen, "gradient", checkpoint=Checkpoint(tmp_path, every=EVERY))
    (mark,) = tmp_path.glob("step-*/complete.json")
    mark.unlink()
    assert_same(trained(executor, weights, frozen, "gradient", checkpoint=Checkpoint(tmp_path, every=EVERY)), whole)


def test_what_needs_all_weights_in_one_place_is_refused():
    points, targets = problem()

    def work(communicator, train):
        neuron = regression_neuron("relu", dimension=2)
        executor = make_sharded(neuron, points, targets, width=12, backend="array", communicator=communicator)
        return train(executor, *executor.draw(1))

    for train, what in (
        (lambda *a: lbfgs(*a, steps=2), "L-BFGS by SciPy"),
        (lambda *a: gradient_flow(*a, times=[0.0, 1.0]), "a flow integrated by SciPy"),
        (lambda *a: follow(*a, NaturalGradient(solver="householder"), steps=1), "Householder's QR"),
    ):
        with pytest.raises(NtkVerifyError, match=f"{what}.* needs all weights in one process"):
            on_ranks(2, lambda c, train=train: work(c, train))
