"""A gradient-descent step that measures itself: one sweep over the neurons, generated and compiled by numba.

Beside the update and the next forward sums, the sweep adds up what the lemmas about a step speak of: the Gram
matrix before the step, every sample's remainder ``feature(w+) - feature(w) - gradient . (w+ - w)`` neuron by
neuron, the sums of magnitudes that bound the rounding, and the largest gradient and drift of any neuron.
Weights are stored one component a row, (p, m), so that vector units work on neighbouring neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.chain import canonical, forward_statements
from ntkverify.execution.kernels.measured_source import lanes_of, measured_source
from ntkverify.execution.machine.threads import available_threads, share
from ntkverify.symbolic.expression.majorant import roundings
from ntkverify.symbolic.network.neuron import Neuron

#: neurons per piece of work; part of the order of the sums, so that it must not depend on the number of threads
CHUNK = 2**16


@dataclass(frozen=True)
class MeasuredStep:
    """What one sweep adds up; N samples, sums over neurons without the factor m**-1/2.

    Parameters
    ----------
    sums, majorants : array (N,)
        Features after the step, and what their rounding errors are relative to.
    gram : array (N, N)
        Sum over neurons of gradient . gradient before the step.
    remainders : array (N,)
        What the linearisation at the old weights misses of the change of the features.
    drift : float
        Largest distance of a neuron's weights from their start, after the step.
    gradient : float
        Largest norm of ``sum_i cotangent_i gradient_i`` over the neurons.
    """

    sums: Array
    majorants: Array
    gram: Array
    remainders: Array
    drift: float
    gradient: float


def measured_step(
    neuron: Neuron, weights: Array, start: Array, frozen: NDArray[Any], points: Array, cotangents: Array, eta: float
) -> MeasuredStep:
    """Take a step ``w -= eta sum_i cotangents_i gradient_i`` in place and measure it.

    Parameters
    ----------
    neuron : Neuron
        With one linear block.
    weights, start : array (p, m)
        Current weights, changed in place, and the initial ones.
    frozen : array (q, m)
        Frozen weights, of any real dtype.
    points : array (N, number of coordinates)
    cotangents : array (N,)
        Residuals times all scales.
    eta : float
        Learning rate.

    Raises
    ------
    NtkVerifyError
        If the neuron has several blocks or a nonlinear one.
    """
    module = _module(neuron, points.shape[0])
    count, width = points.shape[0], weights.shape[1]
    chunks = [(lo, min(lo + CHUNK, width)) for lo in range(0, width, CHUNK)]
    rows = np.zeros((len(chunks), 3, count))
    grams = np.zeros((len(chunks), count, count))
    extremes = np.zeros((len(chunks), 2))

    def work(i: int) -> None:
        lo, hi = chunks[i]
        signs = np.ascontiguousarray(frozen[:, lo:hi], dtype=np.float64)
        module.measure(weights, start, signs, points, cotangents, eta, rows[i], grams[i], extremes[i], lo, hi)

    share(work, len(chunks), available_threads())
    sums, majorants, remainders = rows.sum(axis=0)
    lower = grams.sum(axis=0)
    drift, gradient = np.sqrt(extremes.max(axis=0))
    return MeasuredStep(sums, majorants, lower + np.tril(lower, -1).T, remainders, float(drift), float(gradient))


def most_roundings(neuron: Neuron, width: int, count: int) -> int:
    """Most roundings that any part of a neuron's value meets on its way into the sum over the neurons.

    Its own by the generated statements written out; then the additions within a group, a chunk, and over the chunks.
    """
    neuron = canonical(neuron)
    (block,) = neuron.blocks
    code = forward_statements(neuron, block)
    (value,) = code.outputs
    for symbol, expression in reversed((*code.neuron, *code.sample, *code.mixed)):
        value = value.xreplace({symbol: expression})
    lanes = lanes_of(count, len(neuron.weights))
    return roundings(value) + lanes + min(CHUNK, width) // lanes + 1 + -(-width // CHUNK)


@cache
def _module(neuron: Neuron, count: int) -> ModuleType:
    if len(neuron.blocks) != 1 or not neuron.blocks[0].is_linear:
        raise NtkVerifyError("measured_step needs a neuron with one linear block; measure it with the array evaluator.")
    return load_generated(measured_source(neuron, lanes_of(count, len(neuron.weights))))
