"""Certificates: a violation repeated in balls, its preconditions included.

The claim's own functions are evaluated on a run in balls, so every number is an enclosure of the exact one.
CERTIFIED: all assumptions that were not relaxed hold for sure, and at some entry where the event that the
claim conditions on holds for sure, the bound is exceeded by more than the claim's rounding error. REFUTED: an
assumption fails for sure, or the bound is kept at every entry. Otherwise the precision is doubled, and at its limit the
answer is UNDECIDED, with what was known then. Entries whose bound is made of float64's rounding errors alone are left
out: balls have none. If no other is left the answer is UNDECIDED.

The rounding error stays in the comparison although balls have none: data such as unit vectors are themselves
rounded, and an excess of that size says nothing about the theorem. For the same reason an excess has to clear what it
changes by when the data move by a few units in their last places: tr H - n/2 <= 0 is true for unit inputs, and exceeded
by 1e-16 where float64 can't hold one. `Instance.data` count as rounded, parameters as exact.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ntkverify.arithmetic.ball_numbers import Ball, NoEnclosure, raw, raw_array
from ntkverify.arithmetic.balls import Undecided, escalate
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case, Trial
from ntkverify.search.score import NOT_RUN
from ntkverify.theorem.instance import Instance

Status = Literal["CERTIFIED", "REFUTED", "UNDECIDED"]
BITS = 128  #: precision of the first attempt
LIMIT = 1024  #: largest precision
#: ball operations beyond which a certificate is not attempted: a minute of work
_MOST_WORK = 2e7
#: how far data move, relative to themselves: a unit vector's entries are that far off at the most; how often; and what
#: may be missed, since the moves are random
_MOVE, _MOVES, _MISSED = 2.0**-50, 8, 4.0


@dataclass(frozen=True)
class Certificate:
    """What balls say about a violation.

    Parameters
    ----------
    status : {"CERTIFIED", "REFUTED", "UNDECIDED"}
        The answer.
    reason : str
        One sentence.
    bits : int
        Precision that decided, or the last one tried.
    entry : int or None
        Where along the measured quantity (flattened) the bound is exceeded, or comes closest to it.
    measured, bound : (str, str) or None
        Lower and upper end of the enclosures at that entry.
    tolerance : float or None
        Rounding error of the claim and of the data at that entry, which the excess must exceed.
    """

    status: Status
    reason: str
    bits: int
    entry: int | None = None
    measured: tuple[str, str] | None = None
    bound: tuple[str, str] | None = None
    tolerance: float | None = None

    def record(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)


def certify(case: Case, instance: Instance, *, bits: int = BITS, limit: int = LIMIT) -> Certificate:
    """Repeat a violation of a claim that one run decides in balls.

    Parameters
    ----------
    case, instance
        What is said to be violated by what.
    bits, limit : int
        First and largest precision.

    Raises
    ------
    NtkVerifyError
        If the instance can't be run in float64 either.
    """
    quantifier = case.claim.quantifier
    if not quantifier.is_decided_by_one_run:
        return Certificate(
            "UNDECIDED", f"{quantifier.name} is a statement about probability: no single run refutes it", 0
        )
    if too_large := _too_large(instance, 1.0):
        return Certificate("UNDECIDED", too_large, 0)
    case.outcome(instance)  # an instance that can't be run is the user's mistake
    last = [bits]

    def attempt(precision: int) -> Certificate:
        import flint

        last[0] = precision
        with flint.ctx.workprec(precision):
            return _attempt(case, instance, precision)

    try:
        result: Certificate = escalate(attempt, bits=bits, limit=limit)
        return result
    except _Open as error:
        return error.certificate
    except Undecided as error:
        return Certificate("UNDECIDED", f"{error} with {last[0]} bits", last[0])
    except NtkVerifyError as error:  # no enclosure, no counterpart, no closed form: more bits will not help
        return Certificate("UNDECIDED", str(error), last[0])
    except (TypeError, AttributeError, NotImplementedError, ArithmeticError, ValueError, LookupError) as error:
        # a measure is any Python function; one that asks NumPy for what object arrays can't do has no enclosure
        return Certificate("UNDECIDED", f"the claim can't be evaluated in balls ({error})", last[0])


def _too_large(instance: Instance, cost: float) -> str:
    """Why an instance is not tried; empty if it is."""
    arrays = (np.asarray(value, dtype=np.float64) for value in instance.data.values())
    work = cost * instance.width * (instance.steps + 1) * max((a.size for a in arrays), default=1)
    return f"{work:.1e} neuron updates are too many for balls; shrink the instance" if work > _MOST_WORK else ""


class _Open(Undecided):
    """Undecided, with the enclosures known so far."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate.reason)
        self.certificate = certificate


def _attempt(case: Case, instance: Instance, bits: int) -> Certificate:
    claim, run = case.claim, case.run(instance, backend="ball")
    if too_large := _too_large(instance, run.cost):
        raise NoEnclosure(too_large)
    for assumption in case.assumptions:
        margin = raw(assumption.margin(run))
        if margin < 0:
            return Certificate("REFUTED", f"the assumption {assumption.name!r} is not met: {margin}", bits)
        if not margin >= 0:
            raise Undecided(f"the assumption {assumption.name!r} has the margin {margin}")
    measured, bound = _sides(case, run)
    mask = np.ones(measured.shape, bool)
    if claim.given is not None:
        mask = np.broadcast_to(np.asarray(claim.given(run), bool), measured.shape)
    if not mask.any():
        return Certificate("REFUTED", "the event that the claim conditions on does not happen", bits)
    mask = mask & ~_rounding_alone(case, run, bound)
    if not mask.any():
        raise NoEnclosure("the bound is made of rounding errors of float64, which balls do not have")
    tolerance = np.broadcast_to(_tolerance(case, instance), measured.shape)
    entries = [int(i) for i in np.flatnonzero(mask.ravel())]
    excess = (bound - measured if claim.from_below else measured - bound).ravel()
    slack = {i: excess[i] - raw(float(tolerance.flat[i])) for i in entries}
    worst = functools.reduce(lambda i, j: j if slack[j].lower() > slack[i].lower() else i, entries)

    def answer(status: Status, reason: str) -> Certificate:
        return Certificate(
            status,
            reason,
            bits,
            worst,
            _ends(measured.ravel()[worst]),
            _ends(bound.ravel()[worst]),
            float(tolerance.flat[worst]),
        )

    if not all(slack[i].is_finite() for i in entries):
        raise _Open(answer("UNDECIDED", f"an enclosure is unbounded with {bits} bits"))
    if slack[worst] > 0:
        return answer("CERTIFIED", "every assumption that was not relaxed holds and the bound is exceeded")
    if all(slack[i] <= 0 for i in entries):
        return answer("REFUTED", "the bound is kept to within the rounding error at every entry")
    raise _Open(answer("UNDECIDED", f"the enclosures of measured quantity and bound overlap with {bits} bits"))


def _sides(case: Case, run: Any) -> tuple[Any, Any]:
    claim = case.claim
    measured = _array(claim.quantifier.measured(claim.measure(run), _enclosed))
    # without a bound two sides are compared: in balls they may not differ at all
    bound = _array(np.zeros(measured.shape) if claim.bound is None else run.evaluate(case.theorem.bound_of(claim)))
    return measured, np.broadcast_to(bound, measured.shape)


def _rounding_alone(case: Case, run: Any, bound: Any) -> Any:
    """Entries whose bound is zero in balls and not in float64: what they bound is exact here, and never that small."""
    zero = np.frompyfunc(lambda b: bool(b == 0), 1, 1)(bound).astype(bool)
    if case.claim.bound is None or not zero.any():
        return np.zeros(bound.shape, bool)
    return zero & (np.abs(np.asarray(run.plain.evaluate(case.theorem.bound_of(case.claim)), dtype=np.float64)) > 0)


def _enclosed(values: Any) -> Any:
    """python-flint balls of what a measure returned, which must be balls or integers: floats have been rounded."""
    import flint

    for value in np.asarray(values, dtype=object).ravel():
        if not isinstance(value, Ball | flint.arb | int | np.integer):
            raise NoEnclosure("the claim measures in float64 what does not come from the run")
    return raw_array(values)


def _array(values: Any) -> Any:
    """python-flint balls of the entries; a scalar becomes one entry, since 0-d arithmetic drops the array."""
    found = raw_array(values)
    if isinstance(found, np.ndarray):
        return found
    result = np.empty(1, dtype=object)
    result[0] = found
    return result


def _tolerance(case: Case, instance: Instance) -> Array:
    """The claim's rounding error, from the float64 run, what its verdict was given too; and what that of data does."""
    with np.errstate(all="ignore"):
        trial = Trial(case, case.run(instance))
        error = trial.rounding
        if not np.isfinite(error).all():
            raise NoEnclosure("the rounding error of the claim is not finite here")
        return error + _of_data(case, instance, trial)


def _of_data(case: Case, instance: Instance, trial: Trial) -> Array:
    """What the rounding of the data may have done to each entry's excess, by moving the data that little."""
    rng = np.random.default_rng(0)
    here, most = _excess(trial), np.zeros(trial.measured.shape)
    for _ in range(_MOVES if here is not None else 0):
        moved = replace(instance, data={name: _moved(value, rng) for name, value in instance.data.items()})
        try:
            there = _excess(case.trial(moved))
        except (*NOT_RUN, ValueError, TypeError, LookupError):
            continue
        if there is not None and there.shape == here.shape:
            change = np.abs(there - here)
            most = np.maximum(most, np.where(np.isfinite(change), change, 0.0))
    return _MISSED * most


def _excess(trial: Trial) -> Any:
    limits = trial.case.claim.quantifier.limits(trial)
    return None if limits is None else trial.measured - np.broadcast_to(limits[0], trial.measured.shape)


def _moved(value: Any, rng: np.random.Generator) -> Any:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    return array * (1 + _MOVE * rng.uniform(-1, 1, array.shape))


def _ends(ball: Any) -> tuple[str, str]:
    return ball.lower().str(20, radius=False), ball.upper().str(20, radius=False)
