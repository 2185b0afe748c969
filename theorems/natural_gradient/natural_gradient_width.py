r"""Natural gradient descent on a smooth physics-informed network, at the width that the theorem prescribes.

Network     u(x) = m^(-1/2) sum_r a_r tanh(w_r . (x, 1)),  w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta J^T (J J^T)^(-1) r(k), 0 < eta < 1
Guarantee   L(k) <= (1 - eta)^k L(0) for all k, with probability at least 1 - delta  (upper)
Hypotheses  m >= 8 C_L^2 B^4 ||r(0)||^2/(gamma^2 (1 - eta) lambda_0^2), B^2 the largest |w_r|^2 on the way with
            probability 1 - delta; lambda_min(H(0)) >= 3/4 lambda_0

Theorem 4.7 of arXiv 2408.00573, smooth case, with a width derived here: the steps add up to
2 ||r(0)||/sqrt(lambda_0/2), and the blocks of the Jacobian change in l^2 by C_L B^2/sqrt(m) of it, so that neither C_g
nor lambda_0^-3 is needed. For two samples and ||r(0)|| = 0.0025 this is below 1e5 neurons, and run. The condition on
H(0) has a width of its own (Lemma 3.3); at this one it is claimed by itself.
"""

import math
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, log, sqrt

from ntkverify import Source, Theorem, always, with_probability
from ntkverify.glossary import d, delta, eta, k, lambda_0, loss_0, m, residual_0
from ntkverify.lemmas.neuron_bounds import block_slope
from ntkverify.problems.pinn import pinn
from ntkverify.symbolic.constants.chain import derived
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.symbolic.network.suprema import in_radicals
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Natural gradient descent at its prescribed width, smooth physics-informed network",
    source=Source(arxiv="2408.00573", version=4, where="Theorem 4.7, smooth case", provenance="derived"),
    statement=r"""
        If $m \ge 8 C_L^2 B^4\|r(0)\|^2/(\gamma^2(1-\eta)\lambda_0^2)$ and
        $\lambda_{\min}(H(0)) \ge \frac34\lambda_0$, then $L(k) \le (1-\eta)^k L(0)$ for all $k$ with probability at
        least $1-\delta$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

rho, B = sympy.symbols("rho B", positive=True)
tanh = get_activation("tanh")
s_2, s_3, s_4 = (in_radicals(tanh.supremum(order).value) for order in (2, 3, 4))  # sup |tanh^(order)|
C_L = theorem.constant(
    "C_L",
    derived(block_slope(s_2, s_3, s_4, rho), "each term of psi and chi differentiated in w"),
    "||J_r(w) - J_r(w')||_F <= C_L B^2 |w_r - w'_r|/sqrt(m)",
)
t = log(m / delta)
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
width = theorem.constant(
    "width",
    derived(
        (C_L * B_2 * path / (gamma * sqrt((1 - eta) * lambda_0))) ** 2, "C_L B^2 path/sqrt(m) below what is allowed"
    ),
    "sufficient width; m is in B_2",
)


@theorem.assumption("prescribed width")
def wide_enough(run):
    return run.m - run.width


# ---- instances ----------------------------------------------------------------------------------------------------

RUN = pinn(activation="tanh", method="natural gradient", relative=True)
START = 0.0025


@theorem.instances("its own width", run=RUN, quick=14)
def own_width(draw):
    """Two samples; targets at a distance of START from the initial outputs."""
    angle = draw(st.integers(0, 7)) * math.pi / 4
    data = {
        "interior": [[0.1, 0.5]],
        "boundary": [[0.5, 1.0]],
        "source": [START * math.cos(angle)],
        "values": [START * math.sin(angle)],
    }
    step = draw(st.sampled_from([0.1, 0.5]))
    found = Instance(data=data, parameters={"delta": 0.2}, width=2, step=step, steps=4)
    # the prescribed width has the logarithm of the instance's own
    while (wanted := math.ceil(RUN(found, theorem).width)) > found.width:
        found = replace(found, width=wanted)
    return found


# ---- the chain ----------------------------------------------------------------------------------------------------


@theorem.lemma(
    "gamma leaves the eigenvalue", holds=always, bound=(sqrt(3) - sqrt(2)) / 2, assumes=(), on="its own width"
)
def gamma_fits_eigenvalue(run):
    return run.gamma


@theorem.lemma(
    "path is the sum of the steps as eta -> 0, up to 1e-6",
    holds=always,
    bound=path,
    assumes=(),
    on="its own width",
    attained=True,
    error=lambda run: 1e-6 * run.path,
)
def series(run):
    """eta sum_k ||r(k)||/sqrt(lambda_min(H(k))) with ||r(k)|| = sqrt(1 - eta)^k ||r(0)||, by expm1 and log1p."""
    step = 2.0**-22
    return step / -math.expm1(math.log1p(-step) / 2) * run.residual_0 / math.sqrt(run.lambda_0 / 2)


@theorem.lemma(
    "at the width the change of J fits into what is allowed",
    holds=always,
    bound=gamma * sqrt((1 - eta) * lambda_0),
    assumes=(),
    on="its own width",
    attained=True,
)
def width_fits(run):
    return run.C_L * run.B_2 * run.path / math.sqrt(run.width) * (1 - 1e-12)


@theorem.lemma("all |w_r(k)|^2 are at most B_2", holds=with_probability(1 - delta), bound=B_2, on="its own width")
def weights_bounded(run):
    return run.trajectory.weight_norm.max() ** 2


@theorem.lemma(
    "||J(w) - J(0)|| <= C_L B_2 ||w - w(0)||/sqrt(m) while all |w_r|^2 are at most B_2",
    holds=always,
    bound=C_L * B_2 * sympy.Symbol("distance", positive=True) / sqrt(m),
    on="its own width",
    given=lambda run: run.trajectory.weight_norm[1:] ** 2 <= run.B_2,
    error=lambda run: run.n * run.m * run.d * np.finfo(float).eps * np.sqrt(run.eigenvalues[:-1, -1]),
)
def lipschitz(run):
    return run.trajectory.jacobian_change[1:]


distance = theorem.quantity("distance", lambda run: run.drift_rms[1:] * np.sqrt(run.m))


@theorem.lemma("||w(k) - w(0)|| <= path", holds=with_probability(1 - delta), bound=path, on="its own width")
def path_length(run):
    return (run.drift_rms * np.sqrt(run.m)).max()


# ---- conclusions --------------------------------------------------------------------------------------------------


@theorem.conclusion(
    "lambda_min(H(0)) >= 3/4 lambda_0",
    holds=with_probability(1 - delta),
    bound=Rational(3, 4) * lambda_0,
    from_below=True,
    on="its own width",
)
def initial_gram(run):
    return run.eigenvalues[0, 0]


@theorem.conclusion(
    "J stays within gamma sqrt((1 - eta) lambda_0) of J(0)",
    holds=with_probability(1 - delta),
    bound=gamma * sqrt((1 - eta) * lambda_0),
    on="its own width",
)
def jacobian_stays(run):
    return max(run.trajectory.jacobian_change.max(), run.trajectory.path_from_start.max())


@theorem.conclusion(
    "L(k) <= (1 - eta)^k L(0) for all k",
    holds=with_probability(1 - delta),
    bound=(1 - eta) ** k * loss_0,
    on="its own width",
)
def linear_rate(run):
    return run.losses


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "L(k) <= (1 - eta)^(3k) L(0) for all k",
    holds=with_probability(1 - delta),
    bound=(1 - eta) ** (3 * k) * loss_0,
    on="its own width",
)
def too_fast(run):
    return run.losses


@theorem.control("||w(k) - w(0)|| <= path/50", holds=with_probability(1 - delta), bound=path / 50, on="its own width")
def path_too_short(run):
    return (run.drift_rms * np.sqrt(run.m)).max()
