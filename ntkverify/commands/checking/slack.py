"""``ntkverify slack``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.judging.slack import Threshold
    from ntkverify.theorem.instance import Instance
    from ntkverify.theorem.parts import Family
    from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Options:
    """What a profile is made by."""

    family: str | None
    instance: str | None
    fraction: float
    draws: int
    max_width: int
    relax: tuple[str, ...]
    entropy: int
    backend: str | None


@shared.command(
    "slack",
    examples="""
ntkverify slack theorems/natural_gradient/gradient_descent_regression.py
ntkverify slack my_theorem.py --family narrow --draws 0
ntkverify slack my_theorem.py --instance witness.json
ntkverify slack gradient_descent_regression --data points.csv --unit --width 4096 --steps 50""",
)
@shared.some_theorems
@click.option(
    "--family", "--regime", metavar="NAME", help="Family.  [default: the widest that the conclusion is checked on]"
)
@click.option("--instance", metavar="FILE", help="Profile this instance, as a verdict's witness gives it.")
@click.option("--fraction", type=float, default=0.9, show_default=True, help="Share of draws in which a claim holds.")
@click.option(
    "--draws", type=click.IntRange(min=0), default=40, show_default=True,
    help="Draws per width; 0 leaves the second table out.",
)  # fmt: skip
@click.option(
    "--max-width", type=click.IntRange(min=2), default=2**19, show_default=True, help="Largest width of that table."
)
@click.option(
    "--relax", multiple=True, metavar="ASSUMPTION", help="Dropped for it.  [default: those that name the width]"
)
@shared.backend
@shared.entropy
@data_options()
@shared.table_options
def command(theorems: list[Path], given: Given | None, as_json: bool, full: bool, **settings: Any) -> int:
    """Say which lemma is loose, by how much, and how wide a network each really needs.

    The first table is one network at the theorem's own width, trained with its own step; the second draws many at
    growing widths. With --data both are on your points.
    """
    from ntkverify.execution.backends import chosen_backend
    from ntkverify.judging.check import Check
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of
    from ntkverify.theorem.loading import load_theorem

    options = Options(**settings)
    if not 0 < options.fraction <= 1:
        raise NtkVerifyError(f"--fraction must lie between 0 and 1, not {options.fraction:g}.")
    chosen_backend(options.backend)
    found: list[dict[str, Any]] = []
    failures: list[str] = []
    try:
        for number, (path, name) in enumerate(ids_of(theorems).items()):
            if number and not as_json:
                print()
            try:
                theorem = load_theorem(path, called=name)
                Check(theorem).refuse_unknown_symbols()
                dropped = _dropped(theorem, options)
                at = _chosen(theorem, options) if given is None else _at(given, theorems, options)
                found.append({"theorem": theorem.id})
                _profile(*at, replace(options, relax=dropped), found[-1], quiet=as_json, full=full)
            except NtkVerifyError as error:
                if len(theorems) == 1:
                    raise
                failures.append(f"ntkverify: {path.name}: {error}")  # the others are profiled all the same
    finally:  # what was computed is shown, whatever came after
        if as_json:
            console.show_json([content for content in found if "slack" in content])
    for failure in failures:
        click.echo(failure, err=True)
    return 2 if failures else 0


def _dropped(theorem: Theorem, options: Options) -> tuple[str, ...]:
    """The assumptions to drop, in full; those that name the width if none was named."""
    from ntkverify.theorem.names import chosen

    of = f"theorem {theorem.id!r}"
    named = [chosen(name, theorem.assumptions, what="assumption", of=of) for name in options.relax]
    return tuple(named or [name for name in theorem.assumptions if "width" in name])


def _at(given: Given, theorems: list[Path], options: Options) -> tuple[Theorem, Family, Instance]:
    """The theorem on given data, whatever the width there is."""
    from ntkverify.data.check import refuse_too_wide

    if options.instance:
        raise NtkVerifyError("--instance has data of its own; leave it or --data out.")
    theorem = only(theorems)
    at = given.at(theorem, family=options.family, relax=_dropped(theorem, options), backend=options.backend)
    refuse_too_wide(at)
    return at.theorem, at.family, at.instance


def _profile(
    theorem: Theorem,
    family: Family,
    instance: Instance,
    options: Options,
    content: dict[str, Any],
    *,
    quiet: bool,
    full: bool,
) -> None:
    """Both tables of one theorem into `content`, printed as they are made unless `quiet`."""
    import json

    from ntkverify.judging.slack import slack_profile
    from ntkverify.report import console
    from ntkverify.report.slack_tables import slack_table

    run = family.run(
        replace(instance, theorem=theorem.id, family=family.name), theorem, backend=options.backend or "auto"
    )
    if not quiet:
        print(theorem.title)
        print(f"{family.name}: width {instance.width}, step {float(run.eta):.6g}, {instance.steps} steps\n")
    clock = console.Clock()
    rows = slack_profile(theorem, family, run)
    if not rows:
        raise NtkVerifyError(
            f"no claim with a bound is checked on {family.name!r} of theorem {theorem.id!r}, or none is exercised "
            f"there; choose --family {' or '.join(map(repr, _with_claims(theorem)))}."
        )
    if not quiet:
        print("\n".join(slack_table(rows, width=None if full else console.width())))
        print(f"\n{clock.seconds:.1f} s, peak memory {_peak_memory():.2f} GiB")
    content |= {
        "instance": json.loads(run.instance.to_json()),
        "slack": [vars(row) for row in rows],
        "fraction": options.fraction,
        "draws": options.draws,
    }
    thresholds, said = _thresholds(theorem, family, instance, options, quiet=quiet, full=full)
    content |= {"thresholds": [vars(row) for row in thresholds], "blame": said}


def _thresholds(
    theorem: Theorem,
    family: Family,
    instance: Instance,
    options: Options,
    *,
    quiet: bool,
    full: bool,
) -> tuple[list[Threshold], str]:
    """The second table, and the sentence that says who is to blame."""
    from ntkverify.judging.slack import blame, width_thresholds
    from ntkverify.report import console
    from ntkverify.report.slack_tables import threshold_table

    if not options.draws or not instance.width:
        said = "" if instance.width else f"{family.name!r} has no network, and so no widths to compare."
        if said and not quiet:
            print(f"\n{said}")
        return [], said
    widths = [2**i for i in range(1, options.max_width.bit_length()) if 2**i <= options.max_width]
    with console.progress("widths", len(widths), unit="widths", even=False) as bar:
        thresholds = width_thresholds(
            theorem,
            family,
            widths=widths,
            relax=options.relax,
            fraction=options.fraction,
            draws=options.draws,
            entropy=options.entropy,
            progress=lambda width: bar.advance(1, f"width {width}"),
        )
    said = blame(thresholds, instance.width, widths[-1])
    if not quiet:
        print(f"\nWidth from which on each held in {options.fraction:.0%} of {options.draws} draws; prescribed is")
        print(f"{instance.width} (assumptions dropped: {', '.join(options.relax) or 'none'})\n")
        columns = None if full else console.width()
        print(
            "\n".join(threshold_table(thresholds, prescribed=instance.width, largest=widths[-1], width=columns))
            + f"\n\n{said}"
        )
    return thresholds, said


def _chosen(theorem: Theorem, options: Options) -> tuple[Theorem, Family, Instance]:
    """The family, by name or the widest that a conclusion is checked on, and an instance of it."""
    from ntkverify.judging.draws import draw_instances
    from ntkverify.theorem.instance import Instance
    from ntkverify.theorem.names import chosen

    given = None if options.instance is None else Instance.load(options.instance)
    name = options.family if given is None else given.family
    if name is not None:
        family = theorem.families[
            chosen(name, theorem.families, what="family of instances", of=f"theorem {theorem.id!r}")
        ]
    else:
        conclusion = next(claim for claim in theorem.claims.values() if claim.kind == "conclusion")
        candidates = theorem.families_of(conclusion) or tuple(theorem.families.values())
        if not candidates:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no instances: its claims are about expressions.")
        family = max(candidates, key=lambda one: draw_instances(one, 1, entropy=options.entropy)[0].width)
    return theorem, family, given or draw_instances(family, 1, entropy=options.entropy)[0]


def _with_claims(theorem: Theorem) -> list[str]:
    from ntkverify.judging.slack import profiled

    return [name for name, family in theorem.families.items() if profiled(theorem, family)]


def _peak_memory() -> float:
    """Largest resident size of this process so far in GiB; the present one where the system keeps no record."""
    import sys

    try:
        import resource
    except ImportError:  # not on Windows
        import psutil

        return float(psutil.Process().memory_info().rss / 2**30)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
