"""Hundreds of inputs: limit Gram matrices depend on inner products only, and cost accordingly."""

import time

import numpy as np
import pytest
import sympy

from ntkverify.symbolic.expression import squares
from ntkverify.symbolic.expression.functions import PositivePower, Z
from ntkverify.symbolic.limit.gram import LimitGram
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.limit.splitting import _derive
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.activations import Activation, names
from ntkverify.symbolic.network.laws import Normal
from ntkverify.symbolic.network.neuron import pinn_neuron, random_features_neuron, regression_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, unknown

EVERYTHING = {"trainable": ("inner", "inner_bias", "outer"), "inner_bias": True}


def many(count, prefix="x"):
    return coordinates(" ".join(f"{prefix}_{i}" for i in range(count)))


def seconds(function):
    """The result, and the processor time that it took: what else runs on the machine does not count."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def natural(matrix, other):
    """The largest difference relative to sqrt(K(x, x) K(x', x'))."""
    size = np.sqrt(np.outer(np.diag(other), np.diag(other)))
    return np.max(np.abs(matrix - other) / size)


@pytest.mark.parametrize("activation", names())
def test_pictures_are_as_fast_as_small_inputs(activation):
    """100 points of 28 x 28; the values are those of the two-dimensional plane that holds two of the points."""
    x = np.random.default_rng(3).standard_normal((100, 784))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    gram, derived = seconds(lambda: limit_gram(regression_neuron(activation, dimension=784, **EVERYTHING)))
    matrix, took = seconds(lambda: gram.matrix(x))
    assert derived < 4
    assert took < 2
    cosine = x[0] @ x[1]
    plane = np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
    small = limit_gram(regression_neuron(activation, dimension=2, **EVERYTHING)).matrix(plane)
    assert natural(matrix[:2, :2], small) < 1e-12


def test_the_kernel_is_derived_as_well():
    q, theta = sympy.Symbol("q", real=True), sympy.Symbol("theta", nonnegative=True)
    kernel, took = seconds(lambda: limit_gram(regression_neuron("relu", dimension=200)).kernel)
    assert sympy.simplify(kernel - q * (sympy.pi - theta) / (2 * sympy.pi)) == 0
    assert took < 4


@pytest.mark.parametrize("activation", ["erf", "gelu", "leaky_relu", "sin"])
def test_one_input_has_a_kernel_too(activation):
    gram = limit_gram(regression_neuron(activation, dimension=1))
    (x,) = gram.neuron.coordinates
    assert float(gram.trace_expression().subs(x, 0.7)) == pytest.approx(gram.matrix([[0.7]])[0, 0], rel=1e-12)
    assert repr(gram)
    assert gram.latex()
    assert gram._repr_html_()


T = sympy.Symbol("t", real=True)
X = many(4)
ISOTROPIC = {
    "Laplacian": lambda name: pinn_neuron(name, ops.laplacian(X)),
    "Laplacian, no bias": lambda name: pinn_neuron(name, ops.laplacian(X), inner_bias=False, trainable=("inner",)),
    "heat, all trained": lambda name: pinn_neuron(
        name, ops.heat(T, X), trainable=("inner", "inner_bias", "outer"), laws={"inner": Normal("1/2")}
    ),
    "wave": lambda name: pinn_neuron(name, ops.wave(T, X, speed=2)),
    "Helmholtz": lambda name: pinn_neuron(name, ops.helmholtz(X, wavenumber=X[0])),
    "random features": lambda name: random_features_neuron(name, {"p": ops.laplacian(X)}, inner_bias=True),
}


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "activation"), [(k, a) for k in ISOTROPIC for a in ("relu4", "sin", "tanh")])
def test_sums_of_squares_kept_as_one_give_what_they_give_written_out(kind, activation, monkeypatch):
    neuron = ISOTROPIC[kind](activation)
    rng = np.random.default_rng(4)
    points = {}
    for block in neuron.blocks:
        x = rng.standard_normal((4, len(neuron.coordinates))) / 3
        x[2], x[3] = 2 * x[0], x[1] + 1e-9  # parallel but for the bias, and nearly one
        points[block.name] = x
    found = []
    for least in (2, 100):
        monkeypatch.setattr(squares, "MANY", least)
        derivation = _derive(neuron, neuron.laws)
        assert derivation.is_isotropic == (least == 2)
        gram = LimitGram(neuron, derivation)
        exact = (
            np.array(gram.matrix_mpmath({n: x[:2] for n, x in points.items()}, 30), float)
            if activation != "tanh"
            else 0
        )
        found.append((gram.matrix(points), gram.covariance(points), exact))
    (one, field, exact), (other, wanted, known) = found
    assert natural(one, other) < 1e-12
    assert natural(field, wanted) < 1e-12
    assert np.allclose(exact, known, rtol=1e-14, atol=0)


def test_a_laplacian_of_a_hundred_inputs_against_its_closed_form():
    """E[|w|^4 s''(w.x) s''(w.x')] for s = sin and trained outer weights, through the moments of a chi-square.

    E|w|^4 sin(z)^2 = (E|w|^4 - E|w|^4 cos 2z)/2, and with k2 = |k|^2
    E|w|^4 cos(k.w) = ((d + 2) d - 2 (d + 2) k2 + k2^2) e^{-k2/2}.
    """
    d = 100
    neuron = random_features_neuron("sin", {"p": ops.laplacian(many(d))})
    x = np.random.default_rng(5).standard_normal((1, d))
    x /= np.linalg.norm(x)

    def wave(k2):
        return ((d + 2) * d - 2 * (d + 2) * k2 + k2**2) * np.exp(-k2 / 2)

    (gram, derived) = seconds(lambda: limit_gram(neuron))
    (matrix, took) = seconds(lambda: gram.matrix(x))
    assert matrix[0, 0] == pytest.approx((wave(0.0) - wave(4.0)) / 2, rel=1e-12)
    assert derived < 4
    assert took < 2


@pytest.mark.parametrize("activation", ["tanh", "relu3", "gelu"])
def test_the_heat_equation_in_a_hundred_dimensions(activation):
    """Against the mean over a million draws; a turned instance has the same matrix."""
    neuron = pinn_neuron(activation, ops.heat(T, many(100)))
    rng = np.random.default_rng(6)
    points = {"interior": rng.standard_normal((3, 101)) / 10, "boundary": rng.standard_normal((2, 101)) / 10}
    gram, derived = seconds(lambda: limit_gram(neuron))
    matrix, took = seconds(lambda: gram.matrix(points))
    assert derived < 8
    assert took < 10
    turn, _ = np.linalg.qr(rng.standard_normal((100, 100)))
    turned = {n: np.hstack([x[:, :1], x[:, 1:] @ turn]) for n, x in points.items()}
    assert natural(gram.matrix(turned), matrix) < 1e-12
    assert gram.trace(points) == pytest.approx(np.trace(matrix), rel=1e-12)


def test_the_biharmonic_operator_is_one_power_of_the_sum_of_squares():
    (feature,) = pinn_neuron("sin", ops.biharmonic(many(6))).blocks[0].features
    w = sympy.symbols("w_:6", real=True)
    assert feature.has(sympy.Add(*(v**2 for v in w)) ** 2)


def test_half_isotropic_operators_are_written_out():
    """Squares with different factors are no one sum."""
    x = many(3)
    u = unknown("u", x)
    uneven = Operator.from_expression(u.diff(x[0], 2) + 2 * u.diff(x[1], 2) + 3 * u.diff(x[2], 2), [u], x)
    squares_of = pinn_neuron("sin", uneven).blocks[0].features
    assert squares.in_squares(squares_of, sympy.symbols("w_:3", real=True), least=2) is None


def test_steps_beside_powers_of_a_form():
    """z + z_+ at 50 inputs: no sum over pairs of inputs."""
    mixed = Activation("mixed", Z + PositivePower(Z, 2))
    x = np.random.default_rng(7).standard_normal((3, 50)) / 7
    plane = np.linalg.cholesky(x @ x.T)
    large = limit_gram(regression_neuron(mixed, dimension=50, trainable=("outer",))).matrix(x)
    small = limit_gram(regression_neuron(mixed, dimension=3, trainable=("outer",))).matrix(plane)
    assert natural(large, small) < 1e-12
