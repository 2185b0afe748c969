"""``ntkverify frontier``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.execution.machine.cluster import Cluster
    from ntkverify.judging.case import Case
    from ntkverify.theorem.theorem import Theorem


def _values(context: click.Context, parameter: click.Parameter, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise NtkVerifyError(f"--values {text!r} are no numbers separated by commas.") from None


@dataclass(frozen=True)
class Options:
    """What a frontier is drawn by, and recorded with."""

    over: str
    against: str
    values: list[float] | None
    low: float | None
    high: float | None
    fraction: float
    draws: int
    steps: int | None
    entropy: int


@shared.command(
    "frontier",
    examples="""
ntkverify frontier my_theorem.py --values 2,3,4 --png
ntkverify frontier theorems/ --all --high 8192
ntkverify frontier my_theorem.py --over step --against lambda_0
ntkverify frontier gradient_descent_regression --data points.csv --unit --steps 50""",
)
@shared.some_theorems
@click.option("--over", default="width", show_default=True, help="What is varied: width, step, or a parameter.")
@click.option(
    "--against", default="n", show_default=True, help="What the curve is drawn over: n, lambda_0, a parameter ..."
)
@click.option("--values", metavar="A,B,...", callback=_values, help="Values of it.  [default: those that are drawn]")
@shared.claims
@click.option("--all", "every", is_flag=True, help="Every conclusion whose assumptions prescribe a width.")
@shared.family
@click.option("--fraction", type=float, default=0.9, show_default=True, help="Share of draws in which it must hold.")
@click.option("--draws", type=click.IntRange(min=1), default=120, show_default=True, help="Draws at a point, at most.")
@click.option("--low", type=float, help="Least value of --over.")
@click.option("--high", type=float, help="Largest value of --over.")
@click.option("--steps", type=int, help="Training steps.  [default: what the family draws]")
@shared.entropy
@shared.workers
@data_options(steps=False)
@click.option("--png", is_flag=True, help="Also draw phase diagrams; needs matplotlib.")
@click.option("--out", default="frontiers", show_default=True, metavar="FOLDER", help="Where data and figures go.")
@shared.table_options
def command(
    theorems: list[Path],
    claims: tuple[str, ...],
    every: bool,
    family: str | None,
    workers: int,
    scheduler: str | None,
    given: Given | None,
    png: bool,
    out: str,
    as_json: bool,
    full: bool,
    **settings: Any,
) -> int:
    """Find the width, step or parameter at which a conclusion begins to hold.

    Without --claim or --all: the first conclusion; with --data on your points. Files are named by what was asked, so
    that none is overwritten by another question.
    """
    import sys

    from ntkverify.execution.machine.cluster import workers_at
    from ntkverify.judging.check import Check
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of
    from ntkverify.theorem.loading import load_theorem

    if shared.shared_out(workers, scheduler) and given is not None:
        raise NtkVerifyError("--data is for one process: workers would load the module without it.")
    if png:
        needs.package("matplotlib", "leave --png out")
    folder = needs.folder(out, "--out")
    options = Options(**settings)
    records, failures = [], []
    at = None if given is None else given.at(only(theorems), family=family, **_steps(options))
    with workers_at(workers=workers, scheduler=scheduler) as cluster:
        for path, name in ids_of(theorems).items():
            theorem = load_theorem(path, called=name) if at is None else at.whole.restricted(at.assumed.families)
            try:
                Check(theorem).refuse_unknown_symbols()
                cases = _cases(theorem, claims, every, family if at is None else at.base.name, options)
                for case in cases:
                    record = _draw(case, path, options, cluster)
                    if at is not None:
                        record |= {"data": at.data.source}
                    records.append(record)
                    if not as_json:
                        _show(record, options, full=full)
                    _write(record, case, folder, options, png=png, quiet=as_json)
            except NtkVerifyError as error:
                if len(theorems) == 1:
                    raise
                failures.append(f"ntkverify: {path.name}: {error}")  # the others are drawn all the same
    if as_json:
        console.show_json([{key: value for key, value in record.items() if key != "thresholds"} for record in records])
    for failure in failures:
        print(failure, file=sys.stderr)
    return 2 if failures else 0


def _steps(options: Options) -> dict[str, Any]:
    return {} if options.steps is None else {"steps": options.steps}


def _cases(
    theorem: Theorem, claims: tuple[str, ...], every: bool, family: str | None, options: Options
) -> Iterator[Case]:
    """The claims and families of instances that were asked for, or those that suit best."""
    from ntkverify.judging.case import Case
    from ntkverify.search.frontier.frontier import best_family, first_conclusion, prescribes_width
    from ntkverify.theorem.names import chosen

    of = f"theorem {theorem.id!r}"
    names = [chosen(name, theorem.claims, what="claim", of=of) for name in claims]
    if every:
        conclusions = [c for c in theorem.claims.values() if c.kind == "conclusion" and c.bound is not None]
        names += [c.name for c in conclusions if prescribes_width(theorem, c, entropy=options.entropy)]
        if not names:
            raise NtkVerifyError(f"{of}: no assumption prescribes a width.")
    on = None if family is None else theorem.families[chosen(family, theorem.families, what="family", of=of)]
    for name in dict.fromkeys(names or [first_conclusion(theorem).name]):
        claim = theorem.claims[name]
        if claim.bound is None or claim.is_symbolic:
            raise NtkVerifyError(
                f"claim {claim.name!r} has no bound, so that there is nothing to hold from a threshold on."
            )
        found = on or best_family(theorem, claim, against=options.against, entropy=options.entropy)
        yield Case(theorem, claim, found)


def _draw(case: Case, path: Path, options: Options, cluster: Cluster | None) -> dict[str, Any]:
    """One frontier with all that it depends on."""
    from dataclasses import asdict

    from ntkverify.report import console
    from ntkverify.search.evidence.violation import digest, versions
    from ntkverify.search.frontier.bisection import outcomes
    from ntkverify.search.frontier.frontier import frontier
    from ntkverify.search.frontier.setting import Setting
    from ntkverify.search.frontier.spread import spread_outcomes

    with console.progress(case.claim.name[:40], 1, unit="values", even=False) as bar:
        curve = frontier(
            case,
            Setting(options.over, options.low, options.high),
            against=options.against,
            values=options.values,
            fraction=options.fraction,
            draws=options.draws,
            steps=options.steps,
            entropy=options.entropy,
            outcomes=outcomes if cluster is None else spread_outcomes(path, cluster),
            progress=lambda at, value: bar.advance(1, f"{options.against} = {at:g}, {options.over} = {value:.4g}"),
        )
    return {
        "theorem": case.theorem.id,
        "sha256": digest(path),
        "claim": case.claim.name,
        "family": case.family.name,
        **asdict(options),
        "versions": versions(),
        "curve": [asdict(t) for t in curve],
        "thresholds": curve,
    }


def _show(record: dict[str, Any], options: Options, *, full: bool) -> None:
    from ntkverify.report import console
    from ntkverify.report.frontiers import headings, notes, table_rows

    curve = record["thresholds"]
    print(f"{record['theorem']}: {record['claim']} (on {record['family']!r}, in {options.fraction:g} of the draws)")
    console.show(table_rows(curve, fraction=options.fraction), headings(options.over, options.against), full=full)
    for note in notes(curve, over=options.over, against=options.against, fraction=options.fraction):
        print(note)
    print(f"assumptions dropped: {', '.join(sorted({name for t in curve for name in t.relaxed})) or 'none'}")


def _write(record: dict[str, Any], case: Case, folder: Path, options: Options, *, png: bool, quiet: bool) -> None:
    import hashlib
    import json
    import re

    from ntkverify.report.figures import phase_diagram

    asked = {key: value for key, value in record.items() if key not in ("curve", "thresholds", "versions")}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "_", case.claim.name.lower()).strip("_")[:40]
    file = folder / f"{case.theorem.id.rpartition('/')[2]}.{slug}.{digest}.json"
    content = {key: value for key, value in record.items() if key != "thresholds"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise NtkVerifyError(f"{file} can't be written ({error}); choose another --out.") from None
    written = [file]
    if png:
        written.append(file.with_suffix(".png"))
        phase_diagram(
            record["thresholds"], written[-1], over=options.over, against=options.against, title=case.claim.name,
            fraction=options.fraction,
        )  # fmt: skip
    for path in () if quiet else written:
        print(f"written: {path}")
