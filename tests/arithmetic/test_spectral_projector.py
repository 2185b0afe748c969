"""Projectors on parts of a spectrum, in balls."""

import numpy as np
import pytest

from ntkverify.arithmetic.ball_linear import spectral_projector
from ntkverify.arithmetic.balls import Undecided

flint = pytest.importorskip("flint")


def balls(array):
    return np.vectorize(flint.arb, otypes=[object])(array)


@pytest.mark.parametrize("level", [-2.0, 0.3, 0.999, 5.0])
def test_it_encloses_that_of_numpy(level):
    rng = np.random.default_rng(3)
    vectors, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    values = np.array([-1.0, 0.25, 1.0, 4.0])
    matrix = (vectors * values) @ vectors.T
    kept = vectors[:, values > level]
    with flint.ctx.workprec(256):
        found = spectral_projector(balls(matrix), level)
        assert max(float(x.rad()) for x in found.ravel()) < 1e-20
        np.testing.assert_allclose(np.vectorize(float)(found), kept @ kept.T, atol=1e-12)


def test_projectors_of_a_diagonal_matrix_are_exact():
    with flint.ctx.workprec(256):
        found = spectral_projector(balls(np.diag([1.0, 2.0, 3.0])), 2.5)
    assert all(entry.contains(int(i == j == 2)) for (i, j), entry in np.ndenumerate(found))


def test_an_eigenvalue_at_the_level_is_left_open():
    with flint.ctx.workprec(128), pytest.raises(Undecided, match="not told from the level"):
        spectral_projector(balls(np.diag([1.0, 2.0])), 2.0)
