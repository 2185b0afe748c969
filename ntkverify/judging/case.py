"""A case, one claim on one family of instances, and a trial, the claim put to one run."""

from __future__ import annotations

import functools
import inspect
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkverify.arrays import Array, Difference
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.outcome import DEFAULT_ROUNDING, THE_EVENT, Outcome, compare
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.loading import authors_line
from ntkverify.theorem.parts import Assumption, Claim, Family
from ntkverify.theorem.theorem import Theorem

_float64 = functools.partial(np.asarray, dtype=np.float64)


def _vacuous(unmet: str) -> Outcome:
    return Outcome(True, False, False, math.inf, np.empty(0), unmet=unmet)


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
            If the claim's bound asks for something that the run does not know, or something of the claim is no number.
        """
        claim = self.case.claim
        for assumption in self.case.assumptions:
            if not self.margin(assumption) >= 0:
                return _vacuous(assumption.name)
        measured, applies = self.measured, self.applies
        if not applies.any():
            return _vacuous(THE_EVENT)
        limits = claim.quantifier.limits(self)
        if limits is None:
            return Outcome(False, False, False, math.inf, measured[applies])
        bound, error = (np.broadcast_to(limit, measured.shape)[applies] for limit in limits)
        trivial = np.broadcast_to(self._is_start, measured.shape)[applies]
        return compare(measured[applies], bound, error, from_below=claim.from_below, trivial=trivial)

    def margin(self, assumption: Assumption) -> float:
        """By how much the run meets an assumption; negative where it misses it."""
        found = asked(self._named(f"assumption {assumption.name!r}"), assumption.margin, self.run)
        array = np.asarray(found)
        if array.shape != () or array.dtype.kind not in "iuf":
            raise NtkVerifyError(
                f"{_place(assumption.margin)}: the assumption {assumption.name!r} returned {found}; return its margin, "
                "a number that is at least 0 where the assumption is met."
            )
        if np.isnan(array) and not self.run.has_overflowed:
            raise NtkVerifyError(
                f"{_place(assumption.margin)}: the margin of assumption {assumption.name!r} is nan although its run "
                "stayed finite, which would leave the instance out; correct the margin."
            )
        return float(found)

    def _named(self, what: str) -> str:
        return f"{what} of theorem {self.case.theorem.title!r}"

    @functools.cached_property
    def _found(self) -> Any:
        """What the claim's measure returns."""
        claim = self.case.claim
        return asked(self._named(f"claim {claim.name!r}"), claim.measure, self.run)

    @functools.cached_property
    def measured(self) -> Array:
        """The measured quantity, where the claim applies and where not."""
        claim = self.case.claim
        if self._found is None:
            raise NtkVerifyError(f"{_place(claim.measure)}: the claim {claim.name!r} measured nothing; return it.")
        sides = self._found if isinstance(self._found, tuple) else (self._found,)
        for side in sides:
            if not isinstance(side, Difference) and np.asarray(side).dtype.kind in "bc":
                raise NtkVerifyError(
                    f"{_place(claim.measure)}: the claim {claim.name!r} measured {np.asarray(side).dtype}; return real "
                    "numbers, to be compared with a bound."
                )
        measured = asked(
            self._named(f"claim {claim.name!r}"),
            lambda found: claim.quantifier.measured(found, _float64),
            self._found,
            place=claim.measure,
        )
        return np.asarray(measured, np.float64)

    @functools.cached_property
    def applies(self) -> NDArray[np.bool_]:
        """Where the event that the claim conditions on happens."""
        claim = self.case.claim
        if claim.given is None:
            mask = np.asarray(True)
        else:
            mask = np.asarray(asked(self._named(f"the event of claim {claim.name!r}"), claim.given, self.run))
            fits = mask.dtype == bool and all(
                a in (1, b) for a, b in zip(mask.shape[::-1], self.measured.shape[::-1], strict=False)
            )
            if not fits or mask.ndim > self.measured.ndim:
                raise NtkVerifyError(
                    f"{_place(claim.given)}: given= of claim {claim.name!r} must return True, False or a mask of the "
                    f"shape of what is measured, {self.measured.shape}, not {mask.dtype} of shape {mask.shape}."
                )
        mask = np.broadcast_to(mask, self.measured.shape)
        if not np.isfinite(self.measured[mask]).all() and not self.run.has_overflowed:
            raise NtkVerifyError(
                f"{_place(claim.measure)}: the claim {claim.name!r} measured {self.measured[mask].min()} although its "
                "run stayed finite; correct the measure, or leave such entries out with given=...."
            )
        return mask

    @property
    def _is_start(self) -> Any:
        """Where a bound that depends on the step k stands at k = 0: there rates are equalities by construction."""
        bound, shape = self.case.claim.bound, self.measured.shape
        if bound is None or not shape:
            return False
        if "k" not in map(str, self.case.theorem.bound_of(self.case.claim).free_symbols):
            return False
        step = np.asarray(self.run.k)
        return step == 0 if step.shape == shape[-1:] and step.size > 1 else False

    @property
    def bound(self) -> Array:
        """The claim's bound."""
        case = self.case
        found = asked(
            self._named(f"the bound of claim {case.claim.name!r}"),
            lambda bound: np.broadcast_to(np.asarray(self.value(bound), np.float64), self.measured.shape),
            case.theorem.bound_of(case.claim),
            place=case.claim.measure,
        )
        return np.asarray(found, np.float64)

    @property
    def rounding(self) -> Array:
        """Absolute rounding error of the measured quantity."""
        claim = self.case.claim
        if claim.error is None:
            error = DEFAULT_ROUNDING * self._operands
        else:
            error = asked(self._named(f"error= of claim {claim.name!r}"), claim.error, self.run)
        error = asked(
            self._named(f"error= of claim {claim.name!r}"),
            lambda found: np.broadcast_to(np.asarray(found, np.float64), self.measured.shape),
            error,
            place=claim.error or claim.measure,
        )
        error = np.asarray(error, np.float64)
        # one that is negative or NaN would let anything pass; where the measurement is lost it is moot
        if not (error >= 0)[self.applies & np.isfinite(self.measured)].all():
            raise NtkVerifyError(
                f"claim {claim.name!r} states a rounding error that is negative or not a number; correct it."
            )
        return error

    @property
    def _operands(self) -> Array:
        """The largest of what was compared, and of what was subtracted to measure it."""
        claim, sizes = self.case.claim, [np.abs(self.measured)]
        if claim.bound is not None:
            sizes.append(np.abs(self.bound))
        if isinstance(self._found, Difference):
            sizes += [np.abs(_float64(side)) for side in (self._found.left, self._found.right)]
        with np.errstate(invalid="ignore"):
            return np.asarray(functools.reduce(np.maximum, sizes))


def asked(what: str, function: Callable[[Any], Any], argument: Any, *, place: Callable[..., Any] | None = None) -> Any:
    """What a function of a theorem module returns; an error of its own becomes a sentence with its line.

    Raises
    ------
    NtkVerifyError
        If the function fails.
    """
    try:
        return function(argument)
    except NtkVerifyError:
        raise
    except Exception as error:
        raise NtkVerifyError(
            f"{_line(error, place or function)}: {what} raised {type(error).__name__}: {error}"
        ) from error


def _place(function: Callable[..., Any]) -> str:
    """File and line of a function of a theorem module."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else repr(function)


def _line(error: BaseException, function: Callable[..., Any]) -> str:
    """The line of the theorem's module, else of the function's own file, that an error came from."""
    if place := authors_line(error):
        return place
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if code and frame.filename == code.co_filename]
    return f"{Path(code.co_filename).name}:{lines[-1]}" if code and lines else _place(function)
