"""Symmetric products of panels with few rows and many columns, as Gram matrices need them.

Panels of up to some hundred rows are multiplied by generated code that keeps a tile of the product in registers and
runs along the columns. On one core of an AMD EPYC (AVX-512, 57 GFLOP/s of multiply-adds) it reaches 39 to 51
GFLOP/s of the symmetric product's own operations at 32 to 256 rows; OpenBLAS, asked for blocks of rows of the lower
triangle, 14 to 35 with 32 rows a block and at best 28 to 46 with the best block for each size. Beyond
that many rows the panels do not stay in cache, and BLAS is as fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from ntkverify.arrays import Array
from ntkverify.execution.kernels.tile_source import TILE_ROWS, tiles
from ntkverify.execution.machine.threads import one_blas_thread, share

# up to so many rows a panel and its product stay in a thread's cache, and runs of panels are shared out, not products
MOST_ROWS_IN_CACHE = 256
# doubles of a panel that stays in the second-level cache, beside its product, unless that leaves too few neurons
CACHED_ENTRIES = 1 << 16
LEAST_NEURONS = 128
# runs of panels, summed in order in the end: the problem's size alone decides, so that more threads find no work here
MOST_RUNS = 16
# otherwise doubles of a panel with all its components: 32 MiB, so that adding a product up is rare and BLAS, which
# copies its operands before it multiplies, finds some thousand columns to a block of rows
PANEL_ENTRIES = 1 << 22
# entries of a component that are worth a second thread
WORTH_SHARING = 50_000
# doubles of a cache line
LINE = 8
# most rows and columns of the blocks that BLAS forms a symmetric product of: larger ones are faster, but fewer to share
# out. A function of nothing, so that sums round alike
BLOCK_ROWS = 256


#: ``fill(out, start, stop)`` writes the components of neurons start..stop, shape (components, rows, stop - start), in
#: the calling thread; `out` may be a part of a larger array
Fill = Callable[[Array, int, int], None]
#: ``run(room, first, last, one, others)`` adds the products of neurons first..last, panel by panel, in the calling
#: thread; `room`, of zeros, has the width of a panel and rows that are a multiple of `TILE_ROWS`
Run = Callable[[Array, int, int, Array, Array], None]


def sum_of_products(
    fill: Fill, components: int, rows: int, m: int, *, strip: int, threads: int, run: Run | None = None
) -> tuple[Array, Array]:
    """Sum the symmetric products of a panel's components over all neurons.

    Parameters
    ----------
    fill : callable
        Writes the components of some neurons.
    components : int
        Number of components, at least 1.
    rows : int
        Number of samples.
    m : int
        Number of neurons.
    strip : int
        Most neurons that `fill` is called for.
    threads : int
        Number of threads; no entry depends on it.
    run : callable, optional
        Does for few samples without the interpreter what would be done by `fill`.

    Returns
    -------
    first, others : array, shape (rows, rows)
        The first component's product, and the sum of the others'; in the lower triangles.
    """
    if rows <= MOST_ROWS_IN_CACHE:
        padded = -(-rows // TILE_ROWS) * TILE_ROWS
        width = min(m, max(LEAST_NEURONS, CACHED_ENTRIES // (padded * components)))
        if run is None:
            run, width = _run_of(fill, rows), min(width, strip)
        total = _sum_in_runs(run, components, padded, width, m, threads)[:, :rows, :rows]
        return total[0], total[1] if components > 1 else np.zeros((rows, rows))
    first, others = np.zeros((rows, rows)), np.zeros((rows, rows))
    most = max(LEAST_NEURONS, PANEL_ENTRIES // (components * rows))
    # as many panels as must be, and rows an odd number of cache lines apart, so that they do not evict each other
    lines = -(-m // (-(-m // most) * LINE))
    width = (lines + 1 - lines % 2) * LINE
    room = np.empty((components, rows, width))
    for start in range(0, m, width):
        stop = min(start + width, m)
        panels = room[:, :, : stop - start]
        fill_in_strips(fill, panels, start, stop, strip=strip, threads=threads)
        for i, panel in enumerate(panels):
            add_product(others if i else first, panel, threads)
    return first, others


def fill_in_strips(fill: Fill, out: Array, start: int, stop: int, *, strip: int, threads: int) -> None:
    """Write the components of neurons start..stop, strips of them shared out to the threads."""
    edges = [*range(start, stop, strip), stop]

    def work(i: int) -> None:
        fill(out[:, :, edges[i] - start : edges[i + 1] - start], edges[i], edges[i + 1])

    with one_blas_thread():
        share(work, len(edges) - 1, threads if (stop - start) * out.shape[1] > WORTH_SHARING else 1)


def _run_of(fill: Fill, rows: int) -> Run:
    """A run by calls of `fill`."""

    def run(room: Array, first: int, last: int, one: Array, others: Array) -> None:
        width = room.shape[2]
        for start in range(first, last, width):
            stop = min(start + width, last)
            out = room if stop - start == width else np.zeros((*room.shape[:2], stop - start))
            fill(out[:, :rows], start, stop)
            tiles().add(out, one, others)

    return run


def _sum_in_runs(run: Run, components: int, padded: int, width: int, m: int, threads: int) -> Array:
    """Panel by panel in a thread's cache: the first component's product, and that of the others if there are any."""
    panels = -(-m // width)
    runs = min(panels, MOST_RUNS)
    edges = [min(m, width * (panels * i // runs)) for i in range(runs + 1)]
    sums = np.zeros((runs, min(components, 2), padded, padded))

    def work(i: int) -> None:
        run(np.zeros((components, padded, width)), edges[i], edges[i + 1], sums[i, 0], sums[i, -1])

    with one_blas_thread():
        share(work, runs, threads)
    return np.asarray(sums.sum(axis=0))


def add_product(target: Array, panel: Array, threads: int) -> None:
    """Add the lower triangle of ``panel @ panel.T`` to the target, block by block, by BLAS.

    Each block is one product by one BLAS thread, so that no entry depends on the number of threads. Of a block on the
    diagonal NumPy has BLAS form one triangle only.
    """
    count = -(-len(panel) // BLOCK_ROWS)
    edges = [len(panel) * i // count for i in range(count + 1)]
    blocks = [slice(lo, hi) for lo, hi in itertools.pairwise(edges)]
    # those on the diagonal take half as long: last, so that no thread is left with a long one in the end
    below = [(i, j) for i in range(count) for j in range(i)]
    pairs = [*below, *((i, i) for i in range(count))]

    def work(k: int) -> None:
        i, j = (blocks[b] for b in pairs[k])
        target[i, j] += panel[i] @ panel[j].T

    with one_blas_thread():
        share(work, len(pairs), threads)


def symmetric(lower: Array) -> Array:
    """The symmetric matrix with this lower triangle, whatever stands above it."""
    below = np.tril(lower)
    return np.asarray(below + np.tril(below, -1).T)
