"""Neuron builders: what is trained, what is frozen, what is refused."""

import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import PositivePower
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.neuron import network_neuron, pinn_neuron, regression_neuron
from ntkverify.symbolic.network.operators import coordinates, identity
from ntkverify.symbolic.network.product import operator_neuron

T, X, Y = coordinates("t x y")
ALLOWED = (
    sympy.Add, sympy.Mul, sympy.Pow, sympy.Number, sympy.NumberSymbol, sympy.Symbol, sympy.sin, sympy.cos, sympy.exp,
    sympy.log, sympy.tanh, sympy.erf, PositivePower,
)  # fmt: skip


class TestPinn:
    def test_the_heat_gradient_of_the_cubed_relu_is_the_sheets(self):
        neuron = pinn_neuron("relu3", ops.heat(T, [X]))
        w0, w1, b = neuron.weights
        (a,) = neuron.frozen
        z = w0 * T + w1 * X + b
        first, second, third = 3 * PositivePower(z, 2), 6 * PositivePower(z, 1), 6 * PositivePower(z, 0)
        point, unit, space = (T, X, 1), (1, 0, 0), (0, w1, 0)
        for g, p, e, s in zip(neuron.gradients["interior"][0], point, unit, space, strict=True):
            expected = second * w0 * p + first * e - third * w1**2 * p - 2 * second * s
            assert sympy.expand(g - a * expected) == 0
        assert neuron.block("interior").is_linear
        assert neuron.coordinates == (T, X)

    def test_each_part_is_trainable_or_frozen(self):
        operators = {"u": identity((T, X))}
        for trained in (("inner",), ("outer", "inner_bias"), ("outer_bias",)):
            neuron = network_neuron("tanh", operators, trainable=trained, inner_bias=True, outer_bias=True)
            names = {"inner": {"w_0", "w_1"}, "inner_bias": {"b"}, "outer": {"a"}, "outer_bias": {"c"}}
            assert {str(w) for w in neuron.weights} == set().union(*(names[t] for t in trained))
            assert len(neuron.weights) + len(neuron.frozen) == 5

    def test_hessian_differentiates_the_gradient(self):
        neuron = regression_neuron("tanh", dimension=2, trainable=("inner", "outer"))
        (hessian,) = neuron.hessians["data"]
        for i, g in enumerate(neuron.gradients["data"][0]):
            for j, w in enumerate(neuron.weights):
                assert sympy.expand(hessian[i, j] - sympy.diff(g, w)) == 0


class TestNonlinear:
    def test_vector_valued_navier_stokes(self):
        equations = ops.navier_stokes((X, Y), reynolds=100, time=T)
        neuron = network_neuron(
            "tanh", equations, trainable=("inner", "inner_bias", "outer"), inner_bias=True, outputs=3
        )
        assert [b.name for b in neuron.blocks] == ["momentum_x", "momentum_y", "continuity"]
        assert neuron.block("continuity").is_linear
        momentum = neuron.block("momentum_x")
        assert len(momentum.features) == len(momentum.sums) == 8
        values = dict(zip(map(str, momentum.sums), momentum.sums, strict=True))
        slopes = dict(zip(momentum.sums, neuron.linearisations["momentum_x"], strict=True))
        assert slopes[values["v0"]] == values["v0_x"]
        assert slopes[values["v0_x"]] == values["v0"]
        assert slopes[values["v0_xx"]] == -sympy.Rational(1, 100)
        for block in neuron.blocks:
            for feature in block.features:
                assert all(isinstance(e, ALLOWED) for e in sympy.preorder_traversal(feature))

    def test_linearised_features_are_those_of_the_linearised_operator(self):
        operator = ops.burgers(T, X, viscosity=2)
        neuron = network_neuron("sin", {"r": operator})
        block = neuron.block("r")
        state = sympy.exp(T) * X**2
        at = dict(zip(block.sums, operator.features(state), strict=True))
        combined = sum(c.subs(at) * f for c, f in zip(neuron.linearisations["r"], block.features, strict=True))
        linear = network_neuron("sin", {"r": operator.linearised(state)}).block("r").features[0]
        assert sympy.expand(combined - linear) == 0


class TestOperatorNetwork:
    def test_signs_are_frozen_and_everything_inside_is_trained(self):
        neuron = operator_neuron("relu", "relu3", {"r": ops.heat(T, [X])}, sensors=3, branch_width=2, inner_bias=True)
        assert len(neuron.weights) == 3 + 2 * 3
        assert [str(s) for s in neuron.frozen] == ["s_0", "s_1"]
        assert len(neuron.coordinates) == 3 + 2


class TestRefusals:
    def test_an_activation_that_is_not_smooth_enough(self):
        with pytest.raises(NtkVerifyError, match=r"'interior' needs 3 derivatives.*'relu' has only 1"):
            pinn_neuron("relu", ops.laplacian((X, Y)))
        with pytest.raises(NtkVerifyError, match=r"needs 3 derivatives.*'relu2' has only 2"):
            pinn_neuron("relu2", ops.heat(T, [X]))
        pinn_neuron("relu3", ops.heat(T, [X]))
        network_neuron("relu2", {"r": ops.laplacian((X,))}, trainable=("outer",))

    def test_mismatches_name_both_sides(self):
        with pytest.raises(NtkVerifyError, match=r"'r' has the coordinates \(t, x\), but block 'u' has \(x, y\)"):
            network_neuron("tanh", {"r": identity((T, X)), "u": identity((X, Y))})
        with pytest.raises(NtkVerifyError, match=r"3 components, but the network has 1 outputs"):
            network_neuron("tanh", ops.navier_stokes((X, Y), reynolds=1))
        with pytest.raises(NtkVerifyError, match=r"trainable parts are inner, .*, not 'everything'"):
            regression_neuron("relu", dimension=2, trainable=("everything",))
        with pytest.raises(NtkVerifyError, match=r"inner_bias is to be trained, but .* inner_bias=False"):
            regression_neuron("relu", dimension=2, trainable=("inner_bias",))
        with pytest.raises(NtkVerifyError, match="nothing is trainable"):
            regression_neuron("relu", dimension=2, trainable=())
        with pytest.raises(NtkVerifyError, match="must be at least 1, not 0"):
            regression_neuron("relu", dimension=0)
        with pytest.raises(NtkVerifyError, match="coordinates a have the names of weights"):
            network_neuron("tanh", {"u": identity(coordinates("a"))})
        called_a = ops.unknown("a", (X,))
        with pytest.raises(NtkVerifyError, match="unknowns of block 'r' have the names of weights, a; rename"):
            network_neuron("tanh", {"r": ops.Operator.from_expression(called_a**2, [called_a], (X,))})
        with pytest.raises(NtkVerifyError, match="unknown activation 'elephant'"):
            regression_neuron("elephant", dimension=2)
        with pytest.raises(NtkVerifyError, match="has the blocks data, not 'date'"):
            regression_neuron("relu", dimension=2).block("date")
