"""A campaign: cells searched one after the other, everything on record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.judging.falsehoods import planted
from ntkverify.search.campaign.cells import SAMPLING, Cell
from ntkverify.search.campaign.population import sampled
from ntkverify.search.campaign.spaces import entropy_of, space_of
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.campaign.timing import Timing
from ntkverify.search.climb.engines import Finished, climb
from ntkverify.search.evidence.settle import CLOSING, Draws, Place, settle
from ntkverify.search.evidence.violation import Violation
from ntkverify.search.score import VACUOUS, Score, score
from ntkverify.search.space.coordinates import weight_seed
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

#: draws that score a claim of probability
DRAWS = 4
#: suspects that a cell follows up while it climbs, and as many of the best at the end, before it calls them noise
SUSPECTS = 3
#: times as many for a claim of probability, where a single failing draw makes a suspect
NOISY = 4
_KEPT = 0.4  # share of a claim's time that is kept for fresh seeds
_BREADTH = 0.5  # share of what is for fresh seeds that goes to different data, before the worst are drawn on
_FEW = 20  # of them that are drawn whatever the time
_PROPOSALS = 10  # proposals, repeated ones included, per evaluation of the budget

#: told each evaluation: whose, its score, its seconds, of processor time unless the search has an end
Progress = Callable[[Cell, Score, float], object]


def search_cell(
    theorem: Theorem,
    cell: Cell,
    store: Store,
    *,
    path: str | Path,
    progress: Progress = lambda cell, score, seconds: None,
    until: float | None = None,
    window: float | None = None,
    began: float | None = None,
) -> bool:
    """Search one cell to its end, or from where a killed process left it.

    Parameters
    ----------
    theorem, cell, store, path
        What to search, where it is recorded, and the theorem's module.
    progress : callable
        Told each evaluation.
    until : float, optional
        When it ends at the latest, as `time.time` counts; the cell's seconds are not asked then. One instance is
        evaluated all the same, and a suspect is followed up.
    window : float, optional
        Seconds of new evaluations after which the search is left unfinished; as many as going through the record took,
        if those are more, so that half of the time at least is for what is new.
    began : float, optional
        When others began with it, as `time.time` counts; now, by default.

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
            if cell.engine == SAMPLING:
                _sample(theorem, cell, store, path, progress, until)
            else:
                search = _Search(theorem, cell, store, Path(path), progress, until, window, began)
                search.run()
                if search.paused:
                    return True
        store.finish_cell(name)
    return True


def _sample(
    theorem: Theorem, cell: Cell, store: Store, path: str | Path, progress: Progress, until: float | None
) -> None:
    """Draw for a claim about a population; the sample is the only evaluation."""
    timing = Timing(cell.seconds, until, time.time())
    began = timing.now()
    result, found = sampled(
        cell.cases(theorem),
        evaluations=None if cell.endless else cell.evaluations,
        entropy=entropy_of(cell.entropy, cell.claim, cell.family, cell.engine),
        path=path,
        plants=cell.plants,
        timing=timing,
    )
    name, seconds = store.open_cell(cell.settings()), timing.now() - began
    store.add(name, (0,), result, seconds)
    progress(cell, result, seconds)
    if found is not None:
        store.add_finding(name, (0,), found[0], found[1].content())


class _Search:
    """The objective of one cell: answers from the record or evaluates, and follows up suspects."""

    def __init__(
        self, theorem: Theorem, cell: Cell, store: Store, path: Path, progress: Progress, until: float | None,
        window: float | None, began: float | None,
    ) -> None:  # fmt: skip
        opened = time.monotonic()
        self.until, self.timing = until, Timing(cell.seconds, until, time.time() if began is None else began)
        self.case, self.cell, self.store, self.path, self.progress = cell.case(theorem), cell, store, path, progress
        self.name = name = store.open_cell(cell.settings())
        self.space = space_of(theorem, cell)
        self.entropy = self.space.entropy
        # another cell that ends at the same instance draws others
        self.fresh = entropy_of(cell.entropy, cell.claim, cell.family, cell.engine)
        self.seeds = tuple(weight_seed(self.entropy, j, salt=5) for j in range(DRAWS))
        self.known = store.evaluations(name)
        self.findings = store.findings(name)
        self.seconds = store.seconds(name)
        self.spent = sum(self.seconds.values())
        # seconds of what was seen, whichever process evaluated it, and of them before this climb
        self.replayed, self.replayed_before = 0.0, 0.0
        self.seen: dict[tuple[int, ...], Score] = {}
        self.scores: dict[str, Score] = {}  # by instance: many vectors stand for one
        self.settled: list[tuple[int, ...]] = []
        self.known_data: set[str] = set()  # of the suspects that were looked into
        # suspects that were looked into, those of them during the climb, and their fresh draws
        self.followed, self.climbed, self.drawn = 0, 0, 0
        self.before, self.planned, self.is_late = 0, cell.evaluations, False
        self.noisy = self.case.claim.quantifier.is_decided_by_redrawing
        self.suspects = SUSPECTS * (NOISY if self.noisy else 1)
        self.largest = VACUOUS  # margin of what has failed so far
        self.proposals = 0
        self.window, self.opened, self.paused = window, opened, False
        self.pause: float | None = None  # when the window closes; known at the first new evaluation

    def run(self) -> None:
        """Climb to the end of the budget or to a violation, then follow up the suspects that are left."""
        try:
            with one_blas_thread():  # an engine's matrices are small, and the threads of several processes collide
                self._climb()
            if self.paused:
                return
            if self.cell.goal is None:
                self._follow_up()
        except _Closed:
            return

    def _climb(self) -> None:
        """Once; a search that ends with its time begins again with twice the plan, until that brings nothing new."""
        for number in itertools.count():
            self.before, self.planned, self.proposals = len(self.seen), self.cell.evaluations << number, 0
            self.replayed_before = self.replayed
            climb(
                self.cell.engine,
                self,
                self.space.dimension,
                entropy=(self.entropy + number) % 2**20,
                evaluations=self.planned,
                smooth=self.space.smooth,
                used=self.used,
            )
            if not self.cell.endless or self.is_late or len(self.seen) == self.before:
                return

    # -- what becomes of suspects -----------------------------------------------------------------------------------

    def _data(self, key: tuple[int, ...]) -> str:
        """What tells suspects apart: of a claim of probability its data, whatever the draws that selected them."""
        instance, _ = self._instance(key)
        assert instance is not None
        return (instance.with_seed(0) if self.noisy else instance).to_json()

    def _follow_up(self) -> None:
        """Look into the suspects that are left, those that failed most often first, each data set once.

        That a few draws held says little about a rate: of a claim of probability, data that did not fail come later.
        """
        self.climbed, began = self.followed, time.time()
        left = [key for key, score in self.seen.items() if score.failed or (self.noisy and not score.vacuous)]
        for key in sorted(left, key=lambda key: (-self.seen[key].failures, -self.seen[key].margin)):
            if not self._can_follow(since=began, share=_BREADTH if self.noisy else 1.0):
                break
            self._settle(key)
        if self.noisy:
            self._persist(began)

    def _can_follow(self, *, since: float, share: float = 1.0) -> bool:
        """Whether another suspect is looked into: while there is time, or fresh draws are fewer than the climb's.

        Of a claim that one run decides a few are, the largest excess first, though the climb has used up the time.
        """
        if not self.noisy and self.followed < self.climbed + self.suspects:
            return True
        if self.cell.endless:
            return self.until is None or time.time() < since + share * (self.until - since)
        return self.noisy and self.drawn < share * DRAWS * self.cell.evaluations

    def _persist(self, began: float) -> None:
        """What is left of the budget goes to the data sets that failed most often when they were drawn afresh.

        A suspect was given up when it hardly failed twice as often as allowed. A claim of 0.9 that holds with
        probability 0.85 takes some two thousand draws of the right data.
        """
        share = {
            key: evidence["failures"] / evidence["draws"]
            for key in self.settled
            for evidence in self.findings[key][1]["evidence"].get("confirmations", [])[:1]
            if evidence["draws"]
        }
        for key in sorted(share, key=lambda key: -share[key])[:SUSPECTS]:
            if self._can_follow(since=began):
                self._settle(key, again=True)

    def __call__(self, vector: Sequence[int]) -> float:
        key = tuple(int(c) for c in vector)
        self.proposals += 1
        if self.proposals > _PROPOSALS * self.planned + 100:
            raise Finished
        if key not in self.seen:
            if len(self.seen) - self.before >= self.planned:
                raise Finished
            if key not in self.known:
                self._evaluate(key)
            result = self.seen[key] = self.known[key]
            self.replayed += self.seconds[key]
            self.progress(self.cell, result, self.seconds[key])
            if result.failed:
                self._suspect(key, result.margin)
        return self.seen[key].margin

    def used(self) -> float:
        """Share of what a climb may use that is used up, beyond 1 where others have left it their time.

        The same at every proposal when a killed campaign is repeated.
        """
        share = (len(self.seen) - self.before) / self.planned
        left = (self.cell.seconds or 0.0) - self.replayed_before  # what this climb began with
        return max(share, (self.replayed - self.replayed_before) / left) if left > 0 else share

    def _most_draws(self, *, again: bool) -> int | None:
        """How many fresh seeds a suspect may have; None for as many as `confirm` takes."""
        if self.cell.endless or self.until is not None:
            draws = sum(score.draws for score in self.known.values())
            if self.until is None or not draws or not (again or self.settled):
                return None
            each = sum(self.seconds[key] for key, score in self.known.items() if score.draws) / draws
            return max(_FEW, int((self.until - time.time()) / max(each, 1e-6)))
        return max(_FEW, DRAWS * self.cell.evaluations - self.drawn) if again else None

    def _suspect(self, key: tuple[int, ...], margin: float) -> None:
        """Close the cell at its goal; without one, follow up the first few that fail by more than any before."""
        if self.cell.goal is not None:
            if margin >= self.cell.goal:
                raise _Closed
        elif margin > self.largest:
            self.largest = margin
            if self.followed < self.suspects:
                self._settle(key)

    def _evaluate(self, key: tuple[int, ...]) -> None:
        # a claim of probability keeps a part of its time for fresh seeds
        is_late = bool(self.seen) and self.timing.is_over(self.spent, kept=_KEPT if self.noisy else 0.0)
        if self.window is not None:
            now = time.monotonic()
            self.paused |= self.pause is not None and now >= self.pause
            self.pause = self.pause or now + max(self.window, now - self.opened)
        if is_late or self.paused:
            self.is_late = True
            raise Finished
        started = self.timing.now()
        instance, reason = self._instance(key)
        if instance is None:
            result = Score(VACUOUS, reason=reason)
        else:
            # a claim of probability is scored by seeds of its own
            text = (instance.with_seed(0) if self.noisy else instance).to_json()
            if text in self.scores:
                result = replace(self.scores[text], draws=0)
            else:
                result = self.scores[text] = score(self.case, instance, seeds=self.seeds)
        seconds = self.timing.now() - started
        self.seconds[key] = seconds
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

    def _settle(self, key: tuple[int, ...], *, again: bool = False) -> None:
        """Follow up a suspect; a violation, or an excess that nothing here can decide, closes the cell.

        Data that were looked into are not looked into a second time, unless `again` they are drawn for longer.
        """
        data = self._data(key)
        if not again and data in self.known_data:
            return
        self.known_data.add(data)
        status, content = self.findings.get(key, ("", {}))
        before = content.get("evidence", {}).get("confirmations", [])
        if not status or (again and len(before) == 1):
            instance, _ = self._instance(key)
            assert instance is not None
            finding = settle(
                self.case,
                Violation.suspected(self.case, instance, path=self.path, plants=self.cell.plants),
                # a confirmation may use two streams of fresh seeds; a suspect has all the draws that it takes
                draws=Draws(
                    self.seeds,
                    self.fresh + 2 * self.followed,
                    self.followed,
                    most=self._most_draws(again=again),
                    before=tuple(before),
                ),
                place=Place(key, lambda vector: self._instance(tuple(vector))[0]),
            )
            status, content = finding.status, finding.violation.content()
            self.store.add_finding(self.name, key, status, content)
            self.findings[key] = status, content
        self.followed += 1
        confirmations = content["evidence"].get("confirmations", [])
        self.drawn += sum(c["draws"] for c in (confirmations[1:] if again else confirmations[:1]))
        if not again:
            self.settled.append(key)
        if status in CLOSING:
            raise _Closed


class _Closed(Finished):
    """The question that the cell asks is answered."""


#: the row of a cell that was never begun, what it is for being known
_UNSEARCHED = {"evaluations": 0, "vacuous": 0, "seconds": 0.0, "best_margin": None, "reason": "", "finished": False}


def results(store: Store, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Each cell with its row of the record and its findings, as any process sees them.

    Under "followed" it says whether the evaluation that failed by most was looked into, or one of equal margin.
    """
    rows = {row["cell"]: row for row in store.summary()}
    for cell in cells:
        name = cell_id(cell.settings())
        row = dict(rows.get(name, {"cell": name, **_UNSEARCHED}))
        row["violations"] = [(status, content) for status, content in store.findings(name).values()]
        exceeded, followed = store.largest_excess(name)
        row["followed"] = exceeded is None or (followed is not None and followed >= exceeded)
        yield cell, row
