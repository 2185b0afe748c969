"""Neurons with many inputs: products over panels agree with the other executors and are chosen where they win."""

import numpy as np
import pytest
import sympy
from drawing import draw_problem, executor_of, relative
from within_rounding import assert_within_rounding

from ntkverify.arithmetic.balls import as_balls
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.fused.cpu import CpuExecutor
from ntkverify.execution.fused.gemm import GemmExecutor, reduction, worthwhile
from ntkverify.symbolic.network.neuron import Block, Neuron, pinn_neuron, regression_neuron
from ntkverify.symbolic.network.operators import Operator as Op
from ntkverify.symbolic.network.operators import coordinates, heat, identity, laplacian, unknown
from ntkverify.symbolic.network.product import operator_neuron

EVERYTHING = {"trainable": ("inner", "inner_bias", "outer"), "inner_bias": True}


def squared_two_blocks(d):
    """u**2 in one block, u in the other; outer weights trained too."""
    x = coordinates(" ".join(f"x_{i}" for i in range(d)))
    u = unknown("u", x)
    return pinn_neuron("tanh", Op.from_expression(u**2, [u], x), trainable=EVERYTHING["trainable"])


KINDS = {
    "relu": lambda: regression_neuron("relu", dimension=24),
    "tanh, everything trained": lambda: regression_neuron("tanh", dimension=30, **EVERYTHING),
    "frozen bias": lambda: regression_neuron("sin", dimension=25, trainable=("inner", "outer")),
    "operator, two forms": lambda: operator_neuron(
        "tanh", "sin", {"data": identity(coordinates(" ".join(f"y_{i}" for i in range(26))))}, sensors=3
    ),
    "squared": lambda: squared_two_blocks(26),
    "leaky ReLU": lambda: regression_neuron("leaky_relu", dimension=24),
    "GELU": lambda: regression_neuron("gelu", dimension=24, trainable=("inner", "outer")),
    "no function": lambda: regression_neuron("identity", dimension=24, trainable=("inner", "outer")),
    "Laplacian": lambda: pinn_neuron("tanh", laplacian(coordinates(" ".join(f"x_{i}" for i in range(20))))),
    "heat": lambda: pinn_neuron(
        "tanh", heat(*(lambda t, *x: (t, x))(*coordinates(" ".join(f"x_{i}" for i in range(20))))),
        trainable=EVERYTHING["trainable"],
    ),
}  # fmt: skip


def problem_of(kind, m=700):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, (13, 9), m, 3)
    return neuron, problem, weights / 5, frozen


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_array_executor(kind):
    neuron, problem, weights, frozen = problem_of(kind)
    array = executor_of(neuron, problem, backend="array")
    panels = GemmExecutor(array.samples)
    a, g = array.forward(weights, frozen), panels.forward(weights, frozen)
    assert relative(g.residuals, a.residuals) < 1e-12
    assert relative(panels.gradient(weights, frozen, g), array.gradient(weights, frozen, a)) < 1e-12
    assert relative(panels.jacobian(weights, frozen), array.jacobian(weights, frozen)) < 1e-12
    assert relative(panels.gram(weights, frozen), array.gram(weights, frozen)) < 1e-12
    moved_a, moved_g = weights.copy(), weights.copy()
    a, g = array.step(moved_a, frozen, a, 0.1), panels.step(moved_g, frozen, g, 0.1)
    assert relative(moved_g - weights, moved_a - weights) < 1e-11
    assert relative(g.residuals, a.residuals) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_measured_steps_are_the_reference_s(kind):
    neuron, problem, weights, frozen = problem_of(kind)
    array = executor_of(neuron, problem, backend="array")
    change = 0.01 * np.random.default_rng(1).standard_normal(weights.shape)
    start = weights + 0.1
    for eta, given in ((0.05, None), (0, None), (0.05, change)):
        found = []
        for executor in (array, *(GemmExecutor(array.samples, threads=threads) for threads in (1, 2))):
            w = weights.copy()
            forward = executor.forward(w, frozen)
            found.append((w, executor.measured_step(w, frozen, forward, eta, start=start, change=given)))
        (w, wanted), (one, first), (two, second) = found
        assert relative(one, w) < 1e-13
        size = max(1.0, np.abs(wanted.linear).max(), np.abs(wanted.forward.residuals).max())
        for name in ("linear", "remainders"):
            assert np.abs(getattr(first, name) - getattr(wanted, name)).max() < 1e-12 * size, name
        for name in ("gram", "errors", "linear", "remainders"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
        np.testing.assert_array_equal(one, two)
        assert relative(first.gram, wanted.gram) < 1e-12
        assert relative(first.forward.residuals, wanted.forward.residuals) < 1e-12
        # bounds of one size, though sums are formed in different orders
        assert ((first.errors > wanted.errors / 20) & (first.errors < wanted.errors * 20)).all()
        for group, move in wanted.moves.items():
            pairs = zip(vars(first.moves[group]).values(), vars(move).values(), strict=True)
            assert all(a == pytest.approx(b, rel=1e-12) for a, b in pairs)
        assert first.moves == second.moves


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_of_measured_steps_cover_what_sums_lose(kind):
    """Neurons in pairs that cancel but for a little, so that the sums are far smaller than their terms."""
    neuron, problem, weights, frozen = problem_of(kind, m=6)
    weights[3:], frozen[3:] = weights[:3], -frozen[:3]
    weights[3:] += 1e-9
    panels = GemmExecutor(executor_of(neuron, problem, backend="array").samples)
    step = panels.measured_step(weights, frozen, panels.forward(weights, frozen), 1e-3, start=weights.copy())
    ball = executor_of(neuron, problem, backend="ball", bits=256)
    exact = ball.forward(as_balls(weights), as_balls(frozen)).residuals
    apart = np.abs([float(e - float(x)) for e, x in zip(exact, step.forward.residuals, strict=True)])
    assert (apart <= step.errors).all()
    assert (step.errors < 1e-11).all()


@pytest.mark.parametrize("kind", KINDS)
def test_lies_within_exact_plus_rounding(kind):
    """The model's bound holds for any order of the sums, those of matrix products included."""
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, [2] * len(neuron.blocks), 4, 3)
    panels = GemmExecutor(executor_of(neuron, problem, backend="array").samples)
    assert_within_rounding(panels, neuron, problem, weights / 5, frozen)


def test_threads_do_not_change_a_bit():
    neuron, problem, weights, frozen = problem_of("tanh, everything trained", m=9000)
    results = []
    for threads in (1, 2, 3):
        executor = GemmExecutor(executor_of(neuron, problem, backend="array").samples, threads=threads)
        w = weights.copy()
        forward = executor.forward(w, frozen)
        for _ in range(3):
            forward = executor.step(w, frozen, forward, 0.1)
        results.append((w, forward.residuals))
    for w, residuals in results[1:]:
        assert (w == results[0][0]).all()
        assert (residuals == results[0][1]).all()


def test_a_thousand_inputs():
    """The time to compile does not grow with the number of inputs."""
    neuron = regression_neuron("relu", dimension=1000)
    problem, weights, frozen = draw_problem(neuron, (5,), 200, 1)
    executor = executor_of(neuron, problem)
    assert isinstance(executor, GemmExecutor)
    z = problem["points"]["data"] @ weights.T
    expected = (np.maximum(z, 0) @ frozen[:, 0] / np.sqrt(200) - problem["targets"]["data"]) / np.sqrt(5)
    forward = executor.forward(weights, frozen)
    assert relative(forward.residuals, expected) < 1e-12
    gradient = ((z > 0) * frozen[:, 0] * expected[:, None]).T @ problem["points"]["data"] / np.sqrt(200 * 5)
    assert relative(executor.gradient(weights, frozen, forward), gradient) < 1e-12


def test_a_batch_and_another_sample():
    neuron, problem, weights, frozen = problem_of("relu")
    executor = executor_of(neuron, problem | {"points": {"data": problem["points"]["data"].repeat(2, axis=0)},
                                              "targets": {"data": np.ones(26)}})  # fmt: skip
    assert isinstance(executor, GemmExecutor)
    batch, signs = np.stack([weights, weights / 2]), np.stack([frozen, frozen])
    other = {"data": np.random.default_rng(0).standard_normal((2, 26, 24))}
    kept = executor.descend(batch.copy(), signs, 0.1, steps=2, points=other)
    fused = CpuExecutor(executor.samples).descend(batch.copy(), signs, 0.1, steps=2, points=other)
    assert relative(kept, fused) < 1e-12


def test_chosen_where_it_wins_and_can_run():
    assert worthwhile(regression_neuron("relu", dimension=12), 3)
    assert not worthwhile(regression_neuron("relu", dimension=12), 2)
    assert worthwhile(regression_neuron("relu", dimension=65), 2)
    assert not worthwhile(regression_neuron("relu", dimension=11), 1000)
    coordinates(" ".join(f"x_{i}" for i in range(30)))
    w, v, x, p = sympy.symbols("w v x p", real=True)
    assert reduction(Neuron((w,), (v,), (x,), (Block("data", (v * sympy.tanh(w * x),), (p,), p),))) is None


def test_what_cannot_be_reduced_is_said():
    neuron = regression_neuron("relu", dimension=1)
    problem, _, _ = draw_problem(neuron, (3,), 5, 0)
    with pytest.raises(NtkVerifyError, match="one sum only"):
        GemmExecutor(executor_of(neuron, problem, backend="array").samples)
