"""Fresh seeds after selection: what may be said about a claim of probability at an instance that a search picked.

A search selects the instance by its draws, so those draws say nothing about probability. The instance is drawn anew,
its e-process watched after every draw; e-values of independent confirmations of one instance multiply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy import special

from ntkverify.judging.case import Case
from ntkverify.judging.rates import TooMany
from ntkverify.search.score import NOT_RUN
from ntkverify.search.space.coordinates import weight_seed
from ntkverify.theorem.instance import Instance

_SALT = 3  # keeps confirming seeds apart from searching ones
_MOST = 1000  # draws of an instance
_MOST_WIDE, _WIDE = 400, 2**16  # of one with more neurons than that


@dataclass(frozen=True)
class Confirmation:
    """Draws of one instance with fresh seeds.

    Parameters
    ----------
    entropy : int
        Names the stream of seeds; another one is an independent confirmation.
    draws, failures, refused : int
        What was seen; the draws that could not be run are among the draws, and none of the failures.
    delta : float
        Allowed failure probability.
    log_e : float
        Logarithm of the e-value against "fails with probability at most delta".
    """

    entropy: int
    draws: int
    failures: int
    delta: float
    log_e: float
    refused: int = 0

    def record(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)


def confirm(
    case: Case,
    instance: Instance,
    *,
    entropy: int,
    alpha: float,
    most: int | None = None,
    worth: float = 2.0,
    log_e: float = 0.0,
) -> Confirmation:
    """Draw an instance with fresh seeds until the e-process rejects at level `alpha`, or it looks hopeless.

    A draw that misses the claim's event counts for nothing. One that can't be run counts as held: what it would have
    shown is unknown, and to leave it out would raise the share of failures among the rest.

    Parameters
    ----------
    entropy : int
        Names the stream of seeds.
    most : int, optional
        Draws at most; 1000, for wide networks 400. It also ends when so few draws have failed that they would have
        done so with a probability below 0.1% at `worth` times the allowed rate; stopping early costs power only, never
        validity.
    worth : float
        The rate that is worth finding, over the one allowed. Twice that is 0.1 at least.
    log_e : float
        Logarithm of the e-value of draws before, which multiplies.
    """
    delta = case.claim.quantifier.allowed_failures(case.trial(instance))
    process, refused = TooMany(), 0
    worth_finding = min(max(worth * delta, 0.1 if worth >= 2 else 0.0), (1 + delta) / 2)
    most = most or (_MOST if instance.width <= _WIDE else _MOST_WIDE)
    for index in range(most):
        drawn = instance.with_seed(weight_seed(entropy, index, salt=_SALT))
        try:
            outcome = case.outcome(drawn)
        except NOT_RUN:
            refused += 1
            process.update(False, delta)
            continue
        if outcome.vacuous:
            continue
        process.update(outcome.failed, delta)
        hopeless = special.bdtr(process.failures, process.draws, worth_finding) < 0.001
        if process.log_value + log_e >= -math.log(alpha) or hopeless:
            break
    # an e-value below the range of float64 is written as the smallest there is
    return Confirmation(entropy, process.draws, process.failures, delta, max(float(process.log_value), -700.0), refused)


def combined_log_e(campaigns: Sequence[Mapping[str, Any]]) -> float:
    """Logarithm of the product of the e-values of independent confirmations; equal entropy counts once."""
    return math.fsum({c["entropy"]: float(c["log_e"]) for c in campaigns}.values())
