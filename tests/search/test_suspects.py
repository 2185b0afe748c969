"""Which suspects are looked into, for how long, and which witness stays."""

import contextlib
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, NtkVerifyError, load_theorem, moment, with_probability
from ntkverify.cli import main
from ntkverify.judging.case import Case
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.report.campaign import summarise
from ntkverify.search.campaign import campaign, timing
from ntkverify.search.campaign.campaign import results, search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store
from ntkverify.search.climb.engines import Finished
from ntkverify.search.evidence.certify import certify
from ntkverify.search.evidence.settle import CLOSING, REPORTED, Draws, Finding, settle
from ntkverify.search.evidence.violation import Violation
from ntkverify.search.score import VACUOUS, Score, score
from ntkverify.theorem.parts import Family

COIN, SQUARES = "a fair coin", "squares sum to n at most"
ONE = Instance(data={"x": [1.0]}, parameters={"scale": 1.0})
NINE_OF_TEN = with_probability(sympy.Rational(9, 10))


def rows_of(theorem, module, cells, until=None):
    with Store(None) as store:
        for cell in cells:
            assert search_cell(theorem, cell, store, path=module, until=until)
        return [row for _, row in results(store, cells)]


@pytest.fixture
def by_size(theorem):
    """Data of 4 to 16 samples: nine of them fail a little more often than claimed, sixteen in three draws of ten."""

    def build(draw):
        return Instance(data={"x": [1.0]}, parameters={"size": draw(st.integers(4, 16)), "scale": 1.0})

    def measure(run):
        fails = {9: 0.12, 16: 0.3}.get(int(run.size), 0.08)
        return float(np.random.default_rng(run.instance.seed).random() < fails)

    theorem.families["vectors"] = Family("vectors", build, AlgebraRun, {})
    theorem.claims[COIN] = replace(theorem.claims[COIN], measure=measure, quantifier=NINE_OF_TEN)
    return theorem


class TestSuspectsOfAProbability:
    def test_every_data_set_is_looked_into_once_and_the_false_one_is_found(self, by_size, module, monkeypatch):
        looked = []

        def noted(case, suspect, **options):
            looked.append((suspect.instance.parameters["size"], bool(options["draws"].before)))
            return settle(case, suspect, **options)

        monkeypatch.setattr(campaign, "settle", noted)
        for entropy in range(3):
            looked.clear()
            cells = cells_of(by_size, path=module, claims=[COIN], evaluations=2000, entropy=entropy)
            (row,) = rows_of(by_size, module, cells)
            assert len(looked) == len(set(looked))
            (instance,) = [c["instance"] for status, c in row["violations"] if status == "confirmed"]
            assert instance["parameters"]["size"] == 16

    def test_those_that_failed_most_often_come_first(self, by_size, module, monkeypatch):
        order = []

        def noted(case, suspect, **options):
            order.append(score(case, suspect.instance, seeds=options["draws"].seeds).failures)
            return settle(case, suspect, **options)

        monkeypatch.setattr(campaign, "settle", noted)
        monkeypatch.setattr(campaign, "SUSPECTS", 0)  # none while it climbs
        by_size.claims[COIN] = replace(by_size.claims[COIN], quantifier=with_probability(sympy.Rational(1, 50)))
        rows_of(by_size, module, cells_of(by_size, path=module, claims=[COIN], evaluations=60))
        assert order == sorted(order, reverse=True)

    def test_a_rate_of_fifteen_in_a_hundred_is_told_from_ten(self, theorem, module):
        """It hardly fails twice as often as allowed: a suspect that was given up is drawn again."""
        family = Family("vectors", lambda: ONE, AlgebraRun, {})

        def fails(rate):
            return lambda run: float(np.random.default_rng(run.instance.seed).random() < rate)

        theorem.families["vectors"] = family
        for rate, found in ((0.15, "confirmed"), (0.07, None)):
            theorem.claims[COIN] = replace(theorem.claims[COIN], measure=fails(rate), quantifier=NINE_OF_TEN)
            (row,) = rows_of(theorem, module, cells_of(theorem, path=module, claims=[COIN], evaluations=2000))
            statuses = [status for status, _ in row["violations"]]
            assert (found in statuses) if found else not {"confirmed", "open"} & set(statuses)

    def test_what_fresh_draws_leave_open_is_reported(self, theorem, module):
        """So few draws that seven of eight are past a tenth at one in a thousand, and not at one in a million."""
        theorem.families["vectors"] = Family("vectors", lambda: ONE, AlgebraRun, {})
        outcomes = iter([1.0] * 7 + [0.0] * 10)
        claim = replace(theorem.claims[COIN], measure=lambda run: next(outcomes), quantifier=NINE_OF_TEN)
        case = Case(theorem, claim, theorem.families["vectors"])
        suspect = Violation.suspected(case, replace(ONE, family="vectors"), path=module)
        found = settle(case, suspect, draws=Draws(seeds=(1,), entropy=3, most=8))
        assert found.status == "open"
        assert found.status in REPORTED
        assert found.status not in CLOSING


class TestMinutes:
    def test_they_are_used_whatever_was_planned(self, theorem, module):
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], evaluations=20, seconds=1.0)
        (row,) = rows_of(theorem, module, [replace(cell, endless=True)])
        assert row["evaluations"] > 100
        assert row["seconds"] >= 0.9
        (capped,) = rows_of(theorem, module, [cell])
        assert capped["evaluations"] == 20

    def test_a_family_that_has_nothing_new_ends_the_search(self, theorem, module):
        build = lambda draw: Instance(data={"x": [draw(st.sampled_from([0.1, 0.2]))]})  # noqa: E731
        theorem.families["vectors"] = Family("vectors", lambda: build(lambda s: 0.1), AlgebraRun, {})
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], evaluations=20, seconds=30.0)
        began = time.time()
        (row,) = rows_of(theorem, module, [replace(cell, endless=True)], until=time.time() + 30)
        assert row["evaluations"] == 1
        assert time.time() - began < 20

    def test_the_command_counts_no_evaluations_beside_minutes(self, module, tmp_path, capsys):
        shared = ["search", str(module), "--claim", SQUARES, "--minutes", "0.03", "--json"]
        for extra, few in (([], False), (["--evaluations", "10"], True)):
            files = ["--store", str(tmp_path / f"{few}.sqlite"), "--out", str(tmp_path / "out")]
            assert main([*shared, *extra, *files]) == 0
            (found,) = json.loads(capsys.readouterr().out)
            assert (found["evaluations"] <= 10) == few


class TestThreads:
    """Of sixteen busy threads processor time runs sixteen times as fast as the clock."""

    @pytest.fixture
    def sixteen(self, monkeypatch):
        monkeypatch.setattr(timing, "time", SimpleNamespace(
            time=time.time, perf_counter=time.perf_counter, process_time=lambda: 16 * time.perf_counter()
        ))  # fmt: skip

    @pytest.mark.usefixtures("sixteen")
    @pytest.mark.parametrize("endless", [True, False])
    def test_minutes_go_by_the_clock(self, theorem, module, endless):
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], evaluations=20 if endless else 10**6, seconds=1.5)
        began = time.time()
        (row,) = rows_of(theorem, module, [replace(cell, endless=endless)], until=began + 1.5)
        assert time.time() - began >= 1.4
        assert 0.2 < row["seconds"] <= time.time() - began

    @pytest.mark.usefixtures("sixteen")
    def test_of_a_population_too(self, theorem, module):
        theorem.claims[COIN] = replace(
            theorem.claims[COIN],
            measure=lambda run: np.random.default_rng(run.instance.seed).standard_normal(),
            quantifier=moment(2, 1, within=0.001),
            bound=None,
        )
        (cell,) = cells_of(theorem, path=module, claims=[COIN], seconds=1.0)
        began = time.time()
        (row,) = rows_of(theorem, module, [replace(cell, endless=True)], until=began + 1.0)
        assert time.time() - began >= 0.9
        assert 0.5 < row["seconds"] <= time.time() - began

    @pytest.mark.usefixtures("sixteen")
    def test_without_an_end_seconds_are_processor_time(self, theorem, module):
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], evaluations=10**6, seconds=4.0)
        began = time.time()
        (row,) = rows_of(theorem, module, [cell])
        assert time.time() - began < 4.0
        assert row["seconds"] >= 4.0

    def test_a_cell_has_what_others_leave(self, theorem, module):
        """Its part was a tenth of a second, and a whole one is there."""
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], evaluations=20, seconds=0.1)
        began = time.time()
        rows_of(theorem, module, [replace(cell, endless=True)], until=began + 1.0)
        assert time.time() - began >= 0.9

    def test_a_climb_that_begins_again_has_the_rest_of_its_seconds(self, theorem, module, monkeypatch):
        """The engines of a portfolio follow one another by shares of what is used up."""
        begun = []

        def climbed(engine, objective, dimension, *, used, **options):
            begun.append(used())
            with contextlib.suppress(Finished):
                for number in range(20):
                    objective([len(begun), number] + [0] * (dimension - 2))

        monkeypatch.setattr(campaign, "climb", climbed)
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], evaluations=1, seconds=0.3)
        rows_of(theorem, module, [replace(cell, endless=True)])
        assert len(begun) > 1
        assert set(begun) == {0.0}


class TestExcessBeyondTheTime:
    """Minutes that end while a search climbs: the first few suspects are noise, and the largest comes last."""

    @pytest.fixture
    def noise_first(self, monkeypatch):
        tried = []

        def doubting(case, suspect, **options):
            tried.append(options["place"].vector)
            if len(tried) > campaign.SUSPECTS:
                return settle(case, suspect, **options)
            return Finding("refuted", suspect.with_evidence(kind="float64"))

        monkeypatch.setattr(campaign, "settle", doubting)
        return tried

    def test_the_largest_excess_is_looked_into(self, theorem, module, noise_first):
        for entropy in range(2):
            noise_first.clear()
            (cell,) = cells_of(
                theorem, path=module, claims=[SQUARES], plants=[f"{SQUARES} * 1/4"], engines=["random"],
                evaluations=20, seconds=60.0, entropy=entropy,
            )  # fmt: skip
            with Store(None) as store:
                assert search_cell(theorem, replace(cell, endless=True), store, path=module, until=time.time() + 2)
                name = store.open_cell(replace(cell, endless=True).settings())
                best = max(store.evaluations(name).items(), key=lambda one: one[1].margin)[0]
                summary = summarise(store, [replace(cell, endless=True)])
            assert best in noise_first
            assert len(noise_first) == len(set(noise_first)) == campaign.SUSPECTS + 1
            assert (summary.rows[0]["verdict"], summary.found) == ("violated (certified)", True)

    @pytest.mark.parametrize(
        ("margins", "word"), [((0.1, 0.3), "not followed up"), ((0.3, 0.1), "not found (refuted)")]
    )
    def test_refuted_is_said_where_the_largest_was(self, theorem, module, margins, word):
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], engines=["random"], evaluations=20)
        with Store(None) as store:
            name = store.open_cell(cell.settings())
            for number, margin in enumerate(margins):
                store.add(name, (number,), Score(margin, failed=True, failures=1), 0.0)
            store.add(name, (9,), Score(0.5, doubtful=True), 0.0)  # within rounding: no excess
            store.add_finding(name, (0,), "refuted", {"evidence": {}})
            summary = summarise(store, [cell])
        assert (summary.rows[0]["verdict"], summary.found) == (word, False)


class TestWitness:
    SOURCE = """
        import numpy as np
        from hypothesis import strategies as st
        from ntkverify import Instance, Source, Theorem, always
        from ntkverify.instances import generator
        from ntkverify.problems.regression import RegressionRun

        theorem = Theorem("trace", source=Source(), statement="s")


        @theorem.instances("unit inputs", run=RegressionRun, quick=10)
        def unit(draw):
            n = draw(st.integers(1, 4))
            x = generator(draw).standard_normal((n, 3))
            inputs = x / np.linalg.norm(x, axis=1)[:, None]
            return Instance(data={"inputs": inputs, "targets": np.zeros(n)}, width=draw(st.integers(1, 16)))


        @theorem.conclusion("tr H - n/2 <= 0", holds=always, bound=0)
        def trace(run):
            return np.trace(run.limit_gram) - run.n / 2


        @theorem.conclusion("tr H - n/3 <= 0", holds=always, bound=0)
        def third(run):
            return np.trace(run.limit_gram) - run.n / 3


        @theorem.control("nothing", holds=always, bound=0)
        def nothing(run):
            return np.trace(run.limit_gram)
    """

    @pytest.fixture
    def trace(self, tmp_path):
        import textwrap

        path = tmp_path / "trace.py"
        path.write_text(textwrap.dedent(self.SOURCE))
        return load_theorem(path), path

    @pytest.mark.parametrize("entropy", range(2))
    def test_a_true_claim_about_unit_inputs_is_not_violated(self, trace, entropy):
        """It was certified violated at the input [1.4], which nobody had excluded."""
        theorem, path = trace
        cells = cells_of(theorem, path=path, claims=["tr H - n/2 <= 0"], evaluations=40, entropy=entropy)
        (row,) = rows_of(theorem, path, cells)
        assert row["best_margin"] > 0  # float64 exceeds it by a rounding
        assert {status for status, _ in row["violations"]} == {"refuted"}

    def test_an_excess_has_to_clear_the_rounding_of_the_data(self, trace):
        theorem, _ = trace
        case = Case(theorem, theorem.claims["tr H - n/2 <= 0"], theorem.families["unit inputs"])
        row = np.array([0.6, 0.8, 1e-9])
        inputs = row / np.linalg.norm(row)
        statuses = {}
        for size in (2.0**-52, 2.0**-30):
            instance = Instance(data={"inputs": [inputs * (1 + size)], "targets": [0.0]}, width=1, family="unit inputs")
            statuses[size] = certify(case, instance).status
        assert list(statuses.values()) == ["REFUTED", "CERTIFIED"]

    def test_the_witness_of_the_family_stays_and_one_outside_is_called_so(self, trace, tmp_path, capsys):
        _, path = trace
        command = ["search", str(path), "--claim", "tr H - n/3 <= 0", "--evaluations", "20", "--full"]
        assert main([*command, "--store", str(tmp_path / "s.sqlite"), "--out", str(tmp_path / "out")]) == 1
        (file,) = (tmp_path / "out").glob("*.json")
        content = json.loads(file.read_text())
        inputs = np.array(content["instance"]["data"]["inputs"])
        assert inputs.shape[1] == 3
        np.testing.assert_allclose(np.linalg.norm(inputs, axis=1), 1, atol=1e-12)
        outside = content["evidence"]["outside the family"]
        assert np.array(outside["instance"]["data"]["inputs"]).size < inputs.size
        assert outside["status"] == "CERTIFIED"
        capsys.readouterr()
        assert main(["certify", str(file)]) == 0
        assert "outside the family: CERTIFIED" in capsys.readouterr().out

    def test_one_outside_decides_where_the_familys_own_is_too_dear(self, trace, monkeypatch):
        from ntkverify.search.evidence import settle as module

        theorem, path = trace
        whole = module.certify

        def dear(case, instance, **options):
            found = whole(case, instance, **options)
            size = len(instance.data["inputs"][0])
            return replace(found, status="UNDECIDED", reason="too dear") if size == 3 else found

        monkeypatch.setattr(module, "certify", dear)
        cells = cells_of(theorem, path=path, claims=["tr H - n/3 <= 0"], evaluations=20)
        (row,) = rows_of(theorem, path, cells)
        assert [status for status, _ in row["violations"]] == ["outside"]


class TestWhatIsNoNumber:
    @pytest.mark.parametrize("overflowed", [True, False])
    def test_a_measure_that_is_nan_leaves_the_store_usable(self, theorem, module, tmp_path, overflowed):
        class Lost(AlgebraRun):
            has_overflowed = overflowed

        theorem.families["vectors"] = replace(theorem.families["vectors"], run=Lost)
        nan = lambda run: np.nan if run.x[0] > 0.5 else run.x[0]  # noqa: E731
        theorem.claims[SQUARES] = replace(theorem.claims[SQUARES], measure=nan)
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], engines=["random"], evaluations=30)
        seen = []
        for _ in range(2):
            with Store(tmp_path / "s.sqlite") as store:
                assert search_cell(theorem, cell, store, path=module)
                seen.append(store.evaluations(store.open_cell(cell.settings())))
                summary = summarise(store, [cell])
                summary.show(as_json=True)
                summary.write(tmp_path / "out")
        assert seen[0] == seen[1]
        assert len(seen[0]) > 0

    @pytest.mark.parametrize("margin", [float("nan"), float("inf"), -float("inf")])
    def test_the_store_keeps_numbers_only(self, tmp_path, margin):
        with Store(tmp_path / "s.sqlite") as store:
            name = store.open_cell({"theorem": "t", "claim": "c", "regime": "r", "engine": "e", "relax": []})
            store.add(name, (1,), Score(margin), 0.0)
            (found,) = store.evaluations(name).values()
            assert np.isfinite(found.margin)
            assert found.vacuous == (not margin > 0)
            assert store.summary()[0]["evaluations"] == 1
        assert VACUOUS < 0

    def test_a_measure_that_is_nan_is_named_where_the_run_stayed_finite(self, theorem):
        theorem.claims[SQUARES] = replace(theorem.claims[SQUARES], measure=lambda run: np.nan)
        case = Case(theorem, theorem.claims[SQUARES], theorem.families["vectors"])
        instance = Instance(data={"x": [0.5]}, parameters={"scale": 1.0}, family="vectors")
        with pytest.raises(NtkVerifyError, match="stayed finite"):
            case.outcome(instance)
        assert score(case, instance).vacuous
