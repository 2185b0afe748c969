r"""The Hessian of a nonlinear residual keeps a part of low rank that does not vanish with the width, and what it is.

Network     u(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j) + c, every weight standard normal
Residual    r = R(Phi[u])(x), R of second order, D^2 R = M;  H_r = G^T M G + sum_i d_iR H_Phi_i, G = d_theta Phi
Guarantee   | ||H_r|| - rho(M K_Phi) | <= sum_i |d_iR| ||H_Phi_i||   (exact, any width), rho the spectral radius, and
            ||H_r|| -> rho(M K_Phi^inf) = ||K^(1/2) M K^(1/2)|| in probability, positive if and only if M is not 0
Limits      u^2: 2 Theta.  u u_x and Burgers: |k_01| + sqrt(k_00 k_11)
Structure   what survives is dense and has the rank of M: for u u_x one positive and one negative eigenvalue

Proposition 3.7 of arXiv 2402.03864 bounds ||H_r|| from below by w^T M w, w = E[Phi[sigma(u . + v)](x)]. For odd
activations, the paper's own, w = 0; for others w^T M w may be negative. The limit is derived here in its place: G^T M G
has the nonzero eigenvalues of M K_Phi, and the rest vanishes by Lemma E.1 (sum_hessians.py).
"""

import functools
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Source, Theorem, always, identity, scales_as
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.nonlinear.equations import second_derivative, self_advected, square, viscous_burgers
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.problems.pinn import heat_equation
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.symbolic.network.operators import derivative
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "The Hessian of a nonlinear residual",
    source=Source(arxiv="2402.03864", version=3, where="Proposition 3.7", provenance="derived"),
    statement=r"""
        $\|H_r(x)\| \to \rho(D^2R\,\bar K_\Phi(x,x))$ in probability, for $R$ a polynomial of second order.
    """,
)
theorem.erratum("Proposition 3.7's constant w^T D^2R w is 0 for odd activations (tanh, sin, erf), and may be negative.")

# ---- instances: one point -----------------------------------------------------------------------------------------


class HessianRun(FullNetworkRun):
    """One residual; everything in float64, as eigenvalues of matrices of 4 m rows are."""

    @functools.cached_property
    def own_hessian(self):
        """H_r at the start."""
        return self.hessian(0)

    @functools.cached_property
    def norm(self):
        """||H_r||."""
        return self.own_hessian.spectral_norm()

    @property
    def curvature(self):
        """M."""
        return self.own_hessian.core

    @property
    def rest(self):
        """sum_i |d_iR| ||H_Phi_i||."""
        slopes = np.abs(self.plain.start.slopes[0])
        blocks = [self.hessian(i, of_sums=True).blocks for i in range(len(slopes))]
        return float(sum(s * np.abs(np.linalg.eigvalsh(b)).max() for s, b in zip(slopes, blocks, strict=True)))

    @property
    def radius(self):
        """rho(M K_Phi)."""
        return np.abs(np.linalg.eigvals(self.curvature @ self.plain.start.sum_kernel)).max()

    @property
    def limit(self):
        """rho(M K_Phi^inf)."""
        return np.abs(np.linalg.eigvals(self.curvature @ self.plain.limit_sum_kernel)).max()


def time_derivative(points):
    """u_t, time first."""
    return derivative(points, 1, 0)


def second_in_space(points):
    """u_xx, time first."""
    return derivative(points, 0, 2)


TERMS = {"u_t": time_derivative, "u_xx": second_in_space}


class HeatRun(HessianRun):
    """u_t - u_xx, which the run makes one sum of; the lemma speaks of its two."""

    @property
    def terms(self):
        """||H|| of u_t and of u_xx, whose slopes are 1 and -1."""
        points = dict.fromkeys(TERMS, self.instance.data["interior"])
        apart = full_network(equations=TERMS, activation="sin", loss="sum")
        network = apart(replace(self.instance, data=points), self.theorem)
        return np.array([network.hessian(i, weights=self._drawn[0]).spectral_norm() for i in range(len(TERMS))])


def at(dimension, exponents):
    def instance(draw):
        point = generator(draw).uniform(-1, 1, (1, dimension))
        return Instance(data={"interior": point}, width=2 ** draw(st.sampled_from(exponents)))

    return instance


def of(equation, kind=HessianRun):
    return full_network(equation, activation="sin", boundary=False, loss="sum", kind=kind)


ANY, WIDE = (0, 1, 2, 3, 4, 5, 6), (5, 6, 11, 12)
theorem.instances("u^2", run=of(square), quick=30)(at(1, ANY))
theorem.instances("u u_x", run=of(self_advected), quick=30)(at(1, ANY))
theorem.instances("Burgers", run=of(viscous_burgers), quick=10)(at(2, ANY))
theorem.instances("u_xx", run=of(second_derivative), quick=10)(at(1, ANY))
theorem.instances("u_t - u_xx", run=of(heat_equation, HeatRun), quick=30)(at(2, ANY))
NONLINEAR = ("u^2", "u u_x", "Burgers")


@theorem.instances("widths, u u_x", run=of(self_advected), quick=260)
def widths(draw):
    return Instance(data={"interior": [[0.5]]}, width=2 ** draw(st.sampled_from(WIDE)))


@theorem.instances("points", run=AlgebraRun, quick=20)
def points(draw):
    return Instance(parameters={"point": draw(st.integers(-16, 16)) / 8})


# ---- the exact form -----------------------------------------------------------------------------------------------

rest = theorem.quantity("rest", lambda run: run.rest)


def rounding(run):
    """Lanczos' relative tolerance 1e-10, and eigenvalues of M K_Phi."""
    return 4e-10 * (run.norm + run.radius)


@theorem.conclusion(
    "| ||H_r|| - rho(M K_Phi) | <= sum_i |d_iR| ||H_Phi_i||, at any width",
    holds=always,
    bound=rest,
    on=NONLINEAR,
    error=rounding,
)
def apart(run):
    return abs(run.norm - run.radius)


LINEAR = {"of": lambda run: run.norm, "holds": always, "on": "u_t - u_xx"}
theorem.lemma(
    "linear R, u_t - u_xx: ||H_r|| <= sum_i |d_iR| ||H_Phi_i||",
    bound=theorem.quantity("sum_of_terms", lambda run: run.terms.sum()),
    **LINEAR,
)
theorem.control(
    "linear R, u_t - u_xx: ||H_r|| <= max_i |d_iR| ||H_Phi_i||",
    bound=theorem.quantity("largest_term", lambda run: run.terms.max()),
    **LINEAR,
)


@theorem.lemma(
    "u u_x: rho(M K) = |k_01| + sqrt(k_00 k_11)", holds=identity, on="u u_x", error=lambda run: 2.0**-40 * run.radius
)
def closed_form(run):
    k = run.plain.start.sum_kernel
    return run.radius, abs(k[0, 1]) + np.sqrt(k[0, 0] * k[1, 1])


@theorem.lemma("u^2: rho(M K) = 2 Theta", holds=identity, on="u^2", error=lambda run: 2.0**-40 * run.radius)
def closed_form_of_square(run):
    return run.radius, 2 * run.plain.start.sum_kernel[0, 0]


@theorem.lemma(
    "u u_x: the third eigenvalue, and all but one of either sign, are at most sum_i |d_iR| ||H_Phi_i|| in modulus",
    holds=always,
    bound=rest,
    on="u u_x",
    error=rounding,
)
def low_rank(run):
    """The second largest and the second least eigenvalue."""
    values = np.linalg.eigvalsh(run.own_hessian.dense())
    return np.array([values[-2], -values[1]])


# ---- the limit ----------------------------------------------------------------------------------------------------


@theorem.conclusion(
    "u u_x: | ||H_r||/limit - 1 | shrinks like m^(-1/2)", holds=scales_as(-0.5, tolerance=0.25), on="widths, u u_x"
)
def converges(run):
    return abs(run.norm / run.limit - 1)


@theorem.control("u u_x: ||H_r|| shrinks like m^(-1/2)", holds=scales_as(-0.5, tolerance=0.1), on="widths, u u_x")
def vanishes(run):
    return run.norm


# ---- what the paper prints ----------------------------------------------------------------------------------------

x, y, z = sympy.symbols("x u v", real=True)


def sums_of(name):
    """phi, phi_x and phi_xx of one neuron with weights u and v."""
    sigma = get_activation(name)
    return [y**i * sigma(y * x + z, i) for i in range(3)]


@theorem.conclusion("tanh, sin, erf: the printed w is 0, as (u, v) -> (-u, -v) turns phi_i into -phi_i", holds=identity)
def printed_is_zero():
    features = [f for name in ("tanh", "sin", "erf") for f in sums_of(name)]
    mirrored = [f.subs({y: -y, z: -z}, simultaneous=True) for f in features]
    return sympy.Matrix(mirrored), -sympy.Matrix(features)


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def printed(run, name):
    """w^T M w for u u_x, twice E[phi] E[phi_x], by Gauss-Hermite quadrature."""
    evaluate = [sympy.lambdify((x, y, z), f, "numpy") for f in sums_of(name)[:2]]
    values = [f(float(run.plain.point), NODES[:, None], NODES[None, :]) for f in evaluate]
    means = [WEIGHTS @ v @ WEIGHTS for v in values]
    return 2 * means[0] * means[1]


@theorem.lemma(
    "cos, u u_x: w^T M w = -2 x exp(-(1 + x^2)), negative for x > 0",
    holds=identity,
    on="points",
    error=lambda run: 1e-12,
)
def negative(run):
    return printed(run, "cos"), -2 * run.point * np.exp(-(1 + run.point**2))


@theorem.control(
    "tanh, u u_x: the printed w^T M w is at least 1/1000",
    holds=always,
    bound=Rational(1, 1000),
    from_below=True,
    on="points",
    error=lambda run: 1e-12,
)
def informative(run):
    return printed(run, "tanh")


# ---- density ------------------------------------------------------------------------------------------------------


def share_of_nonzeros(run):
    dense = run.own_hessian.dense()
    return np.count_nonzero(dense) / dense.size


@theorem.lemma(
    "u u_x: the share of nonzeros is 15/16 at least: all but those of two output biases",
    holds=always,
    bound=Rational(15, 16),
    from_below=True,
    on="u u_x",
    attained=True,
)
def dense(run):
    return share_of_nonzeros(run)


@theorem.lemma(
    "u_xx: the share of nonzeros is at most 1/(2m)",
    holds=always,
    bound=1 / (2 * sympy.Symbol("m", positive=True)),
    on="u_xx",
    attained=True,
)
def sparse(run):
    return share_of_nonzeros(run)
