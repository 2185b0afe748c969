"""Drawing the weights: on the host, in blocks with a seed of their own, alike for every backend."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.seeds import MovedSeed

Seed = int | MovedSeed  #: entropy of a whole network

#: neurons that share one random stream; part of what a seed means, so changing it changes every draw
BLOCK = 2**16
#: what handing one block to a thread takes, weights apart
BLOCK_BYTES = 1024


def draw_block(seed: Seed, block: int, count: int, dimension: int) -> tuple[Array, NDArray[np.int8]]:
    """Weights of one block of neurons: standard normal inner weights and uniform signs.

    Parameters
    ----------
    seed : int or MovedSeed
        Entropy of the whole network.
    block : int
        Number of the block.
    count : int
        Neurons in it, at most `BLOCK`; fewer only in the last one.
    dimension : int
        Inner weights per neuron.

    Returns
    -------
    inner : array (dimension, count)
    signs : array of int8 (count,)
    """
    if isinstance(seed, MovedSeed):
        inner, signs = draw_block(seed.seed, block, count, dimension)
        for angle, other in seed.turns:
            inner = math.cos(angle) * inner + math.sin(angle) * draw_block(other, block, count, dimension)[0]
        if seed.evenness:
            lengths = np.linalg.norm(inner, axis=0)
            factors = np.divide(math.sqrt(dimension), lengths, out=np.ones(count), where=lengths > 0)
            inner = inner * _power(factors, seed.evenness)
        return seed.scale * inner, signs
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(block,))))
    inner = generator.standard_normal((count, dimension)).T.copy()
    signs = (2 * generator.integers(0, 2, count, dtype=np.int8) - 1).astype(np.int8)
    return inner, signs


def _power(base: Array, exponent: float) -> Array:
    """Powers with an exponent in [0, 1], by the square roots that its binary digits ask for.

    Roots and products are rounded alike on every processor, which NumPy's own powers are not.
    """
    root, left = base, exponent
    result = np.ones_like(base)
    while left:
        if left >= 1:
            result = result * root
            left -= 1
        root, left = np.sqrt(root), 2 * left
    return result


def blocks(width: int) -> list[tuple[int, int, int]]:
    """``(block, first neuron, past-the-last neuron)`` for every block of a network.

    Raises
    ------
    NtkVerifyError
        If not even the list of what is to be done for each block fits in memory.
    """
    refuse_beyond_memory(-(-width // BLOCK) * BLOCK_BYTES, f"a sweep over {width} neurons, block by block,")
    return [(b, lo, min(lo + BLOCK, width)) for b, lo in enumerate(range(0, width, BLOCK))]
