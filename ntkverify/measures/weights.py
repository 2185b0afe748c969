"""Drawing the weights: on the host, in blocks with a seed of their own, alike for every backend."""

from __future__ import annotations

import numpy as np
import psutil
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError

#: neurons that share one random stream; part of what a seed means, so changing it changes every draw
BLOCK = 2**16
#: share of the free memory that weights may take, the rest is for the sweep's temporaries and the system
_SHARE = 0.8


def require_memory(width: int, numbers_per_neuron: float, *, what: str) -> None:
    """Refuse a width whose arrays do not fit in the memory that is free now.

    Raises
    ------
    NtkVerifyError
        With the memory needed and free, in GiB.
    """
    needed = 8.0 * width * numbers_per_neuron
    free = float(psutil.virtual_memory().available)
    if needed > _SHARE * free:
        raise NtkVerifyError(
            f"{what} with {width:.3g} neurons needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free: "
            "lower the width, or use a machine with more memory."
        )


def draw_block(seed: int, block: int, count: int, dimension: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Weights of one block of neurons: standard normal inner weights and uniform signs.

    Parameters
    ----------
    seed : int
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
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(block,))))
    inner = generator.standard_normal((count, dimension)).T.copy()
    signs = (2 * generator.integers(0, 2, count, dtype=np.int8) - 1).astype(np.int8)
    return inner, signs


def blocks(width: int) -> list[tuple[int, int, int]]:
    """``(block, first neuron, past-the-last neuron)`` for every block of a network."""
    return [(b, lo, min(lo + BLOCK, width)) for b, lo in enumerate(range(0, width, BLOCK))]
