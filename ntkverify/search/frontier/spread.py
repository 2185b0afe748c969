"""The draws of a frontier by workers: handed out some ahead, and looked at in their order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from ntkverify.execution.machine.cluster import Cluster
from ntkverify.judging.case import Case
from ntkverify.search.campaign.spread import theorem_at
from ntkverify.search.evidence.violation import digest
from ntkverify.search.frontier.bisection import Outcomes, outcomes
from ntkverify.theorem.instance import Instance

#: draws of one task
TOGETHER = 5


def put(
    path: str, sha256: str, called: str, claim: str, family: str, relaxed: tuple[str, ...], drawn: list[str]
) -> list[str]:
    """What some instances say of a case; runs on a worker."""
    theorem = theorem_at(path, sha256, called)
    case = Case(theorem, theorem.claims[claim], theorem.families[family], relaxed)
    return list(outcomes(case, map(Instance.from_json, drawn)))


def spread_outcomes(path: str | Path, cluster: Cluster) -> Outcomes:
    """Puts cases of the theorem of one module to instances, by workers."""
    sha256 = digest(path)

    def spread(case: Case, instances: Iterable[Instance]) -> Iterator[str]:
        left = iter(instances)
        tasks = (
            (
                str(path),
                sha256,
                case.theorem.id,
                case.claim.name,
                case.family.name,
                case.relaxed,
                [i.to_json() for i in drawn],
            )
            for drawn in iter(lambda: list(itertools.islice(left, TOGETHER)), [])
        )
        for found in cluster.in_order(put, tasks):
            yield from found

    return spread
