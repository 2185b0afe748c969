"""``in_law``: a distribution, up to a stated distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging import statistics
from ntkverify.judging.case import Trial, asked
from ntkverify.judging.quantifiers.population import Decision, OfPopulation
from ntkverify.judging.rates import upwards
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

    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """Compare the distances allowed and seen."""
        # a mixture of laws, each so far from the claimed one, is no further from it than they are on average
        within = float(np.mean([float(trial.value(self.within)) for trial in trials]))
        if not within > 0:
            raise NtkVerifyError(f"{self.name}: the allowed distance is {within:g} on the instances; make it positive.")
        seen: statistics.Distance = asked(
            f"the distribution function of claim {trials[0].case.claim.name!r}",
            lambda cdf: statistics.distance_from(sample, cdf),
            self.cdf,
            place=self.cdf,
        )
        return by_distance(seen, within, refute=refute, confirm=confirm, tolerated=tolerated)


def by_distance(
    seen: statistics.Distance, within: float, *, refute: float, confirm: float, tolerated: float
) -> Decision:
    """A decision on a Kolmogorov distance, of which a sample shows one."""
    low, high = seen.beyond(refute), seen.within(1 - confirm)
    slack = within / seen.distance if seen.distance > 0 else math.inf
    evidence = f"distance {seen.distance:.3g} over {seen.draws} values, {within:.3g} allowed"
    if low > within:
        return Decision(
            "violated", slack, f"{evidence}; beyond {low:.3g}, false alarm < {refute:.1e}", beyond=low / within - 1
        )
    # a sample of a law that is off by `within` shows no more than this, half of the time
    inside = seen.distance <= within + seen.noise_in_the_middle
    close = high <= min(tolerated * within, (1 + within) / 2)
    status: Status = "holds" if inside and close else "inconclusive"
    excluded = upwards(high)
    missed, beyond = f"distance < {excluded}", (seen.distance - seen.noise_in_the_middle) / within - 1
    return Decision(status, slack, f"{evidence}; {excluded} is excluded at {confirm:.1%}", missed, beyond, reach=high)


def in_law(
    cdf: Callable[[NDArray[Any]], NDArray[Any]], *, within: sympy.Expr | float, name: str = "distribution"
) -> InLaw:
    """The measured quantity has distribution function `cdf`, up to the Kolmogorov distance `within`."""
    distance = sympy.sympify(within)
    if distance.is_number and not distance > 0:
        raise NtkVerifyError(
            f"in_law needs a positive distance, not {within}: no sample shows that a law is met exactly; say how far "
            "off would matter."
        )
    return InLaw(f"in_law({name})", cdf, distance)
