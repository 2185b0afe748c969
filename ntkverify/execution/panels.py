"""Jacobians by panels of neurons, and Gram matrices J J^T as Hadamard sums of their products.

Where the gradient in several weights is one scalar s(neuron, sample) times a vector v(sample), as for every weight
that meets the sample through ``w . x`` alone, those weights add ``(V V^T) * (S S^T)`` to the
Gram matrix: one symmetric product instead of one per weight. All other weights add ``D_q D_q^T``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from ntkverify.execution.chain import canonical, gradient_statements
from ntkverify.execution.numba_source import HEADER, block_loops, most_neuron_values
from ntkverify.execution.printer import ScalarPrinter
from ntkverify.execution.threads import one_blas_thread, share
from ntkverify.symbolic.neuron import Neuron

Array = npt.NDArray[np.float64]

# neurons per panel times samples: some MiB, so that adding a product up is rare
PANEL_ENTRIES = 1 << 20
LEAST_NEURONS = 128
# rows of a symmetric product that one thread forms at a time; a function of nothing, so that sums round alike
BLOCK_ROWS = 64
# up to so many rows a panel and its product stay in a thread's cache, and runs of panels are shared out, not products
MOST_ROWS_IN_CACHE = 256
# doubles of a panel that stays in the second-level cache, beside its product
CACHED_ENTRIES = 1 << 17
# runs of panels, summed in order in the end
MOST_RUNS = 16


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


# Panel by panel: fill it, add the lower triangle of its product, one BLAS thread and no interpreter in between.
RUN = """

@njit(
    void(MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, float64[:, :, ::1], int64, int64, MATRIX, MATRIX), **OPTIONS
)
def run(weights, frozen, points, cotangents, sizes, room, first, last, scalars, dense):
    rows, width = room.shape[1], room.shape[2]
    for start in range(first, last, width):
        stop = min(start + width, last)
        out = room if stop - start == width else np.empty((room.shape[0], rows, stop - start))
        panel(weights, frozen, points, cotangents, sizes, out, start, stop)
        for c in range(room.shape[0]):
            target = scalars if {factored} and c == 0 else dense
            for lo in range(0, rows, {block}):
                hi = min(lo + {block}, rows)
                target[lo:hi, :hi] += np.dot(out[c, lo:hi], out[c, :hi].T)
"""


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
    run = RUN.format(factored=bool(factored), block=BLOCK_ROWS)
    return PanelSource(
        HEADER + "\n".join(lines) + "\n" + run,
        factored,
        dense,
        tuple(tuple(v[i] for i in factored) for v in vectors),
        neuron.coordinates,
    )


def _write_out(e: sympy.Expr, definitions: tuple[tuple[sympy.Symbol, sympy.Expr], ...]) -> sympy.Expr:
    for s, value in reversed(definitions):
        e = e.xreplace({s: value})
    return e


def panel_width(rows: int, m: int) -> int:
    """Neurons per panel."""
    return min(m, max(LEAST_NEURONS, PANEL_ENTRIES // rows))


def add_product(target: Array, panel: Array, threads: int) -> None:
    """Add the lower triangle of ``panel @ panel.T`` to the target, block of rows by block of rows.

    Each block is one product by one BLAS thread, so that no entry depends on the number of threads.
    """
    # the longest first, so that no thread is left with one in the end
    starts = range(0, len(panel), BLOCK_ROWS)[::-1]

    def work(i: int) -> None:
        lo = starts[i]
        hi = min(lo + BLOCK_ROWS, len(panel))
        target[lo:hi, :hi] += panel[lo:hi] @ panel[:hi].T

    with one_blas_thread():
        share(work, len(starts), threads)


def symmetric(lower: Array) -> Array:
    """The symmetric matrix with this lower triangle, whatever stands above it."""
    below = np.tril(lower)
    return np.asarray(below + np.tril(below, -1).T)


def accumulate_gram(
    fill: Callable[[Array, int, int], Any],
    run: Callable[..., Any],
    source: PanelSource,
    rows: int,
    m: int,
    vectors: Array | None,
    threads: int,
) -> Array:
    """Sum the panels' products into J J^T.

    Parameters
    ----------
    fill : callable
        ``fill(out, start, stop)`` writes the components of neurons start..stop, on all threads.
    run : callable
        ``run(room, first, last, scalars, dense)`` adds up the products of the panels of neurons first..last, on one.
    source : PanelSource
        What the components are.
    rows : int
        Number of (padded) samples.
    m : int
        Number of neurons.
    vectors : array, shape (rows, number of factored weights), or None
        The vectors v of all samples.
    threads : int
        Number of threads.
    """
    scalars, dense = np.zeros((rows, rows)), np.zeros((rows, rows))
    if rows <= MOST_ROWS_IN_CACHE:
        _share_runs(run, source, m, threads, scalars, dense)
    else:
        _share_products(fill, source, m, threads, scalars, dense)
    if vectors is not None:
        products = np.zeros_like(scalars)
        add_product(products, vectors, threads)
        scalars *= products
        dense += scalars
    return symmetric(dense)


def _share_runs(
    run: Callable[..., Any], source: PanelSource, m: int, threads: int, scalars: Array, dense: Array
) -> None:
    """Panels that stay in a thread's cache, in runs that are a function of the problem's size alone."""
    rows = len(dense)
    width = min(m, max(LEAST_NEURONS, CACHED_ENTRIES // (rows * source.components)))
    panels = -(-m // width)
    runs = min(panels, MOST_RUNS)
    edges = [min(m, width * (panels * i // runs)) for i in range(runs + 1)]
    sums = np.zeros((runs, 2, rows, rows))

    def work(i: int) -> None:
        run(np.empty((source.components, rows, width)), edges[i], edges[i + 1], sums[i, 0], sums[i, 1])

    with one_blas_thread():
        share(work, runs, threads)
    total = sums.sum(axis=0)
    scalars += total[0]
    dense += total[1]


def _share_products(
    fill: Callable[[Array, int, int], Any], source: PanelSource, m: int, threads: int, scalars: Array, dense: Array
) -> None:
    """One long panel at a time, filled and multiplied by all threads together."""
    rows, width = len(dense), panel_width(len(dense), m)
    out = np.empty((source.components, rows, width))
    for start in range(0, m, width):
        stop = min(start + width, m)
        panel = out if stop - start == width else np.empty((source.components, rows, stop - start))
        fill(panel, start, stop)
        for i, component in enumerate(panel):
            add_product(scalars if source.factored and i == 0 else dense, component, threads)
