"""A campaign: cells - one claim on one family by one engine - searched one after the other, everything on record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.instance import Instance
from ntkverify.parts import Claim, Regime
from ntkverify.quantifiers import WithProbability
from ntkverify.search.engines import DEFAULT_ENGINES, ENGINES, Finished, climb
from ntkverify.search.margin import VACUOUS, Score, score, searchable
from ntkverify.search.planted import planted
from ntkverify.search.settle import FOUND, Finding, relevant, settle
from ntkverify.search.space import GRID, Space, weight_seed
from ntkverify.search.store import Store
from ntkverify.search.stretch import Stretch, useful
from ntkverify.search.violation import digest
from ntkverify.theorem import Theorem

#: draws that score a claim of probability
DRAWS = 4
#: suspects that a cell follows up before it calls them noise
SUSPECTS = 6
#: neurons that a search trains at most, so that one evaluation does not eat the budget
MAX_WIDTH = 2**20
_PROPOSALS = 10  # proposals, repeated ones included, per evaluation of the budget


@dataclass(frozen=True)
class Cell:
    """One claim on one family of instances by one engine.

    Parameters
    ----------
    theorem, sha256, claim, regime, engine : str
        Which; the digest is of the theorem's module, so that a changed theorem is searched anew.
    relax, plants : tuple of str
        Assumptions dropped, and what was made wrong on purpose.
    evaluations : int
        Budget.
    seconds : float or None
        Budget in seconds of evaluation; the smaller of the two ends the cell.
    entropy : int
        Changes every draw.
    """

    theorem: str
    sha256: str
    claim: str
    regime: str
    engine: str
    relax: tuple[str, ...]
    plants: tuple[str, ...]
    evaluations: int
    seconds: float | None
    entropy: int
    max_width: int

    def settings(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)


def cells_of(
    theorem: Theorem,
    *,
    path: str | Path,
    claims: Sequence[str] = (),
    regimes: Sequence[str] = (),
    relax: Sequence[str] = (),
    plants: Sequence[str] = (),
    engines: Sequence[str] = DEFAULT_ENGINES,
    evaluations: int = 2000,
    seconds: float | None = None,
    entropy: int = 0,
    max_width: int = MAX_WIDTH,
) -> list[Cell]:
    """The cells of a campaign on one theorem; each claim's budget is shared by its families and the engines.

    Parameters
    ----------
    theorem, path
        The theorem and its module.
    claims, regimes : sequence of str
        Restrict the campaign; by default all searchable claims but the controls, on all of their families.
    relax, plants : sequence of str
        Assumptions to drop; things to make wrong.
    engines : sequence of str
        Names in `ntkverify.search.engines.ENGINES`.
    evaluations : int
        Budget of each claim.
    seconds : float, optional
        Budget of each claim in seconds.
    entropy : int
        Changes every draw.
    max_width : int
        Wider instances are not run.

    Raises
    ------
    NtkVerifyError
        If a name is unknown or a budget is not positive.
    """
    for name in claims:
        if name not in theorem.claims:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no claim {name!r}.")
        if not searchable(theorem.claims[name]):
            raise NtkVerifyError(
                f"{name!r} speaks of a population of runs, which no single instance violates; check it with pytest."
            )
    for name in regimes:
        if name not in theorem.regimes:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no instances {name!r}.")
    for name in engines:
        if name not in ENGINES:
            raise NtkVerifyError(f"there is no engine {name!r}; choose one of {', '.join(ENGINES)}.")
    relevant(theorem, tuple(relax))
    if evaluations < 1 or (seconds is not None and not seconds > 0) or entropy < 0 or not engines:
        raise NtkVerifyError("a search needs a positive budget, at least one engine and an entropy of at least 0.")
    chosen = [
        claim
        for claim in theorem.claims.values()
        if (claim.name in claims if claims else claim.kind != "control" and searchable(claim))
    ]
    sha256 = digest(path)
    found = []
    for claim in chosen:
        if relax and not {a.name for a in theorem.assumptions_of(claim)} & set(relax):
            continue
        families = [r.name for r in theorem.regimes_of(claim) if not regimes or r.name in regimes]
        share = len(families) * len(engines)
        for family in families:
            for engine in engines:
                found.append(
                    Cell(
                        theorem.id,
                        sha256,
                        claim.name,
                        family,
                        engine,
                        tuple(relax),
                        tuple(plants),
                        max(1, evaluations // share),
                        None if seconds is None else seconds / share,
                        entropy,
                        max_width,
                    )
                )
    return found


Progress = Callable[[Cell, Score], object]


def search_cell(
    theorem: Theorem,
    cell: Cell,
    store: Store,
    *,
    path: str | Path,
    progress: Progress = lambda cell, score: None,
) -> bool:
    """Search one cell to its end, or from where a killed process left it.

    Returns
    -------
    bool
        Whether this process did it; false if another one has the cell.
    """
    name = store.open_cell(cell.settings())
    if store.is_finished(name):
        return True
    with store.claim_cell(name) as mine:
        if not mine:
            return False
        if store.is_finished(name):  # by another process, since the first look
            return True
        with planted(theorem, cell.plants):
            claim, regime = theorem.claims[cell.claim], theorem.regimes[cell.regime]
            _Search(theorem, claim, regime, cell, name, store, Path(path), progress).run()
        store.finish_cell(name)
    return True


class _Search:
    """The objective of one cell: answers from the record or evaluates, and follows up suspects."""

    def __init__(
        self,
        theorem: Theorem,
        claim: Claim,
        regime: Regime,
        cell: Cell,
        name: str,
        store: Store,
        path: Path,
        progress: Progress,
    ) -> None:
        self.theorem, self.claim, self.regime, self.cell, self.name = theorem, claim, regime, cell, name
        self.store, self.path, self.progress = store, path, progress
        self.random = isinstance(claim.quantifier, WithProbability)
        self.entropy = int.from_bytes(hashlib.sha256(f"{cell.entropy} {cell.claim}".encode()).digest()[:4], "little")
        self.space = Space(
            regime,
            theorem.id,
            entropy=self.entropy,
            stretches=stretches_for(theorem, claim, regime, cell.relax, entropy=self.entropy),
            weights=not self.random,
        )
        self.seeds = tuple(weight_seed(self.entropy, j, salt=5) for j in range(DRAWS))
        self.known = store.evaluations(name)
        self.findings = store.findings(name)
        self.spent = store.seconds(name)
        self.seen: set[tuple[int, ...]] = set()
        self.settled: set[tuple[int, ...]] = set()
        self.proposals = 0
        self.suspects = 0

    def run(self) -> None:
        """Climb to the end of the budget or to a violation."""
        climb(
            self.cell.engine,
            self,
            self.space.dimension,
            entropy=self.entropy % 2**20,
            evaluations=self.cell.evaluations,
        )

    def __call__(self, vector: Sequence[int]) -> float:
        key = tuple(int(c) for c in vector)
        self.proposals += 1
        if self.proposals > _PROPOSALS * self.cell.evaluations + 100:
            raise Finished
        if key not in self.seen:
            if len(self.seen) >= self.cell.evaluations:
                raise Finished
            if key not in self.known:
                self._evaluate(key)
            self.seen.add(key)
            self.progress(self.cell, self.known[key])
        result = self.known[key]
        if result.failed and key not in self.settled and self.suspects < SUSPECTS:
            self.settled.add(key)
            if self._settle(key) in FOUND:
                raise Finished
        return result.margin

    def _evaluate(self, key: tuple[int, ...]) -> None:
        if self.cell.seconds is not None and self.spent >= self.cell.seconds:
            raise Finished
        started = time.perf_counter()
        instance, reason = self._instance(key)
        if instance is None:
            result = Score(VACUOUS, reason=reason)
        else:
            result = score(
                self.theorem, self.claim, self.regime, instance, relax=self.cell.relax, seeds=self.seeds
            )  # fmt: skip
        seconds = time.perf_counter() - started
        self.spent += seconds
        self.store.add(self.name, key, result, seconds)
        self.known[key] = result

    def _instance(self, key: tuple[int, ...]) -> tuple[Instance | None, str]:
        try:
            instance = self.space.instance(key)
            if instance is not None and instance.width > self.cell.max_width:
                return None, f"width {instance.width} is more than the {self.cell.max_width} neurons that are run"
            return instance, "the family refused these choices"
        except NtkVerifyError as error:
            return None, str(error)

    def _settle(self, key: tuple[int, ...]) -> str:
        if key not in self.findings:
            instance, _ = self._instance(key)
            assert instance is not None
            finding = settle(
                self.theorem,
                self.claim,
                self.regime,
                instance,
                path=self.path,
                relax=self.cell.relax,
                plants=self.cell.plants,
                seeds=self.seeds,
                entropy=self.entropy + 2 * self.suspects,
                vector=key,
                instance_of=lambda vector: self._instance(tuple(vector))[0],
                attempt=self.suspects,
            )
            self.store.add_finding(self.name, key, finding.status, finding.violation.content())
            self.findings[key] = finding.status, finding.violation.content()
        self.suspects += 1
        return self.findings[key][0]


def stretches_for(
    theorem: Theorem, claim: Claim, regime: Regime, relax: Sequence[str], *, entropy: int
) -> list[Stretch]:
    """The stretches that matter for the assumptions dropped; none if none is."""
    if not relax:
        return []
    plain = Space(regime, theorem.id, entropy=entropy)
    rng = np.random.default_rng([entropy, 4])
    drawn: list[Instance] = []
    for _ in range(6):
        try:
            instance = plain.instance(rng.integers(0, GRID, max(plain.dimension, 1)).tolist())
        except NtkVerifyError:
            continue
        if instance is not None:
            drawn.append(instance)
    return useful(theorem, regime, drawn, theorem.assumptions_of(claim), relax)


def search(
    theorems: Mapping[str | Path, Theorem],
    cells: Sequence[tuple[str | Path, Cell]],
    store: Store,
    *,
    progress: Progress = lambda cell, score: None,
) -> None:
    """Search all cells that no other process is searching, then wait for nobody.

    Parameters
    ----------
    theorems : mapping from path to Theorem
        The modules.
    cells : sequence of (path, Cell)
        What to search.
    store : Store
        The record.
    progress : callable
        Called with the cell and the score after every evaluation.
    """
    for path, cell in cells:
        search_cell(theorems[path], cell, store, path=path, progress=progress)


def results(store: Store, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Each cell with its row of the record and its findings, as any process sees them."""
    rows = {row["cell"]: row for row in store.summary()}
    for cell in cells:
        name = store.open_cell(cell.settings())
        row = dict(rows.get(name, {}))
        row["violations"] = [(status, content) for status, content in store.findings(name).values()]
        yield cell, row


__all__ = ["Cell", "Finding", "cells_of", "results", "search", "search_cell", "stretches_for"]
