"""Needed against prescribed width, for every theorem whose assumptions prescribe one.

    python scripts/width_frontier.py --out frontiers

For each conclusion with a bound the width at which it starts to hold in nine of ten draws is bisected over n; the
data go to OUT/THEOREM.CONCLUSION.json, the phase diagrams to OUT/THEOREM.CONCLUSION.png.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.commands.frontier import lines, write_record
from ntkverify.judging.case import Case
from ntkverify.pytest_plugin import is_theorem_module
from ntkverify.report.figures import phase_diagram
from ntkverify.search.evidence.violation import versions
from ntkverify.search.frontier.frontier import best_family, frontier, prescribes_width
from ntkverify.search.frontier.setting import Setting
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("theorems", nargs="*", help="theorem modules; default: all below theorems/")
    parser.add_argument("--only", metavar="TEXT", help="conclusions whose name contains TEXT")
    parser.add_argument("--against", default="n", help="what the curves are drawn over")
    parser.add_argument("--fraction", type=float, default=0.9, help="share of draws in which the claim must hold")
    parser.add_argument("--draws", type=int, default=120, help="draws at one width, at most")
    parser.add_argument("--steps", type=int, help="training steps; default: what the family of instances draws")
    parser.add_argument("--max-width", type=int, default=2**13, help="largest width that is trained")
    parser.add_argument("--entropy", type=int, default=0, help="changes every draw")
    parser.add_argument("--out", default="frontiers", help="folder for data and figures")
    return parser.parse_args()


def study(path: str, options: argparse.Namespace) -> None:
    theorem = load_theorem(path)
    chosen = [
        claim
        for claim in theorem.claims.values()
        if claim.kind == "conclusion" and claim.bound is not None and (not options.only or options.only in claim.name)
    ]
    if not chosen:
        print(f"{theorem.title}: no conclusion with a bound has {options.only!r} in its name.")
        return
    wide = [claim for claim in chosen if prescribes_width(theorem, claim, entropy=options.entropy)]
    if not wide:
        print(f"{theorem.title}: no assumption prescribes a width.")
    for claim in wide:
        slug = re.sub(r"[^a-z0-9]+", "_", claim.name.lower()).strip("_")[:60]
        draw(theorem, claim, f"{Path(path).stem}.{slug}", options)


def draw(theorem: Theorem, claim: Claim, name: str, options: argparse.Namespace) -> None:
    case = Case(theorem, claim, best_family(theorem, claim, against=options.against, entropy=options.entropy))
    with tqdm(desc=f"{theorem.id}: {claim.name[:40]}", unit="width", leave=False) as bar:
        curve = frontier(
            case, Setting(high=options.max_width), against=options.against, fraction=options.fraction,
            draws=options.draws, steps=options.steps, entropy=options.entropy, progress=lambda at, width: bar.update(),
        )  # fmt: skip
    print(f"\n{theorem.title}: {claim.name} (on {case.family.name!r})")
    print("\n".join(lines(curve, over="width", against=options.against)))
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"over": "width"} | {
        key: getattr(options, key) for key in ("against", "fraction", "draws", "steps", "max_width", "entropy")
    }
    parts = {"theorem": theorem.id, "claim": claim.name, "family": case.family.name}
    record = {**parts, **settings, "versions": versions()}
    write_record({**record, "curve": [asdict(t) for t in curve]}, folder / f"{name}.json")
    phase_diagram(
        curve, folder / f"{name}.png", over="width", against=options.against, title=claim.name,
        fraction=options.fraction,
    )  # fmt: skip


def main() -> int:
    options = arguments()
    found = Path(__file__).parents[1].glob("theorems/**/*.py")
    status = 0
    for path in options.theorems or sorted(str(p) for p in found if is_theorem_module(p)):
        try:
            study(path, options)
        except NtkVerifyError as error:  # the other theorems are studied all the same
            print(f"width_frontier: {Path(path).name}: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
