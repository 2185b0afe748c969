"""Drawing the weights: on the host, in blocks with a seed of their own, alike for every backend."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import in_order
from ntkverify.seeds import MovedSeed
from ntkverify.symbolic.network.neuron import Neuron

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


def weights_of_block(neuron: Neuron, seed: Seed, block: int, count: int) -> tuple[Array, Array]:
    """Weights (count, p) and frozen weights (count, q) of one block of a neuron's network; see `draw_block`."""
    q = len(neuron.frozen)
    if q > 1:
        raise NtkVerifyError(f"the draw knows one frozen sign a neuron, and this one has {q} frozen weights.")
    inner, signs = draw_block(seed, block, count, len(neuron.weights))
    return np.ascontiguousarray(inner.T), signs[:, None].astype(np.float64)[:, :q]


def draw_weights(neuron: Neuron, seed: Seed, width: int) -> tuple[Array, Array]:
    """Weights (width, p) and frozen weights (width, q) of a whole network, drawn block by block.

    Raises
    ------
    NtkVerifyError
        If the weights, twice (initial and current), and the frozen ones do not fit in memory.
    """
    p, q = len(neuron.weights), len(neuron.frozen)
    refuse_beyond_memory(8 * width * (2 * p + q), f"training a network of {width} neurons")
    weights, frozen = np.empty((width, p)), np.empty((width, q))

    def fill(part: tuple[int, int, int]) -> None:
        block, lo, hi = part
        weights[lo:hi], frozen[lo:hi] = weights_of_block(neuron, seed, block, hi - lo)

    for _ in in_order(fill, blocks(width)):
        pass
    return weights, frozen


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
