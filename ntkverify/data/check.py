"""Claims of a theorem put to networks drawn on given data, and which were left out because of what."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ntkverify.data.cost import bytes_in_words, count_in_words, seconds_in_words
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import BUDGETS
from ntkverify.judging.check import Check
from ntkverify.judging.verdict import Verdict
from ntkverify.report.checked import Report
from ntkverify.theorem.names import chosen

#: seconds that one run at the theorem's own width may be estimated to take before it is refused
PATIENCE = 60.0


def check_at(
    at: Any,
    *,
    claims: list[str] | None = None,
    draws: int | None = None,
    profile: str = "quick",
    entropy: int = 0,
    patience: float = PATIENCE,
    progress: Callable[[str], object] = lambda claim: None,
) -> Report:
    """Draw networks on given data and judge every claim that says something there.

    Parameters
    ----------
    at : TheoremAt
        The theorem at its data.
    claims : list of str, optional
        Only these, by their sentences or a part that only one has.
    draws : int, optional
        So many draws of the weights and no more; too few to confirm a claim of probability, which is then
        ``observed``. By default such claims draw until they are decided.
    profile, entropy
        As for `Check`.
    patience : float
        Seconds that one run may be estimated to take, where the width is the theorem's own.
    progress : callable
        Called with every claim before it is judged.

    Raises
    ------
    NtkVerifyError
        If a network as wide as the theorem asks for does not fit here and no other width was asked for.
    """
    if profile not in BUDGETS:
        raise NtkVerifyError(f"there is no profile {profile!r}; choose one of {', '.join(BUDGETS)}.")
    if draws is not None and draws < 1:
        raise NtkVerifyError(f"draws must be at least 1, not {draws}.")
    if isinstance(claims, str):
        raise NtkVerifyError(f"claims is a list of claims, not one; write claims=[{claims!r}].")
    theorem = at.theorem
    names = list(theorem.claims)
    if claims is not None:
        names = [chosen(c, at.whole.claims, what="claim", of=f"theorem {at.whole.title!r}") for c in claims]
        refused = {name: why for name, why in at.left_out}
        for name in names:
            if name in refused:
                raise NtkVerifyError(f"claim {name!r} is not put to these data: {refused[name]}.")
    if names:
        refuse_too_wide(at, patience)
    budget = None
    if draws is not None:
        budget = replace(BUDGETS[profile], draws=draws, work=math.inf)
        counts = dict.fromkeys(at.family.counts, draws)
        family = replace(at.family, counts=counts, observed=f"{draws} draws were asked for")
        theorem = theorem.restricted({family.name: family})
    backend = None if at.backend == "auto" else at.backend
    check = Check(theorem, profile=profile, backend=backend, entropy=entropy, budget=budget)
    check.refuse_unknown_symbols()
    verdicts = []
    left = list(at.left_out)
    for name in names:
        progress(name)
        try:
            verdicts.append(unless_idle(check.verdict(theorem.claims[name])))
        except NtkVerifyError as refusal:  # a measure may ask for what these data do not have
            left.append((name, str(refusal)))
    if not claims and names and not verdicts:
        raise NtkVerifyError(f"no claim could be put to these data; the first one says: {left[-len(names)][1]}")
    return Report(at.whole.title, tuple(verdicts), tuple(left), heading_of(at), at.beyond)


def unless_idle(verdict: Verdict) -> Verdict:
    """The verdict, or that its claim was not exercised: no draw reached it, or only where there is nothing to keep.

    An infinite slack is that of 0 <= bound in every entry, as of ||H(k) - H(0)|| where only k = 0 meets the condition.
    """
    unreached = verdict.vacuous == verdict.instances and not verdict.unresolved
    trivial = verdict.status in ("holds", "observed") and verdict.slack == math.inf
    if not trivial and not (unreached and verdict.status == "inconclusive"):
        return verdict
    if unreached:
        found = f"none of {verdict.instances} draws met what the claim is about"
    else:
        found = f"{verdict.instances - verdict.vacuous} of {verdict.instances} draws met what the claim is about, and "
        found += "there the quantity was 0 throughout"
    return replace(verdict, status="not exercised", evidence=f"not exercised: {found}", missed="")


def heading_of(at: Any) -> str:
    """What was run: data, width, step, steps, and what was not asked for."""
    dropped = f", not asking for {', '.join(map(repr, at.relax))}" if at.relax else ""
    sizes = ", ".join(f"{name} {'x'.join(map(str, np.shape(x)))}" for name, x in at.data.blocks.items())
    sizes += f"; {at.data.columns_in_words}" if at.data.columns else ""
    return f"{at.data.source} ({sizes}): {count_in_words(at.width)} neurons, {at.step_words}, {at.steps} steps{dropped}"


def refuse_too_wide(at: Any, patience: float = PATIENCE) -> None:
    """Refuse a network that does not fit, or that takes long though no such width was asked for."""
    cost = at.cost(at.steps)
    if cost is None or (cost.fits and (at.asked_width or cost.seconds <= patience)):
        return
    relaxed = " and drop the assumption on the width (--relax, relax=)" if at.prescribed_width == at.width else ""
    raise NtkVerifyError(
        f"a run of {count_in_words(at.width)} neurons takes {bytes_in_words(cost.memory)} and about "
        f"{seconds_in_words(cost.seconds)} here; give a smaller width (--width, width=){relaxed}."
    )
