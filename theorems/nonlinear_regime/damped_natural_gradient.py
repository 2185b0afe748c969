r"""Damped natural gradient trains the modes above its damping at a rate that knows no eigenvalue of the kernel.

Method      theta+ = theta - eta J^T (H + mu)^(-1) r, H = J J^T, 0 < eta <= 4/3
Guarantee   ||theta+ - theta|| <= eta ||r||/(2 sqrt(mu)), whatever the kernel;  r+ = (1 - eta H (H + mu)^(-1)) r + E
            over K steps: ||r(k) - (1 - eta A(0))^k r(0)|| <= sum_j (eta ||H(j) - H(0)||/mu ||r(j)|| + ||E(j)||),
            A = H (H + mu)^(-1): modes of H(0) above mu fall by 1 - eta/2 a step up to this, lambda_0 nowhere
Limits      K is stated: modes below mu do not decay, and the path grows like sqrt(eta K/mu). Beyond eta = 4/3 modes far
            above mu overshoot by more than 1 - eta/2; only the length of a step asks nothing of eta

The bridge between the second-order training of arXiv 2402.03864 and natural gradient, whose theorems ask for lambda_0.
Derived here: s/(s^2 + mu) <= 1/(2 sqrt(mu)), and A - A' = mu (H + mu)^(-1) (H - H') (H' + mu)^(-1). The samples include
a pair 1e-4 apart, so that lambda_0 is far below mu.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, always, identity, with_probability
from ntkverify.glossary import eta, residual
from ntkverify.lemmas import premises
from ntkverify.problems.natural_gradient.damped import DampedRun
from ntkverify.problems.nonlinear.equations import first_derivative, self_advected
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Damped natural gradient without the least eigenvalue",
    source=Source(provenance="derived"),
    statement=r"""
        Let $0 < \eta \le 4/3$. Then
        $\|\theta^+-\theta\| \le \eta\|r\|/(2\sqrt\mu)$, and modes of $H(0)$ above $\mu$ fall by $1-\eta/2$ a step up to
        $\sum_j (\eta\|H(j)-H(0)\|\,\|r(j)\|/\mu + \|E(j)\|)$.
    """,
)

mu = sympy.Symbol("mu", positive=True)
LARGEST = Rational(4, 3)
premises.step_at_most(theorem, "step at most 4/3", LARGEST)

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

    def allowed(self, share=1):
        """sum_j (eta ||H(j) - H(0)||/mu ||r(j)|| + ||E(j)||), (K+1,), with a share of the first term."""
        each = share * self.eta * self.gram_drift[:-1] / self.mu * self.residual + self.remainder
        return self.numbers(np.concatenate([[0 * each[0]], np.cumsum(each)]))


STEPS = (0.2, 0.5, 1.0, float(LARGEST))


def close_pair(draw, width, targets=(0.0, 1.0), dampings=(0.05, 0.1), steps=STEPS):
    """Two interior points 1e-4 apart: lambda_0 is far below mu, the next eigenvalue of u_x above it, near 0.125."""
    data = {"interior": [[0.3], [0.3001], [0.8]], "boundary": [[0.0]], "boundary_target": [1.0]}
    data["interior_target"] = [0.5, -0.5, draw(st.sampled_from(targets))]
    step, damping = draw(st.sampled_from(steps)), draw(st.sampled_from(dampings))
    return Instance(data=data, parameters={"mu": damping}, width=width, step=step, steps=10)


LINEAR, NONLINEAR = (full_network(equation, kind=DampedNetworkRun) for equation in (first_derivative, self_advected))
ANY, FAR = "damped, u u_x", "damped, u u_x, far below mu"
WIDE, LONG = "damped, u_x, 1024 neurons", "damped, u_x, 1024 neurons, a step of 1.9"


@theorem.instances(ANY, run=NONLINEAR, quick=25)
def damped_nonlinear(draw):
    return close_pair(draw, 2 ** draw(st.integers(5, 9)), targets=(0.0, 1.0, 8.0), dampings=(0.05,))


@theorem.instances(FAR, run=NONLINEAR, quick=25)
def far_below(draw):
    """Where the movement of the kernel is most of the departure."""
    return close_pair(draw, 2 ** draw(st.integers(5, 9)), targets=(0.0, 1.0, 8.0), dampings=(10.0,))


@theorem.instances(WIDE, run=LINEAR, quick=50)
def damped_linear(draw):
    return close_pair(draw, 1024)


@theorem.instances(LONG, run=LINEAR, quick=10)
def too_long_steps(draw):
    return close_pair(draw, 1024, steps=(1.9,))


DAMPED = (ANY, FAR, WIDE)


# ---- steps --------------------------------------------------------------------------------------------------------


@theorem.lemma(
    "J (theta+ - theta) = -eta H (H + mu)^(-1) r",
    holds=identity,
    assumes=(),
    on=(*DAMPED, LONG),
    error=lambda run: np.repeat(run.solve_error[:-1, None], run.n, axis=1),
)
def linear_part(run):
    return run.trajectory.linear, run.damped_step - run.trajectory.residuals[:-1]


allowed = theorem.quantity("allowed_departure", lambda run: run.allowed())


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
    assumes=(),
    on=(*DAMPED, LONG),
)
def short_steps(run):
    return run.trajectory.lengths


DEPARTURE = {"holds": always, "error": lambda run: run.solve_error}


def departure(run):
    """||r(k) - (1 - eta A(0))^k r(0)||, (K+1,)."""
    return np.linalg.norm(run.trajectory.residuals - run.frozen_rate, axis=1)


theorem.conclusion(
    "||r(k) - (1 - eta A(0))^k r(0)|| <= sum_j (eta ||H(j) - H(0)||/mu ||r(j)|| + ||E(j)||)",
    bound=allowed,
    on=DAMPED,
    attained=True,  # at k = 0 and, where H hardly moves, at k = 1
    **DEPARTURE,
)(departure)
theorem.control(
    "u u_x: the same with a quarter of what the movement of H adds",
    bound=theorem.quantity("less_allowed", lambda run: run.allowed(share=run.number(1) / 4)),
    on=FAR,
    **DEPARTURE,
)(departure)


# ---- modes --------------------------------------------------------------------------------------------------------


a = sympy.Symbol("a", positive=True)  # an eigenvalue lambda/(lambda + mu) of A(0), lambda >= mu
FACTOR = {"of": sympy.Max(1 - eta * a, eta * a - 1), "holds": always, "bound": 1 - eta / 2}
ABOVE = {a: sympy.Interval.Ropen(Rational(1, 2), 1)}
theorem.lemma(
    "modes above mu: |1 - eta a| <= 1 - eta/2 for a in [1/2, 1) and eta <= 4/3",
    over={**ABOVE, eta: sympy.Interval.Lopen(0, LARGEST)},
    **FACTOR,
)
theorem.control(
    "modes above mu: the same for eta <= 27/20",
    over={**ABOVE, eta: sympy.Interval.Lopen(0, Rational(27, 20))},
    **FACTOR,
)

FALLEN = {"holds": with_probability(Rational(4, 5)), "bound": sympy.Symbol("fallen", positive=True)}
theorem.quantity("fallen", lambda run: ((1 - run.eta / 2) ** run.steps + 0.02) * run.residuals[0])


def modes_above(run):
    """||P r(K)||, P on the eigenvectors of H(0) from mu on."""
    return run.modes(above=True)[-1]


theorem.conclusion(
    "u_x, 1024 neurons: modes above mu have fallen to (1 - eta/2)^K + 1/50 of ||r(0)||, with probability 4/5",
    on=WIDE,
    uses=("modes above mu", "||r(k) - (1 - eta A(0))^k r(0)||"),
    **FALLEN,
)(modes_above)
theorem.control("u_x, 1024 neurons: modes above mu have fallen as far by steps of 1.9", assumes=(), on=LONG, **FALLEN)(
    modes_above
)


@theorem.control(
    "modes below mu fall like those above: to (1 - eta/2)^K of their start",
    holds=always,
    bound=sympy.Symbol("fallen_below", positive=True),
    on=WIDE,
)
def modes_below(run):
    return run.modes(above=False)[-1]


theorem.quantity("fallen_below", lambda run: (1 - run.eta / 2) ** run.steps * run.modes(above=False)[0])


@theorem.control(
    "||theta+ - theta|| <= eta ||r||/(10 sqrt(mu))", holds=always, bound=eta * residual / (10 * sqrt(mu)), on=DAMPED
)
def shorter_steps(run):
    return run.trajectory.lengths
