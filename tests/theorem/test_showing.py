"""A theorem as a line, as a page of a notebook, and the names in its formulas."""

import re
from pathlib import Path

import pytest
import sympy

from ntkverify import Source, Theorem, always, glossary, load_theorem
from ntkverify.glossary import delta, lambda_0, n

THEOREMS = Path(__file__).parents[2] / "theorems"


@pytest.fixture
def theorem():
    theorem = Theorem("A & B: 100% of x_i", source=Source(provenance="derived"), statement=r"$\|x_i\| \le 1$")
    bound = theorem.constant("output_bound", sympy.sqrt(2 * n / delta), "at most C_g of ||J^T||, #1")
    h3 = sympy.Symbol("h3_rest", positive=True)
    theorem.assumption("step < 2/||H^inf||")(lambda run: 1.0)
    theorem.conclusion("||r(k)||^2 <= C_g {half}", of="residuals", holds=always, bound=bound * lambda_0 * h3)
    theorem.control("the ~same~ without C_g", of="residuals", holds=always, bound=1, from_below=True)
    theorem.erratum("page 3: x_1 should be x_2 & not x^2")
    return theorem


def test_no_symbol_has_two_subscripts():
    """LaTeX stops at ``h_{3}_{rest}``, which a name of a letter, a digit and a word once became."""
    for name in ("natural_gradient/jacobian_stability", "differentiation/truncated_entropy"):
        written = load_theorem(THEOREMS / f"{name}.py").latex()
        assert not re.findall(r"_\{[^{}]*\}_", re.sub(r"\{[a-zA-Z]_\{\d+\}\}_", "_", written))
    assert re.findall(r"_\{[^{}]*\}_", "h_{3}_{rest}")


def test_a_notebook_shows_a_line_and_opens_the_rest(theorem):
    assert repr(theorem) == "<Theorem 'A & B: 100% of x_i': 1 assumptions, 1 constants, 1 claims, 1 controls>"
    assert theorem._repr_latex_() == theorem.latex()
    page = theorem._repr_html_()
    assert "A &amp; B" in page
    assert "step &lt; 2/||H^inf||" in page
    for summary in ("1 assumptions", "1 constants", "2 claims and controls", "1 errata"):
        assert f"<summary>{summary}</summary>" in page
    assert page.count("<details>") == page.count("</details>") == 4


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("output_bound", r"\mathrm{output}_{\mathrm{bound}}"),
        ("eta_max", r"\eta_{\mathrm{max}}"),
        ("lambda_0", r"\lambda_{0}"),
        ("h3_rest", r"{h_{3}}_{\mathrm{rest}}"),
        ("tau", r"\tau"),
        ("C_g", "C_{g}"),
        ("m", "m"),
    ],
)
def test_names_of_several_letters_are_no_products(name, written):
    assert glossary.latex(sympy.Symbol(name)) == written
