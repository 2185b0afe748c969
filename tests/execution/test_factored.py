"""Neurons that are products: both factors on their own give what the unrolled neuron gives."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from simulated_cupy import use_device

from ntkverify import NtkVerifyError
from ntkverify.execution.backends import executor_of
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.product_samples import product_samples
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking import factored
from ntkverify.execution.walking.array import ArrayExecutor
from ntkverify.symbolic.network.operators import burgers, coordinates, heat, identity
from ntkverify.symbolic.network.product import product_neuron

Y = coordinates("y_0 y_1")
PLAIN = {"data": identity(Y)}
INFORMED = {"interior": heat(Y[0], [Y[1]]), "boundary": identity(Y)}
PROBLEMS = {
    "relu": ("relu", "relu", PLAIN, False),
    "physics-informed": ("relu", "relu3", INFORMED, True),
    "smooth": ("tanh", "tanh", INFORMED, True),
}


def problem(name, *, functions=3, units=4, sensors=3, seed=0):
    branch, trunk, operators, bias = PROBLEMS[name]
    product = product_neuron(
        branch, trunk, operators, sensors=sensors, branch_width=units, inner_bias=bias, output_scale=2
    )
    rng = np.random.default_rng(seed)
    sizes = dict(zip(operators, (5, 2), strict=False))
    return product_samples(
        product,
        rng.standard_normal((functions, sensors)),
        {b: rng.standard_normal((n, 2)) for b, n in sizes.items()},
        {b: rng.standard_normal((functions, n)) for b, n in sizes.items()},
        {b: n**-0.5 for b, n in sizes.items()},
    )


@pytest.fixture(params=["array", "cpu", "gpu"])
def backend(request, monkeypatch):
    if request.param == "gpu":
        use_device(monkeypatch)
    return request.param


def close(one, other):
    # values of a few tens of terms of moderate size, added in different orders
    size = np.abs(one).max()
    assert np.abs(np.asarray(one) - np.asarray(other)).max() <= 1e-11 * max(size, 1)


@pytest.mark.parametrize("name", PROBLEMS)
def test_everything_agrees_with_the_unrolled_neuron(name, backend, monkeypatch):
    monkeypatch.setattr(factored, "CHUNK_NUMBERS", 1000)  # several chunks, the last a short one
    samples = problem(name)
    reference, executor = ArrayExecutor(Samples(samples.neuron, samples.blocks)), executor_of(samples, backend=backend)
    weights, frozen = draw_weights(samples.neuron, 1, 50)
    mine, signs = executor.from_host(weights.copy()), executor.from_host(frozen)
    wanted, found = reference.forward(weights, frozen), executor.forward(mine, signs)
    host = executor.to_host
    close(wanted.residuals, host(found.residuals))
    vector = np.random.default_rng(2).standard_normal(samples.total)
    close(
        reference.vjp(weights, frozen, wanted, vector),
        host(executor.vjp(mine, signs, found, executor.from_host(vector))),
    )
    close(reference.jacobian(weights, frozen), host(executor.jacobian(mine, signs)))
    close(reference.gram(weights, frozen), host(executor.gram(mine, signs)))
    for group in ("trunk", "branch"):
        close(reference.group_gram(weights, frozen, group), host(executor.group_gram(mine, signs, group)))
    stepped = weights.copy()
    after = reference.step(stepped, frozen, wanted, 1e-3)
    moved = executor.step(mine, signs, found, 1e-3)
    close(after.residuals, host(moved.residuals))
    close(stepped, host(mine))


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("direction", [False, True], ids=["gradient", "another direction"])
def test_a_measured_step_sees_the_same(name, direction, backend):
    samples = problem(name)
    reference, executor = ArrayExecutor(Samples(samples.neuron, samples.blocks)), executor_of(samples, backend=backend)
    weights, frozen = draw_weights(samples.neuron, 1, 50)
    change = 1e-2 * np.random.default_rng(3).standard_normal(weights.shape) if direction else None
    start = weights + 0.1
    wanted = reference.measured_step(
        weights.copy(), frozen, reference.forward(weights, frozen), 1e-3, start=start, change=change
    )
    mine, signs = executor.from_host(weights.copy()), executor.from_host(frozen)
    found = executor.measured_step(
        mine,
        signs,
        executor.forward(mine, signs),
        1e-3,
        start=executor.from_host(start),
        change=None if change is None else executor.from_host(change),
    )
    for key in ("linear", "remainders", "gram"):
        close(getattr(wanted, key), executor.to_host(getattr(found, key)))
    for group, move in wanted.moves.items():
        assert dataclasses.astuple(found.moves[group]) == pytest.approx(dataclasses.astuple(move), rel=1e-11)
    # two bounds of rounding errors of the same sums, each with its own count of roundings
    errors = executor.to_host(found.errors)
    assert (errors > wanted.errors / 10).all()
    assert (errors < wanted.errors * 10).all()
    difference = np.abs(executor.to_host(found.forward.residuals) - wanted.forward.residuals)
    assert (difference <= errors + wanted.errors).all()


@pytest.mark.parametrize("functions", [1, 9])
def test_any_number_of_functions_fits_the_sweep(functions):
    samples = problem("relu", functions=functions)
    executor = executor_of(samples, backend="cpu")
    weights, frozen = draw_weights(samples.neuron, 1, 300)
    plain = factored.FactoredExecutor(samples)
    mine, other = weights.copy(), weights.copy()
    close(
        plain.step(other, frozen, plain.forward(other, frozen), 1e-3).residuals,
        executor.step(mine, frozen, executor.forward(mine, frozen), 1e-3).residuals,
    )
    close(other, mine)


def test_results_do_not_depend_on_the_threads():
    samples = problem("relu")
    weights, frozen = draw_weights(samples.neuron, 1, 2000)
    one, two = (executor_of(samples, backend="cpu", threads=k).forward(weights, frozen).residuals for k in (1, 2))
    assert (one == two).all()


def test_memory_does_not_grow_with_pairs_times_neurons():
    """A sweep over 20000 neurons at 40 x 40 pairs: all their products would be 256 MB."""
    product = product_neuron("relu", "relu", PLAIN, sensors=2)
    rng = np.random.default_rng(0)
    samples = product_samples(
        product, rng.standard_normal((40, 2)), {"data": rng.standard_normal((40, 2))}, {"data": np.zeros((40, 40))}
    )
    weights, frozen = draw_weights(samples.neuron, 0, 20000)
    executor = executor_of(samples, backend="array")
    forward = executor.forward(weights, frozen)
    tracemalloc.start()
    executor.measured_step(weights, frozen, forward, 1e-6, start=weights.copy(), gram=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize("name", ["relu", "physics-informed"])
def test_a_batch_has_targets_of_its_own(name, backend):
    samples = problem(name)
    executor = executor_of(samples, backend=backend)
    drawn = [draw_weights(samples.neuron, seed, 20) for seed in (1, 2)]
    weights, signs = (np.stack(arrays) for arrays in zip(*drawn, strict=True))
    targets = {b.block.name: np.stack([b.targets * 2, b.targets + 1]) for b in samples.blocks}
    points = {b.block.name: np.stack([b.points, b.points.copy()]) for b in samples.blocks}
    move = executor.from_host
    found = executor.descend(
        move(weights.copy()),
        move(signs),
        1e-3,
        steps=2,
        points={k: move(v) for k, v in points.items()},
        targets={k: move(v) for k, v in targets.items()},
    )
    plain = ArrayExecutor(Samples(samples.neuron, samples.blocks))
    wanted = plain.descend(weights.copy(), signs, 1e-3, steps=2, targets=targets)
    close(wanted, executor.to_host(found))


class TestRefused:
    def test_a_batch_with_points_of_its_own(self, backend):
        samples = problem("relu")
        executor = executor_of(samples, backend=backend)
        weights, signs = (a[None] for a in draw_weights(samples.neuron, 1, 20))
        move, before = executor.from_host, weights.copy()
        points = {b.block.name: move(b.points[None] + 0.5) for b in samples.blocks}
        with pytest.raises(NtkVerifyError, match=r"points\['data'\] of a product are all pairs .* `product_samples`"):
            executor.descend(move(weights), move(signs), 1e-3, steps=1, points=points)
        np.testing.assert_array_equal(weights, before)

    def test_other_functions_make_another_executor(self, backend):
        samples, other = problem("relu"), problem("relu", seed=1)
        weights, signs = draw_weights(samples.neuron, 1, 20)
        one, two = executor_of(samples, backend=backend).with_samples(other), executor_of(other, backend=backend)
        mine, own = one.from_host(weights), one.from_host(signs)
        close(one.to_host(one.jacobian(mine, own)), two.to_host(two.jacobian(mine, own)))

    def test_a_nonlinear_operator(self):
        operators = {"interior": burgers(Y[0], Y[1], viscosity=1)}
        with pytest.raises(NtkVerifyError, match="linear blocks only, and 'interior' is not"):
            product_neuron("relu", "tanh", operators, sensors=2)

    def test_targets_that_are_no_table(self):
        product = product_neuron("relu", "relu", PLAIN, sensors=2)
        with pytest.raises(NtkVerifyError, match=r"must have shape \(1, 2\), a row for each function"):
            product_samples(product, np.ones((1, 2)), {"data": np.ones((2, 2))}, {"data": np.ones(2)})

    def test_functions_with_other_sensors(self):
        product = product_neuron("relu", "relu", PLAIN, sensors=2)
        with pytest.raises(NtkVerifyError, match=r"functions must have shape \(n, 2\)"):
            product_samples(product, np.ones((1, 3)), {"data": np.ones((2, 2))}, {"data": np.ones((1, 2))})
