"""Evaluating grouped Gaussian moments in float64, for all pairs of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.symbolic.expectation import uniform
from ntkverify.symbolic.expectation.closed_forms import smooth_moment
from ntkverify.symbolic.expectation.gaussian import half_space_power
from ntkverify.symbolic.expectation.geometry import Frames, PlaneGeometry, pair_frames
from ntkverify.symbolic.expectation.halfspace import PlaneMoments
from ntkverify.symbolic.expectation.hermite import HermiteTables
from ntkverify.symbolic.expectation.quadrature import plane_expectations
from ntkverify.symbolic.expectation.terms import GroupKey, Groups
from ntkverify.symbolic.expectation.wick import PlanePolynomials, Squares
from ntkverify.symbolic.expression.choices import ARRAY_FUNCTIONS
from ntkverify.symbolic.expression.pieces import pieces_of
from ntkverify.symbolic.expression.running_error import UNIT
from ntkverify.symbolic.limit.splitting import Derivation

# entries of the planes of pairs of points that are held at a time: 32 MiB
_PLANE_ENTRIES = 1 << 22


@dataclass
class ArrayMoments:
    """Moments for all pairs of points in float64.

    Parameters
    ----------
    derivation : Derivation
    coordinates : tuple of sympy.Symbol
    """

    derivation: Derivation
    coordinates: tuple[sympy.Symbol, ...]
    _tables: HermiteTables = field(default_factory=HermiteTables)

    def kernel(self, groups: Groups, x: Array, y: Array) -> tuple[Array, Array]:
        """Sum over the groups for the points x (n, d) and y (n', d), and its error; both have shape (n, n').

        The error is estimated where a quadrature was taken, and bounded by a running analysis for the closed forms of
        erf, sin and cos, in which large terms cancel far out. Those of half-spaces are good to rounding: theirs is 0.
        """
        # products of weights need the plane of each pair of points, which has as many entries as there are weights
        rows = max(1, _PLANE_ENTRIES // (len(y) * len(self.derivation.weights)))
        if rows < len(x) and any(key[0] for key in groups):
            parts = [self.kernel(groups, x[i : i + rows], y) for i in range(0, len(x), rows)]
            values, errors = zip(*parts, strict=True)
            return np.concatenate(values), np.concatenate(errors)
        total, error = np.zeros((len(x), len(y))), np.zeros((len(x), len(y)))
        by_forms: dict[tuple[int, int], list[tuple[GroupKey, Array]]] = {}
        for key, pairs in groups.items():
            coefficient = self.columns([c for c, _ in pairs], x) @ self.columns([c for _, c in pairs], y).T
            by_forms.setdefault((key[2], key[4]), []).append((key, coefficient))
        for (left, right), members in by_forms.items():
            u, v = self.form_values(left, x), self.form_values(right, y)
            if self.derivation.box is not None:
                value, uncertain = uniform.array_sum(members, u, v, self.derivation.box)
                total += value
                error += uncertain
                continue
            half = [(k, c) for k, c in members if None not in (half_space_power(k[1]), half_space_power(k[3]))]
            rest = [(k, c) for k, c in members if None in (half_space_power(k[1]), half_space_power(k[3]))]
            if half:
                total += half_space_sum(half, u, v, self.derivation)
            if rest:
                value, uncertain = self._smooth(rest, u, v)
                total += value
                error += uncertain
        return total, error

    def _smooth(self, members: list[tuple[GroupKey, Array]], u: Array, v: Array) -> tuple[Array, Array]:
        """Groups with other functions: by closed form where there is one, else by quadrature; and the error."""
        total, error = np.zeros((len(u), len(v))), np.zeros((len(u), len(v)))
        closed = [m for m in members if has_smooth_form(m[0])]
        rest = [m for m in members if not has_smooth_form(m[0])]
        if closed:
            frames = pair_frames(u, v, with_second=any(key[0] for key, _ in closed))
            geometry = PlaneGeometry.of(u, v, frames)
            known: dict[tuple[Any, ...], Any] = {}
            polynomials = _pair_polynomials(frames, self.derivation)
            for key, coefficient in closed:
                for powers, c in polynomials(key[0]).items():
                    request = (key[1], key[3], powers)
                    if request not in known:
                        known[request] = smooth_moment(geometry.tokens(*powers), key[1], key[3], geometry)
                    found, scale = known[request], coefficient * c
                    total += scale * found.value
                    error += np.abs(scale) * (found.error + 4 * UNIT * np.abs(found.value))
        if rest:
            value, uncertain = quadrature_sum(rest, u, v, self._tables, self.derivation)
            total += value
            error += uncertain
        return total, error

    def columns(self, expressions: Sequence[sympy.Expr], points: Array) -> Array:
        """Values (n, k) of k expressions in the coordinates."""
        result = np.empty((len(points), len(expressions)))
        # of hundreds of coordinates most stand by themselves, and compiling them would take longer than the rest
        place = {symbol: i for i, symbol in enumerate(self.coordinates)}
        alone = {k: found for k, e in enumerate(expressions) if (found := _multiple(e)) and found[0] in place}
        for k, (symbol, number) in alone.items():
            np.multiply(points[:, place[symbol]], number, out=result[:, k])
        rest = {k: e for k, e in enumerate(expressions) if k not in alone}
        if rest:
            used = set().union(*(e.free_symbols for e in rest.values()))
            arguments = {symbol: points[:, i] for symbol, i in place.items() if symbol in used}
            with np.errstate(all="ignore"):  # of what is not chosen; the points are checked
                values = _compiled(tuple(rest.values()), tuple(arguments))(*arguments.values())
            for k, value in zip(rest, values, strict=True):
                result[:, k] = value
        return result

    def form_values(self, form: int, points: Array) -> Array:
        """Coefficients (n, number of weights) of a linear form; zeros for the form of a constant."""
        if form < 0:
            return np.zeros((len(points), len(self.derivation.weights)))
        return self.columns(self.derivation.forms[form], points)


@lru_cache(maxsize=1 << 14)
def _multiple(expression: sympy.Expr) -> tuple[sympy.Symbol, float] | None:
    """The symbol and the number of which an expression is the product, if it is."""
    factors = sympy.Mul.make_args(expression)
    symbols = [f for f in factors if f.is_Symbol]
    if len(symbols) != 1 or not all(f.is_number for f in factors if not f.is_Symbol):
        return None
    return symbols[0], _as_float(sympy.Mul(*(f for f in factors if not f.is_Symbol)))


@lru_cache(maxsize=4096)
def _as_float(number: sympy.Expr) -> float:
    return float(number)


@lru_cache(maxsize=4096)
def _compiled(expressions: tuple[sympy.Expr, ...], arguments: tuple[sympy.Symbol, ...]) -> Callable[..., Any]:
    return sympy.lambdify(arguments, expressions, [ARRAY_FUNCTIONS, "scipy", "numpy"], cse=True)  # type: ignore[no-any-return]


def has_smooth_form(key: GroupKey) -> bool:
    """Whether both functions of a group are analytic and their product has a closed form."""
    left, right = pieces_of(key[1]), pieces_of(key[3])
    if left is None or right is None:
        return False
    every = (*left, *right)
    return not (any(p.scale != 0 for p in every) and any(p.frequency != 0 for p in every))


def quadrature_sum(
    members: list[tuple[GroupKey, Array]], u: Array, v: Array, tables: HermiteTables, derivation: Derivation
) -> tuple[Array, Array]:
    """sum of coefficient * E[w^monomial A(w.u) B(w.v)] over the groups, by Hermite series, and its error estimate."""
    frames = pair_frames(u, v, with_second=any(key[0] for key, _ in members))
    polynomials = list(map(_pair_polynomials(frames, derivation), (key[0] for key, _ in members)))
    requests = list(
        dict.fromkeys((key[1], key[3], a, b) for (key, _), p in zip(members, polynomials, strict=True) for a, b in p)
    )
    values, errors = plane_expectations(
        requests, frames.norms_left, frames.norms_right, np.cos(frames.angle), np.sin(frames.angle), tables
    )
    known = dict(zip(requests, zip(values, errors, strict=True), strict=True))
    total, error = np.zeros((len(u), len(v))), np.zeros((len(u), len(v)))
    for (key, coefficient), polynomial in zip(members, polynomials, strict=True):
        for (a, b), c in polynomial.items():
            value, uncertain = known[key[1], key[3], a, b]
            total += coefficient * c * value
            error += np.abs(coefficient * c) * uncertain
    return total, error


def _pair_polynomials(frames: Frames, derivation: Derivation) -> PlanePolynomials:
    """Products of weights, given the two linear forms, for all pairs of points."""
    second = frames.second
    squares = None
    if second is not None and derivation.is_isotropic:
        seen = (np.any(part != 0, axis=-1).astype(float) for part in (frames.first, second))
        squares = Squares(len(derivation.weights), len(derivation.inside), *seen)
    return PlanePolynomials(
        lambda k: frames.first[:, :, k],
        lambda k: second[:, :, k] if second is not None else 0.0,
        1.0,
        squares=squares,
    )


def half_space_sum(members: list[tuple[GroupKey, Array]], u: Array, v: Array, derivation: Derivation) -> Array:
    """sum of coefficient * E[w^monomial (w.u)_+^i (w.v)_+^j] over the groups, for all pairs of rows.

    A zero vector makes (w.u)_+^0 = 1 and other powers 0. It takes the direction of its partner, because
    E[w^monomial (w.v)_+^j] = E[w^monomial 1{w.v >= 0} (w.v)_+^j]; two zero vectors see only half of space, hence the 2.
    """
    powers = [(half_space_power(k[1]) or 0, half_space_power(k[3]) or 0) for k, _ in members]
    with_second = any(k[0] for k, _ in members)
    frames = pair_frames(u, v, with_second=with_second)
    degree = max(len(k[0]) + i + j for (k, _), (i, j) in zip(members, powers, strict=True))
    plane = PlaneMoments(frames.supplement, degree=degree)
    polynomials = _pair_polynomials(frames, derivation)
    total = np.zeros((len(u), len(v)))
    for (key, coefficient), (i, j) in zip(members, powers, strict=True):
        moment = sum((c * plane(a, b, i, j) for (a, b), c in polynomials(key[0]).items()), np.zeros(()))
        norms = np.multiply.outer(frames.norms_left**i, frames.norms_right**j)
        total += coefficient * norms * moment
    total[np.ix_(frames.norms_left == 0, frames.norms_right == 0)] *= 2
    return total
