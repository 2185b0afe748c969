"""``ntkverify check --data``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ntkverify.report import console
from ntkverify.report.checked import Report
from ntkverify.report.files.schema import line
from ntkverify.report.table import format_slack
from ntkverify.report.verdicts import show_verdicts

if TYPE_CHECKING:
    from ntkverify.data.at import TheoremAt

#: where the theorem says nothing there is nothing to violate
BEYOND = {"violated": "fails"}


def check_given(
    at: TheoremAt,
    settings: dict[str, Any],
    *,
    as_json: bool,
    full: bool,
    allow_inconclusive: bool,
    verdicts: str | None,
) -> int:
    """Check a theorem at given data, show what came out, and say by the exit status whether it is well."""
    total = len(settings["claims"] or at.theorem.claims)
    with console.progress("checking", max(1, total), unit="claims", even=False) as bar:
        report: Report = at.check(progress=lambda claim: bar.advance(1, claim), **settings)
    if as_json:
        console.show_json(
            {
                "heading": report.heading,
                "verdicts": report.to_dicts(),
                "beyond": dict(report.beyond),
                "left_out": [list(pair) for pair in report.left_out],
            }
        )
    else:
        _show(report, full=full, allow_inconclusive=allow_inconclusive)
    if verdicts:  # last, so that what was computed is shown where it can't be written
        with open(verdicts, "a", encoding="utf-8") as stream:
            said = {"data": report.heading, **{name: settings[name] for name in ("profile", "entropy")}}
            stream.writelines(line(row, said) for row in report.to_dicts())
    fine = [v.passed or (allow_inconclusive and v.status in ("inconclusive", "not exercised")) for v in report.within]
    return 0 if report.verdicts and all(fine) else 1


def _show(report: Report, *, full: bool, allow_inconclusive: bool) -> None:
    print(f"{report.title}\n{textwrap.fill(report.heading, console.width())}\n")
    if report.within:
        show_verdicts([v.to_dict() for v in report.within], full=full, allow_inconclusive=allow_inconclusive)
    else:
        print("the theorem makes no claim at these data that runs decide.")
    for why in dict.fromkeys(report.beyond.values()):
        found = [v for v in report if report.beyond.get(v.claim) == why]
        if found:
            print("\n" + textwrap.fill(f"beyond the theorem, where a failure refutes nothing: {why}", console.width()))
            rows = [
                (v.claim, BEYOND.get(v.shown, v.shown), format_slack(v.slack), str(v.instances - v.vacuous))
                for v in found
            ]
            console.show(rows, ("claim", "here", "slack", "exercised"), full=full, indent=2)
    if report.left_out:
        print("\n" + "\n".join(report.left_out_lines(width=None if full else console.width())))
