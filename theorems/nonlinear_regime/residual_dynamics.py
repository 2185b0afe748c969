r"""Under gradient flow the residuals of a physics-informed network obey e' = -K W e, W the loss weights.

Network     u(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j) + c, every weight standard normal and trained
Residuals   e = (R(Phi[u])(x_i); (u - g)(x_j)), R linear or not; loss L = 1/2 sum_i W_i e_i^2
Guarantee   theta' = -grad L gives  e' = -K W e  (exact), K = J J^T, and  L' = -||grad L||^2 = -(W e)^T K (W e)
            a step of gradient descent:  e(k+1) = e(k) - eta K(k) W e(k) + I(k)  (exact)

Lemma 3.2 of arXiv 2402.03864 prints e' = -K e beside the loss (5), whose weights are 1/N_b and 1/N_r. With those
weights it is false; it is true of L = 1/2 ||e||^2, or of the residuals W^(1/2) e with the Jacobian W^(1/2) J. The
derivative is measured as a central difference of the residuals along -grad L, at freshly drawn weights.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, identity
from ntkverify.instances import box_points, generator, space_time_points
from ntkverify.problems.nonlinear.equations import second_derivative, self_advected, viscous_burgers
from ntkverify.problems.nonlinear.full_network import full_network
from ntkverify.symbolic.network.operators import coordinates, wave
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Dynamics of the residuals, linear and nonlinear",
    source=Source(arxiv="2402.03864", version=3, where="Lemma 3.2", provenance="derived"),
    statement=r"""
        Under $\theta' = -\nabla L$, $L = \frac12\sum_i W_i e_i^2$: $e' = -K W e$ with $K = JJ^\top$.
    """,
)
theorem.erratum(
    "Lemma 3.2 drops the weights of the loss (5): e' = -K W e with W = diag(1/N_b, ..., 1/N_r, ...), not e' = -K e."
)
theorem.erratum("The wave equation is printed as u_tt = -C^2 u_xx; the exact solution given has u_tt = +C^2 u_xx.")
theorem.erratum("Equation (28), called relative L2, is a sum of pointwise relative errors, infinite where u = 0.")
theorem.erratum("Equation (15) prints u(x^b) where u(x^b) - g(x^b) is meant.")

# ---- instances ----------------------------------------------------------------------------------------------------


def instance(draw, points):
    rng = generator(draw)
    targets = {f"{name}_target": rng.uniform(-1, 1, len(x)) for name, x in points.items()}
    weight = draw(st.sampled_from([0.25, 1.0, 9.0]))
    return Instance(
        data={**points, **targets},
        parameters={"weight_boundary": weight},
        width=2 ** draw(st.integers(3, 7)),
        step=draw(st.sampled_from([1e-3, 1e-2])),
        steps=3,
    )


def on_an_interval(draw):
    return instance(draw, box_points(draw, draw(st.integers(2, 4)), draw(st.integers(1, 2)), 1))


def in_space_time(draw):
    return instance(draw, space_time_points(draw, draw(st.integers(2, 4)), draw(st.integers(1, 3)), 1))


theorem.instances("linear, u_xx", run=full_network(second_derivative), quick=20)(on_an_interval)
theorem.instances("u u_x", run=full_network(self_advected), quick=20)(on_an_interval)
theorem.instances("Burgers", run=full_network(viscous_burgers), quick=20)(in_space_time)


@theorem.instances("u u_x, unweighted loss", run=full_network(self_advected, loss="sum"), quick=20)
def unweighted(draw):
    drawn = on_an_interval(draw)
    return Instance(data=drawn.data, width=drawn.width, step=drawn.step, steps=drawn.steps)


WEIGHTED = ("linear, u_xx", "u u_x", "Burgers")


def plain(run):
    """e(0), residuals without their loss weights."""
    return run.start.residuals / run.roots


def apart(run):
    """How far the central difference may be from the derivative."""
    return run.derivative_along_gradient[2]


# ---- the flow -----------------------------------------------------------------------------------------------------


@theorem.conclusion("e' = -K W e along minus the gradient", holds=identity, error=apart)
def dynamics(run):
    return run.derivative_along_gradient[:2]


@theorem.conclusion("e' = -K e under L = 1/2 ||e||^2", holds=identity, on="u u_x, unweighted loss", error=apart)
def unweighted_dynamics(run):
    return -run.start.kernel @ plain(run), run.derivative_along_gradient[1]


@theorem.lemma(
    "||grad L||^2 = (W e)^T K (W e)",
    holds=identity,
    error=lambda run: 2.0**-40 * run.start.residuals**2 @ np.diag(run.start.kernel),
)
def power(run):
    """The length of the first step of gradient descent is eta ||grad L||."""
    pulled = run.loss_weights * plain(run)
    return (run.trajectory.lengths[0] / run.eta) ** 2, pulled @ (run.start.kernel @ pulled)


# ---- gradient descent ---------------------------------------------------------------------------------------------


@theorem.lemma(
    "e(k+1) = e(k) - eta K(k) W e(k) + I(k), I summed neuron by neuron",
    holds=identity,
    error=lambda run: (
        4 * (run.trajectory.residuals_error[1:] + run.trajectory.residuals_error[:-1])
        + 2.0**-40 * run.eta * np.linalg.norm(run.trajectory.grams[:-1], axis=(1, 2))[:, None] * run.residual[:, None]
    ),
)
def recursion(run):
    """In the residuals W^(1/2) e, whose Gram matrix is W^(1/2) K W^(1/2)."""
    r, roots = run.trajectory.residuals, run.roots
    pulled = r[:-1] * roots  # W e
    step = -run.eta * np.einsum("kij,kj->ki", run.kernels_along[:-1], pulled) * roots
    return r[1:] - r[:-1], step + run.trajectory.remainders


# ---- the equations of the experiments, as printed -------------------------------------------------------------------

t, x = coordinates("t x")
WAVE = sympy.sin(sympy.pi * x) * sympy.cos(2 * sympy.pi * t)
WAVE += sympy.sin(4 * sympy.pi * x) * sympy.cos(8 * sympy.pi * t) / 2


@theorem.lemma("the exact wave of the experiments solves u_tt = 4 u_xx", holds=identity)
def wave_equation():
    return wave(t, (x,), speed=2).apply(WAVE), sympy.S.Zero


@theorem.control("as printed: it solves u_tt = -4 u_xx", holds=identity)
def printed_wave():
    return sympy.diff(WAVE, t, 2), -4 * sympy.diff(WAVE, x, 2)


@theorem.lemma("u = -sin(4x/pi) solves the linear test u_xx = (16/pi^2) sin(4x/pi)", holds=identity)
def linear_test():
    u = -sympy.sin(4 * x / sympy.pi)
    return sympy.diff(u, x, 2), 16 / sympy.pi**2 * sympy.sin(4 * x / sympy.pi)


@theorem.control("as printed: the sum of relative errors, equation (28), is the relative L2 error", holds=identity)
def printed_error():
    """Of two values u and their approximations v."""
    u, v = sympy.symbols("u_:2", positive=True), sympy.symbols("v_:2", positive=True)
    relative = sum(sympy.Abs(a - b) / a for a, b in zip(u, v, strict=True))
    squares = [sum(d**2 for d in values) for values in ([a - b for a, b in zip(u, v, strict=True)], u)]
    return relative, sympy.sqrt(squares[0] / squares[1])


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control("as printed: e' = -K e beside the loss (5)", holds=identity, on=WEIGHTED, error=apart)
def printed(run):
    return -run.start.kernel @ plain(run), run.derivative_along_gradient[1]


@theorem.control("the weights on the other side: e' = -W K e", holds=identity, on=WEIGHTED, error=apart)
def transposed(run):
    return -run.loss_weights * (run.start.kernel @ plain(run)), run.derivative_along_gradient[1]
