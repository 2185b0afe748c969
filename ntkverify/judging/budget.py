"""At which levels claims are decided, and how much may be drawn for it; the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

#: level at which a claim is refuted: a thousand true claims keep one false alarm below 1e-4
REFUTE = 1e-7
#: level at which the other side is excluded before a claim is said to hold
CONFIRM = 0.99
#: a claim of probability 1 - delta holds when a failure rate of this times delta is excluded ...
SHARP = 1.25
#: ... or of this times delta, where the budget is used up
BLUNT = 2.0
#: over delta: so many draws decide a claim of probability 1 - delta at its blunt end, even if one fails; this share of
#: them is of one data set afresh
LEAST, AFRESH = 6, 0.75
#: over delta: so many further draws each failure among the fresh ones brings, up to `MOST` of all; without them a true
#: claim that fails at a quarter of its rate would stay open in two checks of three where its family is dear
MORE, MOST = 1.25, 24


@dataclass(frozen=True)
class Budget:
    """What one claim may draw of one family of instances.

    Parameters
    ----------
    data : int
        Different data that a claim of probability is put to; ninety miss one data set in twenty with probability 0.01.
    draws : int
        Draws at most.
    work : float
        Neurons times residuals times sweeps over them that these draws may cost, whatever the machine needs for it. Not
        asked before a claim has seen as many draws as its family prescribes, nor before `LEAST` over delta.
    """

    data: int
    draws: int
    work: float


BUDGETS = {
    "quick": Budget(data=90, draws=4000, work=8e6),
    "ci": Budget(data=120, draws=8000, work=1.6e7),
    "thorough": Budget(data=900, draws=40_000, work=1e10),
}
