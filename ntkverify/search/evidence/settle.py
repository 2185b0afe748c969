"""What becomes of a suspected violation: shrunk and certified, or drawn anew with fresh seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ntkverify.judging.case import Case
from ntkverify.search.evidence.certify import certify
from ntkverify.search.evidence.fresh_seeds import combined_log_e, confirm
from ntkverify.search.evidence.shrink_in_family import lower
from ntkverify.search.evidence.shrink_instance import attempts_for, shrink
from ntkverify.search.evidence.violation import Violation
from ntkverify.search.score import Score, score
from ntkverify.theorem.instance import Instance

#: probability that one cell calls a true claim of probability violated
ALPHA = 1e-6
#: probability that one cell reports a true claim of probability, or of a population, as open
OPEN = 1e-3
#: rate, over the allowed one, below which data that are drawn again are given up
_PERSISTENT = 1.25
#: a violation is reported in these states only
VIOLATED = ("certified", "outside", "confirmed")
#: these end the search of a cell: balls that could not decide one excess will not decide the next either
CLOSING = (*VIOLATED, "undecided")
#: these are written down, and make a search end with status 1
REPORTED = (*CLOSING, "open")


@dataclass(frozen=True)
class Finding:
    """What became of a suspected violation.

    Parameters
    ----------
    status : str
        "certified", "outside" (certified at an instance outside the family, whose own balls could not decide),
        "undecided" (an excess in float64, no violation: balls could not decide), "refuted" (by balls),
        "confirmed", "open" or "unconfirmed" (a claim of probability, by fresh seeds: they refute it, they fail more
        often than claimed without refuting it, or neither).
    violation : Violation
        The instance with its evidence.
    """

    status: str
    violation: Violation


@dataclass(frozen=True)
class Place:
    """Where in its family an instance lies, so that it can be shrunk inside the family first.

    Parameters
    ----------
    vector : tuple of int
        Its coordinates.
    instance_of : callable
        Turns coordinates into an instance.
    """

    vector: tuple[int, ...]
    instance_of: Callable[[Sequence[int]], Instance | None]

    def lowered(self, instance: Instance, measure: Callable[[Instance], Score]) -> Instance:
        """The smallest instance of the family that still violates."""
        vector = lower(self.vector, self.instance_of, measure, most=attempts_for(instance))
        return self.instance_of(vector) or instance


@dataclass(frozen=True)
class Draws:
    """How a claim of probability is drawn at one suspect of a cell.

    Parameters
    ----------
    seeds : tuple of int
        The draws by which the suspect was selected.
    entropy : int
        Names the fresh seeds.
    attempt : int
        How many suspects of this cell were settled before.
    most : int or None
        Fresh draws at most; None for as many as `confirm` takes.
    before : tuple of dict
        Confirmations of the same instance that did not suffice; evidence multiplies, and what is drawn now goes on
        until a rate of 1.25 of the one allowed is unlikely.
    """

    seeds: tuple[int, ...] = ()
    entropy: int = 0
    attempt: int = 0
    most: int | None = None
    before: tuple[dict[str, Any], ...] = ()

    @property
    def alpha(self) -> float:
        """The share of `ALPHA` that this attempt may spend; all attempts together spend `ALPHA`."""
        return ALPHA / ((2 * self.attempt + 1) * (2 * self.attempt + 2))


def settle(case: Case, suspect: Violation, *, draws: Draws, place: Place | None = None) -> Finding:
    """Decide what a failing evaluation is worth.

    Parameters
    ----------
    case : Case
        What failed.
    suspect : Violation
        On which instance, still without evidence.
    draws : Draws
        How a claim of probability is drawn.
    place : Place, optional
        Where in its family that instance lies.
    """

    def measure(candidate: Instance) -> Score:
        return score(case, candidate, seeds=draws.seeds)

    def lowered() -> Instance:
        return suspect.instance if place is None else place.lowered(suspect.instance, measure)

    def shrunk(instance: Instance) -> Instance:
        """A network made smaller than its family makes them."""
        if instance.width == 0:  # linear algebra: outside its family there may be nothing that the claim speaks of
            return instance
        return shrink(instance, lambda candidate: measure(candidate).failed, most=attempts_for(instance))

    if case.claim.quantifier.is_decided_by_redrawing:
        return _by_fresh_seeds(case, suspect, draws, lambda: shrunk(lowered()))
    inside = lowered()
    return _by_balls(case, suspect, inside, shrunk(inside))


def _by_balls(case: Case, suspect: Violation, inside: Instance, smaller: Instance) -> Finding:
    """Certify the violation of a claim that one run decides, by an instance of the family that was made small in it.

    A family may mean more than the assumptions say, so that an instance that was made smaller beyond it is another one:
    it stands beside the family's, and decides where balls are too dear for that.
    """
    certificate = certify(case, inside)
    status = certificate.status.lower()
    evidence = {**_float64(case, inside), **certificate.record()}
    if smaller != inside and status != "refuted":
        beyond = certify(case, smaller)
        if beyond.status == "CERTIFIED":
            instance = json.loads(_as_run(case, smaller).to_json())
            evidence["outside the family"] = {"instance": instance, **_float64(case, smaller), **beyond.record()}
            status = status if status == "certified" else "outside"
    kind = "certified" if status == "certified" else "float64"
    return Finding(status, replace(suspect, instance=_as_run(case, inside)).with_evidence(kind=kind, **evidence))


def _as_run(case: Case, instance: Instance) -> Instance:
    """The instance with what its run sets itself, a step for one."""
    trial = case.trial(instance)
    with np.errstate(all="ignore"):
        _ = trial.outcome
    recorded: Instance = trial.run.recorded
    return recorded


def _float64(case: Case, instance: Instance) -> dict[str, Any]:
    outcome = case.outcome(instance)
    numbers = {"margin": outcome.margin, "float64_measured": outcome.at_worst[0], "float64_bound": outcome.at_worst[1]}
    # a run that left the range of float64 has no number to write
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _by_fresh_seeds(case: Case, suspect: Violation, draws: Draws, smaller: Callable[[], Instance]) -> Finding:
    """Draw the instance anew, and a smaller one too if that confirms it."""
    alpha, chosen, seen = draws.alpha, suspect.instance, combined_log_e(draws.before)
    worth = _PERSISTENT if draws.before else 2.0
    result = confirm(
        case, chosen, entropy=draws.entropy, alpha=alpha, most=draws.most, worth=worth, log_e=seen
    )  # fmt: skip
    campaigns = [*draws.before, result.record()]
    confirmed = combined_log_e(campaigns) >= -math.log(alpha)
    if confirmed and (small := smaller()) != chosen:
        again = confirm(case, small, entropy=draws.entropy + 1, alpha=alpha / 2)
        if again.log_e >= -math.log(alpha / 2):
            chosen, campaigns = small, [again.record()]
    log_e = combined_log_e(campaigns)
    is_open = log_e >= -math.log(alpha * OPEN / ALPHA)
    status = "confirmed" if confirmed else "open" if is_open else "unconfirmed"
    evidence = {"alpha": alpha, "confirmations": campaigns, "log_e": log_e}
    violation = replace(suspect, instance=_as_run(case, chosen)).with_evidence(kind="probability", **evidence)
    return Finding(status, violation)
