"""Laws of many numbers a run: known, drawn from, wrong, and too few numbers to tell."""

import numpy as np
import pytest
from scipy import stats

from ntkverify import Check, Instance, NtkVerifyError, Source, Theorem
from ntkverify.judging.quantifiers.in_law_of import distance_from_uniform, in_law_of
from ntkverify.problems.algebra import AlgebraRun


def numbers(run):
    """Normal numbers, with a mean that differs from run to run."""
    return np.random.default_rng(run.instance.seed).normal(run.mean, 1, 2000)


def known(run):
    return stats.norm(run.mean).cdf


def drawn(run):
    return np.random.default_rng([7, run.instance.seed % 2**32]).normal(run.mean, 1, 200000)


def verdict(law, *, within=0.0, resolution=0.1, count=8, entropy=0):
    theorem = Theorem("Normal", source=Source(), statement="S")

    @theorem.instances("draws", run=AlgebraRun, quick=count)
    def instances(draw):
        from hypothesis import strategies as st

        return Instance(width=1, parameters={"mean": float(draw(st.integers(-3, 3)))})

    theorem.conclusion("c", holds=in_law_of(law, within=within, resolution=resolution))(numbers)
    theorem.control("k", holds=in_law_of(lambda run: stats.laplace.cdf, within=0, resolution=0.1))(numbers)
    theorem.validate()
    return Check(theorem, entropy=entropy).verdict(theorem.claims["c"])


@pytest.mark.parametrize("law", [known, drawn])
def test_the_law_of_each_run_is_found_to_be_its_own(law):
    found = verdict(law)
    assert found.status == "holds"
    assert "over 16000 numbers" in found.evidence


def test_a_wrong_law_is_refuted_and_allowed_up_to_its_distance():
    def wrong(run):
        return stats.norm(run.mean + 0.3).cdf

    assert verdict(wrong).status == "violated"
    true = stats.norm.cdf(0.15) - stats.norm.cdf(-0.15)
    assert verdict(wrong, within=float(true), resolution=0.2).status == "holds"


def test_too_few_numbers_confirm_nothing():
    assert verdict(known, resolution=0.01).status == "inconclusive"


def test_no_false_alarm_in_many_draws():
    assert all(verdict(known, count=2, entropy=e).status == "holds" for e in range(20))


def test_the_distance_is_the_kolmogorov_statistic():
    x = np.random.default_rng(0).uniform(size=50)
    assert distance_from_uniform(x) == pytest.approx(stats.kstest(x, "uniform").statistic)


def test_mistakes_are_named():
    with pytest.raises(NtkVerifyError, match=r"resolution is 1\.5"):
        in_law_of(known, within=0, resolution=1.5)
    with pytest.raises(NtkVerifyError, match="hardly known"):
        verdict(lambda run: np.zeros(10))
