"""``ntkverify replay``."""

from __future__ import annotations

import click

from ntkverify.commands import options as shared


@shared.command(
    "replay",
    examples="""
ntkverify replay violations/gradient_descent_regression-0123456789.json
ntkverify replay violation.json --theorem my_theorems/ --json""",
)
@click.argument("file", metavar="FILE")
@click.option("--theorem", "where", metavar="THEOREM", help="Where the theorem's module is now.")
@shared.table_options
def command(file: str, where: str | None, as_json: bool, full: bool) -> int:
    """Repeat a violation in float64 and show it against its bound."""
    from ntkverify.commands.hunting.violations import introduce, theorem_of
    from ntkverify.report import console
    from ntkverify.report.campaign import replay_rows
    from ntkverify.search.evidence.replay import replay
    from ntkverify.search.evidence.violation import Violation

    violation = Violation.load(file)
    theorem = theorem_of(violation, where)
    result = replay(theorem, violation)
    outcome = result.outcome
    rows = replay_rows(result, from_below=theorem.claims[violation.claim].from_below)
    if as_json:
        status = {"vacuous": outcome.vacuous, "violated": outcome.failed, "margin": outcome.margin, "entries": rows}
        console.show_json({"theorem": violation.theorem, "claim": violation.claim, **status})
        return 0
    introduce(violation)
    cells = [
        (str(r["entry"]), f"{r['measured']:.6e}", f"{r['bound']:.6e}", f"{r['margin']:+.3g}", r["note"]) for r in rows
    ]
    console.show(cells, ("entry", "measured", "bound", "margin", ""), full=full)
    if outcome.vacuous:
        print("vacuous: an assumption or the event that the claim conditions on is missed.")
    elif outcome.failed:
        print(f"violated in float64 by the fraction {outcome.margin:.4g} of the bound.")
    else:
        print("not violated in float64" + (" beyond rounding." if outcome.doubtful else "."))
    return 0
