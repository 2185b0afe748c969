r"""The small singular values that float64 computes of finite differences are rounding: AF5, claims A2 and A4.

Setting     features sigma(w_j x + b_j), |w_j|, |b_j| <= R, on [0, 1]; fl(A_FD) as float64 has it, u its unit roundoff;
            S_p = 4 (Poisson), 16 (biharmonic), the moduli of the stencil's coefficients
Guarantee   ||fl(A_FD) - A_FD||_F <= S_p u ((2 p + 12) sup |sigma| + 6 R sup |sigma'|) sqrt(N M)/h^(2p)
            With N and M fixed the plateau of the computed spectrum grows like h^(-2p) and like u; where N and M grow
            with 1/h the error does like h^(-2p) sqrt(N M). Nothing of it is left in exact arithmetic.

Derived: the argument errs by 6 R u at the most, of which sigma makes sup |sigma'| times that; sigma's own evaluation
errs by 8 u, the sum of 2 p + 1 terms by 2 p + 2 more, the quotient by 2. This is the reading in which "the small
singular values of A_FD are consistently larger" (arXiv 2405.14099, in a digest) is true: they are what float64 makes
of them. Exact values are enclosed; of a third of them at the least, float64 tells the wrong order of A_FD and A_AD.
"""

import numpy as np
import sympy

from ntkverify import Source, Theorem, always, with_probability
from ntkverify.problems.random_features.collocation import collocation
from ntkverify.problems.random_features.grids import drawn_problem, line_grid

theorem = Theorem(
    "The plateau of finite differences in floating point",
    source=Source(arxiv="2405.14099", version=4, where="small singular values, floating point", provenance="derived"),
    statement=r"""
        $\|fl(A_{FD}) - A_{FD}\|_F \le
        S_p u\,((2p+12)\|\sigma\|_\infty + 6R\|\sigma'\|_\infty)\sqrt{NM}/h^{2p}$,
        and the singular values of $fl(A_{FD})$ below that level are those of the rounding error.
    """,
)
p, h, N, m, R, delta = sympy.symbols("p h N m R delta", positive=True)
roundoff = theorem.constant("roundoff", sympy.Rational(1, 2**53), "unit roundoff u of float64")
moduli = theorem.constant("moduli", 4**p, "S_p, the moduli of the coefficients of the p-th power of (1, -2, 1)")
sup_0 = theorem.quantity("sup_0", lambda run: run.sup(0))
sup_1 = theorem.quantity("sup_1", lambda run: run.sup(1))
amplified = theorem.constant("amplified", moduli * roundoff * sympy.sqrt(N * m) / h ** (2 * p), "errors of size u")
floor = theorem.constant("floor", amplified * ((2 * p + 12) * sup_0 + 6 * R * sup_1), "bound of the rounding error")
backward = theorem.constant("backward", 8 * roundoff * N, "backward error of the singular value decomposition")
top = theorem.quantity("top", lambda run: run.differences.singular[0])


def problem(draw, **options):
    return drawn_problem(draw, laws=[0], **{"radii": [1.0], **options})


@theorem.instances("features", run=collocation(), quick=20)
def features(draw):
    return problem(draw, sizes=[9, 12], radii=[1.0, 10.0], width=12)


@theorem.instances("fast waves", run=collocation(), quick=4)
def fast_waves(draw):
    return problem(draw, sizes=[12], radii=[200.0], activations=[0])


@theorem.instances("slow features", run=collocation(), quick=60)
def slow_features(draw):
    """The last quarter of the exact spectrum lies far below rounding, whatever the spacing."""
    return problem(draw, sizes=[16], spacings=[2.0**-6], delta=0.1)


@theorem.instances("slow waves", run=collocation(), quick=24)
def slow_waves(draw):
    return problem(draw, sizes=[16], activations=[0])


def plateau(run, dtype=np.float64):
    """Median of the last quarter of the spectrum as an arithmetic computes it."""
    values = np.linalg.svd(np.asarray(run.rounded_matrix(dtype), np.float64), compute_uv=False)
    return np.median(values[-(len(values) // 4) :])


def excess(growth, expected):
    """By what factor a growth misses what is expected of it."""
    return max(growth / expected, expected / growth)


@theorem.control(
    "the argument's rounding left out: S_p u sup |sigma| sqrt(N M)/h^(2p)",
    holds=always,
    bound=amplified * sup_0,
    on="fast waves",
)
@theorem.conclusion(
    "||fl(A_FD) - A_FD||_F <= S_p u ((2p + 12) sup |sigma| + 6 R sup |sigma'|) sqrt(N M)/h^(2p)",
    holds=always,
    bound=floor,
    on=("features", "fast waves"),
)
def rounding_error(run):
    return np.linalg.norm(run.differences.rounding)


@theorem.lemma(
    "no computed singular value is further from its exact one than that and LAPACK's backward error",
    holds=always,
    bound=floor + backward * (top + floor),  # LAPACK is given fl(A_FD)
    on=("features", "fast waves"),
)
def computed(run):
    return np.abs(run.differences.seen - run.differences.singular).max()


def growth(run, power):
    """By what factor the plateau's growth misses h^(-power), while h falls by 64."""
    fine = run.differences.at_spacing(run.h / 64)
    return excess(plateau(fine) / plateau(run.differences), 64.0**power)


SLOW = {"holds": with_probability(1 - delta), "on": "slow features"}
theorem.conclusion(
    "N and M fixed: the plateau grows like h^(-2p), within a factor of 5 while h falls by 64",
    of=lambda run: growth(run, 2 * run.p),
    bound=5,
    **SLOW,
)
theorem.control(
    "the plateau grows like h^(-p), within a factor of 5", of=lambda run: growth(run, run.p), bound=5, **SLOW
)


@theorem.lemma(
    "N and M as the grid has them: the error grows like h^(-2p) sqrt(N M), within a factor of 2 while h falls by 4",
    bound=2,
    **SLOW,
)
def tied_to_the_grid(run):
    """The grid's points are rounded: their number is no power of two."""
    sizes = [{"interior": line_grid(count), "h": 1 / (count + 1), "width": count} for count in (9, 39)]
    coarse, fine = (np.linalg.norm(run.differences.changed(**size).rounding) for size in sizes)
    return excess(fine / coarse, 4.0 ** (2 * run.p) * 39 / 9)


@theorem.conclusion(
    "it vanishes in higher precision: from float32 to float64 it falls like u, by 2^29 within a factor of 8",
    bound=8,
    **SLOW,
)
def plateau_falls(run):
    return excess(plateau(run.differences, np.float32) / plateau(run.differences), 2.0**29)


def last(values):
    """Mean of the last quarter."""
    return values[-(len(values) // 4) :].mean()


computed_ad = theorem.quantity("computed_ad", lambda run: last(run.seen))
exact_ad = theorem.quantity("exact_ad", lambda run: last(run.singular))


@theorem.conclusion(
    "A2 in float64: the last quarter of the computed values is larger for A_FD, on average",
    bound=computed_ad,
    from_below=True,
    **SLOW,
)
def computed_larger(run):
    return last(run.differences.seen)


WAVES = "sines, 16 points, R = 1"
EXACT = {"holds": always, "bound": exact_ad, "on": "slow waves"}


@theorem.control(f"{WAVES}: the last quarter of the exact values is larger too", from_below=True, **EXACT)
@theorem.lemma(f"{WAVES}: the last quarter of the exact values, enclosed, is smaller for A_FD, on average", **EXACT)
def exact_smaller(run):
    return last(run.differences.singular)


@theorem.conclusion(
    f"{WAVES}: float64 tells the wrong order of A_FD and A_AD for at least a third of all k",
    holds=always,
    bound=sympy.Rational(1, 3),
    from_below=True,
    on="slow waves",
)
def wrong_order(run):
    return np.mean((run.differences.seen > run.seen) != (run.differences.singular > run.singular))


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "the plateau is there in exact arithmetic: sigma_N(A_FD) is a millionth of the plateau at the least",
    holds=always,
    bound=sympy.Rational(1, 10**6),
    from_below=True,
    on="slow waves",
)
def exact_plateau(run):
    return run.differences.singular[-1] / plateau(run.differences)
