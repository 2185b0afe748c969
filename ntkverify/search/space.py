"""Integer coordinates of a family of instances.

A family is a function of Hypothesis' ``draw``. Here that function is interpreted against a vector of integers: each
elementary choice (an integer, a boolean, an element, a float) that any strategy makes reads the next coordinate.
Hypothesis lets other sources of choices stand in for its own (`PrimitiveProvider`), so all strategies work, mapped
and filtered ones included. A coordinate lives on a grid of `GRID` points, coarse enough for Hypothesis' ``target``.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.control import BuildContext
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.internal.conjecture.providers import PrimitiveProvider

from ntkverify.errors import NtkVerifyError
from ntkverify.instance import Instance
from ntkverify.parts import Regime
from ntkverify.search.stretch import Stretch

GRID = 2**20  #: points of a coordinate
_PROBES = 8  # random vectors that find out how many choices a family makes
_MOST = 256  # choices at most; a family that makes more reads zeros for the rest


class _GridProvider(PrimitiveProvider):
    """Answers every choice with the next coordinate, scaled to what is allowed; 0 is the simplest."""

    def __init__(self, conjecturedata: Any, /, *, coordinates: Sequence[int]) -> None:
        super().__init__(conjecturedata)
        self._coordinates = coordinates
        self.used = 0

    def _next(self) -> int:
        self.used += 1
        return self._coordinates[self.used - 1] if self.used <= len(self._coordinates) else 0

    def draw_boolean(self, p: float = 0.5) -> bool:
        return self._next() >= (1 - p) * GRID

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
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
        share = self._next() / (GRID - 1)
        # an open end is cut at a decade that no instance needs more of
        low = min_value if math.isfinite(min_value) else min(-1e3, max_value - 1e3)
        high = max_value if math.isfinite(max_value) else max(1e3, min_value + 1e3)
        value = min(max(low + share * (high - low), min_value), max_value)
        return 0.0 if 0 < abs(value) < smallest_nonzero_magnitude else value

    def draw_string(self, intervals: Any, *, min_size: int = 0, max_size: int = 10**10) -> str:
        return "".join(intervals.char_in_shrink_order(0) for _ in range(min_size))

    def draw_bytes(self, min_size: int = 0, max_size: int = 10**10) -> bytes:
        return bytes(min_size)


class Space:
    """Vectors of integers that stand for the instances of one family.

    A vector holds the family's choices, one coordinate per stretch, and with ``weights=True`` one for the seed.

    Parameters
    ----------
    regime : Regime
        The family.
    theorem : str
        Identifier that the instances carry.
    entropy : int
        Changes the seeds that the last coordinate stands for.
    stretches : sequence of Stretch
        Ways out of the valid instances.
    weights : bool
        Whether the seed of the weights is a coordinate.
    """

    def __init__(
        self,
        regime: Regime,
        theorem: str,
        *,
        entropy: int = 0,
        stretches: Sequence[Stretch] = (),
        weights: bool = True,
    ) -> None:
        self.regime = regime
        self.theorem = theorem
        self.entropy = entropy
        self.stretches = tuple(stretches)
        self._strategy = (
            st.composite(regime.build)() if inspect.signature(regime.build).parameters else st.builds(regime.build)
        )
        rng = np.random.default_rng([entropy, 1])
        probes = [self._draw(rng.integers(0, GRID, _MOST).tolist()) for _ in range(_PROBES)]
        self.choices = max((used for _, used in probes), default=0)
        found = [instance for instance, _ in probes if instance is not None]
        self.seeded = weights and any(instance.width > 0 for instance in found)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self.choices + len(self.stretches) + self.seeded

    def instance(self, vector: Sequence[int]) -> Instance | None:
        """The instance that a vector stands for; None where the family refuses these choices.

        Raises
        ------
        NtkVerifyError
            If the family or a stretch makes an instance that can't be.
        """
        instance, _ = self._draw([int(c) for c in vector[: self.choices]])
        if instance is None:
            return None
        instance = replace(instance, theorem=self.theorem, regime=self.regime.name, seed=0)
        for stretch, c in zip(self.stretches, vector[self.choices :], strict=False):
            instance = stretch.apply(instance, int(c) / GRID)
        return instance.with_seed(weight_seed(self.entropy, int(vector[-1]) if self.seeded else 0))

    def _draw(self, coordinates: Sequence[int]) -> tuple[Instance | None, int]:
        data = ConjectureData(random=None, provider=_GridProvider, provider_kw={"coordinates": coordinates})
        provider = data.provider
        assert isinstance(provider, _GridProvider)
        try:
            with BuildContext(data, is_final=False, wrapped_test=self.regime.build):
                instance = data.draw(self._strategy)
        except (StopTest, UnsatisfiedAssumption):
            return None, min(provider.used, _MOST)
        except NtkVerifyError:
            return None, min(provider.used, _MOST)
        return instance, min(provider.used, _MOST)


def weight_seed(entropy: int, index: int, *, salt: int = 2) -> int:
    """Seed number `index` of a stream; different salts never meet."""
    # a digest: lists of numbers of different lengths can give one and the same SeedSequence
    return int.from_bytes(hashlib.sha256(f"{entropy} {salt} {index}".encode()).digest()[:16], "little")
