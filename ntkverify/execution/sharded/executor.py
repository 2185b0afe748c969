"""The executor of a network whose neurons are spread over processes."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import executor_of
from ntkverify.execution.base import Executor
from ntkverify.execution.draw import Seed, draw_weights
from ntkverify.execution.samples import Forward, Samples, collect_samples
from ntkverify.execution.sharded.ranks import Ranks
from ntkverify.execution.step import MeasuredStep, Move, Step, finished
from ntkverify.symbolic.network.neuron import Neuron

#: roundings that a sum meets beyond those of a process' own: it is rescaled, by a rounded quotient's rounded root
RESCALED = 3


def make_sharded(
    neuron: Neuron,
    points: Mapping[str, Any],
    targets: Mapping[str, Any],
    *,
    width: int,
    scale: Mapping[str, Any] | None = None,
    backend: str = "cpu",
    communicator: Any = None,
    **options: Any,
) -> ShardedExecutor:
    """Prepare a network for running on all processes of a communicator, a share of its neurons on each.

    Parameters
    ----------
    neuron, points, targets, scale
        As for `ntkverify.execution.make_executor`; every process has all samples.
    width : int
        Neurons of the whole network.
    backend : {"cpu", "gpu", "array"}
        What each process runs its share on.
    communicator : mpi4py.MPI.Comm, optional
        ``MPI.COMM_WORLD`` by default.
    **options
        Of the backend; on the processor `threads` is by default each process' share of its machine.

    Raises
    ------
    NtkVerifyError
        If mpi4py or an MPI library is missing, the processes differ in what they are to run, or there are more
        processes than neurons, or more residuals than weights.

    Examples
    --------
    >>> executor = make_sharded(neuron, {"data": x}, {"data": y}, width=10**9)  # doctest: +SKIP
    >>> weights, frozen = executor.draw(seed=0)  # doctest: +SKIP
    >>> found = follow(executor, weights, frozen, GradientDescent(0.1), steps=100, in_place=True)  # doctest: +SKIP
    """
    ranks = Ranks(communicator)
    if backend == "ball":
        raise NtkVerifyError("balls are for small networks; a sharded one runs on cpu, gpu or array.")
    if backend == "cpu":
        options.setdefault("threads", ranks.threads())
    inner = executor_of(collect_samples(neuron, points, targets, scale), backend=backend, **options)
    return ShardedExecutor(inner, width, ranks)


class ShardedExecutor(Executor):
    """Runs a problem on this process' share of the neurons, and adds up over all of them.

    All methods that need a sum over neurons are to be called on every process, in the same order. What travels are
    vectors of a number per residual, and matrices of a number per pair of them. Weights are those of `share` alone,
    of the inner executor's kind; what is per neuron - `vjp`, `jacobian` - is so as well.

    Parameters
    ----------
    inner : Executor
        What runs the share.
    width : int
        Neurons of the whole network.
    ranks : Ranks
        The processes.
    """

    def __init__(self, inner: Executor, width: int, ranks: Ranks) -> None:
        super().__init__(inner.samples, inner.algebra)
        self.inner, self.width, self.processes = inner, width, ranks
        self.rank, self.ranks = ranks.rank, ranks.size
        ranks.agree((width, _digest(inner)), "network or samples")
        pair = 2 if self.neuron.coupled else 1
        if width < pair * ranks.size:
            raise NtkVerifyError(f"{width} neurons can't be spread over {ranks.size} processes; start fewer.")
        if width * len(self.neuron.weights) < self.samples.total:
            raise NtkVerifyError(
                f"a network of fewer weights than its {self.samples.total} residuals is not for several processes."
            )
        cuts = [width // pair * rank // ranks.size * pair for rank in range(ranks.size)] + [width]
        #: which neurons of the network are this process' own
        self.share = slice(*cuts[ranks.rank : ranks.rank + 2])
        # an executor scales sums by its own number of neurons
        self._root = math.sqrt((self.share.stop - self.share.start) / width)

    def draw(self, seed: Seed) -> tuple[Any, Any]:
        """This process' weights (m, p) and frozen weights (m, q) of the network that `draw_weights` draws."""
        weights, frozen = draw_weights(self.neuron, seed, self.width, self.share)
        return self.inner.from_host(weights), self.inner.from_host(frozen)

    # -- the interface ------------------------------------------------------------------------------------------------

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        self._check_share(weights)
        return self._whole(self.inner.forward(weights, frozen))

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        self._check_share(weights)
        return self.inner.vjp(weights, frozen, forward, vector * self._root)

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        """The columns (N, m p) of this process' weights."""
        return self._with_pass(weights, frozen).jacobian(weights, frozen) * self._root

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        return self._sum(self._with_pass(weights, frozen).gram(weights, frozen) * self._root**2)

    def group_gram(self, weights: Any, frozen: Any, group: str) -> Any:
        return self._sum(self._with_pass(weights, frozen).group_gram(weights, frozen, group) * self._root**2)

    def group_grams(self, weights: Any, frozen: Any) -> dict[str, Any]:
        found = self._with_pass(weights, frozen).group_grams(weights, frozen)
        return {group: self._sum(part * self._root**2) for group, part in found.items()}

    def step(self, weights: Any, frozen: Any, forward: Forward, eta: Any) -> Forward:
        self._check_share(weights)
        return self._whole(self.inner.step(weights, frozen, forward, eta * self._root))

    def _measured(self, step: Step) -> MeasuredStep:
        self._check_share(step.weights)

        def finish(*parts: Any) -> MeasuredStep:
            return self._finished(step, *parts)

        inner = self._answering(step.forward)
        return inner._measured(dataclasses.replace(step, eta=step.eta * self._root, finish=finish))

    def _finished(
        self, step: Step, sums: Any, majorants: Any, linear: Any, remainders: Any, moves: Any, gram: Any, own: int
    ) -> MeasuredStep:
        """A measured step from what it is on this process; one sum and one maximum over all."""
        kinds = [[self.to_host(rows) for rows in kind] for kind in (sums, majorants, linear, remainders)]
        count = self.share.stop - self.share.start
        squares = np.array([[count * float(m.drift_rms) ** 2, float(m.length) ** 2] for m in moves.values()])
        most = [[float(m.drift), float(m.norm), self._root * float(m.gradient)] for m in moves.values()]
        arrays = [rows * self._root for kind in kinds for rows in kind] + [squares]
        arrays += [] if gram is None else [self.to_host(gram) * self._root**2]
        added = iter(_split(self.added(np.concatenate([a.reshape(-1) for a in arrays])), arrays))
        parts = [[self.from_host(next(added)) for _ in kind] for kind in kinds]
        squares = next(added)
        largest = self.processes.largest(np.array([*np.ravel(most), float(own)]))
        groups = zip(moves, largest[:-1].reshape(-1, 3).tolist(), squares.tolist(), strict=True)
        return finished(
            self.inner,
            dataclasses.replace(step, finish=None),
            *parts,
            moves={
                name: Move(drift, math.sqrt(drifts / self.width), norm, gradient, math.sqrt(lengths))
                for name, (drift, norm, gradient), (drifts, lengths) in groups
            },
            gram=None if gram is None else self.from_host(next(added)),
            roundings=int(largest[-1]) + self.ranks + RESCALED,
        )

    def with_samples(self, samples: Samples) -> ShardedExecutor:
        other = copy.copy(self)
        other.inner = self.inner.with_samples(samples)
        other.samples = other.inner.samples
        return other

    def _rebuilt(self, samples: Samples) -> ShardedExecutor:
        return ShardedExecutor(self.inner._rebuilt(samples), self.width, self.processes)

    # -- sums over all processes --------------------------------------------------------------------------------------

    def width_of(self, weights: Any) -> int:
        return self.width

    def added(self, array: Any) -> Array:
        return self.processes.added(self.to_host(array))

    def gathered(self, value: Any) -> list[Any]:
        return self.processes.gathered(value)

    def dot(self, a: Any, b: Any) -> float:
        return float(self.added(np.array([self.inner.dot(a, b)]))[0])

    def outer(self, rows: Any) -> Any:
        return self._sum(self.inner.outer(rows))

    def _sum(self, array: Any) -> Any:
        return self.from_host(self.added(array))

    def _whole(self, own: Forward) -> Forward:
        """The network's pass from that of this process' neurons."""
        arrays = [self.to_host(rows) * self._root for rows in own.sums]
        total = self.added(np.concatenate([a.reshape(-1) for a in arrays]))
        return self.inner._residuals_of(tuple(self.from_host(rows) for rows in _split(total, arrays)))

    def _with_pass(self, weights: Any, frozen: Any) -> Executor:
        """The inner executor with the pass at these weights, unless no derivative depends on it."""
        self._check_share(weights)
        return self.inner if self.samples.is_linear else self._answering(self.forward(weights, frozen))

    def _answering(self, found: Forward) -> Executor:
        """The inner executor that, where it would ask for its own pass, has the whole network's.

        Derivatives of a nonlinear residual are those at the sums over all neurons.
        """
        if self.samples.is_linear:
            return self.inner
        inner = copy.copy(self.inner)
        vars(inner)["forward"] = lambda *_: found
        return inner

    def _check_share(self, weights: Any) -> None:
        count = self.share.stop - self.share.start
        if weights.shape[0] != count:
            raise NtkVerifyError(
                f"process {self.rank} of {self.ranks} holds {count} of {self.width} neurons, not {weights.shape[0]}; "
                "take the weights that `draw` gives."
            )

    # -- the inner executor's arrays ----------------------------------------------------------------------------------

    def slopes(self, forward: Forward) -> list[list[Any]]:
        return self.inner.slopes(forward)

    def _residuals_of(self, sums: tuple[Any, ...]) -> Forward:
        return self.inner._residuals_of(sums)

    def _stack(self, parts: list[Any], axis: int) -> Any:
        return self.inner._stack(parts, axis)

    def copy(self, array: Any) -> Any:
        return self.inner.copy(array)

    def larger(self, one: Any, other: Any) -> Any:
        return self.inner.larger(one, other)

    def concatenate(self, parts: list[Any], axis: int = 0) -> Any:
        return self.inner.concatenate(parts, axis)

    def to_host(self, array: Any) -> Any:
        return self.inner.to_host(array)

    def from_host(self, array: Any) -> Any:
        return self.inner.from_host(array)


def _split(flat: Array, like: list[Array]) -> list[Array]:
    """A vector as arrays of these shapes, one after the other."""
    ends = np.cumsum([a.size for a in like])[:-1]
    return [part.reshape(a.shape) for part, a in zip(np.split(flat, ends), like, strict=True)]


def _digest(executor: Executor) -> str:
    """What tells problems apart: the neuron, samples and scales."""
    found = hashlib.sha256(f"{executor.neuron.weights} {executor.neuron.frozen}".encode())
    for b in executor.samples.blocks:
        found.update(f"{b.block.features} {b.block.residual} {b.scale}".encode())
        for array in (b.points, b.targets):
            found.update(np.ascontiguousarray(executor.to_host(array), dtype=np.float64).tobytes())
    return found.hexdigest()
