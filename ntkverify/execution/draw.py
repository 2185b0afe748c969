"""Drawing the weights: on the host, in blocks with a seed of their own, alike for every backend."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import in_order
from ntkverify.seeds import MovedSeed
from ntkverify.symbolic.network.laws import FairSign, Law, Normal, Uniform
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
    rows = _standard(seed, block, count, dimension, (FairSign(),))
    return rows[:dimension], rows[dimension].astype(np.int8)


def _standard(seed: Seed, block: int, count: int, first: int, rest: Sequence[Law]) -> Array:
    """Numbers of one block, a weight a row: of deviation 1 where they are normal, in [-1, 1) where they are uniform.

    The first rows are normal and drawn neuron by neuron, the rest row by row: a further weight changes none before it.
    """
    if isinstance(seed, MovedSeed):
        rows = _standard(seed.seed, block, count, first, rest)
        normal = [*range(first), *(first + i for i, law in enumerate(rest) if isinstance(law, Normal))]
        moved = rows[normal]
        for angle, other in seed.turns:
            towards = _standard(other, block, count, first, rest)[normal]
            moved = math.cos(angle) * moved + math.sin(angle) * towards
        if seed.evenness:
            lengths = np.linalg.norm(moved, axis=0)
            factors = np.divide(math.sqrt(len(normal)), lengths, out=np.ones(count), where=lengths > 0)
            moved = moved * _power(factors, seed.evenness)
        rows[normal] = seed.scale * moved
        return rows
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(block,))))
    rows = np.empty((first + len(rest), count))
    rows[:first] = generator.standard_normal((count, first)).T
    for row, law in zip(rows[first:], rest, strict=True):
        if isinstance(law, Normal):
            row[:] = generator.standard_normal(count)
        elif isinstance(law, FairSign):
            row[:] = 2 * generator.integers(0, 2, count, dtype=np.int8) - 1
        else:
            row[:] = 2 * generator.random(count) - 1
    return rows


@functools.lru_cache(maxsize=256)
def _order(neuron: Neuron) -> tuple[int, tuple[int, ...], Array]:
    """How many trained weights are normal, the places of all weights in the order of the draw, and their sizes.

    Signs come second, so that networks with one sign a neuron draw what they drew when they were all there was.
    """
    laws, trained = list(neuron.laws.values()), len(neuron.weights)
    first = [i for i, law in enumerate(laws) if isinstance(law, Normal) and i < trained]
    signs = [i for i, law in enumerate(laws) if isinstance(law, FairSign)]
    order = (*first, *signs, *(i for i in range(len(laws)) if i not in {*first, *signs}))
    exact = [law.scale if isinstance(law, Normal) else law.radius if isinstance(law, Uniform) else 1 for law in laws]
    return len(first), order, np.array([float(exact[i]) for i in order])


def weights_of_block(neuron: Neuron, seed: Seed, block: int, count: int) -> tuple[Array, Array]:
    """Weights of one block of a neuron's network, drawn by the neuron's laws.

    Normal trained weights come first, then fair signs, then all others, from one stream; coupled pairs, which are
    neighbours, take half as many numbers. A `MovedSeed` moves what is normal, trained or not, before it is
    multiplied by the scale of its law.

    Parameters
    ----------
    neuron : Neuron
    seed : int or MovedSeed
        Entropy of the whole network.
    block : int
        Number of the block.
    count : int
        Neurons in it, at most `BLOCK`; fewer only in the last one.

    Returns
    -------
    weights : array (count, p)
    frozen : array (count, q)

    Raises
    ------
    NtkVerifyError
        If neurons are coupled in pairs, and one is left over.
    """
    _refuse_odd(neuron, count)
    first, order, sizes = _order(neuron)
    laws = list(neuron.laws.values())
    drawn = _standard(seed, block, count // 2 if neuron.coupled else count, first, [laws[i] for i in order[first:]])
    drawn *= sizes[:, None]
    rows = drawn[np.argsort(order)]
    if neuron.coupled:
        rows = np.repeat(rows, 2, axis=1)
        rows[[i for i, weight in enumerate(neuron.laws) if weight in neuron.coupled], 1::2] *= -1
    trained = len(neuron.weights)
    return np.ascontiguousarray(rows[:trained].T), np.ascontiguousarray(rows[trained:].T)


def _refuse_odd(neuron: Neuron, count: int) -> None:
    if neuron.coupled and count % 2:
        raise NtkVerifyError(f"neurons coupled in pairs need an even width, but {count} leaves one without a partner.")


def draw_weights(neuron: Neuron, seed: Seed, width: int, part: slice | None = None) -> tuple[Array, Array]:
    """Weights (width, p) and frozen weights (width, q) of a whole network, or of a part of it, drawn block by block.

    Parameters
    ----------
    neuron : Neuron
    seed : int or MovedSeed
        Entropy of the whole network.
    width : int
        Neurons of the whole network.
    part : slice, optional
        Which of them are wanted; of a block that lies in it partly, what lies outside is drawn and dropped.

    Raises
    ------
    NtkVerifyError
        If the weights, twice (initial and current), and the frozen ones do not fit in memory, or neurons are coupled
        in pairs and the width is odd.
    """
    _refuse_odd(neuron, width)
    p, q = len(neuron.weights), len(neuron.frozen)
    first, last, _ = (part or slice(None)).indices(width)
    refuse_beyond_memory(8 * (last - first) * (2 * p + q), f"training a network of {last - first} neurons")
    weights, frozen = np.empty((last - first, p)), np.empty((last - first, q))

    def fill(block: int) -> None:
        lo, hi = block * BLOCK, min((block + 1) * BLOCK, width)
        own = slice(max(lo, first) - lo, min(hi, last) - lo)
        rows = slice(own.start + lo - first, own.stop + lo - first)
        drawn = weights_of_block(neuron, seed, block, hi - lo)
        weights[rows], frozen[rows] = drawn[0][own], drawn[1][own]

    for _ in in_order(fill, list(range(first // BLOCK, -(-last // BLOCK)))):
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
