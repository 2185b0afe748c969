"""The slack profile: how loose every lemma is, and how wide a network each of them really needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case, Trial
from ntkverify.judging.check import Check
from ntkverify.judging.draws import draw_instances
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.theorem import Theorem

#: how far past its slack a bound is tightened, in turn; what one instance refutes falls at the first, while a claim of
#: probability is refuted when so many draws fail as it takes to tell their share from the one allowed
PAST = tuple(sympy.Rational(x, 100) for x in (101, 125, 150, 200, 300, 500))


@dataclass(frozen=True)
class SlackRow:
    """One claim on one run, where it is tightest.

    Parameters
    ----------
    claim, kind : str
        Which claim.
    measured, bound : float
        Where the slack is smallest along the run.
    slack : float
        bound / measured, or measured / bound for a lower bound.
    """

    claim: str
    kind: str
    measured: float
    bound: float
    slack: float


@dataclass(frozen=True)
class Threshold:
    """The smallest width from which on a claim held in a given fraction of draws.

    Parameters
    ----------
    claim, kind : str
        Which claim.
    width : int or None
        None if it did not hold often enough at the largest width tried.
    """

    claim: str
    kind: str
    width: int | None


def profiled(theorem: Theorem, family: Family, relaxed: Iterable[str] = ()) -> list[Case]:
    """Cases of the claims with a bound, controls apart, that are checked on a family of instances."""
    return [
        Case(theorem, claim, family, tuple(relaxed))
        for claim in theorem.claims.values()
        if claim.kind != "control" and claim.bound is not None and family in theorem.families_of(claim)
    ]


def slack_profile(theorem: Theorem, family: Family, run: Any) -> list[SlackRow]:
    """Bound, measured quantity and slack of every claim on one run, tightest last."""
    rows = []
    for case in profiled(theorem, family):
        outcome = Trial(case, run).outcome
        if not outcome.vacuous:
            rows.append(SlackRow(case.claim.name, case.claim.kind, *outcome.at_worst, outcome.slack))
    return sorted(rows, key=lambda row: -row.slack)


def width_thresholds(
    theorem: Theorem,
    family: Family,
    *,
    widths: Sequence[int],
    relax: Iterable[str],
    fraction: float = 0.9,
    draws: int = 40,
    entropy: int = 0,
    progress: Callable[[int], object] = lambda width: None,
) -> list[Threshold]:
    """Smallest width at which each claim held in at least `fraction` of `draws` draws, and at all larger ones tried.

    Parameters
    ----------
    theorem, family : Theorem, Family
        Whose claims, on which data.
    widths : sequence of int
        Widths to try, ascending.
    relax : iterable of str
        Assumptions to drop: those that ask for the width.
    fraction, draws, entropy
        What counts as holding, and how the draws are made.
    progress : callable
        Called with every width before it is tried.

    Notes
    -----
    Claims that condition on an event (``given=``) are left out: narrow networks miss the event. So are those that
    measure no network: inequalities between the theorem's own constants hold at its own width by construction.

    Raises
    ------
    NtkVerifyError
        If a claim stays vacuous because an assumption about the width was not dropped.
    """
    (first,) = draw_instances(family, 1, entropy=entropy)
    cases = [c for c in profiled(theorem, family, relax) if c.claim.given is None or c.claim.kind == "conclusion"]
    cases = [case for case in cases if _measures(case, first, widths[0])]
    held: dict[str, list[bool]] = {case.claim.name: [] for case in cases}
    for width in widths:
        progress(width)
        instances = draw_instances(family, draws, entropy=entropy + width)
        for name, number in _held_at(width, cases, instances).items():
            held[name].append(number >= fraction * draws)
        if all(flags[-1] for flags in held.values()):
            break
    return [Threshold(c.claim.name, c.claim.kind, _first_of_tail(widths, held[c.claim.name])) for c in cases]


def _run_of(case: Case, instance: Instance, width: int) -> Any:
    """The run of an instance with another width, under the name of the case's theorem and family."""
    theorem, family = case.theorem, case.family
    return family.run(replace(instance, theorem=theorem.id, family=family.name, width=width), theorem)


def _measures(case: Case, instance: Instance, width: int) -> bool:
    """Whether a claim looks at the network, and not at numbers alone."""
    run = _run_of(case, instance, width)
    _ = Trial(case, run).outcome
    return bool(run.has_measured)


def _held_at(width: int, cases: Sequence[Case], instances: Iterable[Instance]) -> dict[str, int]:
    """On how many of the instances, at that width, each claim held; the cases are of one family and share the runs."""
    count = {case.claim.name: 0 for case in cases}
    if not cases:
        return count
    for instance in instances:
        run = _run_of(cases[0], instance, width)
        for case in cases:
            outcome = Trial(case, run).outcome
            if outcome.vacuous and not outcome.unresolved:  # where nothing happened rounding leaves no entry
                raise NtkVerifyError(
                    f"claim {case.claim.name!r} is vacuous at width {width}: drop the assumption on the width."
                )
            count[case.claim.name] += not outcome.failed
    return count


def _first_of_tail(widths: Sequence[int], flags: Sequence[bool]) -> int | None:
    """First width from which on every flag is set."""
    first = None
    for width, flag in zip(widths, flags, strict=False):
        first = (first or width) if flag else None
    return first


def blame(thresholds: Sequence[Threshold], prescribed: int, largest: int) -> str:
    """One sentence: how much wider the theorem asks than its conclusion needs, and which claim asks for it."""
    if not thresholds:
        return "No claim here measures a network, so that none needs a width."
    conclusion = next((row for row in thresholds if row.kind == "conclusion"), None)
    worst = max(thresholds, key=lambda row: row.width or largest + 1)
    needed = f"beyond {largest:.2e}" if worst.width is None else f"{worst.width:.2e}"
    if conclusion is None:
        return f"No conclusion is checked on these instances; the widest is asked for by {worst.claim!r}: {needed}."
    if conclusion.width is None:
        return f"{conclusion.claim!r} did not hold often enough up to width {largest}."
    return (
        f"The prescribed width is {prescribed / conclusion.width:.1e} times what {conclusion.claim!r} needs; "
        f"to blame is {worst.claim!r}, which needs {needed}."
    )


@dataclass(frozen=True)
class Margin:
    """How far a bound may be tightened.

    Parameters
    ----------
    claim : str
        Whose bound.
    slack : float
        As the claim's verdict has it.
    past : sympy.Rational or None
        The first of `PAST` by whose product with the slack the bound is tightened and refuted; None if none is.
    """

    claim: str
    slack: float
    past: sympy.Rational | None


def past_slack(check: Check, claim: Claim) -> Margin | None:
    """Tighten the bound of a claim past its measured slack, on the same runs and more where the claim draws on.

    None where no factor tightens anything: no bound, a bound of 0, or nothing measured but 0.

    Raises
    ------
    NtkVerifyError
        If the claim does not pass as it stands.
    """
    if claim.bound is None or claim.bound == 0:
        return None
    verdict = check.verdict(claim)
    if not verdict.passed:
        raise NtkVerifyError(f"{claim.name!r} is {verdict.shown} before it is tightened; mend it first.")
    if verdict.slack is None or not 0 < verdict.slack < math.inf:
        return None
    for past in PAST:
        factor = sympy.Rational(verdict.slack) * past
        with check.theorem.mutated(claim.name, factor if claim.from_below else 1 / factor):
            if check.verdict(claim).status == "violated":
                return Margin(claim.name, verdict.slack, past)
    return Margin(claim.name, verdict.slack, None)
