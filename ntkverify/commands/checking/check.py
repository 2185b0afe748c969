"""``ntkverify check``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.commands.checking.session import Session
    from ntkverify.data.at import TheoremAt


@shared.command(
    "check",
    examples="""
ntkverify check theorems/
ntkverify check theorems/natural_gradient/gradient_descent_regression.py --claim "L(k)"
ntkverify check my_theorem.py --kind control --full
ntkverify check gradient_descent_regression --data points.csv --unit --width 4096 --draws 10""",
)
@shared.theorems
@shared.claims
@click.option("--kind", type=click.Choice(["lemma", "conclusion", "control"]), help="Only claims of this kind.")
@shared.profile
@shared.backend
@shared.entropy
@shared.workers
@click.option("--verdicts", metavar="FILE", help="Also write every verdict to FILE, one JSON object a line.")
@click.option("--observe", metavar="FILE", help="Write every claim put to one run to FILE, one JSON object a line.")
@click.option("--proofs", metavar="FOLDER", help="Also write the proofs of what is proved to FOLDER, to be checked.")
@click.option("--allow-inconclusive", is_flag=True, help="A claim that could not be decided is no failure.")
@data_options()
@click.option("--draws", type=click.IntRange(min=1), help="With --data: so many draws of the weights and no more.")
@click.option("--relax", multiple=True, metavar="ASSUMPTION", help="With --data: no longer ask for it; repeatable.")
@shared.table_options
def command(
    theorems: list[Path],
    claims: tuple[str, ...],
    kind: str | None,
    profile: str,
    backend: str | None,
    entropy: int,
    workers: int,
    scheduler: str | None,
    verdicts: str | None,
    observe: str | None,
    proofs: str | None,
    allow_inconclusive: bool,
    given: Given | None,
    draws: int | None,
    relax: tuple[str, ...],
    as_json: bool,
    full: bool,
) -> int:
    """Draw a theorem's instances and judge every claim.

    The verdicts are those of `pytest THEOREM`. A control is false on purpose and must be refuted. With --data the
    networks are drawn on your points, and claims whose assumptions fail there are left out.
    """
    from ntkverify.execution.backends import chosen_backend
    from ntkverify.report.files.schema import settings_of

    apart = shared.shared_out(workers, scheduler)
    if apart and (observe or proofs):
        raise NtkVerifyError("--observe and --proofs are for one process; leave --workers and --scheduler out.")
    chosen_backend(backend)  # one that is not there is refused before anything is loaded
    if given is not None:
        if kind or apart or observe or proofs:
            raise NtkVerifyError(
                "--kind, --workers, --scheduler, --observe and --proofs are not for --data; leave them out."
            )
        settings = {"claims": list(claims) or None, "draws": draws, "profile": profile, "entropy": entropy}
        return _at_data(
            given.at(only(theorems), relax=relax, backend=backend), settings, verdicts,
            as_json=as_json, full=full, allow_inconclusive=allow_inconclusive,
        )  # fmt: skip
    if draws or relax:
        raise NtkVerifyError("--draws and --relax go with --data; name your points with --data FILE.")
    asked: dict[str, Any] = {"profile": profile, "backend": backend, "entropy": entropy, "kind": kind, "claims": claims}
    plugin = _plugin_options(
        **asked, verdicts=verdicts, observe=observe, proofs=proofs, allow_inconclusive=allow_inconclusive
    )
    theorems, passed_over = _collected(theorems)
    session = _session(theorems, plugin, asked, verdicts, workers=workers, scheduler=scheduler)
    session.refused += passed_over
    if not session.records and not session.refused and not session.interrupted and not session.crash:
        raise NtkVerifyError(_nothing(theorems, claims, kind))
    _keep(theorems, session.records, {"profile": profile, "entropy": entropy})
    settings = settings_of(profile=profile, entropy=entropy, backend=backend)
    _show(session, settings, as_json=as_json, full=full, allow_inconclusive=allow_inconclusive)
    return session.status(allow_inconclusive=allow_inconclusive)


def _at_data(at: TheoremAt, settings: dict[str, Any], verdicts: str | None, **shown: bool) -> int:
    from ntkverify.commands.checking.given import check_given

    return check_given(at, settings, verdicts=_writable(verdicts) if verdicts else None, **shown)


def _plugin_options(
    *,
    profile: str,
    backend: str | None,
    entropy: int,
    kind: str | None,
    claims: tuple[str, ...],
    verdicts: str | None,
    observe: str | None,
    proofs: str | None,
    allow_inconclusive: bool,
) -> list[str]:
    """The same for pytest; files are tried."""
    options = ["--ntk-profile", profile, "--ntk-entropy", str(entropy)]
    options += ["--ntk-backend", backend] if backend else []
    options += ["--verdicts", _writable(verdicts)] if verdicts else []
    options += ["--observe", _writable(observe, "--observe")] if observe else []
    options += ["--proofs", proofs] if proofs else []
    options += ["-m", kind] if kind else []
    options += ["--ntk-allow-inconclusive"] if allow_inconclusive else []
    return options + [word for claim in claims for word in ("--ntk-claim", claim)]


def _collected(theorems: list[Path]) -> tuple[list[Path], list[str]]:
    """The modules that pytest collects theorems from, and why it passes over the others."""
    from ntkverify.theorem.files import why_not_collected

    passed_over = [sentence for path in theorems if (sentence := why_not_collected(path))]
    found = [path for path in theorems if not why_not_collected(path)]
    if passed_over and not found:
        raise NtkVerifyError(" ".join(passed_over))
    return found, passed_over


def _session(
    theorems: list[Path],
    plugin: list[str],
    asked: dict[str, Any],
    verdicts: str | None,
    *,
    workers: int,
    scheduler: str | None,
) -> Session:
    """The check, in this process or by workers, under a bar."""
    from ntkverify.commands.checking.session import run_session
    from ntkverify.execution.machine.cluster import workers_at
    from ntkverify.report import console

    known = _expected(theorems, asked["profile"], asked["claims"], asked["kind"])
    total = sum(known.values()) if known else 0.0
    # how long a claim takes is known from the last time; else claims are counted, and no time left is foretold
    with console.progress("checking", total, unit="" if known else "claims", even=bool(known)) as bar:

        def seen(record: dict[str, Any]) -> None:
            bar.advance(known.get(f"{record['theorem']}: {record['claim']}", 0.0) if known else 1, record["claim"])

        with workers_at(workers=workers, scheduler=scheduler) as cluster:
            if cluster is None:
                return run_session(theorems, plugin, seen=seen)
            from ntkverify.commands.checking.spread import spread_session

            file = _writable(verdicts) if verdicts else None
            return spread_session(theorems, cluster, **asked, verdicts=file, seen=seen)


def _show(
    session: Session, settings: Mapping[str, Any], *, as_json: bool, full: bool, allow_inconclusive: bool
) -> None:
    """The verdicts, and after them what has no place in the table."""
    from ntkverify.report import console
    from ntkverify.report.files.schema import whole
    from ntkverify.report.verdicts import show_verdicts

    if as_json:
        console.show_json([whole(record, settings) for record in session.records])
    else:
        show_verdicts(session.records, full=full, allow_inconclusive=allow_inconclusive)
    for sentence in session.refused:
        click.echo(f"ntkverify: {sentence}", err=True)
    if session.crash:
        click.echo(f"ntkverify: an error of ntkverify's own, please report it:\n{session.crash}", err=True)
    if session.interrupted:
        reached = "; the verdicts that were reached stand above" if session.records else ""
        click.echo(f"ntkverify: interrupted{reached}.", err=True)


def _writable(name: str, option: str = "--verdicts") -> str:
    """A file's name, once it is known that it can be written."""
    try:
        with open(name, "a", encoding="utf-8"):
            return name
    except OSError as error:
        raise NtkVerifyError(f"{option} {name} can't be written ({error.strerror}); choose another file.") from None


def _nothing(theorems: list[Path], claims: tuple[str, ...], kind: str | None) -> str:
    """Why no claim was selected; the nearest."""
    from ntkverify.theorem.loading import load_theorem
    from ntkverify.theorem.names import nearest

    names = [
        claim.name for path in theorems for claim in load_theorem(path).claims.values() if kind in (None, claim.kind)
    ]
    return f"there is no {kind or 'claim'} {' or '.join(map(repr, claims))}; {nearest(' '.join(claims), names)}"


def _expected(theorems: list[Path], profile: str, claims: tuple[str, ...], kind: str | None) -> dict[str, float] | None:
    """Seconds that each claim took the last time; None unless all modules are known."""
    from ntkverify.commands.checking.kept import seconds_of
    from ntkverify.theorem.files import ids_of

    found: dict[str, float] = {}
    for path, name in ids_of(theorems).items():
        seconds = seconds_of(path, profile=profile, claims=claims, kind=kind)
        if not seconds and not claims:
            return None
        found.update({f"{name}: {claim}": value for claim, value in seconds.items()})
    return found


def _keep(theorems: list[Path], records: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    from ntkverify.commands.checking.kept import keep
    from ntkverify.theorem.files import ids_of

    for path, name in ids_of(theorems).items():
        mine = [r for r in records if r["theorem"] == name and r["verdict"] != "not judged"]
        if mine:
            keep(path, mine, settings=settings)
