"""Neurons that are products, evaluated factor by factor over arrays of any namespace.

At all pairs of n_1 functions and n_2 queries a neuron's features are the outer product of a branch (n_1 values, from p
units of q weights) and a trunk (n_2 values, d weights). A sweep takes m (n_1 p q + n_2 d + n_1 n_2) operations, and
chunks of neurons bound its memory. Arrays over a chunk have the neurons first.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, cast

import numpy as np

from ntkverify.arithmetic.evaluator import evaluate_all
from ntkverify.execution.product_samples import ProductSamples, refuse_other_pairs
from ntkverify.execution.samples import Forward, Samples, check_weights
from ntkverify.execution.step import MeasuredStep, Move, Step, finished
from ntkverify.execution.walking.array import ArrayExecutor
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.expression.majorant import majorant, roundings

#: numbers that the arrays of one chunk hold, at most
CHUNK_NUMBERS = 1 << 20
#: a chunk of fewer numbers is done before a thread is there to take it
SHARED_NUMBERS = 1 << 17
#: neurons of a chunk, at most: BLAS adds them in an order of its own, of which a bound of the rounding takes the worst
MOST_NEURONS = 2048


@dataclasses.dataclass
class Factors:
    """Both factors of a chunk of c neurons: their values, and what their gradients are made of.

    Parameters
    ----------
    branch : array, shape (c, n_1)
    slopes : array, shape (c, p, n_1)
        Derivative of every unit's activation.
    trunk : list of arrays, shape (c, n_b)
        One a block.
    gradients : list of lists of arrays, shape (c, n_b)
        Per block and trunk weight.
    """

    branch: Any
    slopes: Any
    trunk: list[Any]
    gradients: list[list[Any]]


class FactoredExecutor(ArrayExecutor):
    """Executor of a `ProductSamples` problem.

    Parameters
    ----------
    samples : ProductSamples
    xp : module
        The array-API namespace.
    """

    samples: ProductSamples

    def __init__(self, samples: ProductSamples, xp: Any = np) -> None:
        super().__init__(samples, xp)
        # the base keeps the unrolled samples' arrays; the factors are moved here
        self.samples = dataclasses.replace(samples, blocks=self.samples.blocks)
        self.product = samples.product
        self._u = self.copy(samples.functions)
        self._y = [self.copy(samples.queries[b.block.name]) for b in samples.blocks]
        self._given = frozenset(self.product.trunk.coordinates)
        self._trunks = [b.features[0] for b in self.product.trunk.blocks]
        gradients = self.product.trunk.gradients
        self._trunk_gradients = [list(gradients[b.name][0]) for b in self.product.trunk.blocks]
        self._inner = 1 / math.sqrt(self.product.units)
        self._split = len(self.product.trunk.weights)

    def _rebuilt(self, samples: Any) -> ArrayExecutor:
        if isinstance(samples, ProductSamples):
            return type(self)(samples, self.xp)
        return ArrayExecutor(samples, self.xp)

    def with_samples(self, samples: Samples) -> Self:
        """The same executor for other targets, or for other samples of the same product."""
        if isinstance(samples, ProductSamples):
            return cast("Self", self._rebuilt(samples))
        refuse_other_pairs(samples, self.samples, lambda x, y: self._largest(self.xp.abs(self.xp.asarray(x) - y)) == 0)
        other = super().with_samples(samples)
        other.samples = dataclasses.replace(self.samples, blocks=other.samples.blocks)
        return other

    # -- one chunk ----------------------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> int:
        """How many numbers one neuron takes."""
        n_1, p = self._u.shape[0], self.product.units
        others = sum(y.shape[0] for y in self._y) * (self._split + 2)
        return int(n_1 * (2 * p + 2) + p * self.product.sensors + others)

    @property
    def _chunk(self) -> int:
        return max(1, min(MOST_NEURONS, CHUNK_NUMBERS // self._numbers))

    def _in_order(self, work: Callable[[slice], Any], chunks: list[slice]) -> Iterator[Any]:
        if self._chunk * self._numbers < SHARED_NUMBERS:
            return map(work, chunks)
        return super()._in_order(work, chunks)

    def _chunks(self, m: int) -> list[slice]:
        return [slice(lo, min(lo + self._chunk, m)) for lo in range(0, m, self._chunk)]

    def _units(self, weights: Any) -> Any:
        """The weights v_rk, (c, p, q)."""
        return self.xp.reshape(weights[:, self._split :], (weights.shape[0], self.product.units, self.product.sensors))

    def _arguments(self, units: Any, functions: Any) -> Any:
        """v_rk . u_i, (c, p, n_1)."""
        c, p, q = units.shape
        flat = self.xp.reshape(units, (c * p, q)) @ self.xp.permute_dims(functions, (1, 0))
        return self.xp.reshape(flat, (c, p, functions.shape[0]))

    def _branch(self, weights: Any, signs: Any) -> tuple[Any, Any]:
        arguments = self._arguments(self._units(weights), self._u)
        values, slopes = evaluate_all([self.product.unit, self.product.slope], {Z: arguments}, self.algebra)
        branch = self._over_units(signs, values)
        return branch, self.xp.broadcast_to(slopes, arguments.shape)

    def _over_units(self, signs: Any, values: Any) -> Any:
        """p^-1/2 sum_k s_rk values_rki, (c, n_1); NumPy sums few numbers faster as a product than by `sum`."""
        return (signs[:, None, :] @ values)[:, 0, :] * self._inner

    def _trunk(self, weights: Any, expressions: Sequence[Any], y: Any) -> list[Any]:
        """Trunk expressions at a block's queries, each (c, n_b)."""
        trunk = self.product.trunk
        values = {s: weights[:, i][:, None] for i, s in enumerate(trunk.weights)}
        values |= {s: y[:, i][None, :] for i, s in enumerate(trunk.coordinates)}
        shape = (weights.shape[0], y.shape[0])
        return [self.xp.broadcast_to(v, shape) for v in evaluate_all(list(expressions), values, self.algebra)]

    def _factors(self, weights: Any, signs: Any) -> Factors:
        branch, slopes = self._branch(weights, signs)
        trunk, gradients = [], []
        for value, ds, y in zip(self._trunks, self._trunk_gradients, self._y, strict=True):
            first, *rest = self._trunk(weights, [value, *ds], y)
            trunk.append(first)
            gradients.append(rest)
        return Factors(branch, slopes, trunk, gradients)

    def _transposed(self, matrix: Any) -> Any:
        return self.xp.permute_dims(matrix, (1, 0))

    def _cotangent_tables(self, forward: Forward, vector: Any, m: int) -> list[Any]:
        """Per block, what multiplies a neuron's features at each pair, (n_1, n_b)."""
        root = self._inverse_root(m)
        return [
            self.xp.reshape(slope * root * vector[b.rows], (self._u.shape[0], y.shape[0]))
            for b, (slope,), y in zip(self.samples.blocks, self.slopes(forward), self._y, strict=True)
        ]

    def _steep(self, f: Factors, signs: Any, tables: list[Any]) -> tuple[Any, Any]:
        """J^T vector of a chunk: of the trunk (c, d), and the branch's derivative (c, n_1) that its units share."""
        columns = []
        branch = None
        for t, ds, table in zip(f.trunk, f.gradients, tables, strict=True):
            along = f.branch @ table  # (c, n_b)
            columns.append([self.xp.sum(g * along, axis=1) for g in ds])
            part = t @ self._transposed(table)
            branch = part if branch is None else branch + part
        summed = columns[0]
        for other in columns[1:]:
            summed = [a + b for a, b in zip(summed, other, strict=True)]
        return self.xp.stack(summed, axis=1), branch

    def _unit_gradient(self, slopes: Any, signs: Any, along: Any) -> Any:
        """(c, p q) from the derivative (c, n_1) that all units of a branch share."""
        c, p, n_1 = slopes.shape
        weighted = (signs * self._inner)[:, :, None] * slopes * along[:, None, :]
        return self.xp.reshape(self.xp.reshape(weighted, (c * p, n_1)) @ self._u, (c, p * self.product.sensors))

    def _gradient_of(self, weights: Any, signs: Any, tables: list[Any]) -> Any:
        f = self._factors(weights, signs)
        trunk, along = self._steep(f, signs, tables)
        return self.xp.concat([trunk, self._unit_gradient(f.slopes, signs, along)], axis=1)

    # -- the interface ------------------------------------------------------------------------------------------------

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))

        def part(rows: slice) -> list[Any]:
            f = self._factors(weights[rows, :], frozen[rows, :])
            return [self._transposed(f.branch) @ t for t in f.trunk]

        total = self._added(self._in_order(part, self._chunks(weights.shape[0])))
        return self._residuals_of(self._sums(total, weights.shape[0]))

    def _added(self, parts: Any) -> list[Any]:
        total: list[Any] | None = None
        for found in parts:
            total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
        assert total is not None
        return total

    def _sums(self, tables: list[Any], m: int) -> tuple[Any, ...]:
        return tuple(self.xp.reshape(table, (1, -1)) * self._inverse_root(m) for table in tables)

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        self._check_vector(vector)
        tables = self._cotangent_tables(forward, vector, weights.shape[0])

        def part(rows: slice) -> Any:
            return self._gradient_of(weights[rows, :], frozen[rows, :], tables)

        return self.xp.concat(list(self._in_order(part, self._chunks(weights.shape[0]))), axis=0)

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        f = self._factors(weights, frozen)
        xp, (m, size), root = self.xp, weights.shape, self._inverse_root(weights.shape[0])
        n_1 = self._u.shape[0]
        units = (frozen * self._inner)[:, :, None] * f.slopes  # (m, p, n_1)
        own = xp.permute_dims(units, (2, 0, 1))[:, :, :, None] * self._u[:, None, None, :]
        own = xp.reshape(own, (n_1, 1, m, size - self._split))
        rows = []
        for b, t, ds in zip(self.samples.blocks, f.trunk, f.gradients, strict=True):
            trunk = xp.permute_dims(xp.stack(ds, axis=2), (1, 0, 2))[None, :, :, :]
            first = self._transposed(f.branch)[:, None, :, None] * trunk
            second = self._transposed(t)[None, :, :, None] * own
            both = xp.concat([first, second], axis=3) * (root * b.scale)
            rows.append(xp.reshape(both, (n_1 * t.shape[1], m * size)))
        return xp.concat(rows, axis=0)

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        one, other = self.group_grams(weights, frozen).values()
        return one + other

    def group_gram(self, weights: Any, frozen: Any, group: str) -> Any:
        return self._group_grams(weights, frozen, [group])[group]

    def group_grams(self, weights: Any, frozen: Any) -> dict[str, Any]:
        return self._group_grams(weights, frozen, list(self.neuron.groups))

    def _group_grams(self, weights: Any, frozen: Any, groups: list[str]) -> dict[str, Any]:
        """A neuron's part is a Kronecker product of n_1 by n_1 and n_2 by n_2: their sum is one matrix product."""
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        sizes = [y.shape[0] for y in self._y]
        n_1, n_2 = self._u.shape[0], sum(sizes)
        scales = [b.scale for b in self.samples.blocks for _ in range(b.size // n_1)]
        scale = self.xp.asarray(np.multiply.outer(scales, scales), dtype=self.xp.float64)
        step = max(1, min(self._chunk, CHUNK_NUMBERS // (n_1 * n_1 + n_2 * n_2)))

        def part(rows: slice) -> list[Any]:
            signs = frozen[rows, :]
            f = self._factors(weights[rows, :], signs)
            return [self._summed_products(*self._products(f, signs, group)) for group in groups]

        m = weights.shape[0]
        totals = self._added(self._in_order(part, [slice(lo, min(lo + step, m)) for lo in range(0, m, step)]))
        found = {}
        for group, total in zip(groups, totals, strict=True):
            table = self.xp.reshape(total, (n_1, n_1, n_2, n_2)) * scale * self._inverse_root(m) ** 2
            found[group] = self._ordered(table, sizes)
        return found

    def _products(self, f: Factors, signs: Any, group: str) -> tuple[Any, list[Any]]:
        """Per neuron an (n_1, n_1) matrix, and vectors (n_2,) whose outer products add up to the other factor."""
        if group == "trunk":
            columns = [self.xp.concat(list(parts), axis=1) for parts in zip(*f.gradients, strict=True)]
            return f.branch[:, :, None] * f.branch[:, None, :], columns
        units = (signs * self._inner)[:, :, None] * f.slopes
        inputs = self._u @ self._transposed(self._u)
        if self.product.units <= 2:
            outer = units[:, :, :, None] * units[:, :, None, :]
            squares = outer[:, 0] if self.product.units == 1 else outer[:, 0] + outer[:, 1]
        else:
            squares = self.xp.permute_dims(units, (0, 2, 1)) @ units
        return squares * inputs, [self.xp.concat(f.trunk, axis=1)]

    def _summed_products(self, left: Any, columns: list[Any]) -> Any:
        right = None
        for x in columns:
            product = x[:, :, None] * x[:, None, :]
            right = product if right is None else right + product
        count = left.shape[0]
        return self._transposed(self.xp.reshape(left, (count, -1))) @ self.xp.reshape(right, (count, -1))

    def _ordered(self, table: Any, sizes: list[int]) -> Any:
        """(n_1, n_1, n_2, n_2) as the matrix of all pairs, block by block."""
        ends = np.cumsum([0, *sizes])
        cuts = [slice(int(lo), int(hi)) for lo, hi in itertools.pairwise(ends)]
        n_1 = self._u.shape[0]
        rows = []
        for a in cuts:
            parts = [self.xp.permute_dims(table[:, :, a, b], (0, 2, 1, 3)) for b in cuts]
            flat = [self.xp.reshape(x, (n_1 * x.shape[1], n_1 * x.shape[3])) for x in parts]
            rows.append(self.xp.concat(flat, axis=1))
        return self.xp.concat(rows, axis=0)

    # -- the measured step --------------------------------------------------------------------------------------------

    def _measured(self, step: Step) -> MeasuredStep:
        weights, frozen = check_weights(self.neuron, step.weights, self._frozen(step.weights, step.frozen))
        m, forward, change = weights.shape[0], step.forward, step.change
        tables = self._cotangent_tables(forward, forward.residuals, m)
        matrix = self.gram(weights, frozen) if step.gram else None
        groups = list(self.neuron.groups)
        chunks = self._chunks(m)

        def part(rows: slice) -> tuple[list[Any], Any]:
            old, signs = weights[rows, :], frozen[rows, :]
            before = self._factors(old, signs)
            trunk, along = self._steep(before, signs, tables)
            steep = self.xp.concat([trunk, self._unit_gradient(before.slopes, signs, along)], axis=1)
            moved = -step.eta * steep if change is None else change[rows, :]
            new = old + moved
            found = self._seen(before, self._factors(new, signs), moved, new, signs)
            squares = [
                self._group_squares(self.neuron.groups[g], new - step.start[rows, :], new, steep, moved) for g in groups
            ]
            weights[rows, :] = new
            return found, squares

        added: list[Any] | None = None
        squares: list[Any] = []
        for found, own in self._in_order(part, chunks):
            added = found if added is None else [a + b for a, b in zip(added, found, strict=True)]
            squares.append(own)
        assert added is not None
        count = len(self._y)
        sums, majorants, linear, missed = (
            list(self._sums(added[kind * count : (kind + 1) * count], m)) for kind in range(4)
        )
        moves = {}
        for i, name in enumerate(groups):
            most = [max(own[i][j] for own in squares) for j in (0, 2, 3)]
            drift_sum, length = (math.fsum(own[i][j] for own in squares) for j in (1, 4))
            drift, norm, gradient = map(math.sqrt, most)
            moves[name] = Move(drift, math.sqrt(drift_sum / m), norm, gradient, math.sqrt(length))
        return finished(
            self, step, sums, majorants, linear, missed, moves=moves, gram=matrix, roundings=self._roundings(m)
        )

    def _roundings(self, m: int) -> int:
        """Most roundings of a product of both factors on its way into the sums, dot products in whatever order."""
        unit = roundings(self.product.unit.subs(Z, sum(_symbols(self.product.sensors))))
        own = self.product.sensors + unit + self.product.units + 4
        return own + max(roundings(t, self._given) for t in self._trunks) + min(self._chunk, m) + len(self._chunks(m))

    def _seen(self, before: Factors, after: Factors, moved: Any, new: Any, signs: Any) -> list[Any]:
        """Sums over the chunk, one table (n_1, n_b) a block each: features, majorants, linear parts, what they miss."""
        units = self._arguments(self._units(moved), self._u)
        line = self._over_units(signs, before.slopes * units)  # (c, n_1)
        missed = after.branch - before.branch - line
        size = self._branch_majorant(new, signs)
        features, majorants, linear, rest = [], [], [], []
        for t, ds, after_t, value, y in zip(
            before.trunk, before.gradients, after.trunk, self._trunks, self._y, strict=True
        ):
            slope = None
            for i, g in enumerate(ds):
                term = g * moved[:, i][:, None]
                slope = term if slope is None else slope + term
            (bound,) = self._trunk(new, [majorant(value, self._given)], y)
            features.append(self._transposed(after.branch) @ after_t)
            majorants.append(self._transposed(size) @ bound)
            linear.append(self._transposed(before.branch) @ slope + self._transposed(line) @ t)
            # d(b s) = b ds + s db + db ds; what is left of each when the linear parts are taken off
            rest.append(
                self._transposed(before.branch) @ (after_t - t - slope)
                + self._transposed(missed) @ t
                + self._transposed(after.branch - before.branch) @ (after_t - t)
            )
        return [*features, *majorants, *linear, *rest]

    def _branch_majorant(self, weights: Any, signs: Any) -> Any:
        arguments = self._arguments(self.xp.abs(self._units(weights)), self.xp.abs(self._u))
        (size,) = evaluate_all([majorant(self.product.unit)], {Z: arguments}, self.algebra)
        return self._over_units(self.xp.abs(signs), size)

    def _group_squares(self, places: tuple[int, ...], moved: Any, new: Any, steep: Any, change: Any) -> list[float]:
        lengths, ones = [], self.xp.ones(len(places), dtype=self.xp.float64)
        for array in (moved, new, steep, change):
            part = array[:, places[0] : places[-1] + 1]
            lengths.append((part * part) @ ones)
        drift, norm, gradient, length = lengths
        most, total = self._largest, self._total
        return [most(drift), total(drift), most(norm), most(gradient), total(length)]


def _symbols(count: int) -> list[Any]:
    import sympy

    pairs = zip(sympy.symbols(f"v:{count}"), sympy.symbols(f"u:{count}"), strict=True)
    return [v * u for v, u in pairs]
