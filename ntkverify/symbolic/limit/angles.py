"""Bounds on the least eigenvalue of ReLU's two limit kernels at unit vectors, from their inner products alone.

Both kernels are power series in rho = x . x' with coefficients a_p >= 0: that of the gradients,
K_0 = rho (pi - theta)/(2 pi) = sum_k c_k^2 rho^(k+1), and that of the outputs, K_1 = (sin theta + (pi - theta) cos
theta)/(2 pi), whose derivative is sum_k c_k^2 rho^k. A Schur power of a Gram matrix is positive semidefinite, and by
Gershgorin at least 1 - R_p, R_p the largest sum of |rho|^p along a row; so the least eigenvalue is at least
sum_p a_p max(0, 1 - R_p), and at most the least eigenvalue of any two rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError

Kernel = Literal["gram", "covariance"]
KERNELS: tuple[Kernel, Kernel] = ("gram", "covariance")  #: K_0 and K_1
_EPS = float(np.finfo(np.float64).eps)
#: terms that are summed one by one, a power of 2; the others count with the factor at the power of a grid before them
TERMS = 64
_TABLE = 4096  # coefficients whose tails are summed; beyond, an integral bounds them
_DENSE = 8  # powers up to here are formed one by one, and two an octave beyond
_OCTAVES = 45  # at 2^48 even a pair 1e-7 apart has left the first row sum
_BLOCK = 2**17  # entries at a time: two arrays of them fit a cache
_SMALL = 2048  # `pairwise` by default


def coefficients(kernel: Kernel, count: int, pi: Any = math.pi) -> list[Any]:
    """a_0, ..., a_(count-1) of rho^p, in the numbers of `pi`: floats or balls.

    The series of (pi - theta)/(2 pi) solves (1 - rho^2) f'' = rho f', f(0) = 1/4, f'(0) = 1/(2 pi), which makes
    c_(k+2)^2 = c_k^2 k^2/((k+1)(k+2)); K_0 = rho f, and K_1' = f, K_1(0) = 1/(2 pi).
    """
    steps = [pi / pi / 4, 1 / (2 * pi)]
    while len(steps) < count:
        k = len(steps) - 2
        steps.append(steps[k] * (k * k) / ((k + 1) * (k + 2)))
    shifted = steps[: count - 1]
    if kernel == "gram":
        return [0 * pi, *shifted][:count]
    return [1 / (2 * pi), *(c / (k + 1) for k, c in enumerate(shifted))][:count]


def row_sums(moduli: Any, count: int) -> Iterator[Any]:
    """R_p = max_i sum_j |rho_ij|^p, p = 0, ..., count - 1, of moduli (n, n) with a zero diagonal."""
    power = 0 * moduli + (1 - np.eye(len(moduli), dtype=int))
    for _ in range(count):
        yield power.sum(axis=1).max()
        power = power * moduli


def termwise(moduli: Any, kernel: Kernel, pi: Any = math.pi, *, octaves: int = _OCTAVES) -> Any:
    """A lower bound of sum_p a_p max(0, 1 - R_p): `TERMS` terms as they are, the others by the factor at a power below.

    Factors grow with the power. Of those beyond `TERMS` there are two an octave, and what each has more than the one
    before it counts with a lower bound of all coefficients from there on. Between powers whose ratio is 3/2 at most, a
    pair's 1 - |rho|^p grows by as much at most: two samples lose less than 2/5, however near they are.

    Parameters
    ----------
    moduli : array (n, n)
        |x_i . x_j| with a zero diagonal; floats or balls.
    kernel : {"gram", "covariance"}
    pi : float or ball
        In the arithmetic of `moduli`.
    octaves : int
        How far powers go; beyond, each factor counts as the last one.
    """
    left, total, kept = pi / pi / 2, 0 * pi, 0 * pi
    for a, largest in zip(coefficients(kernel, TERMS, pi), row_sums(moduli, TERMS), strict=True):
        kept = _positive(1 - largest)
        total, left = total + a * kept, left - a
    total, half = total + left * kept, moduli
    for _ in range(int(math.log2(TERMS)) - 1):
        half = half * half
    whole, power = half * half, TERMS
    half = half * whole  # 3/2 of its power
    for _ in range(octaves):
        for entries, at in ((whole, power), (half, power // 2 * 3)):
            now = _positive(1 - entries.sum(axis=1).max())
            total, kept = total + (now - kept) * _integral(kernel, at, pi), now
        whole, half, power = whole * whole, half * half, 2 * power
    return total


def _positive(value: Any) -> Any:
    """max(0, .), of a ball too."""
    return (value + abs(value)) / 2


@dataclass(frozen=True)
class AngleBounds:
    """What angles say of the spectrum of a limit Gram matrix.

    Parameters
    ----------
    lower, upper : float
        The least eigenvalue lies between them, rounding counted.
    norm : float
        The largest one is at most that.
    """

    lower: float
    upper: float
    norm: float

    def scaled(self, factor: float) -> AngleBounds:
        """Of a multiple of the matrix."""
        return AngleBounds(factor * self.lower, factor * self.upper, factor * self.norm)


def angle_bounds(points: Any, kernel: Kernel = "gram", *, pairwise: int = _SMALL) -> AngleBounds:
    """Bounds without the matrix: work of the order of n^2, memory of n.

    Of the powers beyond 8 there are two an octave, so that the lower end may be a tenth below the sum of all terms.

    Parameters
    ----------
    points : array (n, d)
        Not zero; the kernel of vectors that have not the length 1 is |x| |x'| times that of their directions.
    kernel : {"gram", "covariance"}
    pairwise : int
        Samples up to which every pair is looked at twice: the lower end is Gershgorin's bound of the kernel itself
        where that is larger, and the upper end is of all pairs, not of each sample and its nearest.

    Raises
    ------
    NtkVerifyError
        If there is no point, or one is zero.
    """
    x = np.asarray(points, np.float64)
    lengths = np.linalg.norm(x, axis=1) if x.ndim == 2 else np.zeros(0)
    if not lengths.size or not lengths.all():
        raise NtkVerifyError("angles are those of one vector or more, none of them zero; remove those that are.")
    unit, n = x / lengths[:, None], len(x)
    slack = (2 * x.shape[1] + 16) * _EPS  # of an inner product of rounded directions, and of its powers
    powers = _powers()
    largest, dense, upper, norm = np.zeros(len(powers)), 0.0, float(lengths.min()) ** 2 / 2, 0.0
    rows = max(1, _BLOCK // n)
    for start in range(0, n, rows):
        inner = unit[start : start + rows] @ unit.T
        own = np.arange(len(inner)), start + np.arange(len(inner))
        inner[own] = 0.0
        moduli = np.minimum(np.abs(inner) + slack, 1.0)
        moduli[own] = 0.0
        norm = max(norm, float(_majorant(inner, moduli, kernel).sum(axis=1).max()))
        if n > 1:
            upper = min(upper, _of_pairs(inner, lengths, start, slack, kernel, every=n <= pairwise))
        if n <= pairwise:
            high = np.abs(_kernel_ends(inner, slack, kernel)[1])
            high[own] = 0.0
            dense = max(dense, float(high.sum(axis=1).max()))
        np.maximum(largest, _sums_at(moduli), out=largest)
    kept = np.maximum(0.0, 1 - largest * (1 + n * _EPS))
    lower = float(np.diff(kept, prepend=0.0) @ _tails(kernel)[powers[: len(kept)]] if n > 1 else 0.5)
    if n <= pairwise:
        lower = max(lower, 0.5 - dense)
    rounding = 16 * n * _EPS
    return AngleBounds(
        max(0.0, lower - rounding) * float(lengths.min()) ** 2 * (1 - 8 * _EPS),
        upper * (1 + 16 * _EPS),
        (0.5 + norm + rounding) * float(lengths.max()) ** 2 * (1 + 8 * _EPS),
    )


def _powers() -> Array:
    octaves = 2 ** np.arange(_OCTAVES)
    return np.array([*range(1, _DENSE + 1), *sorted([*(12 * octaves), *(16 * octaves)])])


def _sums_at(moduli: Array) -> Array:
    """Largest row sums of |rho|^p at every power of `_powers`; what is nearly zero is only counted from then on."""
    found, power = [], np.ones_like(moduli)
    for _ in range(_DENSE):
        power *= moduli
        found.append(float(power.sum(axis=1).max()))
    rest = 2.0**-44  # all that is dropped of a row, at whatever power
    near = power > rest / moduli.shape[1]
    place, whole = np.nonzero(near)[0], power[near]
    half = whole * np.sqrt(whole)  # |rho|^12, beside |rho|^8
    for _ in range(_OCTAVES):
        near = half > rest / moduli.shape[1]
        place, half, whole = place[near], half[near], whole[near] ** 2
        for sums in (half, whole):
            found.append((float(np.bincount(place, sums).max()) if len(place) else 0.0) + rest)
        half = half * half
    return np.array(found)


def _tails(kernel: Kernel) -> Any:
    """Lower bounds of sum_{q >= p} a_q, by the power p."""
    table = coefficients(kernel, _TABLE)
    return _Tails(kernel, np.cumsum([_integral(kernel, _TABLE), *table[::-1]])[::-1])


@dataclass(frozen=True)
class _Tails:
    kernel: Kernel
    table: Array

    def __getitem__(self, powers: Array) -> Array:
        return np.array([self.table[p] if p <= _TABLE else _integral(self.kernel, int(p)) for p in powers])


def _integral(kernel: Kernel, power: int, pi: Any = math.pi) -> Any:
    """A lower bound of sum_{q >= p} a_q, as binom(2j, j)/4^j >= sqrt(2/(pi (2j + 1))) and 1/x^s is convex.

    a_q of even q = 2j + 2 is binom(2j, j)/4^j/(2 pi (2j + 1)), divided by q of the outputs' kernel.
    """
    first = power + power % 2
    if kernel == "gram":
        return np.sqrt(2 / (pi * (first - 1))) / (2 * pi)
    return np.sqrt(2 / (pi * first)) / (6 * pi * first)


def _kernel_ends(inner: Array, slack: float, kernel: Kernel) -> tuple[Array, Array]:
    """Lower and upper end of |K| at inner products that may be off by `slack`."""
    size, fuzz = np.abs(inner), 8 * _EPS
    low, high = np.maximum(size - slack, 0.0), np.minimum(size + slack, 1.0)
    if kernel == "covariance":
        return (
            np.maximum(_outputs(np.maximum(inner - slack, -1.0)) - fuzz, 0.0),
            np.asarray(_outputs(np.minimum(inner + slack, 1.0)) + fuzz, np.float64),
        )
    # pi - theta is arccos |rho| where rho < 0, and falls with |rho| there
    fall = inner < 0
    narrow = np.where(fall, np.arccos(high), math.pi - np.arccos(low))
    wide = np.where(fall, np.arccos(low), math.pi - np.arccos(high))
    return np.maximum(low * narrow / (2 * math.pi) - fuzz, 0.0), high * wide / (2 * math.pi) + fuzz


def _outputs(inner: Array) -> Array:
    root = np.sqrt((1 - inner) * (1 + inner))
    return np.asarray((root + inner * (math.pi - np.arccos(inner))) / (2 * math.pi), np.float64)


def _majorant(inner: Array, moduli: Array, kernel: Kernel) -> Array:
    """At least |K| off the diagonal, 0 on it: arcsin rho <= pi rho/2 for rho >= 0; K_1 is convex and increasing."""
    if kernel == "gram":
        return np.asarray(moduli * (1 + np.where(inner > 0, moduli, 0.0)) / 4, np.float64)
    chord = 1 / (2 * math.pi) + np.where(inner > 0, (0.5 - 1 / (2 * math.pi)) * moduli, 0.0)
    return np.where(moduli > 0, chord, 0.0)


def _of_pairs(inner: Array, lengths: Array, start: int, slack: float, kernel: Kernel, *, every: bool) -> float:
    """The smaller eigenvalue of two rows and columns: of all pairs, or each row with its nearest in direction."""
    size = len(inner)
    if every:
        low = _kernel_ends(inner, slack, kernel)[0]
        first, second = np.broadcast_to(lengths[start : start + size, None], low.shape), lengths[None, :]
        low[np.arange(size), start + np.arange(size)] = 0.0
    else:
        # a sample at more than a right angle to all others is not its own neighbour
        others = inner.copy()
        others[np.arange(size), start + np.arange(size)] = -np.inf
        nearest = others.argmax(axis=1)
        low = _kernel_ends(inner[np.arange(size), nearest], slack, kernel)[0]
        first, second = lengths[start : start + size], lengths[nearest]
    mean, gap = (first**2 + second**2) / 4, (first**2 - second**2) / 4
    return float((mean - np.hypot(gap, first * second * low)).min())
