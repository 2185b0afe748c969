"""``ntkverify frontier``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.report.figures import phase_diagram
from ntkverify.report.table import render
from ntkverify.search.evidence.violation import versions
from ntkverify.search.frontier.bisection import Threshold
from ntkverify.search.frontier.frontier import best_family, first_conclusion, frontier
from ntkverify.search.frontier.setting import Setting
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.theorem import Theorem


def frontier_command(options: argparse.Namespace) -> int:
    """Draw a frontier, write its data, and print its table."""
    theorem = load_theorem(options.theorem)
    case = _chosen(options, theorem)
    name = case.claim.name
    with tqdm(unit="value", leave=False) as bar:

        def show(at: float, value: float) -> None:
            bar.set_postfix_str(f"{options.against} = {at:g}, {options.over} = {value:.4g}")
            bar.update()

        curve = frontier(
            case,
            Setting(options.over, options.low, options.high),
            against=options.against,
            values=_numbers(options.values),
            fraction=options.fraction,
            draws=options.draws,
            steps=options.steps,
            entropy=options.entropy,
            progress=show,
        )
    record = {
        "theorem": theorem.id,
        "claim": name,
        "family": case.family.name,
        **{key: getattr(options, key) for key in ("over", "against", "fraction", "draws", "steps", "entropy")},
        "versions": versions(),
        "curve": [asdict(t) for t in curve],
    }
    write_record(record, Path(options.data))
    print(f"{name} (on {case.family.name!r}, in {options.fraction:g} of the draws)")
    print("\n".join(lines(curve, over=options.over, against=options.against)))
    print(f"assumptions dropped: {', '.join(sorted({name for t in curve for name in t.relaxed})) or 'none'}")
    print(f"written: {options.data}")
    if options.png:
        phase_diagram(
            curve, options.png, over=options.over, against=options.against, title=name, fraction=options.fraction
        )
        print(f"written: {options.png}")
    return 0


def _chosen(options: argparse.Namespace, theorem: Theorem) -> Case:
    """The claim and the family of instances that were asked for, or those that suit best."""
    if options.claim is not None and options.claim not in theorem.claims:
        raise NtkVerifyError(f"theorem {theorem.id!r} has no claim {options.claim!r}.")
    claim = theorem.claims[options.claim] if options.claim else first_conclusion(theorem)
    if claim.bound is None or claim.is_symbolic:
        raise NtkVerifyError(
            f"claim {claim.name!r} has no bound, so that there is nothing to hold from a threshold on."
        )
    if options.family is not None and options.family not in theorem.families:
        raise NtkVerifyError(f"theorem {theorem.id!r} has no instances {options.family!r}.")
    if options.family:
        return Case(theorem, claim, theorem.families[options.family])
    return Case(theorem, claim, best_family(theorem, claim, against=options.against, entropy=options.entropy))


def lines(curve: Sequence[Threshold], *, over: str, against: str) -> list[str]:
    """The table of a frontier."""
    return render(
        table_rows(curve), (against, f"{over} needed", "band", "prescribed", "prescribed / needed"), width=100
    )


def write_record(record: dict[str, Any], path: Path) -> None:
    """Write a frontier's data as JSON."""
    try:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise NtkVerifyError(f"{path} can't be written ({error}); choose another --data.") from None


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise NtkVerifyError(f"--values {text!r} are no numbers separated by commas.") from None


def table_rows(curve: Iterable[Threshold]) -> list[tuple[str, ...]]:
    """Cells of the table: place, threshold, band, prescribed, and how much more is prescribed than needed."""
    rows: list[tuple[str, ...]] = []
    for t in curve:
        ratio = "-" if t.value is None or t.prescribed is None else f"{t.prescribed / t.value:.3g}"
        rows.append((f"{t.at:g}", _needed(t), f"{_number(t.low)} .. {_number(t.high)}", _number(t.prescribed), ratio))
    return rows


def _needed(t: Threshold) -> str:
    if t.throughout is None:
        return _number(t.value)
    return "holds throughout" if t.throughout else "fails throughout"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
