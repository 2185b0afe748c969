"""One symbolic neuron's values and gradients on arrays of neurons, and what summing them loses.

Sums over neurons are formed pairwise inside a chunk and then over the chunks in their order, so
that results do not depend on the number of threads. `output_error` bounds the rounding of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import sympy

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import BlockSamples, Samples, collect_samples
from ntkverify.symbolic.expression.majorant import majorant, roundings
from ntkverify.symbolic.network.neuron import Neuron

Points = Array | Mapping[str, Array]  #: of the only block, or by block


def as_samples(neuron: Neuron, points: Points, targets: Points | None = None, *, normalise: bool = False) -> Samples:
    """The samples of a problem; an array stands for the neuron's only block, targets are 0 by default.

    With `normalise` each residual is divided by the square root of the size of its block.
    """
    named = points if isinstance(points, Mapping) else {neuron.blocks[0].name: points}
    wanted: Mapping[str, Array] = (
        {name: np.zeros(len(x)) for name, x in named.items()}
        if targets is None
        else targets
        if isinstance(targets, Mapping)
        else {neuron.blocks[0].name: targets}
    )
    scale = {name: 1 / math.sqrt(len(x)) for name, x in named.items()} if normalise else None
    return collect_samples(neuron, named, wanted, scale)


class Terms:
    """One neuron's values and gradients at the samples of a problem, by the reference evaluator.

    Weights come as (p, c), frozen ones as (q, c); results are (N, c) and p times (N, c), the samples of all
    blocks one after the other, each block with its scale and without m**-1/2.

    Parameters
    ----------
    samples : Samples
        Of linear blocks only.
    """

    def __init__(self, samples: Samples) -> None:
        if not samples.is_linear:
            raise NtkVerifyError("sweeps over neurons need linear blocks, and the neuron has a nonlinear one.")
        neuron = samples.neuron
        self.samples = samples
        given = frozenset(neuron.coordinates)
        self._values = [b.block.features[0] for b in samples.blocks]
        self._gradients = [neuron.gradients[b.block.name][0] for b in samples.blocks]
        self._majorants = [majorant(value, given) for value in self._values]
        self._algebra = ArrayAlgebra(np)
        # the scale is one more factor, itself the rounding of a square root
        self.roundings = max(roundings(value, given) for value in self._values) + 2

    @property
    def dimension(self) -> int:
        """Number of trainable weights of one neuron."""
        return len(self.samples.neuron.weights)

    @property
    def inputs(self) -> Array:
        """What the inner weights multiply, (N, p): the points, with a 1 for a bias."""
        points = np.concatenate([b.points for b in self.samples.blocks])
        ones = np.ones((len(points), self.dimension - points.shape[1]))
        return np.hstack([points, ones])

    def symbols(self, b: BlockSamples, weights: Array, frozen: Array) -> dict[sympy.Symbol, Array]:
        """Values of a block's symbols that broadcast to (n_b, c)."""
        neuron = self.samples.neuron
        names = (*neuron.weights, *neuron.frozen, *neuron.coordinates)
        arrays = (*weights[:, None, :], *frozen[:, None, :], *b.points.T[:, :, None])
        return dict(zip(names, arrays, strict=True))

    def _expressions(self, expressions: list[list[sympy.Expr]], weights: Array, frozen: Array) -> list[Array]:
        """Values (N, c) of expressions that are given block by block."""
        parts = []
        for b, wanted in zip(self.samples.blocks, expressions, strict=True):
            found = evaluate_all(wanted, self.symbols(b, weights, frozen), self._algebra)
            shape = (b.size, weights.shape[1])
            parts.append([np.broadcast_to(v if b.scale == 1 else b.scale * v, shape) for v in found])
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    def at(self, weights: Array, frozen: Array) -> Array:
        """Values (N, c)."""
        return self._expressions([[value] for value in self._values], weights, frozen)[0]

    def majorants(self, weights: Array, frozen: Array) -> Array:
        """What the rounding errors of `at` are relative to, (N, c)."""
        return self._expressions([[bound] for bound in self._majorants], weights, frozen)[0]

    def with_gradient(self, weights: Array, frozen: Array) -> tuple[Array, list[Array]]:
        """Values (N, c) and the p components of the gradient, each (N, c)."""
        both = zip(self._values, self._gradients, strict=True)
        value, *gradient = self._expressions([[v, *g] for v, g in both], weights, frozen)
        return value, gradient
