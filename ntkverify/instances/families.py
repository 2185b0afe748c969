"""Families of instances that many theorems share, made from a theorem's own way to build an instance.

Each takes ``build(draw, *, width, ...)``, which makes an `Instance` at the options it is given, and returns what
`Theorem.instances` takes. An option that is a strategy is drawn, in the order in which options are given; everything
else is handed on as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from ntkverify.instances import Draw
from ntkverify.theorem.instance import Instance

Build = Callable[..., Instance]
Family = Callable[[Draw], Instance]


def family(build: Build, *, delta: float | None = None, **options: Any) -> Family:
    """Instances at these options, ``power=p`` for a width of 2^p; `delta` is the share of draws that may fail."""

    def of(draw: Draw) -> Instance:
        drawn = {k: draw(v) if isinstance(v, st.SearchStrategy) else v for k, v in options.items()}
        if "power" in drawn:
            drawn["width"] = 2 ** drawn.pop("power")
        found = build(draw, **drawn)
        return found if delta is None else replace(found, parameters={**found.parameters, "delta": delta})

    return of


def training(
    build: Build, *, powers: tuple[int, int], fractions: Sequence[float] = (0.2, 1.0), **options: Any
) -> Family:
    """A network of 2^powers[0] to 2^powers[1] neurons, its step a fraction of the largest."""
    return family(build, power=st.integers(*powers), fraction=st.sampled_from(list(fractions)), **options)


def separated(build: Build, *, width: int, delta: float = 0.1, **options: Any) -> Family:
    """Given samples, far apart, at one width that grants the hypotheses with probability 1 - delta."""
    return family(build, delta=delta, width=width, **options)


def narrow(build: Build, *, powers: tuple[int, int] = (2, 5), delta: float = 0.1, **options: Any) -> Family:
    """Too few neurons: 2^powers[0] to 2^powers[1]."""
    return family(build, delta=delta, power=st.integers(*powers), **options)


def ladder(build: Build, *, powers: Sequence[int], **options: Any) -> Family:
    """Widths 2^p, p in `powers`, for exponents of the width: two rungs at either end tell most."""
    return family(build, power=st.sampled_from(list(powers)), **options)


def beyond_stability(build: Build, *, times: float = 5 / 2, **options: Any) -> Family:
    """The step `times`/norm where 2/(3 norm) is the largest: beyond 2/norm the linearised loss grows."""
    return family(build, fraction=1.5 * times, **options)


def own_width(build: Build, width: Callable[[Instance], Any], **options: Any) -> Family:
    """Instances at the width that the theorem prescribes for each; one that grows with itself is a fixed point."""
    start = family(build, width=1, **options)

    def of(draw: Draw) -> Instance:
        found = start(draw)
        while (wanted := math.ceil(width(found))) > found.width:
            found = replace(found, width=wanted)
        return found

    return of


def own_scale(build: Family, scale: Callable[[Instance], Any]) -> Family:
    """Neurons in pairs at an output scale of at least what the theorem prescribes for each instance, a power of 2."""

    def of(draw: Draw) -> Instance:
        found = build(draw)
        found = replace(found, width=found.width + found.width % 2)
        alpha = 2.0 ** math.ceil(math.log2(float(scale(found))))
        return replace(found, parameters={**found.parameters, "alpha": alpha})

    return of


def hundredth(found: Instance) -> Instance:
    """The same at a hundredth of its width, even: what the width is for is missing there, if it is for anything."""
    return replace(found, width=2 * math.ceil(found.width / 200))
