"""Chunks shared out to threads."""

import os
import threading

import numpy as np
import pytest
from drawing import draw_problem, executor_of
from threadpoolctl import threadpool_limits

from ntkverify.execution.cpu import CpuExecutor
from ntkverify.execution.gemm import GemmExecutor
from ntkverify.execution.threads import available_threads, share
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


@pytest.mark.parametrize("size", [37, 530], ids=["runs of panels", "products shared out"])
@pytest.mark.parametrize("executor", [CpuExecutor, GemmExecutor])
def test_gram_matrices_do_not_depend_on_any_number_of_threads(executor, size):
    neuron = regression_neuron("relu", dimension=3)
    problem, weights, frozen = draw_problem(neuron, (size,), 3000, 1)
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


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs a system that places threads on several processors",
)
class TestPlacement:
    """A caller and its helper on different processors, as long as work is shared out."""

    def shared(self):
        """Where the caller and its one helper may run while they work, and how many threads each would start."""
        together, found = threading.Barrier(2, timeout=60), {}

        def work(i):
            together.wait()  # so that both take one of the two chunks
            found[threading.get_ident()] = os.sched_getaffinity(0), available_threads()

        share(work, 2, 2)
        caller = found.pop(threading.get_ident())
        (helper,) = found.values()
        return caller, helper

    def test_the_helper_keeps_off_the_callers_processor(self):
        before = os.sched_getaffinity(0)
        for _ in range(3):
            (own, _), (others, _) = self.shared()
            assert len(own) == 1
            assert others == before - own
            assert os.sched_getaffinity(0) == before

    def test_who_is_kept_to_less_still_knows_what_is_allowed(self):
        (_, mine), (_, helpers) = self.shared()
        assert mine == helpers == len(os.sched_getaffinity(0))

    def test_a_helper_follows_its_caller(self):
        """In a thread of its own, whose place may be changed at will."""
        before, failures = sorted(os.sched_getaffinity(0)), []

        def moving():
            for processor in before:
                os.sched_setaffinity(0, {processor, before[0] if processor != before[0] else before[1]})
                allowed = os.sched_getaffinity(0)
                (own, _), (others, _) = self.shared()
                if own | others != allowed or own & others or os.sched_getaffinity(0) != allowed:
                    failures.append((allowed, own, others))
            os.sched_setaffinity(0, {before[-1]})
            (own, _), _ = self.shared()
            if own != {before[-1]}:
                failures.append("a caller that has one processor only must be left there")

        thread = threading.Thread(target=moving)
        thread.start()
        thread.join(60)
        assert failures == []

    def test_an_error_leaves_the_caller_where_it_was(self):
        before = os.sched_getaffinity(0)

        def work(i):
            raise ValueError(f"chunk {i}")

        with pytest.raises(ValueError, match="chunk"):
            share(work, 4, 2)
        assert os.sched_getaffinity(0) == before
        assert available_threads() == len(before)
