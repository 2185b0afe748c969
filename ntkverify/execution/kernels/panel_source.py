"""Panels of gradients: Jacobians by neurons, and Gram matrices J J^T as Hadamard sums of their products.

Where the gradient in several weights is one scalar s(neuron, sample) times a vector v(sample), as for every weight
that meets the sample through ``w . x`` alone, those weights add ``(V V^T) * (S S^T)`` to the
Gram matrix: one symmetric product instead of one per weight. All other weights add ``D_q D_q^T``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import sympy

from ntkverify.execution.kernels.chain import canonical, gradient_statements
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER, block_loops, most_neuron_values
from ntkverify.execution.kernels.tile_source import tiles
from ntkverify.symbolic.network.neuron import Neuron


@dataclass(frozen=True)
class PanelSource:
    """Generated panels of a neuron.

    Parameters
    ----------
    text : str
        A module with ``panel``, which fills rows of the components below, and ``run``, which adds up their products.
    factored : tuple of int
        Weights whose gradients share one scalar; empty if fewer than two do.
    dense : tuple of int
        The other weights, in the order of the panel's components after the shared scalar.
    vectors : tuple of tuple of sympy.Expr
        Per block, the vector v over the factored weights, in the canonical coordinates.
    coordinates : tuple of sympy.Symbol
        The canonical coordinates.
    """

    text: str
    factored: tuple[int, ...]
    dense: tuple[int, ...]
    vectors: tuple[tuple[sympy.Expr, ...], ...]
    coordinates: tuple[sympy.Symbol, ...]

    @property
    def components(self) -> int:
        """Number of components that the panel kernel fills."""
        return len(self.dense) + bool(self.factored)


# Panel by panel: fill it, add its products, no interpreter in between.
RUN = """

from {tiles} import add


@njit(
    void(MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, float64[:, :, ::1], int64, int64, MATRIX, MATRIX), **OPTIONS
)
def run(weights, frozen, points, cotangents, sizes, room, first, last, one, others):
    width = room.shape[2]
    for start in range(first, last, width):
        stop = min(start + width, last)
        out = room if stop - start == width else np.zeros((room.shape[0], room.shape[1], stop - start))
        panel(weights, frozen, points, cotangents, sizes, out, start, stop)
        add(out, one, others)
"""


@functools.lru_cache(maxsize=256)
def panel_source(neuron: Neuron, at_once: tuple[int, ...], *, factor: bool) -> PanelSource:
    """Generate the kernel that fills panels of gradients, with shared scalars split off if `factor`."""
    neuron, printer = canonical(neuron), ScalarPrinter()
    every = tuple(range(len(neuron.weights)))
    codes = []
    for b in neuron.blocks:
        cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(b.features)))
        codes.append(gradient_statements(neuron, b, cotangents))
    shared, factored = sympy.Symbol("s_0"), every if factor else ()
    of_sample = set(neuron.coordinates)
    vectors: list[tuple[sympy.Expr, ...]] = []
    for code in codes:
        # names of the sample's own subexpressions are written out again, so that they can be evaluated apart
        expanded = [_write_out(e, code.sample) for e in code.outputs]
        slopes = [sympy.diff(e, shared) for e in expanded]
        factored = tuple(
            i
            for i in factored
            if sympy.expand(expanded[i] - slopes[i] * shared) == 0 and slopes[i].free_symbols <= of_sample
        )
        if shared not in {s for s, _ in code.mixed}:
            factored = ()  # a block that does not meet the weights through any affine form has no scalar to share
        vectors.append(tuple(slopes))
    if len(factored) < 2:
        factored = ()
    dense = tuple(i for i in every if i not in factored)
    lines = [
        "@njit(",
        "    void(MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, float64[:, :, ::1], int64, int64),",
        "    fastmath=FAST, **OPTIONS",
        ")",
        "def panel(weights, frozen, points, cotangents, sizes, out, start, stop):",
        "    prefer_wide_vectors()",
        "    size = stop - start",
        f"    w = np.empty(({len(every)}, size))",
        f"    f = np.empty(({max(len(neuron.frozen), 1)}, size))",
        f"    v = np.empty(({most_neuron_values(codes)}, size))",
        "    for l in range(size):",
        *(f"        w[{i}, l] = weights[start + l, {i}]" for i in every),
        *(f"        f[{i}, l] = frozen[start + l, {i}]" for i in range(len(neuron.frozen))),
        "    row = 0",
    ]
    for index, (b, code) in enumerate(zip(neuron.blocks, codes, strict=True)):
        outputs = [shared] if factored else []
        outputs += [code.outputs[i] for i in dense]

        def write(of: Callable[[sympy.Expr, int], str], step: int, outputs: list[sympy.Expr] = outputs) -> list[str]:
            return [f"out[{o}, i + {k}, l] = {of(e, k)}" for o, e in enumerate(outputs) for k in range(step)]

        lines += block_loops(
            neuron, len(b.features), code, index, at_once[index], printer, write, with_cotangents=True, indent=4
        )
    return PanelSource(
        HEADER + "\n".join(lines) + "\n" + RUN.format(tiles=tiles().__name__),
        factored,
        dense,
        tuple(tuple(v[i] for i in factored) for v in vectors),
        neuron.coordinates,
    )


def _write_out(e: sympy.Expr, definitions: tuple[tuple[sympy.Symbol, sympy.Expr], ...]) -> sympy.Expr:
    for s, value in reversed(definitions):
        e = e.xreplace({s: value})
    return e
