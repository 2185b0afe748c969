"""Values and Jacobians of a whole network, by chunks of neurons."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.execution.rounding import CHUNK, output_error, sum_roundings
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Terms


class Sweeper:
    """Values, their rounding majorants and Jacobians of a whole network, by chunks of neurons.

    Parameters
    ----------
    samples : Samples
        Of linear blocks; values carry the blocks' scales.
    signs : array (m,)
        Frozen outer weights.
    """

    def __init__(self, samples: Samples, signs: NDArray[np.int8]) -> None:
        self.terms = Terms(samples)
        self.width = int(signs.size)
        self._frozen = signs[None].astype(np.float64)
        self._roundings = self.terms.roundings + sum_roundings(self.width)
        self.targets = np.concatenate([b.scale * b.targets for b in samples.blocks])

    def values_and_jacobian(self, weights: Array) -> tuple[Array, Array]:
        """Each neuron's share of the outputs (N, m), and the Jacobian (p, N, m); both with m**-1/2."""
        count, width = self.terms.samples.total, self.width
        values, jacobian = np.empty((count, width)), np.empty((len(weights), count, width))
        for lo in self._starts:
            chunk = slice(lo, lo + CHUNK)
            value, gradient = self.terms.with_gradient(weights[:, chunk], self._frozen[:, chunk])
            values[:, chunk] = value
            for row, component in zip(jacobian, gradient, strict=True):
                row[:, chunk] = component
        values /= math.sqrt(width)
        jacobian /= math.sqrt(width)
        return values, jacobian

    def jacobian(self, weights: Array) -> Array:
        """The Jacobian alone, (p, N, m)."""
        return self.values_and_jacobian(weights)[1]

    def values(self, weights: Array) -> Array:
        """Each neuron's share of the outputs alone, (N, m)."""
        parts = [self.terms.at(weights[:, lo : lo + CHUNK], self._frozen[:, lo : lo + CHUNK]) for lo in self._starts]
        return np.concatenate(parts, axis=1) / math.sqrt(self.width)

    @property
    def _starts(self) -> range:
        return range(0, self.width, CHUNK)

    def rounding(self, weights: Array) -> Array:
        """Bound (N,) of the rounding errors of the residuals at `weights`."""
        total = np.zeros(self.terms.samples.total)
        for lo in self._starts:
            chunk = slice(lo, lo + CHUNK)
            total += self.terms.majorants(weights[:, chunk], self._frozen[:, chunk]).sum(axis=1)
        return output_error(self._roundings, total, self.targets, self.width)


def spectral_norm(jacobian: Array) -> float:
    """Largest singular value of a Jacobian given as (p, N, m)."""
    gram = np.einsum("pim,pjm->ij", jacobian, jacobian, optimize=True)
    return math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0))
