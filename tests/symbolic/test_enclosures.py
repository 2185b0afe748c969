"""Certified eigenvalues enclose known ones, and nothing is claimed of singular matrices."""

import math

import mpmath
import pytest

from ntkverify import NtkVerifyError
from ntkverify.symbolic.limit.enclosures import is_positive_definite, least_eigenvalue

flint = pytest.importorskip("flint")


@pytest.mark.parametrize("n", [1, 2, 7])
def test_second_difference_matrix(n):
    """Its least eigenvalue is 4 sin^2(pi / (2 (n + 1)))."""
    matrix = flint.arb_mat([[2 if i == j else -1 if abs(i - j) == 1 else 0 for j in range(n)] for i in range(n)])
    found = least_eigenvalue(matrix)
    exact = 4 * math.sin(math.pi / (2 * (n + 1))) ** 2
    rounding = 16 * 2.0**-53 * exact
    assert found.is_positive
    assert float(found.lower) <= exact + rounding
    assert float(found.upper) >= exact - rounding
    assert float(found.upper - found.lower) <= 1e-5 * exact


def test_an_ill_conditioned_matrix_is_resolved():
    """Hilbert's matrix of order 12, condition number 1.7e16, against mpmath with 60 digits."""
    with flint.ctx.workprec(256):
        matrix = flint.arb_mat([[flint.arb(1) / (i + j + 1) for j in range(12)] for i in range(12)])
    found = least_eigenvalue(matrix, bits=256)
    assert found.is_positive
    assert float(found.upper / found.lower) == pytest.approx(1, rel=1e-4)
    with mpmath.workdps(60):
        exact = min(mpmath.eigsy(mpmath.hilbert(12), eigvals_only=True))
    # both ends agree with it to the digits of a double
    assert float(found.lower) <= float(exact) * (1 + 1e-15)
    assert float(found.upper) >= float(exact) * (1 - 1e-15)


@pytest.mark.parametrize("rows", [[[1, 1], [1, 1]], [[1, 2], [2, 1]], [[0]]])
def test_nothing_is_proved_of_matrices_that_are_not_definite(rows):
    assert not is_positive_definite(flint.arb_mat(rows))
    assert not least_eigenvalue(flint.arb_mat(rows)).is_positive


def test_precision_is_restored_and_shapes_are_checked():
    before = flint.ctx.prec
    least_eigenvalue(flint.arb_mat([[1]]), bits=500)
    assert flint.ctx.prec == before
    with pytest.raises(NtkVerifyError, match="square"):
        least_eigenvalue(flint.arb_mat([[1, 2]]))
