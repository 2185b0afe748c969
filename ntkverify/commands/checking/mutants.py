"""``ntkverify mutants``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import options as shared
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.judging.mutation import Bench, Fate
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
    bound on any instance, "unseen" one that changes none. One that survives otherwise is still
    true, its slack says by how much, or shows where the check is blind. With --survivors, "missed" is one that the
    search violates and the check does not; the exit status is 1 then. With --past-slack every bound is tightened by its
    measured slack and a little more, until the check refutes it; the exit status is 1 where it never does.
    """
    if past_slack and (survivors or draws is not None or results is not None):
        raise NtkVerifyError(
            "--past-slack goes by the profile's own draws and keeps nothing; leave out --survivors, --draws, --results."
        )
    if past_slack:
        return _past_slack(theorems, profile, only, entropy, as_json=as_json, full=full)
    if draws is not None and survivors:
        raise NtkVerifyError("--draws leaves no thorough profile for --survivors; give one of the two.")
    import tempfile
    from dataclasses import replace

    from ntkverify.judging.mutation import Bench, mutants
    from ntkverify.problems.records import RecordStore
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of
    from ntkverify.theorem.loading import load_theorem

    everything: list[dict[str, Any]] = []
    kept = _Kept(results, {"profile": profile, "draws": draws, "entropy": entropy, "survivors": survivors})
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
            records: list[dict[str, Any]] = []
            try:
                with (
                    tempfile.TemporaryDirectory() as folder,
                    console.progress(theorem.id, len(chosen), unit="mutants") as bar,
                ):
                    store = RecordStore(Path(folder))
                    bench = Bench(theorem, profile, store, entropy, draws)
                    thorough = Bench(theorem, "thorough", store, entropy)
                    for mutant in chosen:
                        record = kept.record(path, theorem.id, mutant.plant)
                        if record is None:
                            found = bench.fate(mutant)
                            if survivors and found.status not in ("refuted", "weaker"):
                                found = _again(thorough, found, path=path, seconds=seconds, bar=bar)
                            record = kept.keep(path, _record(theorem.id, found))
                        records.append(record)
                        bar.advance(1, mutant.name)
            finally:  # an interrupted command shows what it has found
                everything += records
                if not as_json and records:
                    _show(theorem, records, full=full)
    finally:
        if as_json:
            console.show_json(everything)
    return 1 if any(found["status"] == "missed" for found in everything) else 0


class _Kept:
    """Records in a JSONL file, found again while module and settings are the same.

    Parameters
    ----------
    file : Path or None
        Where they lie; nowhere if None.
    settings : dict
        What else they depend on.
    """

    def __init__(self, file: Path | None, settings: dict[str, Any]) -> None:
        self.file, self.settings = file, settings
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        if file is not None and file.exists():
            for number, line in enumerate(file.read_text().splitlines(), 1):
                try:
                    found = json.loads(line)
                    self.known[found["theorem"], found["change"]] = found
                except (ValueError, KeyError, TypeError):
                    raise NtkVerifyError(
                        f"{file}, line {number} is no record of a mutant; take the line out, or give another --results."
                    ) from None

    def _made_of(self, path: Path) -> dict[str, Any]:
        return {**self.settings, "module": hashlib.sha256(path.read_bytes()).hexdigest()[:16]}

    def record(self, path: Path, theorem: str, change: str) -> dict[str, Any] | None:
        """The record of a mutant, if it is there and of the same module and settings."""
        found = self.known.get((theorem, change))
        return found if found is not None and found.get("settings") == self._made_of(path) else None

    def keep(self, path: Path, record: dict[str, Any]) -> dict[str, Any]:
        """Append a record to the file, and return it."""
        if self.file is not None:
            with self.file.open("a") as out:
                out.write(json.dumps({**record, "settings": self._made_of(path)}) + "\n")
        return record


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


def _show(theorem: Theorem, records: list[dict[str, Any]], *, full: bool) -> None:
    from collections import Counter

    from ntkverify.report import console

    rows = [(r["change"], r["status"], r["claim"] or "-", r["evidence"]) for r in records]
    print(theorem.id)
    console.show(rows, ("mutant", "what became of it", "by the claim", "evidence"), full=full, indent=2)
    counts = Counter(r["status"] for r in records)
    print(
        f"\n{counts.pop('refuted', 0)} of {len(records)} mutants refuted"
        + "".join(f", {count} {status}" for status, count in sorted(counts.items()))
    )


def _again(thorough: Bench, survivor: Fate, *, path: Path, seconds: float, bar: Progress) -> Fate:
    """A survivor under the thorough profile and, should it survive that, in the search."""
    from dataclasses import replace

    from ntkverify.search.campaign.mutants import hunts

    found = thorough.fate(survivor.mutant)
    if found.refuted:
        return replace(found, evidence=f"{found.evidence}; thorough profile")
    said = [f"thorough profile: {found.evidence}"] if found.evidence else []
    searched = False
    for hunt in hunts(thorough.theorem, survivor.mutant, path=path, seconds=seconds):
        bar.advance(0, f"searched: {hunt.claim}")
        reached = "nothing exercised" if hunt.reached is None else f"{hunt.reached:.3g} of the bound reached"
        text = f"{hunt.claim!r}: {reached} in a search of {hunt.evaluations} instances"
        if hunt.violated:
            return replace(found, status="missed", claim=hunt.claim, evidence=text)
        said.append(text)
        searched = True
    return replace(found, evidence="; ".join(said if searched else [*said, "no tighter bound to be searched"]))
