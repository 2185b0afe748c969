"""The trapezoidal rule in the plane: values and error estimates against 30-digit references."""

import mpmath
import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.functions import PositivePower, Softplus, Z
from ntkverify.symbolic.quadrature import PlaneGeometry, plane_expectations


def geometry(rho, rho2, angle):
    return PlaneGeometry(*(np.array([v]) for v in (rho, rho2, np.cos(angle), np.sin(angle))))


class TestPlaneExpectations:
    @pytest.mark.parametrize("rho", [0.5, 2.0])
    @pytest.mark.parametrize("function", [sympy.tanh(Z), sympy.tanh(Z / 2) ** 3, Softplus(Z), Z * sympy.tanh(Z / 2)])
    def test_error_estimates_cover_the_error_on_parallel_arguments(self, function, rho):
        requests = [(function, function, 0, 0), (function, function, 2, 0), (function, sympy.diff(function, Z), 1, 0)]
        values, errors = plane_expectations(requests, geometry(rho, rho, 0.0))
        modules = [{"Softplus": lambda z: mpmath.log(1 + mpmath.exp(z))}, "mpmath"]
        with mpmath.workdps(30):
            for (f, g, a, _), value, error in zip(requests, values, errors, strict=True):
                u, v = sympy.lambdify(Z, f, modules), sympy.lambdify(Z, g, modules)
                step = mpmath.mpf(1) / 40
                nodes = [k * step for k in range(-480, 481)]
                reference = step * mpmath.fsum(x**a * u(rho * x) * v(rho * x) * mpmath.npdf(x) for x in nodes)
                assert abs(value[0] - float(reference)) <= error
                assert error <= 1e-13 * max(1.0, abs(value[0])) * 10

    def test_agrees_with_a_closed_form_in_the_plane(self):
        (value,), (error,) = plane_expectations([(sympy.sin(Z), sympy.sin(Z), 0, 0)], geometry(1.3, 0.7, 1.1))
        expected = np.exp(-(1.3**2 + 0.7**2) / 2) * np.sinh(1.3 * 0.7 * np.cos(1.1))
        assert abs(value[0] - expected) <= error < 1e-14

    def test_kinks_and_huge_arguments_are_refused(self):
        kinked = sympy.tanh(Z) * PositivePower(Z, 0)
        with pytest.raises(NtkVerifyError, match=r"did not settle.*analytic functions and smaller points"):
            plane_expectations([(kinked, kinked, 0, 0)], geometry(1.0, 1.0, 1.0))
        with pytest.raises(NtkVerifyError, match=r"norm up to 1e\+03"):
            plane_expectations([(sympy.tanh(Z), sympy.tanh(Z), 0, 0)], geometry(1000.0, 1.0, 1.0))
