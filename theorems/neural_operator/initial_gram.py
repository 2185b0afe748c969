r"""The initial Gram matrices of a neural operator, and its initial outputs.

Network     G(u)(y) = m^(-1/2) sum_r b_r(u) relu(w_r . y),  b_r(u) = p^(-1/2) sum_k s_rk relu(v_rk . u), all as drawn
Guarantee   with probability 1 - delta ||H(0) - H^inf||_F <= tau lambda_min(H^inf), and the same of the twin, if
            m >= m_0; features are at most sqrt(2 log(2 m n_1/delta)); an output is nearly N(0, |u|^2 |y|^2/4)  (upper)
Hypotheses  |u_i| = |y_j| = 1; nothing about p

The width is reconstructed as of the order of N^2 log(N/delta)/lmin^2, N = n_1 n_2, with lmin the smaller of both least
eigenvalues. Derived here: 1-sub-Gaussian factors alone would ask for 520 N^2 log(2 N (N + 1)/delta)/lmin^2; that s
relu(g) is a normal number half of the time and zero otherwise makes it 29 at the most, whatever p.
"""

import math
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, log, sqrt

from ntkverify import Instance, Source, Theorem, always, identity, in_law, with_probability
from ntkverify.glossary import delta, m, n
from ntkverify.instances import families, generator, unit_inputs
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.bounds import BERNSTEIN_C, BERNSTEIN_V, alpha, n_1, n_2
from ntkverify.problems.neural_operator.run import operator
from ntkverify.symbolic.constants.chain import derived

theorem = Theorem(
    "Initial Gram matrices and outputs of a shallow neural operator",
    source=Source(arxiv="2412.05545", version=3, where="initialisation (abstract)", provenance="reconstructed"),
    statement=r"""
        Let $\|u_i\| = \|y_j\| = 1$ and $m \ge m_0$. Then with probability at least $1-\delta$,
        $\|H(0)-H^\infty\|_F \le \tau\lambda_0$ and $\|\tilde H(0)-\tilde H^\infty\|_F \le \tau\tilde\lambda_0$,
        for every $p$.
    """,
)

tolerance = sympy.Symbol("tolerance", positive=True)  # tau times the smaller of both least eigenvalues
t = log(2 * n * (n + 1) / delta)  # N (N + 1)/2 entries of two matrices, two tails


def inverse_root(t):
    """m^(-1/2) where n (sqrt(2 v t/m) + c t/m) = tolerance."""
    linear, square = sqrt(2 * BERNSTEIN_V * t), BERNSTEIN_C * t
    return (sqrt(linear**2 + 4 * square * tolerance / n) - linear) / (2 * square)


m_0 = theorem.constant(
    "m_0",
    derived(inverse_root(t) ** -2, "n (sqrt(2 v t/m) + c t/m) = tolerance, quadratic in m^(-1/2)"),
    "sufficient width for both matrices",
)
DATA = operators.unit_samples(theorem)
q = sympy.Symbol("q", positive=True, integer=True)
beta = theorem.constant(
    "beta", derived(sqrt(2 * log(2 * m * n_1 / delta)), "2 exp(-t^2/2) over m n_1 values"), "|b_r(u_i)| <= beta"
)
gamma = theorem.constant(
    "gamma", derived(sqrt(2 * log(2 * m * n_2 / delta)), "2 exp(-t^2/2) over m n_2 values"), "relu(w_r . y_j) <= gamma"
)

# ---- instances ----------------------------------------------------------------------------------------------------


def build(functions, queries, *, width, units, **parameters):
    data = {"functions": functions, "queries": queries, "values": np.zeros((len(functions), len(queries)))}
    return Instance(data=data, parameters={"p": units, "delta": 0.1, **parameters}, width=width)


def at_own_width(functions, queries, units, bound=None):
    """At the width that the lemma prescribes for a quarter of the smaller least eigenvalue."""
    known = operators.spectra(functions, queries)
    allowed = min(known[operators.lambda_trunk], known[operators.lambda_branch]) / 4
    values = {n: len(functions) * len(queries), tolerance: allowed, delta: Rational(1, 10)}
    width = math.ceil(theorem.value(m_0 if bound is None else bound, values))
    return build(functions, queries, width=width, units=units, tolerance=allowed)


ONE = np.eye(2)[:1]
CLUSTER = operators.clustered(2, 3, 0.05), operators.clustered(3, 3, 0.05)
units = st.sampled_from([1, 2, 5])


@theorem.instances("own width", run=operator(), quick=200, thorough=4000)
def own_width(draw):
    """One function and one query, where the lemma is tightest."""
    return at_own_width(ONE, ONE, draw(units))


@theorem.instances("own width, two functions", run=operator(), quick=20, thorough=400)
def own_width_two(draw):
    return at_own_width(np.eye(2), ONE, draw(units))


@theorem.instances("a hundredth of m_0", run=operator(), quick=40)
def hundredth(draw):
    return families.hundredth(at_own_width(ONE, ONE, draw(units)))


@theorem.instances("a width that forgets N", run=operator(), quick=60)
def without_n(draw):
    """All N^2 entries deviate together."""
    functions, queries = CLUSTER
    width = math.ceil(theorem.value(m_0.subs(n, 1), {n: 1, tolerance: 0.1, delta: Rational(1, 10)}))
    return build(functions, queries, width=width, units=draw(units), tolerance=0.1)


@theorem.instances("any data", run=operator(), quick=40)
def any_data(draw):
    counts = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    functions, queries = (unit_inputs(draw, count, 3) for count in counts)
    rng = generator(draw)
    found = build(functions, queries, width=2 ** draw(st.integers(0, 6)), units=draw(units))
    return replace(found, data={**found.data, "values": rng.uniform(-1, 1, counts)})


@theorem.instances("one pair", run=operator(), quick=400, thorough=10000)
def one_pair():
    return build(ONE, ONE, width=2048, units=1)


OWN = ("own width", "own width, two functions")

# ---- concentration ------------------------------------------------------------------------------------------------

g = sympy.Symbol("g", positive=True)


@theorem.lemma("E relu(g)^(2q) = (2q - 1)!!/2, with signs the moments of b at p = 1", holds=identity)
def moments():
    density = sympy.exp(-(g**2) / 2) / sqrt(2 * sympy.pi)
    moment = sympy.integrate(g ** (2 * q) * density, (g, 0, sympy.oo))
    # (2q - 1)!! = 2^q Gamma(q + 1/2)/sqrt(pi)
    return sympy.simplify(moment), 2**q * sympy.gamma(q + Rational(1, 2)) / sqrt(sympy.pi) / 2


@theorem.lemma("(2q + 1)!!/(2q - 1)!! = 2q + 1 <= c (q + 1): moments grow no faster than q! c^q", holds=identity)
def moments_grow():
    ratio = 2 * sympy.expand_func(sympy.gamma(q + Rational(3, 2))) / sympy.gamma(q + Rational(1, 2))
    return sympy.expand(ratio), BERNSTEIN_C * (q + 1) - 1


@theorem.lemma("E X^2 <= 3!!/4 = v", holds=identity)
def second_moment():
    return sympy.factorial2(3) / sympy.Integer(4), BERNSTEIN_V


@theorem.lemma("m_0 solves N (sqrt(2 v t/m) + c t/m) = tolerance", holds=identity)
def width_solves():
    level, root = sympy.Symbol("t", positive=True), sympy.Symbol("root", positive=True)
    reach = operators.gram_deviation(delta, root**-2).expression.subs({alpha: 1, t: level})
    return sympy.expand(reach.subs(root, inverse_root(level))), tolerance


@theorem.control(
    "the initial Gram matrices within a quarter of that",
    holds=with_probability(1 - delta),
    bound=tolerance / 4,
    on="own width",
)
@theorem.lemma(
    "at m_0 neurons ||H(0) - H^inf||_F and the same of the twin are at most the tolerance, for every p",
    holds=with_probability(1 - delta),
    bound=tolerance,
    on=OWN,
)
def gram_close(run):
    return run.initial_gram_errors.max()


theorem.control(
    "the same at a hundredth of m_0",
    of=lambda run: run.initial_gram_errors.max(),
    holds=with_probability(1 - delta),
    bound=tolerance,
    on="a hundredth of m_0",
)


@theorem.control(
    "the same at a width that forgets N",
    holds=with_probability(1 - delta),
    bound=tolerance,
    on="a width that forgets N",
)
def gram_without_n(run):
    return run.initial_gram_errors.max()


@theorem.lemma(
    "m_0 <= 29 N^2 log(2 N (N + 1)/delta)/lmin^2 for a quarter of lmin, where sub-Gaussian factors alone ask for 520",
    holds=always,
    bound=29 * n**2 * t / (4 * tolerance) ** 2,
    on=OWN,
)
def width_bound(run):
    return run.m_0


@theorem.control(
    "m_0 <= 24 N^2 log(2 N (N + 1)/delta)/lmin^2, Bernstein's linear term left out",
    holds=always,
    bound=24 * n**2 * t / (4 * tolerance) ** 2,
    on=OWN,
)
def width_too_small(run):
    return run.m_0


# ---- features and outputs -----------------------------------------------------------------------------------------


@theorem.lemma("|b_r(u_i)| <= beta for all r, i", holds=with_probability(1 - delta), bound=beta, on="any data")
def branch_bounded(run):
    return abs(run.branch_values).max()


@theorem.lemma("relu(w_r . y_j) <= gamma for all r, j", holds=with_probability(1 - delta), bound=gamma, on="any data")
def trunk_bounded(run):
    return run.gamma


size = theorem.quantity("targets_squared", lambda run: (run.scaled_targets**2).sum())


@theorem.lemma(
    "||r(0)||^2 <= (||z||^2 + N/4)/delta (Markov, from E ||r(0)||^2 = ||z||^2 + N/4)",
    holds=with_probability(1 - delta),
    bound=(size + n / 4) / delta,
    on="any data",
)
def residual_bounded(run):
    return (run.start_residual**2).sum()


# Berry-Esseen with Shevtsova's constant (arXiv 1111.6554): sup |F - Phi| <= 0.4748 E|X|^3/(sd^3 sqrt(m))
third = 2 / sqrt(2 * sympy.pi)  # E relu(g)^3, also E|b|^3 at p = 1
berry_esseen = theorem.constant(
    "berry_esseen",
    derived(Rational(4748, 10000) * third**2 / Rational(1, 8) / sqrt(m), "Berry-Esseen for s relu(v . u) relu(w . y)"),
    "Kolmogorov distance of an initial output from its Gaussian limit",
)


def normal(variance):
    return lambda x: (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2 * variance))) / 2


@theorem.control(
    "an initial output has variance 2",
    holds=in_law(normal(2.0), within=berry_esseen, name="N(0, 2)"),
    on="one pair",
)
@theorem.lemma(
    "an initial output is N(0, 1/4) up to Berry-Esseen: E ||r(0)||^2 = ||z||^2 + N/4",
    holds=in_law(normal(0.25), within=berry_esseen, name="N(0, 1/4)"),
    on="one pair",
)
def outputs_in_law(run):
    return run.start_residual + run.scaled_targets


@theorem.conclusion(
    "at m_0 neurons lambda_min(H(0)) >= 3/4 lambda_min(H^inf), and of the twin",
    holds=with_probability(1 - delta),
    bound=Rational(3, 4),
    from_below=True,
    on=OWN,
)
def eigenvalues(run):
    least = [np.linalg.eigvalsh(run.initial_grams[group])[0] for group in ("trunk", "branch")]
    return np.array([least[0] / run.lambda_trunk, least[1] / run.lambda_branch])
