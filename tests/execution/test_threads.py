"""Chunks shared out to threads."""

import threading

import numpy as np
import pytest
from drawing import draw_problem, executor_of
from threadpoolctl import threadpool_limits

from ntkverify.execution.cpu import CpuExecutor
from ntkverify.execution.gemm import GemmExecutor
from ntkverify.execution.threads import share
from ntkverify.symbolic.neuron import regression_neuron


def test_a_chunk_may_share_out_work_itself():
    done = []

    def outer(i):
        share(lambda j: done.append((i, j)), 4, 2)

    # in a thread of its own: a deadlock fails the test instead of hanging it
    thread = threading.Thread(target=share, args=(outer, 4, 2), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert sorted(done) == [(i, j) for i in range(4) for j in range(4)]


def test_an_error_in_a_chunk_reaches_the_caller():
    def work(i):
        if i == 3:
            raise ValueError("chunk 3")

    with pytest.raises(ValueError, match="chunk 3"):
        share(work, 5, 2)


@pytest.mark.parametrize("executor", [CpuExecutor, GemmExecutor])
def test_gram_matrices_do_not_depend_on_any_number_of_threads(executor):
    neuron = regression_neuron("relu", dimension=3)
    problem, weights, frozen = draw_problem(neuron, (530,), 3000, 1)
    samples = executor_of(neuron, problem, backend="array").samples
    found = []
    for own, blas in ((1, 1), (2, 1), (2, 2), (3, 2)):
        with threadpool_limits(blas, user_api="blas"):
            found.append(executor(samples, threads=own).gram(weights, frozen))
    assert (found[0] == found[0].T).all()
    for other in found[1:]:
        assert (other == found[0]).all()
    dense = executor_of(neuron, problem, backend="array").gram(weights, frozen)
    assert np.abs(found[0] - dense).max() <= 1e-13 * np.abs(dense).max()
