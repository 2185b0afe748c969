"""Whole networks in memory, drawn block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.execution.draw import Seed, blocks, draw_block
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import in_order


@dataclass(frozen=True)
class Network:
    """Weights of a wide two-layer network in memory.

    Parameters
    ----------
    weights : array (p, m)
        Trainable weights.
    signs : array of int8 (m,)
        Frozen outer weights.
    """

    weights: Array
    signs: NDArray[np.int8]

    @property
    def width(self) -> int:
        """Number of neurons."""
        return int(self.signs.size)


def network_bytes(width: int, dimension: int) -> int:
    """Memory of a network in training: initial and current weights in float64, one byte per sign."""
    return width * (16 * dimension + 1)


def draw_network(seed: Seed, width: int, dimension: int) -> Network:
    """Draw a whole network.

    Raises
    ------
    NtkVerifyError
        If its weights, twice (initial and current) and the signs, do not fit in memory.
    """
    refuse_beyond_memory(network_bytes(width, dimension), f"training a network of {width} neurons")
    weights = np.empty((dimension, width))
    signs = np.empty(width, np.int8)

    def fill(part: tuple[int, int, int]) -> None:
        block, lo, hi = part
        weights[:, lo:hi], signs[lo:hi] = draw_block(seed, block, hi - lo, dimension)

    for _ in in_order(fill, blocks(width)):
        pass
    return Network(weights, signs)
