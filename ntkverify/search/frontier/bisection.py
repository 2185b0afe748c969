"""The threshold of one setting at which a claim starts to hold, and where the theorem prescribes it.

At a value of the setting the claim is put to independent draws until an exact (Clopper-Pearson) interval of the share
in which it holds excludes the wanted fraction, or the draws run out. Bisection in the logarithm finds the
threshold; the confidence band runs from the last value that certainly fails to the first that certainly holds, all
intervals of a threshold sharing one error level.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import scipy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.search.frontier.setting import Setting
from ntkverify.search.score import NOT_RUN, unmet
from ntkverify.search.space.coordinates import weight_seed
from ntkverify.theorem.instance import Instance

LEVEL = 0.05  #: error level that all intervals of one threshold share
_HALVINGS = 10
_EXERCISED = 10  # draws that must exercise the claim on either side of a threshold
_BATCH = 20
_ASKED = 25  # instances that are asked what is prescribed
_SALT = 7


@dataclass(frozen=True)
class Sample:
    """One value of the varied setting.

    Parameters
    ----------
    value : float
        The setting.
    held, draws : int
        In how many draws the claim held.
    low, high : float
        Confidence interval of the share in which it holds.
    refused : int
        Draws that could not be run, a Jacobian without full rank, for one: among the draws, and counted as not held.
    """

    value: float
    held: int
    draws: int
    low: float
    high: float
    refused: int = 0


@dataclass(frozen=True)
class Threshold:
    """The threshold at one place of the horizontal axis.

    Parameters
    ----------
    at : float
        The place.
    value : float or None
        The threshold; None if the claim does not change within the range.
    low, high : float or None
        Confidence band; None where it is open.
    prescribed : float or None
        Where the theorem's assumptions begin to be met.
    samples : tuple of Sample
        Everything that was evaluated.
    relaxed : tuple of str
        Assumptions that were dropped: those that the setting decides, and those that the family never meets.
    throughout : bool or None
        Whether the claim holds at both ends of the range, or fails at both, by intervals that exclude the fraction;
        None otherwise.
    spread : (float, float) or None
        The least and the most of what is prescribed for the instances at this place.
    """

    at: float
    value: float | None
    low: float | None
    high: float | None
    prescribed: float | None
    samples: tuple[Sample, ...] = field(repr=False)
    relaxed: tuple[str, ...] = ()
    throughout: bool | None = None
    spread: tuple[float, float] | None = None


def _level_at(draws: int) -> float:
    """The level of one interval of so many draws at the most: values and looks share that of the threshold."""
    return LEVEL / (_HALVINGS + 2) / max(1, draws // _BATCH)


def draws_needed(fraction: float, *, holds: bool) -> int:
    """How many draws at one value decide, if a claim holds (or fails) in every one, that it does in that fraction."""
    share = fraction if holds else 1 - fraction
    return next(n for n in range(1, 1_000_000) if (_level_at(n) / 2) ** (1 / n) > share)


HELD, FAILED, NOT_EXERCISED, REFUSED = "held", "failed", "not exercised", "refused"
#: what each of some instances says of a case, in their order
Outcomes = Callable[[Case, Iterable[Instance]], Iterator[str]]


def outcomes(case: Case, instances: Iterable[Instance]) -> Iterator[str]:
    """The case put to one instance after the other, as each is asked for."""
    for instance in instances:
        try:
            found = case.outcome(instance)
        except NOT_RUN:
            yield REFUSED
        else:
            yield NOT_EXERCISED if found.vacuous else FAILED if found.failed else HELD


class Bisection:
    """One threshold.

    Parameters
    ----------
    case : Case
        What is to hold.
    instances : list of Instance
        On which data.
    setting : Setting
        What is varied.
    fraction : float
        Share of draws in which the claim must hold.
    draws : int
        Draws at one value, at most.
    entropy : int
        Changes every draw.
    outcomes : callable
        Puts a case to instances; in this process by default.
    """

    def __init__(
        self,
        case: Case,
        instances: list[Instance],
        setting: Setting,
        *,
        fraction: float,
        draws: int,
        entropy: int,
        outcomes: Outcomes = outcomes,
    ) -> None:
        self.outcomes = outcomes
        self.case, self.instances, self.setting = case, instances, setting
        self.fraction, self.draws, self.entropy = fraction, draws, entropy
        self.low, self.high = setting.range(instances)
        self.samples: dict[float, Sample] = {}
        self.relax: set[str] = set()
        self.never: set[str] = set()
        self.asked_for: list[float] = []  # what the theorem prescribes for each of some instances

    def threshold(self, at: float, progress: Callable[[float, float], object]) -> Threshold:
        """Bisect in the logarithm between an end that fails and one that holds."""
        low, high = self.low, self.high
        self.prescribed()
        for value in (low, high):
            progress(at, value)
            self._sample(value)
        ends = (self._holds(low), self._holds(high))
        if ends[0] == ends[1]:
            found = self._finish(at, None, rising=ends[0])
            decided = [s.low > self.fraction or s.high < self.fraction for s in (self.samples[low], self.samples[high])]
            return replace(found, throughout=ends[0]) if all(decided) else found
        rising = ends[1]
        fails, holds = (low, high) if rising else (high, low)
        for _ in range(_HALVINGS):
            middle = self.setting.between(fails, holds)
            if middle in (fails, holds) or max(fails, holds) / min(fails, holds) < 1.05:
                break
            progress(at, middle)
            self._sample(middle)
            fails, holds = (fails, middle) if self._holds(middle) else (middle, holds)
        few = min(_EXERCISED, self.draws)
        if min(self.samples[fails].draws, self.samples[holds].draws) < few:
            return self._finish(at, None, rising=rising)  # decided by what hardly ever happened
        return self._finish(at, holds, rising=rising)

    def _finish(self, at: float, value: float | None, *, rising: bool) -> Threshold:
        samples = tuple(self.samples[v] for v in sorted(self.samples))
        failing = [s.value for s in samples if s.high < self.fraction]
        holding = [s.value for s in samples if s.low > self.fraction]
        low = (max(failing, default=None) if rising else max(holding, default=None)) if value is not None else None
        high = (min(holding, default=None) if rising else min(failing, default=None)) if value is not None else None
        asked = self.asked_for
        middle, spread = (float(np.median(asked)), (min(asked), max(asked))) if asked else (None, None)
        return Threshold(at, value, low, high, middle, samples, tuple(sorted(self.relax)), spread=spread)

    def _holds(self, value: float) -> bool:
        sample = self.samples[value]
        return sample.held >= self.fraction * sample.draws and sample.draws > 0

    def _sample(self, value: float) -> None:
        case = replace(self.case, relaxed=tuple(self.relax))
        held = tried = refused = 0
        low, high = 0.0, 1.0
        for index, found in enumerate(self.outcomes(case, self._drawn(value))):
            if found == NOT_EXERCISED:
                continue
            held += found == HELD
            refused += found == REFUSED
            tried += 1
            if tried % _BATCH == 0 or index == self.draws - 1:
                interval = scipy.stats.binomtest(held, tried).proportion_ci(1 - _level_at(self.draws), method="exact")
                low, high = float(interval.low), float(interval.high)
                if low > self.fraction or high < self.fraction:
                    break
        self.samples[value] = Sample(value, held, tried, low, high, refused)

    def _drawn(self, value: float) -> Iterator[Instance]:
        """Draws at one value: every value has a stream of its own, so that two values are independent."""
        number = len(self.samples)
        for index in range(self.draws):
            instance = self.setting.put(self.instances[index % len(self.instances)], value)
            yield instance.with_seed(weight_seed(self.entropy, index + 2**32 * number, salt=_SALT))

    def prescribed(self) -> float | None:
        """Where all assumptions begin to be met, the median over instances; notes which the setting decides."""
        # the median of five draws, where they differ by orders of magnitude, is any of them
        spaced = np.linspace(0, len(self.instances) - 1, min(_ASKED, len(self.instances)))
        chosen = [self.instances[i] for i in dict.fromkeys(np.rint(spaced).astype(int))]
        # an assumption that this family never meets, whatever the setting, would leave nothing to look at
        self.never = _common(self._unmet(i, self.setting.of(i)) for i in chosen)
        _, top = self.setting.beyond(self.low, self.high)
        for value in (self.low, self.high, *((top,) if self.setting.is_width else ())):
            self.never &= _common(self._unmet(i, value) for i in chosen)
        self.relax |= self.never
        self.asked_for = [v for v in map(self._prescribed_for, chosen) if v is not None]
        return float(np.median(self.asked_for)) if self.asked_for else None

    def _prescribed_for(self, instance: Instance) -> float | None:
        bottom, top = self.setting.beyond(self.low, self.high)
        at_bottom = self._unmet(instance, bottom) - self.never
        at_top = self._unmet(instance, top) - self.never
        inside = self._unmet(instance, self.low) | self._unmet(instance, self.high)
        self.relax |= (at_bottom ^ at_top) | (inside - (at_bottom & at_top))
        if bool(at_bottom) == bool(at_top):
            return None
        met, missed = (top, bottom) if at_bottom else (bottom, top)
        for _ in range(60):
            if abs(met - missed) <= 1e-12 * met:
                break
            middle = math.sqrt(met * missed)
            met, missed = (met, middle) if self._unmet(instance, middle) - self.never else (middle, missed)
        return math.ceil(met) if self.setting.is_width else met

    def _unmet(self, instance: Instance, value: float) -> set[str]:
        try:
            run = self.case.run(self.setting.put(instance, value))
        except NtkVerifyError:
            return set()  # no such instance, at any value: it says nothing about the assumptions
        return unmet(self.case, run)


def _common(names: Iterable[set[str]]) -> set[str]:
    """What all sets share."""
    return functools.reduce(lambda one, other: one & other, names)
