"""Measured steps: every executor against the definitions, its rounding bound, and wrong signs in generated text."""

import dataclasses
from dataclasses import replace
from functools import partial

import array_api_strict
import numpy as np
import pytest
from built_neurons import BUILT
from definitions import assert_defined, defined
from drawing import draw_problem, executor_of
from hand_built_neurons import KINDS

from ntkverify import NtkVerifyError
from ntkverify.arithmetic.balls import as_balls, midpoints
from ntkverify.execution.fused import step as step_module
from ntkverify.execution.kernels.step_source import MOST_IN_SWEEP, step_source

EXECUTORS = ("array", "strict", "cpu")
FIELDS = ("linear", "remainders", "gram")
#: of exp no bound of the rounding error is known
BOUNDED = sorted(set(KINDS) - {"gaussian"})
UNBOUNDED = {"PINN, heat, erf", "PINN, heat, gelu"}
#: one of each kind; most of them have nonlinear residuals of several features
TYPICAL = {
    "regression, all trained",
    "PINN, Burgers, tanh",
    "PINN, wave, ReLU power",
    "Navier-Stokes, steady",
    "random features, Burgers",
    "operator, nonlinear",
}


def made(neuron, problem, name, **options):
    if name == "strict":
        return executor_of(neuron, problem, backend="array", xp=array_api_strict)
    return executor_of(neuron, problem, backend=name, **options)


def moved_in(array, name):
    """An executor's own copy of an array."""
    return array_api_strict.asarray(array.copy()) if name == "strict" else array.copy()


def taken(neuron, problem, weights, frozen, start, eta, name, change=None, **options):
    executor = made(neuron, problem, name)
    w, f, s = (moved_in(a, name) for a in (weights, frozen, start))
    forward = executor.forward(w, f)
    given = None if change is None else moved_in(change, name)
    return w, executor.measured_step(w, f, forward, eta, start=s, change=given, **options)


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("kind", BOUNDED)
@pytest.mark.parametrize("sizes", [(2, 2), (12, 7)])
def test_every_executor_measures_what_is_defined(kind, name, sizes):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, sizes, 90, 11)
    start = weights + 0.1 * np.random.default_rng(1).standard_normal(weights.shape)
    setting = (neuron, problem, weights, frozen, start, 0.01)
    w, step = taken(*setting, name)
    assert_defined(defined(*setting), w, step)
    change = 0.01 * np.random.default_rng(2).standard_normal(weights.shape)
    w, step = taken(*setting, name, change=change, gram=False)
    assert step.gram is None
    assert_defined(defined(*setting, change=change), w, step)


def every_builder():
    """All that were built, the kernels of a few compiled in any run."""
    names = sorted(set(BUILT) - UNBOUNDED)
    return [pytest.param(n, marks=() if n in TYPICAL else pytest.mark.exhaustive) for n in names]


@pytest.mark.parametrize("name", every_builder())
@pytest.mark.parametrize("backend", ["array", "cpu"])
def test_every_builder(name, backend):
    neuron = BUILT[name]()
    problem, weights, frozen = draw_problem(neuron, [3] * len(neuron.blocks), 70, 5)
    executor = executor_of(neuron, problem, backend="array")
    eta = 0.1 / np.trace(executor.gram(weights, frozen))
    setting = (neuron, problem, weights, frozen, weights + 0.1, eta)
    w, step = taken(*setting, backend)
    assert_defined(defined(*setting), w, step)


@pytest.mark.parametrize("name", every_builder())
def test_bounds_cover_what_is_lost_where_neurons_cancel(name):
    """Neurons in pairs whose sums are far smaller than their terms, so that nonlinear residuals see few digits."""
    neuron = BUILT[name]()
    problem, weights, frozen = draw_problem(neuron, [2] * len(neuron.blocks), 6, 9)
    # frozen weights of every second neuron turned round; trained outer weights, the last of all, as well
    weights[3:], frozen[3:] = weights[:3], -frozen[:3]
    if not neuron.frozen:
        weights[3:, -1] *= -1
    weights[3:] += 1e-9
    ball = executor_of(neuron, problem, backend="ball", bits=256)
    for backend in ("array", "cpu"):
        # the smallest steps, which keep the pairs together
        w, step = taken(neuron, problem, weights, frozen, weights, 1e-12, backend, gram=False)
        exact = ball.forward(as_balls(w), as_balls(frozen)).residuals
        apart = np.abs([float(r - float(x)) for r, x in zip(exact, step.forward.residuals, strict=True)])
        assert (apart <= step.errors).all()
        assert (step.errors > 0).all()
        # some hundred roundings of terms whose size the weights' powers give
        assert step.errors.max() < 1e-7


@pytest.mark.parametrize("backend", ["array", "cpu"])
def test_an_activation_whose_rounding_nothing_bounds_is_one_sentence(backend):
    neuron = KINDS["gaussian"]()
    problem, weights, frozen = draw_problem(neuron, (2,), 5, 1)
    with pytest.raises(NtkVerifyError, match="no bound of the rounding error of exp"):
        taken(neuron, problem, weights, frozen, weights, 0.1, backend)


def test_groups_are_measured_apart():
    groups = {"first": (0,), "rest": (1, 2)}
    neuron = dataclasses.replace(KINDS["heat"](), groups=groups)
    assert len(neuron.weights) == 3
    problem, weights, frozen = draw_problem(neuron, (4, 4), 50, 3)
    for backend in ("array", "cpu"):
        w, step = taken(neuron, problem, weights, frozen, weights, 0.1, backend)
        for group, places in groups.items():
            moved = np.linalg.norm((w - weights)[:, places], axis=1)
            assert step.moves[group].drift == pytest.approx(moved.max(), rel=1e-12)
            assert step.moves[group].length == pytest.approx(np.linalg.norm(moved), rel=1e-12)
            assert step.moves[group].gradient == pytest.approx(moved.max() / 0.1, rel=1e-12)


@pytest.mark.parametrize("kind", ["heat", "softplus"])
def test_in_balls_everything_is_enclosed_and_bounds_of_rounding_cover(kind):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, (3, 2), 6, 8)
    executor = executor_of(neuron, problem, backend="ball", bits=256)
    w, f = as_balls(weights), as_balls(frozen)
    exact = executor.measured_step(w, f, executor.forward(w, f), 0.125, start=as_balls(weights))
    assert all(e == 0 for e in exact.errors)
    for backend in ("array", "cpu"):
        v, step = taken(neuron, problem, weights, frozen, weights, 0.125, backend)
        # the bound is of the last pass: from the weights as they are
        again = executor.forward(as_balls(v), f).residuals
        apart = np.abs([float(r - float(x)) for r, x in zip(again, step.forward.residuals, strict=True)])
        assert (apart <= step.errors).all()
        assert step.errors.max() < 1e-11 * max(1.0, np.abs(step.forward.residuals).max())
        for name in FIELDS:
            found, wanted = np.asarray(getattr(step, name)), midpoints(getattr(exact, name))
            np.testing.assert_allclose(found, wanted.astype(float), rtol=1e-9, atol=1e-11, err_msg=name)


def test_bits_do_not_depend_on_the_number_of_threads():
    neuron = KINDS["heat"]()
    problem, weights, frozen = draw_problem(neuron, (40, 12), 20000, 5)
    found = []
    for threads in (1, 2, 3):
        executor, w = executor_of(neuron, problem, threads=threads), weights.copy()
        step = executor.measured_step(w, frozen, executor.forward(w, frozen), 1e-3, start=weights)
        found.append((w, step.forward.residuals, step.errors, step.remainders, step.gram))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_step_of_length_zero_measures_without_moving():
    neuron = KINDS["advection"]()
    problem, weights, frozen = draw_problem(neuron, (4, 3), 60, 17)
    start = weights + 0.25
    gradient = defined(neuron, problem, weights, frozen, start, 1.0)["moves"][3]
    for backend in ("array", "cpu"):
        w, step = taken(neuron, problem, weights, frozen, start, 0, backend)
        np.testing.assert_array_equal(w, weights)
        assert (np.asarray(step.linear) == 0).all()
        # old and new values may be formed in different order
        assert np.abs(step.remainders).max() < 1e-14
        move = step.moves["weights"]
        assert (move.length, move.drift) == (0, pytest.approx(0.25 * 3**0.5))
        assert move.gradient == pytest.approx(gradient)


@pytest.mark.parametrize("backend", ["array", "cpu"])
@pytest.mark.parametrize("spot", [0, 59])
def test_a_neuron_that_is_no_number_is_seen(spot, backend):
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, (2,), 60, 17)
    broken = weights.copy()
    broken[spot, 0] = np.nan
    with np.errstate(invalid="ignore"):
        _, step = taken(neuron, problem, broken, frozen, weights, 0.1, backend)
    (move,) = step.moves.values()
    assert np.isnan([move.drift, move.drift_rms, move.norm, move.gradient, move.length]).all()
    assert np.isnan(step.errors).all()


def test_arrays_of_other_shapes_are_refused_and_of_other_layouts_taken():
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, (2,), 60, 17)
    setting = (neuron, problem, weights, frozen)
    for start, change, name in ((weights[:3], None, "start"), (weights, np.zeros((60, 1)), "change")):
        with pytest.raises(NtkVerifyError, match=f"{name} must have the shape"):
            taken(*setting, start, 0.1, "cpu", change=change)
    _, right = taken(*setting, weights, 0.1, "cpu")
    _, turned = taken(*setting, np.asfortranarray(weights), 0.1, "cpu")
    assert turned.moves == right.moves


def test_without_the_gram_matrix_all_else_is_the_same():
    neuron = KINDS["heat"]()
    problem, weights, frozen = draw_problem(neuron, (3, 3), 200, 7)
    (one, first), (two, second) = (taken(neuron, problem, weights, frozen, weights, 0.1, "cpu", gram=g) for g in (1, 0))
    assert first.gram is not None
    assert second.gram is None
    np.testing.assert_array_equal(one, two)
    assert first.moves == second.moves
    for name in ("errors", "linear", "remainders"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("size", [2, MOST_IN_SWEEP + 1])
def test_a_wrong_sign_in_the_measured_kernel_is_caught(size, monkeypatch):
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, (size,), 60, 17)
    setting = (neuron, problem, weights, frozen, weights + 0.1, 0.3)
    wanted = defined(*setting)
    _, right = taken(*setting, "cpu")
    lines = step_source(neuron, (size,)).text.splitlines()
    turns = [
        ("g[0, l] += ", "+=", "-="), ("x[0, l] = -eta", "-eta", "eta"), ("y0 += ", "+=", "-="), ("a0 += ", "+=", "-="),
        ("t0 += ", "+=", "-="), ("e0 += ", "+=", "-="), ("e0 += ", ") - along", ") + along"),
        ("v[i, 0, l] = ", "= ", "= -"), ("d[i, 0, 0, l] = ", "= ", "= -"), ("moved = ", " - ", " + "),
        *([("gram[i, j] += ", "+=", "-=")] if size <= MOST_IN_SWEEP else []),
    ]  # fmt: skip
    for start, old, new in turns:
        spot = next(i for i, line in enumerate(lines) if line.lstrip().startswith(start) and old in line)
        text = "\n".join([*lines[:spot], lines[spot].replace(old, new, 1), *lines[spot + 1 :]])
        monkeypatch.setattr(step_module, "step_source", partial(_with_text, text))
        with pytest.raises(AssertionError):  # noqa: PT012
            w, step = taken(*setting, "cpu")
            assert_defined(wanted, w, step)
            np.testing.assert_allclose(step.errors, right.errors, rtol=1e-3)


def _with_text(text, neuron, sizes):
    return replace(step_source(neuron, sizes), text=text)
