"""``ntkverify mutants``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.judging.mutation import Fate
    from ntkverify.problems.records import RecordStore
    from ntkverify.report.console import Progress
    from ntkverify.theorem.theorem import Theorem


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
@click.option("--survivors", is_flag=True, help="Put them to the thorough profile, then to the search.")
@click.option("--past-slack", is_flag=True, help="Tighten every bound past its measured slack instead.")
@click.option(
    "--seconds", type=float, default=60, show_default=True, callback=shared.positive,
    help="Budget of that search for each claim.",
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
    entropy: int,
    as_json: bool,
    full: bool,
) -> int:
    """Scale every constant, tighten every bound, make every exponent wrong in turn: which does the check refute?

    Of a constant that is the largest of several requirements each is halved, too. A mutant that survives is still
    true, its slack says by how much, or shows where the check is blind. With --survivors, "missed" is one that the
    search violates and the check does not; the exit status is 1 then. With --past-slack every bound is tightened by its
    measured slack and a little more, until the check refutes it; the exit status is 1 where it never does.
    """
    if past_slack and (survivors or draws is not None):
        raise NtkVerifyError("--past-slack goes by the profile's own draws; leave out --survivors and --draws.")
    if past_slack:
        return _past_slack(theorems, profile, only, entropy, as_json=as_json, full=full)
    if draws is not None and survivors:
        raise NtkVerifyError("--draws leaves no thorough profile for --survivors; give one of the two.")
    import tempfile
    from dataclasses import replace

    from ntkverify.judging.mutation import check_original, fate, mutants
    from ntkverify.problems.records import RecordStore
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of
    from ntkverify.theorem.loading import load_theorem

    everything: list[dict[str, Any]] = []
    try:
        for path, name in ids_of(theorems).items():
            theorem = load_theorem(path, called=name)
            if draws is not None:
                counts = dict.fromkeys(shared.PROFILES, draws)
                theorem.families.update({name: replace(f, counts=counts) for name, f in theorem.families.items()})
            chosen = [
                mutant
                for mutant in mutants(theorem)
                if (not only or only in mutant.name) and (not kinds or mutant.kind in kinds)
            ]
            fates: list[Fate] = []
            try:
                with (
                    tempfile.TemporaryDirectory() as folder,
                    console.progress(theorem.id, len(chosen), unit="mutants") as bar,
                ):
                    store = RecordStore(Path(folder))
                    check_original(theorem, chosen, profile=profile, store=store, entropy=entropy, draws=draws)
                    for mutant in chosen:
                        found = fate(theorem, mutant, profile=profile, store=store, entropy=entropy)
                        if survivors and not found.refuted:
                            found = _again(theorem, found, path=path, seconds=seconds, store=store, bar=bar)
                        fates.append(found)
                        bar.advance(1, mutant.name)
            finally:  # an interrupted command shows what it has found
                everything += [_record(theorem.id, found) for found in fates]
                if not as_json and fates:
                    _show(theorem, fates, full=full)
    finally:
        if as_json:
            console.show_json(everything)
    return 1 if any(found["status"] == "missed" for found in everything) else 0


def _past_slack(
    theorems: list[Path], profile: str, only: str | None, entropy: int, *, as_json: bool, full: bool
) -> int:
    """Tighten every bound past its slack, show what became of it, and return the exit status."""
    from ntkverify.judging.check import Check
    from ntkverify.judging.mutation import Margin, past_slack
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


def _record(theorem: str, found: Fate) -> dict[str, Any]:
    return {
        "theorem": theorem,
        "mutant": found.mutant.name,
        "factor": str(found.mutant.factor),
        "is_constant": found.mutant.is_constant,
        "kind": found.mutant.kind,
        "change": found.mutant.plant,
        "status": found.status,
        "claim": found.claim,
        "evidence": found.evidence,
    }


def _show(theorem: Theorem, fates: list[Fate], *, full: bool) -> None:
    from collections import Counter

    from ntkverify.report import console

    rows = [(f.mutant.plant, f.status, f.claim or "-", f.evidence) for f in fates]
    print(theorem.id)
    console.show(rows, ("mutant", "what became of it", "by the claim", "evidence"), full=full, indent=2)
    others = Counter(f.status for f in fates if not f.refuted)
    print(
        f"\n{sum(f.refuted for f in fates)} of {len(fates)} mutants refuted"
        + "".join(f", {count} {status}" for status, count in sorted(others.items()))
    )


def _again(theorem: Theorem, survivor: Fate, *, path: Path, seconds: float, store: RecordStore, bar: Progress) -> Fate:
    """A survivor under the thorough profile and, should it survive that, in the search."""
    from dataclasses import replace

    from ntkverify.judging.mutation import fate
    from ntkverify.search.campaign.mutants import hunts

    thorough = fate(theorem, survivor.mutant, profile="thorough", store=store)
    if thorough.refuted:
        return replace(thorough, evidence=f"{thorough.evidence}; thorough profile")
    said = [f"thorough profile: {thorough.evidence}"] if thorough.evidence else []
    searched = False
    for hunt in hunts(theorem, survivor.mutant, path=path, seconds=seconds):
        bar.advance(0, f"searched: {hunt.claim}")
        reached = "nothing exercised" if hunt.reached is None else f"{hunt.reached:.3g} of the bound reached"
        text = f"{hunt.claim!r}: {reached} in a search of {hunt.evaluations} instances"
        if hunt.violated:
            return replace(thorough, status="missed", claim=hunt.claim, evidence=text)
        said.append(text)
        searched = True
    return replace(thorough, evidence="; ".join(said if searched else [*said, "no tighter bound to be searched"]))
