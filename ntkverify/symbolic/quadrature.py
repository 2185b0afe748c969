r"""Gaussian expectations of functions without closed form, by Hermite expansions, with an error estimate.

With t = u cos(theta) + v sin(theta), h_k the normalised Hermite polynomials and He_q the unnormalised ones,

.. math:: E[u^a\, He_q(v)\, A(\rho u)\, B(\rho' t)]
          = \sin^q\theta \sum_k \sqrt{(k+q)!/k!}\;\alpha_k\,\beta_{k+q} \cos^k\theta,

where alpha are the coefficients of u^a A(rho u) and beta those of B(rho' t). The coefficients depend on one point
each and come from one-dimensional integrals, so that all pairs of points cost one polynomial in the cosine. Nothing
cancels for nearly parallel points. For functions with a nearest pole at distance d the coefficients decay like
exp(-d sqrt(2k)); the truncation is checked on them, see `plane_expectations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from scipy import special

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.functions import PositivePower, Z
from ntkverify.symbolic.geometry import FloatArray

# the integrands hold exp(-u^2/4) and more: exp(-CUT^2/4) is 4e-32, far below rounding for polynomials of degree 10
_CUT = 17.0
_PANEL_NODES = 16
_FIRST, _MOST = 128, 2048
_LARGEST_NORM = 16.0
_EPS = float(np.finfo(float).eps)
# a truncation estimate that is this small, relative to the size of the integral, is below what rounding leaves
_SETTLED = 1e-14
_ACCEPTED = 1e-11
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Softplus": lambda z: np.logaddexp(0.0, z),
    "PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0),
    "erf": special.erf,
}

Request = tuple[sympy.Expr, sympy.Expr, int, int]


@lru_cache(maxsize=256)
def compiled(function: sympy.Expr) -> Callable[[FloatArray], FloatArray]:
    """A function of ``Z`` on arrays."""
    call = sympy.lambdify(Z, function, [_FUNCTIONS, "numpy", "scipy"], cse=True)
    return lambda z: np.broadcast_to(np.asarray(call(z), dtype=float), z.shape)


@lru_cache(maxsize=16)
def _rule(panels: int) -> tuple[FloatArray, FloatArray]:
    """The positive half of a composite Gauss-Legendre rule on [-CUT, CUT], a panel boundary at 0 where kinks lie."""
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    width = _CUT / panels
    positive = (width * (np.arange(panels)[:, None] + (nodes + 1) / 2)).ravel()
    return positive, np.tile(weights * width / 2, panels)


@lru_cache(maxsize=10)
def _hermite(panels: int, count: int) -> tuple[FloatArray, FloatArray]:
    """weight * h_k(u) phi(u) at the positive nodes, shape (nodes, k), for the even and for the odd k < count."""
    nodes, weights = _rule(panels)
    root = np.exp(-(nodes**2) / 4) / (2 * np.pi) ** 0.25
    # Hermite functions h_k phi^(1/2): bounded, and the recurrence upwards is stable on the whole line
    table = np.empty((count, len(nodes)))
    table[0] = root
    table[1] = nodes * root
    for k in range(1, count - 1):
        table[k + 1] = (nodes * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    table *= weights * root
    return np.ascontiguousarray(table[::2].T), np.ascontiguousarray(table[1::2].T)


def coefficients(
    functions: Sequence[tuple[sympy.Expr, int]], norms: FloatArray, count: int
) -> list[tuple[FloatArray, FloatArray]]:
    """Hermite coefficients 0 .. count - 1 of u^power * function(norm u), and an estimate of their errors.

    All (function, power) at once, for what it costs is one reading of the table of Hermite functions.

    Returns
    -------
    list of (values, errors)
        values : array (points, count)
        errors : array (points,): the largest difference to a rule with panels half as wide, plus rounding.
    """
    # powers of two, so that the tables of Hermite functions are shared
    scale = 2.0 ** math.ceil(math.log2(max(1.0, float(np.max(norms, initial=0.0)), math.sqrt(count) / 6)))
    results = []
    for panels in (math.ceil(_CUT * scale / 2), 2 * math.ceil(_CUT * scale / 2)):
        nodes, _ = _rule(panels)
        at = norms[:, None] * nodes
        result = np.empty((len(functions) * len(norms), count))
        for parity, table in enumerate(_hermite(panels, count)):  # even polynomials see the even part of a function
            folded = []
            for function, power in functions:
                call = compiled(function)
                folded.append((call(at) + (-1) ** (power + parity) * call(-at)) * nodes**power)
            result[:, parity::2] = np.concatenate(folded) @ table
        results.append(result.reshape(len(functions), len(norms), count))
    found = []
    for coarse, fine in zip(*results, strict=True):
        size = np.sqrt(np.sum(fine**2, axis=1))
        errors = np.max(np.abs(fine - coarse), axis=1, initial=0.0) + 4 * _EPS * size
        # what is below rounding is noise, which the factors sqrt((k + q)!/k!) would raise
        found.append((np.where(np.abs(fine) > 2 * _EPS * size[:, None], fine, 0.0), errors))
    return found


def plane_expectations(
    requests: Sequence[Request], norms_left: FloatArray, norms_right: FloatArray, cosine: FloatArray, sine: FloatArray
) -> tuple[list[FloatArray], list[FloatArray]]:
    """E[u^a v^b A(rho u) B(rho' (u cosine + v sine))] for every request (A, B, a, b) and every pair.

    The estimate of the truncation error is the Cauchy-Schwarz bound of the last quarter of the terms that were
    summed: the coefficients decay, so that it is more than the rest of the series.

    Parameters
    ----------
    requests : sequence of (sympy.Expr, sympy.Expr, int, int)
    norms_left, norms_right : arrays (n,), (n',)
    cosine, sine : arrays (n, n')

    Returns
    -------
    values, errors : lists of arrays (n, n')
        Values and estimates of their absolute errors (truncation, coefficients and rounding).

    Raises
    ------
    NtkVerifyError
        If both functions of a request have a kink, or a series does not settle, because the points are too large.
    """
    for left, right, _, _ in requests:
        if left.has(PositivePower) and right.has(PositivePower):
            raise NtkVerifyError(
                f"no closed form is known for the Gaussian expectation of {left} times {right}, and with a kink in "
                "both its Hermite series settles too slowly; give the two parts networks of their own."
            )
    largest = max(float(np.max(n, initial=0.0)) for n in (norms_left, norms_right))
    if largest > _LARGEST_NORM:
        raise _too_large(requests[0], largest)
    found: dict[Request, tuple[FloatArray, FloatArray]] = {}
    pending = list(dict.fromkeys(request[:3] for request in requests))
    count = _FIRST
    while pending:
        # one call a side for all that has not settled
        sides = []
        for norms, wanted in (
            (norms_left, [(f, a) for f, _, a in pending]),
            (norms_right, [(g, 0) for _, g, _ in pending]),
        ):
            unique = list(dict.fromkeys(wanted))
            sides.append(dict(zip(unique, coefficients(unique, norms, count), strict=True)))
        unsettled = []
        for f, g, a in pending:
            powers = [b for *rest, b in requests if tuple(rest) == (f, g, a)]
            left, right = sides[0][f, a], sides[1][g, 0]
            estimates = [_estimates(left, right, b, cosine, sine) for b in powers]
            off = max(float(np.max(truncation / size, initial=0.0)) for truncation, size, _ in estimates)
            if off > _SETTLED and count < _MOST:
                unsettled.append((f, g, a))
                continue
            if off > _ACCEPTED:
                raise _too_large((f, g, a, 0), largest)
            orders = dict.fromkeys(q for b in powers for q, _ in _hermite_parts(b))
            sums = {q: _sum(left[0], right[0], q, cosine, sine) for q in orders}
            for b, (truncation, _, rounding) in zip(powers, estimates, strict=True):
                value = sum((factor * sums[q] for q, factor in _hermite_parts(b)), np.zeros(cosine.shape))
                found[f, g, a, b] = value, truncation + rounding
        pending, count = unsettled, 2 * count
    return [found[r][0] for r in requests], [found[r][1] for r in requests]


def _too_large(request: Request, norm: float) -> NtkVerifyError:
    return NtkVerifyError(
        f"the Hermite series of {request[0]} times {request[1]} does not settle within {_MOST} terms for points of "
        f"norm up to {norm:.3g}; scale the points down."
    )


def _hermite_parts(b: int) -> list[tuple[int, int]]:
    """v^b = sum of factor * He_q(v), as pairs (q, factor)."""
    return [
        (b - 2 * j, math.factorial(b) // (2**j * math.factorial(j) * math.factorial(b - 2 * j)))
        for j in range(b // 2 + 1)
    ]


def _ratios(q: int, count: int) -> FloatArray:
    """sqrt((k + q)!/k!) for k < count - q."""
    result = np.ones(count - q)
    for step in range(1, q + 1):
        result *= np.sqrt(np.arange(count - q) + step)
    return result


def _estimates(
    left: tuple[FloatArray, FloatArray],
    right: tuple[FloatArray, FloatArray],
    b: int,
    cosine: FloatArray,
    sine: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimate of the truncation, size of the expectation, and error from coefficients and rounding, per pair."""
    (alpha, alpha_error), (beta, beta_error) = left, right
    count = alpha.shape[1]
    decay = np.abs(cosine) ** (3 * count // 4)
    truncation, size, rounding = (np.zeros(cosine.shape) for _ in range(3))
    for q, factor in _hermite_parts(b):
        lifted, kept = beta[:, q:] * _ratios(q, count), alpha[:, : count - q]
        last = slice(3 * (count - q) // 4, None)
        tail = np.multiply.outer(*(np.sqrt(np.sum(c[:, last] ** 2, axis=1)) for c in (kept, lifted)))
        norm_left, norm_right = (np.sqrt(np.sum(c**2, axis=1)) for c in (kept, lifted))
        product = np.multiply.outer(norm_left, norm_right)
        angular = factor * np.abs(sine) ** q
        # a coefficient is uncertain by its error in every place
        ones_left, ones_right = (np.sum(np.abs(c), axis=1) for c in (kept * _ratios(q, count), lifted))
        spread = np.multiply.outer(alpha_error, ones_right) + np.multiply.outer(ones_left, beta_error)
        truncation += angular * decay * tail
        rounding += angular * (spread + 16 * _EPS * product)
        size += factor * product
    return truncation, np.maximum(size, np.finfo(float).tiny), rounding


def _sum(alpha: FloatArray, beta: FloatArray, q: int, cosine: FloatArray, sine: FloatArray) -> FloatArray:
    """E[He_q(v) A B] by Horner's rule in the cosine."""
    count = alpha.shape[1]
    kept, lifted = alpha[:, : count - q].T, (beta[:, q:] * _ratios(q, count)).T
    # odd and even functions have every second coefficient 0; what a small share of rounding drops is in the estimate
    weight = np.max(np.abs(kept), axis=1, initial=0.0) * np.max(np.abs(lifted), axis=1, initial=0.0)
    present = np.flatnonzero(weight > _EPS / 1000 * np.max(weight, initial=0.0))
    gaps = np.diff(present, prepend=0)
    powers = {int(gap): cosine ** int(gap) for gap in set(gaps.tolist())}
    total, term = np.zeros(cosine.shape), np.empty(cosine.shape)
    for k, gap in zip(present[::-1], gaps[::-1], strict=True):
        np.multiply(kept[k][:, None], lifted[k][None, :], out=term)
        total += term
        if gap:
            total *= powers[int(gap)]
    return np.asarray(sine**q * total)
