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
weights; what the run can measure is J at the weights visited and between them, which is all that the proof uses.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Source, Theorem, always, identity, with_probability
from ntkverify.execution.walking.terms import as_samples
from ntkverify.glossary import delta, eta, k, loss, loss_0, residual_0
from ntkverify.instances import bounded_targets, generator, is_decomposition, unit_inputs
from ntkverify.measures.initial import initial_sweep
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.trained import TrainedRun
from ntkverify.symbolic.constants.chain import derived, solve_for
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Natural gradient descent under Conditions 1 and 2, two-layer ReLU regression",
    source=Source(arxiv="1905.10961", version=1, where="Theorem 1, Conditions 1 and 2", provenance="reconstructed"),
    statement=r"""
        If $J(0)$ has full row rank and $\|J(w)-J(0)\| \le \frac{c}{3}\sqrt{\lambda_{\min}(G(0))}$, $c < \frac12$, for
        $\|w-w(0)\| \le 3\|r(0)\|/\sqrt{\lambda_{\min}(G(0))}$, then for $\eta \le (1-2c)/(1+c)^2$:
        $\|r(k)\|^2 \le (1-\eta)^k\|r(0)\|^2$.
    """,
)

ULP = np.finfo(float).eps
TINY = np.finfo(float).tiny  # a positive step is at least that
c = sympy.Symbol("c", positive=True)  # the constant of Condition 2
sigma_0 = sympy.Symbol("sigma_0", positive=True)  # least singular value of J(0)

# ---- constants ----------------------------------------------------------------------------------------------------

x = sympy.Symbol("x", positive=True)
eta_max = theorem.constant("eta_max", (1 - 2 * c) / (1 + c) ** 2, "largest step")
share = theorem.constant("share", c / 3, "||J(w) - J(0)|| <= share sigma_0")
# a step: |E| <= eta (mean ||J(w_s) - J(w)||) / sigma_min(J) |r|, and ||J(w_s) - J(w)|| <= 2 share sigma_0
deviation = theorem.constant(
    "deviation", derived(2 * share / (1 - share), "triangle inequality through J(0)"), "||E|| <= deviation eta ||r||"
)
solved = solve_for(x, sympy.Le(1 - eta + eta * x, sqrt(1 - eta)))
epsilon = theorem.constant(
    "epsilon",
    derived(sqrt(1 - eta) / (1 + sqrt(1 - eta)), "the same, without cancellation for small steps", solved),
    "||E|| <= epsilon eta ||r|| lets the loss contract by 1 - eta",
)
# the path: sum of eta |r(k)|/sigma_min(J) with |r(k)| <= sqrt(1 - eta)^k |r(0)|
path = theorem.constant(
    "path",
    derived((1 + sqrt(1 - eta)) / (1 - share), "geometric series"),
    "||w(k) - w(0)|| <= path ||r(0)||/sigma_0",
)
radius = theorem.constant(
    "radius", derived(sympy.Integer(3), "as in Condition 2"), "radius of the ball, over ||r(0)||/sigma_0"
)

# ---- the run ------------------------------------------------------------------------------------------------------


class NaturalRegressionRun(TrainedRun):
    """Two-layer ReLU regression by natural gradient descent; targets are relative to the initial outputs."""

    method = "natural gradient"

    @functools.cached_property
    def samples(self):
        """Inputs, and targets at the given residuals from the initial outputs."""
        inputs = self.instance.array("inputs")
        neuron = regression_neuron("relu", dimension=inputs.shape[1])
        start = initial_sweep(
            as_samples(neuron, inputs), seed=self.instance.weight_seed, width=self.instance.width, radius=0.0
        )
        return as_samples(neuron, inputs, start.outputs - self.instance.array("start"))

    @property
    def sigma_0(self):
        """Least singular value of J(0)."""
        return np.sqrt(self.eigenvalues[0, 0])


@theorem.assumption("Condition 1")
def full_rank(run):
    return run.eigenvalues[0, 0] - run.n * ULP * run.eigenvalues[0, -1]


@theorem.assumption("c below 1/2 and step at most (1 - 2c)/(1 + c)^2")
def step_allowed(run):
    """And both positive."""
    return min(run.c - TINY, 1 / 2 - run.c, run.eta - TINY, run.eta_max * (1 + 4 * ULP) - run.eta)


STEP = ("c below 1/2 and step at most (1 - 2c)/(1 + c)^2",)

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
    """8192 neurons, three orthonormal inputs, initial residuals of size 1; 0.1 is the share of draws that may fail."""
    return Instance(
        data={"inputs": np.eye(3), "start": generator(draw).choice([-1.0, 1.0], 3) / np.sqrt(3)},
        parameters={"c": 0.45, "delta": 0.1},
        width=2**13,
        step=largest_step(0.45),
        steps=6,
    )


CONSTANTS = (1e-6, 0.01, 0.1, 0.25, 0.4, 0.499)


def jacobians(draw, constant, step):
    rng = generator(draw)
    size = draw(st.integers(1, 4))
    left, _ = np.linalg.qr(rng.standard_normal((size, size)))
    right, _ = np.linalg.qr(rng.standard_normal((size + 2, size)))
    singular = np.append(1.0, rng.uniform(1, 3, size - 1)) * 10.0 ** draw(st.integers(-2, 2))
    data = {"left": left, "right": right, "singular": singular, "vector": left[:, 0]}
    return Instance(data=data, parameters={"c": constant}, step=step)


@theorem.instances("worst Jacobians", run=AlgebraRun, quick=100, thorough=2000)
def worst_jacobians(draw):
    constant = draw(st.sampled_from(CONSTANTS))
    return jacobians(draw, constant, draw(st.sampled_from([0.01, 0.5, 1.0])) * largest_step(constant))


@theorem.instances("conditions broken", run=AlgebraRun, quick=4)
def broken(draw):
    constant, step = draw(st.sampled_from([(0.49, 0.99), (0.9, 0.01)]))
    return jacobians(draw, constant, step)


# ---- the chain ----------------------------------------------------------------------------------------------------


@theorem.lemma("the two forms of epsilon agree", holds=identity)
def epsilon_forms():
    root = sympy.Symbol("root", positive=True)  # sqrt(1 - eta)
    at = {eta: 1 - root**2}
    return sympy.simplify(solved.expression.subs(at)), sympy.simplify(theorem.expand(epsilon).subs(at))


@theorem.lemma(
    "c < 1/2 and the step bound keep E below the threshold",
    holds=always,
    bound=epsilon,
    assumes=STEP,
    on="worst Jacobians",
)
def deviation_allowed(run):
    return run.deviation


@theorem.lemma(
    "the path stays in the ball of Condition 2", holds=always, bound=radius, assumes=STEP, on="worst Jacobians"
)
def path_fits(run):
    return run.path


@theorem.lemma(
    "the steps add up to path ||r(0)||/sigma_0",
    holds=always,
    bound=path,
    assumes=STEP,
    on="worst Jacobians",
    error=lambda run: 64 * ULP * run.path / run.eta,  # 1 - sqrt(1 - eta) cancels
    attained=True,
)
def path_length(run):
    return run.eta / (1 - np.sqrt(1 - run.eta)) / (1 - run.share)


def worst_parts(run):
    """Step and E when J is weakened most and the mean Jacobian of the step lies on the other side of J(0)."""
    change = np.zeros_like(run.singular)
    change[0] = run.share * run.singular.min()
    jacobian = (run.left * (run.singular - change)) @ run.right.T
    other = (run.left * (run.singular + change)) @ run.right.T
    step = -run.eta * np.linalg.pinv(jacobian) @ run.vector
    return jacobian @ step, -(other - jacobian) @ step


def decomposed(run):
    """Whether J(0) has full rank and these are its singular values and vectors."""
    return is_decomposition(run.left, run.singular, run.right)


def worst_step(run):
    """||r+||^2/||r||^2 in that case."""
    linear, remainder = worst_parts(run)
    after = run.vector + linear + remainder
    return after @ after / (run.vector @ run.vector)


def worst_error(run):
    """Products and pseudo-inverse of matrices with this condition number."""
    return 64 * ULP * (run.singular.max() / run.singular.min()) ** 2


@theorem.lemma(
    "||E|| <= eta (2c/3)/(1 - c/3) ||r||, worst case",
    holds=always,
    bound=deviation * eta,
    assumes=STEP,
    on="worst Jacobians",
    given=decomposed,
    error=worst_error,
    attained=True,
)
def deviation_worst_case(run):
    return np.linalg.norm(worst_parts(run)[1]) / np.linalg.norm(run.vector)


@theorem.lemma(
    "one step contracts the loss when J changes by as much as Condition 2 allows, worst case",
    holds=always,
    bound=1 - eta,
    assumes=STEP,
    on="worst Jacobians",
    given=decomposed,
    error=worst_error,
    attained=True,  # to rounding, at steps near 0
)
def step_worst_case(run):
    return worst_step(run)


def in_condition(run):
    """J within (c/3) sigma_0 of J(0) at every w so far, the middles of the steps included; for each k >= 1."""
    visited = np.maximum(run.trajectory.jacobian_change[1:], run.trajectory.path_from_start)
    return np.append(False, np.logical_and.accumulate(visited <= run.share * run.sigma_0))


def square_error(run):
    return run.losses_error[1:] + run.losses_error[:-1] + run.residual * run.trajectory.linear_error.max(axis=1) * run.n


def recursion_error(run):
    """Rounding of both residuals, of the remainder's terms and of the step's solve."""
    errors = run.trajectory.residuals_error
    return 4 * (errors[1:] + errors[:-1]) + run.trajectory.linear_error


@theorem.lemma("recursion: r(k+1) = (1 - eta) r(k) + E(k)", holds=identity, on="training", error=recursion_error)
def exact_recursion(run):
    r = run.trajectory.residuals
    return r[1:], (1 - run.eta) * r[:-1] + run.trajectory.remainders


residual_size = theorem.quantity("residual_size", lambda run: run.residual)


@theorem.lemma(
    "||E|| <= eta (2c/3)/(1 - c/3) ||r|| under Condition 2",
    holds=always,
    bound=deviation * eta * residual_size,
    on="training",
    given=lambda run: in_condition(run)[1:],
    error=lambda run: np.linalg.norm(recursion_error(run), axis=1),
)
def remainder_small(run):
    return run.remainder


@theorem.lemma(
    "one step contracts the loss under Condition 2",
    holds=always,
    bound=(1 - eta) * loss,
    on="training",
    given=lambda run: in_condition(run)[1:],
    error=square_error,
)
def step_contracts(run):
    return run.losses[1:]


# ---- conclusions --------------------------------------------------------------------------------------------------


def loss_error(run):
    return run.losses_error + run.losses_error[0]


@theorem.conclusion(
    "8192 neurons: Condition 2 holds at all weights visited, the middles of the steps included",
    holds=with_probability(1 - delta),
    bound=share * sigma_0,
    on="wide",
)
def condition_met(run):
    return max(run.trajectory.jacobian_change.max(), run.trajectory.path_from_start.max())


@theorem.conclusion(
    "8192 neurons: ||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 for all k, nothing measured",
    holds=with_probability(1 - delta),
    bound=(1 - eta) ** k * loss_0,
    on="wide",
)
def linear_rate_at_width(run):
    return run.losses


@theorem.conclusion(
    "||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 under Conditions 1 and 2",
    holds=always,
    bound=(1 - eta) ** k * loss_0,
    on="training",
    given=in_condition,
    error=loss_error,
)
def linear_rate(run):
    return run.losses


@theorem.conclusion(
    "the weights stay within 3 ||r(0)||/sqrt(lambda_min(G(0)))",
    holds=always,
    bound=radius * residual_0 / sigma_0,
    on="training",
    given=in_condition,
)
def stays_in_ball(run):
    return run.drift_rms * np.sqrt(run.m)


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "the step bound or c < 1/2 dropped",
    holds=always,
    bound=1 - eta,
    assumes=(),
    on="conditions broken",
    error=worst_error,
)
def conditions_dropped(run):
    return worst_step(run)


@theorem.control(
    "||r(k)||^2 <= (1 - eta)^(3k) ||r(0)||^2",
    holds=always,
    bound=(1 - eta) ** (3 * k) * loss_0,
    on="training",
    given=in_condition,
    error=loss_error,
)
def too_fast(run):
    return run.losses


@theorem.control(
    "the weights stay within a twentieth of the ball",
    holds=always,
    bound=radius * residual_0 / sigma_0 / 20,
    on="training",
    given=in_condition,
)
def too_small_a_ball(run):
    return run.drift_rms * np.sqrt(run.m)
