"""The array of numbers that most of the library is about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]  #: of float64, on the host, of any shape
