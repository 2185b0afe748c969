r"""Damped natural gradient trains the modes above its damping at a rate that knows no eigenvalue of the kernel.

Method      theta+ = theta - eta J^T (H + mu)^(-1) r, H = J J^T
Guarantee   ||theta+ - theta|| <= eta ||r||/(2 sqrt(mu)), whatever the kernel;  r+ = (1 - eta H (H + mu)^(-1)) r + E
            over K steps: ||r(k) - (1 - eta A(0))^k r(0)|| <= sum_j (eta ||H(j) - H(0)||/mu ||r(j)|| + ||E(j)||),
            A = H (H + mu)^(-1): modes of H(0) above mu fall by 1 - eta/2 a step up to this, lambda_0 nowhere
Limits      K is stated: modes below mu do not decay, and the path grows like sqrt(eta K/mu)

The bridge between the second-order training of arXiv 2402.03864 and natural gradient, whose theorems ask for lambda_0.
Derived here: s/(s^2 + mu) <= 1/(2 sqrt(mu)), and A - A' = mu (H + mu)^(-1) (H - H') (H' + mu)^(-1). The samples include
a pair 1e-4 apart, so that lambda_0 is far below mu.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Source, Theorem, always, identity, with_probability
from ntkverify.glossary import eta, residual
from ntkverify.problems.natural_gradient.damped import DampedRun
from ntkverify.problems.nonlinear.equations import first_derivative, self_advected
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Damped natural gradient without the least eigenvalue",
    source=Source(provenance="derived"),
    statement=r"""
        $\|\theta^+-\theta\| \le \eta\|r\|/(2\sqrt\mu)$, and modes of $H(0)$ above $\mu$ fall by $1-\eta/2$ a step up to
        $\sum_j (\eta\|H(j)-H(0)\|\,\|r(j)\|/\mu + \|E(j)\|)$.
    """,
)

mu = sympy.Symbol("mu", positive=True)

# ---- instances ----------------------------------------------------------------------------------------------------


class DampedNetworkRun(DampedRun, FullNetworkRun):
    """What the frozen rate says, and how far off it may be."""

    @property
    def frozen_rate(self):
        """(1 - eta A(0))^k r(0), (K+1, N)."""
        first = self.damped_part(self.trajectory.grams[0])
        found = [self.trajectory.residuals[0]]
        for _ in range(self.steps):
            found.append(first @ found[-1])
        return self.numbers(np.array(found))

    @property
    def allowed(self):
        """sum_j (eta ||H(j) - H(0)||/mu ||r(j)|| + ||E(j)||), (K+1,)."""
        each = self.eta * self.gram_drift[:-1] / self.mu * self.residual + self.remainder
        return self.numbers(np.concatenate([[0 * each[0]], np.cumsum(each)]))


def close_pair(draw, width, targets=(0.0, 1.0)):
    """Two interior points 1e-4 apart: lambda_0 is far below mu."""
    data = {"interior": [[0.3], [0.3001], [0.8]], "boundary": [[0.0]], "boundary_target": [1.0]}
    data["interior_target"] = [0.5, -0.5, draw(st.sampled_from(targets))]
    step = draw(st.sampled_from([0.2, 0.5]))
    return Instance(data=data, parameters={"mu": 0.05}, width=width, step=step, steps=10)


@theorem.instances("damped, u u_x", run=full_network(self_advected, kind=DampedNetworkRun), quick=25)
def damped_nonlinear(draw):
    return close_pair(draw, 2 ** draw(st.integers(5, 9)), targets=(0.0, 1.0, 8.0))


@theorem.instances("damped, u_x, 1024 neurons", run=full_network(first_derivative, kind=DampedNetworkRun), quick=50)
def damped_linear(draw):
    return close_pair(draw, 1024)


DAMPED = ("damped, u u_x", "damped, u_x, 1024 neurons")


# ---- steps --------------------------------------------------------------------------------------------------------


@theorem.lemma(
    "J (theta+ - theta) = -eta H (H + mu)^(-1) r",
    holds=identity,
    on=DAMPED,
    error=lambda run: np.repeat(run.solve_error[:-1, None], run.n, axis=1),
)
def linear_part(run):
    return run.trajectory.linear, run.damped_step - run.trajectory.residuals[:-1]


allowed = theorem.quantity("allowed_departure", lambda run: run.allowed)


s = sympy.Symbol("s", positive=True)  # a singular value of J
theorem.lemma(
    "eta s/(s^2 + mu) <= eta/(2 sqrt(mu)) for every singular value s",
    of=eta * s / (s**2 + mu),
    holds=always,
    bound=eta / (2 * sqrt(mu)),
    over=dict.fromkeys((eta, s, mu), sympy.Interval.open(0, sympy.oo)),
)


@theorem.conclusion(
    "||theta+ - theta|| <= eta ||r||/(2 sqrt(mu)), whatever the kernel",
    holds=always,
    uses="eta s/(s^2 + mu)",
    bound=eta * residual / (2 * sqrt(mu)),
    on=DAMPED,
)
def short_steps(run):
    return run.trajectory.lengths


@theorem.conclusion(
    "||r(k) - (1 - eta A(0))^k r(0)|| <= sum_j (eta ||H(j) - H(0)||/mu ||r(j)|| + ||E(j)||)",
    holds=always,
    bound=allowed,
    on=DAMPED,
    error=lambda run: run.solve_error,
    attained=True,  # at k = 0 and, where H hardly moves, at k = 1
)
def departure(run):
    return np.linalg.norm(run.trajectory.residuals - run.frozen_rate, axis=1)


# ---- modes --------------------------------------------------------------------------------------------------------


@theorem.conclusion(
    "u_x, 1024 neurons: modes above mu have fallen to (1 - eta/2)^K + 1/50 of ||r(0)||, with probability 4/5",
    holds=with_probability(sympy.Rational(4, 5)),
    bound=sympy.Symbol("fallen", positive=True),
    on="damped, u_x, 1024 neurons",
)
def modes_above(run):
    return run.modes(above=True)[-1]


theorem.quantity("fallen", lambda run: ((1 - run.eta / 2) ** run.steps + 0.02) * run.residuals[0])


@theorem.control(
    "modes below mu fall like those above: to (1 - eta/2)^K of their start",
    holds=always,
    bound=sympy.Symbol("fallen_below", positive=True),
    on="damped, u_x, 1024 neurons",
)
def modes_below(run):
    return run.modes(above=False)[-1]


theorem.quantity("fallen_below", lambda run: (1 - run.eta / 2) ** run.steps * run.modes(above=False)[0])


@theorem.control(
    "||theta+ - theta|| <= eta ||r||/(10 sqrt(mu))", holds=always, bound=eta * residual / (10 * sqrt(mu)), on=DAMPED
)
def shorter_steps(run):
    return run.trajectory.lengths
