"""A theorem as LaTeX and as a page of a notebook, generated from its sympy objects."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ntkverify import glossary
from ntkverify.display import details_html, formula_html, table_html, tagged
from ntkverify.symbolic.constants.derived import plain_latex

if TYPE_CHECKING:
    from ntkverify.theorem.parts import Claim
    from ntkverify.theorem.theorem import Theorem

PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath, amssymb}
\begin{document}
"""


def escaped(text: str) -> str:
    """A sentence as LaTeX sets it in text."""
    return plain_latex(" ".join(text.split()))


def latex_of(theorem: Theorem, *, document: bool = False) -> str:
    """The body of a document, or the whole of it; see `Theorem.latex`."""
    parts = [
        rf"\section*{{{escaped(theorem.title)}}}",
        escaped(theorem.source.label) + r".\par",
        _statement(theorem.statement),
        *_listed("Assumptions", map(escaped, theorem.assumptions)),
        *_listed("Constants", _constants(theorem)),
        *_listed("Claims", (_claim(theorem, claim) for claim in theorem.claims.values())),
        *_listed("Errata", map(escaped, theorem.errata)),
    ]
    body = "\n\n".join(parts) + "\n"
    return f"{PREAMBLE}\n{body}\n\\end{{document}}\n" if document else body


def _statement(text: str) -> str:
    """The statement as its author wrote it; a bare inequality sign outside formulas is set as text."""
    pieces = re.split(r"(\$\$.*?\$\$|\$.*?\$|\\\[.*?\\\])", textwrap.dedent(text).strip(), flags=re.DOTALL)
    return "".join(p if i % 2 else re.sub("[<>]", lambda m: plain_latex(m[0]), p) for i, p in enumerate(pieces))


def _listed(title: str, items: Iterable[str]) -> Iterator[str]:
    found = list(items)
    if found:
        lines = "\n".join(rf"\item {item}" for item in found)
        yield f"\\subsection*{{{title}}}\n\\begin{{itemize}}\n{lines}\n\\end{{itemize}}"


def _constants(theorem: Theorem) -> Iterator[str]:
    for constant in theorem.constants.values():
        formula = f"{glossary.latex(constant.symbol)} = {glossary.latex(constant.expression)}"
        yield rf"$\displaystyle {formula}$: {escaped(constant.meaning)}"


def _claim(theorem: Theorem, claim: Claim) -> str:
    said = rf"\textbf{{{claim.kind}}} ({escaped(claim.quantifier.name)}): {escaped(claim.name)}"
    if claim.bound is None:
        return said
    sign = r"\ge" if claim.from_below else r"\le"
    return rf"{said}; ${sign} {glossary.latex(claim.bound)}$"


def page_of(theorem: Theorem) -> str:
    """Title, source and statement; assumptions, constants and claims open when they are clicked."""
    constants = "".join(
        tagged("div", c.meaning) + formula_html(f"{glossary.latex(c.symbol)} = {glossary.latex(c.expression)}")
        for c in theorem.constants.values()
    )
    sign = {True: r"\ge", False: r"\le"}
    claims = [
        (
            c.kind,
            c.name,
            c.quantifier.name,
            "" if c.bound is None else f"${sign[c.from_below]} {glossary.latex(c.bound)}$",
        )
        for c in theorem.claims.values()
    ]
    sections = (
        ("assumptions", theorem.assumptions, table_html(("assumption",), [(a,) for a in theorem.assumptions])),
        ("constants", theorem.constants, constants),
        ("claims and controls", theorem.claims, table_html(("", "claim", "holds", "bound"), claims)),
        ("errata", theorem.errata, "".join(tagged("p", text) for text in theorem.errata)),
    )
    heads = [tagged("strong", theorem.title), tagged("div", f"({theorem.source.label})")]
    shown = [details_html(f"{len(items)} {name}", body) for name, items, body in sections if items]
    return "".join([*heads, tagged("p", theorem.statement.strip()), *shown])
