"""A measured step for many inputs: BLAS for the form that most weights share, the evaluator for what is left of them.

With ``z = V w`` for the form of all samples, a feature and its derivatives are functions of z and of a few other
weights, and its gradient in w is ``(d feature / dz) V``. So a chunk of neurons takes four products and, whatever the
number of inputs, some tens of passes over arrays (n_b, c), which are chosen to stay in the second-level cache. One
thread, 4096 neurons with tanh, 250 samples: 45 ms at 32 inputs, where the sweep takes 128 after 11 s of compilation and
the reference 841; at 12 inputs 38, where the sweep takes 22 after 4 s.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from ntkverify.arithmetic.evaluator import evaluate_all
from ntkverify.arrays import Array
from ntkverify.execution.fused.step import beside, moves_of
from ntkverify.execution.kernels.gemm_source import FORM, Reduction
from ntkverify.execution.kernels.step_source import KINDS, SQUARES
from ntkverify.execution.machine.threads import one_blas_thread, share
from ntkverify.execution.rounding import sum_roundings
from ntkverify.execution.samples import BlockSamples
from ntkverify.execution.step import MeasuredStep, Step, finished
from ntkverify.symbolic.expression.majorant import majorant, roundings

if TYPE_CHECKING:
    from ntkverify.execution.fused.gemm import GemmExecutor

#: samples times neurons of a chunk
PANEL_ENTRIES = 32768
#: so that a chunk outlasts the interpreter's share of it, and that few chunks are left to add up
LEAST_NEURONS, MOST_NEURONS = 128, 4096


@dataclass(frozen=True)
class _Expressions:
    """What is evaluated of one block, in the form and the other weights."""

    features: tuple[sympy.Expr, ...]
    slopes: tuple[sympy.Expr, ...]
    others: tuple[sympy.Expr, ...]
    majorants: tuple[sympy.Expr, ...]
    roundings: int


@functools.lru_cache(maxsize=64)
def _expressions(found: Reduction) -> tuple[_Expressions, ...]:
    """Per block; the other weights' derivatives feature by feature."""
    neuron = found.neuron
    _, *others = neuron.weights
    given = frozenset(neuron.coordinates)
    # the form written out: any order of its sum, and what multiplies the weights, is counted
    vs = [sympy.Symbol(f"v_{i}", real=True) for i in range(len(found.vectors))]
    sums = {FORM: sympy.Add(*(s * v for s, v in zip(vs, found.vectors, strict=True)))}
    if found.squared:
        sums[others[-1]] = sympy.Add(*(vs[i] ** 2 for i in found.squared))
    result = []
    for b in neuron.blocks:
        features = b.features
        result.append(
            _Expressions(
                features,
                tuple(sympy.diff(f, FORM) for f in features),
                tuple(sympy.diff(f, w) for f in features for w in others),
                tuple(majorant(f, given) for f in features),
                max(roundings(f.xreplace(sums), given) for f in features),
            )
        )
    return tuple(result)


def measured_step(executor: GemmExecutor, step: Step) -> MeasuredStep:
    """`Executor.measured_step` chunk by chunk; weights are checked.

    Raises
    ------
    NtkVerifyError
        If `start` or `change` has not the weights' shape.
    """
    weights, frozen, forward, change = step.weights, step.frozen, step.forward, step.change
    blocks, m, total = executor.samples.blocks, len(weights), executor.samples.total
    start = beside(weights, step.start, "start")
    change = None if change is None else beside(weights, change, "change")
    matrix = executor.gram(weights, frozen) if step.gram else None
    walk = _Walk(executor, executor._cotangents(forward, forward.residuals, m), float(step.eta))
    size = max(LEAST_NEURONS, min(MOST_NEURONS, PANEL_ENTRIES // total))
    chunks = [slice(lo, min(lo + size, m)) for lo in range(0, m, size)]
    rows = np.zeros((len(chunks), KINDS, executor._features, total))
    squares = np.zeros((len(chunks), len(executor.neuron.groups), SQUARES))

    def work(i: int) -> None:
        here = chunks[i]
        given = None if change is None else change[here]
        weights[here] = walk.part(weights[here], frozen[here], start[here], given, rows[i], squares[i])

    with one_blas_thread():
        share(work, len(chunks), executor.threads)
    summed = rows.sum(axis=0) / np.sqrt(np.float64(m))
    own = max(e.roundings for e in walk.expressions)
    return finished(
        executor,
        step,
        *([summed[kind, : len(b.block.features), b.rows] for b in blocks] for kind in range(KINDS)),
        moves=moves_of(executor.neuron.groups, squares, m),
        gram=matrix,
        roundings=own + sum_roundings(m, size),
    )


class _Walk:
    """What one step needs of every chunk."""

    def __init__(self, executor: GemmExecutor, cotangents: Array, eta: float) -> None:
        self.executor, self.cotangents, self.eta = executor, cotangents, eta
        found = executor.reduction
        self.reduced, self.others = found.neuron, list(found.others)
        self.expressions = _expressions(found)
        self.columns = executor._columns()
        self.vectors = executor._vectors
        values = {s: executor._points[:, i] for i, s in enumerate(self.reduced.coordinates[:-1])}
        sizes = evaluate_all(
            [majorant(v, frozenset(self.reduced.coordinates)) for v in found.vectors], values, executor.algebra
        )
        self.sizes = np.stack([np.broadcast_to(c, len(executor._points)) for c in sizes], axis=1)

    def _evaluated(self, b: BlockSamples, wanted: Sequence[Any], form: Array, w: Array, frozen: Array) -> list[Array]:
        """Arrays (n_b, c) of expressions, neurons last in memory too, so that NumPy adds them pairwise."""
        values = {FORM: form[b.rows]}
        rest = self.executor._rest(w)
        values |= {s: row[None, :] for s, row in zip(self.reduced.weights[1:], rest, strict=True)}
        values |= {s: frozen[:, i][None, :] for i, s in enumerate(self.reduced.frozen)}
        values |= {s: b.points[:, i][:, None] for i, s in enumerate(self.reduced.coordinates[:-1])}
        found = evaluate_all(list(wanted), values, self.executor.algebra)
        return [np.ascontiguousarray(np.broadcast_to(v, (b.size, len(w)))) for v in found]

    def part(self, w: Array, frozen: Array, start: Array, change: Array | None, rows: Array, squares: Array) -> Array:
        """The new weights of some neurons; adds what they measure to `rows` and `squares`."""
        blocks = self.executor.samples.blocks
        z = self.vectors @ w[:, self.columns].T
        before = [
            self._evaluated(b, (*e.features, *e.slopes, *e.others), z, w, frozen)
            for b, e in zip(blocks, self.expressions, strict=True)
        ]
        steep = self._steepest(before, z, w)
        moved = -self.eta * steep if change is None else change
        new = w + moved
        along = self.vectors @ moved[:, self.columns].T
        z = self.vectors @ new[:, self.columns].T
        most = self.sizes @ np.abs(new[:, self.columns]).T
        directions = self._directions(w, moved)
        q = len(directions)
        for b, e, old in zip(blocks, self.expressions, before, strict=True):
            count = len(e.features)
            after = self._evaluated(b, e.features, z, new, frozen)
            bounds = self._evaluated(b, e.majorants, most, new, frozen)
            for k in range(count):
                line = old[count + k] * along[b.rows]
                for direction, derivative in zip(directions, old[2 * count + k * q :][:q], strict=True):
                    line += derivative * direction
                missed = (after[k] - old[k]) - line
                for kind, array in enumerate((after[k], bounds[k], line, missed)):
                    rows[kind, k, b.rows] = array.sum(axis=1)
        for index, places in enumerate(self.executor.neuron.groups.values()):
            every = slice(None) if len(places) == new.shape[1] else list(places)
            parts = (a[:, every] for a in (new - start, new, steep, moved))
            drift, norm, gradient, length = (np.einsum("lk,lk->l", a, a) for a in parts)
            squares[index] = drift.max(), drift.sum(), norm.max(), gradient.max(), length.sum()
        return new

    def _directions(self, w: Array, moved: Array) -> list[Array]:
        """How far what features hold besides the form moves with the weights, to first order."""
        found, own, shared = self.executor.reduction, w[:, self.columns], moved[:, self.columns]
        result = [moved[:, i] for i in self.others] + [shared[:, k] for k in found.own]
        if found.squared:
            places = list(found.squared)
            result.append(2 * np.einsum("lk,lk->l", own[:, places], shared[:, places]))
        return result

    def _steepest(self, before: list[list[Array]], z: Array, w: Array) -> Array:
        """J^T r of these neurons, (c, p)."""
        shared, found = np.empty_like(z), self.executor.reduction
        result = np.zeros((z.shape[1], len(self.executor.neuron.weights)))
        q = len(self.reduced.weights) - 1
        outside = np.zeros((q, len(result)))
        for b, e, old in zip(self.executor.samples.blocks, self.expressions, before, strict=True):
            count, cotangents = len(e.features), self.cotangents[:, b.rows]
            shared[b.rows] = sum(c[:, None] * s for c, s in zip(cotangents, old[count : 2 * count], strict=False))
            for k in range(count):
                for i, derivative in enumerate(old[2 * count + k * q :][:q]):
                    outside[i] += cotangents[k] @ derivative
        grouped, count = shared.T @ self.vectors, len(self.others)
        for k, place in enumerate(found.own):
            grouped[:, place] += outside[count + k]
        if found.squared:
            places = list(found.squared)
            grouped[:, places] += 2 * outside[-1][:, None] * w[:, self.columns][:, places]
        result[:, self.columns] = grouped
        result[:, self.others] = outside[:count].T
        return result
