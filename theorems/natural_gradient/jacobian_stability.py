r"""The Jacobian of a wide physics-informed network moves little while every neuron stays near its start.

Network     u(x) = m^(-1/2) sum_r a_r sigma(w_r . (x, 1)),  w_r(0) ~ N(0, I), a_r = +-1 fair and frozen
Residuals   ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2))
Guarantee   ||J(w) - J(0)|| <= C_J B^2 sqrt(R) for sigma = ReLU^3, and <= C_D R for smooth sigma  (upper)
Hypotheses  |w_r - w_r(0)| <= R <= 1 for every neuron, max(2, |w_r|) <= B; no more neurons near a sign change than twice
            their expected share

Lemma 4.6 of arXiv 2408.00573, with the constants derived. The radius is per neuron: a ball in all weights together
would allow one neuron to move far. The exponents are reached, which is checked with moves against the first sample:
for ReLU^3 each neuron within R of its hyperplane is carried across, which switches its third derivative; for a smooth
activation every neuron moves by R towards it. C is of the order of the number D of a neuron's weights, by the moments
of |w|^4 and Markov's inequality.
"""

import math

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Interval, Rational, cos, pi, sin, sqrt

from ntkverify import Instance, Source, Theorem, always, identity, with_probability
from ntkverify.glossary import delta
from ntkverify.instances import CORNER, space_time_points
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.neuron_bounds import interior_gradient, neuron_sizes, relu_cubed_interior, rho
from ntkverify.lemmas.premises import PINN_POINTS
from ntkverify.lemmas.suprema import Suprema
from ntkverify.problems.jacobians import PerturbedRun, perturbed
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Stability of the Jacobian of physics-informed networks",
    source=Source(arxiv="2408.00573", version=4, where="Lemma 4.6", provenance="derived"),
    statement=r"""
        If $\|w_r-w_r(0)\| \le R \le 1$ for every $r$: $\|J(w)-J(0)\|_F \le C_J B^2\sqrt{R}$ for ReLU$^3$ with
        probability at least $1-\delta$, and $\|J(w)-J(0)\|_F \le C_D R$, $C_D = O(D)$, for smooth activations with the
        same probability.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

R, B, b, near, D = sympy.symbols("R B b near D", positive=True)  # D: number of weights of a neuron
flips = Flips(theorem)
K = theorem.constant("K", relu_cubed_interior(), "|psi(w)| <= K |w|^2")
# psi is a quadratic form in w on each side of its hyperplane: 2 K B R while the sign stays, K B^2 where it changes;
# chi = 3 z_+^2 y has no jump: its slope is at most that of 3 z^2 rho at |z| = rho B
boundary_slope = theorem.constant(
    "boundary_slope",
    derived(sympy.diff(3 * B**2 * rho**2, B) * rho, "slope of 3 z^2 |y| in w at |z| = rho B"),
    "|chi(w) - chi(w')| <= boundary_slope |w - w'|",
)
FROBENIUS = sqrt(K**2 * B**4 * near + 4 * K**2 * B**2 * R**2 + boundary_slope**2 * R**2)
C_J = theorem.constant(
    "C_J",
    derived(
        (FROBENIUS / B**2).subs(near, 2 * flips.kappa * R).subs(boundary_slope, 6 * rho**3 * B).subs({R: 1, B: 2}),
        "||J(w) - J(0)||_F / (B^2 sqrt R) increases in R and falls in B: R = 1, B = 2",
    ),
    "||J(w) - J(0)|| <= C_J B^2 sqrt(R)",
)
sup = Suprema(theorem, "tanh", (2, 3, 4))
s_2, s_3, s_4 = sup.at(2, 3, 4)
# psi = sigma''(z) w_0 x + sigma'(z) e_0 - sigma^(3)(z) |w_1|^2 x - 2 sigma''(z) w_1, each term differentiated, |w| <= b
SLOPE = s_4 * rho**2 * b**2 + s_3 * (rho**2 + 4 * rho) * b + s_2 * (2 * rho + 2)
square = sympy.Poly(sympy.expand(SLOPE**2), b)
# the mean of SLOPE^2 over the neurons, in the moments of b_r = |w_r(0)| + R
MEAN_SLOPE = sum(
    coefficient * theorem.quantity(f"b_{power}", lambda run, power=power: (run.sizes**power).mean())
    for (power,), coefficient in square.terms()
)
# the same in expectation, with R <= 1 and E|w|^k <= (D (D + 2))^(k/4) for k <= 4; Markov's inequality
size_4 = sympy.Symbol("size_4", positive=True)  # (D (D + 2))^(1/4)
EXPECTED = sympy.expand(sum(c * (1 + size_4) ** power for (power,), c in square.terms()))
C_D = theorem.constant(
    "C_D",
    derived(
        sqrt(EXPECTED.subs(size_4, (D * (D + 2)) ** Rational(1, 4)) / delta + (s_2 * rho**2) ** 2), "moments of |w|"
    ),
    "||J(w) - J(0)||_F <= C_D R with probability 1 - delta",
)

theorem.declare(data=PINN_POINTS)

# ---- instances ----------------------------------------------------------------------------------------------------


def instance(draw, *, width, radius, space=1, **parameters):
    points = space_time_points(draw, draw(st.integers(1, 2)), draw(st.integers(1, 2)), space)
    return Instance(data=points, parameters={"R": radius, **parameters}, width=width)


@theorem.instances("ReLU^3", run=perturbed("relu3"), quick=10)
def relu_cubed(draw):
    return instance(draw, width=10**5, radius=draw(st.sampled_from([0.02, 0.05, 0.1])))


@theorem.instances("corner sample", run=perturbed("relu3"), quick=1)
def corner():
    """Where |psi| comes closest to its bound: 0.507 of it."""
    return Instance(data=CORNER, parameters={"R": 0.05}, width=10**5)


@theorem.instances("tanh", run=perturbed("tanh"), quick=24)
def smooth(draw):
    radius, space = draw(st.sampled_from([0.003, 0.01, 0.03, 0.1])), draw(st.integers(1, 3))
    return instance(draw, width=2000, radius=radius, space=space, delta=0.1)


@theorem.instances("flip lemma's own width", run=perturbed("relu3"), quick=200)
def flip_width(draw):
    share, radius = Rational(1, 10), Rational(1, 20)
    return instance(draw, width=flips.width(2, radius, share), radius=float(radius), delta=float(share))


# ---- the constants are reached; how many neurons are near a sign change ----------------------------------------------

flips.density(R)
sup.reached()
share, HALF_LINE = sympy.Symbol("share", positive=True), sympy.Interval.open(0, sympy.oo)  # of w that w' is shorter by


@theorem.lemma(
    "|chi(w) - chi(w')| <= boundary_slope |w - w'|, radially at |w| = B",
    holds=always,
    bound=boundary_slope,
    over={rho: HALF_LINE, B: HALF_LINE, share: sympy.Interval.Lopen(0, 1)},
)
def boundary_slope_reached():
    chi = [3 * z**2 * rho for z in (rho * B, rho * B * (1 - share))]
    return (chi[0] - chi[1]) / (share * B)


w, x = sympy.symbols("w_0:3"), (*sympy.symbols("x_0 x_1", real=True), 1)
turn, roll = sympy.symbols("turn roll", real=True)
UNIT = dict(zip(w, (cos(turn), sin(turn) * cos(roll), sin(turn) * sin(roll)), strict=True))  # psi is homogeneous in w


@theorem.lemma(
    "|psi(w)|^2 <= K^2 for every w of length 1 and every sample of the unit square, one space dimension",
    holds=always,
    bound=theorem.expand(K).subs(rho, sqrt(x[0] ** 2 + x[1] ** 2 + 1)) ** 2,
    over={turn: Interval(0, pi), roll: Interval(0, 2 * pi), x[0]: Interval(0, 1), x[1]: Interval(0, 1)},
)
def interior_bounded():
    return sum(part**2 for part in interior_gradient(w, x)).subs(UNIT)


flips.few(
    "flips: at most twice the expected share of neurons is within R of a sign change, at the lemma's own width",
    of="near",
    radius=R,
    half="flips: at most half of the expected share",
    on="flip lemma's own width",
    uses="P(|g| <= R)",
)


@theorem.lemma(
    "|psi(w)| <= K |w|^2, every neuron of 1e5",
    holds=always,
    bound=K,
    on=("ReLU^3", "corner sample"),
    uses="interior_bounded",
)
def one_neuron(run):
    interior = run.start[: run.n_1] * math.sqrt(run.m * run.n_1)
    return (np.linalg.norm(interior, axis=2) / neuron_sizes(run)).max()


# ---- conclusions: ReLU^3 ------------------------------------------------------------------------------------------


def moved(run):
    """Frobenius norms of J(w) - J(0): neurons carried across the first sample's hyperplane; all moved towards it."""
    return np.array([np.linalg.norm(run.change(w)) for w in (run.across(run.R), run.towards(run.R))])


MOVED = {"of": moved, "holds": always}
# two moves stand for all within R: both go for the first sample, one by what switches, the other by what grows
FORM = "ReLU^3, two moves: ||J(w) - J(0)||_F^2 <= K^2 B^4 (near + 4 R^2/B^2) + (6 rho^3 B R)^2"
theorem.lemma(FORM, bound=FROBENIUS, on="ReLU^3", **MOVED)
theorem.conclusion(
    "ReLU^3, two moves: ||J(w) - J(0)|| <= C_J B^2 sqrt(R) while at most twice the expected share is near a jump",
    bound=C_J * B**2 * sqrt(R),
    on="ReLU^3",
    given=lambda run: run.near <= 2 * run.kappa * run.R,
    uses=("flips:", FORM),
    **MOVED,
)


def exponent_off(exponent, perturb):
    """How far the exponent of ||J(w) - J(0)||_2 between R/4 and R is off a given one."""

    def size(run, radius):
        rows = run.change(perturb(run, radius)).reshape(run.n, -1)
        return math.sqrt(np.linalg.eigvalsh(rows @ rows.T)[-1])

    return lambda run: abs(math.log(size(run, run.R) / size(run, run.R / 4)) / math.log(4) - exponent)


# the share near a hyperplane is a binomial count: hundreds of neurons, a few per cent of noise
MOSTLY = {"holds": with_probability(Rational(9, 10)), "bound": Rational(1, 10)}
across, towards = PerturbedRun.across, PerturbedRun.towards
theorem.conclusion(
    "ReLU^3: the exponent 1/2 is reached up to 1/5 when neurons are carried across",
    of=exponent_off(1 / 2, across),
    on="ReLU^3",
    uses="ReLU^3, two moves: ||J(w) - J(0)|| <=",
    **MOSTLY | {"bound": Rational(1, 5)},
)
theorem.control("ReLU^3: the exponent is 1", of=exponent_off(1, across), on="ReLU^3", **MOSTLY)

# ---- conclusions: smooth ------------------------------------------------------------------------------------------

theorem.conclusion(
    "tanh, two moves: ||J(w) - J(0)||_F <= R times the root mean square slope",
    bound=R * sqrt(MEAN_SLOPE + (s_2 * rho**2) ** 2),
    on="tanh",
    **MOVED,
)
theorem.control(
    "tanh, two moves: ||J(w) - J(0)||_F <= R sup|tanh''|/8, which forgets the weights and the points",
    bound=R * s_2 / 8,
    on="tanh",
    **MOVED,
)
theorem.conclusion(
    "tanh, two moves: ||J(w) - J(0)||_F <= C_D R, C_D of the order of the number of weights of a neuron",
    of=lambda run: moved(run).max(),
    holds=with_probability(1 - delta),
    bound=C_D * R,
    on="tanh",
    uses=("dimension_growth", "tanh, two moves: ||J(w) - J(0)||_F <= R times"),
)


@theorem.lemma("C_D grows like D: C_D^2/(D (D + 2)) tends to (s_4 rho^2)^2/delta", holds=identity)
def dimension_growth():
    a, share = sympy.symbols("a share", positive=True)  # s_4 and delta
    leading = sympy.Poly(EXPECTED, size_4).coeff_monomial(size_4**4).subs(s_4, a) / share
    return sympy.simplify(leading - (a * rho**2) ** 2 / share), sympy.S.Zero


theorem.conclusion(
    "tanh: the exponent 1 is reached up to 1/10",
    of=exponent_off(1, towards),
    on="tanh",
    uses="tanh, two moves: ||J(w) - J(0)||_F <= R times",
    **MOSTLY,
)
theorem.control("tanh: the exponent is 1/2", of=exponent_off(1 / 2, towards), on="tanh", **MOSTLY)
