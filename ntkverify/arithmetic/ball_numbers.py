"""Balls that a claim's measure can compute with as if they were numbers, and that never guess.

A measure is a Python function written for float64: it adds, compares, takes ``np.abs(...).max()`` or ``np.sqrt``.
Evaluated on a `Ball` it gives an enclosure of the exact result. Two things python-flint's balls do silently would be
wrong here: a comparison of overlapping balls is False, and ``np.maximum`` picks one of two overlapping balls. So a
`Ball` raises `Undecided` for the first and a `BallArray` takes the union's maximum for the second. What has no
enclosure (``float(ball)``) raises `NoEnclosure`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arithmetic.balls import Undecided, as_ball
from ntkverify.errors import NtkVerifyError


class NoEnclosure(NtkVerifyError):
    """The measure asks for something that has no enclosure; more bits will not help."""


def raw(value: Any) -> Any:
    """python-flint's ball of a `Ball`, a number or an exact sympy number; booleans count as 0 and 1."""
    if isinstance(value, Ball):
        return value.arb
    if isinstance(value, bool | np.bool_):
        return as_ball(int(value))
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return raw(value[()])
    return as_ball(value)


def _is_array(value: Any) -> bool:
    """Whether NumPy should go through the entries."""
    return isinstance(value, np.ndarray) and value.ndim > 0


class Ball:
    """A real number known to lie in a ball.

    Parameters
    ----------
    value : number or python-flint ball
        Floats, integers and rationals are exact.
    """

    __slots__ = ("arb",)
    __array_priority__ = 100.0

    def __init__(self, value: Any) -> None:
        self.arb = raw(value)

    def __repr__(self) -> str:
        return f"Ball({self.arb})"

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, BallArray):
            return NotImplemented
        if _is_array(other):
            return ball_array(np.frompyfunc(lambda entry: operation(self.arb, raw(entry)), 1, 1)(other))
        return Ball(operation(self.arb, raw(other)))

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a / b)

    def __pow__(self, other: Any) -> Any:
        return self._with(other, power)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b + a)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b * a)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b / a)

    def __rpow__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: power(b, a))

    def __neg__(self) -> Ball:
        return Ball(-self.arb)

    def __pos__(self) -> Ball:
        return self

    def __abs__(self) -> Ball:
        return Ball(abs(self.arb))

    # -- comparisons: decided or refused ----------------------------------------------------------------------------

    def __lt__(self, other: Any) -> bool:
        if _is_array(other):
            return NotImplemented
        b = raw(other)
        if self.arb < b:
            return True
        if self.arb >= b:
            return False
        raise Undecided(f"{self.arb} < {b} is undecided")

    def __eq__(self, other: object) -> bool:
        if _is_array(other):
            return NotImplemented
        b = raw(other)
        if self.arb == b:  # both exact
            return True
        if not self.arb.overlaps(b):
            return False
        raise Undecided(f"{self.arb} == {b} is undecided")

    def __le__(self, other: Any) -> bool:
        if _is_array(other):
            return NotImplemented
        b = raw(other)
        if self.arb <= b:
            return True
        if self.arb > b:
            return False
        raise Undecided(f"{self.arb} <= {b} is undecided")

    def __gt__(self, other: Any) -> bool:
        return NotImplemented if _is_array(other) else not self <= other

    def __ge__(self, other: Any) -> bool:
        return NotImplemented if _is_array(other) else not self < other

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return self != 0

    def __index__(self) -> int:
        if self.arb.is_exact() and self.arb.is_integer():
            return int(self.arb.unique_fmpz())
        raise NoEnclosure(f"{self.arb} is used as an integer, which it is not.")

    def __float__(self) -> float:
        # nothing is rounded of an integer, and np.arange, np.triu_indices ask for the float of what they count to
        if self.arb.is_exact() and self.arb.is_integer() and abs(self.arb) <= 2**53:
            return float(self.arb.mid())
        raise NoEnclosure("the claim rounds an enclosed quantity to float, which has no enclosure.")

    # -- what NumPy calls on the elements of object arrays ----------------------------------------------------------

    def conjugate(self) -> Ball:
        """Itself, being real."""
        return self

    @property
    def real(self) -> Ball:
        """Itself, being real."""
        return self

    def sqrt(self) -> Ball:
        """Square root; of what is a square a lower end below zero is cut off."""
        return Ball(self.arb.sqrt() if self.arb >= 0 else self.arb.nonnegative_part().sqrt())

    def square(self) -> Ball:
        """Square."""
        return Ball(self.arb**2)

    def max(self, other: Any) -> Ball:
        """The larger of two, enclosed even where it is open which one that is."""
        return Ball(self.arb.max(raw(other)))

    def min(self, other: Any) -> Ball:
        """The smaller of two."""
        return Ball(self.arb.min(raw(other)))

    def exp(self) -> Ball:
        """Exponential."""
        return Ball(self.arb.exp())

    def log(self) -> Ball:
        """Natural logarithm."""
        return Ball(self.arb.log())

    def log1p(self) -> Ball:
        """log(1 + x)."""
        return Ball(self.arb.log1p())

    def expm1(self) -> Ball:
        """exp(x) - 1."""
        return Ball(self.arb.expm1())

    def sin(self) -> Ball:
        """Sine."""
        return Ball(self.arb.sin())

    def cos(self) -> Ball:
        """Cosine."""
        return Ball(self.arb.cos())

    def tanh(self) -> Ball:
        """Hyperbolic tangent."""
        return Ball(self.arb.tanh())

    def arctan(self) -> Ball:
        """Arc tangent."""
        return Ball(self.arb.atan())

    def arcsin(self) -> Ball:
        """Arc sine; of what is a sine or cosine ends beyond 1 are cut off."""
        return Ball(_monotone(self.arb, "asin"))

    def arccos(self) -> Ball:
        """Arc cosine; of what is a sine or cosine ends beyond 1 are cut off."""
        return Ball(_monotone(self.arb, "acos"))


def _monotone(ball: Any, name: str) -> Any:
    """An arc function, from its values at the ends; of a ball that touches [-1, 1] the part in there counts."""
    if not ball.overlaps(as_ball(0).union(as_ball(1)).union(as_ball(-1))):
        return getattr(ball, name)()
    low, high = ball.lower(), ball.upper()
    ends = (as_ball(-1) if low < -1 else low, as_ball(1) if high > 1 else high)
    return getattr(ends[0], name)().union(getattr(ends[1], name)())


def power(base: Any, exponent: Any) -> Any:
    """Power of python-flint balls; an exact integer exponent is a product, whatever the sign of the base."""
    if exponent.is_exact() and exponent.is_integer():
        return base ** int(exponent.unique_fmpz())
    return base**exponent


class BallArray(np.ndarray):
    """An object array of `Ball`; NumPy's functions act element by element, maxima and minima are enclosed.

    Of ``np.linalg``, what is no sum or product of entries goes to `ntkverify.arithmetic.ball_linear`.
    """

    __array_priority__ = 200.0  # goes through its own entries, rather than leave that to a `Ball`

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from ntkverify.arithmetic.ball_linear import FUNCTIONS

        if function in FUNCTIONS:
            given = [raw_array(a) if isinstance(a, np.ndarray) else a for a in args]
            found = FUNCTIONS[function](*given, **kwargs)
            if found is not NotImplemented:
                result = ball_array(found)
                return result if result.ndim else result[()]
        result = super().__array_function__(function, types, args, kwargs)
        # many functions drop the subclass, with which maxima would be compared and not enclosed
        return result.view(BallArray) if isinstance(result, np.ndarray) and result.dtype == object else result

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        plain = [np.asarray(i, dtype=object) if isinstance(i, BallArray) else i for i in inputs]
        if ufunc in (np.maximum, np.minimum):
            ufunc = np.frompyfunc(Ball.max if ufunc is np.maximum else Ball.min, 2, 1)
            plain[0] = np.vectorize(Ball, otypes=[object])(plain[0]) if np.size(plain[0]) else plain[0]
            if method == "reduce":
                return _reduce(ufunc, plain[0], options.get("axis", 0), bool(options.get("keepdims", False)))
        if out is not None:
            options["out"] = tuple(np.asarray(o, dtype=object) if isinstance(o, BallArray) else o for o in out)
        result = getattr(ufunc, method)(*plain, **options)
        if isinstance(result, np.ndarray) and result.dtype == object and result.ndim:
            return result.view(BallArray)
        return result


def _reduce(function: Any, array: Any, axis: Any, keepdims: bool) -> Any:
    if array.size == 0:
        raise NoEnclosure("the maximum or minimum of nothing is asked for.")
    if axis is None:
        array, axis = array.reshape(-1), 0
    result = functools.reduce(function, np.moveaxis(array, axis, 0))
    if keepdims:
        result = np.expand_dims(result, axis)
    return result.view(BallArray) if isinstance(result, np.ndarray) and result.ndim else result


def ball_array(values: Any) -> Any:
    """A `BallArray` with the entries of any array (floats are exact)."""
    source = np.asarray(values, dtype=object)
    result = np.empty(source.shape, dtype=object)
    for index in np.ndindex(source.shape):
        result[index] = Ball(source[index])
    return result.view(BallArray)


def raw_array(values: Any) -> Any:
    """python-flint balls of the entries, as a plain object array; a single ball for a scalar."""
    source = np.asarray(values, dtype=object)
    if source.ndim == 0:
        return raw(source[()])
    result = np.empty(source.shape, dtype=object)
    for index in np.ndindex(source.shape):
        result[index] = raw(source[index])
    return result
