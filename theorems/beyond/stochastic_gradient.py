r"""Stochastic gradient descent on single samples: the loss falls linearly in expectation, and likely at all times.

Network     f(x) = alpha m^(-1/2) sum_r a_r relu(w_r . x); lambda_0 = lambda_min(H^inf), c = max_i ||H^inf e_i||^2
Method      w(k+1) = w(k) - eta n r_i(k) grad r_i(k), the sample i uniform, so that r(k+1) = r - eta n r_i H e_i + I_i
One step    E ||r - eta n r_i H e_i||^2 <= (1 - 2 eta lambda_min(H) + eta^2 n max_i ||H e_i||^2) ||r||^2  (reached);
            the best step is lambda_min/(n max_i ||H e_i||^2)
All steps   q_k = (root of that factor + rms_i ||I_i(k)||/||r(k)||)^2 from H(k) and I(k): with probability 1 - delta,
            for all k, L(k) <= q_0 ... q_(k-1) L(0)/delta, at any step and any width  (tight up to a factor of 2; put
            to the test are steps up to four times eta_max)
Guarantee   while lambda_min(H) >= 3/4 lambda_0, ||H e_i||^2 <= 5/4 c and rms_i ||I_i|| <= epsilon lambda_0 eta ||r||,
            at eta <= 4 lambda_0/(5 n c): E[L(k); so before k] <= (1 - eta lambda_0/4)^k L(0) (put to the test is one
            step), and with probability 1 - delta, for all k, L(k) <= (1 - eta lambda_0/4)^k L(0)/delta; no weight moves
            further than a bound of the order of 1/(delta sqrt(m)), with probability 1 - delta

Linear convergence is what the abstract of arXiv 2508.21571 has for physics-informed networks; nothing else of it was
read. I_i is no martingale difference: it is kept by Minkowski's inequality, not dropped. L over its factors is a
supermartingale, so that Ville's inequality has it at all times, and Markov's inequality keeps the path in a ball.
"""

import numpy as np
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Instance, Source, Theorem, with_probability
from ntkverify.glossary import delta, k, lambda_0, loss_0, m, n, residual_0
from ntkverify.instances import bounded_targets, families, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.pinn.unswitched import alpha
from ntkverify.lemmas.relu.single_sample_run import SingleSampleRun
from ntkverify.lemmas.relu.single_samples import SingleSamples
from ntkverify.lemmas.rounding import loss_error, started

theorem = Theorem(
    "Stochastic gradient descent, two-layer ReLU regression",
    source=Source(arxiv="2508.21571", version=1, where="abstract (linear convergence)", provenance="derived"),
    statement=r"""
        Let $0 < \eta \le 4\lambda_0/(5nc)$, $c = \max_i\|H^\infty e_i\|^2$. While $\lambda_{\min}(H) \ge
        \tfrac34\lambda_0$, $\|He_i\|^2 \le \tfrac54 c$ and $(\mathrm{E}\|I\|^2)^{1/2} \le
        \varepsilon\lambda_0\eta\|r\|$: $\mathrm{E}[L(k);\ \text{so before } k] \le (1-\eta\lambda_0/4)^k L(0)$, and
        with probability at least $1-\delta$ for all $k$: $L(k) \le (1-\eta\lambda_0/4)^k L(0)/\delta$.
    """,
)

single = SingleSamples(theorem)
premises.unit_inputs(theorem)
premises.step_at_most(theorem, "step at most 4 lambda_0/(5 n c)", single.eta_max)

# ---- instances ----------------------------------------------------------------------------------------------------


def instance(inputs, targets, *, width, steps, fraction=1.0, scale=1.0, delta=0.3):
    data, parameters = {"inputs": inputs, "targets": targets}, {"C": 1.0, "delta": delta, "alpha": scale}
    step = float(SingleSampleRun(Instance(data=data, parameters=parameters, width=1), theorem).eta_max) * fraction
    return Instance(data=data, parameters=parameters, width=width, step=step, steps=steps)


def any_data(draw, **options):
    count, scale = draw(st.integers(2, 3)), draw(st.sampled_from([0.5, 1.0, 3.0]))
    options |= {"scale": scale}
    return instance(unit_inputs(draw, count, 3), bounded_targets(draw, count, 1.0), **options)


def orthonormal(draw, **options):
    signs = np.array([draw(st.sampled_from([-1.0, 1.0])) for _ in range(2)])
    return instance(np.eye(2), signs, scale=draw(st.sampled_from([1.0, 3.0])), **options)


def oblique(draw, **options):
    """Three inputs of which one is at an angle to both others, so that its column of H^inf is the longest."""
    inputs, scale = np.array([[1, 0, 0], [0.28, 0.96, 0], [0, 0.28, 0.96]]), draw(st.sampled_from([1.0, 3.0]))
    return instance(inputs, bounded_targets(draw, 3, 1.0), scale=scale, **options)


TRAINING, UNSTABLE = "training", "steps up to 4 eta_max"
TWO, THREE, FEW = "two orthonormal inputs", "three inputs", "two orthonormal inputs, 8 neurons"
WIDE, SAID = (TWO, THREE), f"{TWO} or {THREE}, 1024 neurons"
theorem.instances(TRAINING, run=SingleSampleRun, quick=20)(
    families.training(any_data, powers=(5, 8), fractions=(0.5, 1.0, 1.25), steps=4)
)
theorem.instances(UNSTABLE, run=SingleSampleRun, quick=20)(
    families.training(any_data, powers=(1, 8), fractions=(0.1, 1.0, 4.0), steps=12)
)
theorem.instances(TWO, run=SingleSampleRun, quick=40)(families.family(orthonormal, width=1024, steps=24))
theorem.instances(THREE, run=SingleSampleRun, quick=20)(families.family(oblique, width=1024, steps=40))
theorem.instances(FEW, run=SingleSampleRun, quick=40)(families.family(orthonormal, width=8, steps=24))

# ---- the chain ----------------------------------------------------------------------------------------------------

single.linear_steps()
single.room()
single.steps(on=(TRAINING, *WIDE))

# ---- conclusions --------------------------------------------------------------------------------------------------

SURE = {"holds": with_probability(1 - delta)}
LOSS = {"of": "losses", "error": loss_error, **SURE}
single.supermartingale(on=UNSTABLE, where="steps up to 4 eta_max, 2 to 256 neurons")
rate = single.contracted**k * loss_0
DRIFT = {"of": "drift", "on": WIDE, "given": single.chain_so_far, **SURE}
path = single.path_factor * alpha * sqrt(n / m) * residual_0 / (lambda_0 * delta)
theorem.conclusion(
    "max_r |w_r(k) - w_r(0)| <= path_factor alpha sqrt(n) ||r(0)||/(sqrt(m) lambda_0 delta) while the chain holds",
    bound=path,
    uses=("E L(k+1) <= (1", "eta sum_k"),
    **DRIFT,
)
theorem.control("no weight moves further than a hundredth of that", bound=path / 100, **DRIFT)
theorem.conclusion(
    "L(k) <= (1 - slowed eta lambda_0)^k L(0)/delta for all k up to which the chain holds",
    bound=rate / delta,
    on=WIDE,
    given=lambda run: single.chain_so_far(run) & started(run),
    uses="E L(k+1) <= (1",
    **LOSS,
)
CHAIN = {"of": lambda run: single.shares(run).max(), "holds": with_probability(1 - delta / 2), "bound": 1}
theorem.conclusion(f"{SAID}: the chain holds at every step", on=WIDE, **CHAIN)
theorem.control(f"{FEW}: the chain holds at every step", on=FEW, **CHAIN)
theorem.conclusion(
    f"{SAID}: L(k) <= (1 - slowed eta lambda_0)^k 2 L(0)/delta for all k",
    bound=2 * rate / delta,
    on=WIDE,
    given=started,
    uses=(f"{SAID}: the chain holds", "L(k) <= (1 - slowed"),
    **LOSS,
)
theorem.control(
    f"{SAID}: L(k) <= (1 - slowed eta lambda_0)^(16k) 2 L(0)/delta for all k",
    bound=2 * single.contracted ** (16 * k) * loss_0 / delta,
    on=WIDE,
    given=started,
    **LOSS,
)
