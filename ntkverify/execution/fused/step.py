"""A measured step by the generated sweep of `ntkverify.execution.kernels.step_source`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.step_source import KINDS, SQUARES, step_source
from ntkverify.execution.machine.threads import share
from ntkverify.execution.step import MeasuredStep, Move, Step, finished

if TYPE_CHECKING:
    from ntkverify.execution.fused.cpu import CpuExecutor

_NOTHING = np.empty((0, 0))


def measured_step(executor: CpuExecutor, step: Step) -> MeasuredStep:
    """`Executor.measured_step` in one sweep; weights are checked.

    Raises
    ------
    NtkVerifyError
        If `start` or `change` has not the weights' shape.
    """
    weights, frozen, forward, change = step.weights, step.frozen, step.forward, step.change
    blocks, m, total = executor.samples.blocks, len(weights), executor.samples.total
    source = step_source(executor.neuron, tuple(b.size for b in blocks))
    module = load_generated(source.text)
    swept = step.gram and source.forms_gram
    matrix = executor.gram(weights, frozen) if step.gram and not swept else None
    root = 1 / np.sqrt(np.float64(m))
    widest = max(len(b.block.features) for b in blocks)
    slopes = np.zeros((widest, total))
    for b, parts in zip(blocks, executor.slopes(forward), strict=True):
        for k, slope in enumerate(parts):
            slopes[k, b.rows] = slope
    cotangents = slopes * root * forward.residuals
    starts = executor.chunks(m, source.lanes)
    count, groups = len(starts) - 1, executor.neuron.groups
    rows = np.zeros((count, KINDS, widest, total))
    grams = np.zeros((count, total, total) if source.forms_gram else (count, 0, 0))
    squares = np.zeros((count, len(groups), SQUARES))
    points = np.concatenate([b.points for b in blocks])
    sizes = np.array([b.size for b in blocks], dtype=np.int64)
    start = beside(weights, step.start, "start")
    moves = _NOTHING if change is None else beside(weights, change, "change")

    def work(i: int) -> None:
        module.measure(
            weights, start, frozen, moves, points, cotangents, slopes, sizes, float(step.eta), rows[i], grams[i],
            squares[i], change is not None, swept, starts[i], starts[i + 1],
        )  # fmt: skip

    share(work, count, executor.threads)
    summed = rows.sum(axis=0) * root
    parts = [[summed[kind, : len(b.block.features), b.rows] for b in blocks] for kind in range(KINDS)]
    if swept:
        lower = grams.sum(axis=0) * (root * root)
        matrix = lower + np.tril(lower, -1).T
    # a group's lanes are added up, its sum to the chunk's, and the chunks' in order
    largest = max(hi - lo for lo, hi in itertools.pairwise(starts))
    deep = source.lanes + -(-largest // source.lanes) + count
    return finished(
        executor,
        step,
        *parts,
        moves=moves_of(groups, squares, m),
        gram=matrix,
        roundings=source.roundings + deep,
    )


def moves_of(groups: Iterable[str], squares: Array, m: int) -> dict[str, Move]:
    """The moves of all groups from the chunks' squares, (chunks, groups, `SQUARES`)."""
    most, added = squares.max(axis=0), squares.sum(axis=0)
    return {
        name: Move(
            drift=float(np.sqrt(most[i, 0])),
            drift_rms=float(np.sqrt(added[i, 1] / m)),
            norm=float(np.sqrt(most[i, 2])),
            gradient=float(np.sqrt(most[i, 3])),
            length=float(np.sqrt(added[i, 4])),
        )
        for i, name in enumerate(groups)
    }


def same_shape(weights: Any, array: Any, name: str) -> None:
    """Refuse an array that lies beside the weights in compiled code, which checks no bounds, and is shorter.

    Raises
    ------
    NtkVerifyError
        If it has not their shape.
    """
    if array.shape != weights.shape:
        raise NtkVerifyError(f"{name} must have the shape of the weights, {weights.shape}, not {array.shape}")


def beside(weights: Array, array: Array, name: str) -> Array:
    """An array as compiled code reads it beside the weights."""
    same_shape(weights, array, name)
    return np.ascontiguousarray(array, dtype=np.float64)
