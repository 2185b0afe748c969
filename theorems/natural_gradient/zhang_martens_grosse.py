r"""Natural gradient descent on a network whose Jacobian hardly moves converges linearly, whatever its Gram matrix.

Network     f(x) = m^(-1/2) sum_r a_r relu(w_r . x),  w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Loss        1/2 sum_i (f(x_i) - y_i)^2, not divided by n;  r = (f(x_i) - y_i)_i, G(0) = J(0) J(0)^T
Method      w(k+1) = w(k) - eta J^T (J J^T)^(-1) r(k)
Guarantee   ||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 for all k  (upper)
Hypotheses  1: J(0) has full row rank.  2: ||J(w) - J(0)|| <= (c/3) sqrt(lambda_min(G(0))) with c < 1/2 wherever
            ||w - w(0)|| <= 3 ||r(0)||/sqrt(lambda_min(G(0))).  eta <= (1 - 2c)/(1 + c)^2

Theorem 1 of Zhang, Martens and Grosse (2019); the exact form of Condition 2 is reconstructed, and the proof is derived
here: the singular values of J lose a share c/3, E = r(k+1) - (1 - eta) r(k) has norm at most
eta (2c/3)/(1 - c/3) ||r(k)||, and the steps add up to less than the radius. Condition 2 speaks of a whole ball of
weights, and the proof uses J at every point of the steps; what a run measures is J at their ends and middles.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.glossary import delta, eta, residual, residual_0
from ntkverify.instances import bounded_targets, generator, unit_inputs
from ntkverify.lemmas.natural_gradient import (
    NaturalGradient,
    decomposed,
    random_decomposition,
    worst_error,
    worst_parts,
    worst_step,
)
from ntkverify.lemmas.rounding import TINY, ULP, loss_error, so_far, solve_norm_error, two_losses
from ntkverify.lemmas.stability import farthest, visited
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.regression import NaturalRegressionRun
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Natural gradient descent under Conditions 1 and 2, two-layer ReLU regression",
    source=Source(arxiv="1905.10961", version=1, where="Theorem 1, Conditions 1 and 2", provenance="reconstructed"),
    statement=r"""
        If $J(0)$ has full row rank and $\|J(w)-J(0)\| \le \frac{c}{3}\sqrt{\lambda_{\min}(G(0))}$, $c < \frac12$, for
        $\|w-w(0)\| \le 3\|r(0)\|/\sqrt{\lambda_{\min}(G(0))}$, then for $\eta \le (1-2c)/(1+c)^2$:
        $\|r(k)\|^2 \le (1-\eta)^k\|r(0)\|^2$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

c = sympy.Symbol("c", positive=True)  # the constant of Condition 2
sigma_0 = sympy.Symbol("sigma_0", positive=True)  # least singular value of J(0)
singular = sympy.Symbol("s", positive=True)  # another, over sigma_0
eta_max = theorem.constant("eta_max", (1 - 2 * c) / (1 + c) ** 2, "largest step")
share = theorem.constant("share", c / 3, "||J(w) - J(0)|| <= share sigma_0")
# a step: |E| <= eta (mean ||J(w_s) - J(w)||) / sigma_min(J) |r|, and ||J(w_s) - J(w)|| <= 2 share sigma_0
deviation = theorem.constant(
    "deviation", derived(2 * share / (1 - share), "triangle inequality through J(0)"), "||E|| <= deviation eta ||r||"
)
natural = NaturalGradient(theorem)
# the path: sum of eta |r(k)|/sigma_min(J) with |r(k)| <= sqrt(1 - eta)^k |r(0)|
path = theorem.constant(
    "path",
    derived((1 + sqrt(1 - eta)) / (1 - share), "geometric series"),
    "||w(k) - w(0)|| <= path ||r(0)||/sigma_0",
)
radius = theorem.constant(
    "radius", derived(sympy.Integer(3), "as in Condition 2"), "radius of the ball, over ||r(0)||/sigma_0"
)
theorem.declare(largest_step=eta_max, data={"inputs": ("n", "d"), "start": ("n",)})

STEP = "c below 1/2 and step at most (1 - 2c)/(1 + c)^2"


@theorem.assumption("Condition 1")
def full_rank(run):
    return run.eigenvalues[0, 0] - run.n * ULP * run.eigenvalues[0, -1]


@theorem.assumption(STEP)
def step_allowed(run):
    """And both positive."""
    return min(run.c - TINY, 1 / 2 - run.c, run.eta - TINY, run.eta_max * (1 + 4 * ULP) - run.eta)


# ---- instances ----------------------------------------------------------------------------------------------------


def largest_step(constant):
    return float(theorem.value(eta_max, {c: constant}))


@theorem.instances("training", run=NaturalRegressionRun, quick=25)
def training(draw):
    count, constant = draw(st.integers(1, 4)), draw(st.sampled_from([0.1, 0.25, 0.45]))
    start = 10.0 ** -draw(st.integers(0, 2)) * bounded_targets(draw, count, 1.0)
    return Instance(
        data={"inputs": unit_inputs(draw, count, 4), "start": start},
        parameters={"c": constant},
        width=2 ** draw(st.integers(9, 13)),
        step=draw(st.sampled_from([0.1, 1.0])) * largest_step(constant),
        steps=10,
    )


@theorem.instances("wide", run=NaturalRegressionRun, quick=10)
def wide(draw):
    """8192 neurons, three orthonormal inputs, initial residuals of size 1; steps until the bound is a hundredth."""
    data = {"inputs": np.eye(3), "start": generator(draw).choice([-1.0, 1.0], 3) / np.sqrt(3)}
    parameters = {"c": 0.35, "delta": 0.1}
    return Instance(data=data, parameters=parameters, width=2**13, step=largest_step(0.35), steps=26)


def jacobians(draw, constant, step):
    data = random_decomposition(draw, 1.0)
    data["singular"] = data["singular"] * 10.0 ** draw(st.integers(-2, 2))
    return Instance(data={**data, "vector": data["left"][:, 0]}, parameters={"c": constant}, step=step)


@theorem.instances("worst Jacobians", run=AlgebraRun, quick=100, thorough=2000)
def worst_jacobians(draw):
    constant = draw(st.sampled_from([1e-6, 0.01, 0.1, 0.25, 0.4, 0.499]))
    return jacobians(draw, constant, draw(st.sampled_from([0.01, 0.5, 1.0])) * largest_step(constant))


BROKEN = "step beyond its bound, c = 0.49", "c = 0.9, a short step"
theorem.instances(BROKEN[0], run=AlgebraRun, quick=1)(lambda draw: jacobians(draw, 0.49, 0.99))
theorem.instances(BROKEN[1], run=AlgebraRun, quick=1)(lambda draw: jacobians(draw, 0.9, 0.01))


# ---- the chain ----------------------------------------------------------------------------------------------------

WORST = {"holds": always, "assumes": STEP, "on": "worst Jacobians"}
#: every c below 1/2 with every step that it allows
EVERY = {
    "holds": always,
    "over": {c: sympy.Interval.open(0, sympy.Rational(1, 2)), eta: sympy.Interval.open(0, 1)},
    "given": sympy.Le(eta, eta_max, evaluate=False),
}
natural.epsilon_forms()
theorem.lemma(
    "c < 1/2 and the step bound keep E below the threshold",
    of=deviation,
    bound=natural.epsilon,
    uses="epsilon_forms",
    **EVERY,
)
theorem.lemma("the path stays in the ball of Condition 2", of=path, bound=radius, **EVERY)


@theorem.lemma("the steps add up to path ||r(0)||/sigma_0", bound=path, **EVERY)
def path_length():
    return eta / (1 - sqrt(1 - eta)) / (1 - share)


@theorem.lemma(
    "(1 - eta + eta (2c/3)/(s - c/3))^2 <= 1 - eta for every singular value s from 1 on, in units of sigma_0",
    holds=always,
    bound=1 - eta,
    over={**EVERY["over"], singular: sympy.Interval(1, sympy.oo)},
    given=EVERY["given"],
    uses="c < 1/2 and the step bound",
)
def one_direction():
    return ((1 - eta) + eta * 2 * share / (singular - share)) ** 2


DROPPED = {"holds": always, "bound": 1 - eta, "assumes": (), "error": worst_error}


@theorem.lemma(
    "||E|| <= eta (2c/3)/(1 - c/3) ||r||, worst case",
    bound=deviation * eta,
    given=decomposed,
    error=worst_error,
    attained=True,
    **WORST,
)
def deviation_worst_case(run):
    return np.linalg.norm(worst_parts(run, run.vector, allowed(run))[1]) / np.linalg.norm(run.vector)


def allowed(run):
    """What Condition 2 allows J to change."""
    return run.share * run.singular.min()


@theorem.control("the step bound dropped", on=BROKEN[0], **DROPPED)
@theorem.control("c < 1/2 dropped", on=BROKEN[1], **DROPPED)
@theorem.lemma(
    "one step contracts the loss when J changes by as much as Condition 2 allows, worst case",
    bound=1 - eta,
    given=decomposed,
    error=worst_error,
    attained=True,  # to rounding, at steps near 0
    uses=("deviation_worst_case", "one_direction"),
    **WORST,
)
def step_worst_case(run):
    return worst_step(run, run.vector, allowed(run))


def in_condition(run):
    """J within (c/3) sigma_0 of J(0) at every w so far, the middles of the steps included; for each k >= 1."""
    return so_far(visited(run) <= run.share * run.sigma_0)


def step_error(run):
    return two_losses(run) + run.residual * run.trajectory.linear_error.max(axis=1) * run.n


natural.recursion(on="training")
theorem.lemma(
    "||E|| <= eta (2c/3)/(1 - c/3) ||r|| under Condition 2",
    of="remainder",
    holds=always,
    bound=deviation * eta * residual,
    on="training",
    given=lambda run: in_condition(run)[1:],
    error=solve_norm_error,
    uses=("recursion", "deviation_worst_case"),
)
natural.one_step(
    "one step contracts the loss under Condition 2",
    on="training",
    given=lambda run: in_condition(run)[1:],
    error=step_error,
    uses=("step_worst_case", "||E|| <= eta (2c/3)/(1 - c/3) ||r|| under"),
)

# ---- conclusions --------------------------------------------------------------------------------------------------

SURE = {"holds": with_probability(1 - delta), "on": "wide"}
theorem.conclusion(
    "8192 neurons: Condition 2 holds at ends and middles of steps, until the bound is a hundredth",
    of=farthest,
    bound=share * sigma_0,
    **SURE,
)
theorem.conclusion(
    "8192 neurons: ||r(k)||^2 <= (1 - eta)^k ||r(0)||^2, to a hundredth, nothing measured",
    of="losses",
    bound=natural.contracted,
    uses=("8192 neurons: Condition 2", "||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 under"),
    **SURE,
)
HELD = {"on": "training", "given": in_condition}
natural.rate("||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 under Conditions 1 and 2", kind="conclusion", **HELD)


@theorem.control(
    "the weights stay within a twentieth of the ball", holds=always, bound=radius * residual_0 / sigma_0 / 20, **HELD
)
@theorem.conclusion(
    "the weights stay within 3 ||r(0)||/sqrt(lambda_min(G(0)))",
    holds=always,
    bound=radius * residual_0 / sigma_0,
    uses=("path_length", "the path stays", "||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 under"),
    **HELD,
)
def stays_in_ball(run):
    return run.drift_rms * np.sqrt(run.m)


natural.too_fast("||r(k)||^2 <= (1 - eta)^(3k) ||r(0)||^2", holds=always, error=loss_error, **HELD)
