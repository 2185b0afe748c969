"""What lies between the matrix products of a panel: the form that many weights share, and the generated arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy

from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, gradient_statements, live
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER
from ntkverify.symbolic.network.neuron import Block, Neuron

FORM, SHARED = sympy.Symbol("z_0", real=True), sympy.Symbol("s_0")


@dataclass(frozen=True)
class Reduction:
    """A neuron many of whose weights meet the samples through one form only.

    Parameters
    ----------
    neuron : Neuron
        In canonical names, with one weight in place of all those of the form, and the others after it.
    grouped : tuple of int
        Weights in the form.
    others : tuple of int
        The other trainable weights.
    vectors : tuple of sympy.Expr
        What multiplies each grouped weight in the form, in the coordinates.
    """

    neuron: Neuron
    grouped: tuple[int, ...]
    others: tuple[int, ...]
    vectors: tuple[sympy.Expr, ...]


@cache
def reduction(neuron: Neuron) -> Reduction | None:
    """The neuron with its one form as a single weight, or None if it has none."""
    neuron = canonical(neuron)
    points = set(neuron.coordinates)
    found = {
        e for b in neuron.blocks for f in b.features for e in f.atoms(sympy.Add) if _vectors(e, neuron) is not None
    }
    # where there are several, the longest; further forms stay in the generated text
    form = max(found, key=lambda e: (len(e.args), sympy.default_sort_key(e)), default=None)
    if form is None:
        return None
    vectors = _vectors(form, neuron)
    assert vectors is not None
    weight, coordinate = sympy.symbols("z_weight z_coordinate", real=True)
    blocks = tuple(
        Block(b.name, tuple(f.xreplace({form: weight * coordinate}) for f in b.features), b.sums, b.residual)
        for b in neuron.blocks
    )
    if any(f.free_symbols & set(vectors) for b in blocks for f in b.features):
        return None
    others = tuple(i for i, w in enumerate(neuron.weights) if w not in vectors)
    reduced = Neuron(
        (weight, *(neuron.weights[i] for i in others)), neuron.frozen, (*neuron.coordinates, coordinate), blocks
    )
    for b in reduced.blocks:
        code = forward_statements(reduced, b)
        # the form must be inside a function: otherwise there is no slope to share
        if [s for s, e in code.mixed if e == weight * coordinate] != [FORM]:
            return None
        if any(weight in e.free_symbols or coordinate in e.free_symbols for e in live(code, frozenset({FORM})).outputs):
            return None
    assert all(v.free_symbols <= points for v in vectors.values())
    grouped = tuple(i for i, w in enumerate(neuron.weights) if w in vectors)
    return Reduction(reduced, grouped, others, tuple(vectors[neuron.weights[i]] for i in grouped))


def _vectors(e: sympy.Add, neuron: Neuron) -> dict[sympy.Symbol, sympy.Expr] | None:
    """What multiplies each trainable weight in a sum of single weights times functions of the sample."""
    weights, points = set(neuron.weights), set(neuron.coordinates)
    result: dict[sympy.Symbol, sympy.Expr] = {}
    for term in e.args:
        factors = term.args if isinstance(term, sympy.Mul) else (term,)
        own = [f for f in factors if f in weights]
        rest = sympy.Mul(*(f for f in factors if f not in weights))
        if len(own) != 1 or own[0] in result or not rest.free_symbols <= points:
            return None
        result[own[0]] = rest
    return result


# One chunk: products by BLAS, called from compiled code so that no thread waits for the interpreter in between.
# Without cotangents only the sums are asked for; with room for a gradient, it and no sums.
ADVANCE = """

@njit(
    void(MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, INTEGERS, MATRIX, INTEGERS, float64, MATRIX, MATRIX), **OPTIONS
)
def advance(weights, frozen, vectors, points, grouped, others, cotangents, sizes, eta, gradient, sums):
    m = weights.shape[0]
    w = weights
    if others.shape[0] > 0:
        w = np.empty((m, grouped.shape[0]))
        for l in range(m):
            for k in range(grouped.shape[0]):
                w[l, k] = weights[l, grouped[k]]
    f = np.empty((frozen.shape[1], m))
    for k in range(frozen.shape[1]):
        for l in range(m):
            f[k, l] = frozen[l, k]
    rest = np.empty((others.shape[0], m))
    for k in range(others.shape[0]):
        for l in range(m):
            rest[k, l] = weights[l, others[k]]
    z = np.empty((vectors.shape[0], m))
    np.dot(vectors, w.T, z)
    if cotangents.shape[0] > 0:
        g = np.zeros((others.shape[0], m))
        slopes(z, rest, f, points, cotangents, sizes, g)
        change = np.dot(z.T, vectors)
        if gradient.shape[0] > 0:
            for l in range(m):
                for k in range(grouped.shape[0]):
                    gradient[l, grouped[k]] = change[l, k]
                for k in range(others.shape[0]):
                    gradient[l, others[k]] = g[k, l]
            return
        for l in range(m):
            for k in range(grouped.shape[0]):
                w[l, k] -= eta * change[l, k]
        for k in range(others.shape[0]):
            for l in range(m):
                rest[k, l] -= eta * g[k, l]
                weights[l, others[k]] = rest[k, l]
        if others.shape[0] > 0:
            for l in range(m):
                for k in range(grouped.shape[0]):
                    weights[l, grouped[k]] = w[l, k]
        np.dot(vectors, w.T, z)
    values(z, rest, f, points, sizes, sums)
"""


def gemm_source(found: Reduction) -> str:
    """A module with ``slopes``, ``panels`` and ``values``: the arithmetic between the products."""
    neuron = found.neuron
    lines: list[str] = [HEADER]
    head = "z, w, f, points, cotangents, sizes, g"
    for name, kind in (("slopes", "MATRIX"), ("panels", "float64[:, :, ::1]")):
        lines += [
            f"@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, {kind}), fastmath=FAST, **OPTIONS)",
            f"def {name}({head}):",
            "    prefer_wide_vectors()",
            "    row = 0",
        ]
        for index, b in enumerate(neuron.blocks):
            code = backward(neuron, b)
            target = "g[{}, l] +=" if name == "slopes" else "g[i, {}, l] ="
            finish = [f"{target.format(o)} {ScalarPrinter()(e)}" for o, e in enumerate(code.outputs[1:])]
            names = [f"c{k} = cotangents[{k}, i]" for k in range(len(b.features))]
            lines += _loops(neuron, code, index, names, [*finish, f"z[i, l] = {SHARED.name}"], [], [])
        lines += ["", ""]
    lines += [
        "@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, MATRIX), fastmath=FAST, **OPTIONS)",
        "def values(z, w, f, points, sizes, sums):",
        "    prefer_wide_vectors()",
        "    row = 0",
    ]
    for index, b in enumerate(neuron.blocks):
        code = live(forward_statements(neuron, b), frozenset({FORM}))
        finish = [f"y{k} += {ScalarPrinter()(e)}" for k, e in enumerate(code.outputs)]
        before = [f"y{k} = 0.0" for k in range(len(b.features))]
        after = [f"sums[{k}, i] += y{k}" for k in range(len(b.features))]
        lines += _loops(neuron, code, index, [], finish, before, after)
    return "\n".join(lines) + "\n" + ADVANCE


def backward(neuron: Neuron, block: Block) -> Statements:
    """Code for the shared slope, itself and not times the form's coordinate, and for the other gradients."""
    cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(block.features)))
    code = gradient_statements(neuron, block, cotangents)
    return live(Statements(code.neuron, code.sample, code.mixed, (SHARED, *code.outputs[1:])), frozenset({FORM}))


def _loops(
    neuron: Neuron,
    code: Statements,
    index: int,
    names: list[str],
    finish: list[str],
    before: list[str],
    after: list[str],
) -> list[str]:
    """The loops over one block's samples and the chunk's neurons."""
    printer = ScalarPrinter()
    used = set().union(
        *(e.free_symbols for _, e in (*code.neuron, *code.sample, *code.mixed)), *(e.free_symbols for e in code.outputs)
    )
    of_sample = [f"{s.name} = points[i, {c}]" for c, s in enumerate(neuron.coordinates[:-1]) if s in used]
    of_sample += [*names, *(f"{s.name} = {printer(e)}" for s, e in code.sample), *before]
    of_both = [f"{FORM.name} = z[i, l]"]
    of_both += [f"{s.name} = w[{i}, l]" for i, s in enumerate(neuron.weights[1:]) if s in used]
    of_both += [f"{s.name} = f[{i}, l]" for i, s in enumerate(neuron.frozen) if s in used]
    of_both += [f"{s.name} = {printer(e)}" for s, e in (*code.neuron, *code.mixed)]
    return [
        f"    for i in range(row, row + sizes[{index}]):",
        *(f"        {line}" for line in of_sample),
        "        for l in range(z.shape[1]):",
        *(f"            {line}" for line in (*of_both, *finish)),
        *(f"        {line}" for line in after),
        f"    row += sizes[{index}]",
    ]
