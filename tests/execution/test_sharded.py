"""A network over several processes against the same in one: simulated ranks here, those of MPI in test_mpi."""

import itertools
import threading

import numpy as np
import pytest
from definitions import assert_defined, defined
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS
from simulated_mpi import on_ranks

from ntkverify import NtkVerifyError
from ntkverify.execution.draw import BLOCK, draw_weights
from ntkverify.execution.sharded import Ranks, ShardedExecutor, make_sharded
from ntkverify.execution.sharded.ranks import FEW
from ntkverify.symbolic.network.neuron import regression_neuron

AGREEMENT = 1e-12
SIZES = (3, 2)
WIDTH = 101
#: of exp no bound of the rounding error is known
BOUNDED = sorted(set(KINDS) - {"gaussian"})


#: kinds whose kernels are compiled in any run: a linear block, and two with nonlinear residuals of several features
COMPILED = {"relu", "heat", "advection"}


def on_backends(kinds):
    return [
        pytest.param(kind, backend, marks=pytest.mark.exhaustive if backend == "cpu" and kind not in COMPILED else ())
        for backend in ("array", "cpu")
        for kind in kinds
    ]


def sharded(neuron, problem, communicator, **options):
    return make_sharded(
        neuron, problem["points"], problem["targets"], scale=problem["scale"], communicator=communicator, **options
    )


@pytest.mark.parametrize("entries", [1, 7, FEW, FEW + 1, 3 * FEW + 2])
@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_sums_are_those_in_the_order_of_the_ranks_on_every_rank(entries, ranks):
    given = np.random.default_rng(entries).standard_normal((ranks, entries)) * 10.0 ** np.arange(ranks)[:, None]
    wanted = given[0].copy()
    for row in given[1:]:
        wanted = wanted + row
    found = on_ranks(ranks, lambda c: Ranks(c).added(given[c.Get_rank()]))
    for one in found:
        np.testing.assert_array_equal(one, wanted)


def test_no_number_is_the_largest():
    rows = np.array([[1.0, np.nan, 3.0], [2.0, 5.0, np.nan]])
    for one in on_ranks(2, lambda c: Ranks(c).largest(rows[c.Get_rank()])):
        np.testing.assert_array_equal(one, [2.0, np.nan, np.nan])


@pytest.mark.parametrize(("kind", "backend"), on_backends(sorted(KINDS)))
def test_every_answer_is_that_of_one_process(kind, backend):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, SIZES, WIDTH, 3)
    whole = executor_of(neuron, problem, backend=backend)
    passed = whole.forward(weights, frozen)
    vector = np.random.default_rng(4).standard_normal(whole.samples.total)
    moved = weights.copy()
    wanted = {
        "residuals": passed.residuals,
        "vjp": whole.vjp(weights, frozen, passed, vector),
        "jacobian": whole.jacobian(weights, frozen).reshape(len(vector), *weights.shape),
        "gram": whole.gram(weights, frozen),
        "groups": sum(whole.group_grams(weights, frozen).values()),
        "stepped": whole.step(moved, frozen, passed, 0.01).residuals,
        "moved": moved,
        "dot": whole.dot(weights, weights),
    }

    def work(communicator):
        executor = sharded(neuron, problem, communicator, width=WIDTH, backend=backend)
        own, fixed = weights[executor.share].copy(), frozen[executor.share].copy()
        forward = executor.forward(own, fixed)
        found = {
            "residuals": forward.residuals,
            "vjp": executor.vjp(own, fixed, forward, vector),
            "jacobian": executor.jacobian(own, fixed).reshape(len(vector), *own.shape),
            "gram": executor.gram(own, fixed),
            "groups": sum(executor.group_grams(own, fixed).values()),
            "dot": executor.dot(own, own),
            "stepped": executor.step(own, fixed, forward, 0.01).residuals,
            "moved": own,
        }
        return executor.share, found

    found = on_ranks(3, work)
    assert [share.start for share, _ in found] == [0, 33, 67]
    for name, value in wanted.items():
        if name in ("vjp", "moved", "jacobian"):
            joined = np.concatenate([part[name] for _, part in found], axis=1 if name == "jacobian" else 0)
            assert relative(joined, value) < AGREEMENT, name
        else:
            for _, part in found:
                assert relative(part[name], value) < AGREEMENT, name
                np.testing.assert_array_equal(part[name], found[0][1][name])


@pytest.mark.parametrize(("kind", "backend"), on_backends(BOUNDED))
@pytest.mark.parametrize("given", [False, True])
def test_a_measured_step_is_what_is_defined(kind, backend, given):
    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, SIZES, WIDTH, 5)
    rng = np.random.default_rng(6)
    start = weights + 0.1 * rng.standard_normal(weights.shape)
    change = 0.01 * rng.standard_normal(weights.shape) if given else None
    one = executor_of(neuron, problem, backend=backend)
    alone = one.measured_step(weights.copy(), frozen, one.forward(weights, frozen), 0.01, start=start, change=change)

    def work(communicator):
        executor = sharded(neuron, problem, communicator, width=WIDTH, backend=backend)
        part = executor.share
        own, fixed = weights[part].copy(), frozen[part]
        step = executor.measured_step(
            own, fixed, executor.forward(own, fixed), 0.01, start=start[part],
            change=None if change is None else change[part],
        )  # fmt: skip
        return own, step

    found = on_ranks(3, work)
    w = np.concatenate([own for own, _ in found])
    for _, step in found:
        assert_defined(defined(neuron, problem, weights, frozen, start, 0.01, change=change), w, step)
        for name, move in alone.moves.items():
            np.testing.assert_allclose(list(vars(step.moves[name]).values()), list(vars(move).values()), rtol=AGREEMENT)
        # the same bound up to how sums are cut
        assert (step.errors > 0).all()
        assert (step.errors < 2 * alone.errors).all()


def test_shards_are_drawn_as_the_network_is():
    """Where blocks are cut."""
    neuron, width = regression_neuron("relu", dimension=2), 2 * BLOCK + 77
    weights, frozen = draw_weights(neuron, 8, width)
    for ranks in (2, 3):
        cuts = [width * r // ranks for r in range(ranks + 1)]
        parts = [draw_weights(neuron, 8, width, slice(lo, hi)) for lo, hi in itertools.pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate([w for w, _ in parts]), weights)
        np.testing.assert_array_equal(np.concatenate([f for _, f in parts]), frozen)


def test_what_cannot_be_spread_is_refused_in_one_sentence():
    neuron = regression_neuron("relu", dimension=2)
    points, targets = {"data": np.eye(2)}, {"data": np.ones(2)}

    def made(width, backend="array", rows=None):
        def work(c):
            x = points if rows is None else {"data": np.eye(2) * (1 + c.Get_rank())}
            return make_sharded(neuron, x, targets, width=width, backend=backend, communicator=c)

        return on_ranks(3, work)

    with pytest.raises(NtkVerifyError, match="2 neurons can't be spread over 3 processes"):
        made(2)
    with pytest.raises(NtkVerifyError, match="balls are for small networks"):
        made(9, backend="ball")
    with pytest.raises(NtkVerifyError, match="process 1 of 3 has another network or samples than process 0"):
        made(9, rows="different")
    (executor, *_) = made(9)
    with pytest.raises(NtkVerifyError, match="process 0 of 3 holds 3 of 9 neurons, not 9"):
        executor.forward(np.ones((9, 2)), np.ones((9, 1)))
    assert threading.active_count() < 20
    assert isinstance(executor, ShardedExecutor)
