"""Closed forms that cancel far out say by how much: the error that a limit Gram matrix carries is a true one."""

import mpmath
import numpy as np
import pytest

from ntkverify.symbolic.expression.running_error import Tracked
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.neuron import pinn_neuron
from ntkverify.symbolic.network.operators import coordinates

DIRECTIONS = np.array([[0.6, 0.8], [0.61, 0.79]])


@pytest.mark.parametrize("activation", ["erf", "gelu"])
def test_the_error_of_an_operator_far_out_is_true(activation):
    limit = limit_gram(pinn_neuron(activation, ops.laplacian(list(coordinates("x y")))))
    (block, *_) = limit.neuron.blocks
    lost = []
    for norm in (1.0, 100.0):
        points = {block.name: norm * DIRECTIONS}
        matrix, error = limit.matrix_with_error(points)
        exact = limit.matrix_mpmath({block.name: points[block.name].tolist()}, digits=45)
        off = np.array(
            [[float(e - mpmath.mpf(x)) for e, x in zip(*rows, strict=True)] for rows in zip(exact, matrix, strict=True)]
        )
        assert (np.abs(off) <= error).all()
        lost.append(np.abs(off).max() / np.abs(matrix).max())
        if activation == "erf":  # nor is it much more than true
            assert error.max() < 1000 * np.abs(off).max()
    if activation == "erf":
        # with w.x multiplied out into single weights a millionth was lost at norm 100
        assert max(lost) < 1e-13


def test_every_operation_carries_what_it_does():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.5, 2, (2, 50))
    off = 1e-9 * rng.uniform(-1, 1, (2, 50))
    a, b = Tracked(x, 1e-9), Tracked(y, 1e-9)
    p, q = x + off[0], y + off[1]  # what the numbers are in truth
    for found, true in (
        (a + b, p + q),
        (a - b, p - q),
        (1 - a, 1 - p),
        (a * b, p * q),
        (2.0 * a, 2 * p),
        (x * b, x * q),
        (a / b, p / q),
        (3 / b, 3 / q),
        (a**3, p**3),
        (-a, -p),
        (a.sqrt(), np.sqrt(p)),
        (a.exp(), np.exp(p)),
        (a.atan(), np.arctan(p)),
    ):
        assert (np.abs(found.value - true) <= found.error).all()
        assert np.all(found.error < 2e-7)


def test_what_is_lost_has_no_bound():
    zero = Tracked(np.array([1e-12]), 1e-9)
    assert np.isinf((1 / zero).error).all()
    assert (zero.sqrt().error >= np.sqrt(1e-9 + 1e-12) - 1e-6).all()
