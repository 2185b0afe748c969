r"""Features that vanish at both ends: finite differences inherit the decay of the features. AF6.

Setting     interval (0, l), N interior points of spacing h, features that vanish at both ends with values Phi (N x M)
            on the grid; for p = 2 continued oddly beyond them
Guarantee   A_FD = D^p Phi, D tridiagonal with singular values (4/h^2) sin^2(k pi h/(2 l)), all in [8/l^2, 4/h^2):
            (8/l^2)^p sigma_k(Phi) <= sigma_k(A_FD) <= (4/h^2)^p sigma_k(Phi) for every k (8/l^2 sharp, at N = 1)
            No such bound holds for A_AD: features of size 1/4 exist whose second derivative vanishes at the points

Derived (2405.14099's own argument was not at hand). Singular values are enclosed in balls.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, Source, Theorem, always, identity
from ntkverify.arithmetic.balls import as_balls
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.network.stencils import central_stencil

theorem = Theorem(
    "Features with hard boundary conditions: finite differences keep every singular value",
    source=Source(arxiv="2405.14099", version=4, where="small singular values", provenance="derived"),
    statement=r"$\sigma_k(A_{FD}) \ge (8/l^2)^p\, \sigma_k(\Phi)$ for all $k$ if the features vanish at both ends.",
)

p, length, h = sympy.symbols("p length h", positive=True)
gain = theorem.constant("gain", 8 / length**2, "least singular value of the second difference, at N = 1")
most = theorem.constant("most", 4 / h**2, "no singular value of the second difference reaches it")


class HardRun(AlgebraRun):
    """Values of features on the grid, and their second derivatives there."""

    @property
    def h(self):
        """Spacing."""
        return self.length / (len(self.values) + 1)

    @functools.cached_property
    def difference(self):
        """D, (N, N): the stencil without its columns at the ends, where the features vanish."""
        return np.asarray(central_stencil(2).matrix(len(self.values), 1.0)[:, 1:-1])

    @functools.cached_property
    def by_differences(self):
        """sigma(A_FD), with the factor h^-2p."""
        power = np.linalg.matrix_power(self.difference.astype(int), int(self.p))
        found = self.singular_values(lambda: as_balls(power) @ as_balls(self.instance.array("values")))
        return found / self.h ** (2 * self.p)

    @functools.cached_property
    def of_features(self):
        """sigma(Phi)."""
        return self.singular_values(lambda: as_balls(self.instance.array("values")))


@theorem.instances("smooth features", run=HardRun, quick=30)
def smooth(draw):
    """x (l - x) sin(w x + b), nearly dependent."""
    size, length = draw(st.integers(1, 8)), draw(st.sampled_from([0.5, 1.0, 3.0]))
    rng = generator(draw)
    x = length * np.arange(1, size + 1)[:, None] / (size + 1)
    values = x * (length - x) * np.sin(rng.uniform(-3, 3, size) * x + rng.uniform(-3, 3, size))
    return Instance(data={"values": values}, parameters={"length": length, "p": draw(st.integers(1, 2))})


@theorem.instances("eigenvectors", run=HardRun, quick=12)
def eigenvectors(draw):
    """Phi a multiple of 1: the singular values are D's own times it."""
    size, times = draw(st.integers(1, 8)), draw(st.sampled_from([0.25, 1.0, 4.0]))
    length = draw(st.sampled_from([1.0, 2.0]))
    return Instance(data={"values": times * np.eye(size)}, parameters={"length": length, "p": 1})


@theorem.instances("flat at its top", run=HardRun, quick=1)
def flat():
    """x (1 - x) (1 + 4 (x - 1/2)^2) at x = 1/2: its value is 1/4, its second derivative 0."""
    x = sympy.Symbol("x")
    feature = x * (1 - x) * (1 + 4 * (x - sympy.Rational(1, 2)) ** 2)
    value, curvature = (float(e.subs(x, sympy.Rational(1, 2))) for e in (feature, sympy.diff(feature, x, 2)))
    return Instance(data={"values": [[value]], "curvature": [[curvature]]}, parameters={"length": 1.0, "p": 1})


inherited = theorem.quantity("inherited", lambda run: run.of_features)
FEATURES = ("smooth features", "eigenvectors")


def continued(run, sign):
    """The stencil of order 2p on the features, zero at both ends and beyond them sign times their mirror image."""
    inside, p = run.values, int(run.p)
    ends = np.zeros((1, inside.shape[1]))
    circle = np.concatenate([ends, inside, ends, sign * inside[::-1]])  # of period 2 l
    places = np.arange(1 - p, len(inside) + p + 1) % len(circle)
    return central_stencil(2 * p).matrix(len(inside), 1.0) @ circle[places]


CONTINUED = {
    "holds": identity,
    "on": "smooth features",
    "error": lambda run: 2.0**4 * 4.0 ** int(run.p) * np.finfo(float).eps * np.abs(run.values).max(),
}


@theorem.lemma("the differences of odd continuations are D^p Phi", **CONTINUED)
def odd(run):
    return np.linalg.matrix_power(run.difference, int(run.p)) @ run.values, continued(run, -1)


@theorem.control("the differences of even continuations are D^p Phi", **CONTINUED)
def even(run):
    return np.linalg.matrix_power(run.difference, int(run.p)) @ run.values, continued(run, 1)


@theorem.lemma(
    "the singular values of D are (4/h^2) sin^2(k pi h/(2 l))",
    holds=identity,
    on="eigenvectors",
    error=lambda run: 2.0**-38 * 4 / run.h**2,
)
def of_the_difference(run):
    k = np.arange(len(run.values), 0, -1)
    return run.by_differences / run.of_features, 4 / run.h**2 * np.sin(k * np.pi * run.h / (2 * run.length)) ** 2


@theorem.conclusion(
    "sigma_k(A_FD) >= (8/l^2)^p sigma_k(Phi) for every k",
    holds=always,
    bound=gain**p * inherited,
    from_below=True,
    on=FEATURES,
    error=lambda run: 2.0**-38 * run.by_differences,
    attained=True,  # by a single point
)
def kept(run):
    return run.by_differences


@theorem.conclusion(
    "sigma_k(A_FD) <= (4/h^2)^p sigma_k(Phi) for every k",
    holds=always,
    bound=most**p * inherited,
    on=FEATURES,
    error=lambda run: 2.0**-38 * run.by_differences,
)
def amplified(run):
    return run.by_differences


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "automatic differentiation inherits the decay as well",
    holds=always,
    bound=gain**p * inherited,
    from_below=True,
    on="flat at its top",
)
def automatic(run):
    """Of a single feature at a single point."""
    return abs(run.curvature[0])


@theorem.control(
    "the gain is pi^2/l^2, the least eigenvalue of the derivative itself",
    holds=always,
    bound=(sympy.pi / length) ** (2 * p) * inherited,
    from_below=True,
    on="eigenvectors",
    error=lambda run: 2.0**-38 * run.by_differences,
)
def continuous_gain(run):
    return run.by_differences
