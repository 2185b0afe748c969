"""A pass keeps its neurons for what is asked at the same weights, and for nothing else, as long as it lives."""

import gc
import pickle

import numpy as np
import pytest
from drawing import draw_problem, executor_of
from hand_built_neurons import KINDS

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
    (reference,) = executor._recent
    assert reference() is not None
    del forward
    gc.collect()
    assert reference() is None
