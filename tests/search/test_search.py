"""Campaigns: what is found, what must not be, and that a record resumes."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, NtkVerifyError, with_probability
from ntkverify.cli import main
from ntkverify.execution.draw import draw_block
from ntkverify.instances import generator
from ntkverify.judging.case import Case
from ntkverify.judging.falsehoods import plants_of
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.search.campaign import campaign
from ntkverify.search.campaign.campaign import results, search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.fresh_seeds import confirm
from ntkverify.search.evidence.settle import CLOSING
from ntkverify.search.score import VACUOUS
from ntkverify.search.space.coordinates import Space
from ntkverify.theorem.parts import Family

SQUARES = "squares sum to n at most"


def hunt(theorem, module, *, store=None, evaluations=200, engines=("differential-evolution", "hypothesis"), **options):
    cells = cells_of(theorem, path=module, evaluations=evaluations, engines=engines, **options)
    with Store(None) if store is None else nullcontext(store) as record:
        for cell in cells:
            assert search_cell(theorem, cell, record, path=module)
        return [
            (cell, row, [(status, content) for status, content in row["violations"] if status in CLOSING])
            for cell, row in results(record, cells)
        ]


class TestCampaign:
    def test_a_family_that_draws_nothing_gets_a_tenth_unless_it_can_be_stretched(self, theorem, module):
        theorem.families["fixed"] = Family("fixed", lambda: Instance(data={"x": [1.0]}), AlgebraRun, {})
        theorem.claims[SQUARES] = replace(theorem.claims[SQUARES], on=("vectors", "fixed"))
        options = {"path": module, "claims": [SQUARES], "engines": ["random"], "evaluations": 110}
        plain, relaxed = (cells_of(theorem, relax=r, **options) for r in ((), ["entries at most 1"]))
        assert {cell.family: cell.evaluations for cell in plain} == {"vectors": 100, "fixed": 10}
        assert {cell.family: cell.evaluations for cell in relaxed} == {"vectors": 55, "fixed": 55}

    @pytest.mark.parametrize(
        ("measure", "drawn"),
        [
            (lambda run: run.x.sum(), False),
            # a record's key names the seed, which is no use of the weights
            (lambda run: run.shared("sum", lambda: run.x.sum()), False),
            (lambda run: draw_block(run.instance.weight_seed, 0, run.m, 2)[0].max(), True),
            (lambda run: run.x.sum() + np.random.default_rng(run.instance.seed).random(), True),
            (lambda run: run.x.sum() if run.x[0] < 0.75 else run.instance.scale, True),
        ],
    )
    def test_weights_have_coordinates_only_where_a_claim_draws_them(self, theorem, module, measure, drawn):
        def build(draw):
            return Instance(data={"x": generator(draw).uniform(0.5, 1, 2)}, width=3)

        theorem.families["wide"] = Family("wide", build, AlgebraRun, {})
        theorem.claims[SQUARES] = replace(theorem.claims[SQUARES], on=("wide",), measure=measure)
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], engines=["random"])
        assert campaign.space_of(theorem, cell).seeded == drawn
        # nor is it known beyond an assumption, where other instances may ask for them
        (beyond,) = cells_of(theorem, path=module, claims=[SQUARES], engines=["random"], relax=["entries at most 1"])
        assert campaign.space_of(theorem, beyond).seeded
        # what was not exercised is not known
        theorem.claims[SQUARES] = replace(theorem.claims[SQUARES], given=lambda run: False)
        assert campaign.space_of(theorem, cell).seeded

    def test_weights_without_coordinates_are_drawn_anew_for_every_vector(self):
        space = Space(
            Family("r", lambda draw: Instance(width=draw(st.integers(1, 3))), AlgebraRun, {}), "t", weights=False
        )
        assert space.instance([0]) == space.instance([0])
        assert space.instance([0]).seed != space.instance([1]).seed

    def test_a_falsehood_that_only_long_weights_show_is_found(self, theorem, module):
        def norm(run):
            return np.sqrt(np.square(draw_block(run.instance.weight_seed, 0, run.m, 2)[0]).mean())

        # 4000 normal numbers: their root mean square is 1, within a hundredth or so, for every seed and turn
        theorem.families["wide"] = Family("wide", lambda: Instance(width=2000), AlgebraRun, {})
        theorem.claims[SQUARES] = replace(
            theorem.claims[SQUARES], on=("wide",), measure=norm, bound=sympy.Integer(2), assumes=()
        )
        options = {"claims": [SQUARES], "evaluations": 60, "goal": 0.0}
        rows = [row for _, row, _ in hunt(theorem, module, engines=("mutation", "random"), **options)]
        assert all(0 < row["best_margin"] <= 1 for row in rows)

    def test_true_claims_stay_unviolated_and_rounding_is_no_violation(self, theorem, module):
        with Store(None) as store:
            rows = hunt(theorem, module, store=store)
            sharp = [
                score
                for cell, row, _ in rows
                for score in store.evaluations(row["cell"]).values()
                if cell.claim.startswith("the root")
            ]
        assert all(not found for _, _, found in rows)
        assert all(row["evaluations"] > 0 for _, row, _ in rows)
        assert any(score.doubtful for score in sharp)  # the case is there: float64 exceeds the bound by a rounding
        assert -1e-12 < max(score.margin for score in sharp) < 0  # and the margin leaves the rounding out

    def test_a_planted_falsehood_is_found_certified_and_small(self, theorem, module):
        for plant in (f"{SQUARES} * 3/5", f"{SQUARES} with n**1/2"):
            for cell, row, found in hunt(theorem, module, claims=[SQUARES], plants=[plant], evaluations=800):
                assert [status for status, _ in found] == ["certified"], (cell, row)
                content = found[0][1]
                assert len(content["instance"]["data"]["x"]) <= 2
                assert content["evidence"]["status"] == "CERTIFIED"
                assert content["plants"] == [plant]

    def test_early_noise_hides_no_violation(self, theorem, module, monkeypatch):
        """The first suspects come to nothing; the one with the largest margin is looked at all the same."""
        from ntkverify.search.campaign import campaign
        from ntkverify.search.evidence.settle import Finding, settle

        tried = []

        def doubting(*args, **options):
            tried.append(options["place"].vector)
            found = settle(*args, **options)
            return found if len(tried) > campaign.SUSPECTS else Finding("refuted", found.violation)

        monkeypatch.setattr(campaign, "settle", doubting)
        options = {"claims": [SQUARES], "plants": [f"{SQUARES} * 1/4"], "engines": ["random"], "evaluations": 100}
        ((_, row, found),) = hunt(theorem, module, **options)
        assert [status for status, _ in found] == ["certified"]
        assert row["evaluations"] == 100
        assert len(tried) == len(set(tried)) == campaign.SUSPECTS + 1

    def test_noise_does_not_hide_a_claim_of_probability_that_fails_on_some_instances(self, theorem, module):
        """Nine instances of ten fail as often as is allowed or less, so that every second one is a suspect."""
        claim = "a fair coin"

        def build(draw):
            return Instance(data={"x": [1.0]}, parameters={"scale": draw(st.integers(0, 999)) / 1000})

        def measure(run):
            fails = 0.9 if run.scale >= 0.9 else 0.19
            return float(np.random.default_rng(run.instance.seed).random() < fails)

        theorem.families["vectors"] = Family("vectors", build, AlgebraRun, {})
        theorem.claims[claim] = replace(
            theorem.claims[claim], measure=measure, quantifier=with_probability(sympy.Rational(4, 5))
        )
        for entropy in range(3):
            rows = hunt(theorem, module, claims=[claim], evaluations=200, entropy=entropy)
            assert any(status == "confirmed" for _, _, found in rows for status, _ in found)

    def test_a_goal_is_climbed_to_and_nothing_is_followed_up(self, theorem, module):
        plant = f"{SQUARES} * 3/5"
        options = {"claims": [SQUARES], "plants": [plant], "engines": ["mutation"], "evaluations": 2000}
        ((_, row, _),) = hunt(theorem, module, goal=0.3, **options)
        assert row["violations"] == []
        assert row["best_margin"] >= 0.3
        assert row["evaluations"] < 2000

    def test_vectors_that_stand_for_one_instance_are_run_once(self, theorem, module):
        runs = []

        class Counted(AlgebraRun):
            def __init__(self, instance, theorem):
                runs.append(instance)
                super().__init__(instance, theorem)

        build = lambda draw: Instance(data={"x": [draw(st.sampled_from([0.1, 0.2, 0.3]))]})  # noqa: E731
        theorem.families["vectors"] = Family("vectors", build, Counted, {})
        ((_, row, _),) = hunt(theorem, module, claims=[SQUARES], engines=["random"], evaluations=50)
        assert row["evaluations"] == 50
        assert len(runs) == 3

    def test_zero_below_a_bound_of_zero_is_no_summit(self, theorem):
        case = Case(theorem, theorem.claims["the root squared is the square"], theorem.families["vectors"])
        assert case.outcome(Instance(data={"x": [0.0]}, parameters={"scale": 1.0})).margin == -1

    def test_plants_are_made_for_every_symbol_of_a_bound(self, theorem):
        assert plants_of(theorem.claims[SQUARES]) == [
            f"{SQUARES} * 1/2",
            f"{SQUARES} with n**1/2",
            f"{SQUARES} with n**2",
        ]

    def test_an_excess_that_balls_can_not_decide_is_no_violation(self, theorem, module, tmp_path, capsys):
        claim = "rounds an enclosed number"
        _, _, found = hunt(theorem, module, claims=[claim], plants=[f"{claim} * 1/6"])[0]
        assert [status for status, _ in found] == ["undecided"]
        assert "no enclosure" in found[0][1]["evidence"]["reason"]
        command = ["search", str(module), "--claim", claim, "--plant", f"{claim} * 1/6", "--evaluations", "100"]
        assert main([*command, "--store", str(tmp_path / "s.sqlite"), "--out", str(tmp_path / "out"), "--full"]) == 1
        out = capsys.readouterr().out
        assert "float64 excess, undecided" in out
        assert "violated" not in out

    def test_a_relaxed_assumption_is_left_and_the_others_are_kept(self, theorem, module):
        rows = hunt(theorem, module, relax=["scale at most 2"], claims=["the scaled largest entry"])
        assert all(found for _, _, found in rows)
        for _, _, found in rows:
            instance = found[0][1]["instance"]
            assert instance["parameters"]["scale"] > 2
            assert max(map(abs, instance["data"]["x"])) <= 1
        assert not hunt(theorem, module, relax=["scale at most 2"], claims=[SQUARES])

    def test_a_claim_of_probability_is_judged_on_fresh_seeds(self, theorem, module):
        # the coin fails half the time: 3/5 is allowed, so selected instances must not be confirmed
        for _, _, found in hunt(theorem, module, claims=["a fair coin"], evaluations=60):
            assert not found
        rows = hunt(theorem, module, claims=["a fair coin"], plants=["a fair coin * 1/10"], evaluations=60)
        for _, _, found in rows:
            assert found[0][0] == "confirmed"
            evidence = found[0][1]["evidence"]
            assert evidence["log_e"] >= -np.log(evidence["alpha"])

    def test_a_rate_that_a_few_draws_do_not_show_is_found_at_the_only_instance(self, theorem, module):
        """One draw in four fails where one in ten may: in a third of the searches none of the four that score does."""
        family = theorem.families["vectors"]
        theorem.families["vectors"] = replace(
            family, build=lambda: Instance(data={"x": [1.0]}, parameters={"scale": 1.0}, width=1)
        )

        def quarter(run):
            return float(np.random.default_rng(run.instance.seed).random() < 0.25)

        theorem.claims["a fair coin"] = replace(
            theorem.claims["a fair coin"],
            measure=quarter,
            bound=sympy.Rational(1, 2),
            quantifier=with_probability(sympy.Rational(9, 10)),
        )
        for entropy in range(6):
            ((_, _, found),) = hunt(
                theorem, module, claims=["a fair coin"], engines=["random"], evaluations=5, entropy=entropy
            )
            assert found[0][0] == "confirmed"

    def test_fresh_draws_that_cannot_be_run_count_as_held(self, theorem, module):
        """Left out, the draws that raise would leave a true claim failing in half of the others."""
        family = theorem.families["vectors"]
        instance = Instance(data={"x": [1.0]}, parameters={"scale": 1.0}, width=1)
        claim = replace(theorem.claims["a fair coin"], quantifier=with_probability(sympy.Rational(9, 10)))

        def raising(limit):
            def measure(run):
                u = np.random.default_rng(run.instance.seed).random()
                if u > 2 * limit:
                    raise NtkVerifyError("a draw that can't be run")
                return 1.0 if u < limit else 0.0

            return replace(claim, measure=measure)

        options = {"entropy": 5, "alpha": 1e-6}
        honest = confirm(Case(theorem, raising(0.05), family), instance, **options)
        assert honest.log_e < -np.log(1e-6)
        assert honest.refused > honest.draws / 2
        # and a claim that fails in 45 of 100 draws is refuted though 10 can't be run
        false = confirm(Case(theorem, raising(0.45), family), instance, **options)
        assert false.log_e >= -np.log(1e-6)

    @pytest.mark.parametrize("engine", ["hypothesis", "portfolio"])
    def test_an_interrupted_cell_resumes_without_loss_or_repetition(self, theorem, module, tmp_path, engine):
        class Killed(BaseException):
            pass

        def dies_after(count):
            seen = []

            def progress(cell, score, seconds):
                seen.append(score)
                if len(seen) == count:
                    raise Killed

            return progress

        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], engines=[engine], evaluations=60)
        for count in (1, 7, 30):
            with Store(tmp_path / "s.sqlite") as store, pytest.raises(Killed):
                search_cell(theorem, cell, store, path=module, progress=dies_after(count))
        with Store(tmp_path / "s.sqlite") as store, Store(None) as whole:
            assert store.summary()[0]["evaluations"] == 30
            for record in (store, whole):
                search_cell(theorem, cell, record, path=module)
            name = store.open_cell(cell.settings())
            assert store.evaluations(name) == whole.evaluations(name)
            assert len(whole.evaluations(name)) == 60

    @pytest.mark.parametrize("engine", ["mutation", "portfolio"])
    def test_a_killed_cell_with_a_budget_of_seconds_goes_the_same_way_again(
        self, theorem, module, tmp_path, monkeypatch, engine
    ):
        """Mutation asks how much of the budget is used up: a repetition must be told what the first run was told."""

        class Killed(BaseException):
            pass

        (cell,) = cells_of(
            theorem, path=module, claims=[SQUARES], engines=[engine], evaluations=5000, seconds=0.4
        )  # fmt: skip
        rng = np.random.default_rng(1)
        before: list[tuple[int, ...]] = []
        for attempt in range(30):
            proposed: list[tuple[int, ...]] = []
            original = campaign._Search.__call__

            def noted(search, vector, proposed=proposed, original=original):
                if tuple(vector) not in search.seen:
                    proposed.append(tuple(vector))
                return original(search, vector)

            last = len(before) + int(rng.integers(10, 80)) if attempt < 25 else 10**6

            def progress(cell, score, seconds, proposed=proposed, last=last):
                if len(proposed) >= last:
                    raise Killed

            monkeypatch.setattr(campaign._Search, "__call__", noted)
            with Store(tmp_path / "s.sqlite") as store:
                try:
                    finished = search_cell(theorem, cell, store, path=module, progress=progress)
                except Killed:
                    finished = False
                count = store.summary()[0]["evaluations"]
            monkeypatch.setattr(campaign._Search, "__call__", original)
            assert proposed[: len(before)] == before
            before = proposed
            if finished:
                break
        assert attempt >= 2
        assert count <= len(before) <= count + 1  # the last proposal may have found the seconds used up

    def test_an_engine_that_is_named_twice_is_one(self, theorem, module):
        once, twice = (
            cells_of(theorem, path=module, claims=[SQUARES], engines=["mutation"] * times) for times in (1, 2)
        )
        assert once == twice

    def test_a_cell_that_another_process_has_is_left_alone(self, theorem, module, tmp_path):
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], engines=["random"], evaluations=3)
        with Store(tmp_path / "s.sqlite") as one, Store(tmp_path / "s.sqlite") as other:
            with one.claim_cell(one.open_cell(cell.settings())) as mine:
                assert mine
                assert not search_cell(theorem, cell, other, path=module)
            assert search_cell(theorem, cell, other, path=module)

    def test_wide_instances_are_counted_and_not_run(self, theorem, module):
        theorem.families["vectors"] = Family("vectors", lambda: Instance(data={"x": [1.0]}, width=99), AlgebraRun, {})
        _, row, _ = hunt(theorem, module, claims=[SQUARES], max_width=10, evaluations=4)[0]
        assert row["evaluations"] == row["vacuous"] > 0
        assert row["best_margin"] is None
        assert VACUOUS < -1e6

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"claims": ["nothing"]}, "no claim"),
            ({"families": ["nowhere"]}, "no instances"),
            ({"relax": ["luck"]}, "no assumption"),
            ({"engines": ["fast"]}, "no engine"),
            ({"evaluations": 0}, "positive budget"),
        ],
    )
    def test_mistakes_are_named(self, theorem, module, options, message):
        with pytest.raises(NtkVerifyError, match=message):
            cells_of(theorem, path=module, **options)
