"""Singular values in balls: the exact ones are inside, however small, and float64's are not."""

import flint
import numpy as np
import pytest

from ntkverify.arithmetic.ball_singular import ACCURACY, certified_singular_values, singular_value_balls
from ntkverify.arithmetic.balls import Undecided, as_balls


def rotation(size, i, j):
    """A rational rotation by the angle with cosine 3/5, exact in balls."""
    turn = flint.arb_mat(size, size, 1)
    cosine, sine = flint.arb(flint.fmpq(3, 5)), flint.arb(flint.fmpq(4, 5))
    turn[i, i], turn[j, j], turn[i, j], turn[j, i] = cosine, cosine, sine, -sine
    return turn


def known(values, columns=None):
    """A matrix of balls with exactly these singular values, turned on both sides."""
    size = len(values)
    columns = columns or size
    middle = flint.arb_mat([[values[i] if i == j else 0 for j in range(columns)] for i in range(size)])
    for i in range(size - 1):
        middle = rotation(size, i, i + 1) * middle * rotation(columns, i, i + 1)
    return np.array([[middle[i, j] for j in range(columns)] for i in range(size)], dtype=object)


@pytest.mark.parametrize("columns", [5, 7])
def test_known_values_are_enclosed(columns):
    values = [flint.arb(2) ** -power for power in (0, 3, 60, 200, 400)]
    with flint.ctx.workprec(1500):
        found = singular_value_balls(known(values, columns))
        assert all(ball.contains(value) for ball, value in zip(found, values, strict=True))
        assert all(ball.rad() < value * 1e-9 for ball, value in zip(found, values, strict=True))


@pytest.mark.parametrize("bits", [60, 100, 130, 200, 300, 420])
def test_too_few_bits_enclose_or_refuse(bits):
    values = [flint.arb(2) ** -power for power in (0, 3, 60, 200)]
    with flint.ctx.workprec(bits):
        try:
            found = singular_value_balls(known(values))
        except Undecided:
            assert bits < 200
        else:
            assert all(ball.contains(value) for ball, value in zip(found, values, strict=True))


def test_floats_are_correct_to_what_is_said_and_float64_is_not():
    values = [2.0**-power for power in (0, 30, 90, 150)]

    def at():
        return known([flint.arb(v) for v in values])

    found = certified_singular_values(at)
    assert np.abs(found / values - 1).max() <= 2 * ACCURACY
    with flint.ctx.workprec(53):
        rounded = np.array([[float(e.mid()) for e in row] for row in at()])
    plain = np.linalg.svd(rounded, compute_uv=False)
    assert plain[-1] > 1e3 * values[-1]  # rounding, not a singular value


def test_a_singular_matrix_is_refused():
    with pytest.raises(Undecided):
        certified_singular_values(lambda: as_balls(np.ones((2, 2))), limit=1024)


def test_one_row_and_equal_values():
    with flint.ctx.workprec(200):
        (norm,) = singular_value_balls(as_balls(np.array([[3.0, 4.0]])))
        assert norm.contains(5)
        try:
            pair = singular_value_balls(as_balls(np.eye(2)))
        except Undecided:
            pair = [flint.arb(1)] * 2  # refused is as good as enclosed
        assert all(ball.contains(1) for ball in pair)
