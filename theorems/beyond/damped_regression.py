r"""Damped natural gradient trains the modes above its damping, for K steps at a width that knows no eigenvalue.

Network     f(x) = alpha m^(-1/2) sum_r a_r tanh(w_r . x);  pairs share w_r(0) and have opposite signs a_r, so that
            r(0) = -y;  A = H (H + mu)^(-1), H = J J^T;  P projects on the eigenvectors of H(0) with eigenvalues >= mu
Method      w(k+1) = w(k) - eta J^T (H + mu)^(-1) r(k), 0 < eta <= 1 (Levenberg-Marquardt with a step)
Guarantee   for all k <= K, whatever is drawn:  ||P r(k)|| <= (1 - eta/2)^k ||P r(0)|| + tau sqrt(n) C,
            the steps add up to sqrt(eta K (1 + 2 growth + 2 growth^2) n C^2/(2 mu)) at most  (upper)
Hypotheses  unit inputs, |y_i| <= C; m >= m_0(K), of the order of K n^2 C^2/(tau^2 (mu/alpha)^2)

Nothing is said of lambda_0, of the law of the weights, or of a probability: the price is that K is stated, and that
modes below mu do not decay. One step is at most eta ||r||/(2 sqrt(mu)) long, and paid for by what it takes off ||r||^2,
so that K steps are at most sqrt(eta K/(2 mu)) times the root of what they take off ||r||^2 long, but for E; that is
reached far below mu, and with ||r(0)|| in its place one mode comes to nine tenths. With an eigenvalue lambda of H(k)
known, ||r|| falls by 1 - eta lambda/(lambda + mu). A(k) follows J(k), with the best constant 3 sqrt(3)/8. m_0 is enough
and not needed: with a target out of one sample's reach modes first stayed behind at m_0/120, and do at m_0/500. Steps
of nonlinear equations and the frozen rate are in `nonlinear_regime/damped_natural_gradient`; all is derived here.
"""

import functools
import math
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Symbol, sqrt

from ntkverify import Instance, Source, Theorem, always, identity
from ntkverify.glossary import C, eta, k, m, n, residual_0
from ntkverify.instances import bounded_targets, generator, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.nonlinear.damped import DampedSteps, mu, reaches_damping
from ntkverify.lemmas.rounding import started
from ntkverify.lemmas.stability import LipschitzJacobian
from ntkverify.lemmas.suprema import Suprema
from ntkverify.problems.natural_gradient.damped import DampedPathRun
from ntkverify.problems.regression import RegressionRun
from ntkverify.symbolic.constants.chain import Chain, Requirement

theorem = Theorem(
    "Damped natural gradient, regression, without the least eigenvalue",
    source=Source(provenance="derived"),
    statement=r"""
        Let $\|x_i\| = 1$, $|y_i| \le C$, neurons in pairs with opposite signs, $0 < \eta \le 1$ and $m \ge m_0(K)$.
        Then for all $k \le K$: $\|P r(k)\| \le (1-\eta/2)^k \|P r(0)\| + \tau\sqrt n\,C$, where $P$ projects on the
        eigenvectors of $H(0)$ with eigenvalues from $\mu$ on.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

STEP_AT_MOST = "step at most 1"
damped = DampedSteps(theorem, step=STEP_AT_MOST)
K = Symbol("steps", positive=True, integer=True)
alpha, tau = sympy.symbols("alpha tau", positive=True)
suprema = Suprema(theorem, "tanh", (2,))
s_2 = suprema[2]
slope, START = alpha * s_2 * sqrt(n / m), sqrt(n) * C  # ||J(w) - J(w')|| over ||w - w'||; ||r(0)|| = ||y|| at most
growth = theorem.constant("growth", tau / 8, "||r(k)|| <= (1 + growth) ||r(0)||, and sum_k ||E(k)|| <= growth ||r(0)||")
squares = eta * (1 + 2 * growth + 2 * growth**2) / (2 * mu)  # sum_k ||w(k+1) - w(k)||^2 over ||r(0)||^2, whatever K
way = theorem.constant("way", START * sqrt(K * squares), "the steps add up to that by Cauchy-Schwarz")
chain = Chain(
    m,
    [
        Requirement("growth", slope / 2 * squares * START, growth, "sum_k ||E(k)||, by induction"),
        Requirement(
            "modes", 2 * damped.steepest * slope * way * (1 + growth) / sqrt(mu), tau - growth, "A(k) as it moves"
        ),
    ],
)
m_0 = theorem.constant("m_0", chain.sufficient(), "sufficient width")
DATA = premises.unit_inputs(theorem, parallel=True)
premises.step_at_most(theorem, STEP_AT_MOST, sympy.Integer(1))
premises.width_at_least(theorem, "width at least m_0", m_0)
theorem.declare(width=2 * sympy.ceiling(m_0 / 2))  # pairs
STEP = (*DATA, STEP_AT_MOST)


@theorem.assumption("neurons in pairs")
def even(run):
    return 0.5 - run.instance.width % 2 if run.coupled else -1


class DampedRegressionRun(DampedPathRun, RegressionRun):
    """Regression with tanh."""

    activation = "tanh"


# ---- instances ----------------------------------------------------------------------------------------------------


def instance(inputs, targets, *, width, damping, scale=1.0, step=0.5, steps=6, tau=0.25):
    """A damping in units of alpha^2, in which the Gram matrix is of the order of 1."""
    given = {"C": 1.0, "tau": tau, "alpha": scale, "mu": damping * scale**2}
    return Instance(data={"inputs": inputs, "targets": targets}, parameters=given, width=width, step=step, steps=steps)


def one_neuron(draw):
    """A singular value on either side of sqrt(mu)."""
    target, damping = generator(draw).uniform(-1, 1, 1), draw(st.sampled_from([0.05, 0.2, 0.5]))
    return instance(np.ones((1, 1)), target, width=1, damping=damping, step=draw(st.sampled_from([0.2, 1.0])), steps=3)


def steepest(draw):
    """One neuron with s^2 near mu/3, a third of the time: alpha tanh'(w) is above 0.8 alpha."""
    return instance(np.ones((1, 1)), generator(draw).uniform(-1, 1, 1), width=1, damping=2.5, step=0.2, steps=2)


def out_of_reach(draw):
    """One neuron that is driven into saturation by a target that it can't meet: J shrinks, and E is small."""
    options = {"damping": draw(st.sampled_from([0.2, 0.5])), "scale": 0.5, "step": 0.2, "steps": 8}
    return instance(np.ones((1, 1)), np.ones(1), width=1, **options)


def any_network(draw):
    inputs = unit_inputs(draw, draw(st.integers(1, 4)), draw(st.integers(2, 3)))
    options = {"damping": draw(st.sampled_from([0.01, 0.1, 1.0])), "scale": draw(st.sampled_from([1.0, 8.0]))}
    options |= {"width": 2 ** draw(st.integers(1, 8)), "step": draw(st.sampled_from([0.2, 0.5, 1.0]))}
    return instance(inputs, bounded_targets(draw, len(inputs), 1.0), **options)


def long_way(draw):
    """One sample far below mu: every step is as long as the first."""
    steps, damping = draw(st.sampled_from([4, 8])), draw(st.sampled_from([16.0, 256.0]))
    return instance(np.ones((1, 1)), np.ones(1), width=2, damping=damping, scale=1e4, step=1.0, steps=steps)


def longest_way():
    """Of one mode, the longest way over sqrt(eta K/mu): s^2 = 1.25 mu/(eta K) or so."""
    return instance(np.ones((1, 1)), np.ones(1), width=64, damping=8.0, scale=1e4, step=1.0, steps=24)


def own_width(draw):
    """A pair 1e-4 apart with opposite targets, and a third input; modes on both sides of mu, one close above it."""
    inputs = np.array([[np.cos(x), np.sin(x)] for x in (0, 1e-4, generator(draw).uniform(1, 2))])
    options = {"damping": draw(st.sampled_from([0.02, 0.1, 0.4])), "step": draw(st.sampled_from([0.2, 0.5, 1.0]))}
    options |= {"scale": draw(st.sampled_from([16.0, 64.0])), "steps": draw(st.sampled_from([4, 8]))}
    found = instance(inputs, [1.0, -1.0, draw(st.sampled_from([-1.0, 0.5]))], width=2, **options)
    return replace(found, width=pairs_at(found))


def pairs_at(found):
    return 2 * math.ceil(PAIRS(found, theorem).m_0 / 2)


def own_width_anywhere(draw):
    """Any data, damping, tolerance, step and number of steps; the first of a few scales that makes m_0 moderate."""
    spread = draw(st.sampled_from([0.3, 3.0]))
    inputs = unit_inputs(draw, draw(st.integers(1, 4)), draw(st.integers(2, 3)), spread=spread)
    options = {"damping": draw(st.sampled_from([0.01, 0.1, 0.4])), "steps": draw(st.integers(1, 12))}
    options |= {"step": draw(st.sampled_from([0.05, 0.3, 1.0])), "tau": draw(st.sampled_from([0.1, 0.25, 0.5]))}
    given = functools.partial(instance, inputs, bounded_targets(draw, len(inputs), 1.0), width=2, **options)
    # a scale is written into fused kernels, of which each takes seconds to compile
    scaled = (given(scale=scale) for scale in (16.0, 64.0, 512.0, 4096.0))
    return next(replace(found, width=pairs_at(found)) for found in scaled if pairs_at(found) <= 3000)


def too_narrow(draw):
    """One sample, and a target that m_0/500 neurons can't reach: the mode falls until they are saturated."""
    pairs, steps, step = draw(st.sampled_from([(20, 4, 1.0), (20, 8, 0.5), (5, 4, 1.0)]))
    options = {"damping": 0.4, "step": step, "steps": steps, "tau": 0.5, "width": 2 * pairs}
    given = functools.partial(instance, np.ones((1, 1)), np.ones(1), **options)
    return given(scale=math.sqrt(PAIRS(given(), theorem).m_0 / (500 * 2 * pairs)))


def narrow(draw):
    """Four samples in the plane, 16 neurons, mu small: the Jacobian at the start says nothing of the next one."""
    targets = np.array([draw(st.sampled_from([-1.0, 1.0])) for _ in range(4)])
    return instance(unit_inputs(draw, 4, 2), targets, width=16, damping=0.01, step=1.0)


PLAIN, PAIRS = DampedRegressionRun, functools.partial(DampedRegressionRun, coupled=True)
ONE, ANY, LONG, LONGEST = "one neuron", "any network", "far below mu", "the longest way of a mode"
CLOSE, ANYWHERE = "its own width, a close pair", "its own width, any data"
NARROW, LESS, STEEP = "16 neurons", "a 500th of its own width", "one neuron near the steepest slope"
SATURATED = "one neuron, a target out of its reach"
OWN = (CLOSE, ANYWHERE)
theorem.instances(ONE, run=PLAIN, quick=60)(one_neuron)
theorem.instances(STEEP, run=PLAIN, quick=60)(steepest)
theorem.instances(SATURATED, run=PLAIN, quick=20)(out_of_reach)
theorem.instances(ANY, run=PLAIN, quick=40)(any_network)
theorem.instances(LONG, run=PAIRS, quick=20)(long_way)
theorem.instances(LONGEST, run=PAIRS, quick=5)(longest_way)
theorem.instances(CLOSE, run=PAIRS, quick=30)(own_width)
theorem.instances(ANYWHERE, run=PAIRS, quick=40)(own_width_anywhere)
theorem.instances(NARROW, run=PAIRS, quick=40)(narrow)
theorem.instances(LESS, run=PAIRS, quick=20)(too_narrow)
TRAINED = (*OWN, ONE, ANY, LONG)

# ---- the chain ----------------------------------------------------------------------------------------------------

damped.recursion(on=TRAINED)
damped.short(on=TRAINED, sharp=ONE)
damped.falls(on=TRAINED, slow=ONE)
damped.way(on=TRAINED, far_below=LONG, longest=LONGEST)
damped.kernel_follows(on=(*TRAINED, STEEP), sharp=STEEP)
suprema.reached()
theorem.lemma(
    "the output is zero at the start: r(0) = -y",
    of=lambda run: (run.trajectory.residuals[0], -run.targets),
    holds=identity,
    assumes="neurons in pairs",
    on=(LONG, *OWN),
    error=lambda run: run.trajectory.residuals_error[0],
)
theorem.lemma(
    "||E(k)|| <= alpha s_2 sqrt(n/m) ||w(k+1) - w(k)||^2/2",
    of="remainder",
    holds=always,
    bound=slope * theorem.quantity("length", lambda run: run.trajectory.lengths) ** 2 / 2,
    assumes=DATA,
    on=TRAINED,
    error=lambda run: run.remainder_error,
    uses="suprema",
)
LipschitzJacobian(theorem, slope).way(
    "||J(k) - J(0)|| <= alpha s_2 sqrt(n/m) ||w(k) - w(0)||",
    distance=theorem.quantity("distance", lambda run: run.drift_rms[1:] * np.sqrt(run.m)),
    given=None,
    on=TRAINED,
    assumes=DATA,
    uses="suprema",
)
FALLEN = damped.modes_fall(on=TRAINED, saturated=SATURATED)
MODES = {"of": lambda run: run.modes(above=True), "holds": always, "given": reaches_damping}

# ---- conclusions --------------------------------------------------------------------------------------------------

theorem.conclusion(
    "the steps add up to `way` at the most",
    of=lambda run: run.way[-1],
    holds=always,
    bound=way,
    on=OWN,
    uses=("k steps are", "||E(k)|| <=", "the output is zero"),
)
theorem.conclusion(
    "||r(k)|| <= (1 + growth) ||r(0)||",
    of="residuals",
    holds=always,
    bound=(1 + growth) * residual_0,
    on=OWN,
    given=started,
    uses=("recursion", "||E(k)|| <=", "a step is paid for", "the output is zero"),
)
theorem.conclusion(
    "||P r(k)|| <= (1 - eta/2)^k ||P r(0)|| + tau sqrt(n) C for all k <= K",
    bound=FALLEN + tau * START,
    on=OWN,
    uses=(
        "||P r(k)|| <= (1 - eta/2)^k ||P r(0)|| + what J",
        "||J(k) - J(0)||",
        "the steps add up",
        "||r(k)|| <= (1 + growth)",
    ),
    **MODES,
)
theorem.control(
    "the modes below mu fall as well: to (1 - eta/2)^k of their start and tau sqrt(n) C",
    of=lambda run: run.modes(above=False),
    holds=always,
    given=started,
    bound=damped.rate**k * theorem.quantity("below_0", lambda run: run.modes(above=False)[0]) + tau * START,
    on=CLOSE,
)
ALL_THE_SAME = {"bound": FALLEN + tau * START, "assumes": STEP, **MODES}
theorem.control("16 neurons: the modes from mu on fall all the same", on=NARROW, **ALL_THE_SAME)
theorem.control("m_0/500 neurons: the modes from mu on fall all the same", on=LESS, **ALL_THE_SAME)
