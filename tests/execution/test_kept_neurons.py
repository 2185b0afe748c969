"""A pass keeps its neurons for what is asked at the same weights, and for nothing else, as long as it lives."""

import copy
import dataclasses
import gc
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest
from drawing import draw_problem, executor_of
from hand_built_neurons import KINDS
from simulated_mpi import on_ranks

from ntkverify.execution.base import Executor
from ntkverify.execution.samples import Samples
from ntkverify.execution.sharded import make_sharded
from ntkverify.execution.step import Step
from ntkverify.execution.walking.array import KEPT_BYTES, RECENT
from ntkverify.execution.walking.chunk import Chunk


@pytest.fixture(params=["relu", "advection"])
def given(request):
    neuron = KINDS[request.param]()
    problem, weights, frozen = draw_problem(neuron, (3, 2), 50, 5)
    return executor_of(neuron, problem, backend="array"), weights, frozen, (neuron, problem)


@pytest.fixture
def evaluations(monkeypatch):
    """How often neurons are made anew."""
    made, plain = [], Chunk.__init__

    def counted(self, *args):
        made.append(self)
        plain(self, *args)

    monkeypatch.setattr(Chunk, "__init__", counted)
    return made


def test_a_step_goes_on_with_what_the_pass_has_evaluated(given, evaluations):
    executor, w, f, _ = given
    forward = executor.forward(w, f)
    executor.gradient(w, f, forward)
    step = executor.measured_step(w, f, forward, 0.01, start=w.copy())
    assert len(evaluations) == 2  # here, and where the step ends
    executor.gradient(w, f, step.forward)
    executor.jacobian(w, f)
    assert len(evaluations) == 2


def test_other_weights_are_evaluated_though_the_pass_is_the_old_one(given):
    executor, w, f, made = given
    forward, moved = executor.forward(w, f), w + 0.1
    fresh = executor_of(*made, backend="array")
    vector = np.arange(1.0, 1 + len(forward.residuals))
    np.testing.assert_array_equal(executor.vjp(moved, f, forward, vector), fresh.vjp(moved, f, forward, vector))
    np.testing.assert_array_equal(executor.jacobian(moved, f), fresh.jacobian(moved, f))
    w += 0.1  # in place, as training does it
    np.testing.assert_array_equal(executor.gram(w, f), fresh.gram(moved, f))


def test_what_a_caller_does_to_a_gradient_stays_his(given):
    executor, w, f, _ = given
    forward = executor.forward(w, f)
    gradient = executor.gradient(w, f, forward)
    kept = gradient.copy()
    gradient *= 0
    np.testing.assert_array_equal(executor.gradient(w, f, forward), kept)
    step = executor.measured_step(w, f, forward, 0.01, start=w.copy())
    assert step.moves["weights"].gradient == pytest.approx(np.sqrt((kept**2).sum(axis=1).max()))


def test_neurons_go_with_their_pass(given, evaluations):
    executor, w, f, _ = given
    forward = executor.forward(w, f)
    assert pickle.loads(pickle.dumps(forward)).kept is None
    evaluations.clear()
    chunk = weakref.ref(forward.kept)
    del forward
    gc.collect()
    assert chunk() is None


@pytest.mark.parametrize("kind", ["relu", "advection", "heat"])
@pytest.mark.parametrize("changed", ["weights", "frozen", "points", "all"])
def test_what_callers_change_in_place_is_evaluated_or_was_never_theirs(kind, changed):
    neuron = KINDS[kind]()
    problem, w, f = draw_problem(neuron, (3, 2), 50, 6)
    was = copy.deepcopy(problem)
    executor = executor_of(neuron, problem, backend="array")
    forward = executor.forward(w, f)
    executor.gradient(w, f, forward)
    after = executor.measured_step(w, f, forward, 0.01, start=w.copy()).forward
    for name, array in (("weights", w), ("frozen", f), *(("points", x) for x in problem["points"].values())):
        if changed in (name, "all"):
            array *= -2
    fresh = executor_of(neuron, was, backend="array")  # the points that the executor was given
    np.testing.assert_array_equal(executor.jacobian(w, f), fresh.jacobian(w, f))
    np.testing.assert_array_equal(executor.gram(w, f), fresh.gram(w, f))
    np.testing.assert_array_equal(executor.forward(w, f).residuals, fresh.forward(w, f).residuals)
    np.testing.assert_array_equal(executor.gradient(w, f, after), fresh.gradient(w, f, after))


def test_targets_and_points_of_other_samples_are_copied_too(given):
    executor, w, f, _ = given
    blocks = [
        dataclasses.replace(b, points=b.points + 1, targets=b.targets + 1, block=b.block)
        for b in executor.samples.blocks
    ]
    other = executor.with_samples(Samples(executor.neuron, tuple(blocks)))
    forward = other.forward(w, f)
    jacobian = other.jacobian(w, f)
    for b in blocks:
        b.points[...] *= 3
        b.targets[...] *= 3
    np.testing.assert_array_equal(other.forward(w, f).residuals, forward.residuals)
    np.testing.assert_array_equal(other.jacobian(w, f), jacobian)
    assert np.abs(jacobian - executor.jacobian(w, f)).max() > 0.01


@pytest.mark.parametrize("change", ["residuals in place", "sums in place", "other sums"])
def test_a_gradient_is_that_of_the_pass_as_it_is(given, change):
    executor, w, f, (neuron, problem) = given
    forward = executor.forward(w, f)
    before = executor.gradient(w, f, forward)
    if change == "residuals in place":
        forward.residuals[...] *= 3
    elif change == "sums in place":
        for rows in forward.sums:
            rows *= 3
    else:
        forward = dataclasses.replace(forward, sums=tuple(rows * 3 for rows in forward.sums))
        assert forward.kept is None
    wanted = executor_of(neuron, problem, backend="array").gradient(w, f, forward)
    np.testing.assert_array_equal(executor.gradient(w, f, forward), wanted)
    if change == "residuals in place" or not executor.samples.is_linear:
        assert np.abs(wanted - before).max() > 1e-3
    start = w.copy()
    step = executor.measured_step(w, f, forward, 0.01, start=start)
    np.testing.assert_array_equal(w, start - 0.01 * wanted)
    assert step.moves["weights"].gradient == pytest.approx(np.sqrt((wanted**2).sum(axis=1).max()))


def test_numbers_of_another_type_are_evaluated_in_theirs():
    """Squares of weights of the heat operator round to float32."""
    neuron = KINDS["heat"]()
    problem, w, f = draw_problem(neuron, (3, 2), 50, 5)
    single, double = w.astype(np.float32), w.astype(np.float32).astype(np.float64)
    executor, fresh = (executor_of(neuron, problem, backend="array") for _ in range(2))
    passes = [executor.forward(weights, f) for weights in (single, double)]
    wanted = {weights.dtype: fresh.jacobian(weights, f) for weights in (single, double)}
    assert np.abs(wanted[single.dtype] - wanted[double.dtype]).max() > 1e-9
    for weights in (single, double):
        np.testing.assert_array_equal(executor.jacobian(weights, f), wanted[weights.dtype])
    for one, weights in zip(passes, (single, double), strict=True):
        found = executor.gradient(weights, f, one)
        np.testing.assert_array_equal(found, fresh.gradient(weights, f, one))
    del passes, one
    kept = executor.forward(double, f.astype(np.float32))
    np.testing.assert_array_equal(executor.jacobian(double, f), wanted[double.dtype])
    assert kept.kept is not None


def test_a_list_of_passes_keeps_the_neurons_of_the_last_ones(given):
    executor, w, f, _ = given
    passes = [executor.forward(w + k, f) for k in range(4)]
    for k in range(4):
        step = executor.measured_step(w + k, f, passes[-1], 0.01, start=w)
        passes.append(step.forward)
    assert [p.kept is not None for p in passes] == [False] * (len(passes) - RECENT) + [True] * RECENT


@pytest.mark.parametrize("measured", [False, True])
def test_kept_neurons_come_to_no_more_than_they_say(measured):
    """Some sixty values a neuron and sample: of 100 samples 2048 neurons are too many to keep, some 50 MB."""
    neuron = KINDS["poisson"]()
    for m, kept in ((2048, False), (100, True)):
        problem, w, f = draw_problem(neuron, (60, 40), m, 7)
        executor = executor_of(neuron, problem, backend="array")
        executor.gradient(w, f, executor.forward(w, f))  # what executors find once for all
        start = w.copy()
        executor.measured_step(w.copy(), f, executor.forward(w, f), 0.01, start=start)
        gc.collect()
        tracemalloc.start()
        passes = []
        for k in range(RECENT + 2):
            moved = w + 0.1 * k
            passes.append(executor.forward(moved, f))
            if measured:
                passes.append(executor.measured_step(moved, f, passes[-1], 0.01, start=start).forward)
            else:
                executor.gradient(moved, f, passes[-1])
        del moved
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (passes[-1].kept is not None) is kept
        assert held <= (RECENT * KEPT_BYTES if kept else KEPT_BYTES // 10)


def test_the_way_to_features_and_derivatives_is_dropped_once_both_are_there(given):
    executor, w, f, _ = given
    forward = executor.forward(w, f)
    assert any(values._found for values in forward.kept._at)
    gradient = executor.gradient(w, f, forward)
    assert not any(values._found or values._known for values in forward.kept._at)
    np.testing.assert_array_equal(executor.gradient(w, f, forward), gradient)
    assert forward.kept.features is forward.kept.features


@pytest.mark.parametrize("kind", ["relu", "advection"])
def test_a_step_of_one_process_of_several_keeps_nothing(kind):
    neuron = KINDS[kind]()
    problem, _, _ = draw_problem(neuron, (3, 2), 50, 5)

    def kept(communicator):
        executor = make_sharded(neuron, **problem, width=50, backend="array", communicator=communicator)
        w, f = executor.draw(0)
        forward = executor.forward(w, f)
        step = executor.measured_step(w, f, forward, 0.01, start=w.copy())
        return [forward.kept, step.forward.kept, *(p() for p in executor.inner._recent)]

    for found in on_ranks(2, kept):
        assert not any(found)


def test_a_step_measured_by_an_executor_of_the_moment_keeps_nothing(given):
    executor, w, f, _ = given
    step = Step(w, f, executor.forward(w, f), 0.01, w.copy())
    assert Executor._measured(executor, step).forward.kept is None
