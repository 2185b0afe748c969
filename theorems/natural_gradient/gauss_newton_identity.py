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

from ntkverify import Instance, Source, Theorem, always, identity
from ntkverify.instances import box_points, generator
from ntkverify.lemmas.natural_gradient import decomposed
from ntkverify.problems.jacobians import JacobianRun, NetworkJacobianRun
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

mu, least = sympy.symbols("mu least", positive=True)
theorem.declare(data={"left": ("N", "N"), "singular": ("N",), "right": ("P", "N"), "vector": ("N",)})

# ---- instances, and the two steps -----------------------------------------------------------------------------------


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


RANDOM, BOTH = "random Jacobian", ("random Jacobian", "physics-informed network")


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

SAME = {"holds": identity, "error": lambda run: run.scale}


@theorem.lemma("(J^T J + mu)^(-1) J^T = J^T (J J^T + mu)^(-1), two rows and three columns", holds=identity)
def push_through():
    """Multiplied out, so that nothing is inverted: J^T (J J^T + mu) = (J^T J + mu) J^T."""
    jacobian = sympy.Matrix(2, 3, sympy.symbols("j_:6", real=True))
    left = jacobian.T * (jacobian * jacobian.T + mu * sympy.eye(2))
    return left.expand(), ((jacobian.T * jacobian + mu * sympy.eye(3)) * jacobian.T).expand()


@theorem.conclusion("natural gradient = energy natural gradient (Gauss-Newton)", on=BOTH, uses="push_through", **SAME)
def same_step(run):
    return natural(run), energy(run)


@theorem.control(
    "natural gradient is the gradient scaled to solve J v = r along it",
    on=BOTH,
    given=lambda run: np.full(run.jacobian.shape[1], len(run.vector) > 1),
    **SAME,
)
def scaled_gradient(run):
    gradient = run.jacobian.T @ run.vector
    along = run.jacobian @ gradient
    return natural(run), gradient * (along @ run.vector) / (along @ along)


@theorem.control("damping by lambda_min changes nothing", on=RANDOM, **SAME)
def damping_free(run):
    return damped(run, run.least), natural(run)


# ---- damping, and the shortest solution -----------------------------------------------------------------------------

length = theorem.quantity("length", lambda run: np.linalg.norm(natural(run)))
DAMPED = {"holds": always, "on": RANDOM, "error": lambda run: 4 * run.scale}


s = sympy.Symbol("s", positive=True)  # an eigenvalue of J J^T, beyond the least one
theorem.lemma(
    "mu/(mu + lambda) <= mu/(mu + lambda_min) for every eigenvalue lambda",
    of=mu / (mu + least + s),
    holds=always,
    bound=mu / (mu + least),
    over=dict.fromkeys((s, mu, least), sympy.Interval.open(0, sympy.oo)),
)


@theorem.control(
    "the damped step is off by at most half of mu/(mu + lambda_min)", bound=mu / (mu + least) * length / 2, **DAMPED
)
@theorem.conclusion(
    "the damped step is off by at most mu/(mu + lambda_min) of its length, sharp",
    bound=mu / (mu + least) * length,
    given=lambda run: decomposed(run) and run.mu > 0,
    attained=True,
    uses=("push_through", "mu/(mu + lambda)"),
    **DAMPED,
)
def damping(run):
    return np.linalg.norm(damped(run, run.mu) - natural(run))


def row_space(run, solution):
    """A solution of J v = r and its part in the rows of J; the rest is in the kernel, and makes it longer."""
    return solution, run.right @ (run.right.T @ solution)


@theorem.lemma(
    "no solution of J v = r is shorter: the step has no part in the kernel of J",
    on=RANDOM,
    given=decomposed,
    uses="same_step",
    **SAME,
)
def least_norm(run):
    return row_space(run, natural(run))


@theorem.control("solutions of J v = r have no part in its kernel", on=RANDOM, given=decomposed, **SAME)
def any_solution(run):
    other = run.others[:, 0] * np.linalg.norm(natural(run)) / 1000
    return row_space(run, natural(run) + other - run.right @ (run.right.T @ other))
