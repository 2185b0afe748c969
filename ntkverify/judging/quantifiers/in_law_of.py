"""``in_law_of``: many independent numbers of each run follow a law that is known or can be drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Trial
from ntkverify.judging.quantifiers.population import Decision, OfPopulation


@dataclass(frozen=True)
class InLawOf(OfPopulation):
    """The numbers that a run measures are independent and follow the run's law, up to a Kolmogorov distance.

    Every number is replaced by its place in the law of its own run, so that runs with different data, and laws, make
    one sample; each place is uniform on [0, 1] up to the distance. A law that is drawn from is known up to the distance
    of its own sample, which is counted. Violated if the distance seen excludes `within`; confirmed if it excludes
    `resolution` and more, and inconclusive between.

    Parameters
    ----------
    law : callable
        Takes a run; returns the law's distribution function, or an array of independent numbers drawn from it.
    within : sympy.Expr
        Allowed distance, in the symbols of the theorem.
    resolution : float
        No verdict confirms unless the true distance is shown to be less.
    """

    law: Callable[[Any], Any]
    within: sympy.Expr
    resolution: float

    numbers: ClassVar[int | None] = None
    is_exact_about_tolerance: ClassVar[bool] = False  # it confirms up to `resolution`

    def decide(
        self, sample: Array, trials: list[Trial], *, refute: float, confirm: float, tolerated: float
    ) -> Decision:
        """Pool the places of all numbers in the laws of their runs, and compare them with the uniform law."""
        places, within, drawn = [], 0.0, math.inf
        for trial in trials:
            values, law = np.sort(trial.outcome.value.ravel()), self.law(trial.run)
            if callable(law):
                places.append(np.asarray(law(values), float))
            else:
                reference = np.sort(np.asarray(law, float).ravel())
                drawn = min(drawn, reference.size)
                places.append(np.searchsorted(reference, values, side="right") / reference.size)
            within = max(within, float(trial.value(self.within)))
        return self._of_places(np.concatenate(places), within, drawn, refute, confirm)

    def _of_places(self, places: Array, within: float, drawn: float, refute: float, confirm: float) -> Decision:
        if not np.isfinite(places).all():
            raise NtkVerifyError(f"{self.name}: a number or its place in the law is not finite.")
        if drawn < 100:
            raise NtkVerifyError(f"{self.name}: a law known by {drawn} numbers is hardly known; draw more.")

        def noise(alpha: float) -> float:
            # half of the level for either sample. Bretagnolle's constant: the runs' laws need not be one
            # (Annales de l'IHP B 16, 1980); the reference of a run is one sample, with Massart's constant
            sampled = math.sqrt(math.log(4 * math.e / alpha) / (2 * places.size))
            if drawn == math.inf:
                return sampled
            # a step function is off by no more than one of its own steps
            return sampled + math.sqrt(math.log(4 / alpha) / (2 * drawn)) + 1 / drawn

        distance = distance_from_uniform(places)
        allowed, most = within + noise(refute), distance + noise(1 - confirm)
        slack = allowed / distance if distance > 0 else math.inf
        seen = f"distance {distance:.3g} from the law over {places.size} numbers"
        if distance > allowed:
            return Decision("violated", slack, f"{seen}, allowed {allowed:.3g}; false alarm < {refute:.1e}")
        return Decision(
            "holds" if most < self.resolution else "inconclusive",
            slack,
            f"{seen}; at {confirm:.1%} below {most:.2g} (asked for: {self.resolution:g})",
            f"distance < {most:.2g}",
            reach=most,
        )


def distance_from_uniform(places: Array) -> float:
    """Kolmogorov distance of a sample in [0, 1] from the uniform law."""
    x = np.sort(places)
    steps = np.arange(x.size + 1) / x.size
    return float(max((steps[1:] - x).max(), (x - steps[:-1]).max()))


def in_law_of(
    law: Callable[[Any], Any], *, within: sympy.Expr | float, resolution: float, name: str = "law of the run"
) -> InLawOf:
    """The numbers measured of each run have the law `law(run)`, up to the Kolmogorov distance `within`.

    Raises
    ------
    NtkVerifyError
        If the resolution is not between 0 and 1.
    """
    if not 0 < resolution < 1:
        raise NtkVerifyError(f"a Kolmogorov distance lies between 0 and 1, but resolution is {resolution}.")
    return InLawOf(f"in_law_of({name})", law, sympy.sympify(within), resolution)
