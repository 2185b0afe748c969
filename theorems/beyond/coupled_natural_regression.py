r"""Natural gradient descent for ReLU regression at its own width: pairs of neurons that cancel, and an output scale.

Network     f(x) = alpha m^(-1/2) sum_r a_r relu(w_r . x);  pairs share w_r(0) ~ N(0, I_d) and have opposite fair signs
            a_r, so that f = 0 at the start and r(0) = -y;  lambda_0, H^inf are those of this f, of the order of alpha^2
Method      w(k+1) = w(k) - eta J^T (J J^T)^(-1) r(k), 0 < eta < 1
Guarantee   with probability at least 1 - delta, for all k: L(k) <= (1 - eta)^k L(0), |w_r(k) - w_r(0)| <= R,
            ||J(k) - J(0)|| <= gamma sqrt((1 - eta) lambda_0)  (upper)
Hypotheses  unit inputs, no two parallel; |y_i| <= C; m >= m_0(alpha), even

The width theorem of Zhang, Martens and Grosse (2019, Theorem 3), whose width is said to be of the order of
n^4/(nu^2 lambda_0^4 delta^3), nu the deviation of the weights, which is alpha here: for ReLU, f at w is that of
weights alpha w at scale 1. Only neurons that switch move J, ||J(w) - J(0)||_F^2 <= alpha^2 n near. With l =
lambda_0/alpha^2 and gamma = 1/7,

    m_0 = max{ 16 n^2 log(4 n^2/delta)/l^2,  588 n log(2 n/delta)/((1 - eta) l),  (98 kappa)^2 16 n^4 C^2/((1 - eta)^2
               l^4 alpha^2) }:

no delta^-3, since the count of switching neurons is bounded by Chernoff and not by Markov, and no n^4 from a scale on.
"""

import math
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Instance, Source, Theorem, always, identity, with_probability
from ntkverify.glossary import C, delta, lambda_0, m, n, residual_0
from ntkverify.instances import bounded_targets, families, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.concentration import hoeffding
from ntkverify.lemmas.flips import Flips
from ntkverify.lemmas.natural_gradient import NaturalGradient, StableJacobian
from ntkverify.lemmas.rounding import loss_error, started
from ntkverify.lemmas.stability import farthest, visited
from ntkverify.problems.regression import least_eigenvalue, limit_gram_matrix, regression
from ntkverify.symbolic.constants.chain import Chain, Requirement, derived

theorem = Theorem(
    "Natural gradient descent, two-layer ReLU regression with coupled pairs and output scale",
    source=Source(arxiv="1905.10961", version=1, where="Theorem 3", provenance="derived"),
    statement=r"""
        Let $\|x_i\| = 1$, no two $x_i$ parallel, $|y_i| \le C$, neurons in pairs with opposite signs, an output scale
        $\alpha$, $0 < \eta < 1$ and $m \ge m_0(\alpha)$. Then with probability at least $1-\delta$, for all $k$:
        $L(k) \le (1-\eta)^k L(0)$, $\max_r\|w_r(k)-w_r(0)\| \le R$ and
        $\|J(k)-J(0)\| \le \gamma\sqrt{(1-\eta)\lambda_0}$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

natural, jacobian, flips = NaturalGradient(theorem), StableJacobian(theorem), Flips(theorem)
alpha, radius = sympy.symbols("alpha radius", positive=True)
least, pairs, one = lambda_0 / alpha**2, m / 2, sympy.S.One
MOVED = alpha**2 * n * 2 * flips.kappa * radius  # ||J(w) - J(0)||_F^2
R = theorem.constant(
    "R",
    derived(radius * jacobian.allowed**2 / MOVED, "||J(w) - J(0)||_F^2 is what it may be"),
    "no weight moves further",
)
drift = theorem.constant(
    "drift_bound",
    derived(
        4 * alpha * sqrt(n / m) * residual_0 / lambda_0,
        "||dw_r|| <= eta ||J_r|| ||H^-1 r||, lambda_min(H) >= lambda_0/2, sum of steps 2",
    ),
    "|w_r(k) - w_r(0)| while the loss contracts",
)
requirements = [
    Requirement(
        "initial Gram matrix", hoeffding(n**2, least / 4 / n, draws=pairs), delta / 2, "Hoeffding, n^2 entries"
    ),
    Requirement("sign flips", flips.failure(n, R, one, draws=pairs), delta / 2, "Chernoff, union over n samples"),
    Requirement("drift", theorem.expand(drift).subs(residual_0, sqrt(n) * C), R, "the weights stay in the ball"),
]
m_0 = theorem.constant("m_0", Chain(m, requirements).mapped(theorem.expand).sufficient(), "sufficient width")
DATA = premises.unit_inputs(theorem)
premises.step_below(theorem, "step below 1", one)
premises.width_at_least(theorem, "width at least m_0", m_0)
theorem.declare(parameters={"delta": 0.1})
STEP = (*DATA, "step below 1")

# ---- instances ----------------------------------------------------------------------------------------------------

RUN = regression(coupled=True, method="natural gradient")


def instance(inputs, targets, *, step, width, scale=64.0, delta=0.1):
    data, parameters = {"inputs": inputs, "targets": targets}, {"alpha": scale, "C": 1.0, "delta": delta}
    return Instance(data=data, parameters=parameters, width=width, step=step, steps=3)


def any_data(draw, *, width):
    """One or two inputs, least eigenvalues from 1/2 down; alpha, a power of 4, leaves drift no say."""
    count = draw(st.integers(1, 2))
    inputs = unit_inputs(draw, count, draw(st.integers(5, 6)), spread=3.0)
    scale = 4.0 ** math.ceil(math.log(64 / least_eigenvalue(limit_gram_matrix(inputs)), 4))
    # lemmas claim half of delta, for which such wide networks are drawn often enough from 0.3 on
    delta, step = draw(st.sampled_from([0.3, 0.4])), draw(st.sampled_from([0.1, 0.4]))
    return instance(inputs, bounded_targets(draw, count, 1.0), step=step, width=width, scale=scale, delta=delta)


def orthonormal(draw, *, width, scale=64.0):
    step = draw(st.sampled_from([0.1, 0.4]))
    return instance(np.eye(2), bounded_targets(draw, 2, 1.0), step=step, width=width, scale=scale)


def largest_targets(draw, *, width):
    return instance(np.eye(2), np.ones(2), step=0.4, width=width)


def even(build):
    def of(draw):
        found = families.own_width(build, lambda found: RUN(found, theorem).m_0)(draw)
        return replace(found, width=found.width + found.width % 2)

    return of


TWO, ANY = "two orthonormal inputs", "any data"
HUNDREDTH, UNSCALED = "a hundredth of the width", "64 neurons, alpha = 1"
OWN = (TWO, ANY)
# one data set: the longest r(0), and the step that asks for the larger width; other data are the other family's
theorem.instances(TWO, run=RUN, quick=40)(lambda: even(largest_targets)(None))
theorem.instances(ANY, run=RUN, quick=20)(even(any_data))
theorem.instances(HUNDREDTH, run=RUN, quick=60)(lambda draw: families.hundredth(even(orthonormal)(draw)))
theorem.instances(UNSCALED, run=RUN, quick=60)(lambda draw: orthonormal(draw, width=64, scale=1.0))

# ---- the chain ----------------------------------------------------------------------------------------------------

theorem.lemma(
    "the output is zero at the start: r(0) = -y",
    of=lambda run: (run.trajectory.residuals[0], -run.targets),
    holds=identity,
    assumes=DATA,
    on=OWN,
    error=lambda run: run.trajectory.residuals_error[0],
)
HALF = {"holds": with_probability(1 - delta / 2)}
theorem.lemma("||H(0) - H^inf||_F <= lambda_0/4", of="initial_gram_error", bound=lambda_0 / 4, on=OWN, **HALF)


@theorem.lemma("at most 2 kappa R of the neurons are within R of switching", bound=2 * flips.kappa * R, on=OWN, **HALF)
def few_flips(run):
    return run.initial(run.R).near.max()


near = theorem.quantity("near", lambda run: run.initial(run.drift.max()).near.max())
SWITCHED = {"of": lambda run: visited(run).max(), "holds": always, "assumes": STEP}
theorem.lemma(
    "||J(w) - J(0)|| <= alpha sqrt(n near): only neurons within reach of switching count",
    bound=alpha * sqrt(n * near),
    on=(*OWN, HUNDREDTH),
    given=lambda run: run.near > 0,
    **SWITCHED,
)
theorem.control(
    "||J(w) - J(0)|| <= alpha sqrt(near)/4",
    bound=alpha * sqrt(near) / 4,
    on=UNSCALED,
    given=lambda run: run.near > 0,
    **SWITCHED,
)
natural.recursion(on=OWN, assumes=STEP)
natural.contraction()
natural.epsilon_forms()
jacobian.thresholds()
jacobian.worst_case(assumes="step below 1")
natural.rate(
    "implication: L(k) <= (1 - eta)^k L(0) while J stays within gamma sqrt((1 - eta) lambda_0) of J(0)",
    given=jacobian.stays,
    on=(*OWN, UNSCALED),
    assumes=STEP,
    uses="run_step",
)
theorem.lemma(
    "max_r |w_r(k) - w_r(0)| <= 4 alpha sqrt(n) ||r(0)||/(sqrt(m) lambda_0) while J stays",
    of="drift",
    holds=always,
    bound=drift,
    on=(*OWN, HUNDREDTH),
    assumes=STEP,
    given=jacobian.stays,
    uses="implication",
)

# ---- conclusions --------------------------------------------------------------------------------------------------

SURE = {"holds": with_probability(1 - delta), "on": OWN}
CHAIN = ("||H(0) - H^inf||_F", "few_flips", "||J(w) - J(0)|| <=", "max_r |w_r(k)")
theorem.conclusion("no weight moves further than R", of="drift", bound=R, uses=CHAIN, **SURE)
theorem.conclusion(
    "J stays within gamma sqrt((1 - eta) lambda_0) of J(0)", of=farthest, bound=jacobian.allowed, uses=CHAIN, **SURE
)
RATE = {"of": "losses", "error": loss_error, "given": started}
theorem.conclusion(
    "L(k) <= (1 - eta)^k L(0) for all k", bound=natural.contracted, uses=("J stays", "implication"), **RATE, **SURE
)
NARROW = {"holds": SURE["holds"], "assumes": STEP}
theorem.control("a hundredth of the width: no weight moves further than R", of="drift", bound=R, on=HUNDREDTH, **NARROW)
theorem.control("64 neurons, alpha = 1: J stays", of=farthest, bound=jacobian.allowed, on=UNSCALED, **NARROW)
theorem.control("drift falls like 1/alpha^2: no weight moves further than R/alpha", of="drift", bound=R / alpha, **SURE)
natural.too_fast("L(k) <= (1 - eta)^(3k) L(0) for all k", on=TWO, holds=SURE["holds"], error=loss_error, given=started)
