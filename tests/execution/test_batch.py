"""A batch of networks is the same as each of them alone; what does not fit is refused."""

import array_api_strict
import numpy as np
import pytest
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, relu_regression

from ntkverify.arithmetic.balls import as_balls
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine import memory


def draw_batch(kind, count=5, m=30, sizes=(7, 4)):
    neuron = KINDS[kind]()
    problem, _, _ = draw_problem(neuron, sizes, m, 0)
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((count, m, len(neuron.weights)))
    frozen = rng.choice([-1.0, 1.0], (count, m, len(neuron.frozen)))
    return neuron, problem, weights, frozen


@pytest.mark.parametrize("kind", ["relu", "advection", "heat"])
def test_batch_is_each_network_alone(kind):
    neuron, problem, weights, frozen = draw_batch(kind)
    fused = executor_of(neuron, problem)
    etas = np.linspace(0.001, 0.01, 5)
    together, alone = weights.copy(), weights.copy()
    history = fused.descend(together, frozen, etas, steps=9, every=4)
    assert history.shape == (5, 3, fused.samples.total)
    for j in range(5):
        forward = fused.forward(alone[j], frozen[j])
        assert relative(history[j, 0], forward.residuals) < 1e-13
        for k in range(1, 10):
            forward = fused.step(alone[j], frozen[j], forward, etas[j])
            if k % 4 == 0:
                assert relative(history[j, k // 4], forward.residuals) < 1e-11
    assert relative(together, alone) < 1e-11


def test_own_samples_for_every_network_on_every_backend():
    neuron, problem, weights, frozen = draw_batch("advection", count=2, m=6, sizes=(4, 3))
    rng = np.random.default_rng(2)
    points = {b: rng.standard_normal((2, *x.shape)) for b, x in problem["points"].items()}
    targets = {b: rng.standard_normal((2, *y.shape)) for b, y in problem["targets"].items()}
    results = []
    for backend in ("cpu", "array", "ball"):
        w = as_balls(weights) if backend == "ball" else weights.copy()
        executor = executor_of(neuron, problem, backend=backend)
        p, t = points, targets
        if backend == "ball":
            p, t = ({b: as_balls(x) for b, x in mapping.items()} for mapping in (points, targets))
        results.append(executor.descend(w, frozen, 0.01, steps=3, points=p, targets=t))
    strict = executor_of(neuron, problem, backend="array", xp=array_api_strict)
    move = array_api_strict.asarray
    p, t = ({b: move(x) for b, x in mapping.items()} for mapping in (points, targets))
    results.append(np.asarray(strict.descend(move(weights.copy()), move(frozen), 0.01, steps=3, points=p, targets=t)))
    results[2] = np.vectorize(lambda b: float(b.mid()), otypes=[float])(results[2])
    for other in results[1:]:
        assert relative(other, results[0]) < 1e-12


def test_bad_batches():
    executor = executor_of(
        relu_regression(2), {"points": {"data": np.eye(2)}, "targets": {"data": np.ones(2)}, "scale": None}
    )
    weights, frozen = np.ones((3, 4, 2)), np.ones((3, 4, 1))
    with pytest.raises(NtkVerifyError, match="shape \\(count, m, p\\)"):
        executor.descend(weights[0], frozen[0], 0.1, steps=1)
    with pytest.raises(NtkVerifyError, match="3 numbers, not 2"):
        executor.descend(weights, frozen, [0.1, 0.2], steps=1)
    with pytest.raises(NtkVerifyError, match="C-contiguous"):
        executor.descend(np.ones((6, 4, 2))[::2], frozen, 0.1, steps=1)
    with pytest.raises(NtkVerifyError, match="every at least 1"):
        executor.descend(weights, frozen, 0.1, steps=1, every=0)
    with pytest.raises(NtkVerifyError, match="of network 0"):
        executor.descend(weights, frozen, 0.1, steps=1, points={"data": np.ones((3, 5, 2))})


def test_beyond_memory_is_refused_with_the_figures(monkeypatch):
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)
    executor = executor_of(
        relu_regression(2), {"points": {"data": np.eye(2)}, "targets": {"data": np.ones(2)}, "scale": None}
    )
    with pytest.raises(NtkVerifyError, match=r"needs .* GiB but 0.000977 GiB are free"):
        executor.jacobian(np.ones((100_000, 2)), np.ones((100_000, 1)))
