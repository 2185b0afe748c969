r"""Natural gradient descent with J^T (J J^T)^(-1) is energy natural gradient, which is Gauss-Newton.

Setting     residual r in R^N with Jacobian J in R^(N x P) of full row rank, energy E = 1/2 ||r||^2
Method      natural gradient   J^T (J J^T)^(-1) r
            energy natural gradient, Gauss-Newton   (J^T J)^+ J^T r
Guarantee   the two are the same vector (exact), the shortest solution of J v = r, and the limit of the damped step
            (J^T J + mu)^(-1) J^T r as mu -> 0, off by at most mu/(mu + lambda_min(J J^T)) of its length (sharp)

The method of arXiv 2408.00573 is therefore that of Mueller and Zeinhofer (2023) written with the smaller matrix, as its
reviewers remark. Checked on random Jacobians with a prescribed spectrum and on those of physics-informed networks.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, always, identity
from ntkverify.instances import box_points, generator, is_decomposition
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import PinnRun
from ntkverify.theorem.instance import Instance
from ntkverify.training import dense_least_norm

theorem = Theorem(
    "Natural gradient with the small matrix is energy natural gradient",
    source=Source(arxiv="2408.00573", version=4, where="Section 4", provenance="derived"),
    statement=r"""
        If $J$ has full row rank, $J^\top (JJ^\top)^{-1} = (J^\top J)^+ J^\top$, and
        $\|(J^\top J+\mu)^{-1}J^\top r - J^\top (JJ^\top)^{-1} r\| \le
        \frac{\mu}{\mu+\lambda_{\min}(JJ^\top)}\|J^\top (JJ^\top)^{-1} r\|$.
    """,
)

ULP = np.finfo(float).eps
mu, least = sympy.symbols("mu least", positive=True)


class JacobianRun(AlgebraRun):
    """A Jacobian with left and right singular vectors and singular values given."""

    @property
    def jacobian(self):
        """J, (N, P)."""
        return (self.left * self.singular) @ self.right.T

    @property
    def least(self):
        """Least eigenvalue of J J^T."""
        return self.singular.min() ** 2

    @property
    def scale(self):
        """Bound of the rounding error: backward errors of 16 N P eps, amplified by the squared condition number."""
        condition = self.singular.max() / self.singular.min()
        size = np.linalg.norm(self.vector) / self.singular.min()
        return 16 * len(self.singular) * len(self.right) * ULP * condition**2 * size


class NetworkJacobianRun(PinnRun):
    """The Jacobian of a freshly drawn network and its initial residual."""

    @property
    def jacobian(self):
        """J, (N, P)."""
        rows = self.jacobian_at(self.weights)
        return rows.reshape(len(rows), -1)

    @property
    def vector(self):
        """r(0)."""
        return self.at_start.outputs - self.scaled_targets

    @property
    def scale(self):
        """As for a Jacobian with its singular values given."""
        singular = np.linalg.svd(self.jacobian, compute_uv=False)
        size = np.linalg.norm(self.vector) / singular[-1]
        return 16 * self.jacobian.size * ULP * (singular[0] / singular[-1]) ** 2 * size


@theorem.instances("random Jacobian", run=JacobianRun, quick=100, thorough=2000)
def random_jacobian(draw):
    rng = generator(draw)
    rows = draw(st.integers(1, 6))
    columns = rows + draw(st.integers(0, 20))
    left, _ = np.linalg.qr(rng.standard_normal((rows, rows)))
    right, _ = np.linalg.qr(rng.standard_normal((columns, rows)))
    singular = np.logspace(0, -draw(st.integers(0, 3)), rows) * 10.0 ** draw(st.integers(-2, 2))
    vector = rng.standard_normal(rows) if draw(st.booleans()) else left[:, -1]
    weight = float(singular[-1] ** 2 * 10.0 ** draw(st.integers(-4, 2)))
    others = rng.standard_normal((columns, 5))
    data = {"left": left, "right": right, "singular": singular, "vector": vector, "others": others}
    return Instance(data=data, parameters={"mu": weight})


@theorem.instances("physics-informed network", run=NetworkJacobianRun, quick=8)
def network(draw):
    return Instance(data=box_points(draw, 2, 2, 2), width=60)


BOTH = ("random Jacobian", "physics-informed network")


def decomposed(run):
    """Whether J has full rank and these are its singular values and vectors."""
    return is_decomposition(run.left, run.singular, run.right)


def natural(run):
    """J^T (J J^T)^(-1) r by the library's solver."""
    return dense_least_norm(run.jacobian, run.vector).direction


def energy(run):
    """(J^T J)^+ J^T r by the eigenvectors of J^T J that belong to its rank N."""
    values, vectors = np.linalg.eigh(run.jacobian.T @ run.jacobian)
    keep = slice(-len(run.vector), None)
    return vectors[:, keep] @ (vectors[:, keep].T @ (run.jacobian.T @ run.vector) / values[keep])


def damped(run, weight):
    """(J^T J + mu)^(-1) J^T r."""
    jacobian = run.jacobian
    return np.linalg.solve(jacobian.T @ jacobian + weight * np.eye(jacobian.shape[1]), jacobian.T @ run.vector)


# ---- the identity -------------------------------------------------------------------------------------------------


@theorem.lemma("(J^T J + mu)^(-1) J^T = J^T (J J^T + mu)^(-1), two rows and three columns", holds=identity)
def push_through():
    """Multiplied out, so that nothing is inverted: J^T (J J^T + mu) = (J^T J + mu) J^T."""
    jacobian = sympy.Matrix(2, 3, sympy.symbols("j_:6", real=True))
    left = jacobian.T * (jacobian * jacobian.T + mu * sympy.eye(2))
    return left.expand(), ((jacobian.T * jacobian + mu * sympy.eye(3)) * jacobian.T).expand()


@theorem.conclusion(
    "natural gradient = energy natural gradient (Gauss-Newton)", holds=identity, on=BOTH, error=lambda run: run.scale
)
def same_step(run):
    return natural(run), energy(run)


length = theorem.quantity("length", lambda run: np.linalg.norm(natural(run)))


@theorem.conclusion(
    "the damped step is off by at most mu/(mu + lambda_min) of its length, sharp",
    holds=always,
    bound=mu / (mu + least) * length,
    on="random Jacobian",
    given=lambda run: decomposed(run) and run.mu > 0,
    error=lambda run: 4 * run.scale,
    attained=True,
)
def damping(run):
    return np.linalg.norm(damped(run, run.mu) - natural(run))


def other_lengths(run):
    """Lengths of five other solutions of J v = r: the step plus vectors of the kernel."""
    kernel = run.others - run.right @ (run.right.T @ run.others)
    return np.linalg.norm(natural(run)[:, None] + kernel, axis=0)


shortest = theorem.quantity("shortest", lambda run: other_lengths(run).min())


@theorem.lemma(
    "no solution of J v = r is shorter",
    holds=always,
    bound=shortest,
    on="random Jacobian",
    given=decomposed,
    error=lambda run: run.scale + 64 * ULP * np.linalg.norm(run.others),
    attained=True,  # by square Jacobians
)
def least_norm(run):
    return np.linalg.norm(natural(run))


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "damping by lambda_min changes nothing",
    holds=identity,
    on="random Jacobian",
    error=lambda run: run.scale,
)
def damping_free(run):
    return damped(run, run.least), natural(run)


@theorem.control(
    "natural gradient is the gradient scaled to solve J v = r along it",
    holds=identity,
    on=BOTH,
    error=lambda run: run.scale,
    given=lambda run: (
        np.ones(run.jacobian.shape[1], bool) if len(run.vector) > 1 else np.zeros(run.jacobian.shape[1], bool)
    ),
)
def scaled_gradient(run):
    gradient = run.jacobian.T @ run.vector
    along = run.jacobian @ gradient
    return natural(run), gradient * (along @ run.vector) / (along @ along)


@theorem.control(
    "the damped step is off by at most half of mu/(mu + lambda_min)",
    holds=always,
    bound=mu / (mu + least) * length / 2,
    on="random Jacobian",
    error=lambda run: 4 * run.scale,
)
def damping_half(run):
    return np.linalg.norm(damped(run, run.mu) - natural(run))
