r"""Gradient descent on a wide two-layer ReLU network drives the squared loss to zero linearly.

Network     f(x) = m^(-1/2) sum_r a_r relu(w_r . x),  w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Loss        L = 1/2 sum_i (f(x_i) - y_i)^2, not divided by n;  r = (f(x_i) - y_i)_i
Method      w(k+1) = w(k) - eta grad L(w(k))
Guarantee   L(k) <= (1 - eta lambda_0 / 2)^k L(0) for all k, with probability at least 1 - delta  (upper)
Hypotheses  unit inputs, no two parallel; |y_i| <= C; eta <= 2 / (3 ||H^inf||_2); m >= m_0 below

The learning rate O(1/||H^inf||_2), in place of O(lambda_0/n^2), is the contribution of arXiv 2408.00573
(versions 1 and 2, abstract). Width, radius and every constant are derived here: the proof is a chain of
inequalities whose slack - of lambda_0 between the initial Gram matrix (tau) and its drift (sigma), of delta between
three random events, of the sign-flip count (1 + zeta) - is split by free parameters. The textbook split is a quarter,
a quarter, thirds and zeta = 1. `optimal_split` chooses them to make the width small: 663,333 neurons in place of
11,190,496 (whose constant is published as 2608) for two orthonormal inputs, C = 1 and delta = 1/10, 16.9 times fewer.
Data at which ||H^inf|| and lambda_0 part are for `beyond/coupled_regression`, 1e4 times narrower.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, always, with_probability
from ntkverify.glossary import C, delta, eta, k, lambda_0, limit_norm, loss_0, m, n, residual
from ntkverify.instances import bounded_targets, orthonormal_inputs, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.concentration import Concentration, hoeffding, least_width
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.relu.arc_cosine import ArcCosine
from ntkverify.lemmas.relu.outputs import InitialOutputs
from ntkverify.lemmas.rounding import ULP, loss_error, regression_error, started
from ntkverify.lemmas.stability import SwitchingStability
from ntkverify.problems.on_data import regression_instance
from ntkverify.problems.regression import RegressionRun
from ntkverify.symbolic.constants.chain import Chain, Requirement, solve_for

theorem = Theorem(
    "Linear convergence of gradient descent, two-layer ReLU regression",
    source=Source(arxiv="2408.00573", version=2, where="abstract (rate and learning rate)", provenance="derived"),
    statement=r"""
        Let $\|x_i\| = 1$, no two $x_i$ parallel, $|y_i| \le C$, $0 < \eta \le 2 / (3\|H^\infty\|_2)$ and $m \ge m_0$.
        Then with probability at least $1-\delta$, for all $k$: $L(k) \le (1-\eta\lambda_0/2)^k L(0)$,
        $\max_r \|w_r(k)-w_r(0)\| \le R$, $\|H(k)-H(0)\|_F \le \sigma\lambda_0$ and
        $\|I_1(k)\| \le \frac{\sigma}{2}\lambda_0\,\eta\,\|r(k)\|$.
    """,
)

# ---- constants: the chain of inequalities, and how its slack is split ------------------------------------------------

tau, sigma, zeta, share_gram, share_flips, share_output, radius, tolerance = sympy.symbols(
    "tau sigma zeta share_gram share_flips share_output radius tolerance", positive=True
)
flips = Flips(theorem)
# the Gram matrix moves by at most 2 n times the share of neurons that may flip
R = theorem.constant(
    "R",
    solve_for(radius, sympy.Le(2 * n * (1 + zeta) * flips.kappa * radius, sigma * lambda_0)),
    "no weight moves further",
)
descent = GradientDescent(theorem, kept=1 - tau - sigma, kept_words="(1 - tau - sigma) lambda_0")
outputs = InitialOutputs(theorem, share_output * delta)


def gram_failure(tolerance):
    """For n^2 entries in an interval of length at most 1, each within tolerance / n."""
    return hoeffding(n**2, tolerance / n)


GRAM_FAILS, FLIPS_FAIL = gram_failure(tau * lambda_0), flips.failure(n, R, zeta)
DRIFT = descent.drift_factor * n * (C + outputs.bound) / (sqrt(m) * lambda_0)
NORM, SHARES = descent.eta_max * limit_norm * (1 + tau + sigma), share_gram + share_flips + share_output
requirements = [
    Requirement("initial Gram matrix", GRAM_FAILS, share_gram * delta, "Hoeffding, union over n^2 entries"),
    Requirement("sign flips", FLIPS_FAIL, share_flips * delta, "Chernoff, union over n samples"),
    Requirement("drift", DRIFT, R, "the weights stay in the ball in which the Gram matrix is stable"),
    Requirement("step", NORM, 1, "eta ||H(k)|| <= 1 at the largest step"),
    Requirement("perturbation", sigma / 2, descent.epsilon, "||I_1|| leaves the contraction intact"),
    Requirement("probability", SHARES, 1, "union bound over the three events"),
]
chain = Chain(m, requirements, free=(tau, sigma, zeta, share_gram, share_flips, share_output))
m_0 = theorem.constant("m_0", chain.sufficient(), "sufficient width")

third = Rational(1, 3)
textbook_split = dict(zip(chain.free, (Rational(1, 4), Rational(1, 4), 1, third, third, third), strict=True))
REFERENCE = {n: 2, lambda_0: Rational(1, 2), C: 1, delta: Rational(1, 10)}
explicit = chain.mapped(theorem.expand)  # every constant written out, in n, lambda_0, C, delta and the split alone
optimal = explicit.minimise(REFERENCE, start=textbook_split)
optimal_split = optimal.shares
descent.splits = (textbook_split, optimal_split)
best = {"textbook": textbook_split, "optimal": lambda at: explicit.minimise(at, start=textbook_split).shares}
theorem.declare(parameters={"delta": 0.1}, splits=best)

DATA = premises.unit_inputs(theorem)
premises.step_at_most(theorem, "step at most 2/(3 ||H^inf||)", descent.eta_max)
premises.width_at_least(theorem, "width at least m_0", m_0)
STEP = (*DATA, "step at most 2/(3 ||H^inf||)")


@theorem.assumption("split admissible")
def split_admissible(run):
    return min(run.evaluate(r.right - r.left) for r in chain.static) + 4 * ULP


# ---- instances ----------------------------------------------------------------------------------------------------

instance = functools.partial(regression_instance, theorem, split=textbook_split, C=1.0, delta=0.1)


def at_lemma_width(inputs, width, **parameters):
    """One event alone: it takes all of delta."""
    return instance(inputs, np.zeros(len(inputs)), width=width, split=textbook_split | {share_output: 1}, **parameters)


def gram_instance(inputs, failure):
    """At the width that `failure` prescribes for tolerance 1/8 and probability 9/10."""
    width = least_width(failure, {n: len(inputs), tolerance: Rational(1, 8), delta: Rational(1, 10)})
    return at_lemma_width(inputs, width, tolerance=1 / 8)


CLUSTER = unit_inputs(lambda strategy: 1, 8, 3, spread=0.02)  # all n^2 entries of the Gram matrix deviate together
PULLED = np.full(8, -1.0)  # every sample pulls a neuron the same way
LADDER_INPUTS = unit_inputs(lambda strategy: 0, 8, 4)
ONE, TWO = orthonormal_inputs(1), orthonormal_inputs(2)
GRAM_WIDTH, FLIP_WIDTH = "Gram lemma's own width", "flip lemma's own width"
CLUSTERED, FORGETFUL = "Gram lemma's own width, clustered inputs", "a width that forgets n"
ONE_STEP, SHORT, FEWER = "clustered inputs, one step", "clustered inputs, a short step", "a hundredth of the width"
OWN = ("theorem's width, optimal split", "theorem's width, textbook split")
ANY = ("any width", *OWN)
SURE, LADDER = with_probability(1 - delta), {"assumes": DATA, "on": "ladder of widths"}


def family(name, quick, **counts):
    return theorem.instances(name, run=RegressionRun, quick=quick, **counts)


@family("any width", 60, thorough=2000)
def any_width(draw):
    count = draw(st.integers(1, 6))
    inputs = unit_inputs(draw, count, draw(st.integers(2, 5)), spread=draw(st.sampled_from([0.1, 0.5, 1.0, 3.0])))
    targets, width = bounded_targets(draw, count, 1.0), 2 ** draw(st.integers(3, 12))
    return instance(inputs, targets, width=width, fraction=draw(st.sampled_from([0.1, 0.5, 1.0])), steps=15)


@family(FLIP_WIDTH, 1000, thorough=5000)
def flip_width(draw):
    inputs, ball = orthonormal_inputs(draw(st.integers(1, 3))), Rational(1, 20)
    return at_lemma_width(inputs, flips.width(len(inputs), ball, Rational(1, 10)), radius=float(ball))


@family("theorem's width, optimal split", 40, thorough=200)
def optimal_width(draw):
    count = draw(st.integers(1, 2))
    return instance(orthonormal_inputs(count), bounded_targets(draw, count, 1.0), split=optimal_split)


@family("step beyond stability", 20)
def unstable(draw):
    """eta ||H^inf|| = 3 doubles the residual, and the claimed rate is a half."""
    return instance(TWO, bounded_targets(draw, 2, 1.0), width=4096, fraction=4.5, steps=5)


@family("narrow network", 60)
def narrow(draw):
    return instance(TWO, bounded_targets(draw, 2, 1.0), width=draw(st.integers(2, 4)), steps=20)


RUNGS = {"inputs": LADDER_INPUTS, "targets": np.linspace(-1, 1, 8), "steps": 6}
family("ladder of widths", 300, thorough=1000)(lambda draw: instance(width=2 ** draw(st.integers(8, 14)), **RUNGS))
NEARLY = {"targets": np.ones(4), "width": 1024, "steps": 5}
family("nearly parallel inputs", 10)(lambda draw: instance(unit_inputs(draw, 4, 3, spread=0.05), **NEARLY))
family(FEWER, 40)(lambda: instance(TWO, np.array([1.0, -1.0]), split=optimal_split, width=6634, steps=5))
family(GRAM_WIDTH, 1000, thorough=5000)(lambda: gram_instance(ONE, gram_failure(tolerance)))
family(CLUSTERED, 200, thorough=2000)(lambda: gram_instance(CLUSTER, gram_failure(tolerance)))
family(FORGETFUL, 100)(lambda: gram_instance(CLUSTER, hoeffding(1, tolerance)))
family(ONE_STEP, 20)(lambda: instance(CLUSTER, PULLED, width=2**14, steps=1, radius=0.1))
# few neurons are near switching: one that switches is felt
family(SHORT, 200)(lambda: instance(CLUSTER, PULLED, width=64, fraction=0.1, steps=1))
family("theorem's width, textbook split", 1, thorough=10, observed="1.1e7 neurons a draw")(
    lambda: instance(TWO, np.array([1.0, -1.0]))
)
family("one input", 2000, thorough=20000)(lambda: instance(ONE, np.ones(1), width=256))  # 2000 draws are few for 1024

# ---- the Gram matrix: its limit, how close it starts, how little it moves -------------------------------------------

ArcCosine(theorem)
gram = Concentration(theorem, assumes=DATA, uses="limit Gram matrix")
gram.within(
    "Gram lemma: H(0) is within the tolerance of its limit at the lemma's own width",
    tolerance,
    on=GRAM_WIDTH,
    quarter="the Gram lemma with a quarter of its constant",
)
gram.within("Gram lemma at its own width for clustered inputs, whose entries deviate together", tolerance, on=CLUSTERED)
gram.false("the Gram lemma at a width that forgets n", tolerance, on=FORGETFUL)
gram.shrinks("||H(0) - H^inf||_F shrinks like m^(-1/2)", on="ladder of widths")
gram.hoeffding_tail()
# a share of delta, below 1e-3, is for the thousands of draws at the lemma's own width
theorem.lemma(
    "H(0) is within tau lambda_0 of its limit",
    of="initial_gram_error",
    holds=with_probability(1 - delta),
    bound=tau * lambda_0,
    on=OWN,
    uses="concentration",
)
flips.few(
    "flip lemma: at most twice the expected share of neurons is within R of switching, at the lemma's own width",
    of=lambda run: run.initial(run.radius).near.max(),
    radius=radius,
    assumes=DATA,
    on=FLIP_WIDTH,
)
stability = SwitchingStability(theorem)
stability.gram(on=("any width", ONE_STEP), worst=ONE_STEP, assumes=DATA)
stability.perturbation(on=("any width", SHORT), short=SHORT, assumes=DATA)
CLOSES = ("the drift allowed", "the radius leaves", "the three events")
stays_in_ball = stability.in_ball(flips, radius=R, zeta=zeta, sigma=sigma, share=delta, on=OWN, closes=CLOSES)

# ---- the recursion, its contraction, the drift ----------------------------------------------------------------------

descent.recursion(on=ANY, assumes=DATA, error=regression_error)
descent.contraction(on=ANY, assumes=STEP)
descent.beyond_stability()
descent.spectrum(theorem.lemma, on=OWN, uses=("H(0) is within", "gram_in_ball", "eta ||H(k)|| <= 1 at"))
descent.largest_step((tau + sigma) * lambda_0)

GRADIENT = {"of": "largest_gradient", "holds": always, "assumes": DATA}
theorem.lemma(
    "max_r ||dL/dw_r|| <= sqrt(n/m) ||r||",
    bound=sqrt(n / m) * residual,
    on=ANY,
    attained=True,  # by a single input, wherever a neuron is active
    **GRADIENT,
)
theorem.control("the gradient bound without sqrt(n)", bound=residual / sqrt(m), on="nearly parallel inputs", **GRADIENT)
descent.drift(
    sqrt(n) / sqrt(m),
    "max_r ||w_r(k) - w_r(0)|| <= 4 sqrt(n) ||r(0)|| / (sqrt(m) lambda_0) while the loss contracts",
    assumes=STEP,
    on=ANY,
    given=descent.contracting_so_far,
    uses="max_r ||dL/dw_r||",
)
descent.shrinks("the drift", lambda run: run.drift.max() / run.residual_0, uses="max_r ||w_r(k) - w_r(0)||", **LADDER)
descent.sums("sums: eta sum_k sqrt(1 - eta lambda_0/2)^k <= 4 / lambda_0")

# ---- the initial outputs, and closing the chain ---------------------------------------------------------------------

outputs.bounded(
    "every initial output is at most sqrt(2 log(2n/delta)) at any width", assumes=DATA, on=(GRAM_WIDTH, FLIP_WIDTH)
)
outputs.law(assumes=DATA, on="one input")

FITS = {"holds": always, "on": OWN}
DRIFTS = "max_r ||w_r(k)"
theorem.lemma("the drift allowed by the width fits into the radius, by m_0", of=DRIFT, bound=R, uses=DRIFTS, **FITS)
NEAR, LEAVES = (1 + zeta) * flips.kappa * n * R, descent.epsilon * lambda_0
theorem.lemma("the radius leaves the contraction intact, by sigma", of=NEAR, bound=LEAVES, **FITS)
theorem.lemma(
    "the three events fail with probability at most delta together, by m_0",
    of=GRAM_FAILS + FLIPS_FAIL + outputs.failure,
    bound=delta,
    uses=("H(0) is within", "flip lemma", "initial outputs"),
    **FITS,
)

# ---- conclusion ---------------------------------------------------------------------------------------------------

RATE = {"of": "losses", "holds": SURE}
theorem.conclusion(
    "L(k) <= (1 - eta lambda_0/2)^k L(0) for all k",
    bound=descent.contracted,
    on=OWN,
    given=started,
    error=loss_error,
    uses=("step_contracts", "eta lambda_0/2 stays", "eigenvalue_kept", "step_kept", "remainder_in_ball"),
    **RATE,
)
stays_in_ball()
sixth = (1 - eta * lambda_0 / 2) ** (6 * k) * loss_0
theorem.control("the rate to the sixth power", bound=sixth, on=OWN[0], error=loss_error, **RATE)
theorem.control(
    "the same rate at four and a half times the largest step",
    bound=sympy.Abs(1 - eta * lambda_0 / 2) ** k * loss_0,
    assumes=DATA,
    on="step beyond stability",
    **RATE,
)
theorem.control(
    "the rate without the width assumption, four neurons or fewer",
    bound=descent.contracted,
    assumes=STEP,
    on="narrow network",
    **RATE,
)
FEW = {"holds": SURE, "assumes": STEP, "on": FEWER}  # no w_r leaves R there: drift grows by 10, its slack is 13
theorem.control("a hundredth of the width: ||H(0) - H^inf||_F", of="initial_gram_error", bound=tau * lambda_0, **FEW)
