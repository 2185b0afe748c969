"""The reference of measured steps: by chunks of neurons, over arrays of any namespace and over balls.

Arrays over neurons and samples are (n_b, c), neurons last, so that NumPy adds them pairwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ntkverify.arithmetic.evaluator import evaluate_all
from ntkverify.execution.rounding import CHUNK
from ntkverify.execution.samples import BlockSamples, check_weights
from ntkverify.execution.step import MeasuredStep, Move, Step, finished
from ntkverify.symbolic.expression.majorant import majorant, roundings

if TYPE_CHECKING:
    from ntkverify.execution.walking.array import WalkingExecutor

#: numbers that the arrays of one chunk hold, at most: they are to stay near the processor
CHUNK_NUMBERS = 1 << 22


@dataclass
class Part:
    """What one chunk of neurons adds; arrays over features and samples, one a block."""

    sums: list[Any]
    majorants: list[Any]
    linear: list[Any]
    remainders: list[Any]
    gram: Any
    squares: dict[str, tuple[Any, Any, Any, Any, Any]]


def measured_step(executor: WalkingExecutor, step: Step) -> MeasuredStep:
    """`Executor.measured_step` by walking the neuron's expressions."""
    weights, frozen = check_weights(executor.neuron, step.weights, step.frozen)
    forward, start, change = step.forward, step.start, step.change
    m = weights.shape[0]
    slopes = executor.slopes(forward)
    cotangents = [
        [slope * executor._inverse_root(m) * forward.residuals[b.rows] for slope in ks]
        for b, ks in zip(executor.samples.blocks, slopes, strict=True)
    ]
    walk = _Walk(executor, slopes, cotangents, step.eta, with_gram=step.gram)
    chunks = [slice(lo, min(lo + walk.chunk, m)) for lo in range(0, m, walk.chunk)]

    def part(rows: slice) -> Part:
        return walk.part(weights, frozen, start, change, rows)

    root = executor._inverse_root(m)
    total: Part | None = None
    for found in executor._in_order(part, chunks):
        total = found if total is None else walk.added(total, found)
    assert total is not None
    moves = {name: move_of(executor, found, m) for name, found in total.squares.items()}
    return finished(
        executor,
        step,
        [array * root for array in total.sums],
        [array * root for array in total.majorants],
        [array * root for array in total.linear],
        [array * root for array in total.remainders],
        moves=moves,
        gram=total.gram * root * root if step.gram else None,
        roundings=None if executor.is_exact else walk.roundings + executor._sum_roundings(m, walk.chunk),
    )


def move_of(executor: WalkingExecutor, squared: tuple[Any, ...], m: int) -> Move:
    """The move of m neurons from what `squares` found."""
    drift, drift_sum, norm, gradient, length = squared
    root = executor._square_root
    return Move(root(drift), root(drift_sum * executor._inverse_root(m) ** 2), root(norm), root(gradient), root(length))


def squares(
    executor: WalkingExecutor, places: tuple[int, ...], moved: Any, new: Any, steep: Any, change: Any
) -> tuple[Any, Any, Any, Any, Any]:
    """Largest and total squared drift, largest squared norm and gradient, total squared change of some neurons."""
    lengths = [_total(array[:, i] * array[:, i] for i in places) for array in (moved, new, steep, change)]
    drift, norm, gradient, length = lengths
    most, total = executor._largest, executor._total
    return most(drift), total(drift), most(norm), most(gradient), total(length)


class _Walk:
    """One step's walk: what it needs of every chunk."""

    def __init__(
        self,
        executor: WalkingExecutor,
        slopes: Sequence[Sequence[Any]],
        cotangents: Sequence[Sequence[Any]],
        eta: Any,
        *,
        with_gram: bool,
    ) -> None:
        self.executor, self.slopes, self.cotangents, self.eta = executor, slopes, cotangents, eta
        self.with_gram = with_gram
        neuron = executor.neuron
        blocks, given = [b.block for b in executor.samples.blocks], frozenset(neuron.coordinates)
        self._both = [[*b.features, *(g for gs in neuron.gradients[b.name] for g in gs)] for b in blocks]
        self._after = [
            [*b.features, *(() if executor.is_exact else (majorant(f, given) for f in b.features))] for b in blocks
        ]
        self.chunk = max(1, min(CHUNK, CHUNK_NUMBERS // (executor.samples.total * (len(neuron.weights) + 2))))

    @property
    def roundings(self) -> int:
        """Most roundings within one neuron's features."""
        given = frozenset(self.executor.neuron.coordinates)
        return max(roundings(f, given) for b in self.executor.samples.blocks for f in b.block.features)

    def _values(self, b: BlockSamples, weights: Any, frozen: Any) -> dict[Any, Any]:
        neuron = self.executor.neuron
        values = {s: weights[:, i][None, :] for i, s in enumerate(neuron.weights)}
        values |= {s: frozen[:, i][None, :] for i, s in enumerate(neuron.frozen)}
        return values | {s: b.points[:, i][:, None] for i, s in enumerate(neuron.coordinates)}

    def _evaluated(self, expressions: list[list[Any]], weights: Any, frozen: Any) -> Iterator[list[Any]]:
        for b, wanted in zip(self.executor.samples.blocks, expressions, strict=True):
            found = evaluate_all(wanted, self._values(b, weights, frozen), self.executor.algebra)
            yield [self.executor._full(v, (b.size, weights.shape[0])) for v in found]

    def part(self, weights: Any, frozen: Any, start: Any, change: Any, rows: slice) -> Part:
        """Move one chunk of neurons and measure it."""
        executor, p = self.executor, len(self.executor.neuron.weights)
        old, fixed = weights[rows, :], frozen[rows, :]
        before, gradients = [], []
        for b, found in zip(executor.samples.blocks, self._evaluated(self._both, old, fixed), strict=True):
            k = len(b.block.features)
            before.append(found[:k])
            gradients.append([found[k + j * p : k + (j + 1) * p] for j in range(k)])
        steep = self._steepest(gradients)
        moved = -self.eta * steep if change is None else change[rows, :]
        new = old + moved
        after = list(self._evaluated(self._after, new, fixed))
        kept: tuple[list[Any], ...] = ([], [], [], [])
        for first, features, gradient in zip(before, after, gradients, strict=True):
            k = len(first)
            along = [_total(g * moved[:, i][None, :] for i, g in enumerate(ds)) for ds in gradient]
            missed = [a - f - s for a, f, s in zip(features[:k], first, along, strict=True)]
            for rows_of, arrays in zip(kept, (features[:k], features[k:], along, missed), strict=True):
                if arrays:
                    rows_of.append(executor._stack([executor._sum(array, 1) for array in arrays], 0))
        gram = self._gram(gradients) if self.with_gram else None
        moved_by = {
            name: squares(executor, places, new - start[rows, :], new, steep, moved)
            for name, places in executor.neuron.groups.items()
        }
        weights[rows, :] = new
        sums, majorants, linear, remainders = kept
        return Part(sums, majorants, linear, remainders, gram, moved_by)

    def _steepest(self, gradients: list[list[list[Any]]]) -> Any:
        """J^T r of these neurons, (c, p)."""
        executor, columns = self.executor, []
        for i in range(len(executor.neuron.weights)):
            terms = (
                executor._sum(ds[i] * c[:, None], 0)
                for block, cs in zip(gradients, self.cotangents, strict=True)
                for ds, c in zip(block, cs, strict=True)
            )
            columns.append(_total(terms))
        return executor._stack(columns, 1)

    def _gram(self, gradients: list[list[list[Any]]]) -> Any:
        """Sum over these neurons of the products of their residuals' gradients, (N, N)."""
        executor, result = self.executor, None
        for i in range(len(executor.neuron.weights)):
            rows = executor.concatenate(
                [
                    _total(ds[i] * _column(slope) for ds, slope in zip(block, ks, strict=True))
                    for block, ks in zip(gradients, self.slopes, strict=True)
                ]
            )
            product = executor.outer(rows)
            result = product if result is None else result + product
        return result

    def added(self, one: Part, other: Part) -> Part:
        """Two parts as one; sums over chunks are added in the order of the chunks."""
        larger = self.executor.larger
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
        gram = one.gram + other.gram if self.with_gram else None
        return Part(**summed, gram=gram, squares=moved_by)


def _total(terms: Any) -> Any:
    """The terms added up one after the other, in any arithmetic."""
    result = None
    for term in terms:
        result = term if result is None else result + term
    return result


def _column(slope: Any) -> Any:
    """A slope that broadcasts against (n_b, c): one number a block, or one a sample."""
    return slope[:, None] if getattr(slope, "ndim", 0) else slope
