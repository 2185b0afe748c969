"""A theorem as LaTeX that compiles, with everything that it says, and as HTML."""

import re
import shutil
import subprocess
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


def broken(document):
    """What LaTeX would stop at: special characters in text, subscripts twice in mathematics, what is left open."""
    found = []
    math = re.compile(r"\\\[(.*?)\\\]|\$(.*?)\$", re.DOTALL)
    for formula in math.finditer(document):
        inner = formula.group(1) or formula.group(2) or ""
        found += re.findall(r"_\{[^{}]*\}_|_[^{]_|\^\{[^{}]*\}\^", inner)
        found += ["braces"] if inner.count("{") - inner.count(r"\{") != inner.count("}") - inner.count(r"\}") else []
    text = math.sub("", document.partition(r"\begin{document}")[2])
    found += re.findall(r"(?<!\\)[_^&#%$]", text)
    for name in set(re.findall(r"\\begin\{(\w+)\}", document)):
        found += [name] if document.count(rf"\begin{{{name}}}") != document.count(rf"\end{{{name}}}") else []
    return found


def test_the_document_says_everything(theorem):
    written = theorem.latex(document=True)
    for said in (
        r"A \& B: 100\% of x\_i",
        "own, derived",
        r"step \textless{} 2/\textbar{}\textbar{}H\textasciicircum{}inf\textbar{}\textbar{}",
        r"at most C\_g of \textbar{}\textbar{}J\textasciicircum{}T\textbar{}\textbar{}, \#1",
        r"\mathrm{output}_{\mathrm{bound}} = \frac{\sqrt{2} \sqrt{n}}{\sqrt{\delta}}",
        r"$\le {h_{3}}_{\mathrm{rest}} \lambda_{0} \mathrm{output}_{\mathrm{bound}}",
        r"$\ge 1$",
        r"x\_1 should be x\_2 \& not x\textasciicircum{}2",
    ):
        assert said in written
    assert written.startswith(r"\documentclass")
    body = theorem.latex()
    assert body in written
    assert "documentclass" not in body
    assert theorem._repr_latex_() == body


def test_nothing_in_it_stops_latex(theorem):
    assert broken(theorem.latex(document=True)) == []
    # what it looks for is found
    damaged = r"\begin{document} ||r_k||^2 \[ a_{b}_{c} \] \begin{itemize}"
    assert sorted(broken(damaged)) == sorted(["_{b}_", "_", "^", "document", "itemize"])


@pytest.mark.parametrize(
    "name", ["natural_gradient/jacobian_stability", "differentiation/truncated_entropy", "neural_operator/stability"]
)
def test_theorems_of_the_house(name, tmp_path):
    theorem = load_theorem(THEOREMS / f"{name}.py")
    written = theorem.latex(document=True)
    assert broken(written) == []
    assert all(glossary.latex(c.symbol) in written for c in theorem.constants.values())
    if shutil.which("pdflatex"):
        (tmp_path / "theorem.tex").write_text(written, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "theorem.tex"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_a_notebook_shows_a_line_and_opens_the_rest(theorem):
    assert repr(theorem) == "<Theorem 'A & B: 100% of x_i': 1 assumptions, 1 constants, 1 claims, 1 controls>"
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
