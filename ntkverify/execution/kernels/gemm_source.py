"""What lies between the matrix products of a panel: the form that many weights share, and the generated arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy

from ntkverify.execution.kernels.chain import (
    Given,
    Statements,
    canonical,
    forward_statements,
    gradient_statements,
    live,
)
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER
from ntkverify.symbolic.expression.forms import in_forms, linear_parts
from ntkverify.symbolic.expression.squares import SQUARES, in_squares
from ntkverify.symbolic.network.neuron import Block, Neuron

# weights that may stand outside the form as well
MOST_OWN = 4
FORM, SHARED = sympy.Symbol("z_0", real=True), sympy.Symbol("s_0")


@dataclass(frozen=True)
class Reduction:
    """A neuron many of whose weights meet the samples through one form only.

    Parameters
    ----------
    neuron : Neuron
        In canonical names, with one weight in place of all those of the form, and after it what else its features
        hold: the other weights, weights of the form that stand outside it as well, and the sum of squares if there
        is one. Its features hold the symbol `FORM` for the form.
    grouped : tuple of int
        Weights in the form.
    others : tuple of int
        The other trainable weights.
    vectors : tuple of sympy.Expr
        What multiplies each grouped weight in the form, in the coordinates.
    own : tuple of int, optional
        Places among the grouped weights of those that stand outside the form as well, such as that of time in u_t.
    squared : tuple of int, optional
        Places among the grouped weights of those whose squares are summed, as in a Laplacian.
    """

    neuron: Neuron
    grouped: tuple[int, ...]
    others: tuple[int, ...]
    vectors: tuple[sympy.Expr, ...]
    own: tuple[int, ...] = ()
    squared: tuple[int, ...] = ()

    @property
    def given(self) -> Given:
        """The form of the reduced neuron and its symbol."""
        return ((self.neuron.weights[0] * self.neuron.coordinates[-1], FORM),)


@cache
def reduction(neuron: Neuron) -> Reduction | None:
    """The neuron with its one form as a single weight, or None if it has none."""
    neuron = canonical(neuron)
    features = [f for b in neuron.blocks for f in b.features]
    # where there are several, the longest; further forms stay in the generated text
    found = in_forms(features, (*neuron.weights, *neuron.frozen), neuron.coordinates)
    products = {s: v for form, s in found.forms.items() if (v := _vectors(form, neuron)) is not None}
    form = max(products, key=lambda s: len(products[s]), default=None)
    if form is None:
        return None
    vectors, back = products[form], {s: e for e, s in found.forms.items() if s != form}
    written = [e.xreplace(back).xreplace({form: FORM}) for e in found.expressions]
    members: tuple[sympy.Symbol, ...] = ()
    sums = in_squares(written, [w for w in neuron.weights if w in vectors])
    if sums is not None:
        written, members = list(sums.expressions), sums.members
    outside = set().union(*(e.free_symbols for e in written))
    own = [w for w in neuron.weights if w in vectors and w in outside]
    if len(own) > MOST_OWN or set(own) & set(members):
        return None
    weight, coordinate = sympy.symbols("z_weight z_coordinate", real=True)
    features_of, others = iter(written), tuple(i for i, w in enumerate(neuron.weights) if w not in vectors)
    blocks = tuple(
        Block(b.name, tuple(next(features_of) for _ in b.features), b.sums, b.residual) for b in neuron.blocks
    )
    grouped = tuple(i for i, w in enumerate(neuron.weights) if w in vectors)
    names = {SQUARES: sympy.Symbol("w_squares", real=True)} if members else {}
    blocks = tuple(Block(b.name, tuple(f.xreplace(names) for f in b.features), b.sums, b.residual) for b in blocks)
    reduced = Neuron(
        (weight, *(neuron.weights[i] for i in others), *own, *names.values()),
        neuron.frozen,
        (*neuron.coordinates, coordinate),
        blocks,
    )
    places = {neuron.weights[i]: k for k, i in enumerate(grouped)}
    return Reduction(
        reduced,
        grouped,
        others,
        tuple(vectors[neuron.weights[i]] for i in grouped),
        tuple(places[w] for w in own),
        tuple(places[w] for w in members),
    )


def _vectors(form: sympy.Expr, neuron: Neuron) -> dict[sympy.Symbol, sympy.Expr] | None:
    """What multiplies each weight in a form of two or more trainable weights, each times a function of the sample."""
    written = linear_parts(form, {*neuron.weights, *neuron.frozen})
    if written is None or written[1] != 0 or len(written[0]) < 2 or not set(written[0]) <= set(neuron.weights):
        return None
    return written[0] if all(v.free_symbols <= set(neuron.coordinates) for v in written[0].values()) else None


# One chunk: products by BLAS, called from compiled code so that no thread waits for the interpreter in between.
# Without cotangents only the sums are asked for; with room for a gradient, it and no sums.
ADVANCE = """

@njit(void(MATRIX, INTEGERS, INTEGERS, int64, MATRIX), **OPTIONS)
def outside(w, own, squared, first, rest):
    for k in range(own.shape[0]):
        for l in range(w.shape[0]):
            rest[first + k, l] = w[l, own[k]]
    if squared.shape[0] > 0:
        for l in range(w.shape[0]):
            total = 0.0
            for k in range(squared.shape[0]):
                total += w[l, squared[k]] ** 2
            rest[first + own.shape[0], l] = total


@njit(
    void(
        MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, INTEGERS, INTEGERS, INTEGERS,
        MATRIX, INTEGERS, float64, MATRIX, MATRIX
    ),
    **OPTIONS
)
def advance(
    weights, frozen, vectors, points, grouped, others, own, squared, cotangents, sizes, eta, gradient, sums
):
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
    count = others.shape[0] + own.shape[0]
    rest = np.empty((count + min(squared.shape[0], 1), m))
    for k in range(others.shape[0]):
        for l in range(m):
            rest[k, l] = weights[l, others[k]]
    outside(w, own, squared, others.shape[0], rest)
    z = np.empty((vectors.shape[0], m))
    np.dot(vectors, w.T, z)
    if cotangents.shape[0] > 0:
        g = np.zeros(rest.shape)
        slopes(z, rest, f, points, cotangents, sizes, g)
        change = np.dot(z.T, vectors)
        for k in range(own.shape[0]):
            for l in range(m):
                change[l, own[k]] += g[others.shape[0] + k, l]
        if squared.shape[0] > 0:
            for l in range(m):
                for k in range(squared.shape[0]):
                    change[l, squared[k]] += 2.0 * g[count, l] * w[l, squared[k]]
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
        outside(w, own, squared, others.shape[0], rest)
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
            code = backward(found, b)
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
        code = live(forward_statements(neuron, b, found.given), frozenset({FORM}))
        finish = [f"y{k} += {ScalarPrinter()(e)}" for k, e in enumerate(code.outputs)]
        before = [f"y{k} = 0.0" for k in range(len(b.features))]
        after = [f"sums[{k}, i] += y{k}" for k in range(len(b.features))]
        lines += _loops(neuron, code, index, [], finish, before, after)
    return "\n".join(lines) + "\n" + ADVANCE


def backward(found: Reduction, block: Block) -> Statements:
    """Code for the shared slope, itself and not times the form's coordinate, and for the other gradients."""
    cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(block.features)))
    code = gradient_statements(found.neuron, block, cotangents, found.given)
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
