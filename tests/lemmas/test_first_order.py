"""The path of one value at width m: limits against formulas by hand, paths against a network that is trained."""

import numpy as np
import pytest

from ntkverify.lemmas.nonlinear.first_order import follow_path, path_limits

X = 0.5
KAPPA = 1 + X * X


def derivatives(z):
    """tanh and its first three derivatives."""
    s = np.tanh(z)
    first = 1 - s * s
    second = -2 * s * first
    return s, first, second, -2 * first * first - 2 * s * second


def neuron_terms(a, z):
    """Theta, g.H g, |H g|^2 and D3[g, g, g] of each neuron, by hand, without powers of m."""
    s, s1, s2, s3 = derivatives(z)
    kernel = s**2 + KAPPA * (a * s1) ** 2
    bend = a * KAPPA * (2 * s * s1**2 + a**2 * KAPPA * s2 * s1**2)
    turn = KAPPA**2 * a**2 * s1**4 + KAPPA * (s * s1 + a**2 * KAPPA * s2 * s1) ** 2
    third = 3 * s * s2 * (a * s1 * KAPPA) ** 2 + a * s3 * (a * s1 * KAPPA) ** 3
    return kernel, bend, turn, third


def test_limits_are_the_means_of_what_is_found_by_hand():
    rng = np.random.default_rng(0)
    a, z = rng.standard_normal((2, 10**6)) * np.array([[1], [KAPPA**0.5]])
    kernel, bend, turn, third = neuron_terms(a, z)
    u = a * np.tanh(z)
    limits = path_limits("tanh", X * X)
    for samples, value in [
        (u**2 + 1, limits.field), (kernel + 1, limits.kernel), (bend**2, limits.bend_spread),
        (bend * u, limits.bend_field), (turn, limits.turn), (third, limits.third),
    ]:  # fmt: skip
        assert abs(samples.mean() - value) < 5 * samples.std() / 1000  # passes but once in a million


def test_draws_have_the_covariance():
    limits = path_limits("tanh", X * X)
    field, bend = limits.draw(10**5, 1)
    assert np.cov(field, bend)[0, 1] == pytest.approx(limits.bend_field, abs=0.03)
    assert bend.var() == pytest.approx(limits.bend_spread, rel=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_a_trained_network_departs_by_it(seed):
    m, eta, steps = 2000, 0.02, 20
    rng = np.random.default_rng(seed)
    a, w, b = rng.standard_normal((3, m))
    c = 0.5

    def at():
        s, s1, _, _ = derivatives(w * X + b)
        return (a @ s) / m**0.5 + c, (s @ s + KAPPA * ((a * s1) @ (a * s1))) / m + 1

    (u, kernel), (_, *orders) = at(), neuron_terms(a, w * X + b)
    bend, turn, third = orders[0].sum() / m**1.5, orders[1].sum() / m**2, orders[2].sum() / m**2
    slope = lambda v: 2 * v * (v**2 - 1)  # noqa: E731
    options = {"eta": eta, "steps": steps}
    predicted = follow_path(u, kernel, slope, bend=bend, turn=turn, third=third, **options)
    infinite = follow_path(u, kernel, slope, bend=0, turn=0, third=0, **options)
    for _ in range(steps):
        value, _ = at()
        s, s1, _, _ = derivatives(w * X + b)
        step = eta * slope(value) / m**0.5
        a, w, b, c = a - step * s, w - step * a * s1 * X, b - step * a * s1, c - eta * slope(value)
    for found, first, without in zip(at(), predicted, infinite, strict=True):
        assert abs(found - first) < 0.1 * abs(found - without)
