"""A theorem as LaTeX and as HTML, generated from its sympy objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntkverify import glossary
from ntkverify.display import details_html, formula_html, table_html, tagged
from ntkverify.symbolic.constants.derived import plain_latex

if TYPE_CHECKING:
    from ntkverify.theorem.parts import Claim
    from ntkverify.theorem.theorem import Theorem

_BEFORE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb}
\begin{document}
"""
_AFTER = "\n\\end{document}\n"


def latex_of(theorem: Theorem, *, document: bool) -> str:
    """Statement, assumptions, constants with their meanings, claims with their bounds, and errata.

    Parameters
    ----------
    document : bool
        Whether a whole document is wanted; what stands between its ends needs amsmath and amssymb.
    """
    parts = [
        rf"\section*{{{plain_latex(theorem.title)}}}",
        plain_latex(f"({theorem.source.label})"),
        theorem.statement.strip(),
        *_listed("Assumptions", [plain_latex(name) for name in theorem.assumptions]),
        *_listed("Constants", [_constant(theorem, name) for name in theorem.constants]),
    ]
    for kind, heading in (("lemma", "Lemmas"), ("conclusion", "Conclusions"), ("control", "Controls, all false")):
        claims = [claim for claim in theorem.claims.values() if claim.kind == kind]
        parts += _listed(heading, [_claim(claim) for claim in claims])
    parts += _listed("Errata", [plain_latex(text) for text in theorem.errata])
    body = "\n\n".join(parts)
    return f"{_BEFORE}{body}{_AFTER}" if document else body


def _listed(heading: str, items: list[str]) -> list[str]:
    if not items:
        return []
    lines = [r"\begin{itemize}", *(rf"\item {item}" for item in items), r"\end{itemize}"]
    return [rf"\subsection*{{{heading}}}", "\n".join(lines)]


def _constant(theorem: Theorem, name: str) -> str:
    constant = theorem.constants[name]
    formula = f"{glossary.latex(constant.symbol)} = {glossary.latex(constant.expression)}"
    return f"{plain_latex(constant.meaning)}\n\\[ {formula} \\]"


def _claim(claim: Claim) -> str:
    text = f"{plain_latex(claim.name)} ({plain_latex(claim.quantifier.name.replace('_', ' '))})"
    if claim.bound is None:
        return text
    return f"{text}\n\\[ \\cdot {_sign(claim)} {glossary.latex(claim.bound)} \\]"


def _sign(claim: Claim) -> str:
    return r"\ge" if claim.from_below else r"\le"


def html_of(theorem: Theorem) -> str:
    """Title, source and statement; assumptions, constants and claims open when they are clicked."""
    constants = "".join(
        tagged("div", c.meaning) + formula_html(f"{glossary.latex(c.symbol)} = {glossary.latex(c.expression)}")
        for c in theorem.constants.values()
    )
    claims = [
        (c.kind, c.name, c.quantifier.name, "" if c.bound is None else f"${_sign(c)} {glossary.latex(c.bound)}$")
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
