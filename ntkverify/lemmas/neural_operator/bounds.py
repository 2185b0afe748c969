"""What proofs about shallow neural operators share: symbols, bounds at unit samples, instances.

G(u)(y) = alpha m^-1/2 sum_r b_r(u) relu(w_r . y), b_r(u) = p^-1/2 sum_k s_rk relu(v_rk . u), |u_i| = |y_j| = 1, at N
pairs (i, j). beta bounds |b_r(u_i)| and gamma relu(w_r . y_j) at the start; R is how far a w_r moves, S how far the
v_rk of one r move together, so that beta + S and gamma + R bound them later, as p^-1/2 sum_k |dv_rk| <= S. A share
`near` of the neurons (of the units) starts within reach of switching, its pre-activation at most R (at most what a
unit moves).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify.glossary import m, n
from ntkverify.instances import generator, unit_inputs
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.neural_operator.limits import LimitFactors, limit_factors
from ntkverify.symbolic.constants.derived import Derived, derived
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

n_1, n_2, p = sympy.symbols("n_1 n_2 p", positive=True, integer=True)  #: functions, queries, units of a branch
alpha = sympy.Symbol("alpha", positive=True)  #: scale of the output
lambda_trunk, lambda_branch = sympy.symbols("lambda_trunk lambda_branch", positive=True)
Lambda = sympy.Symbol("Lambda", positive=True)  #: lambda_trunk + lambda_branch
norm_sum = sympy.Symbol("norm_sum", positive=True)  #: ||H^inf|| + ||H~^inf||
WORDS: Mapping[sympy.Symbol, str] = {norm_sum: "(||H^inf|| + ||H~^inf||)"}

Expr = Any  # of sympy
BERNSTEIN_V, BERNSTEIN_C = sympy.Rational(3, 4), sympy.Integer(2)


def kappa() -> Derived:
    """Twice the density of a standard normal at 0: P(|g| <= R) <= kappa R."""
    radius = sympy.Symbol("radius", positive=True)
    share = sympy.erf(radius / sqrt(2))
    return derived(sympy.diff(share, radius).subs(radius, 0), "derivative at 0 of P(|g| <= R) = erf(R/sqrt 2)")


def gram_deviation(failure: Expr, draws: Expr) -> Derived:
    """||H(0) - H^inf||_F and the same of the twin, each with `failure` shared out to all entries, of `draws` neurons.

    An entry is a mean of X with E|X|^q <= (2 q - 1)!!/4: b has the moments of a normal number times a share of units,
    of mean 1/2, and half of the neurons are active. So E|X|^q <= q!/2 v c^(q-2) with v = 3/4, c = 2, equal at q = 2,
    and P(|mean - E X| > sqrt(2 v t/draws) + c t/draws) <= 2 exp(-t) (Bernstein).
    """
    t = sympy.log(2 * n * (n + 1) / failure)  # N (N + 1)/2 entries of two matrices, two tails
    entry = sqrt(2 * BERNSTEIN_V * t / draws) + BERNSTEIN_C * t / draws
    return derived(alpha**2 * n * entry, "Bernstein with v = 3/4, c = 2, N (N + 1) entries, Frobenius norm")


def trunk_gram_change(beta: Expr, S: Expr, near: Expr) -> Expr:
    """||H - H(0)||_F of entries that are means of b b' y.y' 1 1'.

    |d(b b')| <= 2 beta S + S^2, and 1 1' changes only where j or j' is near switching.
    """
    return alpha**2 * n * (2 * beta * S + S**2 + 2 * beta**2 * near)


def branch_gram_change(gamma: Expr, R: Expr, near: Expr) -> Expr:
    """The same of the twin, whose entries are means of relu relu' u.u' 1 1' over neurons and units."""
    return alpha**2 * n * (2 * gamma * R + R**2 + 2 * gamma**2 * near)


def gradient(feature: Expr) -> Expr:
    """||dL/dw_r|| over ||r||, or that of all v_rk of one r, from a bound of the other factor's feature."""
    return alpha * feature * sqrt(n / m)


def remainder(beta: Expr, gamma: Expr, near_trunk: Expr, near_branch: Expr, R: Expr) -> Expr:
    """||I_1|| over eta ||r||; beta and gamma hold along the step.

    d(b s) is b ds + s db + db ds. What ds and db miss of their linear parts comes from neurons and units that switch;
    |ds| <= 2 R, both ends of the step being within R of the start.
    """
    return alpha**2 * n * (beta**2 * near_trunk + gamma**2 * near_branch + 2 * R * gamma)


# -- instances --------------------------------------------------------------------------------------------------------


def _factors(functions: Any, queries: Any) -> LimitFactors:
    return limit_factors(("relu", None, functions.shape[1], queries.shape[1]), functions, {"data": queries})


def spectra(functions: Any, queries: Any, scale: float = 1.0) -> dict[sympy.Symbol, float]:
    """Least eigenvalues and sum of the norms of both limits, by symbol."""
    factors = _factors(np.asarray(functions, dtype=float), np.asarray(queries, dtype=float))
    (low, high), (other, highest) = (factors.ends(twin=twin) for twin in (False, True))
    low, other, norms = (scale**2 * float(x) for x in (low, other, high + highest))
    return {lambda_trunk: low, lambda_branch: other, Lambda: low + other, norm_sum: norms}


def slowest(functions: Any, queries: Any) -> Any:
    """Targets (n_1, n_2) along the slowest direction of H^inf plus its twin, the largest of them 1.

    No faster direction lends its rate to a loss that starts there, and no targets up to 1 are farther from 0 there.
    """
    functions, queries = np.asarray(functions, dtype=float), np.asarray(queries, dtype=float)
    factors = _factors(functions, queries)
    matrix = np.kron(factors.branch_covariance, factors.trunk_gram)
    matrix += np.kron(factors.branch_gram, factors.trunk_covariance)
    vector = np.linalg.eigh(matrix)[1][:, 0]
    return (vector / vector[np.argmax(abs(vector))]).reshape((len(functions), len(queries)))


def instance(
    draw: Any,
    *,
    theorem: Theorem,
    eta_max: Expr,
    width: int,
    steps: int,
    fraction: float = 1.0,
    functions: Any = None,
    queries: Any = None,
    values: Any = None,
    units: int | None = None,
    scale: float = 1.0,
) -> Instance:
    """Up to three unit functions and queries in up to three dimensions unless they are given; targets in [-1, 1].

    The step is `fraction` of the largest. Nothing is drawn where functions, queries, values and units are given.
    """
    if functions is None:
        functions = unit_inputs(draw, draw(st.integers(1, 3)), draw(st.integers(2, 3)))
    if queries is None:
        queries = unit_inputs(draw, draw(st.integers(1, 3)), draw(st.integers(2, 3)))
    units = draw(st.sampled_from([1, 2, 4])) if units is None else units
    if values is None:
        values = generator(draw).uniform(-1, 1, (len(functions), len(queries)))
    return Instance(
        data={"functions": functions, "queries": queries, "values": values},
        parameters={"p": units, **({} if scale == 1 else {"alpha": scale})},
        width=width,
        step=fraction * float(theorem.value(eta_max, spectra(functions, queries, scale))),
        steps=steps,
    )


# -- premises ---------------------------------------------------------------------------------------------------------


def unit_samples(theorem: Theorem) -> tuple[str, ...]:
    """Functions and queries of length 1, no two functions and no two queries parallel."""
    theorem.declare(data={"functions": ("n_1", "q"), "queries": ("n_2", "d"), "values": ("n_1", "n_2")})

    @theorem.assumption("unit functions and queries")
    def unit(run: Any) -> Any:
        lengths = np.concatenate([np.linalg.norm(x, axis=1) for x in (run.functions, run.queries)])
        return 4 * max(run.functions.shape[1], run.queries.shape[1]) * ULP - abs(lengths - 1).max()

    @theorem.assumption("no two functions and no two queries parallel")
    def not_parallel(run: Any) -> Any:
        return run.Lambda

    return ("unit functions and queries", "no two functions and no two queries parallel")


def clustered(count: int, dimension: int, spread: float) -> Any:
    """Unit vectors around one direction: whatever moves, moves all entries of a Gram matrix alike."""
    return unit_inputs(lambda strategy: count, count, dimension, spread=spread)
