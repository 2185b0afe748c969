r"""Gradient descent on a ReLU^3 physics-informed network with nothing measured: pairs and an output scale.

Network     u(x) = alpha m^(-1/2) sum_r a_r relu(w_r . (x, 1))^3;  pairs share w_r(0) ~ N(0, I) and have opposite fair
            signs a_r, so that u = 0 at the start;  lambda_0, H^inf are those of this u, of the order of alpha^2
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta grad L(w(k)), eta <= 2/(3 ||H^inf||)
Guarantee   with probability at least 1 - delta, for all k: L(k) <= (1 - eta lambda_0/2)^k L(0),
            lambda_min(H(k)) >= lambda_0/2, eta ||H(k)|| <= 1, ||I_1(k)|| <= epsilon lambda_0 eta ||r(k)||  (upper)
Hypotheses  m >= 64 V alpha^4/(delta lambda_0^2), that of the initial Gram matrix; alpha >= alpha_0(m)

Theorem 3.7 of arXiv 2408.00573, whose width is reconstructed as of the order of d^8/lambda_0^4. While no sign changes
the Jacobian is Lipschitz: it moves by gamma sqrt(lambda_0) at most, gamma = 1/10, along the way, which is
4 sqrt(3/2 ||H^inf||) ||r(0)||/lambda_0 long, and I_1 is half of its slope times |dw|^2 <= eta ||r||^2. The trace of
H^inf is of the order of d^2 (Remark 3.8), so that a step 2/(3 tr H^inf) needs no spectrum: families take it too.
"""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, always, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, limit_norm, loss_0, residual, residual_0
from ntkverify.instances import families
from ntkverify.lemmas import premises
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.pinn import unswitched
from ntkverify.lemmas.pinn.unswitched import Unswitched, alpha
from ntkverify.lemmas.rounding import loss_error, started
from ntkverify.problems.pinn import pinn

theorem = Theorem(
    "Gradient descent, ReLU^3 physics-informed network with coupled pairs and output scale",
    source=Source(arxiv="2408.00573", version=4, where="Theorem 3.7, Remark 3.8", provenance="derived"),
    statement=r"""
        Let neurons come in pairs with opposite signs, $0 < \eta \le 2/(3\|H^\infty\|_2)$,
        $m \ge 64 V\alpha^4/(\delta\lambda_0^2)$ and $\alpha \ge \alpha_0(m)$. Then with probability at least
        $1-\delta$, for all $k$: $L(k) \le (1-\eta\lambda_0/2)^k L(0)$.
    """,
)

descent, signs = GradientDescent(theorem), Unswitched(theorem)
gamma, path = signs.path(descent.drift_factor)
alpha_0 = signs.scale(
    (signs.slope * path, gamma * sqrt(lambda_0)), (signs.slope * residual_0 / 2, descent.epsilon * lambda_0)
)
premises.step_at_most(theorem, "step at most 2/(3 ||H^inf||)", descent.eta_max)
theorem.declare(data=premises.PINN_DATA, parameters={"delta": 0.1})
STEP = "step at most 2/(3 ||H^inf||)"

# ---- instances ----------------------------------------------------------------------------------------------------

RUN = pinn(activation="relu3", coupled=True)


def stepped(build):
    """At the largest step, or that with the trace of H^inf in place of its norm."""

    def of(draw):
        found = build(draw)
        run = RUN(found, theorem)
        norm = draw(st.sampled_from([run.limit_norm, np.trace(run.limit_gram)]))
        return replace(found, step=float(run.eta_max * run.limit_norm / norm))

    return of


def four_samples(scale):
    return stepped(families.family(unswitched.four_samples, alpha=scale, steps=4))


at_width = families.own_width(unswitched.two_samples, lambda found: RUN(found, theorem).width, steps=3)
at_both = stepped(families.own_scale(at_width, lambda found: RUN(found, theorem).alpha_0))
OWN, NARROW, FEW = "its own width and scale", "a hundredth of the width", "few pairs"
SCALED, UNSCALED = "four samples, 1000 neurons, alpha = 100", "four samples, 1000 neurons, alpha = 1"
theorem.instances(OWN, run=RUN, quick=20)(at_both)
theorem.instances(NARROW, run=RUN, quick=20)(lambda draw: families.hundredth(at_both(draw)))
theorem.instances(SCALED, run=RUN, quick=20)(four_samples(100.0))
theorem.instances(FEW, run=RUN, quick=60)(stepped(lambda draw: unswitched.few_pairs(draw, steps=3)))
theorem.instances(UNSCALED, run=RUN, quick=20)(four_samples(1.0))
EVERY, SURE = (OWN, SCALED, UNSCALED), with_probability(1 - delta)
BOTH, MOVING = (OWN, SCALED), (SCALED, UNSCALED, FEW)

# ---- the chain ----------------------------------------------------------------------------------------------------

signs.zero_start(on=EVERY)
signs.events(starts=SCALED, on=OWN, narrow=NARROW)
signs.gram(on=MOVING)
theorem.lemma(
    "||I_1(k)|| <= alpha C_L B eta ||r(k)||^2/(2 sqrt(m)) while no sign changes and eta ||H(k)|| <= 1",
    of="remainder",
    holds=always,
    bound=signs.slope * eta * residual**2 / 2,
    on=MOVING,
    assumes=(),
    given=lambda run: signs.stays(run)[1:] & (run.eta * run.eigenvalues[:-1, -1] <= 1),
    error=lambda run: run.remainder_error,
)
descent.recursion(on=EVERY, assumes=STEP)
descent.contraction(on=EVERY, assumes=STEP)
descent.sums()
descent.implication(on=EVERY, assumes=STEP)
signs.moved(on=BOTH, assumes=STEP, given=descent.chain_so_far, uses="sums")
signs.stays_on_path(on=BOTH, chain=descent.chain_so_far, assumes=STEP)

# ---- conclusions --------------------------------------------------------------------------------------------------

CHAIN = (
    "no neuron starts",
    "(|w_r(0)| + 1)^2",
    "||H(0) - H^inf||_F",
    "max_r |w_r(k)",
    "||w(k) - w(0)||",
    *unswitched.GAMMA,
)
descent.spectrum(theorem.conclusion, on=OWN, uses=(*CHAIN, "||H(k) - H(0)||_F"))


def small(run):
    """||I_1||, its rounding counted, over lambda_0 eta ||r||."""
    return ((run.remainder + run.remainder_error) / (run.eta * run.residual * run.lambda_0)).max()


def changed(run):
    return run.gram_drift.max() / run.lambda_0


GRAM, PUSH = "||H(k) - H(0)||_F <= lambda_0/4", "||I_1(k)|| <= epsilon lambda_0 eta ||r(k)|| at every step"
AT_SCALE = {"holds": SURE, "assumes": ()}
theorem.conclusion(PUSH, of=small, bound=descent.epsilon, on=OWN, uses=(*CHAIN, "||I_1(k)|| <= alpha"), **AT_SCALE)
theorem.conclusion(f"{SCALED}: {PUSH}", of=small, bound=descent.epsilon, on=SCALED, **AT_SCALE)
theorem.conclusion(f"{SCALED}: {GRAM}", of=changed, bound=Rational(1, 4), on=SCALED, **AT_SCALE)
theorem.control(f"{UNSCALED}: {GRAM}", of=changed, bound=Rational(1, 4), on=UNSCALED, **AT_SCALE)
RATE = {"of": "losses", "holds": SURE, "error": loss_error, "given": started}
theorem.conclusion(
    "L(k) <= (1 - eta lambda_0/2)^k L(0) for all k",
    bound=descent.contracted,
    on=OWN,
    uses=("eigenvalue_kept", "step_kept", PUSH, "implication"),
    **RATE,
)
theorem.conclusion(
    f"{SCALED}: L(k) <= (1 - eta lambda_0/2)^k L(0) for all k",
    bound=descent.contracted,
    on=SCALED,
    assumes=STEP,
    **RATE,
)
fast = (1 - eta * limit_norm) ** k * loss_0
theorem.control("the rate (1 - eta ||H^inf||)^k", bound=fast, on=SCALED, assumes=STEP, **RATE)
theorem.conclusion("no weight moves further than R", of="drift", holds=SURE, bound=signs.R, on=OWN, uses=CHAIN)
theorem.control("drift falls like 1/alpha^2: R/alpha", of="drift", holds=SURE, bound=signs.R / alpha, on=OWN)
