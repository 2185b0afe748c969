r"""Gauss-Newton flow makes every residual decay at the same rate, whatever the kernel, while J has full row rank.

Flow        theta' = -(J^T J)^+ J^T r, r = W^(1/2) e the residuals with the roots of their loss weights
Guarantee   r' = -J J^+ r, J J^+ the orthogonal projector onto the range of J   (exact), so L' = -||J J^+ r||^2 <= 0
            full row rank on [0, T]:  r(t) = e^(-t) r(0) and L(t) = e^(-2t) L(0)   (exact), at any width, linear or not
A step      r+ = (I - a J J^+) r + rho,  |rho_i| <= (a^2/2) max_s ||H_i(theta_s)|| ||J^+ r||^2

Theorem 4.2 of arXiv 2402.03864, which writes U D U^T for the projector and concludes that a global minimum is attained;
at a finite time the loss is e^(-2T) L(0). Full row rank is not proved for nonlinear equations: it is measured.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, always, identity
from ntkverify.glossary import eta
from ntkverify.instances import box_points, generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.nonlinear.equations import second_derivative, self_advected
from ntkverify.problems.nonlinear.flows import flow
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Gauss-Newton flow of nonlinear residuals",
    source=Source(arxiv="2402.03864", version=3, where="Theorem 4.2", provenance="derived"),
    statement=r"""
        $\theta' = -(J^\top J)^+\nabla L$ gives $r' = -JJ^+ r$; with full row rank $L(t) = e^{-2t}L(0)$.
    """,
)
theorem.erratum("Theorem 4.2 has L = 0 at a finite time T; it is e^(-2T) L(0).")

ULP = np.finfo(float).eps

# ---- the projector ------------------------------------------------------------------------------------------------


class RankRun(AlgebraRun):
    """J = left diag(singular) right^T, of any rank."""

    @property
    def jacobian(self):
        """J, (N, P)."""
        return (self.left * self.singular) @ self.right.T

    @property
    def pushed(self):
        """J (J^T J)^+ J^T r, the pseudo-inverse by the eigenvectors of J^T J that belong to its rank."""
        jacobian = self.jacobian
        values, vectors = np.linalg.eigh(jacobian.T @ jacobian)
        keep = slice(len(values) - len(self.singular), None)
        return jacobian @ (vectors[:, keep] @ (vectors[:, keep].T @ (jacobian.T @ self.vector) / values[keep]))

    @property
    def scale(self):
        """Rounding: backward errors amplified by the squared condition number."""
        condition = self.singular.max() / self.singular.min()
        return 64 * self.jacobian.size * ULP * condition**2 * np.linalg.norm(self.vector)


@theorem.instances("any rank", run=RankRun, quick=60)
def any_rank(draw):
    rng = generator(draw)
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rank = draw(st.integers(1, min(rows, columns)))
    left, _ = np.linalg.qr(rng.standard_normal((rows, rank)))
    right, _ = np.linalg.qr(rng.standard_normal((columns, rank)))
    singular = np.logspace(0, -draw(st.integers(0, 2)), rank)
    return Instance(data={"left": left, "right": right, "singular": singular, "vector": rng.standard_normal(rows)})


@theorem.conclusion(
    "J (J^T J)^+ J^T = J J^+, the projector onto the range of J", holds=identity, on="any rank",
    error=lambda run: run.scale,
)  # fmt: skip
def projector(run):
    return run.pushed, run.left @ (run.left.T @ run.vector)


@theorem.lemma(
    "L' = -||J J^+ r||^2", holds=identity, on="any rank", error=lambda run: 2 * run.scale * np.linalg.norm(run.vector)
)
def dissipation(run):
    return run.vector @ run.pushed, run.pushed @ run.pushed


@theorem.control("J J^+ = 1 whatever the rank", holds=identity, on="any rank", error=lambda run: run.scale)
def full_rank_always(run):
    return run.pushed, run.vector


# ---- the flow of a network ------------------------------------------------------------------------------------------


def sampled(draw, **options):
    points = box_points(draw, 2, draw(st.integers(1, 2)), 1)
    targets = {f"{name}_target": generator(draw).uniform(-1, 1, len(x)) for name, x in points.items()}
    return Instance(data={**points, **targets}, **options)


def flowing(draw):
    return sampled(draw, width=2 ** draw(st.integers(6, 8)), steps=4, parameters={"time": 0.5})


NEWTON = {"flow": "Gauss-Newton", "rtol": 1e-6}
theorem.instances("flow, u u_x", run=flow(self_advected, **NEWTON), quick=3)(flowing)
theorem.instances("flow, u_xx", run=flow(second_derivative, **NEWTON), quick=3)(flowing)


def has_rank(run):
    """Whether cond(J J^T) stayed below 1e8 at every moment seen."""
    values = run.eigenvalues
    return bool((values[:, 0] > 1e-8 * values[:, -1]).all())


@theorem.conclusion(
    "r(t) = e^(-t) r(0) while J has full rank", holds=identity, on=("flow, u u_x", "flow, u_xx"),
    error=lambda run: np.repeat(run.residuals_error[:, None], run.n, axis=1),
    given=lambda run: np.full(run.trajectory.residuals.shape, has_rank(run)),
)  # fmt: skip
def decay(run):
    residuals = run.trajectory.residuals
    return residuals, np.exp(-run.time)[:, None] * residuals[0]


@theorem.control(
    "the residuals of Gauss-Newton flow decay as those of gradient flow at the kernel's least rate",
    holds=always,
    bound=1,
    from_below=True,
    on=("flow, u u_x", "flow, u_xx"),
    error=lambda run: 1e-6,
)
def as_slow_as_gradient_flow(run):
    """||r(T)||/||r(0)|| over exp(-lambda_min(K(0)) T)."""
    return run.residuals[-1] / run.residuals[0] * np.exp(run.eigenvalues[0, 0] * run.time[-1])


# ---- one step -------------------------------------------------------------------------------------------------------


class StepRun(FullNetworkRun):
    """Steps of natural gradient, which are Gauss-Newton's."""

    @functools.cached_property
    def curvatures(self):
        """For the first step: max of ||H_i|| over seventeen points of the segment, (N,); in float64."""
        plain = self.plain
        weights = plain.weights
        change = plain.trajectory.lengths[0]
        direction = -np.linalg.lstsq(
            plain.jacobian_at(weights).reshape(int(plain.n), -1), plain.start.residuals, rcond=None
        )[0].reshape(weights.shape)
        points = [weights + s * change / np.linalg.norm(direction) * direction for s in np.linspace(0, 1, 17)]
        return np.array([max(plain.hessian(i, weights=w).spectral_norm() for w in points) for i in range(int(plain.n))])


@theorem.instances("steps, u u_x", run=full_network(self_advected, method="natural gradient", kind=StepRun), quick=40)
def stepping(draw):
    return sampled(draw, width=2 ** draw(st.integers(3, 7)), step=draw(st.sampled_from([0.05, 0.2])), steps=1)


curvature, length = sympy.symbols("curvature_max length", positive=True)
theorem.quantity("curvature_max", lambda run: run.numbers(run.curvatures))
theorem.quantity("length", lambda run: run.trajectory.lengths[0] / run.eta)


@theorem.conclusion(
    "|rho_i| <= (a^2/2) max_s ||H_i(theta_s)|| ||J^+ r||^2",
    holds=always,
    bound=eta**2 / 2 * curvature * length**2,
    on="steps, u u_x",
    error=lambda run: 4 * run.trajectory.residuals_error.max() + run.trajectory.linear_error[0],
)
def second_order(run):
    return np.abs(run.trajectory.remainders[0])
