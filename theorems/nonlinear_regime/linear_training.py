r"""Linear equations: gradient descent converges mode by mode at the kernel's eigenvalues, Gauss-Newton all at once.

Network     u(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j) + c, every weight standard normal and trained
Residuals   r = W^(1/2) e of a linear equation, H = J J^T -> H^inf deterministic, lambda_0 = lambda_min(H^inf)
Descent     ||r(k+1)|| <= (1 - eta lambda_min(H(k))) ||r(k)|| + ||I(k)|| where eta ||H(k)|| <= 1
            L(k) <= (1 - eta lambda_0/2)^k L(0) for all k with high probability at a stated width
Modes       ||r(k) - (1 - eta H(0))^k r(0)|| <= sum_j (eta ||H(j) - H(0)|| ||r(j)|| + ||I(j)||): the mode of eigenvalue
            lambda_i decays by 1 - eta lambda_i a step, so small eigenvalues are slow (spectral bias)
Newton      r(k+1) = (1 - eta) r(k) + E(k), E(k) = r(k+1) - r(k) - J(k) (theta(k+1) - theta(k)), so that
            ||r(k) - (1 - eta)^k r(0)|| <= sum_j (1 - eta)^(k-1-j) ||E(j)||: every mode alike

Theorem 4.1 of arXiv 2402.03864 (constants not given there; lambda_0/2 and the width are stated here) and its account of
spectral bias. For nonlinear equations lambda_min(H(k)) is not controlled, as H moves (moving_kernel.py).
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Source, Theorem, always, identity, with_probability
from ntkverify.glossary import eta, k, lambda_0, loss_0, residual
from ntkverify.instances import generator
from ntkverify.problems.nonlinear.equations import first_derivative
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Linear training: convergence and spectral bias",
    source=Source(arxiv="2402.03864", version=3, where="Theorem 4.1, Section 4", provenance="reconstructed"),
    statement=r"""
        $L(k) \le (1-\eta\lambda_0/2)^k L(0)$ with high probability; modes decay by $1-\eta\lambda_i$ under gradient
        descent and by $1-\eta$ under Gauss-Newton.
    """,
)

ULP = np.finfo(float).eps


class LinearRun(FullNetworkRun):
    """Limit of H, and what frozen rates make of r(0)."""

    @functools.cached_property
    def limit_gram(self):
        """H^inf; the slopes of a linear equation are 1."""
        return self.limit_sum_kernel * np.outer(self.plain.roots, self.plain.roots)

    @property
    def lambda_0(self):
        """Least eigenvalue of H^inf, in float64."""
        return self.number(float(np.linalg.eigvalsh(self.limit_gram)[0]))

    def frozen_rate(self, part):
        """part^k r(0), (K+1, N)."""
        found = [self.trajectory.residuals[0]]
        for _ in range(self.steps):
            found.append(part @ found[-1])
        return self.numbers(np.array(found))

    @property
    def unit(self):
        """The identity, (N, N)."""
        return self.numbers(np.eye(self.samples.total))

    def summed(self, each, kept=1):
        """Sums over the steps before, of which every later step leaves the share `kept`, (K+1,)."""
        found = [0 * each[0]]
        for part in each:
            found.append(kept * found[-1] + part)
        return self.numbers(np.array(found))

    @property
    def rounding(self):
        """Of the residuals and of powers of a matrix of norm at most 1, (K+1,)."""
        return 8 * self.residuals_error.max() + 64 * ULP * int(self.n) * self.residuals[0] * (1 + self.k)

    @property
    def newton_rounding(self):
        """Of r(k+1) - (1 - eta) r(k) against the remainder, the solve of the step included, (K,)."""
        return self.rounding[1:] + self.remainder_error + np.linalg.norm(self.trajectory.linear_error, axis=1)


POINTS = {"interior": [[-0.9], [0.7]], "boundary": [[0.0], [1.5]]}
GRADIENT = full_network(first_derivative, activation="sin", kind=LinearRun)
NEWTON = full_network(first_derivative, activation="sin", kind=LinearRun, method="natural gradient")


@functools.cache
def largest_rate():
    """||H^inf|| of the points."""
    run = GRADIENT(Instance(data=POINTS, width=1), theorem)
    return float(np.linalg.eigvalsh(run.limit_gram)[-1])


def instance(draw, width, *, step, steps):
    targets = generator(draw).uniform(-1, 1, (2, 2))
    data = {**POINTS, "interior_target": targets[0], "boundary_target": targets[1]}
    return Instance(data=data, width=width, step=step, steps=steps)


@theorem.instances("gradient descent", run=GRADIENT, quick=20)
def descending(draw):
    return instance(draw, 2 ** draw(st.integers(4, 9)), step=1 / (2 * largest_rate()), steps=20)


@theorem.instances("gradient descent, 1024 neurons", run=GRADIENT, quick=50)
def wide(draw):
    return instance(draw, 1024, step=1 / (2 * largest_rate()), steps=40)


@theorem.instances("Gauss-Newton", run=NEWTON, quick=20)
def newton(draw):
    return instance(draw, 2 ** draw(st.integers(6, 9)), step=draw(st.sampled_from([0.1, 0.5])), steps=6)


@theorem.instances("Gauss-Newton, 1024 neurons", run=NEWTON, quick=50)
def wide_newton(draw):
    return instance(draw, 1024, step=0.1, steps=20)


WIDE, WIDE_NEWTON = "gradient descent, 1024 neurons", "Gauss-Newton, 1024 neurons"
DESCENT, NEWTON_STEPS = ("gradient descent", WIDE), ("Gauss-Newton", WIDE_NEWTON)

# ---- convergence ----------------------------------------------------------------------------------------------------

least, remainder = sympy.symbols("least remainder", nonnegative=True)
theorem.quantity("least", lambda run: run.eigenvalues[:-1, 0])


@theorem.lemma(
    "||r(k+1)|| <= (1 - eta lambda_min(H(k))) ||r(k)|| + ||I(k)|| where eta ||H(k)|| <= 1",
    holds=always,
    bound=(1 - eta * least) * residual + remainder,
    on=DESCENT,
    given=lambda run: run.eta * run.eigenvalues[:-1, -1] <= 1,
    error=lambda run: run.rounding[1:] + run.remainder_error,
)
def one_step(run):
    return run.residuals[1:]


@theorem.conclusion(
    "1024 neurons: L(k) <= (1 - eta lambda_0/2)^k L(0) for all k, with probability 9/10",
    holds=with_probability(Rational(9, 10)),
    bound=(1 - eta * lambda_0 / 2) ** k * loss_0,
    on=WIDE,
    error=lambda run: run.losses_error,
)
def converges(run):
    return run.losses


@theorem.control(
    "1024 neurons: L(k) <= (1 - eta ||H^inf||/2)^k L(0), the rate of the fastest mode",
    holds=with_probability(Rational(9, 10)),
    bound=(1 - eta * sympy.Symbol("fastest", positive=True) / 2) ** k * loss_0,
    on=WIDE,
    error=lambda run: run.losses_error,
)
def fastest_rate(run):
    return run.losses


theorem.quantity("fastest", lambda run: largest_rate())

# ---- modes under gradient descent -----------------------------------------------------------------------------------

departure = theorem.quantity(
    "departure", lambda run: run.summed(run.eta * run.gram_drift[:-1] * run.residual + run.remainder)
)


def from_rates(run, part):
    """||r(k) - part^k r(0)||, (K+1,)."""
    return np.linalg.norm(run.trajectory.residuals - run.frozen_rate(part), axis=1)


@theorem.conclusion(
    "||r(k) - (1 - eta H(0))^k r(0)|| <= sum_j (eta ||H(j) - H(0)|| ||r(j)|| + ||I(j)||)",
    holds=always,
    bound=departure,
    on=DESCENT,
    given=lambda run: bool(run.eta * run.eigenvalues[0, -1] <= 1),
    error=lambda run: run.rounding,
    attained=True,  # at k = 0 and, exactly, at k = 1
)
def modes(run):
    return from_rates(run, run.unit - run.eta * run.trajectory.grams[0])


@theorem.conclusion(
    "1024 neurons: the modes are within a twentieth of ||r(0)|| of their rates, with probability 9/10",
    holds=with_probability(Rational(9, 10)),
    bound=sympy.Symbol("twentieth", positive=True),
    on=WIDE,
)
def modes_of_a_wide_network(run):
    return from_rates(run, run.unit - run.eta * run.trajectory.grams[0]).max()


theorem.quantity("twentieth", lambda run: run.residuals[0] / 20)


@theorem.control(
    "gradient descent: all modes decay at the kernel's mean rate",
    holds=always,
    bound=departure,
    on=WIDE,
    error=lambda run: run.rounding,
)
def together(run):
    mean = np.trace(run.trajectory.grams[0]) / run.n
    return from_rates(run, (1 - run.eta * mean) * run.unit)


# ---- modes under Gauss-Newton ---------------------------------------------------------------------------------------

STEP = {"holds": identity, "on": NEWTON_STEPS, "error": lambda run: np.repeat(run.newton_rounding[:, None], run.n, 1)}


def beyond(run):
    """r(k+1) - (1 - eta) r(k), (K, N)."""
    residuals = run.trajectory.residuals
    return residuals[1:] - (1 - run.eta) * residuals[:-1]


@theorem.lemma("Gauss-Newton: r(k+1) = (1 - eta) r(k) + E(k), E(k) the remainder of the linearised step", **STEP)
def newton_step(run):
    return beyond(run), run.trajectory.remainders


@theorem.control("Gauss-Newton: r(k+1) = (1 - eta) r(k), without a remainder", **STEP)
def newton_without_remainder(run):
    return beyond(run), 0 * run.trajectory.remainders


newton_departure = theorem.quantity("newton_departure", lambda run: run.summed(run.remainder, 1 - run.eta))


@theorem.conclusion(
    "Gauss-Newton: ||r(k) - (1 - eta)^k r(0)|| <= sum_j (1 - eta)^(k-1-j) ||E(j)||",
    holds=always,
    bound=newton_departure,
    uses="newton_step",
    on=NEWTON_STEPS,
    error=lambda run: run.rounding + run.summed(run.newton_rounding),
    attained=True,  # at k = 0 and k = 1
)
def newton_modes(run):
    return from_rates(run, (1 - run.eta) * run.unit)


ALIKE = {"holds": with_probability(Rational(9, 10)), "bound": sympy.Symbol("fiftieth", positive=True)}
ALIKE["on"] = WIDE_NEWTON
theorem.quantity("fiftieth", lambda run: run.residuals[0] / 50)


@theorem.conclusion(
    "Gauss-Newton, 1024 neurons: all modes are within a fiftieth of ||r(0)|| of (1 - eta)^k, with probability 9/10",
    **ALIKE,
)
def newton_modes_of_a_wide_network(run):
    return from_rates(run, (1 - run.eta) * run.unit).max()


@theorem.control("Gauss-Newton, 1024 neurons: the modes are as near to the rates 1 - eta lambda_i/||H^inf||", **ALIKE)
def newton_at_kernel_rates(run):
    return from_rates(run, run.unit - run.eta * run.trajectory.grams[0] / largest_rate()).max()
