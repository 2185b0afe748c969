"""What becomes of a suspected violation: shrunk and certified, or drawn anew with fresh seeds."""

from __future__ import annotations

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
#: a violation is reported in these states only
VIOLATED = ("certified", "confirmed")
#: these end the search of a cell: balls that could not decide one excess will not decide the next either
CLOSING = (*VIOLATED, "undecided")


@dataclass(frozen=True)
class Finding:
    """What became of a suspected violation.

    Parameters
    ----------
    status : str
        "certified", "undecided" (an excess in float64, no violation: balls could not decide), "refuted" (by balls),
        "confirmed" or "unconfirmed" (a claim of probability, by fresh seeds).
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
    """

    seeds: tuple[int, ...] = ()
    entropy: int = 0
    attempt: int = 0
    most: int | None = None

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


def _by_balls(case: Case, suspect: Violation, inside: Instance, chosen: Instance) -> Finding:
    """Certify the violation of a claim that one run decides, as shrunk beyond its family or inside it."""
    certificate = certify(case, chosen)
    if chosen != inside:
        # a family may mean more than the assumptions say: what balls refute there is no violation elsewhere either
        in_family = certify(case, inside)
        if in_family.status == "REFUTED" or certificate.status != "CERTIFIED":
            chosen, certificate = inside, in_family
    status = certificate.status.lower()
    evidence = {**_float64(case, chosen), **certificate.record()}
    kind = "certified" if status == "certified" else "float64"
    return Finding(status, replace(suspect, instance=_as_run(case, chosen)).with_evidence(kind=kind, **evidence))


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
    alpha, chosen = draws.alpha, suspect.instance
    result = confirm(case, chosen, entropy=draws.entropy, alpha=alpha, most=draws.most)
    confirmed = result.log_e >= -math.log(alpha)
    if confirmed and (small := smaller()) != chosen:
        again = confirm(case, small, entropy=draws.entropy + 1, alpha=alpha / 2)
        if again.log_e >= -math.log(alpha / 2):
            chosen, result = small, again
    evidence = {"alpha": alpha, "confirmations": [result.record()], "log_e": combined_log_e([result.record()])}
    violation = replace(suspect, instance=_as_run(case, chosen)).with_evidence(kind="probability", **evidence)
    return Finding("confirmed" if confirmed else "unconfirmed", violation)
