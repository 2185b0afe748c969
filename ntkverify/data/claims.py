"""Which claims of a theorem say something at given data, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ntkverify.data.cost import count_in_words
from ntkverify.data.roles import kind_of_run
from ntkverify.report.checked import A_CONTROL
from ntkverify.theorem.parts import Claim, Family


@dataclass(frozen=True)
class ClaimsAt:
    """The claims of a theorem, sorted for given data.

    Parameters
    ----------
    kept : dict of str to Claim
        Those that are put to the test, on the data alone.
    left_out : list of (str, str)
        The others, and why.
    beyond : dict of str to str
        Those of `kept` that the theorem does not make here, and why not.
    """

    kept: dict[str, Claim]
    left_out: list[tuple[str, str]]
    beyond: dict[str, str]


def claims_at(at: Any) -> ClaimsAt:
    """Sort the claims of the theorem of a `ntkverify.data.at.TheoremAt`."""
    found = ClaimsAt({}, [], {})
    missed = {met.name: met.words for met in at.assumptions if met.fails}
    for name, claim in at.whole.claims.items():
        families = [f for f in at.whole.families_of(claim) if kind_of_run(f.run) == kind_of_run(at.base.run)]
        needed = [a.name for a in at.whole.assumptions_of(claim)]
        reason = _obstacle(at, claim, families)
        failing = [a for a in needed if a in missed and a not in at.relax]
        if not reason and failing:
            reason = f"assumes {failing[0]!r}, {missed[failing[0]]}"
        if reason:
            found.left_out.append((name, reason))
            continue
        found.kept[name] = replace(claim, on=(at.base.name,))
        if why := _beyond(at, claim, families, {a: missed[a] for a in needed if a in missed}):
            found.beyond[name] = why
    return found


def _obstacle(at: Any, claim: Claim, families: list[Family]) -> str:
    """Why a claim can't be put to these data; empty if it can."""
    if claim.kind == "control":
        return A_CONTROL
    if claim.is_symbolic:
        return "about expressions, which no data enter"
    if not families:
        return "about runs of another kind, " + ", ".join(repr(f.name) for f in at.whole.families_of(claim))
    quantifier = claim.quantifier
    if not (quantifier.is_decided_by_one_run or quantifier.is_decided_by_redrawing or quantifier.takes_expressions):
        return f"holds {quantifier.name.partition('(')[0]}, which takes many widths or data sets"
    lacking = min((set(at.drawn_by(f).parameters) - set(at.parameters) for f in families), key=len)
    if lacking:
        return f"needs the parameter {sorted(lacking)[0]!r}, which only {families[0].name!r} has"
    return ""


def _beyond(at: Any, claim: Claim, families: list[Family], dropped: Mapping[str, str]) -> str:
    """Why the theorem does not make a claim here; empty if it does."""
    if dropped:
        return "the theorem assumes " + ", ".join(f"{name!r}, {words}" for name, words in dropped.items())
    # what assumes nothing has its hypotheses in what its families draw, and so has a claim of probability without a
    # sufficient width, declared or an assumption that few neurons would miss; only what is `always` so of the family at
    # hand is claimed of all data that a theorem declares
    assumed, redrawn = [a.name for a in at.whole.assumptions_of(claim)], claim.quantifier.is_decided_by_redrawing
    if assumed:
        asks = any(met.asks_for_width and met.name in assumed for met in at.assumptions)
        anywhere = not redrawn or at.whole.roles.width is not None or asks
    else:
        anywhere = not redrawn and at.whole.roles.data and at.base in families
    if not anywhere:
        of = (f"{f.name!r} ({count_in_words(at.drawn_by(f).width)} neurons)" for f in families)
        return "the theorem says this of " + " and ".join(of)
    return ""
