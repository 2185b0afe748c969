r"""Implicit gradient descent trains a wide physics-informed network linearly at any step.

Network     u(x) = alpha m^(-1/2) sum_r a_r sigma(w_r . (x, 1)), w_r(0) ~ N(0, I), a_r = +-1 fair and frozen;
            smooth: sigma = tanh, alpha = 1;  explicit: sigma = ReLU^3, neurons in pairs that cancel, output scale alpha
Residuals   r = ((u_t - Lap u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), loss L = 1/2 ||r||^2
Method      w(k+1) = w(k) - eta grad L(w(k+1)), eta > 0: a solution near w(k), by Gauss-Newton rounds until
            rounding is left; that it is the branch that leaves w(k) with eta is not checked
Guarantee   of the solution on the branch that leaves w(k) with eta = 0: others there may be once eta lambda_0 is large
            ||r(k)|| <= (1 + eta lambda_0/4)^-k ||r(0)||, so that L(k) <= (1 + eta lambda_0/2)^-k L(0)  (upper)
Hypotheses  smooth: while lambda_min(H) >= lambda_0/2 and ||I(k)|| <= lambda_0/4 eta ||r(k+1)||, as 512 neurons have it
            at ||r(0)|| = 0.03 and not at 1, where the rate still is seen
            explicit: m >= 64 V alpha^4/(delta lambda_0^2), that of the initial Gram matrix; alpha >= alpha_0(m), in
            which there is no eta: with probability at least 1 - delta

arXiv 2407.02827 has a linear rate for two-layer networks with smooth activations, at a learning rate independent of the
number of samples and of lambda_0 (abstract); its constants were not at hand and are derived here. The explicit theorem
has the width and, but for 24/23 in one of three requirements, the scale of `coupled_gradient_descent`, without its step
2/(3 ||H^inf||): the drift is 4 alpha C_g B^2 ||r(0)||/(sqrt(m) lambda_0) at every eta, for the sum of the steps is.
"""

import math
from dataclasses import replace

from hypothesis import strategies as st
from sympy import Interval, Rational, oo, sqrt

from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.glossary import delta, lambda_0, limit_norm, residual_0
from ntkverify.instances import SEPARATED, families
from ntkverify.lemmas import premises
from ntkverify.lemmas.pinn import unswitched
from ntkverify.lemmas.pinn.moved import REACH, moved
from ntkverify.lemmas.pinn.unswitched import Unswitched
from ntkverify.lemmas.recursions.branch import branch
from ntkverify.lemmas.recursions.implicit import ImplicitDescent
from ntkverify.lemmas.recursions.runs import ImplicitSteps, norm_error
from ntkverify.lemmas.rounding import loss_error, started
from ntkverify.problems.pinn import PinnRun, pinn

theorem = Theorem(
    "Implicit gradient descent at any step, physics-informed network",
    source=Source(arxiv="2407.02827", where="abstract (rate; step free of n and lambda_0)", provenance="derived"),
    statement=r"""
        Let $w(k+1) = w(k) - \eta\nabla L(w(k+1))$, $\eta > 0$, be the solution on the branch that leaves $w(k)$
        with $\eta = 0$. As long as $\lambda_{\min}(H(k)) \ge \lambda_0/2$ and
        $\|I(k)\| \le \frac{\lambda_0}{4}\eta\|r(k+1)\|$: $\|r(k)\| \le (1+\eta\lambda_0/4)^{-k}\|r(0)\|$. For
        ReLU$^3$ in pairs with opposite signs, $m \ge 64 V\alpha^4/(\delta\lambda_0^2)$ and $\alpha \ge \alpha_0(m)$,
        this is so for all $k$ with probability at least $1-\delta$, whatever $\eta$ is.
    """,
)

descent, signs = ImplicitDescent(theorem), Unswitched(theorem)
gamma, path = signs.path(descent.drift_factor)
MOST = Rational(1, 12)  # of slope eta ||r(k+1)||
alpha_0 = signs.scale(
    (signs.slope * path, gamma * sqrt(lambda_0)),
    (signs.slope * residual_0 / (2 - MOST), descent.epsilon * lambda_0),
)
theorem.declare(data=premises.PINN_DATA, parameters={"delta": 0.1})

# ---- instances ----------------------------------------------------------------------------------------------------


class ImplicitRun(ImplicitSteps, PinnRun):
    """A physics-informed network trained implicitly."""


SMOOTH = pinn(activation="tanh", relative=True, kind=ImplicitRun)
PAIRED = pinn(activation="relu3", coupled=True, kind=ImplicitRun)


def lasting(length, *, most, fall):
    """How many steps of `length` times 1/lambda_0 lower the slowest mode of r by `fall`; `most` at most."""
    return min(most, max(1, round(-math.log(fall) / math.log1p(length))))


def at_step(eta, *, width, size, most=8, angle=math.pi / 4):
    """Four samples, lambda_0 = 0.06 and ||H^inf|| = 3.2: gradient descent would diverge at every one of these steps."""
    data = {**SEPARATED, "source": [size * math.cos(angle)] * 2, "values": [size * math.sin(angle)] * 2}
    steps = lasting(0.06 * eta, most=most, fall=1e-5)
    return Instance(data=data, parameters={"delta": 0.3}, width=width, step=eta, steps=steps)


def fixed(eta):
    """The same data every time."""
    return lambda: at_step(eta, width=512, size=0.03, most=80)


def smooth(draw, *, size=0.03, **options):
    """At one of these steps, targets in a direction that is drawn."""
    found = at_step(draw(st.sampled_from(LENGTHS)), size=size, **options)
    return replace(found, data={**found.data, **unswitched.targets(draw, 2, size)})


def stepped(build, times=(0.1, 1.0, 1e2, 1e4), most=4):
    """Steps of so many times 1/lambda_0; after the longest ones what is left of r is soon rounding."""

    def of(draw):
        found, length = build(draw), draw(st.sampled_from(times))
        steps = lasting(length, most=most, fall=1e-3)
        return replace(found, step=length / float(PAIRED(found, theorem).lambda_0), steps=steps)

    return of


def two_samples(draw, *, width):
    """At a probability at which the theorem's width is 65,800 or 92,700."""
    return replace(unswitched.two_samples(draw, width=width, steps=1), parameters={"delta": 0.35})


def few_pairs(draw):
    """Where the changes of J are above their rounding, at a scale at which few signs change."""
    found = unswitched.few_pairs(draw, steps=2)
    return replace(found, parameters={**found.parameters, "alpha": 300.0})


LENGTHS = (1.0, 1e2, 1e4)
at_width = families.own_width(two_samples, lambda found: PAIRED(found, theorem).width)
OWN, SCALED, NARROW = "its own width and scale", "four samples, 1000 neurons, alpha = 100", "a hundredth of the width"
# the scale is 1e6 to 1e9 there, and after longer steps what is left of r is its rounding
at_both = families.own_scale(at_width, lambda found: PAIRED(found, theorem).alpha_0)
at_both = stepped(at_both, times=(0.1, 1.0, 30.0), most=4)
theorem.instances(OWN, run=PAIRED, quick=6)(at_both)
theorem.instances(NARROW, run=PAIRED, quick=20)(lambda draw: families.hundredth(at_both(draw)))
theorem.instances(SCALED, run=PAIRED, quick=12)(
    stepped(families.family(unswitched.four_samples, delta=0.3, alpha=100.0, steps=1))
)
ANY, MOVING = "tanh, any width", "few pairs"
WIDE, EACH = "tanh, 512 neurons, ||r(0)|| = 0.03", [f"tanh, 512 neurons, eta = {eta:g}" for eta in LENGTHS]
FEW, LARGE, EXPLICIT = "tanh, one neuron", "tanh, 512 neurons, ||r(0)|| = 1", "gradient descent at the same steps"
theorem.instances(MOVING, run=PAIRED, quick=12)(stepped(few_pairs, times=(0.1, 1.0), most=2))
theorem.instances(ANY, run=SMOOTH, quick=12)(
    families.family(smooth, power=st.integers(4, 9), size=st.sampled_from([0.1, 1.0]), most=4)
)
for name, eta in zip(EACH, LENGTHS, strict=True):
    theorem.instances(name, run=SMOOTH, quick=8)(fixed(eta))
theorem.instances(FEW, run=SMOOTH, quick=20)(families.family(smooth, width=1, most=2))
theorem.instances(LARGE, run=SMOOTH, quick=20)(families.family(smooth, width=512, size=1.0, most=2))
theorem.instances(EXPLICIT, run=pinn(activation="tanh", relative=True), quick=20)(
    families.family(smooth, width=512, most=2)
)
EVERY, PAIRS = (OWN, SCALED, ANY, *EACH), (OWN, SCALED)
FREE, SURE = {"assumes": ()}, with_probability(1 - delta)

# ---- the chain: any network, any step -----------------------------------------------------------------------------

descent.recursion(on=EVERY, narrow=ANY, **FREE)
descent.any_step(on=EVERY, **FREE)
descent.contraction(on=EVERY, **FREE)
descent.sums()
descent.implication(fast=limit_norm, on=EVERY, **FREE)

# ---- ReLU^3 in pairs: what keeps the chain -------------------------------------------------------------------------

signs.zero_start(on=PAIRS)
signs.events(starts=SCALED, on=OWN, narrow=NARROW)
MOVED = moved(theorem, signs.slope_at(REACH))
signs.gram(on=MOVING, uses=MOVED)
descent.perturbation(
    signs.slope,
    "||I(k)|| <= alpha C_L B ||w(k+1) - w(k)||^2/(2 sqrt(m)) while no sign changes",
    most=MOST,
    on=MOVING,
    given=lambda run: signs.stays(run)[1:],
    uses=MOVED,
    **FREE,
)
BRANCH = branch(theorem, most=MOST)
signs.moved(on=PAIRS, given=descent.chain_so_far, uses="sums", **FREE)
signs.stays_on_path(on=PAIRS, chain=descent.chain_so_far, **FREE)
theorem.lemma(
    "slope eta ||r(k+1)|| <= 4 slope ||r(0)||/lambda_0 <= 1/12, for slope path <= gamma sqrt(lambda_0)",
    of=gamma * sqrt(lambda_0) * descent.drift_factor * residual_0 / lambda_0 / path,
    holds=always,
    bound=MOST,
    over=dict.fromkeys((lambda_0, limit_norm, residual_0), Interval.open(0, oo)),
    given=lambda_0 <= limit_norm,
)

# ---- conclusions --------------------------------------------------------------------------------------------------

CHAIN = ("no neuron starts", "(|w_r(0)| + 1)^2", "||H(0) - H^inf||_F", "max_r |w_r(k)", "||w(k) - w(0)||")
CHAIN += (*unswitched.GAMMA, "||H(k) - H(0)||_F", "the output is zero")
PUSH = ("||I(k)|| <= alpha", "||I|| <= q ||r(k)||", "slope eta ||r(k+1)||", "|w(k+1) - w(k)|^2", *BRANCH)
descent.spectrum_and_push(on=OWN, uses=(*CHAIN, *PUSH))
RATE = {"of": "residuals", "holds": SURE, "error": norm_error, "given": started}
theorem.conclusion(
    f"{descent.sentence} for all k",
    bound=descent.contracted,
    on=OWN,
    uses=("eigenvalue_kept", "push_small", "implication"),
    **RATE,
)
theorem.conclusion(
    "L(k) <= (1 + eta lambda_0/2)^-k L(0) for all k",
    of="losses",
    holds=SURE,
    bound=descent.loss_contracted,
    on=OWN,
    error=loss_error,
    given=started,
    uses=f"{descent.sentence} for all k",
)
theorem.conclusion("no weight moves further than R", of="drift", holds=SURE, bound=signs.R, on=OWN, uses=CHAIN)
theorem.control("no weight moves further than R/1000", of="drift", holds=always, bound=signs.R / 1000, on=OWN)
descent.at_width(f"{WIDE}, eta = 1, 1e2, 1e4", on=EACH, large=LARGE, size="||r(0)|| = 1")
ALWAYS = {**RATE, **FREE, "holds": always}
theorem.control(f"{FEW}: {descent.sentence} for all k", bound=descent.contracted, on=FEW, **ALWAYS)
theorem.control(f"{EXPLICIT}: {descent.sentence} for all k", bound=descent.contracted, on=EXPLICIT, **ALWAYS)
