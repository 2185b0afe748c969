"""One sweep over neurons that are products: branch and trunk trained in one pass over their weights."""

from __future__ import annotations

from functools import cache

import sympy

from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.network.product import ProductNeuron

#: weights of a unit that fit in a text that compiles in seconds
MOST_SENSORS = 64

#: neurons that arithmetic runs along, in arrays of that constant length
LANES = 32
#: functions that a unit takes at once, their arithmetic written out so that its weights stay in registers
FUNCTIONS_AT_ONCE = 8

# Functions are rows of u, (n, q), n a multiple of how many a unit takes at once, with zeros behind. A unit's old value
# gives the slope and its part of the old branch, and once it has moved, of the new one. What the trunk needs of the
# branch, and the other way round, are products of matrices, by BLAS.
ADVANCE = """
@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, float64, float64, boolean, MATRIX), **OPTIONS)
def advance(weights, frozen, u, points, table, sizes, inner, eta, train, sums):
    m, n = weights.shape[0], u.shape[0]
    trunk = np.empty((points.shape[0], m))
    along, old, new = np.zeros((n, m)), np.empty((n, m)), np.empty((n, m))
    if train:
        values(weights, points, sizes, trunk)
        np.dot(table, trunk, along)
    branches(weights, frozen, u, along, inner, eta, train, old, new)
    if train:
        steep(weights, points, sizes, np.dot(table.T, old), eta)
    values(weights, points, sizes, trunk)
    np.dot(new, trunk.T, sums)
"""


def at_once(functions: int) -> int:
    """How many functions a unit takes at once, of so many."""
    return min(functions, FUNCTIONS_AT_ONCE)


@cache
def product_source(product: ProductNeuron, functions: int) -> str:
    """A module with ``advance``, a step of gradient descent of a chunk of neurons, or with `train` false its sums.

    `functions`, how many a unit takes at once, is a constant of the text.
    """
    return "\n".join([HEADER, *_branches(product, functions), *_trunk(product)]) + "\n" + ADVANCE


def _branches(product: ProductNeuron, functions: int) -> list[str]:
    """``branches``: a step of every unit, and the branch before and after it, (n, m)."""
    first, q = len(product.trunk.weights), product.sensors
    return [
        "@njit(",
        "    void(MATRIX, MATRIX, MATRIX, MATRIX, float64, float64, boolean, MATRIX, MATRIX), fastmath=FAST, **OPTIONS",
        ")",
        "def branches(weights, frozen, u, along, inner, eta, train, old, new):",
        "    prefer_wide_vectors()",
        "    n, m = u.shape[0], weights.shape[0]",
        f"    v, g, sign = np.empty(({q}, {LANES})), np.empty(({q}, {LANES})), np.empty((1, {LANES}))",
        f"    to, before, after = np.empty((n, {LANES})), np.empty((n, {LANES})), np.empty((n, {LANES}))",
        f"    for lo in range(0, m, {LANES}):",
        f"        count = min({LANES}, m - lo)",
        "        before[:] = 0.0",
        "        after[:] = 0.0",
        "        for i in range(n):",
        "            for r in range(count):",
        "                to[i, r] = along[i, lo + r]",
        "        for k in range(frozen.shape[1]):",
        f"            unit = {first} + k * {q}",
        "            for r in range(count):",
        "                sign[0, r] = inner * frozen[lo + r, k]",
        *(f"                v[{j}, r] = weights[lo + r, unit + {j}]" for j in range(q)),
        "            if train:",
        "                g[:] = 0.0",
        *_some_functions(product, functions, train=True),
        "                for r in range(count):",
        *(f"                    v[{j}, r] -= eta * g[{j}, r]" for j in range(q)),
        *(f"                    weights[lo + r, unit + {j}] = v[{j}, r]" for j in range(q)),
        *_some_functions(product, functions, train=False),
        "        for i in range(n):",
        "            for r in range(count):",
        "                old[i, lo + r] = before[i, r]",
        "                new[i, lo + r] = after[i, r]",
        "",
        "",
    ]


def _some_functions(product: ProductNeuron, functions: int, *, train: bool) -> list[str]:
    """Some functions at a time: their sensor values in registers, then along the neurons.

    Slices of the accumulators are taken outside the loop: with an index that moves the compiler gives up on vectors.
    """
    printer, q = ScalarPrinter(), product.sensors
    value = printer(product.unit)
    assert str(Z) == "z"
    lines = [
        f"for at in range(0, n, {functions}):",
        f"    some = {'before' if train else 'after'}[at : at + {functions}]",
        f"    want = to[at : at + {functions}]",
        *(f"    u{i}_{j} = u[at + {i}, {j}]" for i in range(functions) for j in range(q)),
        "    for r in range(count):",
        *(f"        v{j} = v[{j}, r]" for j in range(q)),
        *([f"        g{j} = g[{j}, r]" for j in range(q)] if train else []),
        "        s = sign[0, r]",
    ]
    for i in range(functions):
        lines.append("        z = " + " + ".join(f"v{j} * u{i}_{j}" for j in range(q)))
        lines.append(f"        some[{i}, r] += s * {value}")
        if train:
            lines.append(f"        d = s * want[{i}, r]")
            lines.append(f"        c = {printer(sympy.Symbol('d') * product.slope)}")
            lines += [f"        g{j} += c * u{i}_{j}" for j in range(q)]
    lines += [f"        g[{j}, r] = g{j}" for j in range(q)] if train else []
    return [" " * (16 if train else 12) + line for line in lines]


def _trunk(product: ProductNeuron) -> list[str]:
    """``values``: the trunk at every query; ``steep``: its weights' step from the derivative at every query."""
    printer, trunk = ScalarPrinter(), product.trunk
    weights = [f"w{i}" for i in range(len(trunk.weights))]
    points = [f"x{i}" for i in range(len(trunk.coordinates))]
    names = dict(zip((*trunk.weights, *trunk.coordinates), sympy.symbols([*weights, *points], real=True), strict=True))
    result = []
    for kind in ("values", "steep"):
        values = kind == "values"
        last = "MATRIX" if values else "MATRIX, float64"
        result += [
            f"@njit(void(MATRIX, MATRIX, INTEGERS, {last}), fastmath=FAST, **OPTIONS)",
            f"def {kind}(weights, points, sizes, {'trunk' if values else 'along, eta'}):",
            "    prefer_wide_vectors()",
            "    m = weights.shape[0]",
            *([] if values else [f"    g = np.zeros(({len(weights)}, m))"]),
            "    row = 0",
        ]
        for index, block in enumerate(trunk.blocks):
            expressions = block.features if values else trunk.gradients[block.name][0]
            shared, reduced = sympy.cse([e.xreplace(names) for e in expressions], symbols=sympy.numbered_symbols("t"))
            result += [
                f"    for j in range(row, row + sizes[{index}]):",
                *(f"        {name} = points[j, {i}]" for i, name in enumerate(points)),
                "        for r in range(m):",
                *(f"            {name} = weights[r, {i}]" for i, name in enumerate(weights)),
                *(f"            {symbol} = {printer(e)}" for symbol, e in shared),
            ]
            if values:
                result.append(f"            trunk[j, r] = {printer(reduced[0])}")
            else:
                result += [f"            g[{i}, r] += along[j, r] * {printer(e)}" for i, e in enumerate(reduced)]
            result.append(f"    row += sizes[{index}]")
        if not values:
            result += [
                f"    for i in range({len(weights)}):",
                "        for r in range(m):",
                "            weights[r, i] -= eta * g[i, r]",
            ]
        result += ["", ""]
    return result
