"""Shares of a campaign's time, in seconds of a worker, so that a cell's time does not pass while it waits its turn."""

from __future__ import annotations

import time
from collections.abc import Mapping


class Shares:
    """What cells have had of the time of all workers, and what is left to each.

    All are to come to the same share, by weight; what one leaves goes to the others.

    Parameters
    ----------
    until : float
        When all of it ends, as `time.time` counts.
    weights : mapping of str to float
        The cells, and their parts of the whole.
    """

    def __init__(self, until: float, weights: Mapping[str, float]) -> None:
        self._until, self._weights = until, dict(weights)
        self.used = dict.fromkeys(weights, 0.0)

    @property
    def rest(self) -> float:
        """Seconds until all of it ends."""
        return max(self._until - time.time(), 0.0)

    def charge(self, cell: str, seconds: float) -> None:
        """A worker was busy with a cell."""
        self.used[cell] += seconds

    def close(self, cell: str) -> None:
        """A cell needs no more."""
        self._weights.pop(cell, None)

    def left(self, cell: str, at_once: int) -> float:
        """Seconds of a worker that are left to a cell, so many workers being busy with the cells that are open."""
        had = sum(self.used[name] for name in self._weights)
        level = (at_once * self.rest + had) / sum(self._weights.values())
        return min(max(self._weights[cell] * level - self.used[cell], 0.0), self.rest)
