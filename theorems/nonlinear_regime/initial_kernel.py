r"""At the start the sums Phi[u] are Gaussian fields and their kernel K_Phi is deterministic, up to m^(-1/2).

Network     u(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j) + c, every weight standard normal
Fields      Phi[u](0): given the inner weights exactly Gaussian, at every width, with the Gram matrix of d Phi/d(a, c)
            as covariance, whose mean is Sigma_ab(x, x') = d_x^a d_x'^b S(x, x'), S = E[sigma sigma'] + 1
Kernel      K_Phi(0) -> d_x^a d_x'^b Theta(x, x'),  Theta = E[sigma sigma'] + (1 + x.x') E[sigma' sigma''] + 1
Rates       ||K_Phi(0) - limit|| and, for linear R, ||K(0) - limit|| of the order of m^(-1/2); not for nonlinear R
Scaling     alpha u: a residual R homogeneous of degree q has alpha^(2q) K(0), whatever alpha; R = u + u^2 has
            K(0)/alpha^2 -> Theta at the rate alpha = m^(-1/2), the scaling 1/m of the output

Proposition C.1, Lemma C.2 and Proposition B.3(a) of arXiv 2402.03864. The covariance is that of every width and needs
no limit: only the shape of the law does. How fast that becomes Gaussian is not claimed: 4096 networks exclude distances
above 0.07 or so and hide smaller ones. A scaling m^(-s) of the output with s > 1/2 makes the kernel deterministic where
R'(0) is not 0, and leaves its law as it is where R is homogeneous, such as u u_x.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from scipy import stats
from sympy import Rational

from ntkverify import Source, Theorem, identity, in_law_of, scales_as
from ntkverify.instances import generator
from ntkverify.problems.nonlinear.batch import batch
from ntkverify.problems.nonlinear.equations import second_derivative, self_advected
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.symbolic.network.neuron import Block
from ntkverify.symbolic.network.operators import Operator, unknown
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "The field and the kernel of the sums at initialisation",
    source=Source(arxiv="2402.03864", version=3, where="Propositions B.3(a), C.1, Lemma C.2", provenance="derived"),
    statement=r"""
        $\Phi[u_{\theta(0)}] \to GP(0, \Sigma)$ in law, $K_\Phi(0) \to \bar K_\Phi$ in probability,
        $\Sigma_{ab} = \partial_x^a\partial_{x'}^b S$, $\bar K_{\Phi,ab} = \partial_x^a\partial_{x'}^b\Theta$.
    """,
)
theorem.erratum("Proposition C.1 leaves the output bias out: Sigma_00 and the kernel of u gain 1.")
theorem.erratum("The proof's constant tau = max E|y|^i should be a root of E[y^(2i)] = (2i - 1)!!.")
theorem.erratum("A network has (d_in + 1 + d_out) m + d_out parameters, not 4m.")

# ---- instances ----------------------------------------------------------------------------------------------------


def to_second_order(points):
    """u u_x + u_xx^2, for its three sums."""
    u, (x_0,) = unknown("u", points), points
    return Operator.from_expression(u * u.diff(x_0) + u.diff(x_0, 2) ** 2, [u], points)


def with_linear_part(points):
    """u + u^2, whose derivative at 0 is 1."""
    u = unknown("u", points)
    return Operator.from_expression(u + u**2, [u], points)


def rung(draw):
    data = {"interior": [[0.3], [-0.7]], "boundary": [[1.0]]}
    return Instance(data=data, width=2 ** draw(st.sampled_from([3, 4, 10, 11])))


def sine(equation, **options):
    return full_network(equation, activation="sin", loss="sum", **options)


theorem.instances("widths, u_xx", run=sine(second_derivative), quick=120)(rung)
theorem.instances("widths, u u_x", run=sine(self_advected), quick=200)(rung)
theorem.instances("widths, u + u^2", run=sine(with_linear_part), quick=170)(rung)


class Scaled(FullNetworkRun):
    """A network and the one with the whole output."""

    @property
    def whole(self):
        """The same weights, with output scale 1."""
        return sine(self_advected, boundary=False)(self.instance, self.theorem, backend=self.backend)


@theorem.instances(
    "u u_x, a quarter", run=sine(self_advected, boundary=False, kind=Scaled, output_scale=Rational(1, 4)), quick=10
)
def quarter(draw):
    return Instance(data={"interior": generator(draw).uniform(-1, 1, (2, 1))}, width=2 ** draw(st.integers(2, 8)))


@theorem.instances("two points", run=sine(to_second_order, boundary=False), quick=4)
def two_points(draw):
    return Instance(data={"interior": generator(draw).uniform(-1, 1, (2, 1))}, width=1)


def networks(width):
    """4096 networks of that width, at one point."""
    return lambda: Instance(data={"interior": [[0.4]]}, width=width, parameters={"networks": 4096})


FIELD = batch(self_advected, activation="sin", boundary=False)
theorem.instances("1 neuron", run=FIELD, quick=1)(networks(1))
theorem.instances("256 neurons", run=FIELD, quick=1)(networks(256))

# ---- the field: u_x at the point ----------------------------------------------------------------------------

field, variance = sympy.symbols("field variance", real=True)


def feature_of(run):
    """What a neuron adds to u_x."""
    return run.neuron.block("interior").features[1]


def given_inner_weights(run):
    """The field over its deviation given the inner weights."""
    feature = feature_of(run)
    square = sum(sympy.diff(feature, w) ** 2 for w in run.neuron.weights if str(w) in "ac")
    scaled = field / sympy.sqrt(variance / sympy.sqrt(sympy.Integer(run.instance.width)))
    return run.of_block("given the inner weights", Block("field", (feature, square), (field, variance), scaled))


def over_deviation(run):
    """The field over the root of Sigma."""
    values = run.of_block("field", Block("field", (feature_of(run),), (field,), field))
    return values / np.sqrt(run.number(float(run.limit_sum_covariance[1, 1])))


def standard():
    return in_law_of(lambda run: stats.norm.cdf, within=0, resolution=0.08, name="N(0, 1)")


for width in ("1 neuron", "256 neurons"):
    title = f"{width}: given the inner weights, the field is exactly Gaussian"
    theorem.conclusion(title, holds=standard(), on=width)(given_inner_weights)

theorem.conclusion(
    "256 neurons: the field over the root of Sigma is Gaussian, to within what 4096 networks show",
    holds=standard(),
    on="256 neurons",
)(over_deviation)
theorem.control("1 neuron: the field over the root of Sigma is Gaussian", holds=standard(), on="1 neuron")(
    over_deviation
)

# ---- the kernels: closed forms for the sine -------------------------------------------------------------------------

x, y = sympy.symbols("x y", real=True)
minus, plus = sympy.exp(-((x - y) ** 2) / 2), sympy.exp(-((x + y) ** 2) / 2 - 2)
S = (minus - plus) / 2 + 1
THETA = S + (1 + x * y) * (minus + plus) / 2


def derivatives(expression, points):
    """d_x^a d_y^b, a and b up to 2, at all pairs of points; rows are ordered by a, then point."""
    table = [[sympy.lambdify((x, y), sympy.diff(expression, x, a, y, b)) for b in range(3)] for a in range(3)]
    return np.block([[f(points[:, None], points[None, :]) for f in row] for row in table])


def rounding(run):
    """Closed forms of polynomials of degree at most 6 in numbers below 8, times exponentials."""
    return 2.0**-34


def points_of(run):
    return run.instance.array("interior")[:, 0]


@theorem.lemma("Sigma = d^a d^b S up to two derivatives", holds=identity, on="two points", error=rounding)
def covariance(run):
    return run.limit_sum_covariance, derivatives(S, points_of(run))


@theorem.lemma("the limit of K_Phi is d^a d^b Theta", holds=identity, on="two points", error=rounding)
def kernel_of_sums(run):
    return run.limit_sum_kernel, derivatives(THETA, points_of(run))


@theorem.control("as printed: Sigma without the output bias", holds=identity, on="two points", error=rounding)
def without_bias(run):
    return run.limit_sum_covariance, derivatives(S - 1, points_of(run))


# ---- rates --------------------------------------------------------------------------------------------------------


@theorem.conclusion(
    "||K_Phi(0) - limit||_F shrinks like m^(-1/2)", holds=scales_as(-0.5, tolerance=0.2), on="widths, u u_x"
)
def sums_converge(run):
    return np.linalg.norm(run.start.sum_kernel - run.limit_sum_kernel)


def far_from_limit(run):
    """||K(0) - limit||_F of a linear residual."""
    slopes = run.start.slopes
    return np.linalg.norm(run.start.kernel - slopes @ run.limit_sum_kernel @ slopes.T)


theorem.conclusion(
    "linear R: ||K(0) - limit||_F shrinks like m^(-1/2)", holds=scales_as(-0.5, tolerance=0.25), on="widths, u_xx"
)(far_from_limit)


@theorem.control(
    "u u_x: |K(0)/E[K(0)] - 1| shrinks like m^(-1/2) at a point",
    holds=scales_as(-0.5, tolerance=0.1),
    on="widths, u u_x",
)
def concentrates(run):
    """E[K(0)] by Isserlis' formula for the slopes (u_x, u); the point's sums are u and u_x."""
    point = np.ix_([0, 2], [0, 2])
    k, covariance = run.limit_sum_kernel[point], run.limit_sum_covariance[point]
    mean = k[0, 0] * covariance[1, 1] + 2 * k[0, 1] * covariance[0, 1] + k[1, 1] * covariance[0, 0]
    return abs(run.start.kernel[0, 0] / mean - 1)


# ---- the output scaled --------------------------------------------------------------------------------------------


@theorem.lemma(
    "u + u^2 scaled by alpha = m^(-1/2): ||K(0)/alpha^2 - Theta||_F shrinks like m^(-1/2)",
    holds=scales_as(-0.5, tolerance=0.2),
    on="widths, u + u^2",
)
def scaled_down(run):
    """The slope 1 + 2 alpha u, from that of alpha = 1."""
    still = np.eye(len(run.start.slopes))
    slopes = still + (run.start.slopes - still) / np.sqrt(run.m)
    return np.linalg.norm(slopes @ run.start.sum_kernel @ slopes.T - run.limit_sum_kernel)


@theorem.lemma(
    "u u_x scaled by 1/4 has 1/256 of the kernel",
    holds=identity,
    on="u u_x, a quarter",
    error=lambda run: 2.0**-40 * np.trace(run.whole.start.kernel),
)
def homogeneous(run):
    return run.start.kernel, run.whole.start.kernel / run.number(256)


@theorem.control(
    "u + u^2 as it is: ||K(0) - Theta||_F shrinks like m^(-1/2)",
    holds=scales_as(-0.5, tolerance=0.1),
    on="widths, u + u^2",
)
def not_scaled_down(run):
    return np.linalg.norm(run.start.kernel - run.limit_sum_kernel)
