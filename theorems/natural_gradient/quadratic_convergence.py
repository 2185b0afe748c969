r"""Natural gradient descent with step 1 converges quadratically for a smooth activation.

Network     u(x) = m^(-1/2) sum_r a_r tanh(w_r . (x, 1)),  w_r(0) ~ N(0, I), a_r = +-1 fair and frozen
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2))
Method      w(k+1) = w(k) - J^T (J J^T)^(-1) r(k)
Guarantee   ||r(k+1)|| <= C_L B^2 ||r(k)||^2 / (2 sqrt(m) lambda_min(H(k)))  (upper)
Hypotheses  |w_r| <= B on the step, B >= 1

Corollary 4.9 of arXiv 2408.00573 has, according to a reading note, C B^4/sqrt(m lambda_0^3) in place of this constant;
C = sqrt(2) C_L C_g is what bounding each neuron's block of the Jacobian by itself gives (reconstructed). Summing the
blocks in l^2 instead costs neither C_g nor the larger powers. Both bounds come from the triangle inequality over the
neurons, and m^(-1/2) is attained only where nothing cancels: softplus with all signs +1. Random signs, or an odd
activation whatever its signs, leave a sum of m terms of mean zero, and the remainder is of the order of 1/m.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, always, scales_as, with_probability
from ntkverify.glossary import lambda_0, m, residual
from ntkverify.instances import generator, space_time_points
from ntkverify.lemmas.neuron_bounds import block_bound, block_curvature, block_slope
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.first_step import first_step
from ntkverify.problems.pinn import pinn
from ntkverify.symbolic.constants.chain import derived
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.symbolic.network.suprema import in_radicals
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Quadratic convergence of natural gradient descent with step 1, smooth activation",
    source=Source(arxiv="2408.00573", version=4, where="Corollary 4.9", provenance="derived"),
    statement=r"""
        Let $\eta = 1$ and $1 \le |w_r| \le B$ bound the weights on the step. Then
        $\|r(k+1)\| \le \frac{C_L B^2}{2\sqrt{m}\,\lambda_{\min}(H(k))}\|r(k)\|^2$, and in the form of the note
        $\|r(k+1)\| \le \frac{\sqrt2 C_L C_g B^4}{\sqrt{m\lambda_0^3}}\|r(k)\|^2$ if
        $\lambda_{\min}(H(k)) \ge \lambda_0/2$.
    """,
)
# ---- constants: suprema of the activation's derivatives ----------------------------------------------------------

rho, B = sympy.symbols("rho B", positive=True)  # largest |(x, 1)|; max(1, largest |w_r| on the step)
tanh = get_activation("tanh")

s_1, s_2, s_3, s_4, s_5 = (
    theorem.constant(
        f"s_{order}", derived(in_radicals(tanh.supremum(order).value), "critical points"), f"sup |tanh^({order})|"
    )
    for order in (1, 2, 3, 4, 5)
)
C_g = theorem.constant(
    "C_g",
    derived(block_bound(s_1, s_2, s_3, rho), "triangle inequality, term by term"),
    "||J_r||_F <= C_g B^2/sqrt(m)",
)
C_L = theorem.constant(
    "C_L",
    derived(block_slope(s_2, s_3, s_4, rho), "each term of psi and chi differentiated in w"),
    "||J_r(w) - J_r(w')||_F <= C_L B^2 |w_r - w'_r|/sqrt(m)",
)
C_T = theorem.constant(
    "C_T",
    derived(block_curvature(s_3, s_4, s_5, rho), "each term of psi and chi differentiated twice in w"),
    "||D^2 J_r|| <= C_T B^2/sqrt(m)",
)

ULP = np.finfo(float).eps


@theorem.assumption("step 1")
def unit_step(run):
    return -abs(run.eta - 1)


# ---- instances: r(0) is given, the targets follow -----------------------------------------------------------------

POINTS = space_time_points(lambda strategy: 0, 2, 2, 1)


def instance(draw, *, points, size, width, steps):
    rng = generator(draw)
    direction = rng.standard_normal(4)
    direction *= size / np.linalg.norm(direction)
    # the blocks' scale is 1/sqrt(2): r(0) has the norm `size`
    data = {**points, "source": direction[:2] * np.sqrt(2), "values": direction[2:] * np.sqrt(2)}
    return Instance(data=data, parameters={"size": size}, width=width, step=1.0, steps=steps)


RUN = pinn(activation="tanh", method="natural gradient", relative=True)


@theorem.instances("training", run=RUN, quick=20)
def training(draw):
    # few sets of points: the limit Gram matrix of each is an integral
    points = space_time_points(lambda strategy: draw(st.integers(0, 3)), 2, 2, 1)
    size = draw(st.sampled_from([0.01, 0.1, 0.5]))
    return instance(draw, points=points, size=size, width=2 ** draw(st.integers(9, 13)), steps=5)


def rung(draw):
    return instance(draw, points=POINTS, size=0.002, width=2 ** draw(st.sampled_from([6, 7, 12, 13])), steps=1)


@theorem.instances("widths, tanh", run=first_step(activation="tanh"), quick=460)
def odd_ladder(draw):
    return rung(draw)


@theorem.instances("widths, softplus", run=first_step(activation="softplus"), quick=460)
def signed_ladder(draw):
    return rung(draw)


@theorem.instances(
    "widths, softplus, all signs +1", run=first_step(activation="softplus", random_signs=False), quick=300
)
def unsigned_ladder(draw):
    return rung(draw)


@theorem.instances("sizes, tanh", run=first_step(activation="tanh"), quick=80)
def sizes(draw):
    """Widths at which the remainder is far above its rounding."""
    size = draw(st.sampled_from([0.01, 0.05, 0.2, 0.5]))
    return instance(draw, points=POINTS, size=size, width=2 ** draw(st.integers(6, 9)), steps=1)


@theorem.instances("corner sample", run=first_step(activation="tanh"), quick=1)
def corner():
    """Where |(psi, chi)| comes closest to its bound: 0.586 of it, at |w| = 1 near the space axis."""
    data = {"interior": [[1.0, 0.0]], "boundary": [[1.0, 0.0]], "source": [0.0], "values": [0.0]}
    return Instance(data=data, width=2**15, step=1.0, steps=1)


@theorem.instances("one run", run=AlgebraRun, quick=1)
def one_run():
    return Instance()


# ---- the suprema are reached --------------------------------------------------------------------------------------


def peak(order):
    """Largest |tanh^(order)| on a grid of spacing 1e-4 around the origin, off the supremum by at most its square."""
    z = np.linspace(-6, 6, 120001)
    return np.abs(sympy.lambdify(Z, tanh.derivative(order), "numpy")(z)).max()


for order, supremum in zip((1, 2, 3, 4, 5), (s_1, s_2, s_3, s_4, s_5), strict=True):

    @theorem.lemma(
        f"|tanh^({order})| <= s_{order}", holds=always, bound=supremum, assumes=(), on="one run", attained=True
    )
    def at_most_supremum(run, order=order):
        return peak(order)

    @theorem.lemma(
        f"s_{order} is reached, up to 1e-6",
        holds=always,
        bound=supremum * (1 - Rational(1, 10**6)),
        from_below=True,
        assumes=(),
        on="one run",
    )
    def supremum_reached(run, order=order):
        return peak(order)


# ---- one block ----------------------------------------------------------------------------------------------------

B_measured = theorem.quantity("B", lambda run: max(1.0, run.trajectory.weight_norm.max()))
least = theorem.quantity("least", lambda run: run.eigenvalues[:-1, 0])
length = theorem.quantity("length", lambda run: run.trajectory.lengths)


@theorem.lemma("||J_r||_F <= C_g max(1, |w_r|^2)/sqrt(m), every neuron", holds=always, bound=C_g, on="corner sample")
def neuron_bound(run):
    weights = run.weights
    blocks = np.sqrt(run.m * np.square(run.jacobian_at(weights)).sum(axis=(0, 2)))
    return (blocks / np.maximum(1.0, np.square(weights).sum(axis=1))).max()


@theorem.lemma("||J_r||_F <= C_g B^2/sqrt(m), every neuron", holds=always, bound=C_g * B**2 / sqrt(m), on="training")
def block_bound(run):
    return np.sqrt(np.square(run.jacobian_at(run.weights)).sum(axis=(0, 2)).max())


@theorem.lemma(
    "||J(theta+) - J(theta)|| <= C_L B^2 ||theta+ - theta||/sqrt(m)",
    holds=always,
    bound=C_L * B**2 * length / sqrt(m),
    on="training",
    error=lambda run: run.n * run.m * run.d * ULP * np.sqrt(run.eigenvalues[:-1, -1]),
)
def lipschitz(run):
    return run.trajectory.path_change


# ---- conclusions --------------------------------------------------------------------------------------------------


def recursion_error(run):
    """Rounding of both residuals, of the remainder's terms and of the step's solve."""
    errors = run.trajectory.residuals_error
    return np.linalg.norm(4 * (errors[1:] + errors[:-1]) + run.trajectory.linear_error, axis=1)


SHARPER = C_L * B**2 * residual**2 / (2 * sqrt(m) * least)
NOTED = sqrt(2) * C_L * C_g * B**4 * residual**2 / sqrt(m * lambda_0**3)


def above_rounding(run):
    """Steps whose bound is above the rounding error of what it bounds."""
    return run.evaluate(SHARPER) >= recursion_error(run)


def eigenvalue_kept(run):
    return above_rounding(run) & (run.eigenvalues[:-1, 0] >= run.lambda_0 / 2)


@theorem.conclusion(
    "||r(k+1)|| <= C_L B^2 ||r(k)||^2/(2 sqrt(m) lambda_min(H(k)))",
    holds=always,
    bound=SHARPER,
    on="training",
    given=above_rounding,
    error=recursion_error,
)
def sharper(run):
    return run.residuals[1:]


@theorem.conclusion(
    "the note's form: ||r(k+1)|| <= C B^4 ||r(k)||^2/sqrt(m lambda_0^3) while lambda_min(H(k)) >= lambda_0/2",
    holds=always,
    bound=NOTED,
    on="training",
    given=eigenvalue_kept,
    error=recursion_error,
)
def noted(run):
    return run.residuals[1:]


noted_bound = theorem.quantity("noted_bound", lambda run: run.evaluate(NOTED))


@theorem.lemma(
    "the sharper bound is never above the note's while lambda_min(H(k)) >= lambda_0/2",
    holds=always,
    bound=noted_bound,
    on="training",
    given=eigenvalue_kept,
)
def sharper_is_smaller(run):
    return run.evaluate(SHARPER)


def first_ratio(run):
    return run.first_step.whole / run.residual_0**2


@theorem.conclusion(
    "softplus, random signs: ||r(1)||/||r(0)||^2 shrinks like 1/m",
    holds=scales_as(-1, tolerance=0.15),
    on="widths, softplus",
)
def signed_exponent(run):
    return first_ratio(run)


@theorem.conclusion(
    "tanh, odd: ||r(1)||/||r(0)||^2 shrinks like 1/m", holds=scales_as(-1, tolerance=0.15), on="widths, tanh"
)
def odd_exponent(run):
    return first_ratio(run)


@theorem.conclusion(
    "softplus, all signs +1: nothing cancels, and the exponent -1/2 of the bounds is attained",
    holds=scales_as(Rational(-1, 2), tolerance=0.15),
    on="widths, softplus, all signs +1",
)
def unsigned_exponent(run):
    return first_ratio(run)


def quarter(run):
    """The first step's remainder from half the initial residual, over a quarter of the remainder from all of it."""
    return 4 * run.first_step.half / run.first_step.whole


cubes = theorem.quantity("cubes", lambda run: run.first_step.cubes)
reach = theorem.quantity("reach", lambda run: max(1.0, run.first_step.weight_norm))

THIRD_ORDER = C_T * reach**2 * cubes / (12 * sqrt(m))


def third_order_error(run):
    """Rounding of both remainders, the half one times four."""
    return 8 * run.first_step.rounding


@theorem.lemma(
    "third order: 4 ||r(1)|| from r(0)/2 is ||r(1)|| from r(0) up to C_T B^2 sum_r |w_r(1) - w_r(0)|^3/(12 sqrt(m))",
    holds=always,
    bound=THIRD_ORDER,
    on="sizes, tanh",
    error=third_order_error,
)
def third_order(run):
    return abs(4 * run.first_step.half - run.first_step.whole)


size = sympy.Symbol("size", positive=True)


@theorem.conclusion(
    "||r(1)|| is quadratic in ||r(0)||: halving the one quarters the other, up to 4 ||r(0)||",
    holds=with_probability(Rational(9, 10)),
    bound=4 * size,  # of the order that the third-order bound gives; 2.3 is the 0.9 quantile that was measured
    on="sizes, tanh",
    error=lambda run: 8 * run.first_step.rounding / run.first_step.whole,
)
def exponent_two(run):
    return abs(quarter(run) - 1)


floor = theorem.quantity("floor", lambda run: recursion_error(run)[-1] + run.residuals_error[-1])


def converges(run):
    """At most 0.1 at first, a tenth of it after one step, and five steps, which leave 1e-31 of it if quadratic."""
    # r(0) = 0.1 is drawn, and is the rounded difference of outputs of the size of 1
    return run.steps >= 5 and run.residuals[0] <= 0.1 * (1 + 1e-9) and run.residuals[1] <= run.residuals[0] / 10


@theorem.lemma(
    "rounding ends it: if ||r(0)|| <= 0.1 and ||r(1)|| <= ||r(0)||/10, then ||r(5)|| is down at the rounding",
    holds=always,
    bound=floor,
    on="training",
    given=converges,
)
def rounding_floor(run):
    return run.residuals[-1]


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "softplus, random signs: ||r(1)||/||r(0)||^2 shrinks like 1/sqrt(m)",
    holds=scales_as(Rational(-1, 2), tolerance=0.15),
    on="widths, softplus",
)
def triangle_exponent(run):
    return first_ratio(run)


@theorem.control(
    "softplus, all signs +1: ||r(1)||/||r(0)||^2 shrinks like 1/m",
    holds=scales_as(-1, tolerance=0.15),
    on="widths, softplus, all signs +1",
)
def unsigned_cancels(run):
    return first_ratio(run)


@theorem.control(
    "||r(1)|| is cubic in ||r(0)||: halving the one leaves an eighth of the other, up to 4 ||r(0)||",
    holds=with_probability(Rational(9, 10)),
    bound=4 * size,
    on="sizes, tanh",
)
def exponent_three(run):
    return abs(2 * quarter(run) - 1)


@theorem.control(
    "third order with a thousandth of its constant",
    holds=always,
    bound=THIRD_ORDER / 1000,
    on="sizes, tanh",
    error=third_order_error,
)
def third_order_too_small(run):
    return third_order(run)


@theorem.control(
    "the convergence goes on below rounding",
    holds=always,
    bound=SHARPER,
    on="training",
    error=lambda run: 0,
)
def below_rounding(run):
    return run.residuals[1:]
