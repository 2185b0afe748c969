"""The array of numbers that most of the library is about, and what is left of two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]  #: of float64, on the host, of any shape


@dataclass(frozen=True)
class Difference:
    """left - right, as a measure returns it: its rounding error is that of the two, however much of them cancels."""

    left: Any
    right: Any


def difference(left: Any, right: Any) -> Difference:
    """What a claim measures as left - right; without ``error=`` the rounding of `left` and `right` is allowed for."""
    return Difference(left, right)
