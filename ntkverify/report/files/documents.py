"""Verdicts for a repository, in Markdown, and for a review, in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ntkverify.report.files.changes import Change
from ntkverify.report.files.schema import GOOD, Record, Verdicts, counts
from ntkverify.report.table import format_slack, mostly_vacuous, verdict_table
from ntkverify.symbolic.constants.derived import plain_latex

HEADINGS = ("claim", "quantifier", "verdict", "slack", "exercised", "would have missed", "rests on")

_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{longtable,array}
\newcolumntype{L}[1]{>{\raggedright\arraybackslash\hspace{0pt}}p{#1}}
\setlength{\parindent}{0pt}
\begin{document}
"""
_COLUMNS = r"L{0.36\linewidth}L{0.11\linewidth}lrrL{0.12\linewidth}L{0.08\linewidth}"


def cells(record: Record) -> tuple[str, ...]:
    """A verdict as a row under `HEADINGS`."""
    return (
        f"{'control: ' if record['kind'] == 'control' else ''}{record['claim']}",
        record["quantifier"].partition("(")[0].replace("_", " "),
        record["verdict"],
        format_slack(record["slack"]),
        f"{record['instances'] - record['vacuous']} of {record['instances']}",
        record["missed"],
        record["level"].partition(",")[0],
    )


def settings_in_words(settings: Iterable[Mapping[str, Any]]) -> str:
    """With what settings verdicts were reached: ``profile ci, entropy 7, backend auto, ntkverify 0.1.0``."""
    return "; ".join(", ".join(f"{name} {value}" for name, value in one.items()) for one in settings)


def _summary(records: Iterable[Record]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts(records).items())


def markdown_of(verdicts: Verdicts, changed: Sequence[Change] = (), against: str = "") -> str:
    """Tables theorem by theorem, then a sentence for each verdict that is not as it should be."""
    parts = ["# Verdicts", _summary(verdicts.records) + "."]
    if said := settings_in_words(verdicts.settings):
        parts.append(f"Reached with {said}.")
    if against:
        rows = [(c.theorem, c.claim, c.what, c.before, c.after) for c in changed]
        parts += [f"## Since {against}", _table(("theorem", "claim", "what", "before", "after"), rows)]
    for theorem in verdicts.theorems:
        mine = verdicts.of(theorem)
        parts += [f"## {theorem}", f"{mine[0]['source']}: {_summary(mine)}.", _table(HEADINGS, map(cells, mine))]
        parts += [f"- **{_marked(r['verdict'])}**: {_marked(r['claim'])}: {_marked(_why(r))}" for r in mine if _why(r)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _why(record: Record) -> str:
    """What is to be said of a verdict below the table."""
    failed = [record["evidence"], record["remedy"]] if record["verdict"] not in GOOD else []
    return "; ".join(part for part in (*failed, mostly_vacuous(record)) if part)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(headings), " | ".join("---" for _ in headings), *(" | ".join(map(_marked, r)) for r in rows)]
    return "\n".join(f"| {line} |" for line in lines) if len(lines) > 2 else "Nothing."


def _marked(text: str) -> str:
    r"""Text in which Markdown sees nothing but text; a bar would end a cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)


def text_of(verdicts: Verdicts, changed: Sequence[Change] = (), against: str = "") -> str:
    """The table that ends a check, with nothing cut off."""
    lines = []
    if against:
        lines += [f"since {against}: {len(changed)} differences"]
        lines += [f"  {c.theorem}: {c.claim!r}: {c.what}: {c.before or '-'} -> {c.after or '-'}" for c in changed] + [
            ""
        ]
    widest = max((len(record["claim"]) for record in verdicts.records), default=0) + 200
    lines += verdict_table(verdicts.records, width=widest)
    return "\n".join([*lines, "", _summary(verdicts.records)]) + "\n"


def latex_of(verdicts: Verdicts, changed: Sequence[Change] = (), against: str = "") -> str:
    """A document that compiles."""
    parts = [_PREAMBLE, r"\section*{Verdicts}", plain_latex(_summary(verdicts.records)) + "."]
    if said := settings_in_words(verdicts.settings):
        parts.append(rf"Reached with {plain_latex(said)}.\par")
    if against:
        rows = [(c.theorem, c.claim, c.what, c.before, c.after) for c in changed]
        parts += [rf"\subsection*{{Since {plain_latex(against)}}}"]
        parts += [
            _longtable(r"L{0.2\linewidth}L{0.36\linewidth}lll", ("theorem", "claim", "what", "before", "after"), rows)
        ]
    for theorem in verdicts.theorems:
        mine = verdicts.of(theorem)
        parts += [rf"\subsection*{{{_breakable(theorem)}}}", plain_latex(f"{mine[0]['source']}: {_summary(mine)}.")]
        parts.append(_longtable(_COLUMNS, HEADINGS, map(cells, mine)))
        items = [
            rf"\item[{plain_latex(r['verdict'])}] {_breakable(r['claim'])}: {_breakable(_why(r))}"
            for r in mine
            if _why(r)
        ]
        parts += [r"\begin{description}", *items, r"\end{description}"] if items else []
    return "\n\n".join([*parts, r"\end{document}"]) + "\n"


def _longtable(columns: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [" & ".join(map(_breakable, row)) + r" \\" for row in rows]
    if not body:
        return "Nothing."
    head = " & ".join(headings) + r" \\"
    lines = [rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}", r"\hline", head, r"\hline", r"\endhead"]
    return "\n".join([*lines, *body, r"\hline", r"\end{longtable}"])


def _breakable(text: str) -> str:
    """Text that may break after signs that join what are words to a reader."""
    return re.sub(r"([/,=)]|\\_)(?=\S)", r"\1\\allowbreak{}", plain_latex(text))
