"""Formulas in MathML: all that the theorems have, and what is done with one that can't be set."""

import html
import re
from pathlib import Path

import pytest
import sympy

from ntkverify import glossary
from ntkverify.report.page.formulas import NotConverted, formula, formulas_of, mathml, statement

pytest.importorskip("latex2mathml")
THEOREMS = sorted((Path(__file__).parents[3] / "theorems").rglob("*.py"))


def text(markup):
    return html.unescape(re.sub("<[^>]*>", "", markup))


@pytest.mark.parametrize("path", THEOREMS, ids=lambda path: path.stem)
def test_every_formula_of_a_theorem_is_set(path, loaded):
    theorem = loaded(path)
    written = formulas_of(theorem.statement)
    assert written
    for constant in theorem.constants.values():
        written.append(f"{glossary.latex(constant.symbol)} = {glossary.latex(constant.expression)}")
        written += [glossary.latex(sympy.sympify(made)) for _, made in constant.derivation.steps]
    written += [glossary.latex(claim.bound) for claim in theorem.claims.values() if claim.bound is not None]
    for latex in written:
        assert "\\" not in text(mathml(latex))
    assert "\\" not in text(statement(theorem.statement))
    assert "<code>" not in statement(theorem.statement)


def test_what_is_not_known_is_refused_and_shown_as_it_was_typed():
    with pytest.raises(NotConverted, match=r"nosuch.*write it otherwise"):
        mathml(r"a \nosuch b")
    assert formula(r"a \nosuch <b>") == r"<code>a \nosuch &lt;b&gt;</code>"


def test_words_in_a_product_stand_apart_and_bars_close_up():
    assert r"<mspace" in mathml(r"2 n \mathrm{near}")
    assert r"<mspace" not in mathml(r"\le \mathrm{tolerance}")
    assert mathml("|y|").count('lspace="0em"') == 2


def test_text_around_formulas_is_text():
    found = statement(r"""
        Let $x < 1$, \emph{always}; 5\% of ``it'' -- <b>.

        \[ x = 2. \]
    """)
    assert found.count("<p>") == 2
    assert "<em>always</em>; 5% of “it” – &lt;b&gt;." in found
    assert 'display="block"' in found
