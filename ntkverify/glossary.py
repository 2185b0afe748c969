"""The symbols shared by all theorems, spelled in ASCII: one letter, one meaning.

A bound is a sympy expression in these symbols (and in the theorem's own constants); a run
answers for each of them under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

n = sympy.Symbol("n", positive=True, integer=True)  #: number of samples
d = sympy.Symbol("d", positive=True, integer=True)  #: input dimension
m = sympy.Symbol("m", positive=True)  #: width: number of neurons
k = sympy.Symbol("k", nonnegative=True, integer=True)  #: step of the iteration
eta = sympy.Symbol("eta", positive=True)  #: learning rate
delta = sympy.Symbol("delta", positive=True)  #: allowed probability of failure
C = sympy.Symbol("C", positive=True)  #: bound on the targets
lambda_0 = sympy.Symbol("lambda_0", positive=True)  #: least eigenvalue of the limit Gram matrix
limit_norm = sympy.Symbol("limit_norm", positive=True)  #: spectral norm of the limit Gram matrix
loss_0 = sympy.Symbol("loss_0", positive=True)  #: loss at initialisation, half the squared residual norm
residual_0 = sympy.Symbol("residual_0", positive=True)  #: residual norm at initialisation
residual = sympy.Symbol("residual", positive=True)  #: residual norm before every step
loss = sympy.Symbol("loss", positive=True)  #: loss before every step

#: how LaTeX writes a symbol whose ASCII name would not do
NOTATION = {
    limit_norm: r"\|H^\infty\|_2",
    loss_0: "L(0)",
    residual_0: r"\|r(0)\|",
    residual: r"\|r(k)\|",
    loss: "L(k)",
}


def latex(expression: sympy.Basic) -> str:
    """LaTeX of an expression in the glossary's notation; names of several letters stand upright."""
    words = {s: _upright(s) for s in expression.free_symbols if s not in NOTATION}
    return str(sympy.latex(expression, symbol_names={**words, **NOTATION}))


def _upright(symbol: sympy.Symbol) -> str:
    """``output_bound`` is no product of eleven letters."""
    base, *below = str(symbol).split("_")
    parts = [sympy.latex(sympy.Symbol(part)) for part in (base, *below) if part]
    written = [rf"\mathrm{{{part}}}" if len(part) > 1 and part.isalpha() else part for part in parts]
    if len(written) < 2:
        return "".join(written)
    head = f"{{{written[0]}}}" if "_" in written[0] else written[0]  # h3 has a subscript already
    return f"{head}_{{{','.join(written[1:])}}}"


#: how a sentence writes a symbol
WORDS = {
    limit_norm: "||H^inf||",
    loss_0: "L(0)",
    residual_0: "||r(0)||",
    residual: "||r(k)||",
    loss: "L(k)",
}


def words(expression: sympy.Basic, own: Mapping[sympy.Symbol, str] | None = None) -> str:
    """An expression as sentences write it: ``eta lambda_0/2``; sums in parentheses.

    Parameters
    ----------
    own : mapping of sympy.Symbol to str, optional
        How the symbols of a theorem's own are written.
    """
    table = {s: sympy.Symbol(w) for s, w in {**WORDS, **(own or {})}.items()}
    written = sympy.sstr(expression.xreplace(table)).replace("**", "^").replace("*", " ")
    return f"({written})" if expression.is_Add else written
