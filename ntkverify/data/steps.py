"""How a theorem's runs step at given data: the largest step, the step that is taken, its rate, and how many steps."""

from __future__ import annotations

import functools
import math
from typing import Any

import sympy

from ntkverify.data.hypotheses import SMALL
from ntkverify.data.roles import contraction_of
from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.parts import Claim

#: what "trained" means where nobody says otherwise: the guaranteed loss has fallen to this share
TARGET = 1e-6
#: steps of a run at given data at most, unless more are asked for
MOST_STEPS = 100


class Stepping:
    """How `ntkverify.data.at.TheoremAt` steps."""

    def _of_data(self: Any, role: sympy.Expr | None) -> float | None:
        """The value of a role, or None where there is none or every network has another."""
        if role is None:
            return None
        value = float(self._at_rest.evaluate(role))
        if not self._at_rest.has_measured:
            return value
        del self.__dict__["_at_rest"]  # a network of two neurons was measured, and is not asked for more
        return None

    @functools.cached_property
    def largest_step(self: Any) -> float | None:
        """The largest step, or None where the theorem declares none or it depends on the weights as drawn."""
        largest: float | None = self._of_data(self.whole.roles.largest_step)
        return largest

    @functools.cached_property
    def step(self: Any) -> float:
        """The step of a run: what was asked for, the largest, or what the family draws where that is excluded.

        0 where nothing is trained, and where every run sets its own; `trains` tells them apart.
        """
        if self.sets_step:
            return 0.0
        if self.asked_step is not None:
            return float(self.asked_step)
        candidates = [s for s in (self.largest_step, self.drawn.step) if s]
        if not candidates:
            return 0.0

        def unfit(step: float) -> tuple[int, bool]:
            """A supremum that is not reached fails an assumption, or makes the guaranteed loss zero at once."""
            missed = sum(met.fails for met in self._margins(self.given_parameters, SMALL, step))
            return missed, self._contraction(step) == 0

        chosen: float = min(candidates, key=unfit)
        return chosen

    @property
    def trains(self: Any) -> bool:
        """Whether a run takes steps."""
        return bool(self.sets_step or self.step > 0)

    @functools.cached_property
    def step_words(self: Any) -> str:
        """The step of a run; where each sets its own, that of one draw, if it has one number for it."""
        if not self.sets_step:
            return f"step {self.step:.4g}"
        taken = getattr(self.run_of(self.instance).training(), "eta", 0.0)
        return "each run's own step" + (f" ({float(taken):.4g} in one draw)" if taken else "")

    @functools.cached_property
    def rate(self: Any) -> float | None:
        """What the decay is measured in, a value of the role ``rate``; None if it depends on the weights as drawn."""
        rate: float | None = self._of_data(self.whole.roles.rate)
        return rate

    @functools.cached_property
    def contracts(self: Any) -> tuple[Claim, float] | None:
        """The conclusion that says how fast its quantity falls, and the factor of one step of the length `step`."""
        factor = self._contraction(self.step)
        return None if factor is None or self._contracting is None else (self._contracting[0], factor)

    @functools.cached_property
    def _contracting(self: Any) -> tuple[Claim, sympy.Expr] | None:
        return contraction_of(self.whole)

    def _contraction(self: Any, step: float) -> float | None:
        if self._contracting is None:
            return None
        run = self.run_of(self._instance(self.given_parameters, width=SMALL, step=step))
        factor = float(run.evaluate(self._contracting[1]))
        return None if self.sets_step or run.has_measured else factor

    def steps_to(self: Any, share: float = TARGET) -> int | None:
        """Steps after which the guaranteed bound has fallen to `share` of its start; None if it is not known to."""
        if not 0 < share < 1:
            raise NtkVerifyError(f"a share of the loss lies between 0 and 1, not {share}.")
        if self.contracts is None or not 0 <= self.contracts[1] < 1:
            return None
        factor = self.contracts[1]
        return 1 if factor == 0 else math.ceil(math.log(share) / math.log(factor))

    @property
    def steps(self: Any) -> int:
        """Steps of a run: what was asked for, or what the rate needs, at most `MOST_STEPS`."""
        if not self.trains:
            return 0
        if self._asked_steps:
            return int(self._asked_steps)
        needed = self.steps_to() if self.contracts else self.drawn.steps
        return min(needed or MOST_STEPS, MOST_STEPS)
