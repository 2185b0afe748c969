"""Scale every constant and tighten every bound of a theorem in turn: which of these mutants does the check refute?

    python scripts/mutate.py theorems/natural_gradient/gradient_descent_regression.py

A mutant that survives is either still true (its slack says by how much) or shows where the check is blind. With
``--survivors`` each is put to the thorough profile; of what passes that too, the claims about all instances whose bound
became tighter are put to the search. "missed" is a mutant that the search violates, in float64, and the check does not.
``--past-slack`` tightens every bound by its measured slack and by a little more, until the check refutes it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.judging.check import Check
from ntkverify.judging.mutation import Fate, Margin, check_original, fate, mutants, past_slack
from ntkverify.problems.records import RecordStore
from ntkverify.search.campaign.mutants import hunts
from ntkverify.theorem.theorem import PROFILES, Theorem


def again(theorem: Theorem, survivor: Fate, *, path: str, seconds: float, store: RecordStore) -> Fate:
    """A survivor under the thorough profile and, should it survive that, in the search."""
    thorough = fate(theorem, survivor.mutant, profile="thorough", store=store)
    if thorough.refuted:
        return replace(thorough, evidence=f"{thorough.evidence}; thorough profile")
    said = [f"thorough profile: {thorough.evidence}"] if thorough.evidence else []
    searched = False
    for hunt in hunts(theorem, survivor.mutant, path=path, seconds=seconds):
        reached = "nothing exercised" if hunt.reached is None else f"{hunt.reached:.3g} of the bound reached"
        text = f"{hunt.claim!r}: {reached} in a search of {hunt.evaluations} instances"
        if hunt.violated:
            return replace(thorough, status="missed", claim=hunt.claim, evidence=text)
        said.append(text)
        searched = True
    return replace(thorough, evidence="; ".join(said if searched else [*said, "no tighter bound to be searched"]))


def tighten(theorem: Theorem, options: argparse.Namespace) -> list[Margin]:
    """Every bound past its measured slack."""
    check = Check(theorem, profile=options.profile)
    found = []
    for claim in [c for c in theorem.claims.values() if c.kind != "control" and (options.only or "") in c.name]:
        margin = past_slack(check, claim)
        if margin is not None:
            found.append(margin)
            word = "not refuted" if margin.past is None else f"refuted at {float(margin.past):.3g} times its slack"
            print(f"{claim.name}: {word} ({claim.quantifier.name}, slack {margin.slack:.3g})", flush=True)
    print(f"\n{sum(m.past is not None for m in found)} of {len(found)} bounds refuted past their slack")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("theorem", help="theorem module")
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="how many instances to draw")
    parser.add_argument("--draws", type=int, metavar="N", help="draw N instances of every family instead")
    parser.add_argument("--only", metavar="TEXT", help="mutants whose name contains TEXT")
    parser.add_argument("--survivors", action="store_true", help="put them to the thorough profile and to the search")
    parser.add_argument("--seconds", type=float, default=60, help="budget of that search for each claim")
    parser.add_argument("--past-slack", action="store_true", help="tighten bounds past their measured slack instead")
    parser.add_argument("--json", metavar="FILE", help="also write the table to FILE")
    options = parser.parse_args()
    theorem = load_theorem(options.theorem)
    if options.draws is not None and options.survivors:
        parser.error("--draws leaves no thorough profile for --survivors; give one of the two")
    if options.draws is not None:
        if options.draws < 1:
            parser.error(f"--draws must be at least 1, not {options.draws}")
        for name, family in theorem.families.items():
            theorem.families[name] = replace(family, counts=dict.fromkeys(PROFILES, options.draws))
    if options.past_slack:
        margins = tighten(theorem, options)
        if options.json:
            Path(options.json).write_text(json.dumps([asdict(m) for m in margins], default=str, indent=1))
        return
    chosen = [mutant for mutant in mutants(theorem) if not options.only or options.only in mutant.name]
    fates = []
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(Path(folder))
        check_original(theorem, chosen, profile=options.profile, store=store)
        for mutant in tqdm(chosen, desc="mutants", unit="mutant", leave=False):
            f = fate(theorem, mutant, profile=options.profile, store=store)
            if options.survivors and not f.refuted:
                f = again(theorem, f, path=options.theorem, seconds=options.seconds, store=store)
            fates.append(f)
            word = f.status if f.claim is None else f"{f.status}: {f.claim!r}"
            tqdm.write(f"{f.mutant.name} * {f.mutant.factor}: {word}" + (f" ({f.evidence})" if f.evidence else ""))
    others = Counter(f.status for f in fates if not f.refuted)
    print(
        f"\n{sum(f.refuted for f in fates)} of {len(fates)} mutants refuted"
        + "".join(f", {count} {status}" for status, count in sorted(others.items()))
    )
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(f) for f in fates], default=str, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"mutate: {error}")
