"""Many networks of one width at their start: the same quantity of each, for laws over the draw of the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.draw import weights_of_block
from ntkverify.execution.machine.threads import in_order
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.problems.full_network import FullNetworkRun, full_network
from ntkverify.symbolic.network.tangent import kernel_neuron

#: numbers of weights that are held at a time
HELD = 1 << 24


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

    def over_networks(self, name: str, samples: Samples) -> Any:
        """The residuals of `samples` of every network, (networks, N), shared under `name`."""
        return self.shared(f"{name} {self.kind}", lambda: self._swept(samples))

    def _swept(self, samples: Samples) -> Any:
        executor, width = self.executor_at(samples), self.instance.width
        held = max(1, HELD // (width * len(samples.neuron.weights)))
        found = []
        for first in range(0, self.networks, held):
            count = min(held, self.networks - first)
            weights = np.empty((count, width, len(samples.neuron.weights)))

            def fill(j: int, weights: Any = weights, first: int = first) -> None:
                seed = self.instance.weight_seed
                weights[j] = weights_of_block(samples.neuron, seed, first + j, width)[0]

            for _ in in_order(fill, list(range(count))):
                pass
            moved = self._moved(executor, weights)
            kept = executor.descend(moved, None, 0.0, steps=0)
            found.append(executor.to_host(kept)[:, 0])
        return self.numbers(np.concatenate(found))


def batch(equation: Any = None, *, equations: Mapping[str, Any] | None = None, **options: Any) -> Callable[..., Any]:
    """What ``run=`` of a family of batches takes; options as for `ntkverify.problems.full_network.full_network`."""
    return full_network(equation, equations=equations, kind=BatchRun, **options)
