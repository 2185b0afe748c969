"""A theorem as LaTeX: it compiles, and says what is assumed and what constants mean."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import sympy

from ntkverify import Source, Theorem, always, load_theorem
from ntkverify.theorem.showing import escaped

MODULES = Path(__file__).parents[2] / "theorems"
TRICKY = '100% of R_0 & more: |x|^2 < #3 {or} $5 ~ \\ "said"'


def odd():
    theorem = Theorem(TRICKY, source=Source(), statement=r"For $x<1$ and y < 2: $$x \le y.$$")
    epsilon = theorem.constant("epsilon", sympy.Rational(1, 2) * sympy.Symbol("lambda_0", positive=True), TRICKY)
    theorem.assumption("entries_at most 1")(lambda run: 1)
    theorem.conclusion(f"{TRICKY}, bounded", holds=always, bound=epsilon)(lambda run: 0)
    theorem.erratum(TRICKY)
    return theorem


def text_outside_formulas(latex):
    return re.sub(r"\$\$.*?\$\$|\$.*?\$", " ", latex.replace(r"\$", ""), flags=re.DOTALL)


@pytest.mark.parametrize("make", [odd, lambda: load_theorem(MODULES / "natural_gradient/jacobian_stability.py")])
def test_what_is_special_is_escaped_outside_formulas(make):
    text = text_outside_formulas(make().latex())
    plain = re.sub(r"\\[&%#_{}]|\\[a-zA-Z]+", " ", text)
    assert not set(plain) & set("&%#_^~<>\\")
    assert plain.count("{") == plain.count("}")


def test_assumptions_meanings_and_errata_are_there():
    latex = odd().latex()
    assert r"\item entries\_at most 1" in latex
    assert latex.count(escaped(TRICKY)) == 4  # title, meaning, claim, erratum
    assert r"\epsilon = \frac{\lambda_{0}}{2}" in latex
    assert r"$\le \epsilon$" in latex
    assert r"y \textless{} 2: $$x \le y.$$" in latex
    assert r"$x<1$" in latex
    assert r"\begin{document}" not in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("make", [odd, lambda: load_theorem(MODULES / "natural_gradient/jacobian_stability.py")])
def test_the_document_compiles(make, tmp_path):
    (tmp_path / "theorem.tex").write_text(make().latex(document=True))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "theorem.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:].decode(errors="replace")
