"""A measured step by the generated kernel of `ntkverify.execution.kernels.cuda.step`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntkverify.execution.fused.step import same_shape
from ntkverify.execution.kernels.cuda.sweep import THREADS, WARP
from ntkverify.execution.kernels.step_source import KINDS
from ntkverify.execution.step import MeasuredStep, Step, finished
from ntkverify.execution.walking.step import move_of, squares

if TYPE_CHECKING:
    from ntkverify.execution.fused.gpu import GpuExecutor


def measured_step(executor: GpuExecutor, step: Step) -> MeasuredStep:
    """`Executor.measured_step` in one kernel; weights are checked.

    Raises
    ------
    NtkVerifyError
        If `start` or `change` has not the weights' shape, or the device has no memory for a step.
    """
    weights, frozen, forward, change = step.weights, step.frozen, step.forward, step.change
    xp, neuron, blocks, m = executor.xp, executor.neuron, executor.samples.blocks, len(weights)
    same_shape(weights, step.start, "start")
    matrix = executor.gram(weights, frozen) if step.gram else None
    cotangents = executor.cotangents(forward, forward.residuals, m)
    gradient = xp.empty(weights.shape)
    if change is not None:
        same_shape(weights, change, "change")
        change = executor.contiguous(change)
    partial = executor.partial(-(-m // THREADS), executor.samples.total, KINDS)
    executor.measure(weights, frozen, change, cotangents, float(step.eta), gradient, partial)
    # first within groups of blocks of threads, then the groups
    groups, each = partial.shape[:2]
    widest = partial.shape[2] // KINDS
    summed = partial.sum(axis=1).sum(axis=0) * executor._inverse_root(m)
    parts = [
        [summed[kind * widest : kind * widest + len(b.block.features), b.rows] for b in blocks] for kind in range(KINDS)
    ]
    moved = -float(step.eta) * gradient if change is None else change
    moves = {
        name: move_of(executor, squares(executor, places, weights - step.start, weights, gradient, moved), m)
        for name, places in neuron.groups.items()
    }
    # within a warp by halves, over its block's warps, over a group's blocks, over the groups
    deep = WARP.bit_length() - 1 + THREADS // WARP + each + groups
    return finished(
        executor,
        step,
        *parts,
        moves=moves,
        gram=matrix,
        roundings=executor.step_source.roundings + deep,
    )
