"""Many networks of one width, at their start or trained: the same quantity of each, for laws over their draws."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.execution.backends import executor_of
from ntkverify.execution.draw import weights_of_block
from ntkverify.execution.machine.threads import in_order
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.symbolic.network.neuron import Block
from ntkverify.symbolic.network.tangent import kernel_neuron

#: numbers of weights that are held at a time
HELD = 1 << 24
#: networks that a thread draws at a time: handing over one alone takes as long as drawing it
PART = 64
#: neurons of a batch from which compiling is worth it: the plain evaluator takes two seconds over that many in networks
#: of a thousand, and longer in narrow ones
WORTH_COMPILING_BATCHES = 1 << 21


class BatchRun(FullNetworkRun):
    """The entry K(0)_pq of `networks` independent networks, by one forward pass over the batch.

    The instance's parameter ``networks`` is their number, ``left`` and ``right`` (0 where absent) are the places p and
    q of the two residuals. Network number j has block j of the seed's random streams.
    """

    @property
    def networks(self) -> int:
        """Number of networks."""
        return int(self.instance.parameters["networks"])

    def _place(self, name: str) -> tuple[str, Any]:
        """Block and point of a residual."""
        index = int(self.instance.parameters.get(name, 0))
        if not 0 <= index < self.samples.total:
            raise NtkVerifyError(f"{name} must lie in 0..{self.samples.total - 1}, not {index}.")
        b = next(b for b in self.samples.blocks if b.rows.start <= index < b.rows.stop)
        return b.block.name, b.points[index - b.rows.start]

    @functools.cached_property
    def kernel_samples(self) -> Samples:
        """One sample: the pair of points, or the point if it is one."""
        (left, x), (right, y) = self._place("left"), self._place("right")
        same = self.instance.parameters.get("left", 0) == self.instance.parameters.get("right", 0)
        neuron = kernel_neuron(self.neuron, left, right, width=self.instance.width, same_point=same)
        point = x if same else np.concatenate([x, y])
        return collect_samples(neuron, {"kernel": point[None]}, {"kernel": np.zeros(1)})

    @functools.cached_property
    def kernel_entries(self) -> Any:
        """K(0)_pq of every network, (networks,)."""
        return self.over_networks("kernel entries", self.kernel_samples)[:, 0]

    @functools.cached_property
    def paths(self) -> tuple[Any, Any, Any]:
        """r(0), K(0)_pq and, after the instance's steps of gradient descent, K(T)_pq of every network.

        Arrays (networks, N), (networks,) and (networks,), the last not finite where steps diverge; the weights are
        drawn once for all three.
        """
        kept = self.shared(f"paths {self.kind}", lambda: self._swept(self.samples, self.kernel_samples, train=True))
        return kept[:, :-2], kept[:, -2], kept[:, -1]

    def limit_entries(self, count: int, *, seed: int = 0) -> Array:
        """`count` independent draws of the limit of K(0)_pq: of sums that are the Gaussian field, and kernel at limit.

        ``sum_ab R_a(G(x)) K_Phi,ab(x, x') R_b(G(x'))`` with G normal of covariance `limit_sum_covariance`; the stream
        is the instance's seed and this one's. In float64.
        """
        rng = np.random.default_rng([self.instance.seed, 1, seed])
        kernel, covariance = self.limit_sum_kernel, self.limit_sum_covariance
        left, right = (self._sums_of(int(self.instance.parameters.get(name, 0))) for name in ("left", "right"))
        places = np.unique(np.concatenate([left, right]))
        values, vectors = np.linalg.eigh(covariance[np.ix_(places, places)])
        root = vectors * np.sqrt(np.maximum(values, 0))  # of a point with itself, singular to rounding or not
        field = rng.standard_normal((count, len(places))) @ root.T
        slopes = []
        for name, sums in (("left", left), ("right", right)):
            block, point = self._place(name)
            partial = self.neuron.linearisations[block]
            evaluate = sympy.lambdify((*self.neuron.coordinates, *self.neuron.block(block).sums), partial, "numpy")
            state = field[:, np.searchsorted(places, sums)].T
            slopes.append(np.stack([np.broadcast_to(np.asarray(v, float), count) for v in evaluate(*point, *state)]))
        return np.asarray(np.einsum("an,ab,bn->n", slopes[0], kernel[np.ix_(left, right)], slopes[1]))

    def _sums_of(self, index: int) -> Array:
        """Places of a residual's sums among all."""
        first = 0
        for b, sums in self._sum_blocks:
            if b.rows.start <= index < b.rows.stop:
                return np.array([first + k * b.size + index - b.rows.start for k in range(len(sums))])
            first += b.size * len(sums)
        raise NtkVerifyError(f"there are {self.samples.total} residuals, none has the place {index}.")

    def of_block(self, name: str, block: Block) -> Any:
        """The residual of another block of the same neuron, at the point p, of every network, (networks,)."""
        neuron = dataclasses.replace(self.neuron, blocks=(block,))
        samples = collect_samples(neuron, {block.name: self._place("left")[1][None]}, {block.name: np.zeros(1)})
        return self.over_networks(name, samples)[:, 0]

    def over_networks(self, name: str, samples: Samples) -> Any:
        """The residuals of `samples` of every network, (networks, N), shared under `name`."""
        return self.shared(f"{name} {self.kind}", lambda: self._swept(samples))

    def executor_at(self, samples: Samples) -> Executor:
        """As for one network, but that kernels are compiled where the whole batch is worth it."""
        if self.backend != "auto":
            return super().executor_at(samples)
        wide = self.instance.width * self.networks * samples.total >= WORTH_COMPILING_BATCHES
        return executor_of(samples, backend="cpu" if wide else "array")

    def _swept(self, *groups: Samples, train: bool = False) -> Any:
        """The residuals of all groups of samples of every network; with `train`, the last group's again after it."""
        executors, width = [self.executor_at(samples) for samples in groups], self.instance.width
        neuron, step = groups[0].neuron, self.eta.arb if self.is_exact else self.eta
        held = max(1, HELD // (width * len(neuron.weights)))
        found = []
        for first in range(0, self.networks, held):
            count = min(held, self.networks - first)
            weights = np.empty((count, width, len(neuron.weights)))

            def fill(part: range, weights: Any = weights, first: int = first) -> None:
                seed = self.instance.weight_seed
                for j in part:
                    weights[j] = weights_of_block(neuron, seed, first + j, width)[0]

            for _ in in_order(fill, [range(j, min(j + PART, count)) for j in range(0, count, PART)]):
                pass
            moved = self._moved(executors[0], weights)
            kept = [e.to_host(e.descend(moved, None, 0.0, steps=0))[:, 0] for e in executors]
            if train:
                with np.errstate(all="ignore"):  # where steps are too long, numbers overflow and say so
                    executors[0].descend(moved, None, step, steps=self.steps)
                    kept.append(executors[-1].to_host(executors[-1].descend(moved, None, 0.0, steps=0))[:, 0])
            found.append(np.concatenate(kept, axis=1))
        return self.numbers(np.concatenate(found))


def batch(equation: Any = None, *, equations: Mapping[str, Any] | None = None, **options: Any) -> Callable[..., Any]:
    """What ``run=`` of a family of batches takes; options as for `full_network`."""
    return full_network(equation, equations=equations, kind=BatchRun, **options)
