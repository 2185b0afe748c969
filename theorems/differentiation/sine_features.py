r"""Sine features in exact arithmetic: finite differences make every singular value smaller. AF2, claims A2, A3, A4, A8.

Setting     features sin(w_j x + b_j), interior rows only; rho_j = (sin(w_j h/2)/(w_j h/2))^2
Guarantee   A_FD = A_AD diag(rho_j^p), hence for every k (Ostrowski)
            min rho^p sigma_k(A_AD) <= sigma_k(A_FD) <= max rho^p sigma_k(A_AD) <= sigma_k(A_AD)
            and min rho >= (2/pi)^2 where |w_j| h <= pi

Two digests of arXiv 2405.14099 say of small singular values that finite differences "retain more" of them, and that
those of A_FD are "consistently larger". In exact arithmetic both are false for these features: each value is smaller,
no level is exceeded by more values, and below none of ten levels relative to sigma_1 lie more values, in nine draws
of ten at least (for wide laws of the weights fewer do, now and then). `rounding_floor` has the other reading. Singular
values here are enclosed in balls: they go down to 1e-50 of the largest.
"""

import numpy as np
import sympy

from ntkverify import Source, Theorem, always, identity, with_probability
from ntkverify.glossary import delta
from ntkverify.measures.entropy import above
from ntkverify.problems.random_features.collocation import collocation
from ntkverify.problems.random_features.grids import drawn_problem

theorem = Theorem(
    "Sine features by finite differences: Ostrowski's two-sided bound",
    source=Source(arxiv="2405.14099", version=4, where="small singular values, exact arithmetic", provenance="derived"),
    statement=r"""
        $A_{FD} = A_{AD}\,\mathrm{diag}(\rho_j^p)$, $\rho_j = (\sin(w_j h/2)/(w_j h/2))^2$, so
        $\min_j \rho_j^p\, \sigma_k(A_{AD}) \le \sigma_k(A_{FD}) \le \max_j \rho_j^p\, \sigma_k(A_{AD})$ for all $k$.
    """,
)

theorem.erratum(
    "In digests, small singular values of A_FD are consistently larger, and A_FD retains more of them: both are false "
    "in exact arithmetic, see the controls A2 and A3; the first is true of what float64 computes (rounding_floor)."
)

p, h = sympy.symbols("p h", positive=True)
least = theorem.constant("least", (2 / sympy.pi) ** 2, "rho at |w| h = pi, the least value up to there")


def rho(run):
    """rho_j, (m,)."""
    half = run.inner_weights[:, 0] * run.h / 2
    return (np.sin(half) / half) ** 2


rho_low = theorem.quantity("rho_low", lambda run: rho(run).min())
rho_high = theorem.quantity("rho_high", lambda run: rho(run).max())


@theorem.instances("sine", run=collocation(), quick=24)
def sine(draw):
    return drawn_problem(draw, sizes=[8, 12, 16], radii=[1.0, 5.0, 15.0], activations=[0])


@theorem.instances("up to the grid's frequency", run=collocation(), quick=8)
def resolved(draw):
    """Weights up to pi/h, which differencing damps most."""
    return drawn_problem(draw, sizes=[8], radii=[np.pi * 9], activations=[0], laws=[0], width=40)


@theorem.instances("one feature", run=collocation(), quick=8)
def one_feature(draw):
    return drawn_problem(draw, sizes=[6], radii=[1.0, 15.0], activations=[0], width=1)


@theorem.instances("8 and 12 points", run=collocation(), quick=60)
def likely(draw):
    return drawn_problem(draw, sizes=[8, 12], radii=[1.0, 5.0, 15.0], activations=[0], delta=0.1)


@theorem.instances("tanh", run=collocation(), quick=12)
def tanh(draw):
    return drawn_problem(draw, sizes=[12], radii=[10.0], activations=[1])


ALL = ("sine", "up to the grid's frequency", "one feature")


def ratios(run):
    """sigma_k(A_FD)/sigma_k(A_AD) for every k."""
    return run.differences.singular / run.singular


def small(run):
    """The half of the ratios that belongs to the smallest singular values."""
    return ratios(run)[-(len(run.singular) // 2) :]


@theorem.lemma(
    "A_FD = A_AD diag(rho_j^p)",
    holds=identity,
    on=ALL,
    # a wave loses (|w x| + |b|) u near its zeros, and rho - 1 as much
    error=lambda run: 2.0**-40 * run.inner_weights[:, 0] ** int(2 * run.p),
)
def diagonal(run):
    return run.truncation, run.matrix * (rho(run) ** int(run.p) - 1)


@theorem.conclusion(
    "sigma_k(A_FD) <= max rho^p sigma_k(A_AD) for every k", holds=always, bound=rho_high**p, on=ALL, attained=True
)
def upper(run):
    return ratios(run).max()


@theorem.conclusion(
    "sigma_k(A_FD) >= min rho^p sigma_k(A_AD) for every k",
    holds=always,
    bound=rho_low**p,
    from_below=True,
    on=ALL,
    attained=True,
)
def lower(run):
    return ratios(run).min()


y = sympy.Symbol("y", positive=True)  # |w| h/2
theorem.lemma(
    "sin(y)^2 >= (2/pi)^2 y^2 where 0 < y <= pi/2",
    of=sympy.sin(y) ** 2,
    holds=always,
    bound=least * y**2,
    from_below=True,
    over={y: sympy.Interval.Lopen(0, sympy.pi / 2)},
)


@theorem.lemma(
    "rho >= (2/pi)^2 where |w| h <= pi",
    holds=always,
    bound=least,
    from_below=True,
    on="up to the grid's frequency",
    uses="sin(y)^2 >= (2/pi)^2 y^2",
)
def frequencies(run):
    return rho(run).min()


LEVELS = 10.0 ** -np.arange(3, 33, 3)
counts_ad = theorem.quantity(
    "counts_ad", lambda run: np.array([above(run.singular, v) for v in LEVELS * run.singular[0]])
)
counts_low = theorem.quantity(
    "counts_low",
    lambda run: np.array(
        [above(run.differences.singular, rho(run).min() ** int(run.p) * v) for v in LEVELS * run.singular[0]]
    ),
)


def counts_fd(run):
    """How many singular values of A_FD exceed each level."""
    return np.array([above(run.differences.singular, v) for v in LEVELS * run.singular[0]])


@theorem.conclusion(
    "no level is exceeded by more singular values of A_FD than of A_AD",
    holds=always,
    bound=counts_ad,
    on="sine",
    error=lambda run: 0,
)
def fewer(run):
    return counts_fd(run)


@theorem.conclusion(
    "a level min rho^p as high is exceeded by as many of A_FD as of A_AD at least",
    holds=always,
    bound=counts_low,
    on="sine",
    error=lambda run: 0,
)
def as_many(run):
    return theorem.quantities["counts_ad"](run)


def relative(run):
    """How many singular values of A_FD exceed each level times its own sigma_1."""
    return np.array([above(run.differences.singular, v) for v in LEVELS * run.differences.singular[0]])


COUNTED = {"on": "8 and 12 points", "error": lambda run: 0}


@theorem.conclusion(
    "A3 as a number: at none of ten levels relative to sigma_1 has A_FD more singular values below it",
    holds=with_probability(1 - delta),
    bound=counts_ad,
    from_below=True,
    **COUNTED,
)
def no_more_small_ones(run):
    return relative(run)


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "A3 as a number: A_FD has more singular values below one of ten levels relative to its sigma_1, in half the draws",
    holds=with_probability(sympy.Rational(1, 2)),
    bound=1,
    from_below=True,
    **COUNTED,
)
def more_small_ones(run):
    return (theorem.quantities["counts_ad"](run) - relative(run)).max()


@theorem.control(
    "A_FD has as many singular values as A_AD below all ten levels relative to sigma_1, in nine draws of ten",
    holds=with_probability(1 - delta),
    bound=counts_ad,
    **COUNTED,
)
def just_as_many(run):
    return relative(run)


@theorem.control(
    "A2 in exact arithmetic: the small singular values of A_FD are larger",
    holds=always,
    bound=1,
    from_below=True,
    on="sine",
)
def larger(run):
    return small(run).max()


@theorem.control("tanh features obey sigma_k(A_FD) <= sigma_k(A_AD) too", holds=always, bound=1, on="tanh")
def tanh_too(run):
    return ratios(run).max()


@theorem.control("tanh features are all larger instead", holds=always, bound=1, from_below=True, on="tanh")
def tanh_larger(run):
    return ratios(run).min()
