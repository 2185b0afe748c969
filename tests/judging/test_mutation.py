"""What became of a mutant: only a violated claim counts as a refutation."""

from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import strategies as st

from ntkverify import (
    Instance,
    NtkVerifyError,
    Source,
    Theorem,
    always,
    load_theorem,
    moment,
    scales_as,
    with_probability,
)
from ntkverify.instances import generator
from ntkverify.judging.check import Check
from ntkverify.judging.falsehoods import planted
from ntkverify.judging.mutation import Bench, Mutant, fate, mutants
from ntkverify.judging.slack import PAST, Margin, past_slack
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
s = sympy.Symbol("s", nonnegative=True)


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


theorem.lemma("for all numbers", of=s, holds=always, bound=2 * c, over={s: sympy.Interval(0, 1)})
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
        if run.c != 1:
            raise NtkVerifyError("cannot be measured")
        return run.x

    theorem.lemma("unknown", holds=always, bound=sympy.Integer(1))(unknown)
    larger = became(theorem, tmp_path, "c", sympy.Rational(11, 10), is_constant=True)
    assert (larger.status, larger.claim) == ("error", "unknown")
    # but it does not hide one
    assert became(theorem, tmp_path, "c", HALF, is_constant=True).status == "refuted"


def test_a_theorem_that_fails_as_it_stands_is_not_mutated(theorem, tmp_path):
    store = RecordStore(tmp_path)
    theorem.lemma("false", holds=always, bound=sympy.Integer(1))(lambda run: 2 * np.float64(run.x))
    bench = Bench(theorem, "quick", store)
    with pytest.raises(NtkVerifyError, match="'false' is violated without any mutation"):
        bench.fate(Mutant("c", HALF, True))
    # nobody asks for what a mutant does not change
    assert bench.fate(Mutant("at most c", HALF, False)).refuted


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
        """What a claim over ranges says is proved, and not searched: it used to end in an error."""
        theorem, path = vectors
        assert not list(hunts(theorem, Mutant("c", sympy.Integer(2), True), path=path))
        (hunt,) = hunts(theorem, Mutant("c", HALF, True), path=path, evaluations=400)
        assert hunt.violated
        assert hunt.claim == "at most c n"


class TestWhatIsMadeWrong:
    """Exponents and requirements are mutated too."""

    @pytest.fixture
    def powers(self):
        made = Theorem("powers", source=Source(), statement="s")
        s = sympy.Symbol("s", positive=True)
        least = made.constant("least", sympy.Max(s / 4, s**2, 3), "the largest of three")

        @made.instances("values", run=AlgebraRun, quick=30)
        def values(draw):
            return Instance(parameters={"s": float(generator(draw).uniform(2, 4))}, width=2 ** draw(st.integers(4, 12)))

        made.lemma("s squared is largest", holds=always, bound=least)(lambda run: run.s**2)
        made.lemma("s to the fourth", holds=always, bound=s**4, on="values")(lambda run: run.s**4)

        @made.lemma("like 1/m", holds=scales_as(-1, tolerance=0.1))
        def law(run):
            return np.exp(0.1 * np.random.default_rng(run.instance.seed).standard_normal()) / run.m

        return made

    def test_they_are_refuted_where_they_are_false(self, powers, tmp_path):
        found = {m.plant: m for m in mutants(powers) if m.kind in ("exponent", "requirement")}
        assert set(found) == {
            *(f"{name} with s**{p}" for name in ("least", "s to the fourth") for p in ("1/2", "2")),
            *(f"like 1/m, exponent {sign} 3/10" for sign in "+-"),
            *(f"least, requirement {number} * 1/2" for number in (1, 2, 3)),
        }
        fates = {
            name: fate(powers, mutant, profile="quick", store=RecordStore(tmp_path)).status
            for name, mutant in found.items()
        }
        assert fates["s to the fourth with s**1/2"] == fates["least with s**1/2"] == "refuted"
        assert fates["s to the fourth with s**2"] == fates["least with s**2"] == "weaker"
        assert fates["like 1/m, exponent + 3/10"] == fates["like 1/m, exponent - 3/10"] == "refuted"
        # of the largest of three the one that decides
        assert sorted(fates[f"least, requirement {number} * 1/2"] for number in (1, 2, 3)) == [
            "refuted",
            "unseen",
            "unseen",
        ]

    def test_requirements_are_found_wherever_they_are_in_a_constant(self, tmp_path):
        made = Theorem("scaled", source=Source(), statement="s")
        a, b = sympy.symbols("a b", positive=True)
        product = made.constant("product", 3 * sympy.Max(a, b) + 1, "the largest of two, in a sum")
        share = made.constant("share", sympy.Max(0, 1 - a / 4), "zero is no requirement that could be wrong")
        nested = made.constant("nested", sympy.Max(b, 2 * sympy.Min(a, 5)), "one in another")
        made.instances("values", run=AlgebraRun, quick=5)(lambda: Instance(parameters={"a": 2.0, "b": 1.0}))
        made.lemma("product", holds=always, bound=product)(lambda run: 7)
        made.lemma("share", holds=always, bound=share)(lambda run: 0.5)
        made.lemma("nested", holds=always, bound=nested)(lambda run: 4)
        found = {m.plant: m for m in mutants(made) if m.kind == "requirement"}
        store = RecordStore(tmp_path)
        fates = {plant: fate(made, mutant, profile="quick", store=store).status for plant, mutant in found.items()}
        assert fates == {
            "product, requirement 1 * 1/2": "refuted",
            "product, requirement 2 * 1/2": "unseen",
            "share, requirement 2 * 1/2": "refuted",
            "nested, requirement 1 * 1/2": "refuted",
            "nested, requirement 2 * 1/2": "unseen",
            "nested, requirement 3 * 2": "unseen",
            "nested, requirement 4 * 2": "weaker",
        }
        at = {a: 2, b: 1}
        for plant, value in [("product, requirement 2 * 10", 31), ("nested, requirement 3 * 1/5", 2)]:
            with planted(made, [plant]):
                symbol = made.constants[plant.partition(",")[0]].symbol
                assert float(made.value(symbol, at)) == value

    def test_nothing_of_it_is_left(self, powers, tmp_path):
        for mutant in mutants(powers):
            fate(powers, mutant, profile="quick", store=RecordStore(tmp_path))
        assert all(verdict.status == "holds" for verdict in Check(powers).verdicts())

    def test_an_exponent_of_one_is_unseen(self, tmp_path):
        made = Theorem("one", source=Source(), statement="s")
        made.instances("values", run=AlgebraRun, quick=3)(lambda: Instance(parameters={"s": 1.0, "x": 0.9}))
        made.lemma("at most s", holds=always, bound=sympy.Symbol("s", positive=True))(lambda run: run.x)
        store = RecordStore(tmp_path)
        fates = {m.plant: fate(made, m, profile="quick", store=store).status for m in mutants(made)}
        assert fates == {
            "at most s * 1/2": "refuted",
            "at most s with s**1/2": "unseen",
            "at most s with s**2": "unseen",
        }

    @pytest.mark.parametrize(
        "text",
        ["least, requirement 4 * 1/2", "like 1/m, requirement 1 * 2", "least, exponent + 1/2", "least with x**2"],
    )
    def test_what_is_not_there_is_refused(self, powers, text):
        with pytest.raises(NtkVerifyError, match=r"no constant|no claim|does not contain"), planted(powers, [text]):
            pass


def test_plants_on_one_name_add_up_and_go(theorem):
    c = theorem.constants["c"].symbol
    with planted(theorem, ["c * 1/2", "c * 1/2", "c * 5"]):
        assert theorem.expand(c) == sympy.Rational(5, 4)
    assert theorem.expand(c) == 1


def test_a_run_that_trains_with_a_constant_has_another_record(tmp_path):
    """The momentum of a heavy ball: its mutant survived on the records of the theorem as it stands."""
    made = Theorem("momentum", source=Source(), statement="s")
    beta = made.constant("beta", HALF, "momentum")

    class Trained(AlgebraRun):
        @property
        def distance(self):
            return self.shared("trained", lambda: sum(self.beta**k for k in range(60)))

    made.instances("runs", run=Trained, quick=20)(lambda: Instance(parameters={"x": 1.0}))
    made.lemma("a geometric sum", holds=always, bound=sympy.Integer(2), on="runs")(lambda run: run.distance)
    store = RecordStore(tmp_path)
    bench = Bench(made, "quick", store)
    assert bench.fate(Mutant("beta", sympy.Rational(11, 10), True)).refuted
    assert made.bound_of(made.claims["a geometric sum"]) == 2
    assert beta.name in made.fingerprints


def test_few_draws_are_not_the_theorems_fault(theorem, tmp_path):
    @theorem.instances("coins", run=AlgebraRun, quick=40)
    def coins(draw):
        return Instance(parameters={"x": float(generator(draw).uniform())})

    name = "mean one half"
    theorem.lemma(name, holds=moment(1, HALF, within=0.1), on="coins")(lambda run: run.x)
    families = {n: replace(f, counts=dict.fromkeys(f.counts, 3)) for n, f in theorem.families.items()}
    few = theorem.restricted(families)
    with pytest.raises(NtkVerifyError, match="3 draws are too few to decide; give more --draws") as caught:
        Bench(few, "quick", RecordStore(tmp_path), draws=3).fate(Mutant(name, sympy.Integer(1), False))
    assert "mend" not in str(caught.value)


class TestWhatIsShared:
    """A mutant costs what it changes, and becomes what it would become alone."""

    @pytest.fixture
    def counted(self):
        """Width by one constant, a bound by another, and a measure that reads a third only where it is asked to."""
        made = Theorem("shared", source=Source(), statement="s")
        width, c = made.constant("width", sympy.Integer(8), "width"), made.constant("c", sympy.Integer(3), "bound")
        late = made.constant("late", sympy.Integer(1), "read beyond a bound of 2 only")
        made.counts = []

        class Trained(AlgebraRun):
            @property
            def size(self):
                def train():
                    made.counts.append(self.instance.width)
                    return self.instance.width / 4

                return self.shared("trained", train)

        @made.instances("own width", run=Trained, quick=5)
        def own(draw):
            return Instance(parameters={"x": float(generator(draw).uniform())}, width=int(made.value(width, {})))

        made.lemma("size", holds=always, bound=c)(lambda run: run.size + run.x / 2)
        made.lemma("late", holds=always, bound=2 * late)(lambda run: run.x * (run.late if run.c < 2 else 1))
        return made

    def test_runs_are_made_once_unless_a_mutant_changes_them(self, counted, tmp_path):
        bench = Bench(counted, "quick", RecordStore(tmp_path))
        assert bench.fate(Mutant("size", HALF, False)).refuted
        assert bench.fate(Mutant("c", HALF, True)).refuted
        assert counted.counts == [8] * 5
        assert bench.fate(Mutant("width", sympy.Integer(2), True)).claim == "size"
        assert counted.counts[5:] == [16]
        assert bench.fate(Mutant("c", sympy.Rational(9, 10), True)).status == "survived"
        # two new runs of `late` and `c`, whose records are those of the theorem as it stands
        assert len(counted.counts) == 6

    def test_a_mutant_that_asks_for_far_wider_networks_is_not_run(self, counted, tmp_path):
        bench = Bench(counted, "quick", RecordStore(tmp_path))
        found = bench.fate(Mutant("width", sympy.Integer(17), True))
        assert (found.status, found.claim) == ("not run", "size")
        assert "asks for 136 neurons, and 128 are the most" in found.evidence
        assert counted.counts == [8] * 5

    def test_nor_after_a_mutant_that_spoilt_the_runs(self, tmp_path):
        """The family was forgotten with its width, and networks of any were run."""
        made = Theorem("spoilt", source=Source(), statement="s")
        width, c = made.constant("width", sympy.Integer(8), "width"), made.constant("c", sympy.Integer(1), "read late")
        made.instances("own width", run=AlgebraRun, quick=5)(lambda: Instance(width=int(made.value(width, {}))))
        asked = []

        def uniform(run):
            asked.append(run.m)
            found = np.random.default_rng(run.instance.seed).random()
            return found if found > 0.5 else found * run.c

        made.lemma("at most 1", holds=always, bound=sympy.Integer(1))(lambda run: 8 / run.m)
        # refuted where nothing reads c, unless c is doubled
        made.control("at most c/2", holds=always, bound=c / 2)(uniform)
        bench = Bench(made, "quick", RecordStore(tmp_path))
        assert bench.fate(Mutant("c", sympy.Integer(2), True)).status == "control lost"
        assert bench._check.widths == {}
        asked.clear()
        found = bench.fate(Mutant("width", sympy.Integer(17), True))
        assert (found.status, asked) == ("not run", [])

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_order_does_not_matter(self, counted, tmp_path, order):
        chosen = list(mutants(counted))
        bench = Bench(counted, "quick", RecordStore(tmp_path / "together"))
        together = {m.plant: bench.fate(m) for m in chosen[::order]}
        for number, mutant in enumerate(chosen):
            alone = fate(counted, mutant, profile="quick", store=RecordStore(tmp_path / str(number)))
            assert (alone.status, alone.claim) == (together[mutant.plant].status, together[mutant.plant].claim)

    def test_what_a_mutant_makes_a_run_read_is_not_kept(self, tmp_path):
        made = Theorem("late", source=Source(), statement="s")
        c, late = made.constant("c", sympy.Integer(4), "c"), made.constant("late", sympy.Integer(1), "late")
        made.instances("values", run=AlgebraRun, quick=3)(lambda: Instance(parameters={"x": 1.0}))
        seldom = made.quantity("seldom", lambda run: run.x * run.late)
        # of two draws below the bound a control reads nothing; the constant is read where the first entry exceeds it
        made.lemma("a", holds=always, bound=c)(lambda run: run.x)
        made.lemma("b", holds=always, bound=late * c)(lambda run: run.seldom)
        bench = Bench(made, "quick", RecordStore(tmp_path))
        assert bench.fate(Mutant("a", sympy.Rational(1, 8), False)).refuted
        assert bench.fate(Mutant("b", sympy.Rational(1, 8), False)).refuted
        assert bench.fate(Mutant("late", sympy.Integer(8), True)).status == "survived"
        assert bench.fate(Mutant("c", sympy.Rational(1, 8), True)).claim == "a"
        assert str(seldom) == "seldom"


def test_a_bound_that_vanishes_is_tighter_and_nothing_is_divided_by_it(tmp_path):
    """1e-200 squared is 0: the factor by which it is tighter was had by a division, with a warning."""
    made = Theorem("tiny", source=Source(), statement="s")
    size = made.quantity("size", lambda run: run.x[0])
    made.instances("one number", run=AlgebraRun, quick=3)(lambda: Instance(data={"x": [1e-200]}))
    made.lemma("0 is at most size", of=lambda run: 0 * run.x[0], holds=always, bound=size)
    (squared,) = [m for m in mutants(made) if m.plant.endswith("size**2")]
    found = fate(made, squared, profile="quick", store=RecordStore(tmp_path))
    assert (found.status, found.evidence) == ("survived", "still true on 3 instances with slack inf")
