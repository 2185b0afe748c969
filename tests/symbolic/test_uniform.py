"""Limit Gram matrices of uniform weights: iterated 50-digit quadrature, sampling, and their closed traces."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import example, given
from limit_references import (
    COUNT,
    INSTANCES,
    TINY,
    Agreement,
    angles,
    check_by_sampling,
    gram_of,
    legendre,
    needs_balls,
    norms,
    points_at,
)

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import PositivePower, Z
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.limit.splitting import Uniform
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import network_neuron, random_features_neuron
from ntkverify.symbolic.network.operators import coordinates, identity

RADIUS = sympy.Rational(3, 2)
(X,) = coordinates("x")
T, Y = coordinates("t y")
CUBIC = Activation("cubic", Z**3 - Z + 2)


def rows(points):
    from flint import arb

    return [[arb(float(c)) for c in p] for p in points]


def tensor_mean(function, points, count=40):
    """The mean over the square [-3/2, 3/2]^2 of function(w.x) function(w.x').

    Each coordinate has frequencies up to 2 * 1.5 * 1.5 = 4.5, of which 40 nodes leave (e 4.5/(4 * 40))^80 = 1e-89.
    """
    from flint import arb

    x, y = rows(points)
    radius = arb(3) / 2
    total = arb(0)
    for a, mass in legendre(count):
        for b, other in legendre(count):
            z, z2 = (radius * (a * p[0] + b * p[1]) for p in (x, y))
            total += mass * other / 4 * function(z) * function(z2)
    return total


def iterated_mean(points, power):
    """The mean over the square of (w.x)_+^k (w.x')_+^k for x on the first axis, one coordinate after the other.

    There w_0 > 0, and (w.x')_+ begins at w_1 = -w_0 x'_0/x'_1. Both integrals are over polynomials, in pieces between
    the points where that reaches the edge of the square, and Gauss-Legendre with 8 nodes has no error.
    """
    from flint import arb

    (x0, _), (y0, y1) = rows(points)
    radius, zero = arb(3) / 2, arb(0)
    start = -y0 / y1  # w_1 >= start * w_0, as y1 > 0
    edge = radius / abs(start) if start != 0 else radius
    pieces = [(zero, edge), (edge, radius)] if edge < radius else [(zero, radius)]
    total = arb(0)
    for low, high in pieces:
        middle = start * (low + high) / 2
        if middle > radius:
            continue
        for node, mass in legendre(8):
            w0 = low + (high - low) * (1 + node) / 2
            bottom = -radius if middle < -radius else start * w0
            for inner, other in legendre(8):
                w1 = bottom + (radius - bottom) * (1 + inner) / 2
                weight = mass * other * (high - low) * (radius - bottom) / 4
                total += weight * (w0 * x0) ** power * (w0 * y0 + w1 * y1) ** power
    return total / (2 * radius) ** 2


def check_family(activation, reference, *, signed=False, least_share=1.0, bits=200):
    from flint import ctx

    agreement = Agreement(activation, signed=signed, law=Uniform(RADIUS))

    @INSTANCES
    @example(1.0, 1.0, TINY)
    @example(1.0, 1.0, math.pi - TINY)
    @given(norms, norms, angles)
    def run(rho, rho2, angle):
        points = points_at(rho, rho2, angle)
        with ctx.workprec(bits):
            expected = reference(points)
        agreement(points, expected)

    with needs_balls():
        run()
    share, count = agreement.share()
    assert count >= COUNT
    assert share >= least_share


class TestClosedForms:
    @pytest.mark.parametrize("power", [1, 2, 3])
    def test_positive_parts_against_iterated_integrals(self, power):
        # near opposite points the value is 1e-56, and the pieces are of order 1
        check_family(f"relu{power}" if power > 1 else "relu", lambda p: iterated_mean(p, power), bits=500)

    def test_sin_against_quadrature(self):
        check_family("sin", lambda p: tensor_mean(lambda z: z.sin(), p), signed=True, least_share=0.97)

    def test_cos_against_quadrature(self):
        check_family("cos", lambda p: tensor_mean(lambda z: z.cos(), p), signed=True, least_share=0.97)

    def test_a_polynomial_against_quadrature(self):
        check_family(CUBIC, lambda p: tensor_mean(lambda z: z**3 - z + 2, p, 8), signed=True, least_share=0.97)

    def test_tanh_against_quadrature(self):
        """Its poles at a distance of pi/2 from the segment: 100 nodes leave less than 1e-35."""
        gram = gram_of("tanh", Uniform(RADIUS))
        rng = np.random.default_rng(3)
        for angle in (1e-8, 0.4, 2.0, math.pi - 1e-8):
            points = points_at(*rng.uniform(0.1, 1.5, 2), angle)
            value, error = gram.matrix_with_error(points)
            with needs_balls():
                expected = float(tensor_mean(lambda z: z.tanh(), points, 100))
            assert abs(value[0, 1] - expected) <= error[0, 1] <= 1e-12 * math.sqrt(value[0, 0] * value[1, 1])

    def test_fast_waves(self):
        """With frequencies of several hundreds, where the mean of sin(w x) sin(w x') is a difference of sincs."""
        gram = limit_gram(random_features_neuron("sin", {"u": identity((X,))}), laws={_weight("w_0"): Uniform(400)})
        a, b = 0.75, 1.0
        expected = (np.sinc(400 * (a - b) / np.pi) - np.sinc(400 * (a + b) / np.pi)) / 2
        assert gram.matrix([[a], [b]])[0, 1] == pytest.approx(expected, abs=1e-14)
        assert float(gram.matrix_mpmath([["3/4"], [1]])[0][1]) == pytest.approx(expected, abs=1e-14)


def _weight(name):
    return sympy.Symbol(name, real=True)


def uniform_gram(neuron, radius=RADIUS):
    inner = [w for w in (*neuron.weights, *neuron.frozen) if str(w)[0] in "wb"]
    return limit_gram(neuron, laws=dict.fromkeys(inner, Uniform(radius))), dict.fromkeys(inner, float(radius))


class TestAgainstSampling:
    """A million neurons of the random feature models of Poisson's and the biharmonic equation, in one dimension."""

    @pytest.mark.parametrize("activation", ["sin", "cos", "tanh", "gelu", "erf", CUBIC, "relu5"])
    @pytest.mark.parametrize("operator", [ops.laplacian((X,)), ops.biharmonic((X,))], ids=["poisson", "biharmonic"])
    def test_random_features(self, activation, operator):
        blocks = {"interior": operator, "boundary": identity((X,))}
        gram, laws = uniform_gram(random_features_neuron(activation, blocks, inner_bias=True))
        points = {"interior": np.array([[0.3], [0.8]]), "boundary": np.array([[0.0], [1.0]])}
        assert check_by_sampling(gram, points, seed=21, laws=laws) == 10

    @pytest.mark.parametrize("activation", ["sin", "relu3", "tanh"])
    def test_differences_of_random_features(self, activation):
        neuron = random_features_neuron(
            activation, {"interior": ops.laplacian((X,))}, inner_bias=True, spacings={X: sympy.Rational(1, 8)}
        )
        gram, laws = uniform_gram(neuron)
        check_by_sampling(gram, {"interior": np.array([[0.3], [0.8]])}, seed=22, laws=laws)

    @pytest.mark.parametrize("activation", ["sin", "relu", "softplus"])
    def test_networks_with_trained_weights(self, activation):
        neuron = network_neuron(activation, {"u": identity((T, Y))}, trainable=("inner", "outer"))
        gram, laws = uniform_gram(neuron)
        check_by_sampling(gram, {"u": np.array([[0.3, 0.5], [-0.8, 0.1]])}, seed=23, laws=laws)


class TestTraces:
    @pytest.mark.parametrize("activation", ["sin", "cos", "relu3", CUBIC, "identity"])
    def test_closed_traces_are_those_of_the_matrix(self, activation):
        blocks = {"interior": ops.laplacian((X,)), "boundary": identity((X,))}
        gram, _ = uniform_gram(random_features_neuron(activation, blocks, inner_bias=True))
        points = np.array([[0.4], [1.1], [-0.7]])
        for block in blocks:
            expression = gram.trace_expression(block)
            exact = gram.matrix_mpmath({block: points}, 30)
            for i, (x,) in enumerate(points):
                value = expression.subs(X, sympy.Rational(float(x))).evalf(20)
                assert abs(float(value - exact[i][i])) <= 1e-15 * float(exact[i][i])
            assert gram.trace({block: points}) == pytest.approx(np.trace(gram.matrix({block: points})), rel=1e-14)

    def test_poissons_features_have_this_trace(self):
        """E[w^4 sin^2(wx + b)] over w, b in [-R, R], by sympy's own integration."""
        w, b = sympy.symbols("w b", real=True)
        gram, _ = uniform_gram(random_features_neuron("sin", {"u": ops.laplacian((X,))}, inner_bias=True))
        x = sympy.Rational(2, 3)
        inner = sympy.integrate(sympy.expand_trig(w**4 * sympy.sin(w * x + b) ** 2).expand(), (b, -RADIUS, RADIUS))
        direct = sympy.integrate(sympy.expand(inner), (w, -RADIUS, RADIUS)) / (2 * RADIUS) ** 2
        assert abs(sympy.N(direct - gram.trace_expression("u").subs(X, x), 30)) < 1e-25

    def test_an_irrational_radius_stays_exact(self):
        """Of unit variance: E z^2 = |x|^2."""
        gram, _ = uniform_gram(random_features_neuron("identity", {"u": identity((T, Y))}), sympy.sqrt(3))
        assert sympy.expand(gram.trace_expression() - T**2 - Y**2) == 0
        kinked, _ = uniform_gram(random_features_neuron("relu", {"u": identity((T, Y))}), sympy.sqrt(3))
        assert sympy.expand(kinked.trace_expression() - (T**2 + Y**2) / 2) == 0
        with needs_balls():
            assert abs(float(kinked.matrix_balls([[3, 4]], 128)[0, 0]) - 12.5) < 1e-14


class TestRefusals:
    def test_radii_are_positive_numbers(self):
        for radius in (0, -1, float("inf"), float("nan"), "wide", sympy.Symbol("R")):
            with pytest.raises(NtkVerifyError, match="must be a positive finite number, not"):
                Uniform(radius)
        assert Uniform(0.1).radius == sympy.Rational(1, 10)

    def test_normal_and_uniform_weights_do_not_mix_inside_an_activation(self):
        neuron = random_features_neuron("sin", {"u": identity((X,))}, inner_bias=True)
        with pytest.raises(NtkVerifyError, match="all normal or all uniform, but w_0 is uniform and b normal"):
            limit_gram(neuron, laws={_weight("w_0"): Uniform(1)})
        with pytest.raises(NtkVerifyError, match="a law was given for v, but the weights of the neuron are a, w_0, b"):
            limit_gram(neuron, laws={_weight("v"): Uniform(1)})

    def test_what_no_rule_is_known_for_is_named(self):
        gram, _ = uniform_gram(random_features_neuron("relu", {"u": identity((T, Y))}, inner_bias=True))
        with pytest.raises(NtkVerifyError, match="3 weights inside an activation, only for up to 2"):
            gram.matrix(np.ones((1, 2)))
        edge = Activation("edge", sympy.tanh(Z) + PositivePower(Z, 1))
        gram, _ = uniform_gram(random_features_neuron(edge, {"u": identity((X,))}))
        with pytest.raises(NtkVerifyError, match="has a kink"):
            gram.matrix([[1.0]])
        smooth = gram_of("tanh", Uniform(RADIUS))
        with pytest.raises(NtkVerifyError, match=r"under a uniform law, so it has no enclosure"):
            smooth.matrix_mpmath([[0, 1]])
        with pytest.raises(NtkVerifyError, match=r"no closed form is known for .* under a uniform law"):
            smooth.trace_expression()
        with pytest.raises(NtkVerifyError, match="no function of norms and angle; use kernel_expression"):
            _ = smooth.kernel
        with pytest.raises(NtkVerifyError, match=r"does not settle with .* scale points or radius down"):
            smooth.matrix([[1e4, 0.0]])
        with pytest.raises(NtkVerifyError, match="too fast for the rule; scale the points down"):
            gram_of("sin", Uniform(RADIUS)).matrix([[1e6, 0.0]])
