"""LaTeX of statements and constants as MathML and text."""

from __future__ import annotations

import html
import re
import textwrap

from ntkverify.errors import NtkVerifyError

_FORMULA = re.compile(r"(\$\$.*?\$\$|\$.*?\$|\\\[.*?\\\]|\\\(.*?\\\))", re.DOTALL)
_EMPHASIS = re.compile(r"\\(?:emph|textit)\{([^{}]*)\}")
_BOLD = re.compile(r"\\textbf\{([^{}]*)\}")


#: bars and slashes, which would stand apart like a relation
_TIGHT = re.compile(r"<mo((?: stretchy=\"false\")?>(?:&#x0007C;|&#x0002F;|\||/)</mo>)")
_WORD = re.compile(r"\\mathrm\{[A-Za-z]{2,}\}(?:_\{(?:[^{}]|\{[^{}]*\})*\})?")
_LETTERS = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda"),
    *("mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "ell"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
}


class NotConverted(NtkVerifyError):
    """A formula that latex2mathml does not know."""


def mathml(latex: str, *, display: bool = False) -> str:
    r"""A formula as MathML.

    Parameters
    ----------
    latex : str
        Without dollar signs.
    display : bool
        Whether it stands on a line of its own.

    Raises
    ------
    NotConverted
        If something of it is left over: a command that is not known.
    """
    from latex2mathml.converter import convert

    try:
        found: str = convert(_spaced(latex), display="block" if display else "inline")
    except Exception as error:
        raise NotConverted(
            f"the formula {latex!r} can't be set ({type(error).__name__}); write it otherwise."
        ) from error
    found = _TIGHT.sub(r'<mo lspace="0em" rspace="0em"\1', found)
    left = re.search(r"\\\w*", html.unescape(re.sub("<[^>]*>", "", found)))
    if left:
        raise NotConverted(f"the formula {latex!r} has {left[0]!r}, which can't be set; write it otherwise.")
    return found


def _spaced(latex: str) -> str:
    """Thin spaces around words in a product: without them ``2 n near`` would be one word."""

    def ends_in_factor(text: str) -> bool:
        text = text.rstrip()
        named = re.search(r"\\([A-Za-z]+)$", text)
        return named[1] in _LETTERS if named else bool(re.search(r"[A-Za-z0-9})]$", text))

    found, last = "", 0
    for match in _WORD.finditer(latex):
        found += latex[last : match.start()]
        found += (r"\," if ends_in_factor(found) and not found.endswith(r"\,") else "") + match[0]
        follows = re.match(r"\s*(?:([A-Za-z]|\\\|)|\\([A-Za-z]+))", latex[match.end() :])
        if follows and (follows[1] or follows[2] in (*_LETTERS, "mathrm", "sqrt", "frac")):
            found += r"\,"
        last = match.end()
    return found + latex[last:]


def formula(latex: str, *, display: bool = False) -> str:
    """The same; a formula that can't be set is shown as it was typed."""
    try:
        return mathml(latex, display=display)
    except NotConverted:
        return f"<code>{html.escape(latex)}</code>"


def statement(latex: str) -> str:
    """A statement: paragraphs of text with formulas in it."""
    paragraphs = re.split(r"\n\s*\n", textwrap.dedent(latex).strip())
    return "".join(f"<p>{_paragraph(text)}</p>" for text in paragraphs)


def formulas_of(latex: str) -> list[str]:
    """The formulas of a statement, without what marks them."""
    return [_bare(piece) for place, piece in enumerate(_FORMULA.split(latex)) if place % 2]


def _paragraph(text: str) -> str:
    parts = []
    for place, piece in enumerate(_FORMULA.split(text)):
        if place % 2:
            parts.append(formula(_bare(piece), display=piece.startswith(("$$", r"\["))))
        else:
            parts.append(_text(piece))
    return _glued("".join(parts))


def _glued(text: str) -> str:
    """A sign that follows a formula stays on its line."""
    return re.sub(r"(<math.*?</math>)([.,:;)]+)", r'<span class="glued">\1\2</span>', text, flags=re.DOTALL)


def _bare(piece: str) -> str:
    return piece.strip("$") if piece.startswith("$") else piece[2:-2]


def _text(piece: str) -> str:
    found = html.escape(piece, quote=False).replace("``", "“").replace("''", "”").replace("---", "—").replace("--", "–")
    found = _BOLD.sub(r"<strong>\1</strong>", _EMPHASIS.sub(r"<em>\1</em>", found))
    found = found.replace(r"\ ", " ").replace(r"\,", "\u2009").replace("~", "\u00a0")
    return re.sub(r"\\([%&#_${}])", r"\1", found)
