r"""The Gram matrix of a wide physics-informed network starts close to its limit.

Network     u(x) = m^(-1/2) sum_r a_r sigma(w_r . (x, 1)),  w_r(0) ~ N(0, I_D), a_r = +-1 fair and frozen
Residuals   ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)); psi_p, chi_j: their gradients in one w_r
Matrix      H(0) = J J^T = mean over neurons of G(w_r), G(w) = (<psi_p, psi_q>)_pq with the 1/n's;  H^inf = E G
Guarantee   ||H(0) - H^inf||_F <= sqrt(V/(m delta)), and <= sqrt(2 V l/m) + 2 M l/(3 m) + tail, l = log(4/delta),
            each with probability at least 1 - delta  (upper)
Hypotheses  sigma = ReLU^3, points bounded: |(x, 1)| <= rho

Lemma 3.3 of arXiv 2408.00573 gives ||H(0) - H^inf|| <= lambda_0/4; its width is reconstructed as of the order of
(d^4/lambda_0^2) log(n/delta). A public review says that its proof drops the second term of the deviation inequality,
which dominates as delta -> 0: one neuron alone spoils the Gram matrix with a probability that no exp(-c m) bounds. Both
terms are kept here, with constants: the squared gradients have exact fourth moments (V), the neurons of a truncated
draw are bounded (M), and Pinelis' inequality in the Hilbert space of matrices needs no union over the entries.
Chebyshev's width 16 V/(delta lambda_0^2) is within reach for two samples, and run. Remark 3.8: the trace of H^inf is an
average over the samples.
"""

import functools
import math
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from scipy import stats
from sympy import Float, Rational, log, pi, sqrt

from ntkverify import Source, Theorem, always, identity, scales_as, with_probability
from ntkverify.glossary import d, delta, lambda_0, m
from ntkverify.instances import generator, space_time_points
from ntkverify.lemmas.neuron_bounds import interior_bound
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import PinnRun, heat_equation, pinn, problem_limit, problem_neuron
from ntkverify.symbolic.constants.chain import derived, solve_for
from ntkverify.symbolic.expression.functions import PositivePower
from ntkverify.symbolic.network.activations import positive_power
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Initial Gram matrix of a ReLU^3 physics-informed network",
    source=Source(arxiv="2408.00573", version=4, where="Lemma 3.3, Remark 3.8", provenance="derived"),
    statement=r"""
        With probability at least $1-\delta$: $\|H(0)-H^\infty\|_F \le \sqrt{V/(m\delta)}$; and with probability at
        least $1-\delta$: $\|H(0)-H^\infty\|_F \le \sqrt{2V\ell/m} + \tfrac{2M\ell}{3m} + \sqrt{V\delta/(2m)}$,
        $\ell = \log(4/\delta)$.
    """,
)
theorem.erratum(
    "According to a public review, the proof of Lemma 3.3 drops the term log(n/delta)^2/m of the sub-Weibull deviation "
    "inequality. A width of the order of (d^4/lambda_0^2) log(n/delta) (as reconstructed) is not sufficient as "
    "delta -> 0: for m large, a single neuron makes ||H(0) - H^inf|| >= t with probability at least exp(-c sqrt(m t)), "
    "more than any exp(-c m t^2)."
)

rho = sympy.Symbol("rho", positive=True)  # largest |(x, 1)|

# ---- exact moments of a sample's gradient, from the neuron --------------------------------------------------------


def fourth_moment(dimension, block):
    """E||grad||^4 in the coordinates: half the Gaussian moment of a polynomial, even and restricted to a half space."""
    neuron = problem_neuron("relu3", heat_equation, dimension)
    frozen = neuron.frozen[0]
    gradient = [g.subs(frozen, 1).replace(PositivePower, lambda z, k: z**k) for g in neuron.gradients[block][0]]
    square = sympy.Poly(sympy.expand(sum(g**2 for g in gradient)), *neuron.weights)
    total = 0
    for powers, coefficient in (square**2).terms():
        if all(power % 2 == 0 for power in powers):
            total += coefficient * sympy.prod([sympy.factorial2(power - 1) for power in powers if power])
    return sympy.expand(total / 2)


@functools.lru_cache
def moments(dimension, order):
    """Per block, E||grad||^order as a function of the points."""
    limit = problem_limit("relu3", heat_equation, dimension)
    found = {}
    for block in ("interior", "boundary"):
        e = fourth_moment(dimension, block) if order == 4 else limit.trace_expression(block)
        found[block] = sympy.lambdify(limit.neuron.coordinates, e, "numpy")
    return found


def second_moments(run):
    """E||psi_p||^2 and E||chi_j||^2 at the run's points."""
    dimension = run.points["interior"].shape[1]
    return {b: np.broadcast_to(f(*run.points[b].T), len(run.points[b])) for b, f in moments(dimension, 2).items()}


def spread(run):
    """V >= E||G||_F^2: by Minkowski in L^2, sqrt V is the sum over samples of (E||grad||^4)^(1/2) / n_b."""
    fourth = moments(run.points["interior"].shape[1], 4)
    return sum(np.mean(np.sqrt(f(*run.points[b].T)) * np.ones(len(run.points[b]))) for b, f in fourth.items()) ** 2


V = theorem.quantity("V", spread)

# ---- constants: a neuron with ||w|| <= B ---------------------------------------------------------------------------

first, second, third = (positive_power(3)(rho, order) for order in (1, 2, 3))  # sigma', sigma'', sigma''' at rho |w|

K = theorem.constant(
    "K",
    derived(interior_bound(first, second, third, rho), "triangle inequality for psi at |w| = 1"),
    "||psi(w)|| <= K |w|^2",
)
C_g = theorem.constant(
    "C_g", derived(sqrt(K**2 + (first * rho) ** 2), "means of ||psi||^2 and ||chi||^2"), "||G(w)||_F <= C_g^2 |w|^4"
)
t_ = log(2 * m / delta)
B_2 = theorem.constant(
    "B_2",
    derived(d + 2 * sqrt(d * t_) + 2 * t_, "chi-square tail exp(-t) of Laurent and Massart, over m neurons"),
    "|w_r|^2 <= B_2 for all r with probability 1 - delta/2",
)
width = theorem.constant(
    "width",
    solve_for(m, sympy.Le(V / (m * delta), (lambda_0 / 4) ** 2)),
    "sufficient for ||H(0) - H^inf|| <= lambda_0/4 with probability 1 - delta",
)
M = theorem.constant("M", derived(2 * C_g**2 * B_2**2, "G minus its mean, truncated"), "deviation of one neuron")

# ---- one neuron of one boundary sample at the origin, for the dropped term ----------------------------------------

chi_4 = fourth_moment(1, "boundary").subs(sympy.Symbol("x_0", real=True), 0)
mean = problem_limit("relu3", heat_equation, 1).trace_expression("boundary").subs(sympy.Symbol("x_0", real=True), 0)
variance = chi_4 - mean**2


def log_tail(deviation, width):
    """Logarithm of 1/2 P(9 g_+^4 >= 2 t m + mean)."""
    return float(-np.log(2) + stats.norm.logsf(((2 * deviation * width + float(mean)) / 9) ** 0.25))


deviation_, rate_, neurons = sympy.symbols("deviation rate neurons", positive=True)
s_ = sympy.Symbol("s", positive=True)  # the square root of the width
# minus the logarithm of 1/2 P(g >= x), x^2 = sqrt(2 t m + mean)/3 >= 1, is at most x^2 + log(4 sqrt(2 pi)) by Mills'
# ratio x/(1 + x^2) and log x <= x^2/2; and x^2 <= (sqrt(2 t m) + sqrt(mean))/3
spoiled_root = max(
    sympy.solve(
        rate_ * deviation_**2 * s_**2 - log(2) - (sqrt(2 * deviation_) * s_ + sqrt(mean)) / 3 - log(4 * sqrt(2 * pi)),
        s_,
    ),
    key=lambda root: root.subs({deviation_: 1, rate_: 1}),
)
spoiled_width = theorem.constant(
    "spoiled_width",
    derived(sympy.Max(spoiled_root**2, 2 * variance / deviation_**2), "Mills' ratio and Chebyshev's inequality"),
    "one neuron is likelier to spoil the Gram matrix by t than 2 exp(-c m t^2) from this width on",
)

# ---- instances ----------------------------------------------------------------------------------------------------


def instance(draw, *, width, largest=3, space=2):
    counts = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    points = space_time_points(draw, *counts, draw(st.integers(1, space)))
    return Instance(data=points, parameters={"delta": draw(st.sampled_from([0.05, 0.2]))}, width=width)


@theorem.instances("any width", run=pinn(activation="relu3"), quick=150)
def any_width(draw):
    return instance(draw, width=2 ** draw(st.integers(4, 12)))


@theorem.instances("corner sample", run=pinn(activation="relu3"), quick=1)
def corner():
    """Where |psi| comes closest to its bound: 0.507 of it."""
    return Instance(data={"interior": [[0.0, 1.0]], "boundary": [[0.0, 1.0]]}, parameters={"delta": 0.2}, width=10**5)


@theorem.instances("many samples", run=pinn(activation="relu3"), quick=20)
def many_samples(draw):
    return instance(draw, width=1, largest=40)


CORNERS = {"interior": [[0.3, 0.3], [0.7, 0.8]], "boundary": [[0.0, 0.4], [0.5, 1.0]]}


@theorem.instances("ladder, ReLU^3", run=pinn(activation="relu3"), quick=400)
def ladder(draw):
    return Instance(data=CORNERS, width=2 ** draw(st.sampled_from([6, 7, 12, 13])))


@theorem.instances("ladder, tanh", run=pinn(activation="tanh"), quick=280)
def smooth_ladder(draw):
    return Instance(data=CORNERS, width=2 ** draw(st.sampled_from([6, 7, 12, 13])))


PAIRS = (
    {"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]]},
    {"interior": [[0.3, 0.5]], "boundary": [[0.0, 1.0]]},
)


@theorem.instances("the lemma's own width", run=pinn(activation="relu3"), quick=40)
def own_width(draw):
    """Two samples, for which Chebyshev's width is below 1e5 neurons."""
    found = Instance(data=draw(st.sampled_from(PAIRS)), parameters={"delta": 0.2}, width=1)
    return replace(found, width=math.ceil(PinnRun(found, theorem).evaluate(width)))


@theorem.instances("rates of a one-term bound", run=AlgebraRun, quick=40)
def rates(draw):
    """A deviation t and a rate c of a one-term bound, at the derived width or beyond."""
    deviation = float(generator(draw).uniform(0.1, 3))
    rate = 2.0 ** -draw(st.integers(0, 20)) / (2 * float(variance))
    least = theorem.value(spoiled_width, {deviation_: Float(deviation), rate_: Float(rate)})
    return Instance(
        parameters={
            "deviation": deviation,
            "rate": rate,
            "neurons": float(least) * draw(st.sampled_from([1, 4, 64])),
        }
    )


# ---- F6: the trace ------------------------------------------------------------------------------------------------

x_0, S = sympy.symbols("x_0 S", real=True)  # time, and squared norm of the space part; rho^2 = x_0^2 + S + 1
space = sympy.Symbol("d", positive=True)  # number of space coordinates

psi_squared = (
    36 * rho**2 * (rho**2 + 2 * x_0**2 - 2 * x_0 * space + space * (space + 2))
    + 27 * rho**4
    + 144 * (rho**2 * space + 2 * S)
    + 36 * x_0 * (3 * rho**2 * x_0 - rho**2 * space - 2 * S)
    + 144 * S * (space + 2 - 2 * x_0)
) / 2
chi_squared = Rational(27, 2) * rho**6
residual_squared = (
    27 * rho**4
    + 108 * rho**2 * x_0**2
    - 108 * x_0 * (rho**2 * space + 2 * S)
    + 36 * (rho**2 * space * (space + 2) + 4 * (space + 2) * S)
) / 2
output_squared = Rational(15, 2) * rho**6


def derived_and_closed(closed, block, *, covariance, dimensions=(1, 2)):
    """Expectations that the Gaussian engine derives from the neuron in so many space dimensions, and the formula."""
    found, wanted = [], []
    for dimension in dimensions:
        limit = problem_limit("relu3", heat_equation, dimension + 1)
        time, *others = limit.neuron.coordinates
        square = sum(s**2 for s in others)
        found.append(limit.trace_expression(block, covariance=covariance))
        at = {space: dimension, x_0: time, S: square, rho: sqrt(1 + time**2 + square)}
        wanted.append(sympy.expand(closed.subs(at, simultaneous=True)))
    if len(dimensions) == 1:
        return found[0], wanted[0]
    return sympy.Matrix(found), sympy.Matrix(wanted)


@theorem.lemma("E||psi||^2 for the heat operator, in 1, 2 and 3 space dimensions", holds=identity)
def interior_trace():
    return derived_and_closed(psi_squared, "interior", covariance=False, dimensions=(1, 2, 3))


@theorem.lemma("E||chi||^2 = 27/2 rho^6", holds=identity)
def boundary_trace():
    return derived_and_closed(chi_squared, "boundary", covariance=False)


@theorem.lemma("n_1 E s_p(0)^2 - f^2 for the heat operator, in 1 and 2 space dimensions", holds=identity)
def interior_residual():
    return derived_and_closed(residual_squared, "interior", covariance=True)


@theorem.lemma("n_2 E h_j(0)^2 - g^2 = 15/2 rho^6", holds=identity)
def boundary_residual():
    return derived_and_closed(output_squared, "boundary", covariance=True)


@theorem.lemma("E||psi||^2 grows like 18 rho^2 d^2", holds=identity)
def trace_growth():
    return sympy.limit(psi_squared / space**2, space, sympy.oo), 18 * rho**2


def trace_error(run):
    """Sums over the samples of closed forms that cancel a few digits."""
    return 2.0**10 * run.n * np.finfo(float).eps * sum(v.max() for v in second_moments(run).values())


@theorem.lemma(
    "tr H^inf is the mean over the samples of each block, whatever n_1 and n_2",
    holds=identity,
    on=("many samples", "any width"),
    error=trace_error,
)
def trace_is_average(run):
    return np.trace(run.limit_gram), sum(v.mean() for v in second_moments(run).values())


def trace_of(points, run):
    """The trace of H^inf at other points."""
    return np.trace(
        problem_limit("relu3", heat_equation, run.points["interior"].shape[1]).matrix(points, normalise=True)
    )


@theorem.lemma(
    "tr H^inf does not change when every interior sample comes three times and every boundary sample twice",
    holds=identity,
    on="any width",
    error=trace_error,
)
def trace_without_n(run):
    more = {name: np.repeat(run.points[name], times, axis=0) for name, times in (("interior", 3), ("boundary", 2))}
    return np.trace(run.limit_gram), trace_of(more, run)


largest_moment = theorem.quantity("largest_moment", lambda run: sum(v.max() for v in second_moments(run).values()))


@theorem.lemma(
    "||H^inf|| is at most the largest E||psi||^2 plus the largest E||chi||^2, whatever n_1 and n_2",
    holds=always,
    bound=largest_moment,
    on=("many samples", "any width"),
)
def norm_without_n(run):
    return run.limit_norm


# ---- one neuron ---------------------------------------------------------------------------------------------------


@theorem.lemma(
    "m ||J_r||_F^2 <= C_g^2 |w_r|^4, every neuron", holds=always, bound=C_g**2, on=("any width", "corner sample")
)
def one_neuron(run):
    weights = run.weights
    blocks = run.m * np.square(run.jacobian_at(weights)).sum(axis=(0, 2))
    return (blocks / np.square(weights).sum(axis=1) ** 2).max()


@theorem.lemma("every |w_r|^2 is at most B_2", holds=with_probability(1 - delta / 2), bound=B_2, on="any width")
def weights_bounded(run):
    return np.square(run.weights).sum(axis=1).max()


# ---- concentration ------------------------------------------------------------------------------------------------

ell = log(4 / delta)
TWO_TERMS = sqrt(2 * V * ell / m) + Rational(2, 3) * M * ell / m + sqrt(V * delta / (2 * m))


@theorem.lemma(
    "the mean square of ||H(0) - H^inf||_F is at most V/m",
    holds=with_probability(1 - Rational(1, 4)),
    bound=4 * V / m,
    on="any width",
)
def mean_square(run):
    """Markov's inequality at a quarter."""
    return run.initial_gram_error**2


@theorem.conclusion(
    "Lemma 3.3 at Chebyshev's width: ||H(0) - H^inf||_F <= lambda_0/4",
    holds=with_probability(1 - delta),
    bound=lambda_0 / 4,
    on="the lemma's own width",
)
def lemma_at_its_width(run):
    return run.initial_gram_error


@theorem.conclusion(
    "Lemma 3.3 at Chebyshev's width: lambda_min(H(0)) >= 3/4 lambda_0",
    holds=with_probability(1 - delta),
    bound=Rational(3, 4) * lambda_0,
    from_below=True,
    on="the lemma's own width",
)
def eigenvalue_at_its_width(run):
    return np.linalg.eigvalsh(run.at_start.gram)[0]


@theorem.conclusion(
    "||H(0) - H^inf||_F <= sqrt(V/(m delta))",
    holds=with_probability(1 - delta),
    bound=sqrt(V / (m * delta)),
    on="any width",
)
def chebyshev(run):
    return run.initial_gram_error


@theorem.conclusion(
    "||H(0) - H^inf||_F within both terms of Bernstein's inequality and the tail",
    holds=with_probability(1 - delta),
    bound=TWO_TERMS,
    on="any width",
)
def two_terms(run):
    return run.initial_gram_error


@theorem.conclusion(
    "ReLU^3: ||H(0) - H^inf||_F shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder, ReLU^3",
)
def rate(run):
    return run.initial_gram_error


@theorem.conclusion(
    "tanh: ||H(0) - H^inf||_F shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder, tanh",
)
def smooth_rate(run):
    return run.initial_gram_error


# ---- F16: the term that was dropped -------------------------------------------------------------------------------
# one boundary sample with (y, 1) = e_bias: ||chi||^2 = 9 g_+^4 with g standard normal. With probability at least
# 1/2 P(||chi(w_1)||^2 >= 2 t m + mean) the first neuron alone lifts the mean over neurons by t, for the others stay
# above their mean minus t with probability at least 1/2 (Chebyshev, m >= 2 variance / t^2)


@theorem.lemma("no c > 0 has exp(-c m) above the probability of one bad neuron, as m grows", holds=identity)
def one_neuron_is_likelier():
    x, t = sympy.symbols("x t", positive=True)
    width = (9 * x**4 - mean) / (2 * t)  # at which the threshold 2 t m + mean is 9 x^4
    density = -(x**2) / 2 - log(sqrt(2 * pi))
    log_probability = density + log(x / (1 + x**2)) - log(2)  # Mills' ratio from below
    return sympy.limit(log_probability / width, x, sympy.oo), sympy.S.Zero


ONE_TERM = rate_ * neurons * deviation_**2 - log(2)  # minus the logarithm of 2 exp(-c m t^2)


@theorem.lemma(
    "||H(0) - H^inf|| >= t is likelier than 2 exp(-c m t^2) from the derived width on, for every c",
    holds=always,
    bound=ONE_TERM,
    on="rates of a one-term bound",
    # the width itself is drawn, and has been rounded in some hundred operations
    given=lambda run: run.neurons >= run.spoiled_width * (1 - 1e-12),
)
def one_term_fails(run):
    return -log_tail(run.deviation, run.neurons)


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "one term alone (Lemma 3.3, reconstructed): P(||H(0) - H^inf|| >= t) <= 2 exp(-c m t^2)",
    holds=always,
    bound=ONE_TERM,
    from_below=True,
    on="rates of a one-term bound",
)
def one_term(run):
    return -log_tail(run.deviation, run.neurons)


@theorem.control(
    "||H^inf|| falls like 1/n",
    holds=always,
    bound=largest_moment / sympy.Symbol("n"),
    on="many samples",
)
def norm_with_n(run):
    return run.limit_norm


@theorem.control(
    "Lemma 3.3 at a hundredth of Chebyshev's width's tolerance: ||H(0) - H^inf||_F <= lambda_0/400",
    holds=with_probability(1 - delta),
    bound=lambda_0 / 400,
    on="the lemma's own width",
)
def lemma_too_close(run):
    return run.initial_gram_error


@theorem.control("||H(0) - H^inf||_F shrinks like 1/m", holds=scales_as(-1, tolerance=0.1), on="ladder, ReLU^3")
def too_fast(run):
    return run.initial_gram_error


@theorem.control(
    "||H(0) - H^inf||_F <= a hundredth of sqrt(V/(m delta))",
    holds=with_probability(1 - delta),
    bound=sqrt(V / (m * delta)) / 100,
    on="any width",
)
def too_close(run):
    return run.initial_gram_error


@theorem.control("E||chi||^2 = 12 rho^6", holds=identity)
def wrong_trace():
    return derived_and_closed(12 * rho**6, "boundary", covariance=False, dimensions=(1,))
