"""What summing over neurons loses."""

from __future__ import annotations

import math

import numpy as np

from ntkverify.arrays import Array
from ntkverify.symbolic.expression.majorant import relative_error

#: neurons whose temporaries stay in the second-level cache for a handful of samples
CHUNK = 2**13


def sum_roundings(width: int, chunk: int = CHUNK) -> int:
    """Most roundings between a neuron's term and the total over a network.

    NumPy adds 128 numbers in eight running sums before it goes pairwise (16 + 3 roundings) and then once
    per doubling; the chunks are added one after the other.
    """
    return 19 + math.ceil(math.log2(max(chunk, 2))) + -(-width // chunk)


def output_error(roundings: int, majorants: Array, targets: Array, width: int) -> Array:
    """Bound (N,) of the rounding errors of ``sums / sqrt(width) - targets``.

    Parameters
    ----------
    roundings : int
        Most roundings that a neuron's term meets, its own and those of the sum.
    majorants : array (N,)
        Sums over the neurons of the terms' majorants.
    targets : array (N,)
    width : int
        Number of neurons.
    """
    # the square root, the division by it and the difference round once each
    return np.asarray(relative_error(roundings + 3) * (majorants / math.sqrt(width) + np.abs(targets)))
