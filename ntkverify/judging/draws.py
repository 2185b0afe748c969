"""Instances of a family, drawn alike in every process, and the runs that a claim is put to, one by one."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import AFRESH, LEAST, MORE, MOST, Budget
from ntkverify.judging.case import Case, Trial
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Family
from ntkverify.theorem.theorem import Theorem


class _SameEverywhere(HypothesisProvider):
    """Hypothesis' own choices, without the constants it collects from whatever modules are imported.

    With them an instance would depend on what else the session had loaded, and nobody could draw it again.
    """

    def _maybe_draw_constant(self, choice_type: Any, constraints: Any, *, p: float = 0.05) -> None:
        return None


_BACKEND = "ntkverify"
AVAILABLE_PROVIDERS[_BACKEND] = f"{__name__}.{_SameEverywhere.__name__}"
#: data are drawn in blocks of this size, so that the first do not depend on how many are asked for; Hypothesis begins
#: each with simple ones
_BLOCK = 32


class Stream:
    """The instances of one family: an endless list of data, and of each data set an endless list of seeds.

    Parameters
    ----------
    family : Family
        Whose instances.
    entropy : int
        Names the stream; equal arguments give equal instances, in whatever order they are asked for.
    """

    def __init__(self, family: Family, *, entropy: int) -> None:
        self.family = family
        self.entropy = entropy
        self._salt = int.from_bytes(hashlib.sha256(family.name.encode()).digest()[:8], "little")
        self._blocks: list[list[Instance]] = []
        self._fixed: Instance | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether all instances have the same data."""
        return not self.family.draws

    def instance(self, data: int, seed: int = 0) -> Instance:
        """The `data`-th data set with its `seed`-th seed."""
        words = np.random.SeedSequence([self.entropy, self._salt, data, seed]).generate_state(2, np.uint64)
        return self._data(data).with_seed(int(words[0]) << 64 | int(words[1]))

    def first(self, count: int) -> list[Instance]:
        """`count` instances: different data, or fresh seeds where the data are fixed."""
        return [self.instance(0, i) if self.is_fixed else self.instance(i) for i in range(count)]

    def _data(self, index: int) -> Instance:
        if self.is_fixed:
            if self._fixed is None:
                self._fixed = _built(self.family)
            return self._fixed
        while len(self._blocks) <= index // _BLOCK:
            self._blocks.append(_drawn(self.family, _BLOCK, self.entropy, len(self._blocks)))
        block = self._blocks[index // _BLOCK]
        # where Hypothesis runs out of different data the block goes round again, with fresh seeds
        return block[index % _BLOCK % len(block)]


def draw_instances(family: Family, count: int, *, entropy: int) -> list[Instance]:
    """`count` instances of a family: Hypothesis draws the data, NumPy the seed of the weights.

    Equal arguments give equal instances, and more of them begin with the same.
    """
    return Stream(family, entropy=entropy).first(count)


def simplest_instance(family: Family) -> Instance:
    """The instance that Hypothesis tries first, to see which data and parameters a family draws."""
    if not family.draws:
        return _built(family)
    return _drawn(family, 1, 0, 0)[0]


def _drawn(family: Family, count: int, entropy: int, block: int) -> list[Instance]:
    found: list[Instance] = []

    @seed(entropy if block == 0 else f"{entropy}, {block}")
    @settings(
        max_examples=count,
        backend=_BACKEND,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.composite(family.build)())
    def collect(instance: Any) -> None:
        found.append(_refuse_others(family, instance))

    with _one_sentence(family):
        collect()
    return found


def _built(family: Family) -> Instance:
    """The instance of a family that draws nothing."""
    with _one_sentence(family):
        return _refuse_others(family, family.build())


def _refuse_others(family: Family, instance: Any) -> Instance:
    if isinstance(instance, Instance):
        return instance
    said = "returns nothing" if instance is None else f"returns {type(instance).__name__} and no Instance"
    raise NtkVerifyError(f"{_place(family)}the function {said}; end it with `return Instance(...)`.")


@contextmanager
def _one_sentence(family: Family) -> Iterator[None]:
    """What fails while an instance is made becomes one sentence with the family's line."""
    try:
        yield
    except NtkVerifyError as error:
        named = str(error).startswith(_place(family))
        raise error if named else NtkVerifyError(f"{_place(family)}{error}") from error
    except Unsatisfiable:
        raise NtkVerifyError(
            f"{_place(family)}assume() or filter() left nothing of all that was drawn; construct valid instances "
            "rather than reject invalid ones, and widen what is drawn."
        ) from None
    except Exception as error:
        said = " ".join(str(error).split())
        raise NtkVerifyError(f"{_place(family)}they can't be drawn, {type(error).__name__}: {said}") from error


def _place(family: Family) -> str:
    code = getattr(inspect.unwrap(family.build), "__code__", None)
    place = f"{Path(code.co_filename).name}:{code.co_firstlineno}: " if code else ""
    return f"{place}instances {family.name!r}: "


class Runs:
    """The runs of one family, each made when it is first asked for; claims share them.

    Parameters
    ----------
    family : Family
        Whose runs.
    theorem : str
        Id of the theorem, for the instances.
    entropy : int
        Names the stream of instances.
    make : callable
        Turns an instance into a run.
    """

    def __init__(self, family: Family, theorem: str, *, entropy: int, make: Callable[[Instance], Any]) -> None:
        self.family = family
        self.stream = Stream(family, entropy=entropy)
        self._theorem = theorem
        self._make = make
        self._runs: dict[tuple[int, int], Any] = {}

    def run(self, data: int, seed: int = 0) -> Any:
        """The run of one data set and seed."""
        if (data, seed) not in self._runs:
            drawn = self.stream.instance(data, seed).belonging_to(self._theorem, self.family.name)
            self._runs[data, seed] = self._make(drawn)
        return self._runs[data, seed]

    @property
    def widest(self) -> int:
        """Width of the widest network among them; 0 where there is none."""
        return max((run.instance.width for run in self._runs.values()), default=0)


@dataclass
class FamilyDraws:
    """What one claim may draw of one family: the trials are made one by one, while the budget lasts.

    Parameters
    ----------
    case : Case
        The claim on this family.
    runs : Runs
        The family's runs.
    count : int
        How many draws the family prescribes.
    budget : Budget
        How much may be drawn beyond.
    made, spent : int, float
        How much was drawn.
    least : int
        So many draws are made whatever they cost: as many as prescribed, or more.
    observe : callable, optional
        Shown every trial.
    """

    case: Case
    runs: Runs
    count: int
    budget: Budget
    made: int = 0
    spent: float = 0.0
    least: int = 0
    observe: Callable[[Trial], None] | None = None

    def __post_init__(self) -> None:
        self.least = max(self.least, self.count)

    def allow(self, delta: float) -> None:
        """See to it that a claim which allows failures with probability `delta` can be decided, whatever it costs."""
        if not self.runs.family.observed:
            self.least = max(self.least, math.ceil(LEAST / delta))

    def allow_afresh(self, delta: float) -> None:
        """See to it that the draws from here on decide, however many others, of cheaper data, there were."""
        if not self.runs.family.observed:
            self.least = max(self.least, self.made + math.ceil(LEAST * AFRESH / delta))

    def allow_more(self, delta: float) -> None:
        """A fresh draw that failed brings further ones, whatever they cost: so many that one failure more decides."""
        if not self.runs.family.observed:
            most = math.ceil(MOST / delta)
            self.least = max(self.least, min(self.least + math.ceil(MORE / delta), most))

    @property
    def lasts(self) -> bool:
        """Whether another draw is within the budget."""
        return self.made < self.least or (self.made < self.budget.draws and self.spent < self.budget.work)

    def _trial(self, data: int, seed_number: int) -> Trial:
        run = self.runs.run(data, seed_number)
        self.made += 1
        self.spent += run.work
        trial = Trial(self.case, run)
        if self.observe is not None:
            self.observe(trial)
        return trial

    def first(self, start: int = 0, stop: int | None = None) -> Iterator[Trial]:
        """Different data, or different seeds of fixed ones; as many as the family prescribes by default."""
        fixed = self.runs.stream.is_fixed
        for index in range(start, self.count if stop is None else stop):
            if not self.lasts:
                return
            yield self._trial(0, index) if fixed else self._trial(index, 0)

    @property
    def is_dear(self) -> bool:
        """Whether a third of the work is spent."""
        return self.spent > self.budget.work / 3

    def data(self) -> Iterator[tuple[int, Trial]]:
        """Different data, each drawn once: as many as budget or family name, but most of the draws are for `again`."""
        count = 1 if self.runs.stream.is_fixed else max(self.budget.data, min(self.count, self.budget.draws // 2))
        for number in range(count):
            if number >= int((1 - AFRESH) * self.least) and self.is_dear:
                return
            yield number, self._trial(number, 0)

    def again(self, data: int, *, after: int = 0) -> Iterator[Trial]:
        """Draws of one data set with fresh seeds, from one that comes after so many, until the budget is used up."""
        for seed_number in itertools.count(after + 1):
            if not self.lasts:
                return
            yield self._trial(data, seed_number)


@dataclass
class Draws:
    """Everything that one claim is judged on; iterating gives the prescribed draws of all its families.

    Parameters
    ----------
    families : sequence of FamilyDraws
        One for each family of the claim.
    is_control : bool
        Whether the claim is a control, which is looked at until it is refuted.
    theorem : Theorem, optional
        Whose claim; what is decided without a run asks for it.
    """

    families: Sequence[FamilyDraws]
    is_control: bool = False
    theorem: Theorem | None = None

    def __iter__(self) -> Iterator[Trial]:
        for family in self.families:
            yield from family.first()

    def until_refuted(self) -> Iterator[Trial]:
        """The prescribed draws; of a control all that the budget allows, since more can only refute it."""
        yield from self
        if self.is_control:
            for family in self.families:
                yield from family.first(family.count, family.budget.draws)
