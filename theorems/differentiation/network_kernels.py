r"""Kernels of two-layer networks as the width grows, by derivatives and by differences: AF4, TR6, claims A3 and A7.

Setting     u(x) = m^(-1/2) sum_r a_r sigma(w_r x + b_r) under an equation of order 2p; K = lim J J^T for residuals
            by derivatives, K_h by differences; G(x) the gradient of a neuron's derivative, K(x, x') = E G(x).G(x')
Guarantee   |K_h - K|(x, x') <= (p h^2/12) sqrt(kappa) (sqrt(K(x, x)) + sqrt(K_h(x', x'))) with
            kappa = sup_x E |d_x^2 G(x)|^2 <= E w^(4p+4) sup |sigma^(2p+2)|^2 for random features;
            |lambda_k(K_h) - lambda_k(K)| <= ||K_h - K||_F for every k
            random sine features: K_h <= K as quadratic forms, K - K_h being positive definite; so every eigenvalue is
            smaller
            TR6  at width m the loss follows sum_k (1 - eta lambda_k)^(2t) c_k^2/2, up to O(m^(-1/2)); what
                 differences fit exactly leaves an exact residual of at most (p h^2/12) sup |u^(2p+2)|

Derived; the bound of AF4 as usually written, with sup |d_x^(2p+2) d_x'^(2p) K| for each argument, follows from it.
Limits are those of `ntkverify.symbolic.limit`, in closed form for sine and erf. What arXiv 2405.14099 proves of "the
kernel of gradient descent" was not at hand.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, always, scales_as
from ntkverify.arithmetic.ball_linear import as_object_array, eigenvalue_balls
from ntkverify.arithmetic.ball_singular import ACCURACY
from ntkverify.arithmetic.balls import Undecided, escalate
from ntkverify.problems.random_features.collocation import LAWS, PARTS, CollocationRun
from ntkverify.problems.random_features.grids import drawn_problem
from ntkverify.training import GradientDescent

theorem = Theorem(
    "Kernels of two-layer networks by derivatives and by differences",
    source=Source(arxiv="2405.14099", version=4, where="two-layer networks", provenance="derived"),
    statement=r"""
        $|K_h - K|(x,x') \le \frac{p h^2}{12}\sqrt{\kappa}\,(\sqrt{K(x,x)} + \sqrt{K_h(x',x')})$, hence
        $|\lambda_k(K_h)-\lambda_k(K)| = O(h^2)$; for random sine features $K_h \preceq K$.
    """,
)

p, h = sympy.symbols("p h", positive=True)
second = theorem.constant("second", p / 12, "half the variance of the B-spline of order 2p")


class KernelRun(CollocationRun):
    """Limit kernels, and a network trained with step 1/(2 ||K||)."""

    @property
    def kappa(self):
        """E w^(4p+4) sup |sigma^(2p+2)|^2."""
        law = LAWS[int(self.instance.parameters["law"])](sympy.Rational(self.instance.parameters["R"]))
        moment = law.moment(int(4 * self.p + 4))
        return self.number(moment if self.is_exact else float(moment)) * self.sup(int(2 * self.p + 2)) ** 2

    @property
    def kernels(self):
        """K and K_h."""
        return self.limit_kernel, self.differences.limit_kernel

    @property
    def reach(self):
        """sqrt(K(x, x)) + sqrt(K_h(x', x'))."""
        first, other = (np.sqrt(np.diag(kernel)) for kernel in self.kernels)
        return np.add.outer(first, other)

    def certified(self):
        """Eigenvalues of K by closed forms in balls, descending."""
        return self.singular_values(lambda: as_object_array(self.enclosed_limit_kernel()))

    def beyond(self, share):
        """Least eigenvalue of share K - K_h, enclosed."""
        from flint import ctx

        def attempt(bits):
            with ctx.workprec(bits):
                kernel, other = (run.enclosed_limit_kernel() for run in (self, self.differences))
                least = eigenvalue_balls(as_object_array(kernel * share - other))[0]
            if not least.rad() <= ACCURACY * abs(least.mid()):
                raise Undecided(f"the least eigenvalue is not resolved at {bits} bits")
            return self.number(least) if self.is_exact else float(least.mid())

        return escalate(attempt, bits=256)

    @property
    def training_step(self):
        """Half of 1/||K||."""
        return 0.5 / np.linalg.norm(self.limit_kernel, 2)

    def training(self):
        """Gradient descent."""
        return GradientDescent(self.training_step)

    @property
    def solution(self):
        """Least coefficients a whose residual by differences is 0, and the exact residual that they leave."""
        coefficients = np.linalg.pinv(self.differences.matrix) @ self.scaled_targets
        return coefficients, self.matrix @ coefficients - self.scaled_targets

    @property
    def curvature(self):
        """sup |u^(2p+2)| of that solution: its maximum on a fine grid, and what it may rise in between."""
        order, spacing = int(2 * self.p + 2), 1 / 4000
        w, b = self.inner_weights[:, 0], self.inner_biases
        x = np.linspace(-0.2, 1.2, int(1.4 / spacing) + 1)[:, None]
        derivative = sympy.lambdify(sympy.Symbol("z"), self.sigma(sympy.Symbol("z"), order), "numpy")
        values = derivative(w * x + b) @ (self.solution[0] * w**order)
        rise = (np.abs(self.solution[0] * w ** (order + 1)).sum()) * self.sup(order + 1) * spacing / 2
        return np.abs(values).max() + rise


@theorem.instances("sine features", run=KernelRun, quick=16)
def sine(draw):
    spacings = [2.0**-3, 2.0**-5]
    return drawn_problem(draw, sizes=[4, 7], radii=[1.0, 3.0], activations=[0], spacings=spacings, width=1)


@theorem.instances("error functions", run=KernelRun, quick=4)
def error_functions(draw):
    return drawn_problem(
        draw, sizes=[4], radii=[1.0], activations=[2], laws=[1], orders=[1], spacings=[2.0**-3, 2.0**-5], width=1
    )


@theorem.instances("networks", run=functools.partial(KernelRun, trainable=PARTS), quick=80)
def networks(draw):
    return drawn_problem(
        draw, sizes=[4], radii=[1.0], activations=[0], orders=[1], laws=[1],
        width=[64, 8192][draw(st.integers(0, 1))], steps=20,
    )  # fmt: skip


@theorem.instances("interpolation", run=KernelRun, quick=12)
def interpolation(draw):
    return drawn_problem(draw, sizes=[5], radii=[6.0], activations=[0], spacings=[2.0**-5], width=12)


kappa = sympy.Symbol("kappa", positive=True)
reach = sympy.Symbol("reach", positive=True)
curvature = sympy.Symbol("curvature", positive=True)
apart = theorem.quantity("apart", lambda run: np.linalg.norm(run.kernels[1] - run.kernels[0]))
of_derivatives = theorem.quantity("of_derivatives", KernelRun.certified)
FEATURES = ("sine features", "error functions")


@theorem.control(
    "|K_h - K| is of fourth order in h",
    holds=always,
    bound=second * h**4 * sympy.sqrt(kappa) * reach,
    on="sine features",
)
@theorem.conclusion(
    "|K_h - K|(x, x') <= (p h^2/12) sqrt(kappa) (sqrt(K(x, x)) + sqrt(K_h(x', x')))",
    holds=always,
    bound=second * h**2 * sympy.sqrt(kappa) * reach,
    on=FEATURES,
)
def kernel_error(run):
    return np.abs(run.kernels[1] - run.kernels[0])


@theorem.lemma(
    "|lambda_k(K_h) - lambda_k(K)| <= ||K_h - K||_F for every k", holds=always, bound=apart, on=FEATURES, attained=True
)
def eigenvalue_error(run):
    first, other = (np.linalg.eigvalsh(kernel) for kernel in run.kernels)
    return np.abs(first - other).max()


FORMS = {"holds": always, "bound": 0, "from_below": True, "on": "sine features", "error": lambda run: 0}
theorem.conclusion(
    "random sine features: K_h <= K as quadratic forms, K - K_h is positive definite",
    of=lambda run: run.beyond(1),
    **FORMS,
)
theorem.control("random sine features: K_h <= 99/100 K as quadratic forms", of=lambda run: run.beyond(0.99), **FORMS)

ORDERED = {"holds": always, "bound": of_derivatives, "on": "sine features"}


@theorem.control("random sine features: every eigenvalue of K_h is at least that of K", from_below=True, **ORDERED)
@theorem.conclusion("random sine features: every eigenvalue of K_h is at most that of K", **ORDERED)
def smaller(run):
    return run.differences.certified()


@theorem.control("TR6: the loss departs from the kernel's as 1/m", holds=scales_as(-1, tolerance=0.2), on="networks")
@theorem.conclusion(
    "TR6: the loss follows the limit kernel, up to m^(-1/2)",
    holds=scales_as(-1 / 2, tolerance=0.3),
    on="networks",
)
def gap_of_curves(run):
    """||L - L_lim|| over the steps by L(0): the curve that the limit kernel gives from the same initial residual."""
    values, vectors = np.linalg.eigh(run.limit_kernel)
    energies = (vectors.T @ run.trajectory.residuals[0]) ** 2
    factors = (1 - run.training_step * values)[None, :] ** (2 * run.k[:, None])
    return np.linalg.norm(run.losses - factors @ energies / 2) / run.loss_0


@theorem.control(
    "what differences fit solves the equation to fourth order",
    holds=always,
    bound=second * h**4 * curvature,
    on="interpolation",
)
@theorem.conclusion(
    "TR6: what differences fit leaves an exact residual of at most (p h^2/12) sup |u^(2p+2)|",
    holds=always,
    bound=second * h**2 * curvature,
    on="interpolation",
)
def bias(run):
    return np.abs(run.solution[1]).max()
