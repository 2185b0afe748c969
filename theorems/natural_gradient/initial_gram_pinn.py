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

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, log, sqrt

from ntkverify import Instance, Source, Theorem, always, identity, with_probability
from ntkverify.glossary import d, delta, lambda_0, m, n
from ntkverify.instances import CORNER, families, space_time_points
from ntkverify.lemmas.concentration import Concentration, bernstein, chebyshev, chebyshev_width
from ntkverify.lemmas.neuron_bounds import neuron_blocks, neuron_sizes, relu_cubed_interior, rho
from ntkverify.lemmas.pinn import moments
from ntkverify.lemmas.pinn.heavy_tail import HeavyTail
from ntkverify.lemmas.premises import PINN_POINTS
from ntkverify.problems.pinn import PinnRun, heat_equation, pinn, problem_limit
from ntkverify.symbolic.constants.derived import derived

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

# ---- constants: a neuron with ||w|| <= B, and the width by Chebyshev -------------------------------------------------

V = theorem.quantity("V", moments.spread)
largest_moment = theorem.quantity("largest_moment", moments.largest_moment)
K = theorem.constant("K", relu_cubed_interior(), "||psi(w)|| <= K |w|^2")
C_g = theorem.constant(
    "C_g", derived(sqrt(K**2 + (3 * rho**3) ** 2), "means of ||psi||^2 and ||chi||^2"), "||G(w)||_F <= C_g^2 |w|^4"
)
x_t = sympy.Symbol("t", positive=True)


def largest_size(t):
    """What |w|^2 of a neuron exceeds with probability exp(-t): the chi-square tail of Laurent and Massart."""
    return d + 2 * sqrt(d * t) + 2 * t


B_2 = theorem.constant(
    "B_2",
    derived(largest_size(log(2 * m / delta)), "chi-square tail, over m neurons"),
    "|w_r|^2 <= B_2 for all r with probability 1 - delta/2",
)
width = theorem.constant(
    "width",
    chebyshev_width(V, lambda_0 / 4),
    "sufficient for ||H(0) - H^inf|| <= lambda_0/4 with probability 1 - delta",
)
M = theorem.constant("M", derived(2 * C_g**2 * B_2**2, "G minus its mean, truncated"), "deviation of one neuron")
theorem.declare(width=width, data=PINN_POINTS)

# ---- instances ----------------------------------------------------------------------------------------------------

RELU, TANH = pinn(activation="relu3"), pinn(activation="tanh")


def instance(draw, *, width, largest=3):
    counts = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    points = space_time_points(draw, *counts, draw(st.integers(1, 2)))
    return Instance(data=points, parameters={"delta": draw(st.sampled_from([0.05, 0.2]))}, width=width)


def four_samples(draw, *, width):
    data = {"interior": [[0.3, 0.3], [0.7, 0.8]], "boundary": [[0.0, 0.4], [0.5, 1.0]]}
    return Instance(data=data, width=width)


def pair(draw, *, width):
    """Two samples, for which Chebyshev's width is below 1e5 neurons."""
    at = draw(st.sampled_from([([0.1, 0.5], [0.5, 1.0]), ([0.3, 0.5], [0.0, 1.0])]))
    return Instance(data={"interior": [at[0]], "boundary": [at[1]]}, parameters={"delta": 0.2}, width=width)


ANY, MANY, FORTY = "any width", "many samples", "forty samples of a block"
OWN, FEWER = "the lemma's own width", "a hundredth of the lemma's own width"
theorem.instances(ANY, run=RELU, quick=150)(families.family(instance, power=st.integers(4, 12)))
theorem.instances(MANY, run=RELU, quick=20)(families.family(instance, width=1, largest=40))
theorem.instances(FORTY, run=RELU, quick=1)(lambda draw: Instance(data=space_time_points(draw, 40, 40, 1), width=1))
theorem.instances("ladder, ReLU^3", run=RELU, quick=400)(families.ladder(four_samples, powers=(6, 7, 12, 13)))
theorem.instances("ladder, tanh", run=TANH, quick=280)(families.ladder(four_samples, powers=(6, 7, 12, 13)))
at_width = families.own_width(pair, lambda found: PinnRun(found, theorem).width)
theorem.instances(OWN, run=RELU, quick=40)(at_width)
theorem.instances(FEWER, run=RELU, quick=40)(lambda draw: families.hundredth(at_width(draw)))


@theorem.instances("corner sample", run=RELU, quick=1)
def corner():
    """Where |psi| comes closest to its bound: 0.507 of it."""
    return Instance(data=CORNER, parameters={"delta": 0.2}, width=10**5)


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


def closed_form(closed, block, *, covariance=False, dimensions=(1, 2)):
    """What the Gaussian engine derives from the neuron, and the formula."""

    def formula(time, square, dimension):
        at = {space: dimension, x_0: time, S: square, rho: sqrt(1 + time**2 + square)}
        return closed.subs(at, simultaneous=True)

    return moments.closed_forms(formula, block, covariance=covariance, dimensions=dimensions)


EXACT, PSI = {"holds": identity}, closed_form(psi_squared, "interior", dimensions=(1, 2, 3))
OUTPUTS, PDE = (
    closed_form(square, block, covariance=True)
    for square, block in ((output_squared, "boundary"), (residual_squared, "interior"))
)
theorem.lemma("E||psi||^2 for the heat operator, in 1, 2 and 3 space dimensions", of=PSI, **EXACT)
theorem.lemma("E||chi||^2 = 27/2 rho^6", of=closed_form(chi_squared, "boundary"), **EXACT)
theorem.control("E||chi||^2 = 12 rho^6", of=closed_form(12 * rho**6, "boundary"), **EXACT)
theorem.lemma("n_1 E s_p(0)^2 - f^2 for the heat operator, in 1 and 2 space dimensions", of=PDE, **EXACT)
theorem.lemma("n_2 E h_j(0)^2 - g^2 = 15/2 rho^6", of=OUTPUTS, **EXACT)


@theorem.lemma("E||psi||^2 grows like 18 rho^2 d^2", holds=identity, uses="E||psi||^2 for")
def trace_growth():
    return sympy.limit(psi_squared / space**2, space, sympy.oo), 18 * rho**2


def trace_error(run):
    """Sums over the samples of closed forms that cancel a few digits."""
    return 2.0**10 * run.n * np.finfo(float).eps * run.largest_moment


TRACE = {"holds": identity, "error": trace_error}


@theorem.lemma(
    "tr H^inf is the mean over the samples of each block, whatever n_1 and n_2",
    on=(MANY, ANY),
    uses=("E||psi||^2 for", "E||chi||^2 = 27/2"),
    **TRACE,
)
def trace_is_average(run):
    return np.trace(run.limit_gram), sum(v.mean() for v in moments.moments(moments.second_moment, run).values())


@theorem.lemma(
    "tr H^inf does not change when every interior sample comes three times and every boundary sample twice",
    on=ANY,
    uses="trace_is_average",
    **TRACE,
)
def trace_without_n(run):
    more = {name: np.repeat(run.points[name], times, axis=0) for name, times in (("interior", 3), ("boundary", 2))}
    limit = problem_limit("relu3", heat_equation, run.points["interior"].shape[1])
    return np.trace(run.limit_gram), np.trace(limit.matrix(more, normalise=True))


NORM = {"of": "limit_norm", "holds": always}
theorem.lemma(
    "||H^inf|| is at most the largest E||psi||^2 plus the largest E||chi||^2, whatever n_1 and n_2",
    bound=largest_moment,
    on=(MANY, ANY),
    uses="trace_is_average",
    **NORM,
)
# 4/n is above 1 for the two samples where 1/n would be exact
theorem.control(
    "||H^inf|| falls like 1/n, to four times a mean eigenvalue", bound=4 * largest_moment / n, on=FORTY, **NORM
)

# ---- one neuron, and concentration of their mean --------------------------------------------------------------------


@theorem.lemma("m ||J_r||_F^2 <= C_g^2 |w_r|^4, every neuron", holds=always, bound=C_g**2, on=(ANY, "corner sample"))
def one_neuron(run):
    return (neuron_blocks(run) ** 2 / neuron_sizes(run) ** 2).max()


@theorem.lemma("every |w_r|^2 is at most B_2", holds=with_probability(1 - delta / 2), bound=B_2, on=ANY)
def weights_bounded(run):
    return neuron_sizes(run).max()


theorem.lemma(
    "||H(0) - H^inf||_F^2 <= 4 V/m in three draws of four: what a mean square of at most V/m gives by Markov",
    of=lambda run: run.initial_gram_error**2,
    holds=with_probability(1 - Rational(1, 4)),
    bound=4 * V / m,
    on=ANY,
    uses=("E||psi||^2 for", "E||chi||^2 = 27/2"),
)
gram = Concentration(theorem, uses="||H(0) - H^inf||_F^2 <= 4 V/m")
concludes, PAIRS = {"kind": "conclusion"}, "Lemma 3.3 for two pairs of samples, delta = 1/5,"
gram.within(f"{PAIRS} at Chebyshev's width: ||H(0) - H^inf||_F <= lambda_0/4", lambda_0 / 4, on=OWN, **concludes)
gram.false(f"{PAIRS} at a hundredth of Chebyshev's width: ||H(0) - H^inf||_F <= lambda_0/4", lambda_0 / 4, on=FEWER)
theorem.conclusion(
    f"{PAIRS} at Chebyshev's width: lambda_min(H(0)) >= 3/4 lambda_0",
    of=lambda run: np.linalg.eigvalsh(run.at_start.gram)[0],
    holds=with_probability(1 - delta),
    bound=Rational(3, 4) * lambda_0,
    from_below=True,
    on=OWN,
    uses=f"{PAIRS} at Chebyshev's width: ||H(0)",
)
gram.within("||H(0) - H^inf||_F <= sqrt(V/(m delta))", chebyshev(V), on=ANY, **concludes)
gram.falls("Chebyshev's bound falls as the width grows", chebyshev, "second_moment")
gram.falls(
    "both terms of Bernstein's and the tail fall as the width grows, M fixed", bernstein, "second_moment", "largest"
)


@theorem.lemma(
    "M/m falls as the width grows from one neuron on, delta <= 1/2: m dB_2^2/dm <= B_2^2",
    holds=always,
    bound=largest_size(x_t),
    over={x_t: sympy.Interval(Rational(4, 3), sympy.oo), d: sympy.Interval(1, sympy.oo)},
)
def cut_falls():
    """B_2 depends on m by t = log(2 m/delta) >= log 4 > 4/3."""
    return 2 * sympy.diff(largest_size(x_t), x_t)


gram.false("||H(0) - H^inf||_F <= a hundredth of sqrt(V/(m delta))", chebyshev(V) / 100, on=ANY)
gram.within(
    "||H(0) - H^inf||_F within both terms of Bernstein's inequality and the tail", bernstein(V, M), on=ANY, **concludes
)
gram.shrinks(
    "ReLU^3: ||H(0) - H^inf||_F shrinks like m^(-1/2)",
    fast="||H(0) - H^inf||_F shrinks like 1/m",
    on="ladder, ReLU^3",
    **concludes,
)
gram.shrinks("tanh: ||H(0) - H^inf||_F shrinks like m^(-1/2)", on="ladder, tanh", **concludes)

# ---- F16: the term that was dropped -------------------------------------------------------------------------------

tail = HeavyTail(theorem)
tail.in_the_limit("no c > 0 has exp(-c m) above the probability of one bad neuron, as m grows")
tail.one_term(
    "||H(0) - H^inf|| >= t is likelier than 2 exp(-c m t^2) from the derived width on, for every c",
    false="one term alone (Lemma 3.3, reconstructed): P(||H(0) - H^inf|| >= t) <= 2 exp(-c m t^2)",
    hundredth="the same from a hundredth of the derived width on",
)
