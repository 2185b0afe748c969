"""What engines reach on functions of which the top is known."""

import numpy as np

from ntkverify.search.climb.engines import Finished, climb
from ntkverify.search.space.coordinates import GRID


def best(value, dimension, smooth, *, engine, evaluations, entropies):
    """The best of each of several searches; `value` takes the coordinates as shares, and the vector."""
    found = []
    for entropy in entropies:
        seen = []

        def objective(vector, seen=seen):
            if len(seen) == evaluations:
                raise Finished
            seen.append(value(np.array(vector) / GRID, vector))
            return seen[-1]

        climb(engine, objective, dimension, entropy=entropy, evaluations=evaluations, smooth=smooth)
        found.append(max(seen))
    return np.array(found)
