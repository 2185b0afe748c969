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
from dataclasses import dataclass, field
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
# rounding of a second moment and of a sum of squares
_PARSEVAL = 16 * _EPS
# entries of a block of pairs whose series are summed together
_BLOCK = 16384
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
    """Composite Gauss-Legendre on [-CUT, CUT], symmetric, with a panel boundary at 0 where kinks lie."""
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    width = _CUT / panels
    positive = (width * (np.arange(panels)[:, None] + (nodes + 1) / 2)).ravel()
    masses = np.tile(weights * width / 2, panels)
    return np.concatenate([-positive[::-1], positive]), np.concatenate([masses[::-1], masses])


@lru_cache(maxsize=10)
def _hermite(panels: int, count: int) -> FloatArray:
    """weight * h_k(u) phi(u) at the nodes, for k < count, shape (nodes, count)."""
    nodes, weights = _rule(panels)
    root = np.exp(-(nodes**2) / 4) / (2 * np.pi) ** 0.25
    # Hermite functions h_k phi^(1/2): bounded, and the recurrence upwards is stable on the whole line
    table = np.empty((count, len(nodes)))
    table[0] = root
    table[1] = nodes * root
    for k in range(1, count - 1):
        table[k + 1] = (nodes * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return np.ascontiguousarray((table * (weights * root)).T)


@dataclass
class HermiteTables:
    """Hermite coefficients of functions of one normal variable, each computed once.

    Everything is per function, power and array of norms: the function u^power * f(norm u) is sampled on a composite
    Gauss rule, and on one with panels half as wide, whose difference is the estimate of the error.
    """

    _samples: dict[tuple[Any, ...], FloatArray] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def _sampled(self, function: sympy.Expr, norms: FloatArray, panels: int) -> FloatArray:
        key = (function, norms.tobytes(), panels)
        if key not in self._samples:
            self._samples[key] = compiled(function)(norms[:, None] * _rule(panels)[0])
        return self._samples[key]

    def coefficients(
        self, function: sympy.Expr, power: int, norms: FloatArray, count: int
    ) -> tuple[FloatArray, FloatArray]:
        """Coefficients 0 .. count - 1, and an estimate of their errors.

        Returns
        -------
        values : array (points, count)
        errors : array (points,)
            The largest difference to a rule with panels half as wide, plus rounding.
        """
        key = (function, power, norms.tobytes(), count)
        if key not in self._known:
            results = []
            for panels in _panels(norms, count):
                nodes, _ = _rule(panels)
                values = self._sampled(function, norms, panels)
                results.append((values * nodes**power if power else values) @ _hermite(panels, count))
            fine = results[1]
            size = np.sqrt(np.sum(fine**2, axis=1))
            errors = np.max(np.abs(fine - results[0]), axis=1, initial=0.0) + 4 * _EPS * size
            # what is below rounding is noise, which the factors sqrt((k + q)!/k!) would raise
            self._known[key] = np.where(np.abs(fine) > 2 * _EPS * size[:, None], fine, 0.0), errors
        return self._known[key]  # type: ignore[no-any-return]

    def energies(self, function: sympy.Expr, power: int, order: int, norms: FloatArray) -> FloatArray | None:
        """E[(u^power norm^q f^(q)(norm u))^2] for the derivative of order q, or None if that is no function."""
        if order and function.has(PositivePower):
            return None
        key = ("energy", function, power, order, norms.tobytes())
        if key not in self._known:
            panels = _panels(norms, _FIRST)[1]
            nodes, weights = _rule(panels)
            mass = weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * nodes ** (2 * power)
            values = self._sampled(sympy.diff(function, Z, order), norms, panels)
            self._known[key] = (values**2 @ mass) * norms ** (2 * order)
        return self._known[key]  # type: ignore[no-any-return]


def _panels(norms: FloatArray, count: int) -> tuple[int, int]:
    # powers of two, so that the tables of Hermite functions are shared
    scale = 2.0 ** math.ceil(math.log2(max(1.0, float(np.max(norms, initial=0.0)), math.sqrt(count) / 6)))
    return math.ceil(_CUT * scale / 2), 2 * math.ceil(_CUT * scale / 2)


def plane_expectations(
    requests: Sequence[Request],
    norms_left: FloatArray,
    norms_right: FloatArray,
    cosine: FloatArray,
    sine: FloatArray,
    tables: HermiteTables | None = None,
) -> tuple[list[FloatArray], list[FloatArray]]:
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
    tables = tables or HermiteTables()
    found: dict[Request, tuple[FloatArray, FloatArray]] = {}
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
            raise _too_large((f, g, a, 0), largest)
        orders = dict.fromkeys(q for b in powers for q, _ in _hermite_parts(b))
        sums = {q: _sum(left[0], right[0], q, cosine, sine) for q in orders}
        for b, (truncation, _, rounding) in zip(powers, estimates, strict=True):
            value = sum((factor * sums[q] for q, factor in _hermite_parts(b)), np.zeros(cosine.shape))
            found[f, g, a, b] = value, truncation + rounding
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


def _tails(
    alpha: FloatArray, beta: FloatArray, q: int, energy: FloatArray | None, lifted_energy: FloatArray | None
) -> FloatArray:
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
    left: tuple[FloatArray, FloatArray],
    right: tuple[FloatArray, FloatArray],
    b: int,
    tails: dict[int, FloatArray],
    cosine: FloatArray,
    sine: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
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


def _sum(alpha: FloatArray, beta: FloatArray, q: int, cosine: FloatArray, sine: FloatArray) -> FloatArray:
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
