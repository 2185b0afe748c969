"""Integer coordinates of a family of instances.

A family is a function of Hypothesis' ``draw``. Here that function is interpreted against a vector of integers: each
elementary choice (an integer, a boolean, an element, a float) that any strategy makes reads the next coordinate.
Hypothesis lets other sources of choices stand in for its own (`PrimitiveProvider`), so all strategies work, mapped
and filtered ones included. A coordinate lives on a grid of `GRID` points, coarse enough for Hypothesis' ``target``.

Most families take their numbers from a NumPy generator, of which Hypothesis draws the seed only, and nothing climbs
over a seed. So the first of those numbers have coordinates too, that shift them; every value that such a coordinate
gives them is one that the generator could have drawn, so that the instance stays in its family.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.control import BuildContext
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.internal.conjecture.providers import PrimitiveProvider
from scipy.special import ndtr, ndtri

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.search.space.deformations import Stretch
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Family

GRID = 2**20  #: points of a coordinate
_PROBES = 8  # random vectors that find out how many choices a family makes
_MOST = 256  # choices at most; a family that makes more reads zeros for the rest
_SHIFTS = 24  # numbers of generators that have a coordinate
_TURNS = 4  # draws that the weights may be turned towards
_TURN_SALT = 100
_SCALES = 4.0  # weights are multiplied by this or its inverse at most
_TYPICAL = 0.25  # share of that coordinate that leaves them alone


class _GridProvider(PrimitiveProvider):
    """Answers every choice with the next coordinate, scaled to what is allowed; 0 is the simplest."""

    def __init__(self, conjecturedata: Any, /, *, coordinates: Sequence[int], shifts: Sequence[int]) -> None:
        super().__init__(conjecturedata)
        self._coordinates = coordinates
        self._shifts = shifts
        self.shifted = 0
        self.used = 0
        self.floats: set[int] = set()  # coordinates that were read as floats

    def _next(self) -> int:
        self.used += 1
        return self._coordinates[self.used - 1] if self.used <= len(self._coordinates) else 0

    def shift(self, shares: Array) -> Array:
        """Numbers uniform in (0, 1), moved around that circle by the next coordinates; 0 leaves them alone."""
        part = np.zeros(shares.size)
        known = self._shifts[self.shifted : self.shifted + shares.size]
        part[: len(known)] = known
        self.shifted += shares.size
        moved: Array = (shares + part.reshape(shares.shape) / GRID) % 1.0
        return moved

    def draw_boolean(self, p: float = 0.5) -> bool:
        """True on the upper share `p` of the coordinate."""
        return self._next() >= (1 - p) * GRID

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        """The coordinate's share of a bounded range; outward from an end or from `shrink_towards` without one."""
        c = self._next()
        if min_value is not None and max_value is not None:
            return min_value + (c * (max_value - min_value + 1)) // GRID
        if min_value is not None:
            return min_value + c
        if max_value is not None:
            return max_value - c
        return shrink_towards + ((c + 1) // 2) * (1 if c % 2 else -1)

    def draw_float(
        self,
        *,
        min_value: float = -math.inf,
        max_value: float = math.inf,
        allow_nan: bool = True,
        smallest_nonzero_magnitude: float,
    ) -> float:
        """The coordinate's share of the range."""
        self.floats.add(self.used)
        share = self._next() / (GRID - 1)
        # an open end is cut at a decade that no instance needs more of
        low = min_value if math.isfinite(min_value) else min(-1e3, max_value - 1e3)
        high = max_value if math.isfinite(max_value) else max(1e3, min_value + 1e3)
        value = min(max(low + share * (high - low), min_value), max_value)
        return 0.0 if 0 < abs(value) < smallest_nonzero_magnitude else value

    def draw_string(self, intervals: Any, *, min_size: int = 0, max_size: int = 10**10) -> str:
        """The simplest string that is long enough."""
        return "".join(intervals.char_in_shrink_order(0) for _ in range(min_size))

    def draw_bytes(self, min_size: int = 0, max_size: int = 10**10) -> bytes:
        """Zeros, as few as are allowed."""
        return bytes(min_size)


class _ShiftedGenerator(np.random.Generator):
    """A generator some of whose uniform and normal numbers are moved by coordinates; the others come as they are."""

    def __init__(self, bits: np.random.BitGenerator, provider: _GridProvider) -> None:
        super().__init__(bits)
        self._provider = provider

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """Uniform numbers, moved around their range by coordinates."""
        drawn = super().uniform(low, high, size)
        if np.ndim(low) or np.ndim(high) or not high > low:
            return drawn
        shares = np.clip((np.asarray(drawn, dtype=np.float64) - low) / (high - low), 0, 1 - 2.0**-53)
        return self._as(drawn, shares, lambda moved: low + (high - low) * moved)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Normal numbers, moved by coordinates through their distribution function."""
        drawn = super().standard_normal(size, dtype, out)
        if out is not None or dtype is not np.float64:
            return drawn
        # the ends of the circle are infinite
        return self._as(drawn, ndtr(drawn), lambda moved: ndtri(np.clip(moved, 2.0**-40, 1 - 2.0**-40)))

    def _as(self, drawn: Any, shares: Any, back: Callable[[Any], Any]) -> Any:
        shares = np.asarray(shares, dtype=np.float64)
        moved = self._provider.shift(shares)
        # what no coordinate moves stays as drawn, to the last bit
        result = np.where(moved == shares, drawn, back(moved))
        return result if np.ndim(drawn) else float(result)


class _Draw:
    """What a family draws with."""

    def __init__(self, draw: Callable[[Any], Any], provider: _GridProvider) -> None:
        self._draw = draw
        self._provider = provider

    def __call__(self, strategy: Any) -> Any:
        return self._draw(strategy)

    def generator(self, bits: np.random.BitGenerator) -> np.random.Generator:
        return _ShiftedGenerator(bits, self._provider)


class Space:
    """Vectors of integers that stand for the instances of one family.

    A vector holds the family's choices, shifts of the first numbers that its generators give, one coordinate per
    stretch, and with ``weights=True`` those of the weights: a factor, angles by which a draw is turned towards others,
    the seeds of these, and its own seed.

    Parameters
    ----------
    family : Family
        The family.
    theorem : str
        Identifier that the instances carry.
    entropy : int
        Changes the seeds that the last coordinates stand for.
    stretches : sequence of Stretch
        Ways out of the valid instances.
    weights : bool
        Whether the weights have coordinates; without them every vector has a draw of its own.
    """

    def __init__(
        self,
        family: Family,
        theorem: str,
        *,
        entropy: int = 0,
        stretches: Sequence[Stretch] = (),
        weights: bool = True,
    ) -> None:
        self.family = family
        self.theorem = theorem
        self.entropy = entropy
        self.stretches = tuple(stretches)
        self._plain = not inspect.signature(family.build).parameters
        rng = np.random.default_rng([entropy, 1])
        probes = [self._draw(rng.integers(0, GRID, _MOST).tolist(), ()) for _ in range(_PROBES)]
        self.choices = max(min(read.used, _MOST) for _, read in probes)
        self.shifts = max(min(read.shifted, _SHIFTS) for _, read in probes)
        # a coordinate may be read as a float in one instance and as a seed in another
        self._floats = [c for c in range(self.choices) if all(c in read.floats or c >= read.used for _, read in probes)]
        found = [instance for instance, _ in probes if instance is not None]
        self.seeded = weights and any(instance.width > 0 for instance in found)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self._fixed + (2 * _TURNS + 3) * self.seeded

    @property
    def _fixed(self) -> int:
        """Number of coordinates other than those of the weights."""
        return self.choices + self.shifts + len(self.stretches)

    @property
    def smooth(self) -> list[int]:
        """Coordinates whose small changes change the instance a little: no seeds, no sizes."""
        return self._floats + list(range(self.choices, self._fixed + (2 + _TURNS) * self.seeded))

    def instance(self, vector: Sequence[int]) -> Instance | None:
        """The instance that a vector stands for; None where the family refuses these choices.

        Raises
        ------
        NtkVerifyError
            If the family or a stretch makes an instance that can't be.
        """
        plain = self.choices + self.shifts
        chosen = [int(c) for c in vector[:plain]]
        instance, _ = self._draw(chosen[: self.choices], chosen[self.choices :])
        if instance is None:
            return None
        instance = replace(instance, theorem=self.theorem, family=self.family.name, seed=0)
        for stretch, c in zip(self.stretches, vector[plain : self._fixed], strict=True):
            instance = stretch.apply(instance, int(c) / GRID)
        if not self.seeded:
            # a draw of its own for every vector, in case the weights matter after all
            return instance.with_seed(weight_seed(self.entropy, chosen if instance.width else 0))
        factor, even, *turned, own = (int(c) for c in vector[self._fixed :])
        # a stream for each: towards itself a draw is not turned but stretched
        turns = [
            ((angle / GRID - 1 / 2) * math.pi, weight_seed(self.entropy, other, salt=_TURN_SALT + j))
            for j, (angle, other) in enumerate(zip(turned[:_TURNS], turned[_TURNS:], strict=True))
            if angle not in (0, GRID // 2)  # 0 is the simplest
        ]
        seed, scale, evenness = weight_seed(self.entropy, own), _scale(factor / GRID), _evenness(even / GRID)
        return replace(instance, seed=seed, turns=turns, scale=scale, evenness=evenness)

    def _draw(self, coordinates: Sequence[int], shifts: Sequence[int]) -> tuple[Instance | None, _GridProvider]:
        """The instance, and what it was read from."""
        options = {"coordinates": coordinates, "shifts": shifts}
        data = ConjectureData(random=None, provider=_GridProvider, provider_kw=options)
        provider = data.provider
        assert isinstance(provider, _GridProvider)

        def build(draw: Callable[[Any], Any]) -> Instance:
            made: Instance = self.family.build() if self._plain else self.family.build(_Draw(draw, provider))
            return made

        instance = None
        try:
            with BuildContext(data, is_final=False, wrapped_test=self.family.build):
                instance = data.draw(st.composite(build)())
        except (StopTest, UnsatisfiedAssumption, NtkVerifyError):
            pass
        return instance, provider


def _scale(u: float) -> float:
    """The factor that a coordinate in [0, 1) stands for; 0 is the simplest.

    The middle quarter leaves weights as long as they are: many a claim conditions on what typical weights do.
    """
    off = 2 * u - 1 if u else 0.0
    beyond = max(abs(off) - _TYPICAL, 0) / (1 - _TYPICAL)
    return float(_SCALES ** math.copysign(beyond, off))


def _evenness(u: float) -> float:
    """The evenness that a coordinate in [0, 1) stands for: none in its lowest sixth, all in its highest.

    A multiple of 2^-10, so that ten square roots are all that it takes.
    """
    return round(min(max(1.5 * u - 0.25, 0.0), 1.0) * 1024) / 1024


def weight_seed(entropy: int, index: int | list[int], *, salt: int = 2) -> int:
    """Seed number `index` (or of that list) of a stream; different salts never meet."""
    # a digest: lists of numbers of different lengths can give one and the same SeedSequence
    return int.from_bytes(hashlib.sha256(f"{entropy} {salt} {index}".encode()).digest()[:16], "little")
