r"""A central difference is a local average of the derivative: AF0.

Setting     p = 1 or 2, g smooth, delta_h^(2p) the 2p-th central difference of spacing h, B_(2p) the centred B-spline of
            order 2p
Guarantee   delta_h^(2p) g(x) / h^(2p) = int B_(2p)(s) g^(2p)(x + s h) ds, B_(2p) a probability density of mean 0 and
            variance p/6; hence |difference - derivative| <= (p h^2/12) sup |g^(2p+2)|, sharp as h -> 0

Derived: differencing an integral over [0, h] twice 2p times gives the density of a sum of 2p uniform variables. What
arXiv 2405.14099 proves itself was not at hand; this identity is what its comparison of automatic and finite
differences rests on. The Laplacian on a square (p = 1) is a sum of two on lines.
"""

import numpy as np
import sympy

from ntkverify import Source, Theorem, always, identity
from ntkverify.problems.random_features.collocation import collocation
from ntkverify.problems.random_features.grids import drawn_problem
from ntkverify.symbolic.network.stencils import central_stencil

theorem = Theorem(
    "A central difference averages the derivative",
    source=Source(arxiv="2405.14099", version=4, where="both matrices", provenance="derived"),
    statement=r"""
        $\delta_h^{2p} g(x)/h^{2p} = \int B_{2p}(s)\, g^{(2p)}(x+sh)\,ds$ with the centred B-spline, so that
        $|\delta_h^{2p} g/h^{2p} - g^{(2p)}| \le \frac{p h^2}{12} \sup |g^{(2p+2)}|$.
    """,
)

s, x, h = sympy.symbols("s x h", real=True)
w, p = sympy.symbols("w p", positive=True)
ORDERS = (1, 2)  #: p of Poisson's equation and of the biharmonic one


def pieces(order):
    """The centred B-spline between its knots -order/2, ..., order/2: (left end, polynomial) of each piece."""
    powers = [(s + sympy.Rational(order, 2) - k) ** (order - 1) for k in range(order + 1)]
    terms = [(-1) ** k * sympy.binomial(order, k) * power for k, power in enumerate(powers)]
    return [(k - sympy.Rational(order, 2), sum(terms[: k + 1]) / sympy.factorial(order - 1)) for k in range(order)]


def mean(order, function):
    """Expectation of a polynomial in s under the B-spline."""
    return sum(sympy.integrate(sympy.expand(part * function), (s, left, left + 1)) for left, part in pieces(order))


# variance and fourth moment of a sum of 2p uniform variables, as the pieces give them
variance = theorem.constant("variance", p / 6, "variance of the B-spline of order 2p")
remainder = theorem.constant("remainder", variance / 2, "|difference - derivative| <= remainder h^2 sup |g^(2p+2)|")


@theorem.lemma("the B-spline has mass 1, mean 0 and variance p/6", holds=identity)
def moments():
    found = [[mean(2 * q, s**power) for power in range(3)] for q in ORDERS]
    return sympy.Matrix(found), sympy.Matrix([[1, 0, theorem.expand(variance).subs(p, q)] for q in ORDERS])


@theorem.lemma("it is a density: on every piece its least value is not negative", holds=identity)
def density():
    """A piece's least value lies at an end or where its derivative vanishes."""
    found = []
    for order in (2 * q for q in ORDERS):
        for left, part in pieces(order):
            inside = [r for r in sympy.roots(sympy.diff(part, s), s) if r.is_real and left < r < left + 1]
            values = [part.subs(s, at) for at in (left, left + 1, *inside)]
            found.append(min(values))
    return sympy.Matrix([sympy.Min(value, 0) for value in found]), sympy.zeros(len(found), 1)


@theorem.conclusion("the identity on all polynomials up to degree 8", holds=identity)
def on_polynomials():
    left, right = [], []
    for q in ORDERS:
        for degree in range(9):
            left.append(sympy.expand(central_stencil(2 * q).apply(x**degree, x, h)))
            derivative = sympy.diff(x**degree, x, 2 * q).subs(x, x + s * h)
            right.append(sympy.expand(mean(2 * q, derivative)))
    return sympy.Matrix(left), sympy.Matrix(right)


@theorem.conclusion("on waves: a difference multiplies the derivative by (sin(wh/2)/(wh/2))^(2p)", holds=identity)
def on_waves():
    left, right = [], []
    for q in ORDERS:
        wave = sympy.exp(sympy.I * w * x)
        quotient = sympy.expand(central_stencil(2 * q).apply(wave, x, h) / wave)
        left.append(sympy.expand(quotient.rewrite(sympy.cos), trig=True).subs(w, 2 * w))
        factor = (sympy.sin(w * h) / (w * h)) ** (2 * q) * (2 * sympy.I * w) ** (2 * q)
        right.append(sympy.expand(sympy.expand_trig(factor)))
    return (
        sympy.Matrix(left).applyfunc(lambda e: sympy.simplify(sympy.expand_trig(e))),
        sympy.Matrix(right).applyfunc(sympy.simplify),
    )


# ---- the bound on features ----------------------------------------------------------------------------------------

sup, spacing = sympy.symbols("sup h", positive=True)


@theorem.instances("features on a line", run=collocation(), quick=30)
def line(draw):
    return drawn_problem(draw, sizes=[8, 12], radii=[1.0, 4.0, 10.0], spacings=[2.0**-7, 2.0**-5, 2.0**-3], width=12)


@theorem.instances("features on a square", run=collocation(), quick=8)
def square(draw):
    return drawn_problem(draw, sizes=[3], radii=[1.0, 4.0], orders=[1], spacings=[2.0**-5, 2.0**-3], dimension=2)


def largest(run):
    """max_ij |A_FD - A_AD|_ij / sum_k |w_jk|^(2p+2): the error of each feature by what it is proportional to."""
    sizes = (run.inner_weights ** int(2 * run.p + 2)).sum(axis=1)
    return (np.abs(run.truncation) / sizes).max()


supremum = theorem.quantity("supremum", lambda run: run.sup(int(2 * run.p + 2)))


@theorem.conclusion(
    "|difference - derivative| of every feature <= (p h^2/12) |w|^(2p+2) sup |sigma^(2p+2)|",
    holds=always,
    bound=remainder * spacing**2 * supremum,
)
def feature_error(run):
    return largest(run)


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "the same with the variance of a uniform density, p/12", holds=always, bound=remainder / 2 * spacing**2 * supremum
)
def half_the_variance(run):
    return largest(run)


@theorem.control("the difference is of third order", holds=always, bound=remainder * spacing**3 * supremum)
def third_order(run):
    return largest(run)


@theorem.control("the B-spline of order 2p has variance p/3", holds=identity)
def wrong_variance():
    return sympy.Matrix([mean(2 * q, s**2) for q in ORDERS]), sympy.Matrix([sympy.Rational(q, 3) for q in ORDERS])
