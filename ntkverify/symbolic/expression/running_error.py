"""float64 arrays that carry a bound on what rounding has done to them so far.

Each operation adds what becomes of its operands' errors to the rounding of its own result (running error analysis,
Higham, Accuracy and Stability of Numerical Algorithms, section 3.3). A bound is itself computed in float64, to first
order: it is right up to a factor of 1 + 1e-10 or so where it is small against the value, and large where that is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: what an operation or an elementary function may be off by, relative to its result: two units in the last place
UNIT = 2.0**-52


class Tracked:
    """A float64 array, or number, and a bound on its absolute error.

    Parameters
    ----------
    value : array or float
        The numbers.
    error : array or float
        By how much each may be off.
    """

    __slots__ = ("error", "value")
    __array_ufunc__ = None  # NumPy's arrays leave operations to this class

    def __init__(self, value: Any, error: Any = 0.0) -> None:
        self.value, self.error = value, error

    @classmethod
    def rounded(cls, value: Any, error: Any = 0.0) -> Tracked:
        """A result whose operands' errors amount to `error`, after its own rounding."""
        return cls(value, error + UNIT * np.abs(value))

    def __add__(self, other: Any) -> Tracked:
        value, error = _parts(other)
        return self.rounded(self.value + value, self.error + error)

    def __sub__(self, other: Any) -> Tracked:
        value, error = _parts(other)
        return self.rounded(self.value - value, self.error + error)

    def __rsub__(self, other: Any) -> Tracked:
        return Tracked(*_parts(other)) - self

    def __mul__(self, other: Any) -> Tracked:
        value, error = _parts(other)
        spread = np.abs(self.value) * error + np.abs(value) * self.error + self.error * error
        return self.rounded(self.value * value, spread)

    def __truediv__(self, other: Any) -> Tracked:
        value, error = _parts(other)
        with np.errstate(all="ignore"):
            size = np.abs(value)
            quotient = self.value / value
            # where the divisor may be 0 nothing is known
            spread = np.where(error < size, (self.error + np.abs(quotient) * error) / (size - error), np.inf)
        return self.rounded(quotient, spread)

    def __rtruediv__(self, other: Any) -> Tracked:
        return Tracked(*_parts(other)) / self

    def __pow__(self, power: int) -> Tracked:
        size = np.abs(self.value) + self.error
        return self.rounded(self.value**power, power * size ** max(power - 1, 0) * self.error)

    def __neg__(self) -> Tracked:
        return Tracked(-self.value, self.error)

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self) -> Tracked:
        """Square root; of what may be 0 the error is the root of the error."""
        root = np.sqrt(self.value)
        with np.errstate(all="ignore"):
            spread = np.where(self.error < self.value, self.error / root, np.sqrt(2 * self.error))
        return self.rounded(root, spread)

    def exp(self) -> Tracked:
        """Exponential; an error of the argument of more than 1 is one of the order of the value, at least."""
        value = np.exp(self.value)
        return self.rounded(value, value * np.expm1(np.minimum(self.error, 700.0)))

    def atan(self) -> Tracked:
        """Arc tangent, whose slope is 1/(1 + x^2)."""
        nearest = np.maximum(np.abs(self.value) - self.error, 0.0)
        return self.rounded(np.arctan(self.value), self.error / (1 + nearest**2))


def _parts(other: Any) -> tuple[Any, Any]:
    return (other.value, other.error) if isinstance(other, Tracked) else (other, 0.0)
