"""Both limit kernels of ReLU at unit vectors, and what their inner products say of the least eigenvalues."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ntkverify.problems.neural_operator.run import OperatorRun
from ntkverify.symbolic.limit.angles import KERNELS, angle_bounds, coefficients, termwise

_PLACE = {(0, False): 2, (1, False): 0, (0, True): 1, (1, True): 3}  # among the factors of both limits


class AnglesRun(OperatorRun):
    """K_0, of the gradients, and K_1, of the outputs, at the functions and at the queries; no network is drawn.

    What takes a `kernel` takes 0 or 1, and is of the functions unless ``queries=True``.
    """

    @property
    def pi(self) -> Any:
        """In the arithmetic of the run."""
        return 4 * np.arctan(self.number(1.0))

    @property
    def inner(self) -> Any:
        """x_i . x_j of the functions."""
        return self.functions @ self.functions.T

    def matrix(self, kernel: int, *, queries: bool = False) -> Any:
        """The kernel at all pairs."""
        return self.limit_factors.matrices[_PLACE[kernel, queries]]

    def least(self, kernel: int, *, queries: bool = False) -> Any:
        """Its least eigenvalue."""
        return self.limit_factors.spectra[_PLACE[kernel, queries]][0]

    def moduli(self, *, queries: bool = False) -> Any:
        """|x_i . x_j| with a zero diagonal."""
        x = self.queries if queries else self.functions
        return abs(x @ x.T) * (1 - np.eye(len(x), dtype=int))

    @functools.cached_property
    def _found(self) -> dict[Any, Any]:
        """What claims share, by what it is of."""
        return {}

    def lower(self, kernel: int, *, queries: bool = False, **octaves: int) -> Any:
        """The bound term by term; `octaves` as `termwise` takes it."""
        key = ("lower", kernel, queries, *octaves.values())
        if key not in self._found:
            self._found[key] = termwise(self.moduli(queries=queries), KERNELS[kernel], self.pi, **octaves)
        return self._found[key]

    def upper(self, kernel: int, *, queries: bool = False) -> Any:
        """1/2 less the largest modulus of the kernel off the diagonal."""
        matrix = self.matrix(kernel, queries=queries)
        return self.number(1) / 2 - (abs(matrix) * (1 - np.eye(len(matrix), dtype=int))).max()

    def printed(self, kernel: int, end: str, **pairwise: int) -> Any:
        """The "lower" or "upper" end of `angle_bounds`, which are floats; `pairwise` as it takes it."""
        key = ("printed", kernel, *pairwise.values())
        if key not in self._found:
            self._found[key] = angle_bounds(self._functions, KERNELS[kernel], **pairwise)
        return self.number(getattr(self._found[key], end))

    # -- power series -------------------------------------------------------------------------------------------------

    def rest(self, kernel: int, terms: int) -> Any:
        """The largest entry of the kernel less so many terms of its series; at rho = 1 too."""
        matrix, power = self.matrix(kernel), 0 * self.inner + 1
        for a in coefficients(KERNELS[kernel], terms, self.pi):
            matrix, power = matrix - a * power, power * self.inner
        return abs(matrix).max()

    def left(self, kernel: int, terms: int) -> Any:
        """What so many coefficients leave of their sum, 1/2."""
        return self.number(1) / 2 - sum(coefficients(KERNELS[kernel], terms, self.pi))

    def least_of_powers(self, most: int) -> Any:
        """Least eigenvalues of the Schur powers 1, ..., most of X X^T."""
        return self.numbers(np.array([np.linalg.eigvalsh(self.inner**p)[0] for p in range(1, most + 1)]))

    def gershgorin(self, most: int, entries: Any) -> Any:
        """1 less the largest row sum of their powers, of entries with a zero diagonal."""
        return self.numbers(np.array([1 - (entries**p).sum(axis=1).max() for p in range(1, most + 1)]))

    # -- angles -------------------------------------------------------------------------------------------------------

    @property
    def _chords(self) -> tuple[Any, Any]:
        """|x_i - x_j| and |x_i + x_j|, pair by pair: angles from half of them are good for near vectors too."""
        i, j = np.triu_indices(len(self.functions), 1)
        apart, sums = (np.linalg.norm(self.functions[i] + sign * self.functions[j], axis=1) for sign in (-1, 1))
        return apart, sums

    @property
    def theta(self) -> Any:
        """The smallest angle between the lines of two functions."""
        apart, sums = self._chords
        return (2 * np.arctan(np.minimum(apart, sums) / np.maximum(apart, sums))).min()

    @property
    def phi(self) -> Any:
        """The smallest angle between two functions; no two are opposite."""
        apart, sums = self._chords
        return (2 * np.arctan(apart / sums)).min()
