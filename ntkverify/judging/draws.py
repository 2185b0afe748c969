"""Instances of a family, drawn alike in every process."""

from __future__ import annotations

import hashlib
import inspect
import itertools
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Family


class _SameEverywhere(HypothesisProvider):
    """Hypothesis' own choices, without the constants it collects from whatever modules are imported.

    With them an instance would depend on what else the session had loaded, and nobody could draw it again.
    """

    def _maybe_draw_constant(self, choice_type: Any, constraints: Any, *, p: float = 0.05) -> None:
        return None


_BACKEND = "ntkverify"
AVAILABLE_PROVIDERS[_BACKEND] = f"{__name__}.{_SameEverywhere.__name__}"


def draw_instances(family: Family, count: int, *, entropy: int) -> list[Instance]:
    """`count` instances of a family: Hypothesis draws the data, NumPy the seed of the weights.

    Equal arguments give equal instances. Where Hypothesis runs out of different data the list goes
    round again with fresh seeds, so that replicas of one fixed data set are a family like any other.
    """
    fixed = not inspect.signature(family.build).parameters
    found = [family.build()] if fixed else _drawn(family, count, entropy)
    salt = int.from_bytes(hashlib.sha256(family.name.encode()).digest()[:8], "little")
    seeds = np.random.SeedSequence([entropy, salt]).generate_state(2 * count, np.uint64)
    return [
        instance.with_seed(int(seeds[2 * i]) << 64 | int(seeds[2 * i + 1]))
        for i, instance in enumerate(itertools.islice(itertools.cycle(found), count))
    ]


def _drawn(family: Family, count: int, entropy: int) -> list[Instance]:
    found: list[Instance] = []

    @seed(entropy)
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
    def collect(instance: Instance) -> None:
        found.append(instance)

    collect()
    return found
