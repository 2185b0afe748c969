"""Text of the fused measured step."""

from __future__ import annotations

import sympy

from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, value_and_gradient_statements
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER
from ntkverify.symbolic.expression.majorant import majorant
from ntkverify.symbolic.network.neuron import Block, Neuron

#: neurons whose gradients at all samples stay in the first-level cache
GROUP_BYTES = 32768
MOST_LANES = 64


def lanes_of(count: int, p: int) -> int:
    lanes = 8
    while lanes < MOST_LANES and 2 * lanes * (2 * p + 2 + count * (p + 1)) * 8 <= GROUP_BYTES:
        lanes *= 2
    return lanes


def measured_source(neuron: Neuron, lanes: int) -> str:
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
