r"""Levenberg-Marquardt: the rates of its modes, the length of its step and its gain ratio.

Step        v = -(J^T J + mu)^(-1) J^T r = -J^T (H + mu)^(-1) r, H = J J^T
Rates       J (J^T J + mu)^(-1) J^T has the eigenvalues s^2/(s^2 + mu), s the singular values of J: between those of
            gradient descent, s^2/mu, and those of Gauss-Newton, 1
Length      ||v|| <= ||r||/(2 sqrt(mu))   (sharp), whatever J
Gain        rho = 2 (L(theta) - L(theta + v))/<v, mu v - grad L> is 1 for linear residuals   (exact)

Section 4 and Appendix G.1 of arXiv 2402.03864; rates and gain are derived here, and what is printed beside them is
decided.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Source, Theorem, always, identity
from ntkverify.instances import generator, is_decomposition
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.nonlinear.equations import first_derivative
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.symbolic.network.neuron import random_features_neuron
from ntkverify.symbolic.network.operators import coordinates, derivative
from ntkverify.theorem.instance import Instance
from ntkverify.training import LevenbergMarquardt

theorem = Theorem(
    "Levenberg-Marquardt",
    source=Source(arxiv="2402.03864", version=3, where="Section 4, Appendix G.1", provenance="derived"),
    statement=r"""
        $J(J^\top J+\mu)^{-1}J^\top$ has the eigenvalues $s_i^2/(s_i^2+\mu)$; the gain ratio is 1 for linear residuals.
    """,
)
theorem.erratum(
    "The gain ratio's printed denominator <v, lambda D v + grad L> is -||J v||^2 <= 0; lambda D v - grad L is meant."
)
theorem.erratum("Its numerator has the squares of the loss where squared residual norms, 2 L, are meant.")
theorem.erratum("The geodesic acceleration lacks J^T: a = -(J^T J + lambda D)^(-1) J^T (v^T H_i v)_i.")
theorem.erratum("D_k is p x p, not n x n; and the inner loop need not end once lambda has reached its largest value.")

ULP = np.finfo(float).eps
mu = sympy.Symbol("mu", positive=True)

# ---- one Jacobian -------------------------------------------------------------------------------------------------


class DampedJacobianRun(AlgebraRun):
    """J = left diag(singular) right^T and the damped step for the residuals ``vector``."""

    @property
    def jacobian(self):
        """J, (N, P)."""
        return (self.left * self.singular) @ self.right.T

    @property
    def step(self):
        """v by the large matrix, P x P."""
        jacobian = self.jacobian
        unit = self.numbers(np.eye(jacobian.shape[1]))
        return -np.linalg.solve(jacobian.T @ jacobian + self.mu * unit, jacobian.T @ self.vector)

    @property
    def gradient(self):
        """grad L."""
        return self.jacobian.T @ self.vector

    @property
    def denominator(self):
        """<v, mu v - grad L>."""
        return self.step @ (self.mu * self.step - self.gradient)

    @property
    def scale(self):
        """Rounding of J v and of what follows: the solve is off by ulps of ||v|| <= ||r||/(2 sqrt(mu)), ||J|| being 1.

        J (J^T J + mu)^(-1) makes at most 1/(2 sqrt(mu)) of that, so that the condition of J^T J + mu enters once.
        """
        condition = 1 + self.singular.max() ** 2 / self.mu
        return 64 * self.jacobian.size * ULP * condition * (1 + np.linalg.norm(self.vector)) ** 2


@theorem.instances("damped Jacobian", run=DampedJacobianRun, quick=80)
def damped_jacobian(draw):
    rng = generator(draw)
    rows = draw(st.integers(1, 5))
    columns = rows + draw(st.integers(0, 8))
    left, _ = np.linalg.qr(rng.standard_normal((rows, rows)))
    right, _ = np.linalg.qr(rng.standard_normal((columns, rows)))
    singular = np.logspace(0, -draw(st.integers(0, 3)), rows)
    weight = float(singular[-1] ** 2 * 10.0 ** draw(st.integers(0, 3)))
    vector = left[:, -1] if draw(st.booleans()) else rng.standard_normal(rows)
    return Instance(
        data={"left": left, "right": right, "singular": singular, "vector": vector}, parameters={"mu": min(weight, 1.0)}
    )


def decomposed(run):
    return is_decomposition(run.left, run.singular, run.right)


@theorem.conclusion("the rates are s^2/(s^2 + mu)", holds=identity, on="damped Jacobian", error=lambda run: run.scale)
def rates(run):
    squares = run.singular**2
    return -run.jacobian @ run.step, run.left @ (squares / (squares + run.mu) * (run.left.T @ run.vector))


@theorem.control(
    "the rates are 1, those of Gauss-Newton", holds=identity, on="damped Jacobian", error=lambda run: run.scale
)
def undamped_rates(run):
    return -run.jacobian @ run.step, run.left @ (run.left.T @ run.vector)


@theorem.conclusion(
    "linear residuals: 2 (L(theta) - L(theta + v)) = <v, mu v - grad L>, a gain ratio of 1",
    holds=identity,
    on="damped Jacobian",
    error=lambda run: run.scale,
)
def gain(run):
    after = run.vector + run.jacobian @ run.step
    return run.vector @ run.vector - after @ after, run.denominator


@theorem.lemma(
    "the printed denominator <v, mu v + grad L> is -||J v||^2",
    holds=identity,
    on="damped Jacobian",
    error=lambda run: run.scale,
)
def printed_denominator(run):
    moved = run.jacobian @ run.step
    return run.step @ (run.mu * run.step + run.gradient), -(moved @ moved)


size = theorem.quantity("size", lambda run: np.linalg.norm(run.vector))


s = sympy.Symbol("s", positive=True)  # a singular value of J
theorem.lemma(
    "s/(s^2 + mu) <= 1/(2 sqrt(mu)) for every singular value s",
    of=s / (s**2 + mu),
    holds=always,
    bound=1 / (2 * sqrt(mu)),
    over=dict.fromkeys((s, mu), sympy.Interval.open(0, sympy.oo)),
)


@theorem.lemma(
    "||v|| <= ||r||/(2 sqrt(mu)), sharp",
    uses="s/(s^2 + mu)",
    holds=always,
    bound=size / (2 * sqrt(mu)),
    on="damped Jacobian",
    given=decomposed,
    error=lambda run: run.scale / np.sqrt(run.mu),  # of v, not of J v
    attained=True,  # where r is a singular vector of s^2 = mu
)
def step_length(run):
    return np.linalg.norm(run.step)


@theorem.control(
    "with the sign as printed the denominator is positive",
    holds=always,
    bound=0,
    from_below=True,
    on="damped Jacobian",
    error=lambda run: run.scale,
)
def printed_sign(run):
    return run.step @ (run.mu * run.step + run.gradient)


@theorem.control(
    "with the sign as printed the gain ratio of linear residuals is 1",
    holds=identity,
    on="damped Jacobian",
    error=lambda run: run.scale,
)
def printed_gain(run):
    after = run.vector + run.jacobian @ run.step
    return run.vector @ run.vector - after @ after, run.step @ (run.mu * run.step + run.gradient)


# ---- the library's method on linear residuals -----------------------------------------------------------------------


class FeaturesRun(FullNetworkRun):
    """Outer weights alone are trained, by Levenberg-Marquardt without acceleration: u_xx is linear in them."""

    @property
    def neuron(self):
        """Random features."""
        x = coordinates("x_0")
        return random_features_neuron("sin", {"interior": derivative(x, 2)}, inner_bias=True)

    def training(self):
        """Levenberg-Marquardt."""
        return LevenbergMarquardt(damping=float(self.instance.parameters["mu"]), acceleration=0)


@theorem.instances("random features", run=full_network(first_derivative, boundary=False, kind=FeaturesRun), quick=10)
def random_features(draw):
    points = generator(draw).uniform(-1, 1, (4, 1))
    data = {"interior": points, "interior_target": np.sin(3 * points[:, 0])}
    return Instance(data=data, parameters={"mu": draw(st.sampled_from([0.01, 1.0]))}, width=40, step=1.0, steps=4)


@theorem.lemma(
    "random features: every step's gain ratio is 1",
    holds=identity,
    on="random features",
    error=lambda run: 1000 * run.losses_error[0] / run.losses[1:],
)
def gains(run):
    return run.trajectory.notes["gains"], np.ones(run.steps)
