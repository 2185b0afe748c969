"""What becomes of a suspected violation: shrunk and certified, or drawn anew with fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ntkverify.search.evidence.certify import certify
from ntkverify.search.evidence.fresh_seeds import combined_log_e, confirm
from ntkverify.search.evidence.shrink_in_family import lower
from ntkverify.search.evidence.shrink_instance import attempts_for, shrink
from ntkverify.search.evidence.violation import Violation, digest, versions
from ntkverify.search.score import Score, outcome_of, score
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.quantifiers import WithProbability
from ntkverify.theorem.theorem import Theorem

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


def settle(
    theorem: Theorem,
    claim: Claim,
    family: Family,
    instance: Instance,
    *,
    path: Path,
    relax: tuple[str, ...],
    plants: tuple[str, ...],
    seeds: tuple[int, ...],
    entropy: int,
    attempt: int,
    vector: tuple[int, ...] = (),
    instance_of: Callable[[Sequence[int]], Instance | None] | None = None,
) -> Finding:
    """Decide what a failing evaluation is worth.

    Parameters
    ----------
    theorem, claim, family, instance
        What failed.
    path : Path
        The theorem's module, written into the file.
    relax, plants : tuple of str
        What was dropped and what was made wrong.
    seeds : tuple of int
        The draws by which a claim of probability was selected.
    entropy : int
        Names the fresh seeds.
    vector, instance_of
        The coordinates of the instance and what turns them into one, to shrink inside the family first.
    attempt : int
        How many suspects of this cell were settled before; the j-th gets the share 1/((2j+1)(2j+2)) of `ALPHA`.
    """
    template = Violation(theorem.id, str(path), digest(path), claim.name, relax, plants, instance, {}, versions())
    if isinstance(claim.quantifier, WithProbability):
        return _by_fresh_seeds(
            theorem,
            claim,
            family,
            template,
            seeds=seeds,
            entropy=entropy,
            attempt=attempt,
            vector=vector,
            instance_of=instance_of,
        )

    return _by_balls(theorem, claim, family, template, vector=vector, instance_of=instance_of)


def _by_balls(
    theorem: Theorem,
    claim: Claim,
    family: Family,
    template: Violation,
    *,
    vector: tuple[int, ...],
    instance_of: Callable[[Sequence[int]], Instance | None] | None,
) -> Finding:
    """Shrink a violation of an ``always`` claim or an identity, and certify it."""
    relax = template.relax

    def measure(candidate: Instance) -> Score:
        return score(theorem, claim, family, candidate, relax=relax)

    lowered = _lowered(template.instance, measure, vector, instance_of)
    chosen = _shrunk(lowered, measure)
    certificate = certify(theorem, claim, family, chosen, relax=relax)
    if chosen != lowered:
        # a family may mean more than the assumptions say: what balls refute there is no violation elsewhere either
        inside = certify(theorem, claim, family, lowered, relax=relax)
        if inside.status == "REFUTED" or certificate.status != "CERTIFIED":
            chosen, certificate = lowered, inside
    status = {"CERTIFIED": "certified", "UNDECIDED": "undecided", "REFUTED": "refuted"}[certificate.status]
    evidence = {**_float64(theorem, claim, family, chosen, relax), **certificate.record()}
    kind = "certified" if status == "certified" else "float64"
    return Finding(status, replace(template, instance=chosen).with_evidence(kind=kind, **evidence))


def _lowered(
    instance: Instance,
    measure: Callable[[Instance], Score],
    vector: tuple[int, ...],
    instance_of: Callable[[Sequence[int]], Instance | None] | None,
) -> Instance:
    """The smallest instance of the family that still violates."""
    if vector and instance_of is not None:
        return instance_of(lower(vector, instance_of, measure, most=attempts_for(instance))) or instance
    return instance


def _shrunk(instance: Instance, measure: Callable[[Instance], Score]) -> Instance:
    """A network made smaller than its family makes them."""
    if instance.width == 0:  # linear algebra: outside its family there may be nothing that the claim speaks of
        return instance
    return shrink(instance, lambda candidate: measure(candidate).failed, most=attempts_for(instance))


def _float64(
    theorem: Theorem, claim: Claim, family: Family, instance: Instance, relax: tuple[str, ...]
) -> dict[str, Any]:
    outcome = outcome_of(theorem, claim, family, instance, relax=relax)
    numbers = {"margin": outcome.margin, "float64_measured": outcome.at_worst[0], "float64_bound": outcome.at_worst[1]}
    # a run that left the range of float64 has no number to write
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _by_fresh_seeds(
    theorem: Theorem,
    claim: Claim,
    family: Family,
    template: Violation,
    *,
    seeds: tuple[int, ...],
    entropy: int,
    attempt: int,
    vector: tuple[int, ...],
    instance_of: Callable[[Sequence[int]], Instance | None] | None,
) -> Finding:
    relax = template.relax

    def measure(candidate: Instance) -> Score:
        return score(theorem, claim, family, candidate, relax=relax, seeds=seeds)

    alpha = ALPHA / ((2 * attempt + 1) * (2 * attempt + 2))
    first = confirm(theorem, claim, family, template.instance, entropy=entropy, alpha=alpha, relax=relax)
    chosen, result = template.instance, first
    if first.log_e >= -math.log(alpha):
        small = _shrunk(_lowered(template.instance, measure, vector, instance_of), measure)
        if small != template.instance:
            again = confirm(theorem, claim, family, small, entropy=entropy + 1, alpha=alpha / 2, relax=relax)
            if again.log_e >= -math.log(alpha / 2):
                chosen, result = small, again
    evidence = {"alpha": alpha, "confirmations": [result.record()], "log_e": combined_log_e([result.record()])}
    violation = replace(template, instance=chosen).with_evidence(kind="probability", **evidence)
    return Finding("confirmed" if first.log_e >= -math.log(alpha) else "unconfirmed", violation)
