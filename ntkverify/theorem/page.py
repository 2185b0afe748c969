"""A theorem as a page of a notebook, generated from its sympy objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntkverify import glossary
from ntkverify.display import details_html, formula_html, table_html, tagged

if TYPE_CHECKING:
    from ntkverify.theorem.theorem import Theorem


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
