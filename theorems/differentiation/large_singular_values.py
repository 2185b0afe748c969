r"""The large singular values by automatic and by finite differences agree to second order in h: AF1, claim A1.

Setting     random features sigma(w_j . x + b_j), A_AD their operator applied exactly at N points, A_FD by central
            differences of spacing h; Poisson (p = 1) on a line and on a square, biharmonic (p = 2) on a line
Guarantee   |sigma_k(A_FD) - sigma_k(A_AD)| <= ||A_FD - A_AD||_F
            <= (p h^2/12) sup |sigma^(2p+2)| sqrt(N sum_j (sum_i w_ji^(2p+2))^2) for every k (upper bound)
            ||(A_FD - A_AD)(h) - 4 (A_FD - A_AD)(h/2)||_F <= (3/4) (mu_4/24) h^4 sup |sigma^(2p+4)| sqrt(N sum_j ...)

Derived by Weyl's inequality from the averaging identity (`averaging`); mu_4 is the B-spline's fourth moment. The
published statement (arXiv 2405.14099, in a digest) is that large singular values "are largely similar". Of singular
values below the bound nothing follows, and nothing holds: a control shows it. Values are enclosed in balls.
"""

import numpy as np
import sympy

from ntkverify import Source, Theorem, always
from ntkverify.problems.random_features.collocation import collocation
from ntkverify.problems.random_features.grids import drawn_problem

theorem = Theorem(
    "Large singular values of automatic and finite differences agree",
    source=Source(arxiv="2405.14099", version=4, where="analysis of random features", provenance="derived"),
    statement=r"""
        For every $k$: $|\sigma_k(A_{FD}) - \sigma_k(A_{AD})| \le \|A_{FD} - A_{AD}\|_F \le
        \frac{p h^2}{12} \|\sigma^{(2p+2)}\|_\infty \sqrt{N \sum_j (\sum_i w_{ji}^{2p+2})^2}$.
    """,
)

p, h, N = sympy.symbols("p h N", positive=True)
second = theorem.constant("second", p / 12, "half the variance of the B-spline of order 2p")
fourth = theorem.constant(
    "fourth", (p**2 / 12 - p / 60) / 24, "a 24th of the fourth moment of a sum of 2p uniform variables on [-1/2, 1/2]"
)
sup_2 = theorem.quantity("sup_2", lambda run: run.sup(int(2 * run.p + 2)))
sup_4 = theorem.quantity("sup_4", lambda run: run.sup(int(2 * run.p + 4)))
weights_2 = theorem.quantity("weights_2", lambda run: run.power_sum(int(2 * run.p + 2)))
weights_4 = theorem.quantity("weights_4", lambda run: run.power_sum(int(2 * run.p + 4)))
size = theorem.quantity("size", lambda run: np.linalg.norm(run.truncation))
top = theorem.quantity("top", lambda run: run.singular[0])
apart = theorem.constant("apart", second * h**2 * sup_2 * sympy.sqrt(N * weights_2), "bound of ||A_FD - A_AD||_F")
curved = theorem.constant(
    "curved", fourth * h**4 * sup_4 * sympy.sqrt(N * weights_4), "bound of what is left of it beyond second order"
)


@theorem.instances("line", run=collocation(), quick=20)
def line(draw):
    """Spacings are those of the grid, or a quarter; as many features as points, or more."""
    spacings = [2.0**-4, 2.0**-6]
    return drawn_problem(draw, sizes=[5, 8], radii=[1.0, 5.0, 20.0], spacings=spacings, width=8)


@theorem.instances("square", run=collocation(), quick=8)
def square(draw):
    return drawn_problem(draw, sizes=[3], radii=[1.0, 5.0], orders=[1], spacings=[2.0**-4], dimension=2)


@theorem.instances("waves of one phase", run=collocation(), quick=8)
def waves(draw):
    """Slow sine features, all large on the grid at once, which come near the bounds."""
    return drawn_problem(draw, sizes=[6], radii=[0.5, 1.0], activations=[0], laws=[0], spacings=[2.0**-4], width=3)


@theorem.instances("least resolved", run=collocation(), quick=6)
def least_resolved(draw):
    """Steep features: the smallest singular values are what the stencil makes of them."""
    return drawn_problem(draw, sizes=[10], radii=[5.0], activations=[1], spacings=[2.0**-6])


LINES = ("line", "square", "waves of one phase")


def shifts(run):
    """max_k |sigma_k(A_FD) - sigma_k(A_AD)|."""
    return np.abs(run.differences.singular - run.singular).max()


@theorem.lemma(
    "||A_FD - A_AD||_F <= (p h^2/12) sup |sigma^(2p+2)| sqrt(N sum w^(4p+4))", holds=always, bound=apart, on=LINES
)
def distance(run):
    return np.linalg.norm(run.truncation)


@theorem.lemma(
    "Weyl: no singular value moves further than ||A_FD - A_AD||_F", holds=always, bound=size, on=LINES, attained=True
)
def weyl(run):
    return shifts(run)


@theorem.conclusion(
    "|sigma_k(A_FD) - sigma_k(A_AD)| <= (p h^2/12) sup |sigma^(2p+2)| sqrt(N sum w^(4p+4)) for every k",
    holds=always,
    bound=apart,
    on=LINES,
)
def singular_values(run):
    return shifts(run)


@theorem.conclusion(
    "exactly second order: halving h quarters A_FD - A_AD, up to (3/4)(mu_4/24) h^4 sup |sigma^(2p+4)| sqrt(...)",
    holds=always,
    bound=sympy.Rational(3, 4) * curved,
    on=LINES,
)
def second_order(run):
    """1 - 1/4, not 1 + 1/4: the remainder's kernel E (S h - t)_+^3 - 4 E (S h/2 - t)_+^3 is positive."""
    return np.linalg.norm(run.truncation - 4 * run.at_spacing(run.instance.parameters["h"] / 2).truncation)


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control("the distance is of third order in h", holds=always, bound=h * apart, on=LINES)
def third_order(run):
    return np.linalg.norm(run.truncation)


@theorem.control(
    "every singular value agrees to the relative accuracy to which the largest is bound to",
    holds=always,
    bound=apart / top,
    on="least resolved",
)
def small_ones_too(run):
    return np.abs(run.differences.singular / run.singular - 1).max()
