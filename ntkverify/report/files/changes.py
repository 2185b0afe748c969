"""What is different between two files of verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ntkverify.report.files.schema import GOOD, Record
from ntkverify.report.table import format_slack

#: slacks that differ by less are alike: two entropies differ by as much
NOTABLE = 1.25


@dataclass(frozen=True)
class Change:
    """What became of one claim between two files.

    Parameters
    ----------
    theorem, claim : str
        Which claim.
    what : {"new", "gone", "verdict", "slack", "rests on"}
        What is different.
    before, after : str
        How it was and is.
    """

    theorem: str
    claim: str
    what: str
    before: str
    after: str

    @property
    def is_worse(self) -> bool:
        """Whether a claim that was well no longer is."""
        return self.what == "verdict" and self.before in GOOD and self.after not in GOOD


def changes(old: Sequence[Record], new: Sequence[Record]) -> list[Change]:
    """What is different between two sets of verdicts, in the order of the new one; what is gone comes last."""
    before = {(r["theorem"], r["claim"]): r for r in old}
    found = []
    for record in new:
        earlier = before.pop((record["theorem"], record["claim"]), None)
        found += [Change(record["theorem"], record["claim"], *said) for said in _differences(earlier, record)]
    return found + [Change(*place, "gone", record["verdict"], "") for place, record in before.items()]


def _differences(old: Record | None, new: Record) -> Iterable[tuple[str, str, str]]:
    if old is None:
        yield "new", "", new["verdict"]
        return
    if old["verdict"] != new["verdict"]:
        yield "verdict", old["verdict"], new["verdict"]
    slacks = [record["slack"] for record in (old, new)]
    # slacks of identities are rounding, those of controls say which draw refuted them first
    if new["quantifier"] != "identity" and new["kind"] != "control" and _notable(*slacks):
        yield "slack", format_slack(slacks[0]), format_slack(slacks[1])
    levels = [record["level"].partition(",")[0] for record in (old, new)]
    if levels[0] != levels[1]:
        yield "rests on", levels[0], levels[1]


def _notable(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is not new
    if old <= 0 or new <= 0:
        return old != new
    return abs(math.log(new / old)) > math.log(NOTABLE)
