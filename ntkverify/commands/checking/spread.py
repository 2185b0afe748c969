"""The claims of theorem modules judged by workers, a claim a task; those on one machine share the runs' records."""

from __future__ import annotations

import functools
import shutil
import tempfile
import traceback
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ntkverify.commands.checking.session import Seen, Session
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.cluster import Cluster
from ntkverify.judging.check import Check
from ntkverify.judging.verdict import unjudged
from ntkverify.problems.records import RecordStore
from ntkverify.report.files.schema import line, settings_of
from ntkverify.search.campaign.spread import theorem_at
from ntkverify.search.evidence.violation import digest
from ntkverify.theorem.files import ids_of
from ntkverify.theorem.loading import load_theorem


@functools.lru_cache(maxsize=2)
def _check(path: str, sha256: str, called: str, profile: str, backend: str | None, entropy: int, shared: str) -> Check:
    store = RecordStore(_folder(shared))
    return Check(theorem_at(path, sha256, called), profile=profile, backend=backend, entropy=entropy, store=store)


def _folder(name: str) -> Path:
    """Where the workers of one machine share records."""
    return Path(tempfile.gettempdir()) / name


def judged(path: str, sha256: str, called: str, claim: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A claim's verdict, or why there is none, and an error of ours with its traceback. Runs on a worker."""
    check = _check(path, sha256, called, **settings)
    asked = check.theorem.claims[claim]
    try:
        return check.verdict(asked).record(), ""
    except Exception as error:
        bad_input = isinstance(error, NtkVerifyError)
        record = unjudged(check.theorem, asked, str(error)).record()
        return {**record, "bad_input": bad_input}, "" if bad_input else traceback.format_exc()


def forget(name: str) -> None:
    """Remove what the workers of this machine shared."""
    shutil.rmtree(_folder(name), ignore_errors=True)


def spread_session(
    paths: Sequence[Path],
    cluster: Cluster,
    *,
    profile: str,
    backend: str | None,
    entropy: int,
    kind: str | None,
    claims: Sequence[str],
    verdicts: str | None,
    seen: Seen,
) -> Session:
    """Check modules by workers; the verdicts are those of `run_session`.

    Parameters
    ----------
    paths : sequence of Path
        The modules, at the same place on every machine.
    cluster : Cluster
        The workers.
    profile, backend, entropy, kind, claims, verdicts
        As for the command.
    seen : callable
        Called with each verdict's record as it is reached.
    """
    session, shared = Session(), f"ntkverify-{uuid.uuid4().hex}"
    written = settings_of(profile=profile, entropy=entropy, backend=backend)
    settings = {"profile": profile, "backend": backend, "entropy": entropy, "shared": shared}
    tasks: deque[tuple[Any, ...]] = deque()
    for path, called in ids_of(paths).items():
        try:
            theorem = load_theorem(path, called=called)
            Check(theorem, profile=profile, backend=backend, entropy=entropy).refuse_unknown_symbols()
        except NtkVerifyError as error:
            session.refused.append(str(error))
            continue
        for name, claim in theorem.claims.items():
            if (not kind or claim.kind == kind) and (not claims or any(c.lower() in name.lower() for c in claims)):
                tasks.append((str(path), digest(path), called, name, settings))
    order = {(path, name): number for number, (path, _, _, name, _) in enumerate(tasks)}
    session.selected = len(order)
    found: dict[int, dict[str, Any]] = {}
    if verdicts:
        Path(verdicts).write_text("", encoding="utf-8")
    try:
        for (path, _, _, name, _), (record, crash) in cluster.run(judged, tasks):
            session.crash = session.crash or crash
            found[order[path, name]] = record
            seen(record)
            if verdicts and record["verdict"] != "not judged":
                with open(verdicts, "a", encoding="utf-8") as stream:
                    stream.write(line(record, written))
        cluster.everywhere(forget, shared)
    except KeyboardInterrupt:
        session.interrupted = True
        forget(shared)
    session.records = [record for _, record in sorted(found.items())]
    return session
