r"""The limits of a neural operator's two Gram matrices: Kronecker products, right for every p, positive definite.

Network     G(u)(y) = m^(-1/2) sum_r b_r(u) relu(w_r . y),  b_r(u) = p^(-1/2) sum_k s_rk relu(v_rk . u), all as drawn
Guarantee   E H(0) = H^inf = K_1(u) (x) K_0(y) and E H~(0) = H~^inf = K_0(u) (x) K_1(y) for every p and m, where
            K_0(a, a') = a . a' (pi - theta)/(2 pi), K_1(a, a') = (sin theta + (pi - theta) cos theta)/(2 pi), theta
            the angle between a and a'; tr H^inf = tr H~^inf = N/4; both are positive definite  (identity)
Hypotheses  |u_i| = |y_j| = 1, no two u_i and no two y_j parallel; nothing about p

Positive definite limits are in the abstract of arXiv 2412.05545; that they are Kronecker products, for every p, is
derived: the branch's signs leave no cross terms. So the least eigenvalue is a product of those of two small factors,
and is certified from them in ball arithmetic.
"""

import numpy as np
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Instance, Source, Theorem, always, identity, scales_as
from ntkverify.instances import generator, unit_inputs
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.bounds import lambda_branch, lambda_trunk
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.neural_operator.run import operator

theorem = Theorem(
    "Limits of the Gram matrices of a shallow neural operator",
    source=Source(arxiv="2412.05545", version=3, where="positive definiteness (abstract)", provenance="derived"),
    statement=r"""
        Let $\|u_i\| = \|y_j\| = 1$, no two $u_i$ and no two $y_j$ parallel. Then for every $p$ and $m$
        $\mathbb{E} H(0) = K_1(u) \otimes K_0(y)$ and $\mathbb{E} \tilde H(0) = K_0(u) \otimes K_1(y)$,
        both positive definite and of trace $N/4$.
    """,
)
DATA = operators.unit_samples(theorem)

# ---- instances ----------------------------------------------------------------------------------------------------

CLUSTER = operators.clustered(2, 3, 0.05), operators.clustered(3, 3, 0.05)
units = st.sampled_from([1, 2, 5])
rungs = st.sampled_from([6, 7, 11, 12])


def build(functions, queries, *, width=1, units=1):
    data = {"functions": functions, "queries": queries, "values": np.zeros((len(functions), len(queries)))}
    return Instance(data=data, parameters={"p": units}, width=width)


@theorem.instances("ladder of widths", run=operator(), quick=160)
def ladder(draw):
    return build(np.eye(2), np.eye(2), width=2 ** draw(rungs), units=draw(units))


@theorem.instances("ladder of widths, wide branch", run=operator(), quick=60)
def wide_branch(draw):
    return build(*CLUSTER, width=2 ** draw(rungs), units=5)


@theorem.instances("any samples", run=operator(), quick=60, thorough=600)
def any_samples(draw):
    return build(*(unit_inputs(draw, draw(st.integers(1, 4)), draw(st.integers(2, 3))) for _ in range(2)))


@theorem.instances("close together", run=operator(), quick=40, thorough=400)
def close(draw):
    """Two functions and two queries at an angle down to 1e-5: K_0 is within the angle of a singular matrix."""
    angles = 10.0 ** -generator(draw).uniform(0, 5, 2)
    return build(*(np.array([[1.0, 0.0], [np.cos(a), np.sin(a)]]) for a in angles))


@theorem.instances("parallel", run=operator(), quick=1)
def parallel():
    """Two functions that are the same."""
    return build(np.array([[0.6, 0.8], [0.6, 0.8]]), np.eye(2))


# ---- in expectation -----------------------------------------------------------------------------------------------


@theorem.lemma(
    "unbiased for every p: ||H(0) - H^inf||_F + ||H~(0) - H~^inf||_F shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder of widths",
)
def unbiased(run):
    return run.initial_gram_errors.sum()


@theorem.control(
    "limits without the branch's normalisation 1/p: the distance shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder of widths, wide branch",
)
def normalisation_dropped(run):
    return np.linalg.norm(run.initial_grams["trunk"] - run.p * run.limit_trunk)


@theorem.control(
    "the factors of H^inf exchanged, K_0(u) (x) K_1(y): the distance shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder of widths",
)
def exchanged(run):
    return np.linalg.norm(run.initial_grams["trunk"] - run.limit_branch)


# ---- closed forms -------------------------------------------------------------------------------------------------


def kernels(points, pi):
    """K_0 and K_1 at unit vectors; the angle from half the distance, which nearby vectors do not spoil."""
    apart, sums = (np.linalg.norm(points[:, None] + sign * points[None], axis=2) for sign in (-1, 1))
    theta = 2 * np.arctan(apart / sums)
    off = (pi - theta) / (2 * pi)
    return np.cos(theta) * off, np.sin(theta) / (2 * pi) + np.cos(theta) * off


@theorem.lemma(
    "H^inf = K_1(u) (x) K_0(y) and H~^inf = K_0(u) (x) K_1(y) with the kernels in closed form",
    holds=identity,
    on="any samples",
    error=lambda run: 64 * run.n * ULP,
)
def closed_forms(run):
    pi = 4 * np.arctan(run.number(1.0))
    (u_0, u_1), (y_0, y_1) = kernels(run.functions, pi), kernels(run.queries, pi)
    return np.stack([run.limit_trunk, run.limit_branch]), np.stack([np.kron(u_1, y_0), np.kron(u_0, y_1)])


@theorem.lemma("tr H^inf = tr H~^inf = N/4", holds=identity, on="any samples", error=lambda run: 64 * run.n * ULP)
def traces(run):
    return np.array([np.trace(run.limit_trunk), np.trace(run.limit_branch)]), run.n / 4 * np.ones(2)


# ---- positive definiteness ----------------------------------------------------------------------------------------

# the certificate may lose a factor of 2 against float64's values
CERTIFIED = {"holds": always, "from_below": True, "on": ("any samples", "close together")}
for name, place, least in (("H^inf", 0, lambda_trunk), ("H~^inf", 1, lambda_branch)):
    theorem.conclusion(
        f"{name} is positive definite: lambda_min is certified from its factors at half of float64's value or more",
        of=lambda run, place=place: run.certified_rate[place],
        bound=least / 2,
        **CERTIFIED,
    )
theorem.control(
    "lambda_min(H^inf) >= 1/100 for all samples, however close",
    of=lambda run: run.lambda_trunk,
    holds=always,
    bound=Rational(1, 100),
    from_below=True,
    on="close together",
)
theorem.control(
    "positive definite with two functions alike",
    of=lambda run: run.certified_rate[0],
    holds=always,
    bound=Rational(1, 10**6),
    from_below=True,
    assumes=(),
    on="parallel",
)
