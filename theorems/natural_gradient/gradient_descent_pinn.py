r"""Gradient descent trains a wide ReLU^3 physics-informed network linearly, at a step of the order of 1/||H^inf||.

Network     u(x) = m^(-1/2) sum_r a_r relu(w_r . (x, 1))^3,  w_r(0) ~ N(0, I), a_r = +-1 fair and frozen
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta grad L(w(k))
Guarantee   L(k) <= (1 - eta lambda_0 / 2)^k L(0) for all k  (upper)
Hypotheses  no two samples of a block coincide; eta <= 2 / (3 ||H^inf||); as long as lambda_min(H(k)) >= lambda_0/2,
            eta ||H(k)|| <= 1 and ||I_1(k)|| <= epsilon lambda_0 eta ||r(k)||, which a wide enough network grants

Theorem 3.7 of arXiv 2408.00573. The heart of its proof is that the loss is never expanded: r(k+1) = (I - eta H(k)) r(k)
+ I_1(k) exactly, where I_1 is what the outputs move beyond their linearisation. What is conditional, and why: the width
that grants the hypotheses has, written out, the weights to the twelfth power and lambda_0^-4 as for natural gradient
descent, where it is of the order of 1e20 neurons for two samples (`scripts/prescribed_widths.py`). So the lemmas assert
the proof's deterministic chain, with every hypothesis measured on the run; the conclusions assert, with probability and
nothing measured, that 16384 neurons grant the hypotheses and the rate for four samples far apart. The largest drift of
a neuron follows the largest ||w_r||^2, whose logarithmic growth keeps it off m^(-1/2); the root mean square is not.
"""

import math
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, always, identity, scales_as, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, limit_norm, loss, loss_0, m, residual, residual_0
from ntkverify.instances import generator, space_time_points
from ntkverify.lemmas.neuron_bounds import block_bound
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import heat_equation, pinn, problem_limit
from ntkverify.symbolic.constants.chain import derived, solve_for
from ntkverify.symbolic.network.activations import positive_power
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Linear convergence of gradient descent, ReLU^3 physics-informed network",
    source=Source(
        arxiv="2408.00573", version=4, where="Theorem 3.7, Lemma B.1, Remark 3.8", provenance="reconstructed"
    ),
    statement=r"""
        Let no two samples of a block coincide and $0 < \eta \le 2/(3\|H^\infty\|_2)$. As long as
        $\lambda_{\min}(H(k)) \ge \lambda_0/2$, $\eta\|H(k)\| \le 1$ and
        $\|I_1(k)\| \le \epsilon\lambda_0\eta\|r(k)\|$: $L(k) \le (1-\eta\lambda_0/2)^k L(0)$.
    """,
)
# ---- constants ----------------------------------------------------------------------------------------------------

a, epsilon_ = sympy.symbols("a epsilon", positive=True)
rho, B = sympy.symbols("rho B", positive=True)  # largest |(x, 1)|; largest |w_r| on the way

eta_max = theorem.constant(
    "eta_max", solve_for(eta, sympy.Le(eta * Rational(3, 2) * limit_norm, 1)), "largest admissible step"
)
# with a = eta lambda_0/2 <= 1/3 a step contracts the norm by 1 - a + 2 a epsilon, and the loss by 1 - a up to here:
sharp = solve_for(epsilon_, sympy.Le(1 - a + 2 * a * epsilon_, sqrt(1 - a)))
largest_a = theorem.constant(
    "largest_a",
    derived(eta_max * limit_norm / 2, "eta lambda_0/2 at the largest step and lambda_0 = ||H^inf||"),
    "eta lambda_0/2 never exceeds it",
)
epsilon = theorem.constant(
    "epsilon",
    derived(sharp.expression.subs(a, largest_a), "sharp threshold at the largest step", sharp),
    "||I_1|| <= epsilon lambda_0 eta ||r|| lets the loss contract",
)
# eta sum_k sqrt(1 - a)^k <= eta / (1 - sqrt(1 - a)), and 2 a/(1 - sqrt(1 - a)) is largest as a -> 0
drift_factor = theorem.constant(
    "drift_factor",
    derived(sympy.limit(2 * a / (1 - sqrt(1 - a)), a, 0), "sup over a of 2 a/(1 - sqrt(1 - a))"),
    "eta sum_k ||r(k)|| <= drift_factor ||r(0)||/lambda_0",
)
first, second, third = (positive_power(3)(rho, order) for order in (1, 2, 3))
C_g = theorem.constant(
    "C_g",
    derived(
        block_bound(first, second, third, rho),
        "triangle inequality for the gradients of an interior and of a boundary sample at |w| = 1",
    ),
    "||J_r||_F <= C_g |w_r|^2/sqrt(m)",
)

ULP = np.finfo(float).eps
TINY = np.finfo(float).tiny  # a positive step is at least that

# ---- assumptions --------------------------------------------------------------------------------------------------


@theorem.assumption("samples of a block distinct")
def distinct(run):
    gaps = [np.linalg.norm(x[:, None] - x[None], axis=2) + 2 * np.eye(len(x)) for x in run.points.values()]
    return min(gap.min() for gap in gaps) - 1e-6


@theorem.assumption("step at most 2/(3 ||H^inf||)")
def step_allowed(run):
    """And positive."""
    return min(run.eta - TINY, run.eta_max * (1 + 4 * ULP) - run.eta)


DATA = ("samples of a block distinct",)

# ---- instances ----------------------------------------------------------------------------------------------------


def norm_of(points):
    limit = problem_limit("relu3", heat_equation, points["interior"].shape[1])
    return float(np.linalg.norm(limit.matrix(points, normalise=True), 2))


def instance(draw, *, width, steps, fraction=1.0, space=1, largest=3, points=None):
    """Step: `fraction` of 2/(3 ||H^inf||); targets of the size of the initial outputs."""
    if points is None:
        counts = draw(st.integers(1, largest)), draw(st.integers(1, largest))
        points = space_time_points(draw, *counts, space)
    rng = generator(draw)
    data = {
        **points,
        "source": rng.uniform(-1, 1, len(points["interior"])),
        "values": rng.uniform(-1, 1, len(points["boundary"])),
    }
    step = fraction * float(theorem.value(eta_max, {limit_norm: norm_of(points)}))
    return Instance(data=data, width=width, step=step, steps=steps)


@theorem.instances("training", run=pinn(), quick=12)
def training(draw):
    return instance(draw, width=2 ** draw(st.integers(11, 13)), steps=15, fraction=draw(st.sampled_from([0.2, 1.0])))


SEPARATED = {"interior": np.array([[0.2, 0.3], [0.8, 0.7]]), "boundary": np.array([[0.0, 0.5], [0.5, 1.0]])}


@theorem.instances("separated", run=pinn(), quick=12)
def separated(draw):
    """Four samples far apart, 16384 neurons, the largest step; delta is the share of draws that may fail."""
    return replace(instance(draw, width=2**14, steps=5, points=SEPARATED), parameters={"delta": 0.1})


@theorem.instances("narrow", run=pinn(), quick=20)
def narrow(draw):
    drawn = instance(draw, width=2 ** draw(st.integers(2, 5)), steps=5, space=draw(st.integers(1, 2)))
    return replace(drawn, parameters={"delta": 0.1})


LADDER = space_time_points(lambda strategy: 0, 2, 2, 1)


@theorem.instances("ladder of widths", run=pinn(), quick=160)
def ladder(draw):
    return instance(draw, width=2 ** draw(st.sampled_from([6, 7, 11, 12])), steps=3, points=LADDER)


@theorem.instances("corner sample", run=pinn(), quick=1)
def corner():
    """Where |psi| comes closest to its bound: 0.507 of it."""
    return Instance(data={"interior": [[0.0, 1.0]], "boundary": [[0.0, 1.0]]}, width=10**5)


@theorem.instances("one neuron, corner sample", run=pinn(), quick=500, ci=500)
def one_neuron():
    """The residual lies along the interior gradient: 0.51 of the bound is reached where w is near the space axis."""
    corner = [[0.0, 1.0]]
    return Instance(
        data={"interior": corner, "boundary": corner, "source": [100.0], "values": [-50.0]},
        width=1,
        step=2.0**-30,
        steps=1,
    )


@theorem.instances("step beyond stability", run=pinn(), quick=10)
def unstable(draw):
    """2.5 / ||H^inf||."""
    return instance(draw, width=2**12, steps=3, fraction=2.5 * 1.5, points=LADDER)


@theorem.instances("perturbed linear recursion", run=AlgebraRun, quick=200, thorough=5000)
def recursion(draw):
    """Worst case: r along the slowest direction, I_1 along r with the largest admissible norm."""
    rng = generator(draw)
    size, rate = draw(st.integers(1, 6)), draw(st.sampled_from([1e-6, 1e-3, 0.1, 0.3, 1 / 3]))
    step = draw(st.sampled_from([0.01, 1.0, 100.0]))
    least = 2 * rate / step
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    spectrum = np.append(least / 2, rng.uniform(least / 2, max(least / 2, 1 / step), size - 1))
    return Instance(
        data={"matrix": (basis * spectrum) @ basis.T, "vector": basis[:, 0]},
        parameters={"lambda_0": least},
        step=step,
    )


TRAINED = ("training", "separated", "narrow", "step beyond stability")

# ---- the Jacobian is the derivative ---------------------------------------------------------------------------------


@theorem.lemma(
    "J(0) theta(0) = 3 u(0): the outputs are homogeneous of degree 3 in each neuron's weights",
    holds=identity,
    assumes=DATA,
    on=TRAINED,
    error=lambda run: 4 * run.along_weights[2],
)
def homogeneous(run):
    product, outputs, _ = run.along_weights
    return product, 3 * outputs


# ---- the recursion ------------------------------------------------------------------------------------------------


def recursion_error(run):
    """Rounding of r(k), r(k+1), of the remainder's terms and of H(k) r(k), a sum over the neurons."""
    errors = run.trajectory.residuals_error
    depth = run.m * run.d * run.n * ULP
    traces = np.trace(run.trajectory.grams[:-1], axis1=1, axis2=2)
    return 4 * (errors[1:] + errors[:-1]) + run.eta * depth * (traces * run.residual)[:, None]


@theorem.lemma(
    "recursion: r(k+1) = (I - eta H(k)) r(k) + I_1(k)", holds=identity, assumes=DATA, on=TRAINED, error=recursion_error
)
def exact_recursion(run):
    r, grams = run.trajectory.residuals, run.trajectory.grams[:-1]
    return r[1:], r[:-1] - run.eta * np.einsum("kij,kj->ki", grams, r[:-1]) + run.trajectory.remainders


# ---- contraction --------------------------------------------------------------------------------------------------

SHARP = 1 - 1e-9  # the threshold is attained: stay below it by more than the rounding of one step


def one_step(run, push):
    """Squared norm after a worst-case step with ||I_1|| = push epsilon lambda_0 eta ||r||, relative to before."""
    vector = run.vector - run.eta * run.matrix @ run.vector + push * run.epsilon * run.lambda_0 * run.eta * run.vector
    return vector @ vector / (run.vector @ run.vector)


def one_step_error(run):
    """A few roundings of numbers near 1, and the QR factor's loss of orthogonality."""
    return 16 * len(run.vector) * ULP


def recursion_premises(run):
    """H symmetric with its spectrum between lambda_0/2 and 1/eta, and eta lambda_0/2 at most largest_a."""
    # moves the squared norm by half of what `one_step_error` allows
    rounding = 4 * len(run.vector) * ULP
    spectrum = run.eta * np.linalg.eigvalsh(run.matrix)
    return (
        (run.eta > 0)
        & (run.lambda_0 > 0)
        & (spectrum[0] >= run.eta * run.lambda_0 / 2 - rounding)
        & (spectrum[-1] <= 1 + rounding)
        & (run.eta * np.abs(run.matrix - run.matrix.T).max() <= rounding)
        & (run.eta * run.lambda_0 / 2 <= run.largest_a * (1 + rounding))
    )


@theorem.lemma(
    "contraction: I_1 up to the threshold leaves ||r||^2 shrinking by 1 - eta lambda_0/2, worst case",
    holds=always,
    bound=1 - eta * lambda_0 / 2,
    assumes=(),
    on="perturbed linear recursion",
    given=recursion_premises,
    error=one_step_error,
)
def contraction(run):
    return one_step(run, SHARP)


@theorem.lemma(
    "a fifth of lambda_0 is below the threshold",
    holds=always,
    bound=epsilon,
    assumes=(),
    on="perturbed linear recursion",
)
def fifth(run):
    return 1 / 5


def chain(run):
    """At each step, whether the smallest and the largest eigenvalue and I_1 allow the contraction."""
    return (
        (run.eigenvalues[:-1, 0] >= run.lambda_0 / 2)
        & (run.eta * run.eigenvalues[:-1, -1] <= 1)
        & (run.remainder <= run.epsilon * run.lambda_0 * run.eta * run.residual)
    )


@theorem.lemma(
    "one step contracts the loss whenever lambda_min(H(k)), ||H(k)|| and I_1(k) allow it",
    holds=always,
    bound=(1 - eta * lambda_0 / 2) * loss,
    on=("training", "separated", "narrow"),
    given=chain,
    error=lambda run: run.losses_error[1:] + run.losses_error[:-1],
)
def step_contracts(run):
    return run.losses[1:]


spectral_factor = theorem.quantity(
    "spectral_factor", lambda run: np.abs(1 - run.eta * run.eigenvalues[:-1, [0, -1]]).max(axis=1)
)
remainder_ = theorem.quantity("remainder_norm", lambda run: run.remainder)


@theorem.lemma(
    "any step: ||r(k+1)|| <= max_i |1 - eta lambda_i(H(k))| ||r(k)|| + ||I_1(k)||",
    holds=always,
    bound=spectral_factor * residual + remainder_,
    assumes=DATA,
    on=TRAINED,
    error=lambda run: run.residuals_error[1:] + np.linalg.norm(recursion_error(run), axis=1),
    attained=True,  # by one sample, or once r is along the slowest direction
)
def spectral_step(run):
    return run.residuals[1:]


# ---- the step -----------------------------------------------------------------------------------------------------


@theorem.lemma(
    "eta ||H(k)|| <= 1 at the largest step while ||H(k) - H^inf|| <= ||H^inf||/2",
    holds=always,
    bound=1,
    on="training",
    given=lambda run: np.linalg.norm(run.trajectory.grams - run.limit_gram, ord=2, axis=(1, 2)) <= run.limit_norm / 2,
)
def step_fits(run):
    """The theorem has ||H(k) - H^inf|| <= lambda_0/2, which is more."""
    return run.eta * run.eigenvalues[:, -1]


# ---- the drift ----------------------------------------------------------------------------------------------------

B_measured = theorem.quantity("B", lambda run: run.trajectory.weight_norm.max())


@theorem.lemma(
    "sqrt(m) ||J_r||_F <= C_g |w_r|^2, every neuron", holds=always, bound=C_g, assumes=DATA, on="corner sample"
)
def neuron_bound(run):
    weights = run.weights
    blocks = np.sqrt(run.m * np.square(run.jacobian_at(weights)).sum(axis=(0, 2)))
    return (blocks / np.square(weights).sum(axis=1)).max()


@theorem.lemma(
    "max_r ||dL/dw_r|| <= C_g B^2 ||r||/sqrt(m)",
    holds=always,
    bound=C_g * B**2 * residual / sqrt(m),
    assumes=DATA,
    on=("training", "narrow", "one neuron, corner sample"),
)
def gradient_bound(run):
    return run.trajectory.gradients


def contracting_so_far(run):
    """The hypotheses of the contraction at every earlier step, for each k >= 1."""
    return np.append(False, np.logical_and.accumulate(chain(run)))


@theorem.lemma(
    "max_r ||w_r(k) - w_r(0)|| <= 4 C_g B^2 ||r(0)||/(sqrt(m) lambda_0) while the chain holds",
    holds=always,
    bound=drift_factor * C_g * B**2 * residual_0 / (sqrt(m) * lambda_0),
    on="training",
    given=contracting_so_far,
)
def drift_bound(run):
    return run.drift


@theorem.lemma(
    "root mean square drift <= 4 ||r(0)||/(sqrt(eta m) lambda_0) while the chain holds",
    holds=always,
    bound=drift_factor * residual_0 / (sqrt(eta * m) * lambda_0),
    on="training",
    given=contracting_so_far,
)
def mean_drift_bound(run):
    """||theta(k+1) - theta(k)|| = eta ||J^T r|| <= sqrt(eta) ||r|| as eta ||H|| <= 1."""
    return run.drift_rms


@theorem.lemma(
    "sums: eta sum_k sqrt(1 - eta lambda_0/2)^k <= 4/lambda_0",
    holds=always,
    bound=drift_factor / lambda_0,
    assumes=(),
    on="perturbed linear recursion",
    given=recursion_premises,
    attained=True,  # as eta lambda_0 -> 0
    error=lambda run: 16 * ULP * run.eta / (1 - math.sqrt(1 - run.eta * run.lambda_0 / 2)) ** 2,
)
def geometric_sum(run):
    return run.eta / (1 - np.sqrt(1 - run.eta * run.lambda_0 / 2))


@theorem.lemma(
    "the root mean square drift shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder of widths",
)
def drift_rate(run):
    return run.drift_rms[-1] / run.residual_0


@theorem.lemma(
    "max_r ||w_r(k) - w_r(0)||/max_r ||w_r||^2 shrinks like m^(-1/2)",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder of widths",
)
def largest_drift_rate(run):
    return run.drift[-1] / run.trajectory.weight_norm.max() ** 2 / run.residual_0


# ---- conclusion ---------------------------------------------------------------------------------------------------


def loss_error(run):
    """Of L(k) and, in the bound, of L(0)."""
    return run.losses_error + run.losses_error[0]


RATE = (1 - eta * lambda_0 / 2) ** k * loss_0


@theorem.lemma(
    "implication: L(k) <= (1 - eta lambda_0/2)^k L(0) for all k up to which the chain holds",
    holds=always,
    bound=RATE,
    on=("training", "separated"),
    given=contracting_so_far,
    error=loss_error,
)
def linear_rate(run):
    return run.losses


@theorem.conclusion(
    "16384 neurons: ||I_1(k)|| <= epsilon lambda_0 eta ||r(k)|| at every step",
    holds=with_probability(1 - delta),
    bound=epsilon,
    on="separated",
)
def remainder_small(run):
    return (run.remainder / (run.eta * run.residual)).max() / run.lambda_0


@theorem.conclusion(
    "16384 neurons: lambda_min(H(k)) >= lambda_0/2 for all k",
    holds=with_probability(1 - delta),
    bound=lambda_0 / 2,
    from_below=True,
    on="separated",
)
def eigenvalue_kept(run):
    return run.eigenvalues[:, 0]


@theorem.conclusion(
    "16384 neurons: eta ||H(k)|| <= 1 for all k at the step 2/(3 ||H^inf||)",
    holds=with_probability(1 - delta),
    bound=1,
    on="separated",
)
def step_kept(run):
    return run.eta * run.eigenvalues[:, -1]


@theorem.conclusion(
    "16384 neurons, step 2/(3 ||H^inf||): L(k) <= (1 - eta lambda_0/2)^k L(0) for all k",
    holds=with_probability(1 - delta),
    bound=RATE,
    on="separated",
)
def linear_rate_at_width(run):
    return run.losses


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "the loss never increases at 2.5/||H^inf||",
    holds=always,
    bound=loss,
    assumes=DATA,
    on="step beyond stability",
    error=lambda run: run.losses_error[1:] + run.losses_error[:-1],
)
def beyond_stability(run):
    return run.losses[1:]


@theorem.control(
    "the contraction with a perturbation 1% beyond its threshold, at the largest step",
    holds=always,
    bound=1 - eta * lambda_0 / 2,
    assumes=(),
    on="perturbed linear recursion",
    given=lambda run: run.eta * run.lambda_0 / 2 >= 1 / 3 - 1e-12,
    error=one_step_error,
)
def threshold_exceeded(run):
    return one_step(run, 1.01)


@theorem.control(
    "the rate of the largest eigenvalue, (1 - eta ||H^inf||)^k",
    holds=always,
    bound=(1 - eta * limit_norm) ** k * loss_0,
    on="training",
    given=lambda run: run.k >= 1,
    error=loss_error,
)
def too_fast(run):
    return run.losses


@theorem.control(
    "the root mean square drift shrinks like 1/m", holds=scales_as(-1, tolerance=0.1), on="ladder of widths"
)
def drift_too_fast(run):
    return run.drift_rms[-1] / run.residual_0


@theorem.control(
    "max_r ||w_r(k) - w_r(0)|| shrinks like m^(-1/2), without the largest weight",
    holds=scales_as(Rational(-1, 2), tolerance=0.1),
    on="ladder of widths",
)
def largest_drift(run):
    return run.drift[-1] / run.residual_0


@theorem.control(
    "4 to 32 neurons: ||I_1(k)|| <= epsilon lambda_0 eta ||r(k)|| at every step",
    holds=with_probability(1 - delta),
    bound=epsilon,
    on="narrow",
)
def remainder_narrow(run):
    return (run.remainder / (run.eta * run.residual)).max() / run.lambda_0


@theorem.control(
    "the rate on networks of 4 to 32 neurons, the chain ignored",
    holds=always,
    bound=RATE,
    on="narrow",
    given=lambda run: run.k >= 1,
    error=loss_error,
)
def too_narrow(run):
    return run.losses
