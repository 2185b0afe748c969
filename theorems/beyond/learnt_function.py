r"""Which function gradient descent learns: every mode at its own rate, and at any point what kernel regression says.

Network     f(x) = alpha m^(-1/2) sum_r a_r relu(w_r . x);  pairs share w_r(0) ~ N(0, I_d) and have opposite fair signs
            a_r, so that f = 0 at the start and r(0) = -y;  lambda_0, H^inf, K_x^inf are those of this f
Modes       ||r(k) - (I - eta G)^k r(0)|| <= (Delta + eps) eta k (1 - eta lambda_0/2)^((k-1)/2) ||r(0)||, at most
            (3/2)/lambda_0 (Delta + eps) ||r(0)||, for G = H(0) or H^inf, while the loss contracts and
            lambda_0/2 <= G <= 1/eta
Linearised  |f(x) - f_lin(x)| <= (4/lambda_0) (Delta_x + eps_x + ||K_x H(0)^(-1)|| (Delta + eps)) ||r(0)|| at every x,
            and f_lin(x) -> K_x H(0)^(-1) y;   ||K_x H(0)^(-1)|| <= sqrt(H_xx/lambda_min(H(0)))
Guarantee   from m_0 neurons and alpha_0 on, with probability at least 1 - delta, for all k and q test points:
            |f(x) - K_x^inf (H^inf)^(-1) y| <= ((6 sigma + tau)(1/sqrt(n) + c) + c (1 - (1 - tau) eta lambda_0)^k) ||y||
            with c = sqrt((1/2 + tau l/n)/((1 - tau) l)), l = lambda_0/alpha^2  (upper)

Delta and Delta_x are what H(k) leaves of G and K_x(k) of K_x; eps and eps_x bound I_1 and its like at x over eta ||r||.
Derived here: r(k+1) - (I - eta G) r(k) = eta (G - H(k)) r(k) + I_1(k), so that departures are sums of these against
powers of I - eta G; those of the field add up to H(0)^(-1), and K_x H(0)^(-1) K_x^T <= H_xx, so that ||K_x||/lambda_min
need not be paid. The equation for ||r(k)|| is Theorem 4.1 of arXiv 1901.08584, here with constants. Two orthonormal
inputs and two test points: 6,618 neurons and alpha = 1024 for tau = 1/8 and sigma = 1/50, at delta = 1/10.
"""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, n, residual_0
from ntkverify.instances import bounded_targets, families, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.relu.all_points import AllPoints
from ntkverify.lemmas.relu.learnt import LearntFunction, departure, field_error, limit_regression, linear_error
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
        and $\alpha \ge \alpha_0$. Then with probability at least $1-\delta$, for all $k$:
        $\|r(k) - (I-\eta H^\infty)^k r(0)\| \le (\tau + \frac32\sigma)\lambda_0\,\eta k\,
        (1-\eta\lambda_0/2)^{(k-1)/2}\|y\|$ and $|f(x) - K_x^\infty (H^\infty)^{-1} y| \le
        \bigl((6\sigma+\tau)(n^{-1/2}+c) + c\,(1-(1-\tau)\eta\lambda_0)^k\bigr)\|y\|$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

q = theorem.quantity("q", lambda run: len(run.tests))
points, half = n + q, Rational(1, 2)
pairs = PairsAndScale(theorem, entries=points**2, points=points, words=("(n + q)^2 entries", "n + q points"))
tau, sigma, zeta, alpha, R = pairs.tau, pairs.sigma, pairs.zeta, pairs.alpha, pairs.R
flips, descent, least = pairs.flips, pairs.descent, pairs.least
m_0 = pairs.width()
alpha_0 = pairs.scale("sufficient scale; lambda_0/alpha^2 is alpha's no more")
weight = theorem.constant(
    "weight",
    derived(
        sqrt((half + tau * least / n) / ((1 - tau) * least)), "H_xx <= alpha^2 (1/2 + tau l/n), H(0) >= (1-tau) H^inf"
    ),
    "||K_x H(0)^(-1)|| <= weight",
)
pushed = theorem.constant(
    "pushed",
    derived(Rational(3, 2) * sigma * lambda_0, "||H(k) - H(0)|| <= sigma lambda_0, I_1 half of it"),
    "Delta + eps",
)
SPLIT = {tau: Rational(1, 8), sigma: Rational(1, 50), zeta: 9}
descent.splits = (SPLIT,)
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


def instance(draw, *, inputs=None, targets=None, tests=None, count=None, **options):
    """Some inputs, and two test points on the sphere, drawn where they are not given."""
    inputs = unit_inputs(draw, count or draw(st.integers(1, 3)), 10, spread=3.0) if inputs is None else inputs
    targets = bounded_targets(draw, len(inputs), 1.0) if targets is None else targets
    tests = unit_inputs(draw, 2, inputs.shape[1], spread=3.0) if tests is None else tests
    given = {"split": SPLIT, "C": 1.0, "delta": 0.1, "steps": 4, **options}
    found = regression_instance(theorem, inputs, targets, **given)
    return replace(found, data={**found.data, "tests": tests})


def own(**options):
    at_width = families.own_width(instance, lambda found: RUN(found, theorem).m_0, alpha=1.0, **options)
    at_scale = families.own_scale(at_width, lambda found: RUN(found, theorem).alpha_0)

    def of(draw):
        found = at_scale(draw)
        return replace(found, step=found.step / found.parameters["alpha"] ** 2)

    return of


TRAINED, LOOSE, ORTHONORMAL, ANY = "trained", "64 neurons, alpha = 1", "two orthonormal inputs", "any two inputs"
OWN, SCALES = (ORTHONORMAL, ANY), {"alpha": st.sampled_from([4.0, 32.0]), "fraction": st.sampled_from([0.3, 1.0])}
FIXED = {"inputs": np.eye(2), "targets": np.array([1.0, -0.5]), "tests": np.array([[0.6, 0.8], [0.8, -0.6]])}
theorem.instances(TRAINED, run=RUN, quick=20)(families.family(instance, power=st.integers(6, 10), **SCALES))
theorem.instances(LOOSE, run=RUN, quick=16)(lambda: instance(None, **FIXED, width=64, alpha=1.0))
theorem.instances(ORTHONORMAL, run=RUN, quick=12)(lambda: own(**FIXED, steps=3)(None))
theorem.instances(ANY, run=RUN, quick=8)(own(count=2, delta=0.4, steps=3))

# ---- links on any network -------------------------------------------------------------------------------------------

EVERY = (TRAINED, LOOSE, *OWN)
learnt = LearntFunction(theorem, descent)
descent.recursion(on=EVERY, assumes=STEP, error=regression_error)
descent.contraction(on=EVERY, assumes=STEP)
descent.sums()
learnt.peak()
learnt.modes(on=EVERY, loose=LOOSE, assumes=STEP)
learnt.field(on=EVERY, loose=LOOSE, assumes=STEP)
learnt.regression(on=EVERY, wide=OWN, assumes=STEP)

# ---- at its own width and scale -----------------------------------------------------------------------------------

SURE = {"holds": with_probability(1 - delta), "on": OWN}
share = (1 + zeta) * flips.kappa * R
reached = AllPoints(theorem, alpha)
flips.density(pairs.radius)
reached.start(entry=tau * lambda_0 / n, share=share, radius=R, on=OWN, holds=with_probability(1 - delta / 2))
reached.moves(descent, on=EVERY, assumes=STEP)
CHAIN = ("initial_kernel", "few_flips", "entries_move", "steps_leave", "max_r ||w_r(k) - w_r(0)||")
descent.spectrum(theorem.lemma, on=ORTHONORMAL, uses=CHAIN)

theorem.lemma(
    "||K_x H(0)^(-1)|| <= weight",
    of="weight_x",
    bound=weight,
    uses=("initial_kernel", "||K_x H(0)^(-1)|| <= sqrt"),
    holds=SURE["holds"],
    on=ORTHONORMAL,
)

# ---- conclusions ----------------------------------------------------------------------------------------------------

c = weight
AWAY = ((6 * sigma + tau) * (1 / sqrt(n) + c) + c * (1 - (1 - tau) * eta * lambda_0) ** k) * residual_0
HELD = (*CHAIN, "eigenvalue_kept", "step_kept", "step_contracts")


def modes(run):
    return departure(run, run.limit_gram)


def spectral(run):
    """| ||r(k)|| - sqrt(sum_i (1 - eta lambda_i)^(2k) (v_i . y)^2) |, (K+1,)."""
    return np.abs(run.residuals - np.linalg.norm(run.linear_residuals(run.limit_gram), axis=1))


def away(run):
    return np.abs(run.field - limit_regression(run)).max(axis=1)


MODES = {"bound": learnt.fading(tau * lambda_0 + pushed), "given": started, "error": linear_error}
theorem.conclusion(
    "||r(k) - (I - eta H^inf)^k r(0)|| <= (tau + 3/2 sigma) lambda_0 eta k (1 - eta lambda_0/2)^((k-1)/2) ||y||",
    of=modes,
    uses=(*HELD, "||r(k) - (I - eta H^inf)^k r(0)|| <= (Delta"),
    **MODES,
    **SURE,
)
theorem.conclusion(
    "||r(k)|| = sqrt(sum_i (1 - eta lambda_i)^(2k) (v_i . y)^2) up to the same",
    of=spectral,
    provenance="reconstructed",
    uses="||r(k) - (I - eta H^inf)^k r(0)|| <= (tau",
    **MODES,
    **SURE,
)
theorem.conclusion(
    "|f(x) - K_x^inf (H^inf)^(-1) y| <= ((6 sigma + tau) (1/sqrt(n) + c) + c (1 - (1 - tau) eta lambda_0)^k) ||y||",
    of=away,
    bound=AWAY,
    error=field_error,
    uses=(*HELD, "|f(x) - f_lin(x)|", "|f_lin(x) -", "|K_x H(0)^(-1) y", "||K_x H(0)^(-1)|| <= weight"),
    **SURE,
)
theorem.control(
    "the same at once, without what fades",
    of=away,
    bound=(6 * sigma + tau) * (1 / sqrt(n) + c) * residual_0,
    **SURE,
)
theorem.conclusion(
    "no weight moves further than R", of="drift", bound=R, holds=SURE["holds"], on=ORTHONORMAL, uses=HELD
)
CONTROL = {"holds": SURE["holds"], "assumes": STEP}
theorem.control("64 neurons, alpha = 1: the modes", of=modes, on=LOOSE, **MODES, **CONTROL)
