r"""Which function gradient descent learns: every mode at its own rate, and at any point what kernel regression says.

Network     f(x) = alpha m^(-1/2) sum_r a_r relu(w_r . x);  pairs share w_r(0) ~ N(0, I_d) and have opposite fair signs
            a_r, so that f = 0 at the start and r(0) = -y;  lambda_0, H^inf, K_x^inf are those of this f
Modes       ||r(k) - (I - eta G)^k r(0)|| <= (rho^k - (1 - eta lambda_min(G))^k) ||r(0)||, and at most
            (Delta + eps)/lambda_min(G) ||r(0)||, for G = H(0) or H^inf, rho = 1 - eta (lambda_min(G) - Delta - eps)
At x        |f(x) - f_G(x)| <= ((Delta_x + eps_x) s(k) + ||K_x G^(-1)|| (Delta + eps) s(k-1)) ||r(0)||, f_G the linear
            model of G, which ends at K_x G^(-1) y, and s(k) = eta sum_(j<k) rho^j = (1 - rho^k) eta/(1 - rho)
Guarantee   from m_0 neurons and alpha_0 on, with probability at least 1 - delta, for all k and q test points, with
            gamma = tau + 3/2 sigma, rho = 1 - (1 - gamma) eta lambda_0, w = max_x ||K_x^inf (H^inf)^(-1)||:
            ||r(k) - (I - eta H^inf)^k r(0)|| <= (rho^k - (1 - eta lambda_0)^k) ||y||
            |f(x) - f_inf(x)| <= gamma/(1 - gamma) ((1 - rho^k)/sqrt(S) + w (1 - rho^(k-1))) ||y||  (upper)
            f_inf(x) = K_x^inf (H^inf)^(-1) (I - (I - eta H^inf)^k) y, which ends at kernel regression

Delta and Delta_x are what H(k) leaves of G and K_x(k) of K_x; eps and eps_x bound I_1 and its like at x over eta ||r||;
S = ||X X^T||_F. Derived here: a step leaves s(k) = eta (G - H(k)) r(k) + I_1(k), and departures are sums of s against
powers of I - eta G, those of the field K_x G^(-1) (I - (I - eta G)^j) s; ||r(k)|| <= rho^k ||r(0)||. The equation for
||r(k)|| is Theorem 4.1 of arXiv 1901.08584, here with constants. "For all k" is tried until the linearised loss is down
to 1e-10, after which f(x) moves by rho^K w ||y|| at most, and for 12 steps on three inputs. Two orthonormal inputs and
two test points at delta = 1/10: 4,508 neurons and alpha = 1024, a bound of 0.26 where f_inf(x) is 0.59.
"""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, n, residual_0
from ntkverify.instances import bounded_targets, families, generator, two_inputs, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.relu import learnt_runs as runs
from ntkverify.lemmas.relu.all_points import AllPoints
from ntkverify.lemmas.relu.learnt import LearntFunction, apart, away
from ntkverify.lemmas.relu.pairs import PairsAndScale
from ntkverify.lemmas.rounding import ULP, regression_error, started
from ntkverify.problems.field import field
from ntkverify.problems.on_data import regression_instance
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Which function gradient descent learns, two-layer ReLU regression",
    source=Source(arxiv="1901.08584", version=2, where="Theorem 4.1 (modes)", provenance="derived"),
    statement=r"""
        Let $\|x_i\| = \|x\| = 1$, neurons in pairs with opposite signs, $0 < \eta \le 2/(3\|H^\infty\|_2)$, $m \ge m_0$
        and $\alpha \ge \alpha_0$. Then with probability at least $1-\delta$, for all $k$, with
        $\rho = 1-(1-\gamma)\eta\lambda_0$: $\|r(k) - (I-\eta H^\infty)^k r(0)\| \le
        \bigl(\rho^k - (1-\eta\lambda_0)^k\bigr)\|y\|$ and $|f(x) - K_x^\infty (H^\infty)^{-1}
        (I - (I-\eta H^\infty)^k) y| \le \frac{\gamma}{1-\gamma}\bigl(S^{-1/2}(1-\rho^k)+w(1-\rho^{k-1})\bigr)\|y\|$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

alpha = PairsAndScale.alpha
q, reached = theorem.quantity("q", lambda run: len(run.tests)), AllPoints(theorem, alpha)
S, entries = reached.S, n * (n + 1) / 2 + n * q
pairs = PairsAndScale(
    theorem, entries=entries, points=n + q, size=S, words=("n (n + 1)/2 + n q entries", "n + q points")
)
tau, sigma, zeta, R = pairs.tau, pairs.sigma, pairs.zeta, pairs.R
flips, descent = pairs.flips, pairs.descent
m_0 = pairs.width()
alpha_0 = pairs.scale("sufficient scale; lambda_0/alpha^2 is alpha's no more")
gamma = theorem.constant(
    "gamma",
    derived(tau + Rational(3, 2) * sigma, "||H(0) - H^inf|| <= tau lambda_0, ||H(k) - H(0)|| <= sigma, I_1 half of it"),
    "(Delta + eps)/lambda_0, and (Delta_x + eps_x) sqrt(S)/lambda_0",
)
FINE = {tau: Rational(1, 10), sigma: Rational(1, 64), zeta: 9}
COARSE = {tau: Rational(1, 5), sigma: Rational(1, 25), zeta: 9}
descent.splits = (FINE, COARSE)
DATA, STEP = pairs.premises(m_0)
theorem.declare(data={**premises.REGRESSION_DATA, "tests": ("q", "d")}, parameters={"delta": 0.1})


@theorem.assumption("scale at least alpha_0")
def scaled(run):
    return run.alpha * (1 + 4 * ULP) - run.alpha_0


@theorem.assumption("unit test points")
def unit_tests(run):
    return 4 * run.d * ULP - np.abs(np.linalg.norm(run.tests, axis=1) - 1).max()


# ---- instances ----------------------------------------------------------------------------------------------------

RUN = field(coupled=True)


def instance(draw, *, inputs=None, targets=None, tests=None, split=COARSE, **options):
    """Some inputs, and two test points on the sphere, drawn where not given; until the loss is down to 1e-10."""
    inputs = unit_inputs(draw, draw(st.integers(1, 3)), 10, spread=3.0) if inputs is None else inputs
    targets = bounded_targets(draw, len(inputs), 1.0) if targets is None else targets
    tests = unit_inputs(draw, 2, inputs.shape[1], spread=3.0) if tests is None else tests
    found = regression_instance(theorem, inputs, targets, **{"split": split, "C": 1.0, "delta": 0.1, **options})
    return replace(found, data={**found.data, "tests": tests})


def three(draw, **options):
    """Three inputs at 90 degrees or so, and three test points."""
    turned = np.eye(3) + 0.2 * generator(draw).standard_normal((3, 3))
    inputs = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return instance(draw, inputs=inputs, tests=unit_inputs(draw, 3, 3, spread=3.0), **options)


def own(build=instance, **options):
    at_width = families.own_width(build, lambda found: RUN(found, theorem).m_0, alpha=1.0, **options)
    at_scale = families.own_scale(at_width, lambda found: RUN(found, theorem).alpha_0)

    def of(draw):
        found = at_scale(draw)
        return replace(found, step=found.step / found.parameters["alpha"] ** 2)

    return of


TRAINED, LOOSE = "trained", "64 neurons, alpha = 1"
ORTHONORMAL, SEPARATED, THREE = "two orthonormal inputs", "two rates", "three inputs"
OWN = (ORTHONORMAL, SEPARATED, THREE)
SCALES = {"alpha": st.sampled_from([4.0, 32.0]), "fraction": st.sampled_from([0.3, 1.0])}
EYE = {"inputs": np.eye(2), "targets": np.array([1.0, -1.0]), "tests": np.array([[0.6, -0.8], [0.0, -1.0]])}
# the eigenvalues are 2/3 and 1/3; nine tenths of the targets belong to the first mode, as does the first test point
BETWEEN = np.array([[0.75**0.5, 0.5], [0.0, -1.0]])
TURNED = {"inputs": two_inputs(0.5), "targets": np.array([1.0, 0.5]), "tests": BETWEEN}
theorem.instances(TRAINED, run=RUN, quick=20)(families.family(instance, power=st.integers(6, 10), steps=4, **SCALES))
theorem.instances(LOOSE, run=RUN, quick=16)(lambda: instance(None, **EYE, split=FINE, width=64, alpha=1.0, steps=4))
theorem.instances(ORTHONORMAL, run=RUN, quick=12)(lambda: own(**EYE, split=FINE)(None))
theorem.instances(SEPARATED, run=RUN, quick=8)(lambda: own(**TURNED, delta=0.2)(None))
theorem.instances(THREE, run=RUN, quick=8)(own(three, delta=0.4, steps=12))

# ---- links on any network -------------------------------------------------------------------------------------------

EVERY = (TRAINED, LOOSE, *OWN)
learnt = LearntFunction(theorem)
descent.recursion(on=EVERY, assumes=STEP, error=regression_error)
descent.contraction(on=EVERY, assumes=STEP)
descent.sums()
learnt.sums()
learnt.modes(on=EVERY, loose=LOOSE, assumes=STEP)
learnt.field(on=EVERY, loose=LOOSE, assumes=STEP)
learnt.regression(on=EVERY, wide=OWN, assumes=STEP)

# ---- at its own width and scale -----------------------------------------------------------------------------------

SURE = with_probability(1 - delta)
flips.density(pairs.radius)
share, half = (1 + zeta) * flips.kappa * R, with_probability(1 - delta / 2)
reached.start(entry=tau * lambda_0 / S, share=share, radius=R, on=OWN, holds=half)
reached.moves(descent, on=EVERY, assumes=STEP)
CHAIN = ("initial_kernel", "few_flips", "kernel_moves", "steps_leave", "max_r ||w_r(k) - w_r(0)||")
descent.spectrum(theorem.lemma, on=ORTHONORMAL, uses=CHAIN)

# ---- conclusions ----------------------------------------------------------------------------------------------------

HELD = (*CHAIN, "eigenvalue_kept", "step_kept", "step_contracts")
w, moved = learnt.limit.weight, gamma * lambda_0
MODES = {"bound": apart(lambda_0, moved), "given": started, "error": runs.linear_error, "holds": SURE}
FIELD = {"bound": away(lambda_0, moved / sqrt(S), w, moved), "given": started, "error": runs.field_error, "holds": SURE}
ENDED = {**FIELD, "bound": FIELD["bound"] + w * (1 - eta * lambda_0) ** k * residual_0}


def modes(run):
    return runs.departure(run, run.limit_gram)


theorem.conclusion(
    "||r(k) - (I - eta H^inf)^k r(0)|| <= (rho^k - (1 - eta lambda_0)^k) ||y||, rho = 1 - (1 - gamma) eta lambda_0",
    of=modes,
    on=OWN,
    uses=(*HELD, "||r(k) - (I - eta H^inf)^k r(0)|| <= (rho^k - (1 - eta lambda_min)"),
    **MODES,
)
theorem.conclusion(
    "||r(k)|| = sqrt(sum_i (1 - eta lambda_i)^(2k) (v_i . y)^2) up to the same",
    of=runs.spectral,
    on=OWN,
    provenance="reconstructed",
    uses="||r(k) - (I - eta H^inf)^k r(0)|| <= (rho^k - (1 - eta lambda_0)",
    **MODES,
)
theorem.conclusion(
    "|f(x) - K_x^inf (H^inf)^(-1) (I - (I - eta H^inf)^k) y| <= gamma/(1 - gamma) ((1 - rho^k)/sqrt(S) "
    "+ w (1 - rho^(k-1))) ||y||",
    of=runs.from_infinite,
    on=OWN,
    uses=(*HELD, "|f(x) - f_lin(x)| <= ((Delta_x + eps_x) (1 - rho^k) + ||K_x^inf"),
    **FIELD,
)
theorem.conclusion(
    "|f(x) - K_x^inf (H^inf)^(-1) y| is at most w (1 - eta lambda_0)^k ||y|| more",
    of=runs.from_regression,
    on=OWN,
    uses=("|f(x) - K_x^inf (H^inf)^(-1) (I", "|f_lin(x) - (f(x) - K_x^inf (H"),
    **ENDED,
)
theorem.conclusion("no weight moves further than R", of="drift", bound=R, holds=SURE, on=ORTHONORMAL, uses=HELD)

# ---- what is false --------------------------------------------------------------------------------------------------

theorem.control("every mode at the rate of the slowest", of=runs.one_rate, on=SEPARATED, **MODES)
theorem.control("what the infinitely wide network says a step later", of=runs.from_infinite_late, on=SEPARATED, **FIELD)
theorem.control("the zero function in place of the learnt one", of=runs.zero_from_infinite, on=ORTHONORMAL, **FIELD)
theorem.control(
    "regression with the covariance of the initial outputs", of=runs.from_covariance, on=ORTHONORMAL, **ENDED
)
# Hoeffding's tail and the union over entries leave a factor of 4 in every draw, of 10 in half of them
TENTH = Rational(1, 10)
theorem.control(
    "a tenth of what modes may part by", of=modes, on=ORTHONORMAL, **{**MODES, "bound": TENTH * MODES["bound"]}
)
theorem.control(
    "a tenth of what the field may be away by",
    of=runs.from_infinite,
    on=ORTHONORMAL,
    **{**FIELD, "bound": TENTH * FIELD["bound"]},
)
theorem.control("64 neurons, alpha = 1: the modes", on=LOOSE, assumes=STEP, of=modes, **MODES)
