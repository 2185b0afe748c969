"""What a theorem asks for at given data: the width that it prescribes, and the margins of its assumptions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.theorem import Theorem

#: a network that is asked for what does not depend on it; even, for neurons in pairs
SMALL = 2
_ROUNDS = 200  # of a width that grows with itself


@dataclass(frozen=True)
class Met:
    """An assumption at given data.

    Parameters
    ----------
    name : str
        The assumption.
    margin : float
        At least 0 where it is met; NaN where it can't be told beforehand.
    why : str
        Why not.
    neurons : int
        The width that is compared, where the margin counts neurons; else 0.
    asks_for_width : bool
        Whether this width meets it, and two neurons would not.
    """

    name: str
    margin: float
    why: str = ""
    neurons: int = 0
    asks_for_width: bool = False

    @property
    def fails(self) -> bool:
        """Whether it is known to be missed."""
        return self.margin < 0

    @property
    def words(self) -> str:
        """Met, missed by how much, or open."""
        if math.isnan(self.margin):
            return self.why
        unit = " neurons" if self.neurons else ""
        if self.fails:
            return f"missed by {-self.margin:.3g}{unit}"
        # a width and what it has to be at least are computed to some roundings of their size
        slight = max(1e-9, 64 * float(np.finfo(np.float64).eps) * self.neurons)
        return "met, with equality to rounding" if self.margin < slight else f"met, {self.margin:.3g}{unit} to spare"


@dataclass(frozen=True)
class Prescribed:
    """A width that the theorem prescribes, and the split of the slack that it belongs to."""

    split: str
    width: int
    parameters: Mapping[str, float]


def margins_of(theorem: Theorem, at_width: Callable[[int], Any], width: int) -> list[Met]:
    """Margins of all assumptions; NaN for those that measure a network, which a wide one is too dear for.

    Parameters
    ----------
    at_width : callable
        A run of any width, with nothing measured yet.
    width : int
        The width in question.
    """
    found = []
    for name, assumption in theorem.assumptions.items():
        small, run = at_width(SMALL), at_width(width)
        try:
            with np.errstate(all="ignore"):
                least = float(assumption.margin(small))
                measures = small.has_measured or "trajectory" in vars(small)
                margin = math.nan if measures else float(assumption.margin(run))
                # a neuron more is one more of the margin
                more = width - SMALL
                counts = not measures and more > 0 and math.isclose(margin - least, more, rel_tol=1e-9)
            asks = least < 0 <= margin
            found.append(Met(name, margin, "decided by each run", width if counts else 0, asks))
        except NtkVerifyError as refusal:  # it speaks of data or parameters that are not there
            found.append(Met(name, math.nan, str(refusal)))
    return found


def least_width(role: sympy.Expr, at_width: Callable[[int], Any]) -> int:
    """The least width that is at least what a run of it evaluates the role to, by going up from a small one."""
    width = SMALL
    for _ in range(_ROUNDS):
        value = float(at_width(width).evaluate(role))
        if not math.isfinite(value):
            raise NtkVerifyError(
                f"the width that the theorem prescribes at these data and parameters is {value}, beyond float64; give "
                "milder parameters."
            )
        if (wanted := math.ceil(value)) <= width:
            return width
        width = wanted
    raise NtkVerifyError(f"no width up to {width:.3g} is as large as it asks for itself; give one with width=.")
