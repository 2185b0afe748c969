"""What each neuron contributes to each output, and what rounding does to their sums; in float64, by the reference."""

from __future__ import annotations

import math

import numpy as np

from ntkverify.arrays import Array
from ntkverify.execution.rounding import CHUNK, output_error, sum_roundings
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Terms


class NeuronValues:
    """Values and rounding majorants of a whole network, by chunks of neurons.

    Parameters
    ----------
    samples : Samples
        Of linear blocks; values carry the blocks' scales.
    frozen : array (m, q)
        Frozen weights.
    """

    def __init__(self, samples: Samples, frozen: Array) -> None:
        self._terms = Terms(samples)
        self._frozen = frozen.T
        self._targets = np.concatenate([b.scale * b.targets for b in samples.blocks])

    def _chunks(self, weights: Array) -> list[tuple[Array, Array]]:
        starts = range(0, len(weights), CHUNK)
        return [(weights[lo : lo + CHUNK].T, self._frozen[:, lo : lo + CHUNK]) for lo in starts]

    def values(self, weights: Array) -> Array:
        """Each neuron's share of the outputs, (N, m), at weights (m, p)."""
        parts = [self._terms.at(w, f) for w, f in self._chunks(weights)]
        return np.asarray(np.concatenate(parts, axis=1) / math.sqrt(len(weights)))

    def rounding(self, weights: Array) -> Array:
        """Bound (N,) of the rounding errors of the residuals at weights (m, p)."""
        total = sum(self._terms.majorants(w, f).sum(axis=1) for w, f in self._chunks(weights))
        roundings = self._terms.roundings + sum_roundings(len(weights))
        return output_error(roundings, np.asarray(total), self._targets, len(weights))
