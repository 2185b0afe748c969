"""Operators on polynomials (exact) and on functions with known derivatives."""

import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.symbolic.network import differential
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.neuron import network_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, unknown

T, X, Y = coordinates("t x y")
POLYNOMIAL = T**2 * X**4 + 3 * X**2 * Y**4 + T * Y


class TestReadyMade:
    @pytest.mark.parametrize(
        ("operator", "expected"),
        [
            (ops.identity((T, X, Y)), POLYNOMIAL),
            (ops.derivative((T, X, Y), 1, 2, 0), 24 * T * X**2),
            (ops.laplacian((X, Y)), 12 * T**2 * X**2 + 6 * Y**4 + 36 * X**2 * Y**2),
            (ops.biharmonic((X, Y)), 24 * T**2 + 72 * X**2 + 144 * Y**2),
            (ops.helmholtz((X,), wavenumber=2), 12 * T**2 * X**2 + 6 * Y**4 + 4 * POLYNOMIAL),
            (ops.heat(T, (X,), diffusivity=X), 2 * T * X**4 + Y - X * (12 * T**2 * X**2 + 6 * Y**4)),
            (ops.advection(T, (X,), velocity=[X]), 2 * T * X**4 + Y + X * (4 * T**2 * X**3 + 6 * X * Y**4)),
            (ops.wave(T, (X,), speed=3), 2 * X**4 - 9 * (12 * T**2 * X**2 + 6 * Y**4)),
            (ops.squared_solution((X,)), POLYNOMIAL**2),
            (ops.self_advection(X), POLYNOMIAL * (4 * T**2 * X**3 + 6 * X * Y**4)),
            (ops.burgers(T, X), 2 * T * X**4 + Y + POLYNOMIAL * (4 * T**2 * X**3 + 6 * X * Y**4)),
            (
                ops.burgers(T, X, viscosity=sympy.Rational(1, 3)),
                2 * T * X**4 + Y + POLYNOMIAL * (4 * T**2 * X**3 + 6 * X * Y**4) - 4 * T**2 * X**2 - 2 * Y**4,
            ),
        ],
    )
    def test_exact_on_a_polynomial(self, operator, expected):
        assert sympy.expand(operator(POLYNOMIAL) - expected) == 0

    @pytest.mark.parametrize("time", [None, T])
    def test_navier_stokes_is_exact_on_polynomials(self, time):
        u, v, p = T * X**2 * Y, X * Y**3 - T**2, X**2 + T * Y
        equations = ops.navier_stokes((X, Y), reynolds=7, time=time)
        unsteady = (X**2 * Y, -2 * T) if time is not None else (0, 0)
        seventh = sympy.Rational(1, 7)
        expected = {
            "momentum_x": unsteady[0] + u * 2 * T * X * Y + v * T * X**2 + 2 * X - seventh * 2 * T * Y,
            "momentum_y": unsteady[1] + u * Y**3 + v * 3 * X * Y**2 + T - seventh * 6 * X * Y,
            "continuity": 2 * T * X * Y + 3 * X * Y**2,
        }
        assert equations.keys() == expected.keys()
        for name, equation in equations.items():
            assert sympy.expand(equation(u, v, p) - expected[name]) == 0

    def test_gradient(self):
        assert [d(POLYNOMIAL) for d in ops.gradient((T, Y))] == [
            sympy.diff(POLYNOMIAL, T),
            sympy.diff(POLYNOMIAL, Y),
        ]

    @pytest.mark.parametrize(
        ("operator", "solution"),
        [
            (ops.heat(T, (X,)), sympy.exp(-T) * sympy.sin(X)),
            (ops.wave(T, (X, Y), speed=2), sympy.cos(2 * sympy.sqrt(2) * T) * sympy.sin(X) * sympy.sin(Y)),
            (ops.advection(T, (X,), velocity=[30]), sympy.sin(X - 30 * T)),
            (ops.helmholtz((X, Y), wavenumber=5), sympy.sin(3 * X) * sympy.sin(4 * Y)),
            (ops.laplacian((X, Y)), sympy.exp(X) * sympy.cos(Y)),
            (ops.biharmonic((X, Y)), X * sympy.exp(X) * sympy.cos(Y)),
            (ops.burgers(T, X), X / (1 + T)),
            (ops.burgers(T, X, viscosity=1), 1 - sympy.tanh((X - T) / 2)),
            (ops.self_advection(X), sympy.Integer(4)),
        ],
    )
    def test_known_solutions_have_no_residual(self, operator, solution):
        assert sympy.simplify(operator(solution).rewrite(sympy.exp)) == 0

    def test_navier_stokes_on_the_decaying_taylor_green_vortex(self):
        decay = sympy.exp(-2 * T / 10)
        u, v = sympy.cos(X) * sympy.sin(Y) * decay, -sympy.sin(X) * sympy.cos(Y) * decay
        p = -(sympy.cos(2 * X) + sympy.cos(2 * Y)) / 4 * decay**2
        for equation in ops.navier_stokes((X, Y), reynolds=10, time=T).values():
            assert sympy.simplify(equation(u, v, p)) == 0
        steady = ops.navier_stokes((X, Y), reynolds=10)
        assert steady["momentum_x"].coordinates == (X, Y)
        # plane Poiseuille flow: p_x = u_yy / Re
        assert sympy.simplify(steady["momentum_x"](Y * (1 - Y), sympy.S.Zero, -X / 5)) == 0

    def test_linearity_and_linearisation(self):
        assert ops.heat(T, (X,)).is_linear
        assert not ops.burgers(T, X).is_linear
        u = unknown("u", (X,))
        assert not Operator.from_expression(u + 1, [u], (X,)).is_linear
        state, direction, s = sympy.sin(T + X), T * X**2, sympy.Symbol("s")
        linearised = ops.burgers(T, X, viscosity=3).linearised(state)
        assert linearised.is_linear
        gateaux = sympy.diff(ops.burgers(T, X, viscosity=3)(state + s * direction), s).subs(s, 0)
        assert sympy.simplify(linearised(direction) - gateaux) == 0


class TestDefinition:
    def test_derivatives_and_coordinates_of_like_names_stay_apart(self):
        """u_xx is the second derivative in x, or the first in xx; and a coordinate may be called u_x."""
        x, xx = coordinates("x xx")
        u = unknown("u", (x, xx))
        operator = Operator.from_expression(u.diff(x, 2) + 5 * u.diff(xx), [u], (x, xx))
        assert operator.is_linear
        assert operator(x**2 + xx) == 7
        x, u_x = coordinates("x u_x")
        u = unknown("u", (x, u_x))
        operator = Operator.from_expression(u_x * u.diff(x), [u], (x, u_x))
        assert operator.is_linear
        assert operator(x * u_x) == u_x**2

    def test_floats_in_coefficients_become_fractions(self):
        assert ops.heat(T, (X,), diffusivity=0.1)(X**2) == -sympy.Rational(1, 5)

    def test_an_operator_the_library_has_never_seen(self):
        u = unknown("u", (T, X))
        kdv = Operator.from_expression(u.diff(T) + 6 * u * u.diff(X) + u.diff(X, 3), [u], (T, X))
        soliton = sympy.cosh((X - T) / 2) ** -2 / 2
        assert kdv.order == 3
        assert sympy.simplify(kdv(soliton).rewrite(sympy.exp)) == 0

    def test_bad_equations_name_both_sides(self):
        u, v = unknown("u", (T, X)), unknown("v", (T, X))
        with pytest.raises(NtkVerifyError, match=r"v\(t, x\).*unknowns are u\(t, x\)"):
            Operator.from_expression(u.diff(T) + v, [u], (T, X))
        with pytest.raises(NtkVerifyError, match=r"derivative in t, but the coordinates are \(x,\)"):
            Operator.from_expression(u.diff(T), [u], (X,))
        with pytest.raises(NtkVerifyError, match=r"symbols k, which are neither"):
            Operator.from_expression(sympy.Symbol("k") * u, [u], (T, X))
        with pytest.raises(NtkVerifyError, match="none of the unknowns"):
            Operator.from_expression(T * X, [u], (T, X))
        with pytest.raises(NtkVerifyError, match="velocity has 2 components, but space has 1"):
            ops.advection(T, (X,), velocity=[1, 2])
        with pytest.raises(NtkVerifyError, match="3 components, but 1 functions"):
            ops.navier_stokes((X, Y), reynolds=1)["momentum_x"](X)
        with pytest.raises(NtkVerifyError, match="not linear"):
            ops.burgers(T, X).linear_combination([X] * 3)
        with pytest.raises(NtkVerifyError, match=r"name one of them twice"):
            Operator.from_expression(u, [u], (T, T, X))
        with pytest.raises(NtkVerifyError, match="must be finite"):
            ops.burgers(T, X, viscosity=float("inf"))
        with pytest.raises(NtkVerifyError, match="is complex; write its real and imaginary part"):
            Operator.from_expression(sympy.I * u.diff(T) + u.diff(X, 2) / 2, [u], (T, X))


class TestManyDerivatives:
    """What enters a nonlinear residual linearly is one sum over neurons, where there are many."""

    @pytest.mark.parametrize(
        ("write", "parts"),
        [
            (lambda u, t, x: u.diff(t) - sympy.Add(*(u.diff(s, 2) for s in x)) + u**3 - u, 2),
            (lambda u, t, x: u.diff(t) - t * sympy.Add(*(u.diff(s, 2) for s in x)) + x[0] * u.diff(x[1]) * u, 3),
            (lambda u, t, x: u.diff(t) - sympy.Add(*(u.diff(s, 2) for s in x)) - sympy.cos(t), 1),
        ],
        ids=["Allen-Cahn", "coefficients", "a source"],
    )
    def test_residuals_and_gram_matrices_are_the_same(self, write, parts, monkeypatch):
        variables = coordinates("t x y z")
        t, *x = variables
        u = unknown("u", variables)
        points = np.random.default_rng(1).random((4, 4))
        found = []
        for many in (2, 100):
            monkeypatch.setattr(differential, "MANY", many)
            operator = Operator.from_expression(write(u, t, x), [u], variables)
            neuron = network_neuron("tanh", {"data": operator}, trainable=("inner", "inner_bias"), inner_bias=True)
            assert len(neuron.blocks[0].features) == (parts if many == 2 else len(operator.slots))
            executor = make_executor(neuron, {"data": points}, {"data": np.ones(4)}, backend="array")
            weights, frozen = draw_weights(neuron, 1, 50)
            forward = executor.forward(weights, frozen)
            found.append((forward.residuals, executor.gram(weights, frozen)))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13 * np.abs(other).max())

    def test_few_derivatives_keep_a_sum_each(self):
        operator = ops.burgers(*coordinates("t x"), viscosity=1)
        assert [s for s, _ in operator.parts] == list(operator.symbols)
        assert operator.pointwise == operator.residual
