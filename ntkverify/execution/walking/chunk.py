"""What a chunk of neurons contributes at its weights, in any arithmetic.

Arrays over neurons and samples are (n_b, c), neurons last, so that NumPy adds them pairwise.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ntkverify.execution.walking.array import WalkingExecutor


class Chunk:
    """Some neurons at weights that nobody changes; what they contribute is evaluated once, when it is asked for.

    Parameters
    ----------
    executor : WalkingExecutor
        The problem.
    weights, frozen : arrays, shape (c, p) and (c, q)
    """

    def __init__(self, executor: WalkingExecutor, weights: Any, frozen: Any) -> None:
        self.executor, self.samples, self.weights, self.frozen = executor, executor.samples, weights, frozen
        neuron = executor.neuron
        values = {s: weights[:, i][None, :] for i, s in enumerate(neuron.weights)}
        values |= {s: frozen[:, i][None, :] for i, s in enumerate(neuron.frozen)}
        self._values = [values | known for known in executor.coordinates]
        self._at = [formulas.at(v) for formulas, v in zip(executor.formulas, self._values, strict=True)]
        self._steep: tuple[list[Any], Any] | None = None

    def _full(self, found: Iterable[list[Any]]) -> list[list[Any]]:
        count, full = self.weights.shape[0], self.executor._full
        return [[full(v, (b.size, count)) for v in vs] for b, vs in zip(self.samples.blocks, found, strict=True)]

    @functools.cached_property
    def features(self) -> list[list[Any]]:
        """Per block, the features."""
        return self._full(at.of(0) for at in self._at)

    @functools.cached_property
    def majorants(self) -> list[list[Any]]:
        """Per block and feature, what its rounding error is relative to."""
        found = (f.at(v).of(0) for f, v in zip(self.executor.bounds, self._values, strict=True))
        return self._full(found)

    @functools.cached_property
    def gradients(self) -> list[list[list[Any]]]:
        """Per block, feature and weight, the derivative."""
        p = self.weights.shape[1]
        flat = self._full(at.of(1) for at in self._at)
        return [[vs[k : k + p] for k in range(0, len(vs), p)] for vs in flat]

    def steepest(self, cotangents: Sequence[Sequence[Any]]) -> Any:
        """What cotangents of the sums, (n_b,) each, are as a vector of weights, (c, p)."""
        executor, columns = self.executor, []
        for i in range(self.weights.shape[1]):
            terms = (
                executor._sum(ds[i] * c[:, None], 0)
                for block, cs in zip(self.gradients, cotangents, strict=True)
                for ds, c in zip(block, cs, strict=True)
            )
            columns.append(total(terms))
        return executor._stack(columns, 1)

    def steepest_again(self, cotangents: Sequence[Sequence[Any]]) -> Any:
        """The same, found once for those who ask with equal cotangents one after the other; nobody changes either."""
        flat, known = [c for cs in cotangents for c in cs], self._steep
        if known is None or not all(map(same, known[0], flat)):
            self._steep = known = flat, self.steepest(cotangents)
        return known[1]

    def weighted(self, slopes: Sequence[Sequence[Any]], i: int) -> list[Any]:
        """Per block, the residuals' derivatives in the i-th weight, without the root of the width."""
        return [
            total(ds[i] * _column(slope) for ds, slope in zip(block, ks, strict=True))
            for block, ks in zip(self.gradients, slopes, strict=True)
        ]

    def gram(self, slopes: Sequence[Sequence[Any]]) -> Any:
        """Sum over these neurons of the products of their residuals' gradients, (N, N)."""
        executor = self.executor
        return total(
            executor.outer(executor.concatenate(self.weighted(slopes, i))) for i in range(self.weights.shape[1])
        )


def same(one: Any, other: Any) -> bool:
    """Whether NumPy arrays are of one type and have equal entries."""
    return one is other or (one.dtype == other.dtype and np.array_equal(one, other))


def total(terms: Any) -> Any:
    """The terms added up one after the other, in any arithmetic."""
    result = None
    for term in terms:
        result = term if result is None else result + term
    return result


def _column(slope: Any) -> Any:
    """A slope that broadcasts against (n_b, c): one number a block, or one a sample."""
    return slope[:, None] if getattr(slope, "ndim", 0) else slope
