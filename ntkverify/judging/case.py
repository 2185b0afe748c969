"""A case, one claim on one family of instances, and a trial, the claim put to one run."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.outcome import DEFAULT_ROUNDING, Outcome, compare
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Assumption, Claim, Family
from ntkverify.theorem.theorem import Theorem

_float64 = functools.partial(np.asarray, dtype=np.float64)
_VACUOUS = Outcome(True, False, False, math.inf, np.empty(0))


@dataclass(frozen=True)
class Case:
    """One claim on one family of instances.

    Parameters
    ----------
    theorem, claim, family : Theorem, Claim, Family
        What is to hold on what; the claim need not be checked on this family otherwise.
    relaxed : tuple of str
        Names of assumptions that are not asked for.
    """

    theorem: Theorem
    claim: Claim
    family: Family
    relaxed: tuple[str, ...] = ()

    @property
    def assumptions(self) -> list[Assumption]:
        """The claim's assumptions that are still asked for."""
        return [a for a in self.theorem.assumptions_of(self.claim) if a.name not in self.relaxed]

    def run(self, instance: Instance, **options: Any) -> Any:
        """An instance brought to life; the options are those of a `ntkverify.problems.run.Run`."""
        return self.family.run(instance, self.theorem, **options)

    def trial(self, instance: Instance) -> Trial:
        """The claim put to one instance's run."""
        return Trial(self, self.run(instance))

    def outcome(self, instance: Instance) -> Outcome:
        """Run one instance and put the claim to it; a run may overflow, that is its outcome."""
        with np.errstate(all="ignore"):
            return self.trial(instance).outcome


@dataclass(frozen=True)
class Trial:
    """The claim of a case put to one run; whatever is asked of the run is measured once.

    Parameters
    ----------
    case : Case
        Whose claim.
    run
        The run.
    """

    case: Case
    run: Any

    def value(self, expression: Any) -> Any:
        """An expression at the run's numbers."""
        return self.run.evaluate(expression)

    @functools.cached_property
    def outcome(self) -> Outcome:
        """What the run says about the claim.

        Raises
        ------
        NtkVerifyError
            If the claim's bound asks for something that the run does not know.
        """
        claim = self.case.claim
        if any(not assumption.margin(self.run) >= 0 for assumption in self.case.assumptions):
            return _VACUOUS
        measured, applies = self.measured, self.applies
        if not applies.any():
            return _VACUOUS
        limits = claim.quantifier.limits(self)
        if limits is None:
            return Outcome(False, False, False, math.inf, measured[applies])
        bound, error = (np.broadcast_to(limit, measured.shape)[applies] for limit in limits)
        return compare(measured[applies], bound, error, from_below=claim.from_below)

    @functools.cached_property
    def measured(self) -> Array:
        """The measured quantity, where the claim applies and where not."""
        claim = self.case.claim
        return np.asarray(claim.quantifier.measured(claim, self.run, _float64), np.float64)

    @functools.cached_property
    def applies(self) -> NDArray[np.bool_]:
        """Where the event that the claim conditions on happens."""
        given = self.case.claim.given
        return np.broadcast_to(np.asarray(True if given is None else given(self.run), bool), self.measured.shape)

    @property
    def bound(self) -> Array:
        """The claim's bound."""
        return np.asarray(self.value(self.case.theorem.bound_of(self.case.claim)), np.float64)

    @property
    def rounding(self) -> Array:
        """Absolute rounding error of the measured quantity."""
        claim = self.case.claim
        error = DEFAULT_ROUNDING * np.abs(self.measured) if claim.error is None else claim.error(self.run)
        error = np.broadcast_to(np.asarray(error, np.float64), self.measured.shape)
        # one that is negative or NaN would let anything pass; where the measurement is lost it is moot
        if not (error >= 0)[self.applies & np.isfinite(self.measured)].all():
            raise NtkVerifyError(
                f"claim {claim.name!r} states a rounding error that is negative or not a number; correct it."
            )
        return error
