"""A quantifier of one's own is one class: everything else asks it."""

from dataclasses import dataclass

import numpy as np
import pytest
import sympy
from scipy import stats

from ntkverify import Check, Instance, NtkVerifyError, Source, Theorem, always
from ntkverify.judging.quantifiers.always import Always
from ntkverify.judging.quantifiers.population import Decision, OfPopulation
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.report.table import verdict_table
from ntkverify.search.campaign.cells import SAMPLING, cells_of
from ntkverify.search.climb.engines import DEFAULT_ENGINES
from ntkverify.search.score import searchable


@dataclass(frozen=True)
class MedianAtMost(OfPopulation):
    """Half of the draws at least are at most `limit`."""

    limit: float

    def decide(self, sample, trials, *, refute, confirm, tolerated):
        above = int((sample > self.limit).sum())
        low, high = (
            stats.binomtest(above, sample.size).proportion_ci(1 - 2 * level) for level in (refute, 1 - confirm)
        )
        status = "violated" if low.low > 0.5 else "holds" if high.high <= tolerated * 0.5 else "inconclusive"
        return Decision(status, self.limit / np.median(sample), f"{above} of {sample.size} are above {self.limit}")


class AlmostAlways(Always):
    """All runs but one in a thousand: to a search and to balls one run is as good as any."""


def exponential(*, draws=60):
    theorem = Theorem("Exponential", source=Source(), statement="S")

    def draw(run):
        return np.random.default_rng(run.instance.seed).exponential()

    theorem.instances("draws", run=AlgebraRun, quick=draws)(lambda: Instance(width=1))
    theorem.conclusion("the median is at most one", holds=MedianAtMost("median at most 1", 1.0))(draw)
    theorem.conclusion("draws are at most a thousand", holds=AlmostAlways("almost always"), bound=1000)(draw)
    theorem.control("the median is at most 1/10", holds=MedianAtMost("median at most 0.1", 0.1))(draw)
    theorem.validate()
    return theorem


def test_it_is_judged_and_shown():
    theorem = exponential()
    verdicts = list(Check(theorem).verdicts())
    assert [verdict.shown for verdict in verdicts] == ["holds", "holds", "refuted"]
    assert verdicts[0].slack == pytest.approx(1 / np.log(2), rel=0.5)
    lines = verdict_table([verdict.record() for verdict in verdicts], width=120)
    for name in ("median at most 1 ", "almost always ", "median at most 0.1 "):
        assert sum(f" {name}" in line for line in lines) == 1
    few = Check(exponential(draws=5)).verdict(theorem.claims["the median is at most one"])
    assert few.instances in (5, 10, 20)  # drawn on until it is decided


def test_its_claims_are_climbed_if_one_instance_decides_and_drawn_on_if_a_sample_does(tmp_path):
    theorem = exponential()
    assert [searchable(claim) for claim in theorem.claims.values()] == [False, True, False]
    path = tmp_path / "module.py"
    path.touch()
    engines = {}
    for cell in cells_of(theorem, path=path):
        engines.setdefault(cell.claim, set()).add(cell.engine)
    assert engines == {"draws are at most a thousand": set(DEFAULT_ENGINES), "the median is at most one": {SAMPLING}}


@pytest.mark.parametrize(
    ("holds", "options", "measure", "message"),
    [
        (MedianAtMost("median", 1.0), {"bound": 1}, lambda run: 1.0, "takes no bound"),
        (MedianAtMost("median", 1.0), {"given": lambda run: True}, lambda run: 1.0, "can't condition"),
        (AlmostAlways("almost always"), {}, lambda run: 1.0, "has no bound"),
        (always, {"bound": 1}, lambda: sympy.Integer(1), "parameter run"),
    ],
)
def test_what_it_takes_is_asked_before_anything_runs(holds, options, measure, message):
    theorem = exponential()
    theorem.lemma("l", holds=holds, **options)(measure)
    with pytest.raises(NtkVerifyError, match=message):
        theorem.validate()
