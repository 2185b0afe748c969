"""``in_law``: a distribution, up to a stated distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.judging import statistics
from ntkverify.judging.case import Trial
from ntkverify.judging.quantifiers.population import OfPopulation
from ntkverify.judging.verdict import Status


@dataclass(frozen=True)
class InLaw(OfPopulation):
    """The measured quantity follows a distribution up to a stated Kolmogorov distance.

    Parameters
    ----------
    cdf : callable
        Distribution function of the claimed law, vectorised.
    within : sympy.Expr
        Allowed Kolmogorov distance, in the symbols of the theorem.
    """

    cdf: Callable[[NDArray[Any]], NDArray[Any]]
    within: sympy.Expr

    def decide(self, sample: Array, trials: list[Trial], *, alpha: float) -> tuple[Status, float | None, str]:
        """Compare the distances allowed and seen."""
        within = max(float(trial.value(self.within)) for trial in trials)
        fit = statistics.goodness_of_fit(sample, self.cdf, within=within, alpha=alpha)
        return (
            "violated" if fit.rejected else "inconclusive" if fit.detectable >= 1 else "holds",
            fit.allowed / fit.distance if fit.distance > 0 else math.inf,
            f"distance {fit.distance:.3g} from the law over {fit.draws} values, allowed {fit.allowed:.3g}; "
            f"false alarm < {alpha:.1e}, a true distance of {fit.detectable:.2g} would be found",
        )


def in_law(
    cdf: Callable[[NDArray[Any]], NDArray[Any]], *, within: sympy.Expr | float, name: str = "distribution"
) -> InLaw:
    """The measured quantity has distribution function `cdf`, up to the Kolmogorov distance `within`."""
    return InLaw(f"in_law({name})", cdf, sympy.sympify(within))
