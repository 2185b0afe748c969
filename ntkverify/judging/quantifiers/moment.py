"""``moment``: the mean of a power, up to a stated fraction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Trial
from ntkverify.judging.quantifiers.population import Decision, OfPopulation
from ntkverify.judging.rates import upwards

#: draws from which on a mean of powers passes for normal, and the share of their sum that one of them may be
FEWEST, HEAVIEST = 500, 0.02


@dataclass(frozen=True)
class Moment(OfPopulation):
    """The measured numbers have the moment E[x^order] up to a fraction of it.

    25,000 draws see a variance that is 10% off, which a Kolmogorov distance does not show to 20,000.

    Parameters
    ----------
    order : int
        Which moment, at least 1.
    value : sympy.Expr
        The claimed moment, not zero, in the symbols of the theorem.
    within : float
        Deviation that is allowed, as a fraction of the moment.
    """

    order: int
    value: sympy.Expr
    within: float

    level: ClassVar[str] = "statistics, normal mean"

    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """A t interval of the mean of the powers, each over its own claimed moment."""
        values = np.array([float(trial.value(self.value)) for trial in trials])
        if not values.all():
            raise NtkVerifyError(f"{self.name}: the claimed moment is zero on an instance; measure something else.")
        ratios = sample**self.order / values
        if ratios.size < FEWEST:
            return Decision("inconclusive", None, f"{ratios.size} draws are too few for a normal mean")
        heaviest = float(np.abs(ratios).max() / np.abs(ratios).sum()) if ratios.any() else 1.0
        if heaviest > HEAVIEST or not ratios.std() > 0:
            return Decision(
                "inconclusive", None, f"one of {ratios.size} draws is {heaviest:.2g} of their sum: no normal mean"
            )
        mean, error = float(ratios.mean()), float(ratios.std(ddof=1)) / math.sqrt(ratios.size)
        off = abs(mean - 1)
        seen = f"moment {mean:.3f} of the claimed over {ratios.size} draws, 1 +- {self.within:g} allowed"
        slack = self.within / off if off > 0 else None

        def reach(level: float) -> float:
            return float(scipy.stats.t.ppf(1 - level / 2, ratios.size - 1)) * error

        if off - reach(refute) > self.within:
            return Decision("violated", slack, f"{seen}; off by at least {off - reach(refute):.3g}")
        worst = off + reach(1 - confirm)
        return Decision(
            "holds" if off <= self.within and worst <= tolerated * self.within else "inconclusive",
            slack,
            f"{seen}; off by less than {upwards(worst)} at {confirm:.1%}",
            f"off by < {upwards(worst)}",
            reach=worst,
        )


def moment(order: int, value: sympy.Expr | float, *, within: float) -> Moment:
    """E[x^order] of the measured numbers is `value` up to the fraction `within`; of a variance measure (x - mean)^2.

    The interval is that of a normal mean, which takes draws enough for the mean of x^order to be normal.
    """
    expression = sympy.sympify(value)
    if order < 1 or not within > 0 or expression == 0:
        raise NtkVerifyError(
            "moment needs an order of at least 1, a value other than zero and a positive fraction within=, not "
            f"{order}, {value} and {within}."
        )
    return Moment(f"moment({order})", int(order), expression, float(within))
