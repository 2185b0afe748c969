r"""Nesterov's method trains a wide two-layer ReLU network at a rate of the root of its condition number.

Network     f(x) = m^(-1/2) sum_r a_r relu(w_r . x), w_r(0) ~ N(0, I_d), a_r = +-1 fair and frozen
Method      v <- beta v - eta grad L(w), w <- w + beta v - eta grad L(w), from v = 0, w being the extrapolated points;
            eta = 1/||H(0)||, beta = (1 - u/2)/(1 + u/2), u = 1/sqrt(kappa), kappa = ||H(0)||/lambda_min(H(0)) >= 2
Guarantee   |x(k)| <= 3 sqrt(kappa) (rho + u/4)^k |x(0)|, x(k) = (r(k+1), r(k)), rho^2 = beta (1 - u^2)  (upper)
Hypotheses  |phi(k)| <= u/4 (rho + u/4)^k |x(0)|, which |phi(k)| <= |x(k)|/(12 kappa) implies;
            phi(k) = r(k+2) - (1 - eta H(0)) ((1 + beta) r(k+1) - beta r(k))

Only abstracts (arXiv 2107.01832, 2208.03941: the order of heavy ball's rate, then a better constant) were at hand;
this is derived here. A mode has the recursion of heavy ball with b = beta (1 - z) in place of beta, so that the modulus
of the roots falls with z; with this beta all of them are complex. rho <= 1 - u/2, heavy ball's, at every kappa.
"""

from hypothesis import strategies as st
from sympy import Interval

from ntkverify import Source, Theorem, always
from ntkverify.instances import bounded_targets, families, two_inputs, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.recursions.momentum import Momentum, u
from ntkverify.lemmas.recursions.runs import MomentumRun, WithoutMomentum
from ntkverify.lemmas.rounding import TINY, ULP
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Nesterov's method, two-layer ReLU regression",
    source=Source(provenance="derived"),
    statement=r"""
        Let $\eta = 1/\|H(0)\|$, $u = 1/\sqrt\kappa$, $\beta = (1 - u/2)/(1 + u/2)$, $\rho^2 = \beta(1 - u^2)$,
        $\kappa \ge 2$ and $x_k = (r_{k+1}, r_k)$. As long as $|\varphi_k| \le \frac u4(\rho + u/4)^k |x_0|$:
        $|x_k| \le 3\sqrt\kappa\,(\rho + u/4)^k |x_0|$.
    """,
)
method = Momentum(theorem, nesterov=True)
premises.unit_inputs(theorem)


@theorem.assumption("H(0) positive definite")
def definite(run):
    # beyond rounding: where all neurons are inactive on an input, step and momentum would divide by 0
    return run.spectrum[0] - run.n * ULP * run.spectrum[-1] - TINY


@theorem.assumption("condition number at least 2")
def conditioned(run):
    return 0.5 - run.u**2


class NesterovRun(MomentumRun):
    """Momentum taken at the extrapolated points."""

    nesterov = True


def instance(draw, *, width, cosine, steps=12):
    """Two inputs at this angle, where kappa of H^inf is 2.5, 3.3 or 4.5, or some 25; or three at random."""
    inputs = unit_inputs(draw, 3, 3) if cosine is None else two_inputs(cosine)
    data = {"inputs": inputs, "targets": bounded_targets(draw, len(inputs), 1.0)}
    return Instance(data=data, parameters={"C": 1.0, "delta": 0.25}, width=width, steps=steps)


class PlainRun(WithoutMomentum):
    """Gradient descent, measured as Nesterov's method is."""

    nesterov = True


ANY, WIDE = "two or three inputs, any width", "two inputs, 4096 neurons"
CLOSE, NARROW = "two close inputs, 4096 neurons", "two close inputs, 32 neurons"
PLAIN, LONG = "two close inputs, 4096 neurons, gradient descent", {"cosine": 0.98, "steps": 160}
angles = st.sampled_from([0.6, 0.7, 0.8, None])
theorem.instances(ANY, run=NesterovRun, quick=30)(families.family(instance, power=st.integers(6, 12), cosine=angles))
theorem.instances(WIDE, run=NesterovRun, quick=20)(families.family(instance, width=2**12, cosine=0.6))
theorem.instances(CLOSE, run=NesterovRun, quick=10)(families.family(instance, width=2**12, **LONG))
# of fewer all may be inactive on both inputs, where H(0) is 0
theorem.instances(NARROW, run=NesterovRun, quick=20)(families.family(instance, width=2**5, **LONG))
theorem.instances(PLAIN, run=PlainRun, quick=20)(families.family(instance, width=2**12, **LONG))

method.powers()
method.perturbed()
theorem.conclusion(
    "rho <= 1 - u/2: the roots are smaller than heavy ball's",
    of=method.rho,
    holds=always,
    bound=1 - u / 2,
    over={u: Interval.Lopen(0, 1)},
)
method.conditional(on=(ANY, WIDE, CLOSE))
method.at_width(WIDE, on=(WIDE, CLOSE), few=NARROW, narrow=NARROW, plain=PLAIN)
