r"""Why the limit of a nonlinear residual's kernel is random: the field fills its space, no slope has constant length.

Lemma S     at a point the derivatives d^a sigma(w.x + b), |a| <= k, are linearly independent in L^2 of the Gaussian
            weights, that is Sigma(x) > 0 and K_Phi(x, x) > 0, if and only if no sigma^(j), j <= k, is identically 0
Lemma N     if K_Phi(x, x) > 0 and R in C^2 is not affine, q(z) = R'(z)^T K_Phi R'(z) is not constant; so the limit
            q(G(x)) of K(0)_xx is a random variable that is not constant, and without atoms if R is real analytic

Both are asserted, and not proved, by arXiv 2402.03864 (proofs of Proposition C.1 and of Theorem 3.4). Lemma S: in
sum_j P_j(lambda w) sigma^(j)(z) = 0, w and z independent coordinates, the coefficient of lambda^j is P_j sigma^(j) = 0.
Lemma N: in coordinates where K_Phi = 1, |R'| = c is constant, so D^2 R R' = 0: R' is constant along its own lines, and
2cs + const = R(y + sv) - R(y' - sv') <= c|y - y' + s(v + v')| forces v = v' at any two points. Derived here. Both
proofs are on paper; checked are Lemma S for the sine and z^2, on the line up to k = 3 and in the plane up to k = 2, and
Lemma N for quadratic R, where a second difference says by how much q varies.
"""

from fractions import Fraction
from functools import cache, partial

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Source, Theorem, always, identity
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.limit.enclosures import least_eigenvalue
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import network_neuron
from ntkverify.symbolic.network.operators import coordinates, derivative
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Non-degeneracy of the random limit",
    source=Source(arxiv="2402.03864", version=3, where="proofs of Proposition C.1, Theorem 3.4", provenance="derived"),
    statement=r"""
        $\Sigma(x) > 0$ iff $\sigma^{(j)} \not\equiv 0$ for all $j \le k$, and then $\bar K_\Phi(x, x) > 0$; if
        $R \in C^2$ is not affine, $R'(z)^\top \bar K_\Phi R'(z)$ is not constant in $z$ (on paper; checked for
        quadratic $R$).
    """,
)
theorem.erratum("Non-singularity of Sigma is no consequence of the proof of Proposition C.1; Lemma S is what it takes.")

# ---- Lemma S: the derivatives of u at a point, on the line up to the third, in the plane up to the second -----------

LINE, PLANE = (coordinates(names) for names in ("x_0", "x_0 x_1"))
JETS = {LINE: [(0,), (1,), (2,), (3,)], PLANE: [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]}
QUADRATIC = Activation("quadratic", Z**2)
OUTER, ALL = ("outer",), ("inner", "inner_bias", "outer")


@cache
def limit(activation, points, trained):
    """With outer weights alone Sigma(x), with all K_Phi(x, x), without the output bias, which adds to u alone."""
    operators = {f"order {k}": derivative(points, *k) for k in JETS[points]}
    return limit_gram(network_neuron(activation, operators, trainable=trained, inner_bias=True))


class JetRun(AlgebraRun):
    """Sigma and K_Phi at one point."""

    activation = "sin"

    def _at_point(self, number):
        """The limit's parts at the point, which is the same for every derivative."""
        rows = [[number(x) for x in row] for row in self.instance.data["point"]]
        points = LINE if len(rows[0]) == 1 else PLANE
        return points, {f"order {k}": rows for k in JETS[points]}

    def matrix(self, trained):
        """In float64."""
        points, at = self._at_point(float)
        return limit(self.activation, points, trained).matrix(at)

    def least(self, trained):
        """The least eigenvalue in float64, with the rounding error of the entries and the eigensolver taken off."""
        values = np.linalg.eigvalsh(self.matrix(trained))
        return values[0] - 2.0**-44 * values[-1]

    def certified(self, trained):
        """A lower bound of the least eigenvalue, by balls."""
        points, at = self._at_point(Fraction)
        matrix = limit(self.activation, points, trained).matrix_balls(at, bits=200)
        return float(least_eigenvalue(matrix, bits=200).lower)


class QuadraticJetRun(JetRun):
    """An activation whose third derivative is 0."""

    activation = QUADRATIC


def any_point(dimension):
    def instance(draw):
        return Instance(data={"point": [[draw(st.integers(-16, 16)) / 8 for _ in range(dimension)]]})

    return instance


theorem.instances("sine", run=JetRun, quick=10)(any_point(1))
theorem.instances("sine, in the plane", run=JetRun, quick=10)(any_point(2))
theorem.instances("z^2", run=QuadraticJetRun, quick=5)(any_point(1))

for name, trained in (("Sigma(x)", OUTER), ("K_Phi(x, x)", ALL)):
    theorem.conclusion(
        f"sine: {name} > 0, certified at no less than half of float64's value",
        of=partial(JetRun.certified, trained=trained),
        holds=always,
        bound=theorem.quantity(f"least_{len(trained)}", partial(JetRun.least, trained=trained)) / 2,
        from_below=True,
        on=("sine", "sine, in the plane"),
    )
    theorem.control(
        f"z^2: {name} is regular",
        of=lambda run, trained=trained: np.linalg.eigvalsh(run.matrix(trained))[0],
        holds=always,
        bound=Rational(1, 10**6),
        from_below=True,
        on="z^2",
    )


@theorem.lemma(
    "z^2: the third derivative has no variance and Sigma(x) is singular", holds=always, bound=0, on="z^2", attained=True
)
def singular(run):
    return np.abs(run.matrix(OUTER)[-1]).max()


# ---- Lemma N: quadratic residuals R(z) = z^T M z/2 + b.z ------------------------------------------------------------


class QuadraticRun(AlgebraRun):
    """A kernel root A with K = A A^T, a curvature M, a slope b and two states."""

    @property
    def kernel(self):
        return self.root @ self.root.T

    def q(self, z):
        """R'(z)^T K R'(z)."""
        slope = self.curvature @ z + self.slope
        return slope @ self.kernel @ slope

    @property
    def second_difference(self):
        """q(z) + q(-z) - 2 q(0)."""
        return self.q(self.state) + self.q(-self.state) - 2 * self.q(0 * self.state)

    @property
    def turned(self):
        """|M z|^2."""
        moved = self.curvature @ self.state
        return moved @ moved

    @property
    def lambda_min(self):
        """Least eigenvalue of K, never negative."""
        return abs(np.linalg.eigvalsh(self.kernel)[0])

    @property
    def rounding(self):
        """Of sums of 3 k^2 products of the entries."""
        k = self.instance.array("state").size
        size = 1 + np.abs(self.instance.array("curvature")).sum() * np.abs(self.instance.array("state")).max()
        size += np.abs(self.instance.array("slope")).sum()
        return 2.0**-48 * k**2 * size**2 * np.abs(self.instance.array("root")).sum() ** 2


def quadratic(draw, curvature=None):
    rng = generator(draw)
    k = draw(st.integers(1, 4)) if curvature is None else len(curvature)
    if curvature is None:
        curvature = rng.standard_normal((k, k))
        curvature = curvature + curvature.T
    root = rng.standard_normal((k, k + draw(st.integers(0, 3))))
    vectors = {"slope": rng.standard_normal(k), "state": rng.standard_normal(k)}
    return Instance(data={"root": root, "curvature": curvature, **vectors})


@theorem.instances("quadratic residual", run=QuadraticRun, quick=100)
def any_quadratic(draw):
    return quadratic(draw)


@theorem.instances("Burgers", run=QuadraticRun, quick=40)
def burgers_residual(draw):
    """z = (u, u_t, u_x, u_xx): M couples u and u_x alone."""
    curvature = np.zeros((4, 4))
    curvature[0, 2] = curvature[2, 0] = 1
    return quadratic(draw, curvature)


lambda_min, turned = sympy.symbols("lambda_min turned", positive=True)
BOTH = ("quadratic residual", "Burgers")


@theorem.conclusion(
    "quadratic R: q(z) + q(-z) - 2 q(0) >= 2 lambda_min(K) |M z|^2, so q is not constant unless M is 0",
    holds=always,
    bound=2 * lambda_min * turned,
    from_below=True,
    on=BOTH,
    attained=True,  # by k = 1
    error=lambda run: run.rounding,
)
def varies(run):
    return run.second_difference


@theorem.lemma("R = |z| has |R'| = 1 off the origin: R in C^2 everywhere is needed", holds=identity)
def eikonal():
    z = sympy.symbols("z_:3", real=True)
    length = sympy.sqrt(sum(c**2 for c in z))
    return sum(sympy.diff(length, c) ** 2 for c in z), sympy.Integer(1)


@theorem.control(
    "the same with |z|^2 in place of |M z|^2, whatever the curvature",
    holds=always,
    bound=2 * lambda_min * sympy.Symbol("whole", positive=True),
    from_below=True,
    on="Burgers",
    error=lambda run: run.rounding,
)
def without_curvature(run):
    return run.second_difference


theorem.quantity("whole", lambda run: run.state @ run.state)
