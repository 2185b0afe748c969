"""Bounds are refuted past their measured slack, and what float64 cannot decide is certified."""

from pathlib import Path

import pytest

from ntkverify import load_theorem
from ntkverify.judging.case import Case
from ntkverify.judging.check import Check
from ntkverify.judging.draws import draw_instances
from ntkverify.judging.slack import PAST, past_slack
from ntkverify.search.evidence.certify import certify

FOLDER = Path(__file__).parents[1] / "theorems" / "differentiation"


@pytest.mark.parametrize(
    "name", ["truncated_entropy", "hard_boundary", "periodic_kernels", "spectra_and_speed", "sine_features"]
)
def test_bounds_are_refuted_past_their_slack(name):
    """What is claimed of all instances; `ntkverify mutants --past-slack` does the same for claims of probability."""
    theorem = load_theorem(FOLDER / f"{name}.py")
    check = Check(theorem, backend="array")
    margins = [past_slack(check, c) for c in theorem.claims.values() if c.kind != "control"]
    found = [margin for margin in margins if margin is not None]
    assert len(found) >= 2
    for margin in found:
        assert margin.past == PAST[0], margin


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("sine_features", "A2 in exact arithmetic: the small singular values of A_FD are larger"),
        ("sine_features", "tanh features are all larger instead"),
        ("rounding_floor", "the argument's rounding left out: S_p u sup |sigma| sqrt(N M)/h^(2p)"),
        ("hard_boundary", "the gain is pi^2/l^2, the least eigenvalue of the derivative itself"),
        ("network_kernels", "random sine features: every eigenvalue of K_h is at least that of K"),
        ("network_kernels", "random sine features: K_h <= 99/100 K as quadratic forms"),
    ],
)
def test_what_float64_cannot_decide_is_certified(name, control):
    theorem = load_theorem(FOLDER / f"{name}.py")
    claim = theorem.claims[control]
    (family,) = theorem.families_of(claim)
    (instance,) = draw_instances(family, 1, entropy=1)
    assert certify(Case(theorem, claim, family), instance).status == "CERTIFIED"
