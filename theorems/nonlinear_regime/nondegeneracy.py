r"""Why the limit of a nonlinear residual's kernel is random: the field fills its space, and no slope has constant length.

Lemma S     at a point the derivatives d^a sigma(w.x + b), |a| <= k, are linearly independent in L^2 of the Gaussian
            weights, that is Sigma(x) > 0 and K_Phi(x, x) > 0, if and only if no sigma^(j), j <= k, is identically 0
Lemma N     if K_Phi(x, x) > 0 and R in C^2 is not affine, q(z) = R'(z)^T K_Phi R'(z) is not constant; so the limit
            q(G(x)) of K(0)_xx is a random variable that is not constant, and without atoms if R is real analytic

Both are asserted, and not proved, by arXiv 2402.03864 (proofs of Proposition C.1 and of Theorem 3.4). Lemma S: the
coefficient of lambda^j in sum_j P_j(lambda w) sigma^(j)(z) = 0, w and z independent coordinates, gives P_j sigma^(j) = 0.
Lemma N: in coordinates where K_Phi = 1, |R'| = c is constant, so D^2 R R' = 0: R' is constant along its own lines, and
2cs + const = R(y + sv) - R(y' - sv') <= c|y - y' + s(v + v')| forces v = v' at any two points. Derived here.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, always, identity
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.full_network import full_neuron
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.symbolic.network.operators import Operator, unknown
from ntkverify.symbolic.network.tangent import sums_neuron
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Non-degeneracy of the random limit",
    source=Source(arxiv="2402.03864", version=3, where="proofs of Proposition C.1, Theorem 3.4", provenance="derived"),
    statement=r"""
        $\Sigma(x) > 0$ iff $\sigma^{(j)} \not\equiv 0$ for all $j \le k$; if $R \in C^2$ is not affine,
        $R'(z)^\top \bar K_\Phi R'(z)$ is not constant in $z$.
    """,
)
theorem.erratum("Non-singularity of Sigma is no consequence of the proof of Proposition C.1; Lemma S is what it takes.")

# ---- Lemma S: the covariance at random points ---------------------------------------------------------------------

ORDER = 3


def jet(points):
    """A residual in u, u_x, u_xx and u_xxx: only its sums matter."""
    u, (x_0,) = unknown("u", points), points
    return Operator.from_expression(sum(u.diff(x_0, k) ** 2 for k in range(ORDER + 1)), [u], points)


class JetRun(AlgebraRun):
    """Covariance and kernel of the jet of a network at a point, exact to rounding."""

    activation = "sin"

    @property
    def _limit(self):
        return limit_gram(sums_neuron(full_neuron(self.activation, (("interior", jet),), 1)))

    @property
    def at_point(self):
        """The point once for every sum."""
        names = [block.name for block in sums_neuron(full_neuron(self.activation, (("interior", jet),), 1)).blocks]
        return dict.fromkeys(names, self.instance.array("point"))

    @property
    def covariance(self):
        """Sigma(x) without the output bias, which adds to u alone: the Gram matrix of the derivatives of sigma."""
        found = self._limit.covariance(self.at_point)
        found[0, 0] -= 1
        return found

    @property
    def kernel(self):
        """The limit of K_Phi(x, x)."""
        return self._limit.matrix(self.at_point)


class QuadraticRun(JetRun):
    """An activation whose third derivative is 0."""

    activation = "quadratic"
