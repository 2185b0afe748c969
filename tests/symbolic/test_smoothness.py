"""Conditions on activations, against what is known of them."""

import pytest
import sympy

from ntkverify import NtkVerifyError
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.smoothness import has_decaying_ratio, smoothness


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "swish", "erf", "gelu"])
def test_these_meet_every_condition(name):
    assert smoothness(name).missing == 0


@pytest.mark.parametrize(
    ("activation", "failing"),
    [
        ("relu3", {"lipschitz", "analytic", "decaying"}),
        ("sin", {"decaying"}),
        (Activation("square", Z**2), {"analytic", "decaying"}),
        (Activation("cubic", Z**3), {"lipschitz", "analytic", "decaying"}),
    ],
)
def test_the_conditions_that_fail_are_named(activation, failing):
    found = smoothness(activation)
    names = ("bounded_third", "lipschitz", "analytic", "decaying")
    assert {name for name in names if not getattr(found, name)} == failing


def test_an_unreadable_decay_is_refused():
    mixed = Activation("mixed", sympy.tanh(Z) + sympy.tanh(sympy.sqrt(2) * Z))
    with pytest.raises(NtkVerifyError, match="can't be read off"):
        has_decaying_ratio(mixed)
