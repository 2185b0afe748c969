"""Verdicts: decided claims, doubt, vacuity, and both error rates of the probabilistic ones."""

import math

import numpy as np
import pytest
import sympy
from scipy import stats

from ntkverify import Instance, NtkVerifyError, Source, Theorem, always, identity, in_law, scales_as, with_probability
from ntkverify.judging.case import Case, Trial
from ntkverify.judging.outcome import compare
from ntkverify.judging.verdict import judge
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.theorem.parts import Family

bound = sympy.Symbol("bound", positive=True)


def runs(theorem, values, *, width=1, limit=1.0):
    widths = np.broadcast_to(width, len(values))
    return [
        AlgebraRun(Instance(data={"values": np.atleast_1d(v)}, parameters={"bound": limit}, width=int(w)), theorem)
        for v, w in zip(values, widths, strict=True)
    ]


def judged(theorem, claim, made, alpha=1e-6):
    case = Case(theorem, claim, Family("runs", lambda: None, AlgebraRun, {}))
    return judge(theorem, claim, [Trial(case, run) for run in made], alpha=alpha)


def make(holds, *, kind="conclusion", **options):
    theorem = Theorem("T", source=Source(), statement="S")
    options = {"bound": bound, **options}
    measure = options.pop("measure", lambda run: run.values)
    getattr(theorem, kind)("claim", holds=holds, **options)(measure)
    return theorem, theorem.claims["claim"]


def verdict(values, holds=always, *, alpha=1e-6, limit=1.0, width=1, **options):
    theorem, claim = make(holds, **options)
    return judged(theorem, claim, runs(theorem, values, limit=limit, width=width), alpha)


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

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_run_out_of_range_violates(self, value):
        theorem, claim = make(always, measure=lambda run: run.values * value)
        assert judged(theorem, claim, runs(theorem, [[1.0]])).status == "violated"

    def test_an_excess_within_rounding_is_inconclusive(self):
        inside = 1 + 2**-50
        assert verdict([[inside]]).status == "inconclusive"
        assert verdict([[inside]], attained=True).status == "holds"
        assert verdict([[inside]], error=lambda run: 2.0**-60).status == "violated"
        assert verdict([[1.001]], error=lambda run: 0.01).status == "inconclusive"
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

    def test_unmet_assumptions_are_vacuous_and_nan_margins_are_unmet(self):
        theorem, claim = make(always)
        theorem.assumption("small")(lambda run: 1 - run.values[0])
        result = judged(theorem, claim, runs(theorem, [[2.0], [0.5]]))
        assert (result.status, result.vacuous) == ("holds", 1)
        theorem.assumption("sane")(lambda run: math.nan)
        assert judged(theorem, claim, runs(theorem, [[0.5]])).vacuous == 1

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
    def test_no_false_alarm_in_200_runs_of_true_claims(self):
        # at the boundary of the claim, where alarms are likeliest; 200 * 1e-6 is the chance of any
        rng = np.random.default_rng(0)
        for _ in range(200):
            assert verdict(failing(rng, 100, 0.1), with_probability(0.9)).status == "holds"

    def test_false_by_the_stated_amount_is_found_at_the_stated_rate(self):
        rng = np.random.default_rng(1)
        from ntkverify.judging import statistics

        alpha, draws = 1e-3, 100
        rate = statistics.detectable_rate([0.1] * draws, alpha=alpha / 2)
        found = sum(
            verdict(failing(rng, draws, rate), with_probability(0.9), alpha=alpha).status == "violated"
            for _ in range(200)
        )
        # power 0.99: fewer than this many of 200 has probability below 1e-4
        assert found >= stats.binom.ppf(1e-4, 200, 0.99)
        assert rate < 0.35

    def test_too_few_draws_are_inconclusive(self):
        result = verdict([[0.5]] * 3, with_probability(0.9))
        assert result.status == "inconclusive"
        assert "too few" in result.evidence

    def test_a_hopeless_claim_stops_early(self):
        result = verdict([[2.0]] * 500, with_probability(0.9))
        assert (result.status, result.instances) == ("violated", 7)

    def test_the_probability_may_depend_on_the_instance(self):
        result = verdict([[0.5]] * 50, with_probability(1 - bound / 10))
        assert "0 of 50 draws failed, 5 expected" in result.evidence

    def test_slack_is_the_factor_that_the_claimed_share_of_draws_leaves(self):
        values = [[1.25]] * 5 + [[0.5]] * 5 + [[0.25]] * 90
        result = verdict(values, with_probability(0.9))
        assert (result.status, result.slack) == ("holds", 4.0)

    def test_doubt_that_would_decide_is_inconclusive(self):
        result = verdict([[2.0]] * 100, with_probability(0.9), error=lambda run: 10.0)
        assert result.status == "inconclusive"
        assert verdict([[2.0]] * 2 + [[0.5]] * 98, with_probability(0.9), error=lambda run: 10.0).status == "holds"


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
            verdict([[1.0, 1.0]] * 5, in_law(stats.norm.cdf, within=0), bound=None)

    def test_too_noisy_is_inconclusive(self):
        widths, values = self.sample(-0.5, noise=3.0)
        assert verdict(values, scales_as(-0.5, tolerance=0.05), bound=None, width=widths).status == "inconclusive"


class TestInLaw:
    def test_right_and_wrong_laws(self):
        rng = np.random.default_rng(4)
        values = [[x] for x in rng.standard_normal(4000)]
        right = verdict(values, in_law(stats.norm.cdf, within=0), bound=None)
        wrong = verdict(values, in_law(stats.norm(scale=1.5).cdf, within=0), bound=None)
        forgiving = verdict(values, in_law(stats.norm(scale=1.5).cdf, within=bound / 5), bound=None)
        assert (right.status, wrong.status, forgiving.status) == ("holds", "violated", "holds")

    def test_too_few_draws_are_inconclusive(self):
        assert verdict([[0.0]] * 5, in_law(stats.norm.cdf, within=0), bound=None).status == "inconclusive"


def test_a_record_is_plain_json_with_the_promised_keys():
    import json

    record = json.loads(json.dumps(verdict([[0.0]]).record()))
    assert {"theorem", "claim", "kind", "quantifier", "verdict", "slack", "instances", "vacuous", "seconds"} <= set(
        record
    )
    assert record["slack"] is None  # nothing was measured but zero


def test_the_margin_is_what_is_past_the_bound_beyond_rounding():
    """Nine tenths of the first measurement may be rounding: it is no excess to climb, the second says more."""
    measured, bound, error = np.array([1e-15, 1.0]), np.array([1e-16, 4.0]), np.array([9e-16, 1e-12])
    outcome = compare(measured, bound, error, from_below=False)
    assert outcome.margin == pytest.approx(-0.0, abs=1e-12)
    assert not outcome.failed
    assert outcome.doubtful
    assert compare(measured, bound, 2 * error, from_below=False).margin == pytest.approx(-0.75)
    below = compare(np.array([1.0]), np.array([4.0]), np.array([1.0]), from_below=True)
    assert below.margin == pytest.approx(0.5)
    assert below.failed
