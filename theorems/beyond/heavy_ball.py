r"""Heavy ball trains a wide two-layer ReLU network at a rate of the root of its condition number.

Network     f(x) = m^(-1/2) sum_r a_r relu(w_r . x), w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Method      v <- beta v - eta grad L(w), w <- w + v, from v = 0; eta = 1/||H(0)||, beta = (1 - 1/(2 sqrt(kappa)))^2,
            kappa = ||H(0)||/lambda_min(H(0)), lambda_min(H(0)) > 0
Guarantee   |x(k)| <= 4 sqrt(kappa) (1 - 1/(4 sqrt(kappa)))^k |x(0)|, x(k) = (r(k), r(k-1))  (upper)
Hypotheses  |phi(k)| <= (1 - 1/(4 sqrt(kappa)))^k |x(0)|/(4 sqrt(kappa)), which |phi(k)| <= |x(k)|/(16 kappa) implies;
            phi(k) = r(k+1) - (1 + beta) r(k) + beta r(k-1) + eta H(0) r(k)

Wang, Lin and Abernethy (ICML 2021) have a rate of this order for one-layer wide ReLU networks (abstract); their
constants were not at hand and are derived here. A mode has ||A^t|| <= (1 + beta + sqrt((1 + beta)^2 - h))/sqrt(h)
beta^(t/2), h = 4 beta - (1 + beta - z)^2, the least such constant; 2 (1 + beta)/sqrt(h) is simpler and the same in the
limit of large kappa; with sqrt(2) in place of 2 it is too small. Gradient descent, the same without momentum, has 1 -
1/kappa for its slowest mode: at kappa = 100 it is above the bound from some 240 steps on.
"""

from hypothesis import strategies as st

from ntkverify import Source, Theorem
from ntkverify.instances import bounded_targets, families, two_inputs, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.recursions.momentum import Momentum
from ntkverify.lemmas.recursions.runs import MomentumRun
from ntkverify.lemmas.rounding import TINY, ULP
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Heavy ball, two-layer ReLU regression",
    source=Source(provenance="derived"),
    statement=r"""
        Let $\eta = 1/\|H(0)\|$, $\beta = (1 - 1/(2\sqrt\kappa))^2$ and $x_k = (r_k, r_{k-1})$. As long as
        $|\varphi_k| \le \frac{1}{4\sqrt\kappa}(1 - \frac{1}{4\sqrt\kappa})^k |x_0|$:
        $|x_k| \le 4\sqrt\kappa\,(1 - \frac{1}{4\sqrt\kappa})^k |x_0|$.
    """,
)
ball = Momentum(theorem)
premises.unit_inputs(theorem)


@theorem.assumption("H(0) positive definite")
def definite(run):
    # beyond rounding: where all neurons are inactive on an input, step and momentum would divide by 0
    return run.spectrum[0] - run.n * ULP * run.spectrum[-1] - TINY


def instance(draw, *, width, cosine=None, steps=12):
    """Two inputs at this angle, or two or three at random, where kappa is 1 to some hundreds."""
    inputs = unit_inputs(draw, draw(st.integers(2, 3)), 3) if cosine is None else two_inputs(cosine)
    data = {"inputs": inputs, "targets": bounded_targets(draw, len(inputs), 1.0)}
    return Instance(data=data, parameters={"C": 1.0, "delta": 0.25}, width=width, steps=steps)


ANY, WIDE = "random inputs, any width", "orthonormal inputs, 4096 neurons"
CLOSE, NARROW = "two close inputs, 4096 neurons", "two close inputs, 32 neurons"
LONG = {"cosine": 0.98, "steps": 160}  # a kappa of some 25
theorem.instances(ANY, run=MomentumRun, quick=30)(families.family(instance, power=st.integers(6, 12)))
theorem.instances(WIDE, run=MomentumRun, quick=20)(families.family(instance, width=2**12, cosine=0.0))
theorem.instances(CLOSE, run=MomentumRun, quick=10)(families.family(instance, width=2**12, **LONG))
# of fewer all may be inactive on both inputs, where H(0) is 0
theorem.instances(NARROW, run=MomentumRun, quick=20)(families.family(instance, width=2**5, **LONG))

ball.powers()
ball.perturbed()
ball.conditional(on=(ANY, WIDE, CLOSE))
ball.at_width("two inputs, 4096 neurons", on=(WIDE, CLOSE), few=NARROW, narrow=NARROW)
