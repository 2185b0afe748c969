"""Sweeps over the neurons of a wide network: only vectors and matrices over the samples are kept.

Everything is evaluated from the symbolic neuron: its contribution psi to a sample and psi's
gradient in the trainable weights. One sweep of `descend` does a gradient-descent step and measures
what lemmas about the step speak of, neuron by neuron: nothing of size samples x width is stored.

Sums over neurons are formed pairwise inside a chunk and then over the chunks in their order, so
that results do not depend on the number of threads. `output_error` bounds what that loses.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import sympy
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.execution.memory import refuse_beyond_memory
from ntkverify.execution.samples import BlockSamples, Samples, collect_samples
from ntkverify.measures.weights import Seed, blocks, draw_block
from ntkverify.symbolic.majorant import majorant, relative_error, roundings
from ntkverify.symbolic.neuron import Neuron

Array = NDArray[np.float64]
Points = Array | Mapping[str, Array]  #: of the only block, or by block
Part = TypeVar("Part")

#: neurons whose temporaries stay in the second-level cache for a handful of samples
CHUNK = 2**13


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
        self._values = [b.block.features[0] for b in samples.blocks]
        self._gradients = [neuron.gradients[b.block.name][0] for b in samples.blocks]
        self._majorants = [majorant(value) for value in self._values]
        self._algebra = ArrayAlgebra(np)
        # the scale is one more factor, itself the rounding of a square root
        self.roundings = max(roundings(value) for value in self._values) + 2

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


@dataclass(frozen=True)
class Network:
    """Weights of a wide two-layer network in memory.

    Parameters
    ----------
    weights : array (p, m)
        Trainable weights.
    signs : array of int8 (m,)
        Frozen outer weights.
    """

    weights: Array
    signs: NDArray[np.int8]

    @property
    def width(self) -> int:
        """Number of neurons."""
        return int(self.signs.size)


def network_bytes(width: int, dimension: int) -> int:
    """Memory of a network in training: initial and current weights in float64, one byte per sign."""
    return width * (16 * dimension + 1)


def draw_network(seed: Seed, width: int, dimension: int) -> Network:
    """Draw a whole network.

    Raises
    ------
    NtkVerifyError
        If its weights, twice (initial and current) and the signs, do not fit in memory.
    """
    refuse_beyond_memory(network_bytes(width, dimension), f"training a network of {width} neurons")
    weights = np.empty((dimension, width))
    signs = np.empty(width, np.int8)

    def fill(part: tuple[int, int, int]) -> None:
        block, lo, hi = part
        weights[:, lo:hi], signs[lo:hi] = draw_block(seed, block, hi - lo, dimension)

    for _ in _in_order(fill, blocks(width)):
        pass
    return Network(weights, signs)


def _in_order(work: Callable[[Any], Part], parts: list[Any]) -> Iterator[Part]:
    """Results of `work` in the order of `parts`, on all cores where there are parts enough to share."""
    cores = os.cpu_count() or 1
    if len(parts) < 4 or cores == 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(cores) as pool:
        yield from pool.map(work, parts)


def sum_roundings(width: int) -> int:
    """Most roundings between a neuron's term and the total over a network.

    NumPy adds 128 numbers in eight running sums before it goes pairwise (16 + 3 roundings) and then once
    per doubling; the chunks are added one after the other.
    """
    return 19 + math.ceil(math.log2(CHUNK)) + -(-width // CHUNK)


def output_error(roundings: int, majorants: Array, targets: Array, width: int) -> Array:
    """Bound (N,) of the rounding errors of ``sums / sqrt(width) - targets``.

    Parameters
    ----------
    roundings : int
        Most roundings that a neuron's term meets, its own and those of the sum.
    majorants : array (N,)
        Sums over the neurons of the terms' majorants.
    targets : array (N,)
    width : int
        Number of neurons.
    """
    # the square root, the division by it and the difference round once each
    return np.asarray(relative_error(roundings + 3) * (majorants / math.sqrt(width) + np.abs(targets)))


@dataclass(frozen=True)
class Initial:
    """What one draw of the weights gives before training.

    Parameters
    ----------
    outputs : array (N,)
        Network outputs at the samples.
    outputs_error : array (N,)
        Bound of their rounding errors.
    gram : array (N, N)
        Gram matrix J J^T.
    near : array (N,)
        Share of neurons whose pre-activation is at most the radius asked for.
    """

    outputs: Array
    outputs_error: Array
    gram: Array
    near: Array


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


def initial_sweep(
    neuron: Neuron, points: Points, *, seed: Seed, width: int, radius: float, normalise: bool = False
) -> Initial:
    """Outputs, Gram matrix and share of near-zero pre-activations of a freshly drawn network.

    The weights are drawn block by block and never held together, so the width is not bounded by memory.
    """
    terms = Terms(as_samples(neuron, points, normalise=normalise))
    inputs = terms.inputs
    count = len(inputs)

    def visit(part: tuple[int, int, int]) -> tuple[Array, ...]:
        block, lo, hi = part
        weights, signs = draw_block(seed, block, hi - lo, terms.dimension)
        parts = [
            _initial_chunk(terms, weights[:, i : i + CHUNK], signs[i : i + CHUNK], inputs, radius)
            for i in range(0, hi - lo, CHUNK)
        ]
        return tuple(np.sum([p[j] for p in parts], axis=0) for j in range(4))

    sums: list[Array] = [np.zeros(count), np.zeros(count), np.zeros((count, count)), np.zeros(count)]
    for parts in _in_order(visit, blocks(width)):
        for total, part in zip(sums, parts, strict=True):
            total += part
    error = output_error(terms.roundings + sum_roundings(width), sums[1], np.zeros(count), width)
    return Initial(sums[0] / math.sqrt(width), error, sums[2] / width, sums[3] / width)


def _initial_chunk(
    terms: Terms, weights: Array, signs: NDArray[np.int8], inputs: Array, radius: float
) -> tuple[Array, ...]:
    frozen = signs[None].astype(np.float64)
    value, gradient = terms.with_gradient(weights, frozen)
    near = (np.abs(inputs @ weights) <= radius).sum(axis=1).astype(np.float64)
    gram = sum((g @ g.T for g in gradient), np.zeros((len(inputs),) * 2))
    return value.sum(axis=1), terms.majorants(weights, frozen).sum(axis=1), gram, near


@dataclass(frozen=True)
class Shift:
    """The Gram matrix after the worst shift of the weights towards switching off.

    Parameters
    ----------
    change : float
        ||H(w') - H(w)||_F.
    near : array (N,)
        Share of neurons whose pre-activation is at most the radius.
    """

    change: float
    near: Array


def worst_shift(neuron: Neuron, points: Array, *, seed: Seed, width: int, radius: float) -> Shift:
    """Move every neuron that is active by at most `radius` on the mean input by `radius` against that input.

    For clustered inputs this switches off as many neurons as weights that move by `radius` can, for all
    samples at once, which makes the change of the Gram matrix as coherent as it gets.
    """
    terms = Terms(as_samples(neuron, points))
    inputs = terms.inputs
    direction = inputs.mean(axis=0)
    direction /= np.linalg.norm(direction)

    def visit(part: tuple[int, int, int]) -> tuple[Array, Array]:
        block, lo, hi = part
        weights, signs = draw_block(seed, block, hi - lo, terms.dimension)
        along = direction @ weights
        moved = weights - radius * np.outer(direction, (along >= 0) & (along <= radius))
        change, near = np.zeros((len(inputs),) * 2), np.zeros(len(inputs))
        for i in range(0, hi - lo, CHUNK):
            chunk = slice(i, i + CHUNK)
            frozen = signs[None, chunk].astype(np.float64)
            for sign, w in ((-1, weights), (1, moved)):
                _, gradient = terms.with_gradient(w[:, chunk], frozen)
                change += sign * sum((g @ g.T for g in gradient), np.zeros_like(change))
            near += (np.abs(inputs @ weights[:, chunk]) <= radius).sum(axis=1)
        return change, near

    changes, nears = zip(*_in_order(visit, blocks(width)), strict=True)
    return Shift(float(np.linalg.norm(np.add.reduce(changes))) / width, np.add.reduce(nears) / width)


@dataclass(frozen=True)
class Descent:
    """A gradient-descent trajectory with everything that lemmas about its steps measure.

    K is the number of steps, N the number of samples.

    Parameters
    ----------
    residuals : array (K+1, N)
        Residuals r(k).
    residuals_error : array (K+1, N)
        Bound of their rounding errors, accumulated over nothing but the last forward sweep.
    grams : array (K+1, N, N)
        Gram matrices H(k) = J J^T.
    remainders : array (K, N)
        I_1(k) = r(k+1) - r(k) - J(k) (theta(k+1) - theta(k)), summed neuron by neuron.
    drift : array (K+1,)
        max_r ||w_r(k) - w_r(0)||.
    gradients : array (K,)
        max_r ||dL/dw_r(k)||.
    """

    residuals: Array
    residuals_error: Array
    grams: Array
    remainders: Array
    drift: Array
    gradients: Array


def descend(
    neuron: Neuron, points: Points, targets: Points, *, seed: Seed, width: int, step: float, steps: int
) -> Descent:
    """Train by gradient descent on half the squared residual norm and measure every step.

    Parameters
    ----------
    neuron : Neuron
        With linear blocks; its frozen weight is the outer sign.
    points, targets : arrays (N, d) and (N,), or mappings of block name to such arrays
    seed, width, step, steps
        The draw, the number of neurons, the learning rate, the number of steps.
    """
    samples = as_samples(neuron, points, targets)
    terms, wanted = Terms(samples), samples.targets
    network = draw_network(seed, width, terms.dimension)
    start = network.weights.copy()
    chunks = [slice(lo, min(lo + CHUNK, width)) for lo in range(0, width, CHUNK)]
    root = math.sqrt(width)
    deep = terms.roundings + sum_roundings(width)

    def forward(chunk: slice) -> tuple[Array, Array]:
        weights, frozen = network.weights[:, chunk], network.signs[None, chunk].astype(np.float64)
        return terms.at(weights, frozen).sum(axis=1), terms.majorants(weights, frozen).sum(axis=1)

    outputs, magnitude = (np.add.reduce(parts) for parts in zip(*_in_order(forward, chunks), strict=True))
    residuals = [outputs / root - wanted]
    errors = [output_error(deep, magnitude, wanted, width)]
    grams, remainders, drift, gradients = [], [], [0.0], []

    def advance(chunk: slice) -> tuple[Array, Array, Array, Array, float, float]:
        weights, frozen = network.weights[:, chunk], network.signs[None, chunk].astype(np.float64)
        value, jacobian = terms.with_gradient(weights, frozen)
        gram = sum((g @ g.T for g in jacobian), np.zeros((samples.total,) * 2))
        gradient = np.stack([residuals[-1] @ g for g in jacobian]) / root
        change = -step * gradient
        weights += change
        after = terms.at(weights, frozen)
        linear = sum(g * c for g, c in zip(jacobian, change, strict=True))
        remainder = (after - value - linear).sum(axis=1)
        moved = np.sqrt(np.square(weights - start[:, chunk]).sum(axis=0).max())
        size = np.sqrt(np.square(gradient).sum(axis=0).max())
        rounding = terms.majorants(weights, frozen).sum(axis=1)
        return after.sum(axis=1), rounding, gram, remainder, float(moved), float(size)

    for _ in range(steps):
        parts = list(zip(*_in_order(advance, chunks), strict=True))
        outputs, magnitude, gram, remainder = (np.add.reduce(parts[i]) for i in range(4))
        residuals.append(outputs / root - wanted)
        errors.append(output_error(deep, magnitude, wanted, width))
        grams.append(gram / width)
        remainders.append(remainder / root)
        drift.append(max(parts[4]))
        gradients.append(max(parts[5]))

    def last_gram(chunk: slice) -> Array:
        frozen = network.signs[None, chunk].astype(np.float64)
        _, jacobian = terms.with_gradient(network.weights[:, chunk], frozen)
        return sum((g @ g.T for g in jacobian), np.zeros((samples.total,) * 2))

    grams.append(np.add.reduce(list(_in_order(last_gram, chunks))) / width)
    return Descent(
        np.array(residuals),
        np.array(errors),
        np.array(grams),
        np.array(remainders).reshape(steps, samples.total),
        np.array(drift),
        np.array(gradients),
    )
