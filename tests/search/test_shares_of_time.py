"""Minutes shared by cells over workers, on a clock that runs as fast as windows are handed out."""

import heapq
import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ntkverify.execution.machine.cluster import AHEAD
from ntkverify.search.campaign import shares, spread, workers
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store

SQUARES = "squares sum to n at most"


class Simulated:
    """Workers whose every window takes what it may; they keep a clock, and count what each claim has had.

    Parameters
    ----------
    size : int
        How many.
    ends : dict of str to float
        Claims whose search has nothing new after so many seconds.
    least : float
        Seconds that any window takes.
    """

    def __init__(self, size, ends=(), least=0.0):
        self.size, self.ends, self.least = size, dict(ends), least
        self.now, self.used = 0.0, Counter()

    def time(self):
        return self.now

    def run(self, function, tasks):
        assert function is spread.climb_on
        free, out, number = [0.0] * self.size, [], 0
        while tasks or out:
            while tasks and len(out) < AHEAD * self.size:
                task = tasks.popleft()
                cell, (_, left) = task[2], task[4]
                left = min(left, self.ends.get(cell.claim, math.inf) - self.used[cell.claim])
                start = max(self.now, free[0])
                length = max(min(left, spread.WINDOW), self.least)
                self.used[cell.claim] += length
                heapq.heapreplace(free, start + length)
                heapq.heappush(out, (start + length, number, task, left <= spread.WINDOW, length))
                number += 1
            self.now, _, task, finished, length = heapq.heappop(out)
            yield task, (({}, {}, {}), finished, length)


@pytest.fixture
def shared(theorem, module, monkeypatch):
    """What each of so many claims has had, of the minutes of so many workers, and when the last ended."""

    def shared(claims, size, minutes, *, assumptions=None, **options):
        cluster = Simulated(size, **options)
        for one in (shares, workers):
            monkeypatch.setattr(one, "time", SimpleNamespace(time=cluster.time))
        (cell,) = cells_of(theorem, path=module, claims=[SQUARES], engines=["random"], seconds=60.0)
        cells = [(str(module), replace(cell, claim=str(number), endless=True)) for number in range(claims)]
        answered = None
        if assumptions:
            cells = [(path, replace(cell, relax=(str(k % assumptions),))) for k, (path, cell) in enumerate(cells)]
            answered = lambda cell: False  # noqa: E731
        with Store(None) as store:
            workers.run({}, cells, store, cluster=cluster, answered=answered, wall=60 * minutes)
            finished = {row["claim"] for row in store.summary() if row["finished"]}
            assert finished == set(cluster.used)
        return [cluster.used[str(number)] for number in range(claims)], cluster.now

    return shared


@pytest.mark.parametrize(("claims", "size"), [(100, 2), (100, 16), (7, 3), (2, 4)])
def test_every_claim_has_its_share_of_the_workers_and_all_is_used(shared, claims, size):
    used, end = shared(claims, size, 60)
    fair = 3600 * min(1.0, size / claims)
    assert min(used) >= 0.95 * fair
    assert end == pytest.approx(3600, abs=1)


def test_what_some_claims_leave_goes_to_those_that_begin_later(shared):
    used, end = shared(10, 2, 10, ends={str(number): 5.0 for number in range(8)})
    assert used[:8] == [5.0] * 8
    assert min(used[8:]) >= 0.9 * (600 - 8 * 5 / 2)
    assert end == pytest.approx(600, abs=1)


def test_claims_of_one_question_share_one_worker(shared):
    """Two assumptions of ten claims each keep two of sixteen workers busy."""
    used, end = shared(20, 16, 10, assumptions=2)
    assert min(used) >= 0.95 * 60
    assert max(used) <= 1.05 * 60
    assert end == pytest.approx(600, abs=1)


def test_what_no_worker_has_taken_up_in_time_stays_open(shared):
    used, end = shared(100, 2, 1, least=3.0)
    assert sum(seconds > 0 for seconds in used) == pytest.approx(40, abs=4)
    assert end < 60 + 2 * AHEAD * 3
