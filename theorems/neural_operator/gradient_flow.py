r"""Gradient flow trains a wide shallow neural operator at the rate Lambda, the sum of both least eigenvalues.

Network     G(u)(y) = m^(-1/2) sum_r b_r(u) relu(w_r . y),  b_r(u) = p^(-1/2) sum_k s_rk relu(v_rk . u)
Method      d theta/dt = -grad L on both sets of weights, so that d r/dt = -(H + H~) r
Guarantee   L(t) <= exp(-Lambda t) L(0) for all t  (upper)
Hypotheses  |u_i| = |y_j| = 1, no two u_i and no two y_j parallel; lambda_min(H(s) + H~(s)) >= Lambda/2 for all s <= t,
            which a wide enough network grants

Continuous-time half of arXiv 2412.05545's abstract, reconstructed; rate and drift are derived. The flow is integrated
by the classical Runge-Kutta method and its error judged by half as many steps; that eigenvalues do not dip between the
ten kept times is taken from how little the Gram matrices move from one to the next.
"""

import functools
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, exp

from ntkverify import Source, Theorem, always, identity
from ntkverify.glossary import loss_0, residual
from ntkverify.instances import families
from ntkverify.lemmas.flow import GradientFlow, t
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.bounds import Lambda, norm_sum
from ntkverify.lemmas.rounding import ULP, loss_error, started
from ntkverify.problems.neural_operator.flow import operator_flow
from ntkverify.symbolic.constants.chain import derived

theorem = Theorem(
    "Gradient flow of a shallow neural operator",
    source=Source(arxiv="2412.05545", version=3, where="abstract (continuous time)", provenance="reconstructed"),
    statement=r"""
        Let $\|u_i\| = \|y_j\| = 1$, no two $u_i$ and no two $y_j$ parallel. As long as
        $\lambda_{\min}(H(s) + \tilde H(s)) \ge \Lambda/2$: $L(t) \le e^{-\Lambda t} L(0)$.
    """,
)
flow = GradientFlow(theorem, rate=Lambda, said=operators.WORDS)
DATA = operators.unit_samples(theorem)
kept_step = theorem.constant("kept_step", derived(Rational(1, 2) / norm_sum, "half the fastest time"), "kept times")
theorem.declare(largest_step=kept_step)  # of the kept times: a flow has no other
beta_1 = theorem.quantity("beta_1", lambda run: run.beta + run.of_group("drift", "branch").max())
gamma_1 = theorem.quantity("gamma_1", lambda run: run.gamma + run.of_group("drift", "trunk").max())

# ---- instances ----------------------------------------------------------------------------------------------------

build = functools.partial(operators.instance, theorem=theorem, eta_max=kept_step, steps=10)
ORTHONORMAL = {"functions": np.eye(2), "queries": np.eye(2)}
SLOWEST = {**ORTHONORMAL, "units": 1, "values": operators.slowest(**ORTHONORMAL)}

theorem.instances("flow", run=operator_flow(), quick=12)(families.training(build, powers=(8, 10), fractions=(1.0,)))


@theorem.instances("orthonormal", run=operator_flow(), quick=20)
def orthonormal():
    """One data set for all claims: turned samples and flipped signs change no law."""
    found = build(None, width=1024, **SLOWEST)
    return replace(found, parameters={**found.parameters, "delta": 0.1})


theorem.instances("narrow", run=operator_flow(), quick=20)(families.narrow(build, powers=(1, 2)))
ONE = {name: samples[:1] for name, samples in ORTHONORMAL.items()}
# targets of three sizes, lest ||r|| be about 1 whatever its power
theorem.instances("one pair", run=operator_flow(), quick=40)(
    lambda draw: build(draw, width=16, values=np.full((1, 1), draw(st.sampled_from([0.1, 1.0, 10.0]))), **ONE)
)
theorem.instances("slowest direction", run=operator_flow(coupled=True), quick=4)(
    lambda: build(None, width=2**8, **SLOWEST)
)
theorem.instances("short times", run=operator_flow(), quick=20)(
    families.training(build, powers=(8, 10), fractions=(1e-3,), steps=3)
)
FLOWN = ("flow", "orthonormal")

# ---- the velocity -------------------------------------------------------------------------------------------------


def slope(run, grams):
    """r^T G r at the kept times for Gram matrices G, (K+1,)."""
    return np.einsum("ki,kij,kj->k", run.trajectory.residuals, grams, run.trajectory.residuals)


def difference_error(run):
    """A slope's mean over [t, t + h] is from that at either end by what falls at most, h 2 ||H|| r^T H r, and by what
    neurons that switch add, which the other end shows but for what has fallen; and rounding of L, over h.
    """
    slopes = slope(run, run.trajectory.grams)
    falls = 2 * run.eta * run.eigenvalues[:-1, -1] * slopes[:-1]
    return 2 * falls + abs(np.diff(slopes)) + (run.losses_error[1:] + run.losses_error[:-1]) / run.eta


SHORT = {"holds": identity, "assumes": DATA, "on": "short times", "error": difference_error}


@theorem.lemma("dL/dt = -r^T (H + H~) r, by differences over a two-thousandth of the fastest time", **SHORT)
def falls(run):
    slopes = slope(run, run.trajectory.grams)
    return np.diff(run.losses) / run.eta, -(slopes[1:] + slopes[:-1]) / 2


@theorem.control("dL/dt = -r^T H r, H of the trunk at the start, by the same differences", **SHORT)
def falls_without_twin(run):
    shares = slope(run, run.initial_grams["trunk"][None] + 0 * run.trajectory.grams)
    return np.diff(run.losses) / run.eta, -(shares[1:] + shares[:-1]) / 2


def slope_error(run):
    return 8 * run.m * run.d * run.n * ULP * np.trace(run.at_start.gram) * run.start_residual @ run.start_residual


@theorem.lemma(
    "r^T (H + H~) r = |grad L|^2 at the start",
    holds=identity,
    assumes=DATA,
    on=("flow", "narrow"),
    error=slope_error,
)
def energy(run):
    """The quadratic form of both Gram matrices against the gradient's length."""
    r = run.start_residual
    return r @ (run.initial_grams["trunk"] + run.initial_grams["branch"]) @ r, run.gradient_squared


@theorem.control(
    "r^T H r = |grad L|^2, H of the trunk alone",
    holds=identity,
    assumes=DATA,
    on="flow",
    error=slope_error,
)
def energy_without_twin(run):
    r = run.start_residual
    return r @ run.initial_grams["trunk"] @ r, run.gradient_squared


# ---- the rate -----------------------------------------------------------------------------------------------------

flow.contraction()
flow.implication(on=FLOWN)
for group, feature, letter, name in (("trunk", beta_1, "w", "beta_1"), ("branch", gamma_1, "v", "gamma_1")):
    bounded = f"max_r ||dL/d{letter}_r|| <= {name} sqrt(N/m) ||r||"
    theorem.lemma(
        bounded,
        of=lambda run, group=group: run.of_group("gradients", group),
        holds=always,
        bound=operators.gradient(feature) * residual,
        assumes=DATA,
        on=("flow", "narrow", "one pair"),
        attained=True,  # by one pair, where nothing moves the other factor
    )
    flow.drift(
        operators.gradient(feature),
        f"max_r ||{letter}_r(t) - {letter}_r(0)|| <= 2 {name} sqrt(N) ||r(0)||/(sqrt(m) Lambda) while it is",
        on=FLOWN,
        measured=lambda run, group=group: run.of_group("drift", group),
        error=lambda run, group=group: run.drift_error(group),
        uses=bounded,
    )
flow.at_width(
    "1024 neurons, two orthonormal functions and queries",
    on="orthonormal",
    narrow="narrow",
    few="2 to 4 neurons",
    error=lambda run: run.eigenvalues_error,
)


@theorem.control(
    "exp(-3 Lambda t) with r(0) along the slowest eigenvector",
    holds=always,
    bound=exp(-3 * Lambda * t) * loss_0,
    on="slowest direction",
    given=started,
    error=loss_error,
)
def slowest_too_fast(run):
    return run.losses
