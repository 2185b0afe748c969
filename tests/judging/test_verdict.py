"""Verdicts: decided claims, doubt, vacuity, and both error rates of the probabilistic ones."""

import math
import re

import numpy as np
import pytest
import sympy
from listed import algebra, draws_of, endless
from scipy import stats

from ntkverify import (
    Instance,
    NtkVerifyError,
    Source,
    Theorem,
    always,
    difference,
    identity,
    in_law,
    moment,
    scales_as,
    with_probability,
)
from ntkverify.judging.budget import BUDGETS, Budget
from ntkverify.judging.draws import Draws
from ntkverify.judging.outcome import compare
from ntkverify.judging.verdict import judge
from ntkverify.problems.algebra import AlgebraRun

bound = sympy.Symbol("bound", positive=True)


def runs(theorem, values, *, width=1, limit=1.0):
    widths = np.broadcast_to(width, len(values))
    return [algebra(theorem, v, width=w, limit=limit) for v, w in zip(values, widths, strict=True)]


def judged(theorem, claim, made):
    return judge(theorem, claim, draws_of(theorem, claim, made))


def make(holds, *, kind="conclusion", **options):
    theorem = Theorem("T", source=Source(), statement="S")
    options = {"bound": bound, **options}
    measure = options.pop("measure", lambda run: run.values)
    getattr(theorem, kind)("claim", holds=holds, **options)(measure)
    return theorem, theorem.claims["claim"]


def verdict(values, holds=always, *, limit=1.0, width=1, **options):
    theorem, claim = make(holds, **options)
    return judged(theorem, claim, runs(theorem, values, limit=limit, width=width))


class TestAlways:
    def test_holds_with_the_worst_slack_and_its_instance(self):
        result = verdict([[0.1, 0.5], [0.25]])
        assert (result.status, result.slack, result.instances) == ("holds", 2.0, 2)
        assert Instance.from_json(result.witness).data["values"] == [0.1, 0.5]

    def test_one_excess_violates_and_is_labelled(self):
        result = verdict([[0.1], [1.5], [0.2]])
        assert result.status == "violated"
        assert result.instances == 2
        assert "float64 only" in result.evidence

    def test_an_excess_within_rounding_is_inconclusive(self):
        inside = 1 + 2**-50
        assert verdict([[inside]]).status == "inconclusive"
        assert verdict([[inside]], attained=True).status == "holds"
        assert verdict([[inside]], error=lambda run: 2.0**-60).status == "violated"
        assert verdict([[1.001]], error=lambda run: 0.005).status == "inconclusive"
        assert verdict([[1.1]], attained=True).status == "violated"

    @pytest.mark.parametrize("error", [-1.0, np.nan])
    @pytest.mark.parametrize("holds", [always, with_probability(0.9)])
    def test_a_rounding_error_that_is_none_is_refused(self, error, holds):
        with pytest.raises(NtkVerifyError, match="rounding error"):
            verdict([[2.0]], holds, error=lambda run: error, attained=True)

    def test_lower_bounds(self):
        assert verdict([[3.0]], from_below=True).slack == 3
        assert verdict([[0.5]], from_below=True).status == "violated"

    def test_never_exercised_is_inconclusive(self):
        result = verdict([[0.5], [0.6]], given=lambda run: False)
        assert (result.status, result.vacuous) == ("inconclusive", 2)
        assert "no instance" in result.evidence
        assert verdict([]).status == "inconclusive"

    def test_a_mask_restricts_the_entries(self):
        result = verdict([[5.0, 0.5], [7.0, 8.0]], given=lambda run: run.values < 1)
        assert (result.status, result.vacuous, result.slack) == ("holds", 1, 2.0)

    def test_unmet_assumptions_are_vacuous(self):
        theorem, claim = make(always)
        theorem.assumption("small")(lambda run: 1 - run.values[0])
        result = judged(theorem, claim, runs(theorem, [[2.0], [0.5]]))
        assert (result.status, result.vacuous) == ("holds", 1)

    def test_a_margin_that_is_no_number_is_unmet_where_the_run_is_lost_and_a_mistake_elsewhere(self):
        class Overflown(AlgebraRun):
            has_overflowed = True

        theorem, claim = make(always)
        theorem.assumption("sane")(lambda run: math.nan)
        lost = Overflown(Instance(data={"values": [0.5]}, parameters={"bound": 1.0}), theorem)
        assert judged(theorem, claim, [lost]).vacuous == 1
        with pytest.raises(NtkVerifyError, match=r"test_verdict.py:\d+: the margin of assumption 'sane' is nan"):
            judged(theorem, claim, runs(theorem, [[0.5]]))

    def test_an_unknown_symbol_is_named(self):
        with pytest.raises(NtkVerifyError, match="does not know 'mystery'"):
            verdict([[0.5]], bound=sympy.Symbol("mystery"))

    def test_a_property_that_fails_shows_its_own_error(self):
        class Broken(AlgebraRun):
            @property
            def half(self):
                return self.instance.no_such_field / 2

        theorem, _ = make(always)
        with pytest.raises(AttributeError, match="no_such_field"):
            Broken(Instance(), theorem).half  # noqa: B018

    def test_an_infinite_bound_is_refused(self):
        with pytest.raises(NtkVerifyError, match="not finite"):
            verdict([[0.5]], bound=1 / (bound - 1))


class TestControl:
    def test_words(self):
        assert verdict([[2.0]], kind="control").shown == "refuted"
        assert verdict([[2.0]], kind="control").passed
        survived = verdict([[0.5]], kind="control")
        assert (survived.shown, survived.passed) == ("not refuted", False)
        assert survived.record()["verdict"] == "not refuted"
        assert not verdict([], kind="control").passed


class TestIdentity:
    def test_numbers(self):
        options = {"bound": None, "error": lambda run: 1e-12}
        near = verdict([[1.0]], identity, measure=lambda run: (run.values, run.values + 1e-13), **options)
        assert near.status == "holds"
        assert near.slack == pytest.approx(10, rel=0.01)
        far = verdict([[1.0]], identity, measure=lambda run: (run.values, run.values + 1e-11), **options)
        assert far.status == "violated"

    def test_symbols(self):
        x = sympy.Symbol("x")

        def both(left, right):
            theorem, claim = make(identity, bound=None, measure=lambda: (left, right))
            return judged(theorem, claim, []).status

        assert both(sympy.sin(x) ** 2 + sympy.cos(x) ** 2, 1) == "holds"
        assert both(x**2, x**2 + sympy.Rational(1, 10**9)) == "violated"
        assert both(sympy.Matrix([1, x]), sympy.Matrix([1, x])) == "holds"
        assert both(sympy.Matrix([1, x]), sympy.Matrix([1, x + 1])) == "violated"


def failing(rng, draws, rate):
    return [[2.0] if failed else [0.5] for failed in rng.random(draws) < rate]


class TestWithProbability:
    @pytest.mark.heavy
    def test_no_false_alarm_in_200_runs_of_true_claims(self):
        # at the boundary of the claim, where alarms are likeliest; 200 * 1e-7 is the chance of any
        rng = np.random.default_rng(0)
        for _ in range(200):
            assert verdict(failing(rng, 100, 0.1), with_probability(0.9)).status != "violated"

    @pytest.mark.parametrize("seed", range(5))
    def test_more_failures_than_claimed_are_never_confirmed(self, seed):
        result = verdict(failing(np.random.default_rng(seed), 4000, 0.15), with_probability(0.9))
        assert result.status == "violated"

    def test_it_holds_when_a_quarter_more_than_claimed_is_excluded(self):
        result = verdict([[0.5]] * 4000, with_probability(0.9))
        assert (result.status, result.instances, result.missed) == ("holds", 40, "rate < 0.13")
        assert result.level == "exact statistics"

    def test_with_little_to_draw_twice_the_claimed_rate_will_do_and_is_named(self):
        assert verdict([[0.5]] * 23, with_probability(0.9)).status == "inconclusive"
        result = verdict([[0.5]] * 24, with_probability(0.9))
        assert result.status == "holds"
        assert "a failure rate of 0.2 is excluded" in result.evidence

    def test_many_failures_are_inconclusive_if_too_few_to_refute(self):
        result = verdict([[2.0], [0.5], [0.5]] * 10, with_probability(0.9))
        assert result.status == "inconclusive"
        assert "more than claimed" in result.evidence

    def test_a_failure_among_dear_draws_brings_what_decides_the_claim(self):
        theorem, claim = make(with_probability(0.9))

        def judge_with(failing, **options):
            def made(data, seed):
                return algebra(theorem, 2.0 if seed in failing else 0.5)

            # the first draw is on data, and does not count
            draws = endless(theorem, claim, made, budget=Budget(1, 60, 1.0), is_fixed=True, **options)
            return judge(theorem, claim, draws)

        clean, two = judge_with(()), judge_with((20, 30, 40))
        assert (clean.status, two.status) == ("holds", "holds")
        assert clean.instances <= 60 < two.instances <= 61 + 3 * 13  # 1 - 0.9 is a little less than 0.1
        # a false claim is not drawn for ever
        often = judge_with(set(range(1, 10**4, 8)))
        assert often.status == "inconclusive"
        assert often.instances <= 241

    def test_the_worst_data_are_drawn_often_enough_after_many_cheap_ones(self):
        theorem, claim = make(with_probability(0.9))

        class Dear(AlgebraRun):
            work = 1e6

        def made(data, seed):
            kind, value = (Dear, 0.9) if data == 7 else (AlgebraRun, 0.5)
            return kind(Instance(data={"values": [value]}, parameters={"bound": 1.0}, seed=seed), theorem)

        result = judge(theorem, claim, endless(theorem, claim, made, budget=Budget(50, 10**4, 4e6)))
        assert result.status == "holds"
        assert "worst of 2 data sets: 0 of " in result.evidence

    def test_a_hopeless_claim_stops_early(self):
        result = verdict([[2.0]] * 500, with_probability(0.9))
        assert (result.status, result.instances) == ("violated", 10)

    def test_the_probability_may_depend_on_the_instance(self):
        result = verdict([[0.5]] * 51, with_probability(1 - bound / 10))
        assert "0 of 39 draws failed, 3.9 expected" in result.evidence

    def test_slack_is_the_factor_that_the_claimed_share_of_draws_leaves(self):
        values = [[1.25]] + ([[0.8]] * 3 + [[0.25]] * 45) * 40
        result = verdict(values, with_probability(0.9))
        assert (result.status, result.slack) == ("holds", 4.0)

    def test_doubt_counts_against_a_claim(self):
        doubtful = {"error": lambda run: 0.01, "limit": 1.999}
        result = verdict([[2.0]] * 100, with_probability(0.9), **doubtful)
        assert result.status == "inconclusive"
        assert "rounding may decide 99 more" in result.evidence
        assert verdict([[0.5]] + [[2.0]] * 2 + [[0.5]] * 98, with_probability(0.9), **doubtful).status == "holds"

    def test_what_is_too_dear_is_observed_and_passes(self):
        theorem, claim = make(with_probability(0.9))
        few = judge(theorem, claim, draws_of(theorem, claim, runs(theorem, [[0.5]] * 3), observed="1e7 neurons"))
        assert (few.status, few.passed) == ("observed", True)
        assert "1e7 neurons" in few.evidence
        failed = judge(theorem, claim, draws_of(theorem, claim, runs(theorem, [[2.0]] * 2), observed="1e7 neurons"))
        assert failed.status == "inconclusive"


class TestWorstData:
    """Data sets differ: a share of them that always fails is no failure rate."""

    BUDGET = BUDGETS["quick"]

    def judged(self, fails, *, budget=BUDGET, rate=0.9, **options):
        theorem, claim = make(with_probability(rate))

        def made(data, seed):
            value = float(fails(data, seed)) if fails(data, seed) is not True else 2.0
            return algebra(theorem, [value or 0.5], which=data)

        return judge(theorem, claim, endless(theorem, claim, made, budget=budget, **options))

    def test_one_data_set_in_twenty_that_always_fails_refutes(self):
        result = self.judged(lambda data, seed: data % 20 == 13)
        assert result.status == "violated"
        assert "fresh draws of the worst data failed" in result.evidence

    def test_what_refutes_over_all_data_is_counted_once(self):
        result = self.judged(lambda data, seed: True)
        assert result.status == "violated"
        assert re.match(r"(\d+) of \1 data sets failed, ", result.evidence), result.evidence

    def test_the_mixture_alone_would_hold(self):
        assert verdict([[2.0 if i % 20 == 13 else 0.5] for i in range(4000)], with_probability(0.9)).status == "holds"

    def test_a_data_set_that_fails_by_chance_is_drawn_afresh_and_holds(self):
        result = self.judged(lambda data, seed: (data, seed) == (3, 0))
        assert result.status == "holds"
        assert result.missed == "rate < 0.13, data < 0.05"

    @pytest.mark.parametrize(("share", "bad", "good"), [(0.1, 0.5, 0.06), (0.2, 0.3, 0.05), (0.5, 0.3, 0.08)], ids=str)
    @pytest.mark.parametrize("entropy", range(6))
    def test_data_that_fail_now_and_then_are_found(self, share, bad, good, entropy):
        def fails(data, seed):
            rng = np.random.default_rng([entropy, data])
            rate = bad if rng.random() < share else good
            return 2.0 if np.random.default_rng([entropy, data, seed]).random() < rate else 0.0

        assert self.judged(fails).status != "holds"

    def test_data_that_all_fail_are_refuted_before_any_is_drawn_twice(self):
        result = self.judged(lambda data, seed: True)
        assert (result.status, result.instances) == ("violated", 9)

    def test_work_ends_the_drawing_but_for_what_decides(self):
        result = self.judged(lambda data, seed: False, budget=Budget(90, 4000, 0.0))
        assert (result.status, result.instances) == ("holds", 57)


#: all that is drawn is what decides a claim
NOTHING = Budget(data=90, draws=1, work=0.0)


class TestSeveralFamilies:
    """Each family is judged for itself, and the worst speaks for all."""

    def judged(self, holds, families, *, count, budget=BUDGETS["quick"], **options):
        theorem, claim = make(holds, **{"bound": None, **options})
        parts = [
            endless(
                theorem,
                claim,
                lambda data, seed, value=value: algebra(theorem, [value(np.random.default_rng(seed))]),
                count=count,
                budget=budget,
                is_fixed=True,
                observed=observed,
                name=name,
            ).families[0]
            for name, value, observed in families
        ]
        return judge(theorem, claim, Draws(parts))

    def test_a_mixture_of_two_laws_is_not_the_law(self):
        shifted = [(f"{sign}", lambda rng, sign=sign: rng.normal(sign * 0.3), "") for sign in (-1, 1)]
        assert self.judged(in_law(stats.norm.cdf, within=0.05), shifted, count=2000).status == "violated"

    def test_what_was_only_observed_stands_beside_what_was_confirmed(self):
        fine = ("cheap", lambda rng: 0.5, "")
        dear = ("dear", lambda rng: 0.5, "1e7 neurons")
        result = self.judged(with_probability(0.9), [fine, dear], count=1, budget=NOTHING, bound=bound)
        assert (result.status, result.missed) == ("holds", "rate < 0.13; 'dear' only observed")
        failing = ("dear", lambda rng: 2.0, "1e7 neurons")
        assert (
            self.judged(with_probability(0.9), [fine, failing], count=1, budget=NOTHING, bound=bound).status
            == "inconclusive"
        )

    def test_a_family_that_exercises_nothing_is_named(self):
        families = [("half", lambda rng: 0.5, ""), ("none", lambda rng: 0.6, "")]
        given = {"bound": bound, "given": lambda run: run.values < 0.55}
        result = self.judged(always, families, count=10, **given)
        assert (result.status, result.missed) == ("holds", "draws < 0.37")
        assert "none of 'none'" in result.evidence


class TestScalesAs:
    def sample(self, exponent, noise=0.1, draws=20):
        rng = np.random.default_rng(3)
        widths = np.repeat([64, 256, 1024, 4096], draws)
        return widths, [[float(w) ** exponent * np.exp(noise * rng.standard_normal())] for w in widths]

    def test_right_and_wrong_exponents(self):
        widths, values = self.sample(-0.5)
        for exponent, status in [(-0.5, "holds"), (-1, "violated"), (0, "violated"), (-0.8, "violated")]:
            result = verdict(values, scales_as(exponent, tolerance=0.05), bound=None, width=widths)
            assert result.status == status

    def test_a_fit_outside_the_band_whose_interval_touches_it_is_inconclusive(self):
        widths, values = self.sample(-0.5, noise=0.2)
        for exponent in (-0.62, -0.4 + 0.005):
            result = verdict(values, scales_as(exponent, tolerance=0.1), bound=None, width=widths)
            assert result.status == "inconclusive"
            assert "outside the band" in result.evidence
        assert verdict(values, scales_as(-0.55, tolerance=0.1), bound=None, width=widths).status == "holds"

    def test_several_numbers_of_one_run_are_refused(self):
        with pytest.raises(NtkVerifyError, match="one number per run"):
            verdict([[1.0, 1.0]] * 5, scales_as(0, tolerance=0.1), bound=None)
        with pytest.raises(NtkVerifyError, match="one number per run"):
            verdict([[1.0, 1.0]] * 5, in_law(stats.norm.cdf, within=0.1), bound=None)

    def test_too_noisy_is_inconclusive(self):
        widths, values = self.sample(-0.5, noise=3.0)
        assert verdict(values, scales_as(-0.5, tolerance=0.05), bound=None, width=widths).status == "inconclusive"

    def test_more_are_drawn_while_the_interval_is_too_wide(self):
        theorem, claim = make(scales_as(-0.5, tolerance=0.1), bound=None)
        rng = np.random.default_rng(5)

        def made(data, seed):
            width = 4 ** (3 + seed % 4)
            return algebra(theorem, width**-0.5 * np.exp(0.8 * rng.standard_normal()), width=width)

        result = judge(theorem, claim, endless(theorem, claim, made, count=100, budget=BUDGETS["quick"], is_fixed=True))
        assert (result.status, result.instances) == ("holds", 400)


class TestInLaw:
    def test_right_and_wrong_laws(self):
        rng = np.random.default_rng(4)
        values = [[x] for x in rng.standard_normal(4000)]
        right = verdict(values, in_law(stats.norm.cdf, within=0.03), bound=None)
        wrong = verdict(values, in_law(stats.norm(scale=1.5).cdf, within=0.03), bound=None)
        forgiving = verdict(values, in_law(stats.norm(scale=1.5).cdf, within=bound / 5), bound=None)
        assert (right.status, wrong.status, forgiving.status) == ("holds", "violated", "holds")

    def test_too_few_draws_to_see_the_stated_distance_are_inconclusive(self):
        values = [[x] for x in np.random.default_rng(4).standard_normal(400)]
        assert verdict(values, in_law(stats.norm.cdf, within=0.03), bound=None).status == "inconclusive"

    def test_a_law_that_is_further_off_than_allowed_never_holds(self):
        for seed in range(4):
            values = [[x] for x in np.random.default_rng(seed).standard_normal(4000) + 0.2]  # 0.08 away
            assert verdict(values, in_law(stats.norm.cdf, within=0.05), bound=None).status != "holds"

    def test_a_distance_that_nothing_exceeds_is_excluded_by_nobody(self):
        assert verdict([[0.0]] * 12, in_law(stats.norm.cdf, within=0.6), bound=None).status == "inconclusive"

    def test_a_density_is_refused(self):
        with pytest.raises(NtkVerifyError, match="a density does not"):
            verdict([[x] for x in np.linspace(-3, 3, 50)], in_law(stats.norm.pdf, within=0.1), bound=None)

    def test_an_exact_law_is_refused(self):
        with pytest.raises(NtkVerifyError, match="positive distance"):
            in_law(stats.norm.cdf, within=0)


class TestMoment:
    def judged(self, scale, draws=25_000):
        values = [[x] for x in scale * np.random.default_rng(6).standard_normal(draws)]
        return verdict(values, moment(2, 1, within=0.03), bound=None)

    @pytest.mark.heavy
    def test_a_variance_that_is_off_by_a_tenth_is_seen(self):
        assert self.judged(1.0).status == "holds"
        assert self.judged(1.1**0.5).status == "violated"

    def test_one_draw_that_outweighs_the_others_decides_nothing(self):
        rng = np.random.default_rng(8)
        rare = [[101.0 if hit else 1.0] for hit in rng.random(2000) < 0.01]
        assert verdict(rare, moment(1, 2, within=0.1), bound=None).status == "inconclusive"
        assert verdict([[1.0]] * 1000, moment(1, 1, within=0.1), bound=None).status == "inconclusive"

    def test_too_few_draws_are_inconclusive(self):
        assert self.judged(1.0, 100).status == "inconclusive"
        assert self.judged(1.0, 2).status == "inconclusive"

    @pytest.mark.parametrize("arguments", [(0, 1, 0.1), (2, 0, 0.1), (2, 1, 0.0)])
    def test_what_can_be_no_moment_is_refused(self, arguments):
        with pytest.raises(NtkVerifyError, match="moment needs"):
            moment(*arguments[:2], within=arguments[2])


class TestRounding:
    """No claim holds, and none is violated, because of how rounding is accounted for."""

    def test_entries_that_rounding_may_decide_are_not_exercised_and_counted(self):
        result = verdict([[0.1, 2.0]], error=lambda run: np.array([0.0, 1.5]), attained=True)
        assert (result.status, result.unresolved, result.slack) == ("holds", 1, 10.0)
        assert "1 entries left out" in result.evidence
        # a bound that is exceeded twofold holds neither as attained nor within a large error
        result = verdict([[2.0]], error=lambda run: 1.5, attained=True)
        assert (result.status, result.vacuous) == ("inconclusive", 1)

    def test_draws_that_rounding_decides_speak_against_a_claim_of_probability_but_refute_nothing(self):
        rng = np.random.default_rng(9)
        values = [[x] for x in 0.6 * np.abs(rng.standard_normal(2000))]
        result = verdict(values, with_probability(0.9), error=lambda run: 0.05)
        assert result.status == "inconclusive"

    def test_an_excess_beyond_the_error_refutes_however_large_the_error_is(self):
        assert verdict([[2.0]], error=lambda run: 0.5).status == "violated"

    def test_what_cancels_is_judged_by_its_operands(self):
        true = {"limit": 1e-300, "measure": lambda run: difference(run.values + 0.3, 0.3)}
        small = [[2.0**-54]]
        assert (
            verdict(small, limit=1e-300, measure=lambda run: (run.values + 0.3 - 0.3) + 2.0**-54).status == "violated"
        )
        assert verdict(small, **true).status == "inconclusive"
        assert verdict([[0.5]], **true).status == "violated"

    def test_the_bound_is_an_operand(self):
        assert verdict([[1 + 2**-50]], limit=1 + 2**-51).status == "inconclusive"


class TestSlack:
    def test_of_bounds_that_are_not_positive(self):
        minus = {"bound": -bound}
        assert verdict([[-2.0, -40.0]], **minus).slack == 2
        assert verdict([[-0.5]], **minus).status == "violated"
        assert verdict([[-0.5]], from_below=True, **minus).slack == 1.5
        assert verdict([[-3.0]], bound=0 * bound).slack == 2

    def test_of_measurements_that_are_not_positive(self):
        assert verdict([[-2.0, 0.5]]).slack == 2

    def test_the_start_of_a_rate_alone_exercises_nothing(self):
        measured, limits, error = np.array([1.0, 9e-4]), np.array([1.0, 1e-3]), np.array([0.0, 1.0])
        assert compare(measured, limits, error, from_below=False, trivial=np.array([True, False])).vacuous

    def test_the_start_of_a_rate_is_left_out(self):
        theorem, claim = make(always, bound=bound * sympy.Symbol("k") + 1)
        run = AlgebraRun(Instance(data={"values": [1.0, 1.0, 1.0]}, parameters={"bound": 1.0}, steps=2), theorem)
        assert judged(theorem, claim, [run]).slack == 2


class TestNothingMeasured:
    """One sentence with the place, of controls too."""

    @pytest.mark.parametrize("kind", ["conclusion", "control"])
    @pytest.mark.parametrize(
        ("measure", "message"),
        [
            (lambda run: None, "measured nothing"),
            (lambda run: np.nan, "measured nan"),
            (lambda run: [np.inf], "measured inf"),
            (lambda run: 1 / 0, "ZeroDivisionError"),
            (lambda run: run.values.no_such, "AttributeError.*no_such"),
            (lambda run: "many", "ValueError"),
            (lambda run: run.values < 1, "measured bool"),
            (lambda run: run.values + 1j, "measured complex"),
        ],
    )
    def test_a_measure_without_a_number(self, kind, measure, message):
        with pytest.raises(NtkVerifyError, match=rf"test_verdict.py:\d+: .*{message}"):
            verdict([[0.5]], kind=kind, measure=measure)

    def test_an_overflow_of_the_run_itself_fails(self):
        class Overflown(AlgebraRun):
            has_overflowed = True

        theorem, claim = make(always, measure=lambda run: run.values * np.inf)
        run = Overflown(Instance(data={"values": [1.0]}, parameters={"bound": 1.0}), theorem)
        assert judged(theorem, claim, [run]).status == "violated"

    @pytest.mark.parametrize(
        "margin",
        [
            lambda run: "yes",
            lambda run: run.values,
            lambda run: 1j,
            lambda run: True,
            lambda run: run.values[0] > 1,
            lambda run: None,
        ],
    )
    def test_an_assumption_that_is_no_margin(self, margin):
        theorem, claim = make(always)
        theorem.assumption("small")(margin)
        with pytest.raises(NtkVerifyError, match=r"test_verdict.py:\d+: the assumption 'small' returned"):
            judged(theorem, claim, runs(theorem, [[0.5]]))

    def test_an_assumption_that_crashes(self):
        theorem, claim = make(always)
        theorem.assumption("small")(lambda run: run.values.no_such)
        with pytest.raises(NtkVerifyError, match=r"test_verdict.py:\d+: assumption 'small' .* AttributeError"):
            judged(theorem, claim, runs(theorem, [[0.5]]))

    @pytest.mark.parametrize("error", [lambda run: [1.0, 2.0], lambda run: "much", lambda run: run.values.no_such])
    def test_a_rounding_error_that_is_no_number(self, error):
        with pytest.raises(NtkVerifyError, match=r"test_verdict.py:\d+: error= of claim 'claim'"):
            verdict([[0.5, 0.25, 0.1]], error=error)

    def test_a_bound_of_another_shape(self):
        theorem, claim = make(always, bound=sympy.Symbol("made"))
        theorem.quantity("made", lambda run: np.ones(2))
        with pytest.raises(NtkVerifyError, match="the bound of claim 'claim'"):
            judged(theorem, claim, runs(theorem, [[0.5, 0.25, 0.1]]))

    def test_a_distribution_function_that_crashes(self):
        with pytest.raises(NtkVerifyError, match=r"test_verdict.py:\d+: the distribution function of claim 'claim'"):
            verdict([[0.1]] * 30, in_law(lambda x: x.no_such_method(), within=0.2), bound=None)

    def test_a_probability_that_is_none(self):
        with pytest.raises(NtkVerifyError, match="claim 'claim' holds with probability 2"):
            verdict([[0.5]] * 3, with_probability(2 * bound))

    @pytest.mark.parametrize("given", [lambda run: 0.5, lambda run: [True, False], lambda run: None])
    def test_an_event_that_is_no_mask(self, given):
        with pytest.raises(NtkVerifyError, match=r"test_verdict.py:\d+: given= .* must return"):
            verdict([[0.5, 0.25, 0.1]], given=given)


def test_a_claim_has_a_provenance_of_its_own():
    assert verdict([[0.5]]).source == "own, derived"
    assert verdict([[0.5]], provenance="reconstructed").source == "own, reconstructed"


def test_levels_of_evidence():
    assert verdict([[0.5], [0.25]]).level == "float64, 2 instances"
    theorem, claim = make(identity, bound=None, measure=lambda: (sympy.Integer(1), 1))
    assert judged(theorem, claim, []).level == "proved"


def test_a_record_is_plain_json_with_the_promised_keys():
    import json

    record = json.loads(json.dumps(verdict([[0.0]]).record()))
    assert {"theorem", "claim", "kind", "quantifier", "verdict", "slack", "instances", "vacuous", "seconds"} <= set(
        record
    )
    assert record["slack"] is None  # nothing was measured but zero


def test_the_start_of_a_rate_does_not_hide_the_margin_of_what_follows():
    """Two sides that are equal by construction have margin 0: a search would climb nothing."""
    bound, trivial = np.array([1.0, 0.9, 0.8]), np.array([True, False, False])
    for measured, margin in (([1.0, 0.1, 0.1], -0.875), ([1.0, 0.88, 0.1], -0.02 / 0.9), ([1.0, 0.1, 1.2], 0.5)):
        found = compare(np.array(measured), bound, np.zeros(3), from_below=False, trivial=trivial)
        assert found.margin == pytest.approx(margin)
    broken = compare(np.array([1.1, 0.1, 0.1]), bound, np.zeros(3), from_below=False, trivial=trivial)
    assert broken.failed
    assert broken.margin == pytest.approx(0.1)


def test_the_margin_is_what_is_past_the_bound_beyond_rounding():
    """Nine tenths of the first measurement may be rounding: it is no excess to climb, the second says more."""
    measured, bound, error = np.array([1e-15, 1.0]), np.array([1e-16, 4.0]), np.array([9e-16, 1e-12])
    outcome = compare(measured, bound, error, from_below=False)
    assert outcome.margin == pytest.approx(-0.75)
    assert not outcome.failed
    assert outcome.unresolved == 1
    assert compare(measured, bound, 2 * error, from_below=False).margin == pytest.approx(-0.75)
    below = compare(np.array([1.0]), np.array([4.0]), np.array([1.0]), from_below=True)
    assert below.margin == pytest.approx(0.5)
    assert below.failed
