"""Claims at given data: which are put to the test, which not because of what, and what a failure means."""

from pathlib import Path

import numpy as np
import pytest

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.data.check import unless_idle
from ntkverify.judging.verdict import Verdict
from ntkverify.report.checked import A_CONTROL

TWO = {"inputs": np.eye(2), "targets": [1.0, -1.0]}
RATE = "L(k) <= (1 - eta lambda_0/2)^k"
PINN = {"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5], [0.5, 1.0]]}


def test_a_width_that_is_too_small_leaves_the_conclusion_out(regression):
    at = regression.at(TWO, width=64, steps=5)
    report = at.check(draws=3)
    out = dict(report.left_out)
    (rate,) = (name for name in out if name.startswith(RATE))
    assert out[rate].startswith("assumes 'width at least m_0', missed by")
    assert all(v.claim not in out for v in report)
    assert len(report) + len(out) == len(regression.claims)
    assert {out[c.name] for c in regression.claims.values() if c.kind == "control"} == {A_CONTROL}
    assert report["recursion"].status == "holds"
    assert report.passed
    assert "missed by" in str(report)


def test_without_the_assumption_a_failure_refutes_nothing(regression):
    at = regression.at(TWO, width=2, steps=5, relax=["width"])
    report = at.check(claims=["no weight moves further than R", "recursion"], draws=30)
    assert report["no weight moves"].status == "violated"
    assert report["no weight moves"].claim in report.beyond
    assert report.passed  # what the theorem says here holds
    assert "beyond the theorem" in report.summary
    assert "the theorem assumes 'width at least m_0', missed by" in str(report)


def test_draws_of_the_weights_are_as_many_as_were_asked_for(regression):
    report = regression.at(TWO, width=64, steps=5, relax=["width"]).check(claims=[RATE, "recursion"], draws=4)
    assert [v.instances for v in report] == [4, 4]
    assert report[RATE].status == "observed"  # four draws confirm no probability of 9/10


def test_by_default_a_claim_of_probability_draws_until_it_is_decided(regression):
    report = regression.at(TWO, width=4096, steps=5, relax=["width"]).check(claims=[RATE])
    assert report[RATE].status == "holds"
    assert report[RATE].instances >= 39


def test_a_false_claim_is_refuted_at_given_data(regression):
    """The check has teeth there too: the bound of the rate, tightened a million times."""
    with regression.mutated(next(n for n in regression.claims if n.startswith(RATE)), 1e-6):
        report = regression.at(TWO, width=4096, steps=5, relax=["width"]).check(claims=[RATE], draws=20)
    assert report[RATE].status == "violated"


def test_a_network_that_does_not_fit_is_refused_before_it_is_drawn(regression):
    inputs = np.random.default_rng(1).standard_normal((12, 3))
    with pytest.raises(NtkVerifyError, match=r"neurons takes .* here; give a smaller width .* drop the assumption"):
        regression.at((inputs, np.ones(12)), unit=True).check()


def test_a_claim_of_one_width_is_made_for_that_width_alone(pinn):
    at = pinn.at(PINN, width=256, steps=2)
    name = next(c for c in at.beyond if c.startswith("16384 neurons: lambda_min"))
    assert at.beyond[name] == "the theorem says this of 'separated' (16,384 neurons)"
    report = at.check(draws=2)
    assert report["recursion"].status == "holds"
    assert set(at.beyond) <= {v.claim for v in report}


def test_the_same_entropy_gives_the_same_verdicts(pinn):
    one, other, fresh = (
        [v.slack for v in pinn.at(PINN, width=64, steps=2).check(claims=["any step"], draws=2, entropy=e)]
        for e in (5, 5, 6)
    )
    assert one == other != fresh


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"claims": ["the rate to the sixth power"]}, "is not put to these data: false on purpose"),
        ({"claims": ["nothing of the kind"]}, "has no claim 'nothing of the kind'"),
        ({"claims": "recursion"}, "claims is a list of claims, not one; write claims=['recursion']."),
        ({"draws": 0}, "draws must be at least 1, not 0."),
        ({"profile": "slow"}, "there is no profile 'slow'"),
    ],
)
def test_mistakes_are_one_sentence(regression, options, said):
    with pytest.raises(NtkVerifyError) as refusal:
        regression.at(TWO, width=64, steps=2).check(**options)
    assert said in str(refusal.value)


def test_a_check_asked_for_data_has_the_same_theorem_for_slack_and_search(regression):
    at = regression.at(TWO, width=64, steps=2)
    assert list(at.theorem.families) == [at.base.name]
    assert all(claim.on == (at.base.name,) for claim in at.theorem.claims.values())
    assert at.family.build() == at.instance
    assert at.theorem.families_of(next(iter(at.theorem.claims.values()))) == (at.family,)


def test_what_measured_nothing_but_zeros_is_not_exercised(regression):
    """A weight leaves the ball R at once here, so that the claim speaks of k = 0, where H(k) = H(0), or of no step."""
    at = regression.at(TWO, width=64, steps=3, relax=["width"])
    held = "||H(k) - H(0)||_F <= sigma lambda_0 while"
    report = at.check(claims=[held, "recursion"], draws=10)
    assert report[held].shown == "not exercised"
    assert "0 throughout" in report[held].evidence or "none of 10 draws" in report[held].evidence
    assert report[held].passed is (report[held].vacuous < 10)
    assert report["recursion"].shown == "holds"
    assert "1 not exercised" in report.summary


@pytest.mark.parametrize(
    ("changes", "word", "passed"),
    [
        ({}, "holds", True),
        ({"slack": np.inf}, "not exercised", True),
        ({"slack": np.inf, "status": "violated"}, "violated", False),
        ({"slack": None}, "holds", True),  # of a quantifier without a bound
        ({"slack": None, "vacuous": 10, "status": "inconclusive"}, "not exercised", False),
        ({"slack": None, "vacuous": 10, "unresolved": 7, "status": "inconclusive"}, "inconclusive", False),
        ({"slack": 0.5, "status": "inconclusive"}, "inconclusive", False),
    ],
)
def test_the_word_for_nothing_measured(changes, word, passed):
    given = {"theorem": "t", "claim": "c", "kind": "lemma", "quantifier": "always", "status": "holds", "slack": 2.0}
    given |= {"instances": 10, "vacuous": 7, "seconds": 0.0, "evidence": "within the bound on 3 instances"}
    found = unless_idle(Verdict(**(given | changes)))
    assert (found.shown, found.passed) == (word, passed)


@pytest.fixture(scope="module")
def angles():
    return load_theorem(Path(__file__).parents[2] / "theorems" / "beyond" / "data_angles.py")


def plane(*at):
    return np.array([[np.cos(x), np.sin(x)] for x in at])


@pytest.mark.parametrize(
    ("functions", "two", "three"),
    [
        (np.eye(3), False, False),  # the least eigenvalue of K_1 exceeds theta^3/13 there
        (plane(0, 2.5), False, False),  # what is summed is a sixth of it
        (plane(0, 0.3), True, False),
        (plane(0.2, 0.0, 0.1), False, True),
        (plane(0.6, 0.0, 0.3), False, False),
        (plane(0.2, 0.0, 0.11), False, False),
    ],
)
def test_what_is_true_of_two_or_three_samples_is_not_offered_of_others(angles, functions, two, three):
    report = angles.at({"functions": functions, "queries": [[1.0]]}).check()
    kept = [v.claim for v in report]
    assert any(name.startswith("two samples") for name in kept) == two
    assert any(name.startswith("three in a row") for name in kept) == three
    assert report.passed


def test_a_width_that_is_an_assumption_makes_the_claims_of_a_theorem_that_declares_none():
    """The requirements on the width stand on both sides, so that the theorem has them as an assumption."""
    theorem = load_theorem(Path(__file__).parents[2] / "theorems" / "neural_operator" / "coupled_pairs.py")
    theorem.roles.width = None
    theorem.roles.splits.clear()
    one = {"functions": [[1.0]], "queries": [[1.0]], "values": [[1.0]]}
    asked = "the width meets every requirement"
    sure = {c.name for c in theorem.claims.values() if c.kind == "conclusion"}
    wide = theorem.at(one, width=10236)
    assert wide.prescribed_width is None
    assert not any(met.fails for met in wide.assumptions)
    assert sure & set(wide.claims.kept)
    assert not sure & set(wide.beyond)
    narrow = theorem.at(one, width=64)
    assert all(why.startswith(f"assumes {asked!r}") for name, why in narrow.left_out if name in sure)
    assert not sure & set(narrow.claims.kept)
    relaxed = theorem.at(one, width=64, relax=["width"])
    assert sure & set(relaxed.claims.kept) <= set(relaxed.beyond)
