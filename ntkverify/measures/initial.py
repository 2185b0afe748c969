"""Sweeps over the neurons of a wide network: only vectors and matrices over the samples are kept.

Everything is evaluated from the symbolic neuron: its contribution psi to a sample and psi's
gradient in the trainable weights. One sweep of `descend` does a gradient-descent step and measures
what lemmas about the step speak of, neuron by neuron: nothing of size samples x width is stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.execution.draw import Seed, blocks, weights_of_block
from ntkverify.execution.machine.threads import in_order
from ntkverify.execution.rounding import CHUNK, output_error, sum_roundings
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Terms


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

    outputs: Any
    outputs_error: Any
    gram: Any
    near: Any


def initial_sweep(samples: Samples, *, seed: Seed, width: int, radius: float) -> Initial:
    """Outputs, Gram matrix and share of near-zero pre-activations of a freshly drawn network.

    The weights are drawn block by block and never held together, so the width is not bounded by memory. Targets do not
    matter.
    """
    terms = Terms(samples)
    inputs = terms.inputs
    count = len(inputs)

    def visit(part: tuple[int, int, int]) -> tuple[Array, ...]:
        block, lo, hi = part
        weights, frozen = _drawn(samples, seed, block, hi - lo)
        parts = [
            _initial_chunk(terms, weights[:, i : i + CHUNK], frozen[:, i : i + CHUNK], inputs, radius)
            for i in range(0, hi - lo, CHUNK)
        ]
        return tuple(np.sum([p[j] for p in parts], axis=0) for j in range(4))

    sums: list[Array] = [np.zeros(count), np.zeros(count), np.zeros((count, count)), np.zeros(count)]
    for parts in in_order(visit, blocks(width)):
        for total, part in zip(sums, parts, strict=True):
            total += part
    error = output_error(terms.roundings + sum_roundings(width), sums[1], np.zeros(count), width)
    return Initial(sums[0] / math.sqrt(width), error, sums[2] / width, sums[3] / width)


def _drawn(samples: Samples, seed: Seed, block: int, count: int) -> tuple[Array, Array]:
    """Weights and frozen weights of one block, a weight a row."""
    weights, frozen = weights_of_block(samples.neuron, seed, block, count)
    return np.ascontiguousarray(weights.T), np.ascontiguousarray(frozen.T)


def _initial_chunk(terms: Terms, weights: Array, frozen: Array, inputs: Array, radius: float) -> tuple[Array, ...]:
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

    change: Any
    near: Any


def worst_shift(samples: Samples, *, seed: Seed, width: int, radius: float) -> Shift:
    """Move every neuron that is active by at most `radius` on the mean input by `radius` against that input.

    For clustered inputs this switches off as many neurons as weights that move by `radius` can, for all
    samples at once, which makes the change of the Gram matrix as coherent as it gets.
    """
    terms = Terms(samples)
    inputs = terms.inputs
    direction = inputs.mean(axis=0)
    direction /= np.linalg.norm(direction)

    def visit(part: tuple[int, int, int]) -> tuple[Array, Array]:
        block, lo, hi = part
        weights, frozen = _drawn(samples, seed, block, hi - lo)
        along = direction @ weights
        moved = weights - radius * np.outer(direction, (along >= 0) & (along <= radius))
        change, near = np.zeros((len(inputs),) * 2), np.zeros(len(inputs))
        for i in range(0, hi - lo, CHUNK):
            chunk = slice(i, i + CHUNK)
            for sign, w in ((-1, weights), (1, moved)):
                _, gradient = terms.with_gradient(w[:, chunk], frozen[:, chunk])
                change += sign * sum((g @ g.T for g in gradient), np.zeros_like(change))
            near += (np.abs(inputs @ weights[:, chunk]) <= radius).sum(axis=1)
        return change, near

    changes, nears = zip(*in_order(visit, blocks(width)), strict=True)
    return Shift(float(np.linalg.norm(np.add.reduce(changes))) / width, np.add.reduce(nears) / width)
