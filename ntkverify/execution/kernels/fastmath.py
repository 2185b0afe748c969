"""Elementary functions that LLVM can vectorise: branch-free, a few units in the last place.

libm's functions are calls, and a call inside a loop stops its vectorisation; these are plain
arithmetic. They are compiled without reassociation, which would undo the two-part constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

LOG2E = 1.4426950408889634
# ln 2 in two parts: the first has 21 trailing zero bits, so that k * LN2_HIGH is exact for |k| < 2**11
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
# pi/2 in three parts, the first two of 33 bits: their products with an integer below 2**20 are exact
HALF_PI_1 = 1.57079632673412561417e00
HALF_PI_2 = 6.07710050630396597660e-11
HALF_PI_3 = 2.02226624879595063154e-21
TWO_OVER_PI = 0.6366197723675814
LARGEST_ANGLE = 2.0**20
# 2**52 + 2**51: adding it rounds a small double to an integer in its low bits
ROUNDER = 6755399441055744.0
ROUNDER_BITS = 0x4338000000000000


@intrinsic  # type: ignore[untyped-decorator]
def float_from_bits(typingctx: Any, bits: Any) -> Any:
    """Reinterpret an int64 as a float64."""
    from llvmlite import ir  # type: ignore[import-untyped]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def bits_of_float(typingctx: Any, x: Any) -> Any:
    """Reinterpret a float64 as an int64."""
    from llvmlite import ir

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def prefer_wide_vectors(typingctx: Any) -> Any:
    """Let LLVM use 512-bit vectors in the calling function where the processor has them.

    Its default on recent processors is 256 bits, out of concern for mixed code; the sweeps are
    arithmetic throughout and ran 1.6 times faster at full width. Without AVX-512 it does nothing.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's attribute set only knows the keyword attributes, hence the plain set's add
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), codegen


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def _exponent_parts(x: float) -> tuple[float, float]:
    """``(2**k, expm1(r))`` with ``x = k ln 2 + r`` and |r| <= ln(2)/2, for |x| <= 708."""
    shifted = x * LOG2E + ROUNDER
    k = shifted - ROUNDER
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    power = float_from_bits((bits_of_float(shifted) - ROUNDER_BITS + 1023) << 52)
    # Taylor to degree 13: the remainder 0.3466**14 / 14! = 4e-18 is below rounding
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    return power, r + r * r * p


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def exp(x: float) -> float:
    """e^x; 0 below -708 (no subnormals) and infinite above 709."""
    # comparisons are written so that a NaN passes through
    clipped = -708.0 if x < -708.0 else x
    clipped = 709.0 if clipped > 709.0 else clipped
    power, e = _exponent_parts(clipped)
    value = power + power * e
    value = 0.0 if x < -708.0 else value
    result: float = np.inf if x > 709.0 else value
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def tanh(x: float) -> float:
    """Hyperbolic tangent, by its addition theorem, in one division; small arguments keep their relative accuracy.

    With ``x = k ln(2)/2 + y`` and tanh(y) = s/d it is ((2^k - 1) d + (2^k + 1) s) / ((2^k + 1) d + (2^k - 1) s).
    """
    # comparisons are written so that a NaN passes through; tanh(20) rounds to 1
    clipped = -20.0 if x < -20.0 else x
    clipped = 20.0 if clipped > 20.0 else clipped
    shifted = clipped * (2.0 * LOG2E) + ROUNDER
    k = shifted - ROUNDER
    y = (clipped - k * (LN2_HIGH / 2.0)) - k * (LN2_LOW / 2.0)
    power = float_from_bits((bits_of_float(shifted) - ROUNDER_BITS + 1023) << 52)
    # Lambert's continued fraction to its sixth quotient: on |y| <= ln(2)/4 the remainder is below 1e-18
    q = y * y
    s = y * ((21.0 * q + 1260.0) * q + 10395.0)
    d = ((q + 210.0) * q + 4725.0) * q + 10395.0
    less, more = power - 1.0, power + 1.0
    result: float = (less * d + more * s) / (more * d + less * s)
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def softplus(x: float) -> float:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|), the logarithm by its atanh series."""
    u = exp(-abs(x))
    s = u / (2.0 + u)
    q = s * s
    # sum over k <= 17 of q**k / (2k + 1): s <= 1/3, so the first term left out is below 1e-18
    p = 1.0 / 35.0
    p = p * q + 1.0 / 33.0
    p = p * q + 1.0 / 31.0
    p = p * q + 1.0 / 29.0
    p = p * q + 1.0 / 27.0
    p = p * q + 1.0 / 25.0
    p = p * q + 1.0 / 23.0
    p = p * q + 1.0 / 21.0
    p = p * q + 1.0 / 19.0
    p = p * q + 1.0 / 17.0
    p = p * q + 1.0 / 15.0
    p = p * q + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    p = p * q + 1.0
    result: float = (0.0 if x < 0.0 else x) + 2.0 * s * p
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def _sine_of_quadrant(x: float, shift: int) -> float:
    """sin(x + shift * pi/2) for |x| < 2**20; NaN beyond, where the reduction of the argument is no longer exact."""
    shifted = x * TWO_OVER_PI + ROUNDER
    k = shifted - ROUNDER
    r = ((x - k * HALF_PI_1) - k * HALF_PI_2) - k * HALF_PI_3
    quadrant = (bits_of_float(shifted) + shift) & 3
    q = r * r
    # Taylor to degree 17 and 16 on |r| <= pi/4: remainders below 1e-19 and 2e-18
    s = 1.0 / 355687428096000.0
    s = s * q - 1.0 / 1307674368000.0
    s = s * q + 1.0 / 6227020800.0
    s = s * q - 1.0 / 39916800.0
    s = s * q + 1.0 / 362880.0
    s = s * q - 1.0 / 5040.0
    s = s * q + 1.0 / 120.0
    s = s * q - 1.0 / 6.0
    s = r + r * q * s
    c = 1.0 / 20922789888000.0
    c = c * q - 1.0 / 87178291200.0
    c = c * q + 1.0 / 479001600.0
    c = c * q - 1.0 / 3628800.0
    c = c * q + 1.0 / 40320.0
    c = c * q - 1.0 / 720.0
    c = c * q + 1.0 / 24.0
    c = c * q - 0.5
    c = 1.0 + q * c
    value = c if quadrant & 1 else s
    value = -value if quadrant & 2 else value
    # a comparison that NaN passes through as well
    result: float = value if abs(x) < LARGEST_ANGLE else np.nan
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def sin(x: float) -> float:
    """Sine."""
    result: float = _sine_of_quadrant(x, 0)
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def cos(x: float) -> float:
    """Cosine."""
    result: float = _sine_of_quadrant(x, 1)
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def sign(x: float) -> float:
    """-1, 0 or 1."""
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else x)
