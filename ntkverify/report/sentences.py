"""Sentences of claims as people write them: they are typed in ASCII, ``lambda_0 <= sqrt(n)``, and shown as λ₀ ≤ √n."""

from __future__ import annotations

import html
import re

_GREEK = {
    name: chr(code)
    for names, start in (
        ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi - pi rho - sigma tau", 0x3B1),
        ("upsilon phi chi psi omega", 0x3C5),
        ("Gamma Delta", 0x393),
    )
    for code, name in enumerate(names.split(), start)
    if name != "-"
} | {"Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω"}
_GREEK_WORD = re.compile(rf"(?<![A-Za-z])({'|'.join(sorted(_GREEK, key=len, reverse=True))})(?![a-z])")
_SIGNS = {"<=": "≤", ">=": "≥", "||": "‖", "->": "→", "+-": "±", "^inf": "^∞", "...": "…", "H^*": "H^∗"}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_DOWN = dict(zip("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_UP = dict(zip("0123456789kmnpt-∞", "⁰¹²³⁴⁵⁶⁷⁸⁹ᵏᵐⁿᵖᵗ⁻∞", strict=True))
#: what stands after _ and ^: a sign, a word or number, or what is in parentheses
_BELOW = re.compile(r"(?<![a-zA-Z]{4})_(?:(\w+?)(?=_|\b|\^)|\(([^()]*)\)|(&lt;|&gt;|[<>+*∗]))")
_ABOVE = re.compile(r"\^(\((?:[^()]|\([^()]*\))*\)|-?\w+|[∞∗])")


def plain(sentence: str) -> str:
    """A sentence in Unicode, for a drawing: what has no raised or lowered sign stays as it was typed."""
    text = _signs(sentence)
    text = _BELOW.sub(lambda m: _moved(m[1] or m[2] or "", _DOWN) or m[0], text)
    return _ABOVE.sub(lambda m: _moved(m[1].strip("()"), _UP) or m[0], text)


def marked(sentence: str) -> str:
    """A sentence in HTML, with raised and lowered parts."""
    text = html.escape(_signs(sentence), quote=False)
    text = _BELOW.sub(lambda m: f"<sub>{m[1] or m[2] or m[3]}</sub>", text)
    return _ABOVE.sub(lambda m: f"<sup>{_bare(m[1])}</sup>", text)


def _signs(sentence: str) -> str:
    text = _SIGN.sub(lambda m: _SIGNS[m[0]], sentence)
    text = re.sub(r"(?<![A-Za-z])sqrt(?=\()", "√", text)
    text = re.sub(r"√\((\w+)\)", r"√\1", text)
    return _GREEK_WORD.sub(lambda m: _GREEK[m[0]], text)


def _bare(raised: str) -> str:
    """What is raised needs no parentheses of its own."""
    inner = raised[1:-1] if raised.startswith("(") and raised.endswith(")") else raised
    return inner.replace("-", "−")


def _moved(text: str, signs: dict[str, str]) -> str:
    return "".join(signs[c] for c in text) if 0 < len(text) <= 3 and all(c in signs for c in text) else ""
