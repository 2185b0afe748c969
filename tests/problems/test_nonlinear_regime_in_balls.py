"""Claims of the nonlinear regime in balls: small networks keep every bound, controls are certified to break theirs."""

import pytest
from small_instances import small_instance

from ntkverify.judging.case import Case
from ntkverify.search.evidence.certify import certify

pytest.importorskip("flint")
FAMILIES = [
    ("residual_dynamics", "Burgers"),
    ("residual_dynamics", "u u_x, unweighted loss"),
    ("lazy_sums", "moved"),
    ("kernel_law", "one network"),
    ("linear_training", "gradient descent"),
    ("linear_training", "Gauss-Newton"),
    ("damped_natural_gradient", "damped, u u_x"),
    ("damped_natural_gradient", "damped, u u_x, far below mu"),
    ("levenberg_marquardt", "damped Jacobian"),
    ("nondegeneracy", "quadratic residual"),
    ("gauss_newton_flow", "steps, u u_x"),
]


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_bounds_are_kept_and_controls_broken(name, family):
    theorem, chosen, instance = small_instance(name, family)
    tried = 0
    for claim in theorem.claims.values():
        if claim.is_symbolic or not claim.quantifier.is_decided_by_one_run:
            continue
        if chosen in list(theorem.families_of(claim)):
            wanted = "CERTIFIED" if claim.kind == "control" else "REFUTED"
            assert certify(Case(theorem, claim, chosen), instance).status == wanted, claim.name
            tried += 1
    assert tried


@pytest.mark.parametrize(
    ("name", "family", "reason"),
    [
        ("lazy_sums", "flow, u u_x", "no ball encloses"),
        ("residual_hessian", "u u_x", "measures in float64"),
        ("sum_hessians", "any width", "measures in float64"),
    ],
)
def test_what_has_no_enclosure_says_so(name, family, reason):
    theorem, chosen, instance = small_instance(name, family)
    claim = next(
        c
        for c in theorem.claims.values()
        if not c.is_symbolic and c.quantifier.is_decided_by_one_run and chosen in list(theorem.families_of(c))
    )
    found = certify(Case(theorem, claim, chosen), instance)
    assert found.status == "UNDECIDED"
    assert reason in found.reason
