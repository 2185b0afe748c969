"""The vectorisable elementary functions against enclosures."""

import flint
import numpy as np
import pytest

from ntkverify.execution.kernels import fastmath

RNG = np.random.default_rng(0)
SMALL = 10.0 ** RNG.uniform(-300, 0, 300)


@pytest.mark.parametrize(
    ("name", "reference", "arguments"),
    [
        ("exp", lambda z: z.exp(), np.r_[RNG.uniform(-708, 709, 500), RNG.uniform(-2, 2, 500), SMALL]),
        ("tanh", lambda z: z.tanh(), np.r_[RNG.uniform(-25, 25, 1000), SMALL, -SMALL]),
        ("softplus", lambda z: z.max(0) + (-abs(z)).exp().log1p(), RNG.uniform(-300, 50, 1000)),
        ("sin", lambda z: z.sin(), np.r_[RNG.uniform(-1e6, 1e6, 500), RNG.uniform(-4, 4, 500), SMALL]),
        ("cos", lambda z: z.cos(), np.r_[RNG.uniform(-1e6, 1e6, 500), RNG.uniform(-4, 4, 500), SMALL]),
    ],
)
def test_within_three_units_in_the_last_place(name, reference, arguments):
    function = getattr(fastmath, name)
    with flint.ctx.workprec(200):
        for x in arguments:
            exact = float(reference(flint.arb(float(x))).mid())
            assert abs(function(x) - exact) <= 3 * np.spacing(abs(exact))


@pytest.mark.parametrize(
    ("name", "at_minus_infinity", "at_infinity"), [("exp", 0, np.inf), ("tanh", -1, 1), ("softplus", 0, np.inf)]
)
def test_far_out(name, at_minus_infinity, at_infinity):
    function = getattr(fastmath, name)
    assert np.isnan(function(np.nan))
    for x in (1e4, 1e300, np.inf):
        assert function(-x) == at_minus_infinity
        assert function(x) == (at_infinity if name != "softplus" else x)


def test_not_a_number_passes_through_the_waves():
    assert np.isnan(fastmath.sin(np.nan))
    assert np.isnan(fastmath.cos(np.inf))


def test_beyond_exact_reduction_there_is_no_wrong_value():
    for x in (2.0**20, -1e16, 1e18):
        assert np.isnan(fastmath.sin(x))
        assert np.isnan(fastmath.cos(x))
    assert np.isfinite(fastmath.sin(2.0**20 - 1))
