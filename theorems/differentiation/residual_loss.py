r"""Residual losses of random features, exactly: gradient descent and the truncated solution. TR1, TR2, claim A6.

Setting     least squares A a = f, N residuals and M features, A = U S V^T; r_0 the initial residual, c_k = u_k . r_0
Guarantee   TR1  gradient descent with step eta <= 1/sigma_1^2, any level tau <= sigma_1:
                 L_t - L_inf = 1/2 sum_k (1 - eta sigma_k^2)^(2t) c_k^2 (exact), so that
                 (1 - 2 t eta tau^2)_+ E_</2 <= L_t - L_inf <= (1 - eta tau^2)^(2t) E_>/2 + E_</2,
                 E_> the energy of the modes sigma_k >= tau and E_< that of the others
            TR2  the truncated solution: ||A a^(n) - f||^2 = sum_(k > n) (u_k . f)^2 + ||f_perp||^2 (exact),
                 ||a^(n)||^2 = sum_(k <= n) (u_k . f)^2/sigma_k^2 (exact); if A is known up to an error D,
                 what is attained, min_a ||(A + D) a - f|| <= ||A a^(n) - f|| + ||D|| ||a^(n)|| for every n

Derived. So the loss after t steps with eta = 1/sigma_1^2 is about the energy outside the modes sigma_k >=
sigma_1/sqrt(t), the cut-off C3, and the floor of finite differences (`rounding_floor`) times the size of the
coefficients bounds what they attain: this much of "truncated entropy determines the residual loss" (arXiv 2405.14099,
whose definitions were not at hand) is provable.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, always, identity
from ntkverify.glossary import eta, k
from ntkverify.measures.entropy import above as above_level
from ntkverify.measures.entropy import reached, truncated_residuals
from ntkverify.problems.random_features.collocation import CollocationRun
from ntkverify.problems.random_features.grids import drawn_problem
from ntkverify.training import GradientDescent

theorem = Theorem(
    "Residual losses of random features",
    source=Source(arxiv="2405.14099", version=4, where="residual loss of random feature models", provenance="derived"),
    statement=r"""
        $L_t - L_\infty = \tfrac12 \sum_k (1-\eta\sigma_k^2)^{2t} c_k^2$ for gradient descent on $\tfrac12\|Aa-f\|^2$;
        $\|Aa^{(n)}-f\|^2 = \sum_{k>n} (u_k^\top f)^2 + \|f_\perp\|^2$ for the truncated solution.
    """,
)

ULP = np.finfo(float).eps
tau = sympy.Symbol("tau", nonnegative=True)


class LeastSquaresRun(CollocationRun):
    """Random features trained with a share of the step 1/sigma_1^2; a level is a factor times a singular value."""

    @functools.cached_property
    def svd(self):
        """U, S, V^T of the Jacobian J = A/sqrt(m)."""
        return np.linalg.svd(self.matrix / np.sqrt(self.m), full_matrices=False)

    @property
    def sigma_1(self):
        """||J||."""
        return self.svd[1][0]

    @property
    def eta(self):
        """Step."""
        return self.share / self.sigma_1**2

    def training(self):
        """Gradient descent."""
        return GradientDescent(self.eta)

    @property
    def tau(self):
        """Level."""
        return min(self.factor * self.svd[1][int(self.place)], self.sigma_1)

    @functools.cached_property
    def energies(self):
        """c_k^2 and the energy that no feature reaches."""
        start = self.trajectory.residuals[0]
        inside = (self.svd[0].T @ start) ** 2
        return inside, max(start @ start - inside.sum(), 0.0) if self.n > self.m else 0.0

    @property
    def above(self):
        """Energy of the modes of at least tau."""
        return self.energies[0][self.svd[1] >= self.tau].sum()

    @property
    def below(self):
        """Energy of the others."""
        return self.energies[0][self.svd[1] < self.tau].sum()

    @property
    def unreached(self):
        """2 L_inf."""
        return self.energies[1]

    @property
    def right(self):
        """f."""
        return self.scaled_targets

    @property
    def scale(self):
        """Rounding error of a loss along the curve: of sums of so many terms, and of residuals that cancel."""
        return 2.0**10 * self.n * self.m * ULP * self.losses[0] + 8 * self.losses_error.max()


ABOVE = 1 + 2.0**-20  #: a level next above a value, by which no other mode changes sides


def problem(draw, share=(1.0, 0.5, 0.1), place=(0, 1, 2, 3), factor=(0.7, 1.0, ABOVE, 1.4)):
    """More features than residuals, and fewer."""
    level = {name: draw(st.sampled_from(x)) for name, x in (("share", share), ("place", place), ("factor", factor))}
    width = draw(st.sampled_from([4, 8]))
    return drawn_problem(
        draw, sizes=[6], radii=[1.0, 5.0], activations=[0, 1], laws=[0], width=width, steps=20, **level
    )


theorem.instances("gradient descent", run=LeastSquaresRun, quick=40)(problem)
theorem.instances("by differences", run=functools.partial(LeastSquaresRun, way="differences"), quick=20)(problem)


@theorem.instances("a level at the third value", run=LeastSquaresRun, quick=20)
def third_level(draw):
    """One mode below the level is slowed down as much as any may be."""
    return problem(draw, share=[1.0], place=[2], factor=[ABOVE])


@theorem.instances("truncated", run=LeastSquaresRun, quick=20)
def truncated(draw):
    """Steep features: singular values that float64 resolves."""
    return drawn_problem(draw, sizes=[8], radii=[3.0], activations=[1], orders=[1], width=6)


def resolved(run):
    """Whether float64 resolves all singular values."""
    return run.svd[1][-1] > 1e-8 * run.svd[1][0]


TRAINED = ("gradient descent", "by differences")

# ---- TR1 ----------------------------------------------------------------------------------------------------------


@theorem.conclusion(
    "TR1: the loss curve is that of the spectrum", holds=identity, on=TRAINED, error=lambda run: run.scale
)
def loss_curve(run):
    factors = (1 - run.eta * run.svd[1] ** 2)[None, :] ** (2 * run.k[:, None])
    return run.losses, (factors @ run.energies[0] + run.unreached) / 2


above, below, unreached = sympy.symbols("above below unreached", nonnegative=True)
fast = theorem.constant("fast", (1 - eta * tau**2) ** (2 * k) * above / 2, "what is left of the modes above tau")
slow = theorem.constant("slow", below / 2, "what the modes below tau start with")
kept = theorem.constant("kept", sympy.Max(0, 1 - 2 * k * eta * tau**2), "share of it that is still there")


@theorem.conclusion(
    "TR1: L_t - L_inf <= (1 - eta tau^2)^(2t) E_>/2 + E_</2",
    holds=always,
    bound=fast + slow + unreached / 2,
    on=TRAINED,
    error=lambda run: run.scale,
    attained=True,
)
def at_most(run):
    return run.losses


@theorem.conclusion(
    "TR1: L_t - L_inf >= (1 - 2 t eta tau^2)_+ E_</2",
    holds=always,
    bound=kept * slow + unreached / 2,
    from_below=True,
    on=(*TRAINED, "a level at the third value"),
    error=lambda run: run.scale,
    attained=True,
)
def at_least(run):
    return run.losses


@theorem.lemma(
    "the cut-off C3 after t steps with eta = 1/sigma_1^2 is C1 with the threshold 1/sqrt(t)",
    holds=identity,
    on=TRAINED,
    error=lambda run: 0,
)
def cutoffs_agree(run):
    times, singular = 1.5 * 4.0 ** np.arange(8), run.svd[1]
    by_time = [reached(singular, eta=1 / run.sigma_1**2, time=t) for t in times]
    return np.array(by_time), np.array([above_level(singular, run.sigma_1 / np.sqrt(t)) for t in times])


# ---- TR2 ----------------------------------------------------------------------------------------------------------


def coefficients(run):
    """Truncated solutions a^(n), n = 0 ... , a row each."""
    left, singular, rows = run.svd
    steps = (left.T @ run.right / singular)[:, None] * rows
    return np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(steps, axis=0)])


@theorem.conclusion(
    "TR2: the truncated residual is the tail of f",
    holds=identity,
    on="truncated",
    given=resolved,
    error=lambda run: 2.0**12 * ULP * run.svd[1][0] / run.svd[1][-1] * np.linalg.norm(run.right),
)
def truncated_residual(run):
    left, singular, _ = run.svd
    inside = (left.T @ run.right) ** 2
    tails = np.array([inside[n:].sum() for n in range(len(singular) + 1)])
    outside = run.right - left @ (left.T @ run.right)
    return truncated_residuals(run.matrix / np.sqrt(run.m), run.right), np.sqrt(tails + outside @ outside)


def attained(run, part):
    """Per n: the least residual with the matrix of finite differences, or its bound by that of derivatives."""
    matrix, other = (r.matrix / np.sqrt(run.m) for r in (run, run.differences))
    best = np.linalg.norm(other @ np.linalg.lstsq(other, run.right)[0] - run.right)
    error = np.linalg.norm(other - matrix, 2)
    solutions = coefficients(run)
    tails = np.linalg.norm(solutions @ matrix.T - run.right, axis=1)
    return {"best": best, "bound": tails + error * np.linalg.norm(solutions, axis=1), "tails": tails}[part]


perturbed = theorem.quantity("perturbed", lambda run: attained(run, "bound").min())
tails = theorem.quantity("tails", lambda run: attained(run, "tails").min())


@theorem.conclusion(
    "TR2: what A + D attains is at most the tail plus ||D|| ||a^(n)||, at every n",
    holds=always,
    bound=perturbed,
    on="truncated",
    given=resolved,
)
def attains(run):
    return attained(run, "best")


def gaps(run):
    """sigma_n - sigma_(n+1) for n = 1 ... , the last one sigma_n."""
    return -np.diff(np.append(run.svd[1], 0.0))


NORMS = {
    "holds": identity,
    "on": "truncated",
    "given": resolved,
    # u_1 ... u_n are known up to u sigma_1/(sigma_n - sigma_(n+1))
    "error": lambda run: 2.0**12 * ULP * np.linalg.norm(run.right) / run.svd[1] * (1 + run.svd[1][0] / gaps(run)),
}


def least_squares(run):
    """||a^(n)||, n = 1 ... , by LAPACK's least squares of rank n: it leaves out values below sigma_n - half a gap."""
    matrix, singular = run.matrix / np.sqrt(run.m), run.svd[1]
    levels = (singular - gaps(run) / 2) / singular[0]
    return np.array([np.linalg.norm(np.linalg.lstsq(matrix, run.right, rcond=level)[0]) for level in levels])


@theorem.lemma("TR2: ||a^(n)||^2 = sum_(k <= n) (u_k . f)^2/sigma_k^2", **NORMS)
def norms(run):
    left, singular, _ = run.svd
    return least_squares(run), np.sqrt(np.cumsum((left.T @ run.right / singular) ** 2))


@theorem.control("||a^(n)||^2 = ||f||^2/sigma_n^2", **NORMS)
def largest_norms(run):
    return least_squares(run), np.linalg.norm(run.right) / run.svd[1]


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control("what A + D attains is at most the tail of A alone", holds=always, bound=tails, on="truncated")
def unperturbed(run):
    return attained(run, "best")


@theorem.control(
    "the modes below tau are fitted as fast as those above",
    holds=always,
    on=TRAINED,
    bound=(1 - eta * tau**2) ** (2 * k) * (above + below) / 2 + unreached / 2,
    error=lambda run: run.scale,
)
def all_fast(run):
    return run.losses


@theorem.control("the loss falls at twice the rates", holds=identity, on=TRAINED, error=lambda run: run.scale)
def twice(run):
    factors = (1 - run.eta * run.svd[1] ** 2)[None, :] ** (4 * run.k[:, None])
    return run.losses, (factors @ run.energies[0] + run.unreached) / 2
