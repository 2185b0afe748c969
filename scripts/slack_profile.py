"""The slack profile of a theorem: lemma, bound, measured, slack, and how wide a network each lemma really needs.

    python scripts/slack_profile.py theorems/natural_gradient/gradient_descent_regression.py

The first table is the literal check: one network at the theorem's own width, trained with its own step. The second
draws many networks at growing widths and says from which one on each claim held often enough.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace

import psutil
from tqdm import tqdm

from ntkverify import Instance, NtkVerifyError, load_theorem
from ntkverify.judging.draws import draw_instances
from ntkverify.judging.slack import blame, slack_profile, width_thresholds
from ntkverify.problems.regression import RegressionRun
from ntkverify.report.slack_tables import slack_table, threshold_table
from ntkverify.theorem.parts import Family
from ntkverify.theorem.theorem import Theorem


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("theorem", help="theorem module")
    parser.add_argument(
        "--family", "--regime", help="family of instances; default: the widest that the conclusion is checked on"
    )
    parser.add_argument("--instance", metavar="FILE", help="profile this instance, as a verdict's witness gives it")
    parser.add_argument("--fraction", type=float, default=0.9, help="fraction of draws in which a claim must hold")
    parser.add_argument("--draws", type=int, default=40, help="draws per width; 0 leaves the second table out")
    parser.add_argument("--max-width", type=int, default=2**19, help="largest width of the second table")
    parser.add_argument("--relax", action="append", help="assumption dropped for it; default: any that names the width")
    parser.add_argument("--entropy", type=int, default=0, help="changes every draw")
    parser.add_argument("--json", metavar="FILE", help="also write both tables to FILE")
    return parser.parse_args()


def peak_memory() -> float:
    """Largest resident size of this process so far in GiB; the present one where the system keeps no record."""
    try:
        import resource
    except ImportError:  # not on Windows
        return psutil.Process().memory_info().rss / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def chosen_family(theorem: Theorem, name: str | None, entropy: int) -> Family:
    if name is not None:
        if name not in theorem.families:
            raise NtkVerifyError(f"{theorem.id} has no instances {name!r}; choose one of {sorted(theorem.families)}.")
        return theorem.families[name]
    conclusion = next(claim for claim in theorem.claims.values() if claim.kind == "conclusion")
    candidates = theorem.families_of(conclusion)
    return max(candidates, key=lambda family: draw_instances(family, 1, entropy=entropy)[0].width)


def main() -> None:
    options = arguments()
    theorem = load_theorem(options.theorem)
    if options.instance:
        instance = Instance.load(options.instance)
        family = chosen_family(theorem, instance.family, options.entropy)
    else:
        family = chosen_family(theorem, options.family, options.entropy)
        (instance,) = draw_instances(family, 1, entropy=options.entropy)
    run = family.run(replace(instance, theorem=theorem.id, family=family.name), theorem)

    print(f"{theorem.title}\n{family.name}: width {instance.width}, step {instance.step:.6g}, {instance.steps} steps\n")
    started = time.perf_counter()
    rows = slack_profile(theorem, family, run)
    seconds = time.perf_counter() - started
    print("\n".join(slack_table(rows)))
    if isinstance(run, RegressionRun):
        print(f"\nthe loss fell by {run.losses[0] / run.losses[-1]:.2e}")
    print(f"\n{seconds:.1f} s, peak memory {peak_memory():.2f} GiB\n")

    thresholds = []
    if options.draws:
        relax = options.relax or [name for name in theorem.assumptions if "width" in name]
        widths = [2**i for i in range(1, options.max_width.bit_length()) if 2**i <= options.max_width]
        with tqdm(total=len(widths), desc="widths", unit="width", leave=False) as bar:
            thresholds = width_thresholds(
                theorem,
                family,
                widths=widths,
                relax=relax,
                fraction=options.fraction,
                draws=options.draws,
                entropy=options.entropy,
                progress=lambda width: (bar.set_postfix(width=width), bar.update()),
            )
        print(f"Width from which on each held in {options.fraction:.0%} of {options.draws} draws; prescribed is")
        print(f"{instance.width} (assumptions dropped: {', '.join(relax) or 'none'})\n")
        print("\n".join(threshold_table(thresholds, prescribed=instance.width, largest=widths[-1])))
        print(f"\n{blame(thresholds, instance.width, widths[-1])}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(
                {
                    "instance": json.loads(run.instance.to_json()),
                    "slack": [vars(row) for row in rows],
                    "thresholds": [vars(row) for row in thresholds],
                    "fraction": options.fraction,
                    "draws": options.draws,
                },
                stream,
                indent=1,
            )


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"slack_profile: {error}")
