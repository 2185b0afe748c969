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
import sympy
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, value_and_gradient_statements
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER
from ntkverify.execution.machine.threads import available_threads, share
from ntkverify.symbolic.expression.majorant import majorant, roundings
from ntkverify.symbolic.network.neuron import Block, Neuron

Array = NDArray[np.float64]

#: neurons whose gradients at all samples stay in the first-level cache
GROUP_BYTES = 32768
MOST_LANES = 64
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
    lanes = _lanes(count, len(neuron.weights))
    return roundings(value) + lanes + min(CHUNK, width) // lanes + 1 + -(-width // CHUNK)


def _lanes(count: int, p: int) -> int:
    lanes = 8
    while lanes < MOST_LANES and 2 * lanes * (2 * p + 2 + count * (p + 1)) * 8 <= GROUP_BYTES:
        lanes *= 2
    return lanes


@cache
def _module(neuron: Neuron, count: int) -> ModuleType:
    if len(neuron.blocks) != 1 or not neuron.blocks[0].is_linear:
        raise NtkVerifyError("measured_step needs a neuron with one linear block; measure it with the array evaluator.")
    return load_generated(_source(neuron, _lanes(count, len(neuron.weights))))


def _source(neuron: Neuron, lanes: int) -> str:
    neuron = canonical(neuron)
    (block,) = neuron.blocks
    p, q = len(neuron.weights), len(neuron.frozen)
    before = value_and_gradient_statements(neuron, block)
    bounded = Block(block.name, (*block.features, majorant(block.features[0])), block.sums, block.residual)
    after = forward_statements(neuron, bounded)
    printer = ScalarPrinter()
    value, *gradient = before.outputs
    lines = [
        "@njit(",
        "    void(MATRIX, MATRIX, MATRIX, MATRIX, VECTOR, float64, MATRIX, MATRIX, VECTOR, int64, int64),",
        "    fastmath=FAST, **OPTIONS,",
        ")",
        "def measure(weights, start, frozen, points, cotangents, eta, rows, gram, extremes, first, last):",
        "    prefer_wide_vectors()",
        "    count = points.shape[0]",
        f"    w = np.empty(({p}, {lanes}))",
        f"    g = np.empty(({p}, {lanes}))",
        f"    f = np.empty(({max(q, 1)}, {lanes}))",
        f"    v = np.empty((count, {lanes}))",
        f"    d = np.empty((count, {p}, {lanes}))",
        f"    for j0 in range(first, last, {lanes}):",
        f"        size = min({lanes}, last - j0)",
        "        for l in range(size):",
        *(f"            w[{i}, l] = weights[{i}, j0 + l]" for i in range(p)),
        *(f"            f[{i}, l] = frozen[{i}, j0 - first + l]" for i in range(q)),
        *(f"            g[{i}, l] = 0.0" for i in range(p)),
        "        for i in range(count):",
        *_of_sample(neuron, before, printer),
        "            c = cotangents[i]",
        "            for l in range(size):",
        *_of_neuron(neuron, before, printer),
        f"                v[i, l] = {printer(value)}",
        *(f"                d[i, {k}, l] = {printer(e)}" for k, e in enumerate(gradient)),
        *(f"                g[{k}, l] += c * d[i, {k}, l]" for k in range(p)),
        "        for i in range(count):",
        "            for j in range(i + 1):",
        "                s = 0.0",
        "                for l in range(size):",
        "                    s += " + " + ".join(f"d[i, {k}, l] * d[j, {k}, l]" for k in range(p)),
        "                gram[i, j] += s",
        "        for l in range(size):",
        *(f"            w[{k}, l] -= eta * g[{k}, l]" for k in range(p)),
        *(f"            weights[{k}, j0 + l] = w[{k}, l]" for k in range(p)),
        "            moved = " + " + ".join(f"(w[{k}, l] - start[{k}, j0 + l]) ** 2" for k in range(p)),
        "            steep = " + " + ".join(f"g[{k}, l] ** 2" for k in range(p)),
        "            extremes[0] = max(extremes[0], moved)",
        "            extremes[1] = max(extremes[1], steep)",
        "        for i in range(count):",
        *_of_sample(neuron, after, printer),
        "            y = 0.0",
        "            a = 0.0",
        "            e = 0.0",
        "            for l in range(size):",
        *_of_neuron(neuron, after, printer),
        f"                new = {printer(after.outputs[0])}",
        "                y += new",
        f"                a += {printer(after.outputs[1])}",
        "                e += (new - v[i, l]) + eta * ("
        + " + ".join(f"d[i, {k}, l] * g[{k}, l]" for k in range(p))
        + ")",
        "            rows[0, i] += y",
        "            rows[1, i] += a",
        "            rows[2, i] += e",
    ]
    return HEADER + "\n".join(lines) + "\n"


def _of_sample(neuron: Neuron, code: Statements, printer: ScalarPrinter) -> list[str]:
    return [
        *(f"            {s.name} = points[i, {c}]" for c, s in enumerate(neuron.coordinates) if s in _used(code)),
        *(f"            {s.name} = {printer(e)}" for s, e in code.sample),
    ]


def _of_neuron(neuron: Neuron, code: Statements, printer: ScalarPrinter) -> list[str]:
    return [
        *(f"                {s.name} = w[{i}, l]" for i, s in enumerate(neuron.weights) if s in _used(code)),
        *(f"                {s.name} = f[{i}, l]" for i, s in enumerate(neuron.frozen) if s in _used(code)),
        *(f"                {s.name} = {printer(e)}" for s, e in (*code.neuron, *code.mixed)),
    ]


def _used(code: Statements) -> set[sympy.Basic]:
    expressions = [*(e for _, e in (*code.neuron, *code.sample, *code.mixed)), *code.outputs]
    return set().union(*(e.free_symbols for e in expressions))
