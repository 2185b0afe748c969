r"""Natural gradient descent on a smooth physics-informed network, at the width that the theorem prescribes.

Network     u(x) = alpha m^(-1/2) sum_r a_r tanh(w_r . (x, 1)),  w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta J^T (J J^T)^(-1) r(k), 0 < eta < 1
Guarantee   L(k) <= (1 - eta)^k L(0) for all k, with probability at least 1 - delta  (upper)
Hypotheses  m >= 8 alpha^2 C_L^2 B^4 ||r(0)||^2/(gamma^2 (1 - eta) lambda_0^2), B^2 the largest |w_r|^2 on the way
            with probability 1 - delta; lambda_min(H(0)) >= 3/4 lambda_0, which is of the order of alpha^2

Theorem 4.7 of arXiv 2408.00573, smooth case, with a width derived here: the steps add up to
2 ||r(0)||/sqrt(lambda_0/2), and the blocks of the Jacobian change in l^2 by C_L B^2/sqrt(m) of it, so that neither C_g
nor lambda_0^-3 is needed. For two samples and ||r(0)|| = 0.0025 this is below 1e5 neurons, and run at alpha = 1; other
data, residuals and delta are run with a scale that makes the width 4096 or so. The condition on H(0) has a width of its
own (Lemma 3.3); at this one it is claimed by itself. A hundredth of the width would do as well: C_L is a supremum over
all weights, B the largest neuron for all, and what neurons change adds up in the bound but cancels in J, which moves
390 times less than allowed.
"""

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Interval, Rational, Symbol, log, oo, sqrt

from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.glossary import d, delta, eta, k, lambda_0, loss_0, m, residual_0
from ntkverify.instances import families
from ntkverify.lemmas.neuron_bounds import smooth_slope
from ntkverify.lemmas.premises import PINN_DATA
from ntkverify.lemmas.stability import LipschitzJacobian, farthest
from ntkverify.lemmas.suprema import supremum
from ntkverify.problems.pinn import pinn
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Natural gradient descent at its prescribed width, smooth physics-informed network",
    source=Source(arxiv="2408.00573", version=4, where="Theorem 4.7, smooth case", provenance="derived"),
    statement=r"""
        If $m \ge 8\alpha^2 C_L^2 B^4\|r(0)\|^2/(\gamma^2(1-\eta)\lambda_0^2)$ and
        $\lambda_{\min}(H(0)) \ge \frac34\lambda_0$, then $L(k) \le (1-\eta)^k L(0)$ for all $k$ with probability at
        least $1-\delta$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

C_L = theorem.constant(
    "C_L",
    smooth_slope(*(supremum("tanh", order).expression for order in (2, 3, 4))),
    "||J_r(w) - J_r(w')||_F <= alpha C_L B^2 |w_r - w'_r|/sqrt(m)",
)
t, alpha = log(m / delta), Symbol("alpha", positive=True)
B_2 = theorem.constant(
    "B_2",
    derived((sqrt(d + 2 * sqrt(d * t) + 2 * t) + 1) ** 2, "chi-square tail exp(-t) over m neurons, and a drift of 1"),
    "|w_r(k)|^2 <= B_2 for all r with probability 1 - delta",
)
gamma = theorem.constant(
    "gamma",
    derived(Rational(1, 7), "below (sqrt 3 - sqrt 2)/2 and 1/(4 sqrt 2)"),
    "||J(w) - J(0)|| <= gamma sqrt((1 - eta) lambda_0) is allowed",
)
path = theorem.constant(
    "path",
    derived(2 * residual_0 / sqrt(lambda_0 / 2), "geometric series: eta sum_k sqrt(1 - eta)^k <= 2"),
    "||w(k) - w(0)|| <= path",
)
ALLOWED = gamma * sqrt((1 - eta) * lambda_0)
width = theorem.constant(
    "width",
    derived((alpha * C_L * B_2 * path / ALLOWED) ** 2, "alpha C_L B^2 path/sqrt(m) below what is allowed"),
    "sufficient width; m is in B_2",
)
theorem.declare(rate=1, width=width, data=PINN_DATA)


@theorem.assumption("prescribed width")
def wide_enough(run):
    return run.m - run.width


# ---- instances ----------------------------------------------------------------------------------------------------

RUN = pinn(activation="tanh", method="natural gradient", relative=True)
START, OWN, ANY = 0.0025, "its own width", "any data, its own width"


def instance(draw, *, width):
    """Two samples; targets at a distance of START from the initial outputs."""
    angle = draw(st.integers(0, 7)) * math.pi / 4
    targets = {"source": [START * math.cos(angle)], "values": [START * math.sin(angle)]}
    step = draw(st.sampled_from([0.1, 0.5]))
    data = {"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]], **targets}
    return Instance(data=data, parameters={"delta": 0.2}, width=width, step=step, steps=4)


# the prescribed width has the logarithm of the instance's own
theorem.instances(OWN, run=RUN, quick=14)(families.own_width(instance, lambda found: RUN(found, theorem).width))


# two samples each, for every entry of H^inf is a quadrature; lambda_0 over a factor of several, one and two space dims
POINTS = [
    {"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]]},
    {"interior": [[0.9, 0.1]], "boundary": [[0.0, 0.2]]},
    {"interior": [[0.2, 0.3, 0.6]], "boundary": [[0.0, 1.0, 0.5]]},
]


def any_data(draw):
    """Other samples, residuals and delta; an alpha, a power of 2, that asks for 4096 neurons or so."""
    points = draw(st.sampled_from(POINTS))
    size, delta = draw(st.sampled_from([0.1, 1.0])), draw(st.sampled_from([0.1, 0.3]))
    targets = {"source": [size], "values": [-size]}
    step = draw(st.sampled_from([0.1, 0.5]))
    found = Instance(data={**points, **targets}, parameters={"delta": delta}, width=4096, step=step, steps=4)
    scale = 2.0 ** math.ceil(math.log2(math.sqrt(RUN(found, theorem).width / 4096)))
    found = replace(found, parameters={**found.parameters, "alpha": scale})
    return families.own_width(lambda draw, width: replace(found, width=width), lambda x: RUN(x, theorem).width)(draw)


theorem.instances(ANY, run=RUN, quick=60)(any_data)
SURE, CHAIN = {"holds": with_probability(1 - delta), "on": OWN}, {"holds": always, "assumes": (), "on": OWN}
BOTH = {"holds": with_probability(1 - delta), "on": (OWN, ANY)}

# ---- the chain ----------------------------------------------------------------------------------------------------

theorem.lemma("gamma leaves the eigenvalue", of=gamma, holds=always, bound=(sqrt(3) - sqrt(2)) / 2, over={})
POSITIVE = Interval.open(0, oo)


@theorem.lemma(
    "the steps add up to path at the most, whatever eta",
    holds=always,
    bound=path,
    over={eta: Interval.open(0, 1), residual_0: POSITIVE, lambda_0: POSITIVE},
)
def series():
    """eta sum_k ||r(k)||/sqrt(lambda_min(H(k))) with ||r(k)|| = sqrt(1 - eta)^k ||r(0)||."""
    return eta / (1 - sqrt(1 - eta)) * residual_0 / sqrt(lambda_0 / 2)


@theorem.lemma(
    "at the width the change of J fits into what is allowed, as it is solved for", bound=ALLOWED, attained=True, **CHAIN
)
def width_fits(run):
    return run.alpha * run.C_L * run.B_2 * run.path / math.sqrt(run.width) * (1 - 1e-12)


theorem.lemma("all |w_r(k)|^2 are at most B_2", of=lambda run: run.trajectory.weight_norm.max() ** 2, bound=B_2, **BOTH)
LipschitzJacobian(theorem, alpha * C_L * B_2 / sqrt(m)).way(
    "||J(w) - J(0)|| <= alpha C_L B_2 ||w - w(0)||/sqrt(m) while all |w_r|^2 are at most B_2",
    distance=theorem.quantity("distance", lambda run: run.drift_rms[1:] * np.sqrt(run.m)),
    on=(OWN, ANY),
    given=lambda run: run.trajectory.weight_norm[1:] ** 2 <= run.B_2,
)


@theorem.control("||w(k) - w(0)|| <= path/50", bound=path / 50, **SURE)
@theorem.lemma("||w(k) - w(0)|| <= path", bound=path, uses=("series", "gamma leaves"), **SURE)
def path_length(run):
    return (run.drift_rms * np.sqrt(run.m)).max()


# ---- conclusions --------------------------------------------------------------------------------------------------

theorem.conclusion(
    "lambda_min(H(0)) >= 3/4 lambda_0",
    of=lambda run: run.eigenvalues[0, 0],
    bound=Rational(3, 4) * lambda_0,
    from_below=True,
    **SURE,
)
theorem.conclusion(
    "J stays within gamma sqrt((1 - eta) lambda_0) of J(0)",
    of=farthest,
    bound=ALLOWED,
    uses=("width_fits", "all |w_r(k)|^2", "path_length", "Lipschitz Jacobian"),
    **BOTH,
)


@theorem.control("L(k) <= (1 - eta)^(3k) L(0) for all k", bound=(1 - eta) ** (3 * k) * loss_0, **SURE)
@theorem.conclusion(
    "L(k) <= (1 - eta)^k L(0) for all k",
    bound=(1 - eta) ** k * loss_0,
    uses=("lambda_min(H(0))", "J stays within"),
    **BOTH,
)
def linear_rate(run):
    return run.losses
