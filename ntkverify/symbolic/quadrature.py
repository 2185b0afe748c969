r"""Gaussian expectations of analytic functions by the trapezoidal rule, with a checked error estimate.

For an integrand analytic in a strip of half width a, times a Gaussian, the trapezoidal rule of step h errs by about
exp(a^2/2 - 2 pi a / h): halving h at least squares the error. That beats tensorised Gauss-Hermite, which converges like
exp(-c sqrt(nodes)) for tanh and its kin, whose poles lie at a finite distance from the real line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from scipy import special

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.functions import Z
from ntkverify.symbolic.geometry import FloatArray

# exp(-CUT^2/2) is 3e-22: with polynomials and activations of moderate growth the tails are below rounding.
_CUT = 10.0
_MOST_NODES = 700
_CHUNK = 2_000_000
# an observed change of this size between h and h/2 means an error of its square, which is below rounding
_SETTLED = 2e-8
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Softplus": lambda z: np.logaddexp(0.0, z),
    "PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0),
    "erf": special.erf,
}

Request = tuple[sympy.Expr, sympy.Expr, int, int]


@lru_cache(maxsize=256)
def compiled_atoms(atoms: tuple[sympy.Expr, ...]) -> Callable[[FloatArray], list[FloatArray]]:
    """Several functions of ``Z`` on arrays, sharing subexpressions."""
    # powers become chains of products: NumPy's pow is some thirty times slower than a product
    powers = {p for f in atoms for p in f.atoms(sympy.Pow) if p.exp.is_Integer and p.exp > 1}
    bases = sorted({p.base for p in powers}, key=sympy.default_sort_key)
    symbols = [sympy.Dummy("b") for _ in bases]
    highest = [max(int(p.exp) for p in powers if p.base == b) for b in bases]
    chains = [[sympy.Dummy("p") for _ in range(n)] for n in highest]
    named = {p: chains[bases.index(p.base)][int(p.exp) - 1] for p in powers}
    base_values = sympy.lambdify(Z, bases, [_FUNCTIONS, "numpy", "scipy"], cse=True)
    arguments = [Z, *symbols, *(c for chain in chains for c in chain)]
    bare = dict(zip(bases, symbols, strict=True))
    reduced = [f.xreplace(named).xreplace(bare) for f in atoms]
    function = sympy.lambdify(arguments, reduced, [_FUNCTIONS, "numpy", "scipy"], cse=True)

    def call(z: FloatArray) -> list[FloatArray]:
        found = [np.asarray(v, dtype=float) for v in base_values(z)]
        raised = []
        for value, count in zip(found, highest, strict=True):
            power = value
            for k in range(count):
                power = power * value if k else value
                raised.append(power)
        return [np.broadcast_to(np.asarray(v, dtype=float), z.shape) for v in function(z, *found, *raised)]

    return call


@dataclass(frozen=True)
class PlaneGeometry:
    """Pairs of directions in flattened form: z = norm_left u, z' = norm_right (u cosine + v sine)."""

    norm_left: FloatArray
    norm_right: FloatArray
    cosine: FloatArray
    sine: FloatArray


def plane_expectations(requests: Sequence[Request], geometry: PlaneGeometry) -> tuple[list[FloatArray], FloatArray]:
    """E[u^a v^b A(z) B(z')] for every request (A, B, a, b) and every pair.

    Returns
    -------
    values : list of arrays (pairs,)
    errors : array (requests,)
        Estimated absolute errors: the square of the last relative change, plus rounding, times the largest value.

    Raises
    ------
    NtkVerifyError
        If the rule does not settle, because a function is not analytic or its argument's scale is too large.
    """
    largest = max(1.0, float(np.max(geometry.norm_left, initial=0)), float(np.max(geometry.norm_right, initial=0)))
    step = 0.8 / largest
    before: list[FloatArray] | None = None
    while 2 * _CUT / step <= _MOST_NODES:
        values, sizes = _trapezoid(requests, geometry, step)
        if before is not None:
            changes = np.array(
                [np.max(np.abs(new - old), initial=0.0) for new, old in zip(values, before, strict=True)]
            )
            relative = changes / np.where(sizes > 0, sizes, 1.0)
            if np.all(relative <= _SETTLED):
                return values, (relative**2 + 16 * np.finfo(float).eps) * sizes
        before, step = values, step / 2
    functions = sorted({str(f) for left, right, _, _ in requests for f in (left, right)})
    raise NtkVerifyError(
        f"the quadrature of {', '.join(functions)} did not settle with {_MOST_NODES} nodes per dimension for points of "
        f"norm up to {largest:.3g}; it needs analytic functions and smaller points."
    )


def _trapezoid(
    requests: Sequence[Request], geometry: PlaneGeometry, step: float
) -> tuple[list[FloatArray], FloatArray]:
    """The rule with one step; also the size of each integral, by Cauchy-Schwarz in v without the factor v^b."""
    count = int(np.ceil(_CUT / step))
    nodes = step * np.arange(-count, count + 1)
    weights = step * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
    lefts = tuple(dict.fromkeys(r[0] for r in requests))
    rights = tuple(dict.fromkeys(r[1] for r in requests))
    second = {b: weights * nodes**b for b in {r[3] for r in requests}}
    pairs = len(geometry.norm_left)
    values = [np.empty(pairs) for _ in requests]
    sizes = np.zeros(len(requests))
    chunk = max(1, _CHUNK // len(nodes) ** 2)
    for start in range(0, pairs, chunk):
        part = slice(start, start + chunk)
        left = dict(zip(lefts, compiled_atoms(lefts)(geometry.norm_left[part, None] * nodes), strict=True))
        argument = geometry.cosine[part, None, None] * nodes[:, None] + geometry.sine[part, None, None] * nodes
        argument *= geometry.norm_right[part, None, None]
        right = dict(zip(rights, compiled_atoms(rights)(argument), strict=True))
        columns = np.stack(list(second.values()), axis=1)
        inner, root_mean_square = {}, {}
        for f in rights:
            root_mean_square[f] = np.sqrt(np.square(right[f]) @ weights)
            for b, value in zip(second, np.moveaxis(right[f] @ columns, -1, 0), strict=True):
                inner[f, b] = value
        for index, (f, g, a, b) in enumerate(requests):
            outer = left[f] * (weights * nodes**a)
            values[index][part] = np.sum(outer * inner[g, b], axis=1)
            sizes[index] = max(sizes[index], float(np.max(np.sum(np.abs(outer) * root_mean_square[g], axis=1))))
    return values, sizes
