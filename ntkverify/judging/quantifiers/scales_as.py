"""``scales_as``: a power law in the width."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging import statistics
from ntkverify.judging.case import Trial
from ntkverify.judging.quantifiers.population import OfPopulation
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
        interval lies outside ``exponent +- tolerance``; it is inconclusive when that interval is wider than the band,
        or when the fitted exponent itself lies outside and the interval touches.
    """

    exponent: float
    tolerance: float

    def decide(self, sample: Array, trials: list[Trial], *, alpha: float) -> tuple[Status, float | None, str]:
        """Fit the exponent over the widths of the trials."""
        slope = statistics.log_log_slope([trial.run.m for trial in trials], sample, alpha=alpha)
        low, high = self.exponent - self.tolerance, self.exponent + self.tolerance
        status: Status = "holds"
        why = ""
        if slope.high < low or slope.low > high:
            status = "violated"
        elif slope.resolution > 2 * self.tolerance:
            status, why = "inconclusive", "the interval is wider than the band: "
        elif not low <= slope.slope <= high:
            status, why = "inconclusive", "the fit lies outside the band, which the interval touches: "
        evidence = why + (
            f"exponent {slope.slope:.3f} in [{slope.low:.3f}, {slope.high:.3f}] over {slope.draws} draws, "
            f"claimed {self.exponent:g} +- {self.tolerance:g}; for normal scatter false alarm < {alpha:.1e}, "
            f"an exponent off by more than {self.tolerance + slope.resolution:.2g} would be found"
        )
        return status, None, evidence


def scales_as(exponent: float | sympy.Expr, *, tolerance: float) -> ScalesAs:
    """The measured quantity scales like ``m**exponent`` over the widths that the instances cover."""
    if not tolerance > 0:
        raise NtkVerifyError(f"scales_as needs a positive tolerance on the exponent, not {tolerance}.")
    return ScalesAs(f"scales_as(m**{exponent})", float(exponent), tolerance)
