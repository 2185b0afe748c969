r"""Natural gradient descent on a smooth physics-informed network, at the width that the theorem prescribes.

Network     u(x) = alpha m^(-1/2) sum_r a_r tanh(w_r . (x, 1)),  w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta J^T (J J^T)^(-1) r(k)
Guarantee   L(k) <= (1 - eta)^k L(0) for all k, with probability at least 1 - delta  (upper)
Hypotheses  0 < eta < 1;  lambda_min(H(0)) >= 3/4 lambda_0, which is of the order of alpha^2;
            m >= 8 alpha^2 C_L^2 B_2^2 ||r(0)||^2/(gamma^2 (1 - eta) lambda_0^2), B_2 the largest |w_r|^2 on the way

Theorem 4.7 of arXiv 2408.00573, smooth case, with a width derived here: the steps add up to
2 ||r(0)||/sqrt(lambda_0/2), and the blocks of the Jacobian change in l^2 by C_L B_2/sqrt(m) of it, so that lambda_0^-3
is not needed. C_g is, for B_2 alone: with the blocks themselves at most C_g B_2/sqrt(m), no neuron moves further than
sqrt(2) gamma C_g/C_L, a number, while the chain holds, step by step. For two samples and ||r(0)|| = 0.003 the width is
about 1e4 neurons, and run at alpha = 1; other data, residuals and delta are run with a scale that makes it 4096 or so.

The hypothesis on H(0) is one: the width falls with ||r(0)||^2, and nothing follows from two to four neurons but what
they are asked for (a control). It has a width of its own, Lemma 3.3's. A hundredth of the width would do as well: C_L
is a supremum over all weights, B_2 the largest neuron for all, and what neurons change adds up in the bound but
cancels in J.
"""

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Integer, Interval, Rational, Symbol, log, oo, sqrt

from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.glossary import d, delta, eta, k, lambda_0, loss_0, m, residual_0
from ntkverify.instances import families
from ntkverify.lemmas import premises
from ntkverify.lemmas.neuron_bounds import smooth_block, smooth_slope
from ntkverify.lemmas.stability import LipschitzJacobian, farthest
from ntkverify.lemmas.suprema import supremum
from ntkverify.problems.pinn import pinn
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Natural gradient descent at its prescribed width, smooth physics-informed network",
    source=Source(arxiv="2408.00573", version=4, where="Theorem 4.7, smooth case", provenance="derived"),
    statement=r"""
        If $0 < \eta < 1$, $m \ge 8\alpha^2 C_L^2 B_2^2\|r(0)\|^2/(\gamma^2(1-\eta)\lambda_0^2)$ and
        $\lambda_{\min}(H(0)) \ge \frac34\lambda_0$, then $L(k) \le (1-\eta)^k L(0)$ for all $k$, but for draws of
        probability at most $\delta$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

suprema = [supremum("tanh", order).expression for order in (1, 2, 3, 4)]
C_g = theorem.constant("C_g", smooth_block(*suprema[:3]), "||J_r(w)||_F <= alpha C_g B_2/sqrt(m)")
C_L = theorem.constant(
    "C_L", smooth_slope(*suprema[1:]), "||J_r(w) - J_r(w')||_F <= alpha C_L B_2 |w_r - w'_r|/sqrt(m)"
)
t, alpha = log(m / delta), Symbol("alpha", positive=True)
start = theorem.constant(
    "start",
    derived(d + 2 * sqrt(d * t) + 2 * t, "chi-square tail exp(-t) of Laurent and Massart, over m neurons"),
    "|w_r(0)|^2 <= start for all r with probability 1 - delta",
)
gamma = theorem.constant(
    "gamma",
    derived(Rational(1, 7), "below (sqrt 3 - sqrt 2)/2 and 1/(4 sqrt 2)"),
    "||J(w) - J(0)|| <= gamma sqrt((1 - eta) lambda_0) is allowed",
)
reach = theorem.constant(
    "reach",
    derived(sqrt(2) * gamma * C_g / C_L, "the longest way of a neuron at the prescribed width, as eta -> 0"),
    "|w_r(k) - w_r(0)| <= reach",
)
B_2 = theorem.constant("B_2", derived((sqrt(start) + reach) ** 2, "triangle inequality"), "|w_r(k)|^2 <= B_2")
path = theorem.constant(
    "path",
    derived(2 * residual_0 / sqrt(lambda_0 / 2), "geometric series: eta sum_k sqrt(1 - eta)^k <= 2"),
    "||w(k) - w(0)|| <= path",
)
ALLOWED = gamma * sqrt((1 - eta) * lambda_0)
width = theorem.constant(
    "width",
    derived((alpha * C_L * B_2 * path / ALLOWED) ** 2, "alpha C_L B_2 path/sqrt(m) below what is allowed"),
    "sufficient width; m is in B_2",
)
theorem.declare(rate=1, width=width, data=premises.PINN_DATA)
premises.step_below(theorem, "step below 1", Integer(1))


@theorem.assumption("prescribed width")
def wide_enough(run):
    return run.m - run.width


# ---- instances ----------------------------------------------------------------------------------------------------

RUN = pinn(activation="tanh", method="natural gradient", relative=True)
OWN, ANY, SMALL = "its own width", "any data, its own width", "residuals of 1e-4, its own width"
# two samples each, for every entry of H^inf is a quadrature; lambda_0 over a factor of several, one and two space dims
POINTS = [
    {"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]]},
    {"interior": [[0.9, 0.1]], "boundary": [[0.0, 0.2]]},
    {"interior": [[0.2, 0.3, 0.6]], "boundary": [[0.0, 1.0, 0.5]]},
]


def at_own_width(draw, points, targets, **parameters):
    """Steps until the bound is a hundredth of L(0); the prescribed width has the logarithm of the instance's own."""
    step = draw(st.sampled_from([0.3, 0.5]))
    steps = math.ceil(math.log(1e-2) / math.log(1 - step))
    found = Instance(data={**points, **targets}, parameters=parameters, width=4096, step=step, steps=steps)
    return families.own_width(lambda draw, width: replace(found, width=width), own)(draw)


def own(found):
    return RUN(found, theorem).width


def two_samples(distance):
    """Targets at this distance from the initial outputs."""

    def build(draw):
        angle = draw(st.integers(0, 7)) * math.pi / 4
        targets = {"source": [distance * math.cos(angle)], "values": [distance * math.sin(angle)]}
        return at_own_width(draw, POINTS[0], targets, delta=0.2)

    return build


def any_data(draw):
    """Other samples, residuals and delta; an alpha, a power of 2, that asks for 4096 neurons or so."""
    points = draw(st.sampled_from(POINTS))
    size, delta = draw(st.sampled_from([0.1, 1.0])), draw(st.sampled_from([0.1, 0.3]))
    targets = {"source": [size], "values": [-size]}
    found = at_own_width(draw, points, targets, delta=delta)
    scale = 2.0 ** math.ceil(math.log2(math.sqrt(own(replace(found, width=4096)) / 4096)))
    scaled = replace(found, parameters={**found.parameters, "alpha": scale})
    return families.own_width(lambda draw, width: replace(scaled, width=width), own)(draw)


theorem.instances(OWN, run=RUN, quick=14)(two_samples(0.003))
theorem.instances(ANY, run=RUN, quick=60)(any_data)
theorem.instances(SMALL, run=RUN, quick=40)(two_samples(1e-4))
EVERY = (OWN, ANY, SMALL)

# ---- the chain, where the hypothesis on H(0) is met and no neuron starts far out -------------------------------------


def granted(run):
    """Whether lambda_min(H(0)) >= 3/4 lambda_0."""
    return bool(run.eigenvalues[0, 0] >= 3 / 4 * run.lambda_0)


def likely(run):
    """And every |w_r(0)|^2 at most `start`: the rest of the chain is certain."""
    return granted(run) and bool(run.trajectory.weight_norm[0] ** 2 <= run.start)


CERTAIN = {"holds": always, "given": likely, "on": EVERY}
POSITIVE = Interval.open(0, oo)
theorem.lemma("gamma leaves the eigenvalue", of=gamma, holds=always, bound=(sqrt(3) - sqrt(2)) / 2, over={})


@theorem.lemma(
    "the steps add up to path at the most, whatever eta",
    holds=always,
    bound=path,
    over={eta: Interval.open(0, 1), residual_0: POSITIVE, lambda_0: POSITIVE},
)
def series():
    """eta sum_k ||r(k)||/sqrt(lambda_min(H(k))) with ||r(k)|| = sqrt(1 - eta)^k ||r(0)||."""
    return eta / (1 - sqrt(1 - eta)) * residual_0 / sqrt(lambda_0 / 2)


theorem.lemma(
    "from the prescribed width on, the change of J fits into what is allowed",
    of=alpha * C_L * B_2 * path / sqrt(m),
    holds=always,
    bound=ALLOWED,
    on=EVERY,
)
theorem.lemma(
    "all |w_r(0)|^2 are at most start",
    of=lambda run: run.trajectory.weight_norm[0] ** 2,
    holds=with_probability(1 - delta),
    bound=start,
    on=EVERY,
)


theorem.lemma(
    "from the prescribed width on, no neuron of |w_r|^2 <= B_2 leaves its start by more than reach",
    of=lambda run: 4 * run.alpha * run.C_g * run.B_2 * run.residual_0 / (math.sqrt(run.m) * run.lambda_0),
    holds=always,
    bound=reach,
    on=EVERY,
)
# of the neurons before each step, so that the chain goes on by induction on the steps
B = theorem.quantity("B", lambda run: np.maximum(1, np.maximum.accumulate(run.trajectory.weight_norm[:-1])))
theorem.lemma(
    "every |w_r(k) - w_r(0)| <= 4 alpha C_g B^2 ||r(0)||/(sqrt(m) lambda_0), B the largest |w_r| before step k",
    of=lambda run: run.drift[1:],
    bound=4 * alpha * C_g * B**2 * residual_0 / (sqrt(m) * lambda_0),
    uses=("series", "gamma leaves"),
    **CERTAIN,
)
theorem.lemma(
    "all |w_r(k)|^2 are at most B_2",
    of=lambda run: run.trajectory.weight_norm**2,
    bound=B_2,
    uses=("every |w_r(k) - w_r(0)|", "from the prescribed width on, no neuron"),
    **CERTAIN,
)
LipschitzJacobian(theorem, alpha * C_L * B_2 / sqrt(m)).way(
    "||J(w) - J(0)|| <= alpha C_L B_2 ||w - w(0)||/sqrt(m) while all |w_r|^2 are at most B_2",
    distance=theorem.quantity("distance", lambda run: run.drift_rms[1:] * np.sqrt(run.m)),
    on=EVERY,
    given=lambda run: run.trajectory.weight_norm[1:] ** 2 <= run.B_2,
)


@theorem.control("||w(k) - w(0)|| <= path/50", bound=path / 50, **CERTAIN)
@theorem.lemma("||w(k) - w(0)|| <= path", bound=path, uses=("series", "gamma leaves"), **CERTAIN)
def path_length(run):
    return run.drift_rms * np.sqrt(run.m)


theorem.lemma(
    "J stays within gamma sqrt((1 - eta) lambda_0) of J(0), at ends and middles of steps",
    of=farthest,
    bound=ALLOWED,
    uses=("from the prescribed width on, the change", "all |w_r(k)|^2", "path_length", "Lipschitz Jacobian"),
    **CERTAIN,
)

# ---- conclusions --------------------------------------------------------------------------------------------------

SURE = with_probability(1 - delta)
RATE = {"holds": SURE, "on": EVERY}


@theorem.control(
    "L(k) <= (1 - eta)^(3k) L(0) where lambda_min(H(0)) >= 3/4 lambda_0", bound=(1 - eta) ** (3 * k) * loss_0, **RATE
)
@theorem.conclusion(
    "L(k) <= (1 - eta)^k L(0), to a hundredth of L(0), where lambda_min(H(0)) >= 3/4 lambda_0",
    bound=(1 - eta) ** k * loss_0,
    uses=("all |w_r(0)|^2", "J stays within"),
    **RATE,
)
def linear_rate(run):
    """Zero where the hypothesis is missed: delta is the probability that it is met and the rate missed."""
    return np.where(granted(run), run.losses, 0)


START = {"of": lambda run: run.eigenvalues[0, 0], "holds": SURE, "bound": Rational(3, 4) * lambda_0, "from_below": True}
HERE = {"assumes": (), "on": (OWN, ANY)}
theorem.lemma("two samples far apart, 1000 neurons and more: lambda_min(H(0)) >= 3/4 lambda_0", **HERE, **START)
theorem.conclusion(
    "two samples far apart, 1000 neurons and more: L(k) <= (1 - eta)^k L(0), to a hundredth, nothing measured",
    of="losses",
    holds=SURE,
    bound=(1 - eta) ** k * loss_0,
    uses=("linear_rate", "two samples far apart, 1000 neurons and more: lambda_min"),
    **HERE,
)
theorem.control("the prescribed width grants lambda_min(H(0)) >= 3/4 lambda_0", on=SMALL, **START)
