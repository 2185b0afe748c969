"""Chunks shared out to threads."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drawing import draw_problem, executor_of
from threadpoolctl import threadpool_limits

from ntkverify.execution.fused.cpu import CpuExecutor
from ntkverify.execution.fused.gemm import GemmExecutor
from ntkverify.execution.machine.placement import staying_put
from ntkverify.execution.machine.threads import available_threads, in_order, share
from ntkverify.symbolic.network.neuron import regression_neuron


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


@pytest.mark.filterwarnings("error")
def test_helpers_warn_of_what_the_caller_wants_to_be_warned_of():
    """What NumPy says of an overflow is a setting of a thread; helpers take the caller's."""

    def doubled(i):
        return np.full(3, 1e308) * 2 * (i + 1)

    with np.errstate(over="ignore"):
        assert all(np.isinf(array).all() for array in in_order(doubled, list(range(8))))
        share(doubled, 8, 4)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        share(lambda i: doubled(i) if i else None, 8, 4)


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
    # at 37 samples more panels than runs
    problem, weights, frozen = draw_problem(neuron, (size,), 30_000 if size == 37 else 3000, 1)
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


def places_threads():
    """Whether this system lets a thread choose among several processors."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return False
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        os.sched_setaffinity(0, before)
    except OSError:
        return False
    return True


def in_a_thread(work):
    """The result of a function run in a thread of its own, whose place it may change."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60)


def shared(threads=2):
    """Where the caller and its helpers may run while they work, and how many threads each would start."""
    together, found = threading.Barrier(threads, timeout=30), {}

    def work(i):
        together.wait()  # so that each of them takes one of the chunks
        found[threading.get_ident()] = os.sched_getaffinity(0), available_threads()

    share(work, threads, threads)
    caller = found.pop(threading.get_ident())
    return caller, list(found.values())


@pytest.mark.skipif(not places_threads(), reason="needs a system that places threads on several processors")
class TestPlacement:
    """A caller and its helpers on different processors, as long as work is shared out."""

    def test_helpers_keep_off_the_callers_processor(self):
        before = os.sched_getaffinity(0)
        for threads in (2, 3, 2):
            (own, _), helpers = shared(threads)
            assert len(own) == 1
            assert [place for place, _ in helpers] == [before - own] * (threads - 1)
            assert os.sched_getaffinity(0) == before

    def test_who_is_kept_to_less_still_knows_what_is_allowed(self):
        (_, mine), ((_, helpers),) = shared()
        assert mine == helpers == len(os.sched_getaffinity(0))

    def test_a_caller_with_one_processor_is_left_there_with_its_helper(self):
        def narrowed(processor):
            os.sched_setaffinity(0, {processor})
            return shared()

        for processor in os.sched_getaffinity(0):
            (own, _), ((place, _),) = in_a_thread(lambda processor=processor: narrowed(processor))
            assert own == place == {processor}

    def test_a_share_within_another_one_places_nobody(self):
        before = os.sched_getaffinity(0)
        with staying_put():
            assert len(os.sched_getaffinity(0)) == 1
            _, helpers = shared(4)
            assert [place for place, _ in helpers] == [before] * 3
            assert [threads for _, threads in helpers] == [len(before)] * 3
        assert os.sched_getaffinity(0) == before

    def test_of_two_callers_one_is_placed(self):
        both, before = threading.Barrier(2, timeout=30), os.sched_getaffinity(0)

        def caller():
            with staying_put():
                both.wait()
                place = os.sched_getaffinity(0)
                both.wait()
            return len(place), os.sched_getaffinity(0) == before

        with ThreadPoolExecutor(2) as pool:
            found = sorted(future.result(60) for future in [pool.submit(caller) for _ in range(2)])
        assert found == [(1, True), (len(before), True)]
        (own, _), _ = shared()
        assert len(own) == 1

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_child_that_is_forked_meanwhile_is_free(self):
        before = os.sched_getaffinity(0)
        with staying_put():
            child = os.fork()
            if child == 0:
                try:
                    free = os.sched_getaffinity(0) == before and available_threads() == len(before)
                    os._exit(0 if free and len(shared()[0][0]) == 1 else 1)
                except BaseException:
                    os._exit(2)  # a child must not go on with the tests
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_an_error_leaves_the_caller_where_it_was(self):
        before = os.sched_getaffinity(0)

        def work(i):
            raise ValueError(f"chunk {i}")

        with pytest.raises(ValueError, match="chunk"):
            share(work, 4, 2)
        assert os.sched_getaffinity(0) == before
        assert available_threads() == len(before)
        (own, _), _ = shared()
        assert len(own) == 1

    def test_a_system_that_refuses_is_left_to_its_own_choice(self, monkeypatch):
        def refuse(thread, processors):
            raise PermissionError("not here")

        monkeypatch.setattr(os, "sched_setaffinity", refuse)
        done = []
        share(done.append, 5, 3)
        assert sorted(done) == list(range(5))
        monkeypatch.undo()
        (own, _), helpers = shared(3)
        assert all(not place & own for place, _ in helpers)

    def test_who_is_placed_by_somebody_else_meanwhile_stays_there(self):
        def moved():
            with staying_put() as elsewhere:
                os.sched_setaffinity(0, elsewhere.place)
            return elsewhere.place, os.sched_getaffinity(0)

        place, found = in_a_thread(moved)
        assert found == place
        assert place < os.sched_getaffinity(0)

    def test_long_work_is_placed_by_the_system(self):
        before, found = os.sched_getaffinity(0), []
        share(lambda i: found.append(os.sched_getaffinity(0)), 4, 2, brief=False)
        assert found == [before] * 4
