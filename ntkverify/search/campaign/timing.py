"""When a cell's time is over, and by which clock."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The time of one cell.

    A search for some minutes goes by the clock on the wall: processor time runs as many times faster as a run has
    threads. Without an end a cell has seconds of processor time, so that a loaded machine searches no less.

    Parameters
    ----------
    seconds : float or None
        Budget of processor time; not asked where there is an end.
    until : float or None
        When the cell ends, as `time.time` counts.
    began : float
        When it began.
    """

    seconds: float | None
    until: float | None
    began: float

    def now(self) -> float:
        """What a clock shows that differences are taken of, in seconds."""
        return time.process_time() if self.until is None else time.perf_counter()

    def is_over(self, spent: float, *, kept: float = 0.0) -> bool:
        """Whether so many seconds use up the budget, or the end has come but for a share that is kept."""
        if self.until is None:
            return self.seconds is not None and spent >= self.seconds
        return time.time() >= self.until - kept * max(self.until - self.began, 0.0)
