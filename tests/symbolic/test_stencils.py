"""Stencils: exact on polynomials, the promised order on a smooth function."""

import mpmath
import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.operators import coordinates
from ntkverify.symbolic.network.stencils import apply_difference, central_stencil, finite_difference

X, Y = coordinates("x y")
T = sympy.Symbol("t", real=True)
ALL = [(p, q) for p in (1, 2, 3, 4) for q in (2, 4)]


class TestOneDimension:
    @pytest.mark.parametrize(("derivative", "accuracy"), ALL)
    def test_exact_on_polynomials_up_to_its_degree_and_no_further(self, derivative, accuracy):
        stencil, h = central_stencil(derivative, accuracy), sympy.Symbol("h", positive=True)
        for degree in range(derivative + accuracy + 1):
            error = sympy.expand(stencil.apply(X**degree, X, h) - sympy.diff(X**degree, X, derivative))
            if degree < derivative + accuracy:
                assert error == 0
            else:
                leading = stencil.error_constant * sympy.diff(X**degree, X, degree) * h**accuracy
                assert sympy.expand(error - leading) == 0 != error

    @pytest.mark.parametrize(("derivative", "accuracy"), ALL)
    def test_order_of_convergence_on_an_exponential(self, derivative, accuracy):
        stencil = central_stencil(derivative, accuracy)
        with mpmath.workdps(60):
            errors = []
            for h in (mpmath.mpf(1) / 100, mpmath.mpf(1) / 200):
                pairs = zip(stencil.coefficients, stencil.offsets, strict=True)
                parts = [mpmath.mpf(c.p) / c.q * mpmath.exp(k * h) for c, k in pairs]
                errors.append(mpmath.fsum(parts) / h**derivative - 1)
            slope = mpmath.log(errors[0] / errors[1], 2)
            # the next term of the error is smaller by a factor of order h^2, so the slope is off by that much
            assert abs(slope - accuracy) < 1e-3
            constant = mpmath.mpf(stencil.error_constant.p) / stencil.error_constant.q
            assert errors[1] / mpmath.mpf("0.005") ** accuracy == pytest.approx(float(constant), rel=1e-3)

    def test_textbook_stencils(self):
        half, twelfth = sympy.Rational(1, 2), sympy.Rational(1, 12)
        assert central_stencil(1).coefficients == (-half, half)
        assert central_stencil(2).coefficients == (1, -2, 1)
        assert central_stencil(4).coefficients == (1, -4, 6, -4, 1)
        assert central_stencil(2).error_constant == twelfth
        assert central_stencil(4).error_constant == sympy.Rational(1, 6)
        assert (central_stencil(2).absolute_sum, central_stencil(4).absolute_sum) == (4, 16)

    def test_matrix_applies_the_stencil_on_a_grid(self):
        grid = np.linspace(-0.5, 1.5, 21)
        matrix = central_stencil(4).matrix(17, 0.1)
        assert matrix.shape == (17, 21)
        # exact for degree 5; rounding is amplified by 16 / h^4
        np.testing.assert_allclose(matrix @ grid**5, 120 * grid[2:-2], atol=16 / 0.1**4 * 1.5**5 * 2**-52)

    def test_unknown_stencils_are_refused(self):
        with pytest.raises(NtkVerifyError, match="derivatives 0 to 4 with accuracy 2 or 4, not for derivative 5"):
            central_stencil(5)
        with pytest.raises(NtkVerifyError, match="accuracy 3"):
            central_stencil(2, 3)


class TestTwoDimensions:
    @pytest.mark.parametrize("accuracy", [2, 4])
    def test_mixed_derivatives_and_the_biharmonic_are_exact_on_polynomials(self, accuracy):
        spacings = {X: sympy.Rational(1, 8), Y: sympy.Rational(1, 5)}
        polynomial = X**3 * Y**3 + X**4 + Y**4 + X**2 * Y**2
        mixed = finite_difference(polynomial, {X: 2, Y: 2}, spacings, accuracy=accuracy)
        assert sympy.expand(mixed - sympy.diff(polynomial, X, 2, Y, 2)) == 0
        for operator in (ops.laplacian((X, Y)), ops.biharmonic((X, Y))):
            if accuracy == 4 or operator.order == 4:
                applied = apply_difference(operator, polynomial, spacings=spacings, accuracy=accuracy)
                assert sympy.expand(applied - operator(polynomial)) == 0

    @pytest.mark.parametrize("accuracy", [2, 4])
    def test_order_of_convergence_of_the_laplacian(self, accuracy):
        function = sympy.sin(X) * sympy.exp(2 * Y)
        errors = []
        for n in (20, 40):
            spacings = {X: sympy.Rational(1, n), Y: sympy.Rational(1, n)}
            applied = apply_difference(ops.laplacian((X, Y)), function, spacings=spacings, accuracy=accuracy)
            errors.append(sympy.N((applied - 3 * function).subs({X: 1, Y: 0}), 40))
        assert float(sympy.log(errors[0] / errors[1], 2)) == pytest.approx(accuracy, abs=0.01)

    def test_spacings_must_be_there_and_positive(self):
        with pytest.raises(NtkVerifyError, match="differentiates in y, but spacings are given for"):
            apply_difference(ops.laplacian((X, Y)), X, spacings={X: 1})
        with pytest.raises(NtkVerifyError, match="in x must be positive and finite, not -1"):
            apply_difference(ops.laplacian((X,)), X, spacings={X: -1})


FLOW = (sympy.sin(T + X) * sympy.exp(2 * Y), sympy.cos(2 * X - T) * sympy.exp(-Y), sympy.sin(X * Y + T))
EVERY_OPERATOR = {
    "derivative": ops.derivative((T, X), 1, 3),
    "gradient": ops.gradient((X, Y))[1],
    "laplacian": ops.laplacian((X, Y)),
    "biharmonic": ops.biharmonic((X, Y)),
    "helmholtz": ops.helmholtz((X, Y), wavenumber=3),
    "heat": ops.heat(T, (X, Y), diffusivity=1 + X**2),
    "advection": ops.advection(T, (X, Y), velocity=[Y, -X]),
    "wave": ops.wave(T, (X,), speed=2),
    "self-advection": ops.self_advection(X),
    "inviscid burgers": ops.burgers(T, X),
    "viscous burgers": ops.burgers(T, X, viscosity=sympy.Rational(1, 10)),
    **{f"steady {k}": op for k, op in ops.navier_stokes((X, Y), reynolds=10).items()},
    **{f"unsteady {k}": op for k, op in ops.navier_stokes((X, Y), reynolds=10, time=T).items()},
}


class TestEveryOperator:
    def test_none_is_left_out(self):
        """All that the module makes, but those that differentiate nothing."""
        made = {name for name in ops.__all__ if name[0].islower()} - {"coordinates", "unknown"}
        assert made - {"identity", "squared_solution"} == {
            "derivative", "gradient", "laplacian", "biharmonic", "helmholtz", "heat", "advection", "wave",
            "self_advection", "burgers", "navier_stokes",
        }  # fmt: skip

    @pytest.mark.parametrize("accuracy", [2, 4])
    @pytest.mark.parametrize("name", EVERY_OPERATOR)
    def test_order_of_convergence(self, name, accuracy):
        operator = EVERY_OPERATOR[name]
        functions, at = FLOW[: operator.components], {T: sympy.Rational(1, 3), X: sympy.Rational(2, 5), Y: 1}
        exact = sympy.N(operator(*functions).subs(at), 60)
        errors = []
        for n in (100, 200):
            spacings = dict.fromkeys(operator.coordinates, sympy.Rational(1, n))
            values = apply_difference(operator, *functions, spacings=spacings, accuracy=accuracy)
            errors.append(sympy.N(values.subs(at), 60) - exact)
        # the next term of the error is smaller by a factor of order h^2 times ratios of derivatives
        assert float(sympy.log(abs(errors[0] / errors[1]), 2)) == pytest.approx(accuracy, abs=0.02)

    @pytest.mark.parametrize("accuracy", [2, 4])
    @pytest.mark.parametrize("name", EVERY_OPERATOR)
    def test_exact_on_polynomials_of_low_degree(self, name, accuracy):
        """A stencil for derivative p is exact below degree p + accuracy, in each coordinate."""
        operator = EVERY_OPERATOR[name]
        least = {
            v: min((s.orders[i] for s in operator.slots if s.orders[i]), default=1)
            for i, v in enumerate(operator.coordinates)
        }
        powers = [v ** (least[v] + accuracy - 1) for v in operator.coordinates]
        functions = [sympy.Mul(*powers) + (k + 1) * sum(powers) - k for k in range(operator.components)]
        spacings = dict.fromkeys(operator.coordinates, sympy.Rational(1, 3))
        applied = apply_difference(operator, *functions, spacings=spacings, accuracy=accuracy)
        assert sympy.expand(applied - operator(*functions)) == 0
