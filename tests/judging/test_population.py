"""Claims of all draws together on several families: each counts, and one that says nothing is no agreement."""

import numpy as np
import pytest
from scipy import stats

from ntkverify import Check, Instance, Source, Theorem, in_law, moment, scales_as
from ntkverify.judging.quantifiers.correlates import correlates
from ntkverify.judging.quantifiers.in_law_of import in_law_of
from ntkverify.problems.algebra import AlgebraRun

NORMAL = {
    "in_law": in_law(stats.norm.cdf, within=0.1),
    "in_law_of": in_law_of(lambda run: stats.norm.cdf, within=0, resolution=0.15),
    "moment": moment(2, 1, within=0.2),
    "correlates": correlates(0.3),
}


def normal(run):
    """A normal number; to a rank correlation a pair of it."""
    found = run.sign * np.random.default_rng(run.instance.seed).normal() * run.spread
    return np.array([found, run.sign * found]) if run.pair else found


def power(run):
    return np.exp(0.05 * np.random.default_rng(run.instance.seed).normal()) / run.m


def always_the_same(instance):
    return lambda: instance


def verdict(holds, families, measure=normal):
    """Of each family its name, how many are drawn, and what is not as everywhere."""
    theorem = Theorem("T", source=Source(), statement="S")
    theorem.assumption("near")(lambda run: -run.far)
    for name, count, width, others in families:
        pair = float(isinstance(holds, type(NORMAL["correlates"])))
        numbers = {"far": -1.0, "sign": 1.0, "spread": 1.0, "pair": pair, **others}
        instance = Instance(parameters=numbers, width=width)
        theorem.instances(name, run=AlgebraRun, quick=count)(always_the_same(instance))
    theorem.conclusion("c", holds=holds)(measure)
    return Check(theorem).verdict(theorem.claims["c"])


class TestAFamilyThatExercisesNothing:
    @pytest.mark.parametrize("name", NORMAL)
    def test_leaves_the_claim_open_and_is_named(self, name):
        near, far = ("near", 1000, 1, {}), ("far", 40, 1, {"far": 1.0})
        assert verdict(NORMAL[name], [near]).status == "holds"
        for families in ([near, far], [far, near]):
            found = verdict(NORMAL[name], families)
            assert (found.status, found.vacuous, found.missed) == ("inconclusive", 40, "")
            assert "no instance of 'far' exercised the claim" in found.evidence
            assert "'near'" in found.remedy

    @pytest.mark.parametrize("name", NORMAL)
    def test_does_not_hide_a_violation(self, name):
        wrong = {"correlates": {"sign": -1.0}}.get(name, {"spread": 3.0})
        found = verdict(NORMAL[name], [("far", 40, 1, {"far": 1.0}), ("wrong", 1000, 1, wrong)])
        assert found.status == "violated"
        assert "no instance of 'far'" in found.evidence

    def test_nor_do_the_others_make_up_for_it_where_all_are_one_sample(self):
        ladder = [(f"of {4**i}", 20, 4**i, {}) for i in range(2, 5)]
        assert verdict(scales_as(-1, tolerance=0.1), ladder, power).status == "holds"
        found = verdict(scales_as(-1, tolerance=0.1), [*ladder, ("of 4096", 20, 4096, {"far": 1.0})], power)
        assert found.status == "inconclusive"
        assert "no instance of 'of 4096'" in found.evidence
        assert "none of width 4096" in found.evidence


def test_a_width_that_exercises_nothing_is_named():
    """The exponent is that of the other widths, whatever the family is called."""
    theorem = Theorem("T", source=Source(), statement="S")
    theorem.assumption("wide")(lambda run: run.m - 20)

    @theorem.instances("ladder", run=AlgebraRun, quick=60)
    def ladder(draw):
        from hypothesis import strategies as st

        return Instance(width=4 ** draw(st.integers(1, 5)))

    theorem.conclusion("c", holds=scales_as(-1, tolerance=0.1))(power)
    found = Check(theorem).verdict(theorem.claims["c"])
    assert found.status == "holds"
    assert found.evidence.endswith(", none of width 4, 16")


@pytest.mark.parametrize("name", ["in_law", "moment"])
def test_slack_and_what_is_missed_are_the_worst_of_all_families(name):
    """They used to be those of the family that came first."""
    families = [("many", 2000, 1, {}), ("few", 1000, 1, {})]
    alone = [verdict(NORMAL[name], [family]) for family in families]
    assert alone[0].missed != alone[1].missed
    assert alone[0].slack != alone[1].slack
    for order in (families, families[::-1]):
        both = verdict(NORMAL[name], order)
        assert both.status == "holds"
        assert both.missed == max(each.missed for each in alone)
        assert both.slack == min(each.slack for each in alone)
