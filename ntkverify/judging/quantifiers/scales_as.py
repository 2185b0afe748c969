"""``scales_as``: a power law in the width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging import statistics
from ntkverify.judging.case import Trial
from ntkverify.judging.quantifiers.population import Decision, OfPopulation
from ntkverify.judging.rates import upwards
from ntkverify.judging.verdict import Status


@dataclass(frozen=True)
class ScalesAs(OfPopulation):
    """The measured quantity grows like width**exponent.

    Parameters
    ----------
    exponent : float
        Claimed exponent.
    tolerance : float
        Deviation of the fitted exponent that finite widths may cause. The claim is violated when the confidence
        interval lies outside ``exponent +- tolerance``, and holds when the fit lies inside and an exponent off by more
        than that is excluded.
    """

    exponent: float
    tolerance: float

    level: ClassVar[str] = "statistics, normal scatter"
    pools_families: ClassVar[bool] = True

    def moved(self, by: Any) -> ScalesAs:
        """The same tolerance around another exponent."""
        return scales_as(self.exponent + by, tolerance=self.tolerance)

    def aside(self, trials: Sequence[Trial]) -> str:
        """The widths that no draw exercised: the exponent is that of the others."""
        missing = {trial.run.m for trial in trials} - {t.run.m for t in trials if not t.outcome.vacuous}
        return f", none of width {', '.join(map(str, sorted(missing)))}" if missing else ""

    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """Fit the exponent over the widths of the trials."""
        fit = statistics.log_log_slope([trial.run.m for trial in trials], sample)
        low, high = fit.interval(refute)
        beyond = (abs(fit.slope - self.exponent) - self.tolerance) / self.tolerance
        seen = f"exponent {fit.slope:.3f} over {fit.draws} draws, claimed {self.exponent:g} +- {self.tolerance:g}"
        if high < self.exponent - self.tolerance or low > self.exponent + self.tolerance:
            evidence = f"{seen}; in [{low:.3f}, {high:.3f}], false alarm < {refute:.1e} for normal scatter"
            return Decision("violated", None, evidence, beyond=beyond)
        low, high = fit.interval(1 - confirm)
        off = max(high - self.exponent, self.exponent - low)
        inside = abs(fit.slope - self.exponent) <= self.tolerance
        why = "" if inside else "the fit lies outside the band, which the interval touches: "
        status: Status = "holds" if inside and off <= tolerated * self.tolerance else "inconclusive"
        evidence = f"{why}{seen}; in [{low:.3f}, {high:.3f}] at {confirm:.1%}"
        return Decision(status, None, evidence, f"exponent off by < {upwards(off)}", beyond, reach=off)


def scales_as(exponent: float | sympy.Expr, *, tolerance: float) -> ScalesAs:
    """The measured quantity scales like ``m**exponent`` over the widths that the instances cover."""
    if not tolerance > 0:
        raise NtkVerifyError(f"scales_as needs a positive tolerance on the exponent, not {tolerance}.")
    return ScalesAs(f"scales_as(m**{exponent})", float(exponent), tolerance)
