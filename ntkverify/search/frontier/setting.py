"""What a frontier varies: the width, the step or a parameter of instances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.instance import Instance

LARGEST_WIDTH = 2**14  #: widths that are trained unless more is asked for
_WIDEST = 1e40  # asked about, never run


@dataclass(frozen=True)
class Setting:
    """One setting of instances, and where its threshold is looked for.

    Parameters
    ----------
    over : str
        "width", "step" or a parameter of the instances.
    low, high : float, optional
        Range; a factor 64 either way of what the instances have, for a width from 1 to `LARGEST_WIDTH`.
    """

    over: str = "width"
    low: float | None = None
    high: float | None = None

    @property
    def is_width(self) -> bool:
        """Whether networks of other widths are run, or only asked about."""
        return self.over == "width"

    def put(self, instance: Instance, value: float) -> Instance:
        """The instance with this value."""
        if self.is_width:
            return replace(instance, width=max(1, round(value)))
        if self.over == "step":
            return replace(instance, step=value)
        if self.over not in instance.parameters:
            raise NtkVerifyError(
                f"instances of {instance.family!r} have no parameter {self.over!r}; vary width, step or one of "
                f"{sorted(instance.parameters)}."
            )
        return replace(instance, parameters={**instance.parameters, self.over: value})

    def of(self, instance: Instance) -> float:
        """The value that an instance has."""
        if self.is_width:
            return float(instance.width)
        return instance.step if self.over == "step" else float(instance.parameters[self.over])

    def range(self, instances: Sequence[Instance]) -> tuple[float, float]:
        """Where to look."""
        if self.is_width:
            default = (1.0, float(LARGEST_WIDTH))
        else:
            self.put(instances[0], 1.0)
            present = float(np.median([self.of(i) for i in instances]))
            if not present > 0:
                raise NtkVerifyError(f"{self.over!r} is not positive in these instances; give --low and --high.")
            default = (present / 64, min(present * 64, 1 - 2.0**-10) if self.over == "delta" else present * 64)
        low, high = default[0] if self.low is None else self.low, default[1] if self.high is None else self.high
        if not 0 < low < high:
            raise NtkVerifyError(f"the range of {self.over} must satisfy 0 < low < high, not {low:g} and {high:g}.")
        return low, high

    def beyond(self, low: float, high: float) -> tuple[float, float]:
        """Where assumptions are asked about: further than anything is run."""
        if self.is_width:
            return 1.0, _WIDEST
        return low / 64, high if self.over == "delta" else high * 64

    def between(self, one: float, other: float) -> float:
        """The middle of two values in the logarithm."""
        middle = math.sqrt(one * other)
        return float(round(middle)) if self.is_width else middle
