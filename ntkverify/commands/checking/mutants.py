"""``ntkverify mutants``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError


@shared.command(
    "mutants",
    examples="""
ntkverify mutants theorems/natural_gradient/gradient_descent_regression.py
ntkverify mutants my_theorem.py --only eta_max --survivors
ntkverify mutants my_theorem.py --past-slack""",
)
@shared.some_theorems
@shared.profile
@click.option("--draws", type=click.IntRange(min=1), help="Draw so many instances of every family instead.")
@click.option("--only", metavar="TEXT", help="Mutants, or claims, whose name contains TEXT.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(["constant", "bound", "exponent", "requirement"]),
    help="Only what is wrong in this way; repeatable.",
)  # fmt: skip
@click.option(
    "--survivors", is_flag=True,
    help="Put them to the search, and what it says nothing of to the thorough profile.",
)  # fmt: skip
@click.option("--past-slack", is_flag=True, help="Tighten every bound past its measured slack instead.")
@click.option(
    "--seconds", type=float, default=60, show_default=True, callback=shared.positive,
    help="Budget of that search for each claim.",
)  # fmt: skip
@click.option(
    "--results", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Append what becomes of each to this JSONL, and leave out what is there.",
)  # fmt: skip
@shared.entropy
@shared.table_options
def command(
    theorems: list[Path],
    profile: str,
    draws: int | None,
    only: str | None,
    kinds: tuple[str, ...],
    survivors: bool,
    past_slack: bool,
    seconds: float,
    results: Path | None,
    entropy: int,
    as_json: bool,
    full: bool,
) -> int:
    """Scale every constant, tighten every bound, make every exponent wrong in turn: which does the check refute?

    Of a constant that is the largest of several requirements each is halved, too. "Weaker" is a mutant that tightens no
    bound on any instance, "unseen" one that changes none. One that survives otherwise is still true, its slack says by
    how much, or shows where the check is blind. With --survivors, "missed" is one that the search violates and the
    check does not; the exit status is 1 then. With --past-slack every bound is tightened by its measured slack and a
    little more, until the check refutes it; the exit status is 1 where it never does.
    """
    if past_slack and (survivors or draws is not None or results is not None):
        raise NtkVerifyError(
            "--past-slack goes by the profile's own draws and keeps nothing; leave out --survivors, --draws, --results."
        )
    if past_slack:
        return _past_slack(theorems, profile, only, entropy, as_json=as_json, full=full)
    if draws is not None and survivors:
        raise NtkVerifyError("--draws leaves no thorough profile for --survivors; give one of the two.")
    from ntkverify.commands.checking.fates import Fates
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of

    fates = Fates(results, profile=profile, draws=draws, entropy=entropy, seconds=seconds if survivors else None)
    everything: list[dict[str, Any]] = []
    try:
        for path, name in ids_of(theorems).items():
            records: list[dict[str, Any]] = []
            try:
                for record in fates.of(path, name, only=only or "", kinds=kinds):
                    records.append(record)
            finally:  # an interrupted command shows what it has found
                everything += records
                if not as_json and records:
                    _show(records, full=full)
    finally:
        if as_json:
            console.show_json(everything)
    return 1 if any(found["status"] == "missed" for found in everything) else 0


def _past_slack(
    theorems: list[Path], profile: str, only: str | None, entropy: int, *, as_json: bool, full: bool
) -> int:
    """Tighten every bound past its slack, show what became of it, and return the exit status."""
    from ntkverify.judging.check import Check
    from ntkverify.judging.slack import Margin, past_slack
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of
    from ntkverify.theorem.loading import load_theorem

    everything: list[dict[str, Any]] = []
    blunt = 0
    for path, name in ids_of(theorems).items():
        theorem = load_theorem(path, called=name)
        check = Check(theorem, profile=profile, entropy=entropy)
        claims = [c for c in theorem.claims.values() if c.kind != "control" and (only or "") in c.name]
        margins: list[Margin] = []
        with console.progress(theorem.id, len(claims), unit="claims") as bar:
            for claim in claims:
                margin = past_slack(check, claim)
                margins += [] if margin is None else [margin]
                bar.advance(1, claim.name)
        blunt += sum(m.past is None for m in margins)
        everything += [
            {"theorem": theorem.id, "claim": m.claim, "slack": m.slack, "refuted_at": m.past and float(m.past)}
            for m in margins
        ]
        if not as_json:
            words = ["not refuted" if m.past is None else f"{float(m.past):.3g} times its slack" for m in margins]
            rows = [(m.claim, f"{m.slack:.3g}", word) for m, word in zip(margins, words, strict=True)]
            print(theorem.id)
            console.show(rows, ("claim", "slack", "refuted at"), full=full, indent=2)
            print(f"\n{sum(m.past is not None for m in margins)} of {len(margins)} bounds refuted past their slack")
    if as_json:
        console.show_json(everything)
    return 1 if blunt else 0


def _show(records: list[dict[str, Any]], *, full: bool) -> None:
    from collections import Counter

    from ntkverify.report import console

    rows = [(r["change"], r["status"], r["claim"] or "-", r["evidence"]) for r in records]
    print(records[0]["theorem"])
    console.show(rows, ("mutant", "what became of it", "by the claim", "evidence"), full=full, indent=2)
    counts = Counter(r["status"] for r in records)
    print(
        f"\n{counts.pop('refuted', 0)} of {len(records)} mutants refuted"
        + "".join(f", {count} {status}" for status, count in sorted(counts.items()))
    )
