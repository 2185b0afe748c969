"""Second routes to limit kernels: 50-digit quadrature with its instances, and sampled neurons."""

import functools
import math
import os

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.neuron import random_features_neuron
from ntkverify.symbolic.network.operators import coordinates, identity

DIGITS = 50
BITS = 200  # 60 digits; the rules below err by less than 1e-52 of their integrand
COUNT = 200
INSTANCES = settings(
    max_examples=COUNT,
    deadline=None,
    # the same instances every time, unless others are asked for
    derandomize=not os.environ.get("NTKVERIFY_TESTS_DRAW_ANEW"),
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # shrinking would cost minutes of 50-digit quadrature
)
TINY = 1e-8

angles = st.one_of(
    st.floats(TINY, math.pi - TINY),
    st.floats(-8, 0).map(lambda e: 10.0**e),
    st.floats(-8, 0).map(lambda e: math.pi - 10.0**e),
    st.sampled_from([TINY, math.pi - TINY, 1e-4, math.pi / 2, math.pi - 1e-4]),
)
norms = st.floats(0.05, 1.5)


@functools.cache
def gram_of(activation, law=None):
    """The covariance E[sigma(w.x) sigma(w.x')] of a network without biases; normal weights if no law is given."""
    neuron = random_features_neuron(activation, {"data": identity(coordinates("x_0 x_1"))})
    return limit_gram(neuron, laws=None if law is None else dict.fromkeys(neuron.frozen, law))


def points_at(rho, rho2, angle):
    """Two float64 points in the plane; everything exact starts from their rounded coordinates."""
    return np.array([[rho, 0.0], [rho2 * np.cos(angle), rho2 * np.sin(angle)]])


def exact_geometry(points):
    """Both norms, cosine and sine of the angle between two float64 points, as balls of about 60 digits."""
    from flint import arb

    x, y = ([arb(float(c)) for c in p] for p in points)
    rho, rho2 = ((p[0] * p[0] + p[1] * p[1]).sqrt() for p in (x, y))
    cosine = (x[0] * y[0] + x[1] * y[1]) / (rho * rho2)
    return rho, rho2, cosine, abs(x[0] * y[1] - x[1] * y[0]) / (rho * rho2)


def trapezoid_nodes(*, strip=math.inf, growth=0.0, digits=53):
    """Nodes and weights of the trapezoidal rule for E f(u), u normal, where |f(u + iy)| grows like exp(growth y^2).

    With step h the rule errs by about exp(-2 pi d/h + (growth + 1/2) d^2) for every d below the strip in which f is
    analytic; the step is the one for which the best d gives so many digits. It is cut where the density is as small.
    """
    from flint import arb

    small = digits * math.log(10)
    d = min(0.95 * strip, math.sqrt(small / (growth + 0.5)))
    step = 2 * math.pi * d / (small + (growth + 0.5) * d * d)
    last = math.ceil(math.sqrt(2 * small) / step)
    nodes = [arb(k) * arb(step) for k in range(-last, last + 1)]
    scale = arb(step) / (2 * arb.pi()).sqrt()
    return nodes, [scale * (-u * u / 2).exp() for u in nodes]


@functools.cache
def _entire_rule():
    # two factors exp(-(rho u)^2) or erf(rho u) with norms up to 1.5
    return trapezoid_nodes(growth=2 * 1.5**2)


def smooth_expectation(function):
    """E f(u) for a product of two of the entire functions of the families, at the norms that are drawn."""
    return sum(w * function(u) for u, w in zip(*_entire_rule(), strict=True))


@functools.cache
def legendre(count):
    """Gauss-Legendre on [-1, 1]."""
    from flint import arb

    return [arb.legendre_p_root(count, k, weight=True) for k in range(count)]


def relative_to(expected, points, gram, *, signed):
    """What 1e-12 is relative to: the value itself, or for kernels that change sign sqrt(K(x, x) K(x', x')).

    The latter is what rounding of a sum of terms of both signs is relative to.
    """
    if not signed:
        return abs(expected)
    exact = gram.matrix_balls(points, BITS)
    return (exact[0, 0] * exact[1, 1]).sqrt()


class Agreement:
    """Compares the limit Gram matrix with a 50-digit value in float64, in mpmath and in balls, and keeps count.

    Parameters
    ----------
    activation : str or Activation
    signed : bool
        Whether the terms of the kernel have both signs, so that it is held against its natural size.
    law : Uniform, optional
    """

    def __init__(self, activation, *, signed=False, law=None):
        self.gram, self.signed = gram_of(activation, law), signed
        self.relative = []

    def __call__(self, points, expected):
        from flint import arb, fmpq

        size = relative_to(expected, points, self.gram, signed=self.signed)
        got = arb(float(self.gram.matrix(points)[0, 1]))
        self.relative.append(bool(abs(got - expected) <= arb(1e-12) * abs(expected)))
        assert abs(got - expected) <= arb(1e-12) * size
        number = self.gram.matrix_mpmath(points, DIGITS)[0][1]
        sign, mantissa, exponent, _ = number._mpf_
        exact = arb(fmpq((-1) ** sign * int(mantissa))) * arb(2) ** int(exponent)
        assert abs(exact - expected) <= arb("1e-40") * size
        ball = self.gram.matrix_balls(points, 128)[0, 1]
        # the reference with the error of its rule; a ball that is smaller than that can only be met
        reference = expected + size * arb(0, 1e-48)
        assert ball.contains(reference) if ball.rad() > 2 * reference.rad() else ball.overlaps(reference)
        assert ball.rad() < size * arb("1e-25")

    def share(self):
        """The share of the instances on which the value agrees to 1e-12 of itself, with their number."""
        return sum(self.relative) / len(self.relative), len(self.relative)


def check_by_sampling(gram, points, *, seed, laws=None, m=1_000_000):
    """Every entry of the feature matrix within 4 standard errors of the mean over m sampled neurons.

    An entry is a false alarm with probability 6e-5; the seed is fixed: a test that passes once goes on passing.
    Returns the number of entries.
    """
    neuron, rng = gram.neuron, np.random.default_rng(seed)
    weights = {w: rng.standard_normal(m) for w in (*neuron.weights, *neuron.frozen)}
    for weight, radius in (laws or {}).items():
        weights[weight] = rng.uniform(-radius, radius, m)
    for index, weight in enumerate(weights):
        if gram.derivation.outer_moments.get(index, (0,) * 5)[4] == 1:  # of a sign; 3 of a normal variable
            weights[weight] = np.sign(weights[weight])
    modules = [
        {"PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0), "Softplus": lambda z: np.logaddexp(0.0, z)},
        "scipy",
    ]
    rows = []
    for block in neuron.blocks:
        for gradient in neuron.gradients[block.name]:
            function = sympy.lambdify((*weights, *neuron.coordinates), gradient, modules, cse=True)
            for p in points[block.name]:
                rows.append([np.broadcast_to(g, (m,)) for g in function(*weights.values(), *p)])
    limit = gram.feature_matrix(points)
    for i, u in enumerate(rows):
        for j, v in enumerate(rows[: i + 1]):
            products = sum(a * b for a, b in zip(u, v, strict=True))
            assert abs(products.mean() - limit[i, j]) <= 4 * products.std() / math.sqrt(m), (i, j)
    return len(rows) * (len(rows) + 1) // 2


def needs_balls():
    """Skip where python-flint is missing, and work with 60 digits where it is there."""
    return pytest.importorskip("flint").ctx.workprec(BITS)
