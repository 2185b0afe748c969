"""Sweeps over the neurons of a wide network: only vectors and matrices over the samples are kept.

Everything is evaluated from the symbolic neuron: its contribution psi to a sample and psi's
gradient in the trainable weights. One sweep of `descend` does a gradient-descent step and measures
what lemmas about the step speak of, neuron by neuron: nothing of size samples x width is stored.

Sums over neurons are formed pairwise inside a chunk and then over the chunks in their order, so
that results do not depend on the number of threads. `summation_error` bounds what that loses.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import sympy
from numpy.typing import NDArray

from ntkverify.execution.evaluator import ArrayAlgebra, evaluate, evaluate_all
from ntkverify.execution.memory import refuse_beyond_memory
from ntkverify.measures.weights import blocks, draw_block
from ntkverify.symbolic.neuron import Neuron

Array = NDArray[np.float64]
Part = TypeVar("Part")

#: neurons whose temporaries stay in the second-level cache for a handful of samples
CHUNK = 2**13


class Terms:
    """One neuron's value and gradient over arrays, by the reference evaluator.

    Weights come as (p, c), frozen ones as (q, c), points as (N, coordinates); results are (N, c) and p times (N, c).

    Parameters
    ----------
    neuron : Neuron
        With one linear block.
    """

    def __init__(self, neuron: Neuron) -> None:
        (block,) = neuron.blocks
        self._neuron = neuron
        self._value = block.features[0]
        self._gradient = neuron.gradients[block.name][0]
        self._algebra = ArrayAlgebra(np)
        self.operations = int(sympy.count_ops(self._value)) + 1

    def _symbols(self, weights: Array, frozen: Array, points: Array) -> dict[sympy.Symbol, Array]:
        names = (*self._neuron.weights, *self._neuron.frozen, *self._neuron.coordinates)
        arrays = (*weights[:, None, :], *frozen[:, None, :], *points.T[:, :, None])
        return dict(zip(names, arrays, strict=True))

    def at(self, weights: Array, frozen: Array, points: Array) -> Array:
        """Values (N, c)."""
        value: Array = evaluate(self._value, self._symbols(weights, frozen, points), self._algebra)
        return value

    def with_gradient(self, weights: Array, frozen: Array, points: Array) -> tuple[Array, list[Array]]:
        """Values (N, c) and the p components of the gradient, each (N, c)."""
        shape = (len(points), weights.shape[1])
        value, *gradient = evaluate_all(
            [self._value, *self._gradient], self._symbols(weights, frozen, points), self._algebra
        )
        return value, [np.broadcast_to(component, shape) for component in gradient]


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


def draw_network(seed: int, width: int, dimension: int) -> Network:
    """Draw a whole network.

    Raises
    ------
    NtkVerifyError
        If its weights, twice (initial and current) and the signs, do not fit in memory.
    """
    # initial and current weights in float64 and one byte per sign
    refuse_beyond_memory(width * (16 * dimension + 1), f"training a network of {width} neurons")
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


def summation_error(width: int, operations: int) -> float:
    """Relative error, against the sum of magnitudes, of a sum over neurons whose terms take `operations` roundings.

    NumPy adds 128 numbers in eight running sums before it goes pairwise (16 + 3 roundings) and then once
    per doubling; the chunks are added one after the other.
    """
    chunks = -(-width // CHUNK)
    depth = 19 + math.ceil(math.log2(CHUNK)) + chunks
    return (depth + operations) * float(np.finfo(np.float64).eps) / 2


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


def initial_sweep(neuron: Neuron, points: Array, *, seed: int, width: int, radius: float) -> Initial:
    """Outputs, Gram matrix and share of near-zero pre-activations of a freshly drawn network.

    The weights are drawn block by block and never held together, so the width is not bounded by memory.
    """
    terms = Terms(neuron)
    count = len(points)

    def visit(part: tuple[int, int, int]) -> tuple[Array, ...]:
        block, lo, hi = part
        weights, signs = draw_block(seed, block, hi - lo, points.shape[1])
        parts = [
            _initial_chunk(terms, weights[:, i : i + CHUNK], signs[i : i + CHUNK], points, radius)
            for i in range(0, hi - lo, CHUNK)
        ]
        return tuple(np.sum([p[j] for p in parts], axis=0) for j in range(4))

    sums: list[Array] = [np.zeros(count), np.zeros(count), np.zeros((count, count)), np.zeros(count)]
    for parts in _in_order(visit, blocks(width)):
        for total, part in zip(sums, parts, strict=True):
            total += part
    error = summation_error(width, terms.operations) * sums[1] / math.sqrt(width)
    return Initial(sums[0] / math.sqrt(width), error, sums[2] / width, sums[3] / width)


def _initial_chunk(
    terms: Terms, weights: Array, signs: NDArray[np.int8], points: Array, radius: float
) -> tuple[Array, ...]:
    frozen = signs[None].astype(np.float64)
    value, gradient = terms.with_gradient(weights, frozen, points)
    near = (np.abs(points @ weights) <= radius).sum(axis=1).astype(np.float64)
    gram = sum((g @ g.T for g in gradient), np.zeros((len(points),) * 2))
    return value.sum(axis=1), np.abs(value).sum(axis=1), gram, near


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
    neuron: Neuron, points: Array, targets: Array, *, seed: int, width: int, step: float, steps: int
) -> Descent:
    """Train by gradient descent on half the squared residual norm and measure every step.

    Parameters
    ----------
    neuron : Neuron
        With one linear block; its frozen weight is the outer sign.
    points : array (N, d)
    targets : array (N,)
    seed, width, step, steps
        The draw, the number of neurons, the learning rate, the number of steps.
    """
    terms = Terms(neuron)
    network = draw_network(seed, width, points.shape[1])
    start = network.weights.copy()
    chunks = [slice(lo, min(lo + CHUNK, width)) for lo in range(0, width, CHUNK)]
    root = math.sqrt(width)
    relative = summation_error(width, terms.operations)

    def forward(chunk: slice) -> tuple[Array, Array]:
        value = terms.at(network.weights[:, chunk], network.signs[None, chunk].astype(np.float64), points)
        return value.sum(axis=1), np.abs(value).sum(axis=1)

    outputs, magnitude = (np.add.reduce(parts) for parts in zip(*_in_order(forward, chunks), strict=True))
    residuals = [outputs / root - targets]
    errors = [relative * magnitude / root]
    grams, remainders, drift, gradients = [], [], [0.0], []

    def advance(chunk: slice) -> tuple[Array, Array, Array, Array, float, float]:
        weights, frozen = network.weights[:, chunk], network.signs[None, chunk].astype(np.float64)
        value, jacobian = terms.with_gradient(weights, frozen, points)
        gram = sum((g @ g.T for g in jacobian), np.zeros((len(points),) * 2))
        gradient = np.stack([residuals[-1] @ g for g in jacobian]) / root
        change = -step * gradient
        weights += change
        after = terms.at(weights, frozen, points)
        linear = sum(g * c for g, c in zip(jacobian, change, strict=True))
        remainder = (after - value - linear).sum(axis=1)
        moved = np.sqrt(np.square(weights - start[:, chunk]).sum(axis=0).max())
        size = np.sqrt(np.square(gradient).sum(axis=0).max())
        return after.sum(axis=1), np.abs(after).sum(axis=1), gram, remainder, float(moved), float(size)

    for _ in range(steps):
        parts = list(zip(*_in_order(advance, chunks), strict=True))
        outputs, magnitude, gram, remainder = (np.add.reduce(parts[i]) for i in range(4))
        residuals.append(outputs / root - targets)
        errors.append(relative * magnitude / root)
        grams.append(gram / width)
        remainders.append(remainder / root)
        drift.append(max(parts[4]))
        gradients.append(max(parts[5]))

    def last_gram(chunk: slice) -> Array:
        frozen = network.signs[None, chunk].astype(np.float64)
        _, jacobian = terms.with_gradient(network.weights[:, chunk], frozen, points)
        return sum((g @ g.T for g in jacobian), np.zeros((len(points),) * 2))

    grams.append(np.add.reduce(list(_in_order(last_gram, chunks))) / width)
    count = len(points)
    return Descent(
        np.array(residuals),
        np.array(errors),
        np.array(grams),
        np.array(remainders).reshape(steps, count),
        np.array(drift),
        np.array(gradients),
    )
