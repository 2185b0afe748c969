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

#: functions whose loops are written with a constant length
MOST_COLUMNS = 64

# Functions are columns of u, (q, n), n a multiple of eight with zeros behind, and arithmetic runs along them. A unit's old
# value gives the slope and its part of the old branch, and once it has moved, of the new one. What the trunk needs of the
# branch, and the other way round, are products of matrices, by BLAS.
ADVANCE = """
@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, float64, float64, boolean, MATRIX), **OPTIONS)
def advance(weights, frozen, u, points, table, sizes, inner, eta, train, sums):
    m, n = weights.shape[0], u.shape[1]
    trunk = np.empty((points.shape[0], m))
    along, old, new = np.zeros((m, n)), np.empty((m, n)), np.empty((m, n))
    if train:
        values(weights, points, sizes, trunk)
        np.dot(trunk.T, table.T, along)
    branches(weights, frozen, u, along, inner, eta, train, old, new)
    if train:
        steep(weights, points, sizes, np.dot(table.T, old.T), eta)
    values(weights, points, sizes, trunk)
    np.dot(new.T, trunk.T, sums)
"""


@cache
def product_source(product: ProductNeuron, columns: int) -> str:
    """A module with ``advance``, a step of gradient descent of a chunk of neurons, or with `train` false its sums.

    `columns`, the padded number of functions, is a constant of the text if it is small: the compiler then unrolls loops
    over them whole, and does not leave them to what is meant for the rest of long ones.
    """
    return "\n".join([HEADER, *_branches(product, columns), *_trunk(product)]) + "\n" + ADVANCE


def _branches(product: ProductNeuron, columns: int) -> list[str]:
    """``branches``: a step of every unit, and the branch before and after it."""
    printer, first, q = ScalarPrinter(), len(product.trunk.weights), product.sensors
    value, slope = printer(product.unit), printer(product.slope)
    assert str(Z) == "z"
    each = f"for i in range({columns if columns <= MOST_COLUMNS else 'u.shape[1]'}):"
    argument = "z = " + " + ".join(f"v{j} * u[{j}, i]" for j in range(q))
    return [
        "@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, float64, float64, boolean, MATRIX, MATRIX), fastmath=FAST, **OPTIONS)",
        "def branches(weights, frozen, u, along, inner, eta, train, old, new):",
        "    prefer_wide_vectors()",
        "    for r in range(weights.shape[0]):",
        f"        {each}",
        "            old[r, i] = 0.0",
        "            new[r, i] = 0.0",
        "        for k in range(frozen.shape[1]):",
        "            s = inner * frozen[r, k]",
        f"            at = {first} + k * {q}",
        *(f"            v{j} = weights[r, at + {j}]" for j in range(q)),
        "            if train:",
        *(f"                g{j} = 0.0" for j in range(q)),
        f"                {each}",
        f"                    {argument}",
        f"                    old[r, i] += s * {value}",
        f"                    c = s * along[r, i] * {slope}",
        *(f"                    g{j} += c * u[{j}, i]" for j in range(q)),
        *(f"                v{j} -= eta * g{j}" for j in range(q)),
        *(f"                weights[r, at + {j}] = v{j}" for j in range(q)),
        f"            {each}",
        f"                {argument}",
        f"                new[r, i] += s * {value}",
        "",
        "",
    ]


def _trunk(product: ProductNeuron) -> list[str]:
    """``values``: the trunk at every query; ``steep``: its weights' step from the derivative at every query."""
    printer, trunk = ScalarPrinter(), product.trunk
    weights = [f"w{i}" for i in range(len(trunk.weights))]
    points = [f"x{i}" for i in range(len(trunk.coordinates))]
    names = dict(zip((*trunk.weights, *trunk.coordinates), sympy.symbols([*weights, *points], real=True), strict=True))
    result = []
    for kind in ("values", "steep"):
        values = kind == "values"
        result += [
            f"@njit(void(MATRIX, MATRIX, INTEGERS, {'MATRIX' if values else 'MATRIX, float64'}), fastmath=FAST, **OPTIONS)",
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
