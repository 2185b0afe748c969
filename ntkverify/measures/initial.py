"""Sweeps over the neurons of a wide network: only vectors and matrices over the samples are kept.

Everything is evaluated from the symbolic neuron: its contribution psi to a sample and psi's
gradient in the trainable weights. One sweep of `descend` does a gradient-descent step and measures
what lemmas about the step speak of, neuron by neuron: nothing of size samples x width is stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkverify.execution.draw import Seed, blocks, draw_block
from ntkverify.execution.walking.terms import Points, Terms, as_samples
from ntkverify.measures.network import draw_network, in_order
from ntkverify.measures.rounding import CHUNK, output_error, sum_roundings
from ntkverify.symbolic.network.neuron import Neuron

Array = NDArray[np.float64]


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
    for parts in in_order(visit, blocks(width)):
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

    changes, nears = zip(*in_order(visit, blocks(width)), strict=True)
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

    outputs, magnitude = (np.add.reduce(parts) for parts in zip(*in_order(forward, chunks), strict=True))
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
        parts = list(zip(*in_order(advance, chunks), strict=True))
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

    grams.append(np.add.reduce(list(in_order(last_gram, chunks))) / width)
    return Descent(
        np.array(residuals),
        np.array(errors),
        np.array(grams),
        np.array(remainders).reshape(steps, samples.total),
        np.array(drift),
        np.array(gradients),
    )
