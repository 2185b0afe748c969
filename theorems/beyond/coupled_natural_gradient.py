r"""Natural gradient descent on a ReLU^3 physics-informed network with nothing measured: pairs and an output scale.

Network     u(x) = alpha m^(-1/2) sum_r a_r relu(w_r . (x, 1))^3;  pairs share w_r(0) ~ N(0, I) and have opposite fair
            signs a_r, so that u = 0 at the start;  lambda_0, H^inf are those of this u, of the order of alpha^2
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta J^T (J J^T)^(-1) r(k), 0 < eta < 1
Guarantee   L(k) <= (1 - eta)^k L(0) for all k, with probability at least 1 - delta  (upper)
Hypotheses  m >= 64 V alpha^4/(delta lambda_0^2), that of the initial Gram matrix; alpha >= alpha_0(m)

Theorem 4.7 of arXiv 2408.00573 for ReLU^3, whose width is reconstructed as of the order of d^8/((1 - eta)^2 lambda_0^4)
and is 3e20 neurons with its constants written out. With an output scale the condition on what J may move is met by
alpha and not by m: m = 76,772 for two samples at delta = 3/10, alpha from 4e5 on. That alpha is so large is the proof's
doing, which lets no neuron switch: four samples, 1000 neurons, ||r(0)|| = 10 and alpha = 100 meet the hypothesis, alpha
= 1 does not.
"""

import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Source, Theorem, with_probability
from ntkverify.glossary import delta, lambda_0, residual_0
from ntkverify.instances import families
from ntkverify.lemmas import premises
from ntkverify.lemmas.natural_gradient import NaturalGradient, StableJacobian
from ntkverify.lemmas.pinn import unswitched
from ntkverify.lemmas.pinn.unswitched import Unswitched, alpha
from ntkverify.lemmas.rounding import loss_error, started
from ntkverify.lemmas.stability import farthest
from ntkverify.problems.pinn import pinn
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Natural gradient descent, ReLU^3 physics-informed network with coupled pairs and output scale",
    source=Source(arxiv="2408.00573", version=4, where="Theorem 4.7, ReLU^3", provenance="derived"),
    statement=r"""
        Let neurons come in pairs with opposite signs, $0 < \eta < 1$, $m \ge 64 V\alpha^4/(\delta\lambda_0^2)$ and
        $\alpha \ge \alpha_0(m)$. Then $L(k) \le (1-\eta)^k L(0)$ for all $k$ with probability at least $1-\delta$.
    """,
)

natural, jacobian, signs = NaturalGradient(theorem), StableJacobian(theorem), Unswitched(theorem)
path = theorem.constant(
    "path",
    derived(2 * residual_0 / sqrt(lambda_0 / 2), "geometric series: eta sum_k sqrt(1 - eta)^k <= 2"),
    "||w(k) - w(0)|| <= path",
)
alpha_0 = signs.scale((signs.slope * path, jacobian.allowed))
premises.step_below(theorem, "step below 1", sympy.Integer(1))
theorem.declare(data=premises.PINN_DATA, parameters={"delta": 0.1})

# ---- instances ----------------------------------------------------------------------------------------------------

RUN = pinn(activation="relu3", method="natural gradient", coupled=True)


def two_samples(draw, **options):
    return unswitched.two_samples(draw, step=draw(st.sampled_from([0.1, 0.5, 0.9])), steps=2, **options)


def few_pairs(draw):
    return unswitched.few_pairs(draw, step=draw(st.sampled_from([0.1, 0.5, 0.9])), steps=3)


def four_samples(scale):
    step = st.sampled_from([0.3, 0.5])
    return families.family(unswitched.four_samples, alpha=scale, step=step, steps=3)


at_width = families.own_width(two_samples, lambda found: RUN(found, theorem).width)
at_both = families.own_scale(at_width, lambda found: RUN(found, theorem).alpha_0)
OWN, NARROW, FEW = "its own width and scale", "a hundredth of the width", "few pairs"
SCALED, UNSCALED = "four samples, 1000 neurons, alpha = 100", "four samples, 1000 neurons, alpha = 1"
theorem.instances(OWN, run=RUN, quick=20)(at_both)
theorem.instances(NARROW, run=RUN, quick=20)(lambda draw: families.hundredth(at_both(draw)))
theorem.instances(SCALED, run=RUN, quick=20)(four_samples(100.0))
theorem.instances(FEW, run=RUN, quick=40)(few_pairs)
theorem.instances(UNSCALED, run=RUN, quick=20)(four_samples(1.0))
EVERY, SURE = (OWN, SCALED, UNSCALED), with_probability(1 - delta)

# ---- the chain ----------------------------------------------------------------------------------------------------

signs.zero_start(on=EVERY)
signs.events(starts=SCALED, on=OWN, narrow=NARROW)
signs.lipschitz(on=(OWN, SCALED, FEW))
natural.recursion(on=EVERY, assumes=())
natural.contraction()
natural.epsilon_forms()
jacobian.thresholds()
jacobian.worst_case(assumes="step below 1")
natural.one_step("one step contracts the loss by 1 - eta whenever E(k) is below the threshold", on=EVERY, assumes=())
natural.rate(
    "implication: L(k) <= (1 - eta)^k L(0) while J stays within gamma sqrt((1 - eta) lambda_0) of J(0)",
    given=jacobian.stays,
    on=EVERY,
    assumes=(),
    uses=("step_contracts", "run_step"),
)
signs.moved(on=(OWN, SCALED), assumes=(), given=jacobian.stays, uses="implication")

# ---- conclusions --------------------------------------------------------------------------------------------------

STAYS = {"of": farthest, "holds": SURE, "bound": jacobian.allowed, "assumes": ()}
CHAIN = ("no neuron starts", "(|w_r(0)| + 1)^2", "||H(0) - H^inf||_F", "max_r |w_r(k)", "||J(w) - J(0)|| <= alpha")
theorem.conclusion("J stays within gamma sqrt((1 - eta) lambda_0) of J(0)", on=OWN, uses=CHAIN, **STAYS)
theorem.conclusion(f"{SCALED}: the same", on=SCALED, **STAYS)
theorem.control(f"{UNSCALED}: the same", on=UNSCALED, **STAYS)
RATE = {"of": "losses", "holds": SURE, "error": loss_error, "given": started, "assumes": ()}
theorem.conclusion(
    "L(k) <= (1 - eta)^k L(0) for all k", bound=natural.contracted, on=OWN, uses=("J stays", "implication"), **RATE
)
theorem.conclusion(f"{SCALED}: L(k) <= (1 - eta)^k L(0) for all k", bound=natural.contracted, on=SCALED, **RATE)
theorem.conclusion("no weight moves further than R", of="drift", holds=SURE, bound=signs.R, on=OWN, uses=CHAIN)
theorem.control("drift falls like 1/alpha^2: R/alpha", of="drift", holds=SURE, bound=signs.R / alpha, on=OWN)
natural.too_fast("L(k) <= (1 - eta)^(3k) L(0) for all k", on=SCALED, **{k: v for k, v in RATE.items() if k != "of"})
