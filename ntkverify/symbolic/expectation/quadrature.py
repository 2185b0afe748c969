r"""Gaussian expectations of functions without closed form, by Hermite expansions, with an error estimate.

With t = u cos(theta) + v sin(theta), h_k the normalised Hermite polynomials and He_q the unnormalised ones,

.. math:: E[u^a\, He_q(v)\, A(\rho u)\, B(\rho' t)]
          = \sin^q\theta \sum_k \sqrt{(k+q)!/k!}\;\alpha_k\,\beta_{k+q} \cos^k\theta,

where alpha are the coefficients of u^a A(rho u) and beta those of B(rho' t). The coefficients depend on one point
each and come from one-dimensional integrals, so that all pairs of points cost one polynomial in the cosine. Nothing
cancels for nearly parallel points. For functions with a nearest pole at distance d the coefficients decay like
exp(-d sqrt(2k)); the truncation is checked on them, see `plane_expectations`. Where they are too many, because a
function is steep, each pair of points is integrated in polar coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.hermite import HermiteTables, compiled
from ntkverify.symbolic.expression.functions import PositivePower

_FIRST, _MOST = 128, 2048
_LARGEST_NORM = 16.0
_EPS = float(np.finfo(float).eps)
# a truncation estimate that is this small, relative to the size of the integral, is below what rounding leaves
_SETTLED = 1e-14
# rounding of a second moment and of a sum of squares
_PARSEVAL = 16 * _EPS
# entries of a block of pairs whose series are summed together
_BLOCK = 16384
_ACCEPTED = 1e-11
# where the series does not settle: halvings of panels in polar coordinates, what is asked of them, and their radius
_DEPTHS = (5, 9, 14)
_SETTLED_POLAR = 1e-11
_CUT = 13
Request = tuple[sympy.Expr, sympy.Expr, int, int]


def plane_expectations(
    requests: Sequence[Request],
    norms_left: Array,
    norms_right: Array,
    cosine: Array,
    sine: Array,
    tables: HermiteTables | None = None,
) -> tuple[list[Array], list[Array]]:
    """E[u^a v^b A(rho u) B(rho' (u cosine + v sine))] for every request (A, B, a, b) and every pair.

    The rest of a series is bounded by Cauchy-Schwarz, with the sums of the squares of all later coefficients from
    Parseval's identity: the second moment of the function less the squares summed. Where that difference is below
    rounding, or a kink leaves no second moment of a derivative, the last quarter of the terms summed stands for the
    rest. The one-dimensional integrals themselves carry an estimate, the difference of two rules.

    Parameters
    ----------
    requests : sequence of (sympy.Expr, sympy.Expr, int, int)
    norms_left, norms_right : arrays (n,), (n',)
    cosine, sine : arrays (n, n')
    tables : HermiteTables, optional
        Where to look up and leave one-dimensional integrals.

    Returns
    -------
    values, errors : lists of arrays (n, n')
        Values and estimates of their absolute errors (truncation, coefficients and rounding).

    Raises
    ------
    NtkVerifyError
        If both functions of a request have a kink, or neither series nor polar coordinates give the integral.
    """
    for left, right, _, _ in requests:
        if left.has(PositivePower) and right.has(PositivePower):
            raise NtkVerifyError(
                f"no closed form is known for the Gaussian expectation of {left} times {right}, and with a kink in "
                "both its Hermite series settles too slowly; give the two parts networks of their own."
            )
    largest = max(float(np.max(n, initial=0.0)) for n in (norms_left, norms_right))
    if largest > _LARGEST_NORM:
        return _all_polar(requests, norms_left, norms_right, cosine, sine)
    tables = tables or HermiteTables()
    found: dict[Request, tuple[Array, Array]] = {}
    for f, g, a in dict.fromkeys(request[:3] for request in requests):
        powers = [b for *rest, b in requests if tuple(rest) == (f, g, a)]
        count = _FIRST
        while True:
            left, right = tables.coefficients(f, a, norms_left, count), tables.coefficients(g, 0, norms_right, count)
            tails = {
                q: _tails(
                    left[0], right[0], q, tables.energies(f, a, 0, norms_left), tables.energies(g, 0, q, norms_right)
                )
                for q in {q for b in powers for q, _ in _hermite_parts(b)}
            }
            estimates = [_estimates(left, right, b, tails, cosine, sine) for b in powers]
            unsettled = max(float(np.max(truncation / size, initial=0.0)) for truncation, size, _ in estimates)
            if unsettled <= _SETTLED or count >= _MOST:
                break
            # the coefficients decay like exp(-d sqrt(2 k)): far from the mark, twice as many terms won't do
            count = min(_MOST, count * (4 if unsettled > math.sqrt(_SETTLED) else 2))
        if unsettled > _ACCEPTED:
            own = [(f, g, a, b) for b in powers]
            found |= zip(own, zip(*_all_polar(own, norms_left, norms_right, cosine, sine), strict=True), strict=True)
            continue
        orders = dict.fromkeys(q for b in powers for q, _ in _hermite_parts(b))
        sums = {q: _sum(left[0], right[0], q, cosine, sine) for q in orders}
        for b, (truncation, _, rounding) in zip(powers, estimates, strict=True):
            value = sum((factor * sums[q] for q, factor in _hermite_parts(b)), np.zeros(cosine.shape))
            found[f, g, a, b] = value, truncation + rounding
    return [found[r][0] for r in requests], [found[r][1] for r in requests]


def _all_polar(
    requests: Sequence[Request], norms_left: Array, norms_right: Array, cosine: Array, sine: Array
) -> tuple[list[Array], list[Array]]:
    """As `plane_expectations`, pair by pair in polar coordinates: for functions too steep for a series.

    Raises
    ------
    NtkVerifyError
        If a function changes fast elsewhere than where its argument is 0.
    """
    results = np.zeros((2, len(requests), *cosine.shape))
    angles = np.arctan2(sine, cosine)
    for (i, j), angle in np.ndenumerate(angles):
        norms = float(norms_left[i]), float(norms_right[j])
        for depth in _DEPTHS:
            values, errors, sizes = _polar(requests, norms, float(angle), depth)
            if np.all(errors <= _SETTLED_POLAR * sizes):
                break
        else:
            worst = int(np.argmax(errors / sizes))
            raise NtkVerifyError(
                f"the Gaussian expectation of {requests[worst][0]} times {requests[worst][1]} is known to "
                f"{float(errors[worst] / sizes[worst]):.0e} of its size only for points of norm {norms[0]:.3g} and "
                f"{norms[1]:.3g}, because a function changes fast where its argument is not 0; scale the points down."
            )
        results[:, :, i, j] = values, errors
    return list(results[0]), list(results[1])


def _polar(
    requests: Sequence[Request], norms: tuple[float, float], angle: float, depth: int
) -> tuple[Array, Array, Array]:
    """Values, errors and sizes of expectations of one pair, with u = r cos(s), v = r sin(s).

    An argument changes sign where s is a quarter turn off its direction, and is small for small r: there the panels of
    Gauss rules are halved `depth` times. The error is the difference to a rule with fewer nodes, plus rounding.
    """
    steps = 2.0 ** -np.arange(depth + 1)
    around = np.concatenate([-steps, [0.0], steps]) * np.pi / 2
    quarter = np.array([np.pi / 2, -np.pi / 2, angle + np.pi / 2, angle - np.pi / 2])
    turns = np.unique(np.concatenate([np.mod(np.add.outer(quarter, around).ravel(), 2 * np.pi), [0.0, 2 * np.pi]]))
    lengths = np.concatenate([[0.0], steps[::-1], np.arange(2.0, _CUT + 1)])
    found = []
    for nodes in (12, 18):
        (s, ds), (r, dr) = _panels_of(turns, nodes), _panels_of(lengths, nodes)
        mass = np.multiply.outer(ds, dr * r * np.exp(-(r**2) / 2)) / (2 * np.pi)
        arguments = [n * np.multiply.outer(np.cos(s - shift), r) for n, shift in zip(norms, (0.0, angle), strict=True)]
        known: dict[tuple[int, sympy.Expr], Array] = {}
        for f, g, _, _ in requests:
            for side, function in enumerate((f, g)):
                if (side, function) not in known:
                    known[side, function] = compiled(function)(arguments[side])
        moments = []
        for f, g, a, b in requests:
            powers = np.multiply.outer(np.cos(s) ** a * np.sin(s) ** b, r ** (a + b))
            terms = mass * powers * known[0, f] * known[1, g]
            moments.append((np.sum(terms), np.sum(np.abs(terms))))
        found.append(np.array(moments))
    sizes = np.maximum(found[1][:, 1], np.finfo(float).tiny)
    errors = np.abs(found[1][:, 0] - found[0][:, 0]) + 32 * _EPS * sizes
    return found[1][:, 0], errors, sizes


def _panels_of(edges: Array, nodes: int) -> tuple[Array, Array]:
    """Nodes and weights of a composite Gauss rule."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


def _hermite_parts(b: int) -> list[tuple[int, int]]:
    """v^b = sum of factor * He_q(v), as pairs (q, factor)."""
    return [
        (b - 2 * j, math.factorial(b) // (2**j * math.factorial(j) * math.factorial(b - 2 * j)))
        for j in range(b // 2 + 1)
    ]


def _ratios(q: int, count: int) -> Array:
    """sqrt((k + q)!/k!) for k < count - q."""
    result = np.ones(count - q)
    for step in range(1, q + 1):
        result *= np.sqrt(np.arange(count - q) + step)
    return result


def _tails(alpha: Array, beta: Array, q: int, energy: Array | None, lifted_energy: Array | None) -> Array:
    """Bounds (n, n') of the rest of the series of E[He_q(v) A B] without its powers of the cosine."""
    count = alpha.shape[1]
    sides = ((alpha[:, : count - q], energy), (beta[:, q:] * _ratios(q, count), lifted_energy))
    bounds = []
    for summed, every in sides:
        last = np.sqrt(np.sum(summed[:, 3 * (count - q) // 4 :] ** 2, axis=1))
        if every is None:
            bounds.append(last)
            continue
        # the difference is known to a few roundings of the whole
        rest, unseen = every - np.sum(summed**2, axis=1), _PARSEVAL * every
        bounds.append(np.where(rest > unseen, np.sqrt(rest.clip(0) + unseen), np.minimum(last, np.sqrt(2 * unseen))))
    return np.asarray(np.multiply.outer(*bounds))


def _estimates(
    left: tuple[Array, Array],
    right: tuple[Array, Array],
    b: int,
    tails: dict[int, Array],
    cosine: Array,
    sine: Array,
) -> tuple[Array, Array, Array]:
    """Bound of the truncation, size of the expectation, and error from coefficients and rounding, per pair."""
    (alpha, alpha_error), (beta, beta_error) = left, right
    count = alpha.shape[1]
    truncation, size, rounding = (np.zeros(cosine.shape) for _ in range(3))
    for q, factor in _hermite_parts(b):
        lifted, kept = beta[:, q:] * _ratios(q, count), alpha[:, : count - q]
        norm_left, norm_right = (np.sqrt(np.sum(c**2, axis=1)) for c in (kept, lifted))
        product = np.multiply.outer(norm_left, norm_right)
        angular = factor * np.abs(sine) ** q
        # a coefficient is uncertain by its error in every place
        ones_left, ones_right = (np.sum(np.abs(c), axis=1) for c in (kept * _ratios(q, count), lifted))
        spread = np.multiply.outer(alpha_error, ones_right) + np.multiply.outer(ones_left, beta_error)
        # what stands for the rest of a kinked series are terms from three quarters of it on
        truncation += angular * np.abs(cosine) ** (3 * (count - q) // 4) * tails[q]
        rounding += angular * (spread + 16 * _EPS * product)
        size += factor * product
    return truncation, np.maximum(size, np.finfo(float).tiny), rounding


def _sum(alpha: Array, beta: Array, q: int, cosine: Array, sine: Array) -> Array:
    """E[He_q(v) A B] by Horner's rule in the cosine."""
    count = alpha.shape[1]
    kept, lifted = alpha[:, : count - q].T, (beta[:, q:] * _ratios(q, count)).T
    # odd and even functions have every second coefficient 0; what a small share of rounding drops is in the estimate
    weight = np.max(np.abs(kept), axis=1, initial=0.0) * np.max(np.abs(lifted), axis=1, initial=0.0)
    present = np.flatnonzero(weight > _EPS / 1000 * np.max(weight, initial=0.0))
    gaps = np.diff(present, prepend=0).tolist()
    total = np.empty(cosine.shape)
    # as many rows at a time as the processor's cache holds
    rows = max(1, _BLOCK // max(1, cosine.shape[1]))
    for start in range(0, len(total), rows):
        part, block = cosine[start : start + rows], slice(start, start + rows)
        powers = {gap: part**gap for gap in set(gaps)}
        sums, term = np.zeros(part.shape), np.empty(part.shape)
        for k, gap in zip(present[::-1], gaps[::-1], strict=True):
            np.multiply(kept[k, block][:, None], lifted[k][None, :], out=term)
            sums += term
            if gap:
                sums *= powers[gap]
        total[block] = sums
    return np.asarray(sine**q * total)
