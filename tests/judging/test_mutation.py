"""What became of a mutant: only a violated claim counts as a refutation."""

import numpy as np
import pytest
import sympy

from ntkverify import Instance, NtkVerifyError, Source, Theorem, always, load_theorem, with_probability
from ntkverify.judging.check import Check
from ntkverify.judging.mutation import PAST, Margin, Mutant, check_original, fate, mutants, past_slack
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.records import RecordStore
from ntkverify.search.campaign.mutants import hunts

HALF = sympy.Rational(1, 2)
CORNER = """
import sympy
from hypothesis import strategies as st
from ntkverify import Instance, Source, Theorem, always
from ntkverify.glossary import n
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem("Corner", source=Source(), statement="a sharp bound that random vectors stay away from")
theorem.quantity("n", lambda run: len(run.x))
c = theorem.constant("c", sympy.Integer(1), "largest entry squared")


@theorem.instances("vectors", run=AlgebraRun, quick=20)
def vectors(draw):
    return Instance(data={"x": draw(st.lists(st.floats(0, 1), min_size=6, max_size=6))})


@theorem.conclusion("squares sum to n at most", holds=always, bound=n)
def squares(run):
    return run.x @ run.x


@theorem.lemma("at most c n", holds=always, bound=c * n)
def scaled(run):
    return run.x @ run.x


@theorem.lemma("entries are 1/100 at least", holds=always, bound=sympy.Rational(1, 100), from_below=True)
def least(run):
    return 0.01 + 0.99 * run.x.min()


@theorem.control("a hundredth of n", holds=always, bound=n / 100)
def false(run):
    return run.x @ run.x
"""


@pytest.fixture
def theorem():
    made = Theorem("toy", source=Source(provenance="derived"), statement="s")
    c = made.constant("c", sympy.Integer(1), "the largest value")

    @made.instances("values", run=AlgebraRun, quick=30)
    def values():
        return Instance(parameters={"x": 1.0})

    made.lemma("at most c", holds=always, bound=c)(lambda run: run.x)
    made.lemma("seldom above 1", holds=with_probability(HALF), bound=sympy.Integer(1))(lambda run: run.x)
    made.lemma("far below", holds=always, bound=10 * c)(lambda run: run.x)
    made.control("control: at most half", holds=always, bound=c / 2)(lambda run: run.x)
    return made


def became(theorem, tmp_path, name, factor, *, is_constant):
    return fate(theorem, Mutant(name, factor, is_constant), profile="quick", store=RecordStore(tmp_path))


def test_every_constant_and_bound_is_scaled(theorem):
    found = [(m.name, m.factor) for m in mutants(theorem)]
    assert found == [("c", HALF), ("c", 2), ("at most c", HALF), ("seldom above 1", HALF), ("far below", HALF)]


def test_refuted_survived_and_a_control_that_is_lost(theorem, tmp_path):
    halved = became(theorem, tmp_path, "c", HALF, is_constant=True)
    assert (halved.status, halved.claim, halved.refuted) == ("refuted", "at most c", True)
    doubled = became(theorem, tmp_path, "c", sympy.Integer(2), is_constant=True)
    assert (doubled.status, doubled.claim, doubled.refuted) == ("control lost", "control: at most half", False)
    loose = became(theorem, tmp_path, "far below", HALF, is_constant=False)
    assert (loose.status, loose.claim) == ("survived", None)
    assert "slack 5" in loose.evidence


def test_an_error_is_no_refutation(theorem, tmp_path):
    def unknown(run):
        raise NtkVerifyError("cannot be measured")

    theorem.lemma("unknown", holds=always, bound=sympy.Integer(1))(unknown)
    assert became(theorem, tmp_path, "unknown", HALF, is_constant=False).status == "error"
    # but it does not hide one
    assert became(theorem, tmp_path, "c", HALF, is_constant=True).status == "refuted"


def test_a_theorem_that_fails_as_it_stands_is_not_mutated(theorem, tmp_path):
    store, chosen = RecordStore(tmp_path), list(mutants(theorem))
    check_original(theorem, chosen, profile="quick", store=store)
    theorem.lemma("false", holds=always, bound=sympy.Integer(1))(lambda run: 2 * np.float64(run.x))
    with pytest.raises(NtkVerifyError, match="'false' is violated without any mutation"):
        check_original(theorem, mutants(theorem), profile="quick", store=store)
    # nobody asks for what no chosen mutant changes
    check_original(theorem, [Mutant("at most c", HALF, False)], profile="quick", store=store)


def test_a_bound_falls_past_its_slack(theorem):
    """Of a normal's absolute values half are above 0.6745."""

    @theorem.instances("normal", run=AlgebraRun, quick=30)
    def normal():
        return Instance(parameters={"x": 1.0})

    def size(run):
        return abs(np.random.default_rng(run.instance.seed).standard_normal())

    theorem.lemma("half below 2", holds=with_probability(HALF), bound=sympy.Integer(2), on="normal")(size)
    theorem.lemma("none below 0", holds=always, bound=0, from_below=True, on="normal")(size)
    theorem.lemma("1e9 at most", holds=with_probability(HALF), bound=10**9, on="values")(lambda run: run.x)
    check = Check(theorem)
    found = {name: past_slack(check, claim) for name, claim in theorem.claims.items() if claim.kind != "control"}
    assert found["at most c"] == Margin("at most c", 1.0, PAST[0])
    assert found["far below"] == Margin("far below", 10.0, PAST[0])
    assert found["none below 0"] is None
    assert found["1e9 at most"].past == PAST[0]
    half = found["half below 2"]
    assert 2 / (half.slack * half.past) < 0.6745  # what is refuted is false
    theorem.lemma("false", holds=always, bound=sympy.Integer(1), on="values")(lambda run: 2 * np.float64(run.x))
    with pytest.raises(NtkVerifyError, match="violated before it is tightened"):
        past_slack(check, theorem.claims["false"])


class TestSurvivors:
    """What the drawn instances do not refute is put to the search."""

    def found(self, vectors, factor):
        theorem, path = vectors
        mutant = Mutant("squares sum to n at most", factor, False)
        return list(hunts(theorem, mutant, path=path, evaluations=400))

    @pytest.fixture
    def vectors(self, tmp_path):
        path = tmp_path / "corner.py"
        path.write_text(CORNER)
        return load_theorem(path), path

    def test_a_false_mutant_that_random_draws_miss_is_found(self, vectors, tmp_path):
        theorem, _ = vectors
        mutant = Mutant("squares sum to n at most", sympy.Rational(9, 10), False)
        assert fate(theorem, mutant, profile="quick", store=RecordStore(tmp_path)).status == "survived"
        (hunt,) = self.found(vectors, mutant.factor)
        assert hunt.violated
        assert hunt.reached >= 1

    def test_a_true_mutant_is_not_and_its_reach_is_told(self, vectors):
        (hunt,) = self.found(vectors, sympy.Rational(11, 10))
        assert not hunt.violated
        assert 0.8 < hunt.reached < 1 / 1.1 + 1e-9
        assert hunt.evaluations > 0

    def test_a_lower_bound_is_searched_when_it_grows(self, vectors):
        theorem, path = vectors
        least = "entries are 1/100 at least"
        (hunt,) = hunts(theorem, Mutant(least, sympy.Integer(2), False), path=path, evaluations=300)
        assert hunt.violated
        assert hunt.reached > 1
        (hunt,) = hunts(theorem, Mutant(least, HALF, False), path=path, evaluations=300)
        assert not hunt.violated
        assert 0.3 < hunt.reached <= 0.5  # a bound of 1/200 where 1/100 is the least

    def test_a_constant_is_searched_where_it_tightens_a_bound(self, vectors):
        theorem, path = vectors
        assert not list(hunts(theorem, Mutant("c", sympy.Integer(2), True), path=path))
        (hunt,) = hunts(theorem, Mutant("c", HALF, True), path=path, evaluations=400)
        assert hunt.violated
        assert hunt.claim == "at most c n"
