"""Cells: one claim on one family of instances by one engine, with a budget; what a campaign consists of."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.search.climb.engines import DEFAULT_ENGINES, ENGINES
from ntkverify.search.evidence.violation import digest
from ntkverify.search.score import searchable
from ntkverify.theorem.names import nearest
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.theorem import Theorem

#: budget of a claim, and what engines plan for first where it is in minutes
EVALUATIONS = 2000
#: neurons that a search trains at most, so that one evaluation does not eat the budget
MAX_WIDTH = 2**20
#: raised when a vector comes to mean another instance, or an engine proposes others: a record of before is not resumed
SEARCHER = 12
#: what does the work in a cell whose claim is about a population, and stands between families that make one sample
SAMPLING, AND = "sampling", " + "


@dataclass(frozen=True)
class Cell:
    """One claim on one family of instances by one engine.

    Parameters
    ----------
    theorem, sha256, claim, family, engine : str
        Which; the digest is of the theorem's module, so that a changed module is searched anew. Of what it
        imports, and of a library that somebody edits, a record knows nothing: these ask for another store.
    relax, plants : tuple of str
        Assumptions dropped, and what was made wrong on purpose.
    evaluations : int
        Budget.
    seconds : float or None
        Budget in seconds of processor time; whichever of the two is used up first ends the cell. Of minutes, which end
        by the clock, it is the cell's part.
    entropy : int
        Changes every draw.
    max_width : int
        Wider instances are not run.
    goal : float or None
        Only climb, until the margin of a failing instance is this large; nothing is shrunk, certified or drawn anew.
    searcher : int
        Version of what a vector means and of what the engines propose.
    endless : bool
        Whether `evaluations` is what engines plan for only, and the search goes on while there are seconds.
    """

    theorem: str
    sha256: str
    claim: str
    family: str
    engine: str
    relax: tuple[str, ...]
    plants: tuple[str, ...]
    evaluations: int
    seconds: float | None
    entropy: int
    max_width: int
    goal: float | None = None
    searcher: int = SEARCHER
    endless: bool = False

    def case(self, theorem: Theorem) -> Case:
        """What the cell searches, as its theorem has it now, plants included."""
        return self.cases(theorem)[0]

    def cases(self, theorem: Theorem) -> list[Case]:
        """One for each of the cell's families: several where they make one sample."""
        names = [self.family] if self.family in theorem.families else self.family.split(AND)
        claim = theorem.claims[self.claim]
        return [Case(theorem, claim, theorem.families[name], self.relax) for name in names]

    def share(self, part: int, parts: int) -> Cell:
        """The cell with a share of its budget."""
        seconds = None if self.seconds is None else part * self.seconds / parts
        return replace(self, evaluations=max(1, part * self.evaluations // parts), seconds=seconds)

    def settings(self) -> dict[str, Any]:
        """JSON-ready dictionary; the family under the key that stores of all versions have, so that they resume."""
        found = {"regime" if key == "family" else key: value for key, value in asdict(self).items()}
        if not self.endless:
            del found["endless"]
        return found


def cells_of(
    theorem: Theorem,
    *,
    path: str | Path,
    claims: Sequence[str] = (),
    families: Sequence[str] = (),
    relax: Sequence[str] = (),
    plants: Sequence[str] = (),
    engines: Sequence[str] = DEFAULT_ENGINES,
    evaluations: int = EVALUATIONS,
    seconds: float | None = None,
    entropy: int = 0,
    max_width: int = MAX_WIDTH,
    goal: float | None = None,
) -> list[Cell]:
    """The cells of a campaign on one theorem; each claim's budget is shared by its families and the engines.

    Parameters
    ----------
    theorem, path
        The theorem and its module.
    claims, families : sequence of str
        Restrict the campaign; by default all searchable claims but the controls, on all of their families.
    relax, plants : sequence of str
        Assumptions to drop; things to make wrong.
    engines : sequence of str
        Names in `ntkverify.search.climb.engines.ENGINES`; they have equal shares of the budget.
    evaluations, seconds
        Budget of each claim, also in seconds of processor time.
    entropy : int
        Changes every draw.
    max_width, goal
        As in `Cell`.

    Raises
    ------
    NtkVerifyError
        If a name is unknown or a budget is not positive.
    """
    engines = list(dict.fromkeys(engines))  # one that is named twice is one
    _refuse_mistakes(theorem, claims, families, relax, engines)
    if evaluations < 1 or (seconds is not None and not seconds > 0) or entropy < 0:
        raise NtkVerifyError("a search needs a positive budget and an entropy of at least 0.")
    whole = Cell(
        theorem=theorem.id, sha256=digest(path), claim="", family="", engine="", relax=tuple(relax),
        plants=tuple(plants), evaluations=evaluations, seconds=seconds, entropy=entropy, max_width=max_width, goal=goal,
    )  # fmt: skip
    found: list[Cell] = []
    for claim, searched in _searched(theorem, claims, families, relax):
        quantifier = theorem.claims[claim].quantifier
        used = (SAMPLING,) if quantifier.is_decided_by_sampling else engines
        if getattr(quantifier, "pools_families", False):
            searched = [AND.join(searched)]
        shares = {family: _share(theorem.families.get(family), relax) for family in searched}
        parts = sum(shares.values()) * len(used)
        for family in searched:
            part = whole.share(shares[family], parts)
            found += [replace(part, claim=claim, family=family, engine=engine) for engine in used]
    return found


def _share(family: Family | None, relax: Sequence[str]) -> int:
    """A family that draws nothing differs in its weights at most, unless a dropped assumption lets it be stretched."""
    return 10 if relax or family is None or inspect.signature(family.build).parameters else 1


def _can_be_violated(claim: Claim) -> bool:
    return searchable(claim) or (claim.quantifier.is_decided_by_sampling and not claim.is_symbolic)


def _searched(
    theorem: Theorem, claims: Sequence[str], families: Sequence[str], relax: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    """Claims to search, with their families; those that assume nothing of what is relaxed are left out."""
    for claim in theorem.claims.values():
        wanted = claim.name in claims if claims else claim.kind != "control" and _can_be_violated(claim)
        # what is beyond an assumption has no law that a sample could follow
        wanted = wanted and not (relax and claim.quantifier.is_decided_by_sampling)
        if wanted and (not relax or {a.name for a in theorem.assumptions_of(claim)} & set(relax)):
            yield claim.name, [r.name for r in theorem.families_of(claim) if not families or r.name in families]


def _refuse_mistakes(
    theorem: Theorem, claims: Sequence[str], families: Sequence[str], relax: Sequence[str], engines: Sequence[str]
) -> None:
    for name in claims:
        if name not in theorem.claims:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no claim {name!r}; {nearest(name, theorem.claims)}")
        if not _can_be_violated(theorem.claims[name]):
            raise NtkVerifyError(f"{name!r} speaks of expressions, which no instance violates; check it with pytest.")
    for name in families:
        if name not in theorem.families:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no instances {name!r}; {nearest(name, theorem.families)}")
    for name in relax:
        if name not in theorem.assumptions:
            raise NtkVerifyError(
                f"theorem {theorem.id!r} has no assumption {name!r}; {nearest(name, theorem.assumptions)}"
            )
    refuse_engines(engines)


def refuse_engines(names: Sequence[str]) -> None:
    """Refuse engines that do not exist, and none at all."""
    for name in names:
        if name not in ENGINES:
            raise NtkVerifyError(f"there is no engine {name!r}; {nearest(name, ENGINES)}")
    if not names:
        raise NtkVerifyError("a search needs at least one engine.")
