"""The reference of measured steps: by chunks of neurons, over arrays of any namespace and over balls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ntkverify.execution.samples import check_weights
from ntkverify.execution.step import MeasuredStep, Move, Step, finished
from ntkverify.execution.walking.chunk import Chunk, total

if TYPE_CHECKING:
    from ntkverify.execution.walking.array import WalkingExecutor


@dataclass
class Part:
    """What one chunk of neurons adds; arrays over features and samples, one a block."""

    sums: list[Any]
    majorants: list[Any]
    linear: list[Any]
    remainders: list[Any]
    gram: Any
    squares: dict[str, tuple[Any, Any, Any, Any, Any]]
    #: where the neurons have come to, if they are the whole network
    after: Chunk | None


def measured_step(executor: WalkingExecutor, step: Step) -> MeasuredStep:
    """`Executor.measured_step` by walking the neuron's expressions."""
    weights, frozen = check_weights(executor.neuron, step.weights, step.frozen)
    m = weights.shape[0]
    slopes = executor.slopes(step.forward)
    cotangents = executor._cotangents(slopes, step.forward.residuals, m)
    chunks = executor._slices(m)
    keeps = step.finish is None and executor._keeps(m)
    if keeps:
        frozen = executor.copy(frozen)

    def part(rows: slice) -> Part:
        return _part(executor, step, weights, frozen, rows, slopes, cotangents)

    root = executor._inverse_root(m)
    whole: Part | None = None
    for found in executor._in_order(part, chunks):
        whole = found if whole is None else _added(executor, whole, found)
    assert whole is not None
    moves = {name: move_of(executor, found, m) for name, found in whole.squares.items()}
    result = finished(
        executor,
        step,
        [array * root for array in whole.sums],
        [array * root for array in whole.majorants],
        [array * root for array in whole.linear],
        [array * root for array in whole.remainders],
        moves=moves,
        gram=whole.gram * root * root if step.gram else None,
        roundings=None if executor.is_exact else executor._own_roundings + executor._sum_roundings(m, executor.at_once),
    )
    if keeps and whole.after is not None:
        executor._keep(whole.after, result.forward)
    return result


def move_of(executor: WalkingExecutor, squared: tuple[Any, ...], m: int) -> Move:
    """The move of m neurons from what `squares` found."""
    drift, drift_sum, norm, gradient, length = squared
    root = executor._square_root
    return Move(root(drift), root(drift_sum * executor._inverse_root(m) ** 2), root(norm), root(gradient), root(length))


def squares(
    executor: WalkingExecutor, places: tuple[int, ...], moved: Any, new: Any, steep: Any, change: Any
) -> tuple[Any, Any, Any, Any, Any]:
    """Largest and total squared drift, largest squared norm and gradient, total squared change of some neurons."""
    first, last = min(places), max(places) + 1
    lengths = []
    for array in (moved, new, steep, change):
        part = array if len(places) == array.shape[1] else array[:, first:last]
        square = part * part
        lengths.append(total(square[:, i - first] for i in places))
    drift, norm, gradient, length = lengths
    most, added = executor._largest, executor._total
    return most(drift), added(drift), most(norm), most(gradient), added(length)


def _part(
    executor: WalkingExecutor,
    step: Step,
    weights: Any,
    frozen: Any,
    rows: slice,
    slopes: Sequence[Sequence[Any]],
    cotangents: Sequence[Sequence[Any]],
) -> Part:
    """Move one chunk of neurons and measure it."""
    fixed, start = frozen[rows, :], step.start[rows, :]
    before = executor._neurons(weights[rows, :], fixed)
    steep = before.steepest_again(cotangents)
    still = step.change is None and not executor.is_exact and not step.eta
    moved = -step.eta * steep if step.change is None else step.change[rows, :]
    new = before.weights + moved
    after = executor._neurons(new, fixed) if still else Chunk(executor, new, fixed)
    kept: tuple[list[Any], ...] = ([], [], [], [])
    bounds = [()] * len(before.features) if executor.is_exact else after.majorants
    for first, features, sizes, gradient in zip(before.features, after.features, bounds, before.gradients, strict=True):
        along = [total(g * moved[:, i][None, :] for i, g in enumerate(ds)) for ds in gradient]
        missed = [a - f - s for a, f, s in zip(features, first, along, strict=True)]
        for rows_of, arrays in zip(kept, (features, sizes, along, missed), strict=True):
            if arrays:
                rows_of.append(executor._stack([executor._sum(array, 1) for array in arrays], 0))
    gram = before.gram(slopes) if step.gram else None
    moved_by = {
        name: squares(executor, places, new - start, new, steep, moved)
        for name, places in executor.neuron.groups.items()
    }
    weights[rows, :] = new
    sums, majorants, linear, remainders = kept
    whole = new.shape[0] == weights.shape[0]
    return Part(sums, majorants, linear, remainders, gram, moved_by, after if whole else None)


def _added(executor: WalkingExecutor, one: Part, other: Part) -> Part:
    """Two parts as one; sums over chunks are added in the order of the chunks."""
    larger = executor.larger
    moved_by = {}
    for name, a in one.squares.items():
        b = other.squares[name]
        moved_by[name] = (
            larger(a[0], b[0]), a[1] + b[1], larger(a[2], b[2]), larger(a[3], b[3]), a[4] + b[4]
        )  # fmt: skip
    summed: dict[str, list[Any]] = {
        name: [x + y for x, y in zip(getattr(one, name), getattr(other, name), strict=True)]
        for name in ("sums", "majorants", "linear", "remainders")
    }
    gram = None if one.gram is None else one.gram + other.gram
    return Part(**summed, gram=gram, squares=moved_by, after=None)
