"""A step that measures itself: what lemmas about one step of training speak of, whatever the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ntkverify.arithmetic.evaluator import evaluate_all
from ntkverify.execution.samples import BlockSamples, Forward, residual_slopes
from ntkverify.symbolic.expression.majorant import majorant, relative_error
from ntkverify.symbolic.expression.majorant import roundings as count_roundings

if TYPE_CHECKING:
    from ntkverify.execution.base import Executor


@dataclass(frozen=True)
class Move:
    """How the weights of one group move in a step; of the executor's kind of number.

    Parameters
    ----------
    drift : scalar
        max_j |w_j - w_j(0)| after the step.
    drift_rms : scalar
        Root of the mean over neurons of |w_j - w_j(0)|^2 after the step.
    norm : scalar
        max_j |w_j| after the step.
    gradient : scalar
        max_j |(J^T vector)_j| before the step; with the residuals as vector the gradient of the loss.
    length : scalar
        Euclidean norm of the change of all weights of the group.
    """

    drift: Any
    drift_rms: Any
    norm: Any
    gradient: Any
    length: Any


@dataclass(frozen=True)
class Step:
    """What is asked of a measured step; see `Executor.measured_step`."""

    weights: Any
    frozen: Any
    forward: Forward
    eta: Any
    start: Any
    change: Any = None
    gram: bool = True
    #: makes a measured step of the sums over the neurons; see `finished`
    finish: Callable[..., Any] | None = None


@dataclass(frozen=True)
class MeasuredStep:
    """What one step of training leaves, and what its lemmas speak of; N residuals.

    Parameters
    ----------
    forward : Forward
        The pass at the new weights.
    errors : array, shape (N,)
        Bound of the rounding errors of the residuals there; zero in balls.
    linear : array, shape (N,)
        ``J change``, J at the old weights.
    remainders : array, shape (N,)
        ``r(new) - r(old) - J change``, summed neuron by neuron.
    moves : mapping from group to Move
        Per group of trained weights.
    gram : array, shape (N, N), or None
        ``J J^T`` at the old weights, if it was asked for.
    """

    forward: Forward
    errors: Any
    linear: Any
    remainders: Any
    moves: Mapping[str, Move]
    gram: Any = None


def finished(
    executor: Executor,
    step: Step,
    sums: Sequence[Any],
    majorants: Sequence[Any],
    linear: Sequence[Any],
    remainders: Sequence[Any],
    *,
    moves: Mapping[str, Move],
    gram: Any,
    roundings: int | None,
) -> MeasuredStep:
    """A measured step from sums over the neurons, per block arrays (K_b, n_b) that carry the factor m**-1/2.

    Parameters
    ----------
    executor : Executor
        The problem.
    step : Step
        What was asked for, with the pass at the old weights; its own `finish`, if it has one, is asked instead.
    sums, majorants : sequence of arrays
        Features at the new weights, and what their rounding errors are relative to; no majorants in balls.
    linear, remainders : sequence of arrays
        What the gradients say of the change of the sums, and what they miss.
    moves, gram
        As the step has them.
    roundings : int or None
        Most roundings that a neuron's feature meets on its way into the sums; None in balls.
    """
    if step.finish is not None:
        result: MeasuredStep = step.finish(sums, majorants, linear, remainders, moves, gram, roundings)
        return result
    before = step.forward
    after = executor._residuals_of(tuple(sums))
    slopes = executor.slopes(before)
    lines, missed, errors = [], [], []
    for index, b in enumerate(executor.samples.blocks):
        along, beyond = linear[index], remainders[index]
        line = _combined(slopes[index], along)
        rest = _combined(slopes[index], beyond)
        if not b.block.is_linear:
            # what the pointwise residual bends over the change of the sums
            moved = _combined(slopes[index], along + beyond)
            rest = rest + (after.residuals[b.rows] - before.residuals[b.rows] - moved)
        lines.append(line)
        missed.append(rest)
        if roundings is not None:
            errors.append(_rounding(executor, b, sums[index], majorants[index], roundings))
    residuals = after.residuals
    return MeasuredStep(
        forward=after,
        errors=residuals * 0 if roundings is None else executor.concatenate(errors),
        linear=executor.concatenate(lines),
        remainders=executor.concatenate(missed),
        moves=moves,
        gram=gram,
    )


def _combined(slopes: Sequence[Any], rows: Any) -> Any:
    """``sum_k slope_k row_k`` of an array (K, n_b)."""
    result = slopes[0] * rows[0, :]
    for k, slope in enumerate(slopes[1:], start=1):
        result = result + slope * rows[k, :]
    return result


def _rounding(executor: Executor, b: BlockSamples, sums: Any, majorants: Any, roundings: int) -> Any:
    """Bound (n_b,) of the rounding errors of a block's residuals.

    Of a linear block ``scale (sums - target)``: the square root of m, the division by it, the difference and the scale,
    itself a root, round besides. Elsewhere by the mean value theorem, ``|R(Phi + e) - R(Phi)| <= sum_k |R_k| e_k``, the
    slopes bounded by their majorants at |Phi| + e.
    """
    size, target = abs(b.scale), abs(b.targets)
    if b.block.is_linear:
        return size * relative_error(roundings + 5) * (majorants[0, :] + target)
    e = relative_error(roundings + 2) * majorants
    values, given = executor._values(b), frozenset(executor.neuron.coordinates)
    at = values | {s: abs(sums[k, :]) for k, s in enumerate(b.block.sums)}
    near = values | {s: abs(sums[k, :]) + e[k, :] for k, s in enumerate(b.block.sums)}
    own = relative_error(count_roundings(b.block.residual, given) + 3)
    (value,) = evaluate_all([majorant(b.block.residual, given)], at, executor.algebra)
    slopes = evaluate_all([majorant(s, given) for s in residual_slopes(b.block)], near, executor.algebra)
    return size * (own * (value + target) + _combined(slopes, e))
