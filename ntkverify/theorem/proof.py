"""The graph of a theorem's proof: which claim rests on which.

An edge is typed, ``uses=``, or follows from what a claim says: a bound, or a measured expression, that contains a
constant, by itself or through other constants, uses the lemma that bounds a measured quantity by that constant. A word
of ``uses=`` is a claim's sentence or its unique beginning, the name of the function that measures it, or the name of a
part, which stands for all that it brought. Controls are no part of a proof.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.theorem.parts import Claim
    from ntkverify.theorem.theorem import Theorem

ITSELF = "the network itself"


@dataclass(frozen=True)
class Proof:
    """Lemmas and conclusions by sentence, and what each rests on directly.

    Parameters
    ----------
    edges : dict of str to tuple of str
        For each claim the claims that it uses, in the order of the module.
    premises : dict of str to tuple of str
        What each claim presupposes of the data: its assumptions, else the families of instances that it is about, else
        `ITSELF`, for identities of the network's own expectations and constants.
    conclusions : tuple of str
        What is concluded.
    """

    edges: dict[str, tuple[str, ...]]
    premises: dict[str, tuple[str, ...]]
    conclusions: tuple[str, ...]

    @property
    def unused(self) -> tuple[str, ...]:
        """Lemmas on which nothing rests."""
        used = {name for names in self.edges.values() for name in names}
        return tuple(name for name in self.edges if name not in used and name not in self.conclusions)

    def below(self, name: str) -> set[str]:
        """A claim and all that it rests on."""
        found, waiting = set(), [name]
        while waiting:
            at = waiting.pop()
            if at not in found:
                found.add(at)
                waiting.extend(self.edges[at])
        return found

    @property
    def pieces(self) -> list[set[str]]:
        """Connected pieces of claims and premises, edges taken both ways; one if the proof hangs together."""
        pieces: list[set[str]] = []
        for name, used in self.edges.items():
            own = {name, *used, *(f"premise: {premise}" for premise in self.premises[name])}
            touched = [piece for piece in pieces if piece & own]
            pieces = [piece for piece in pieces if piece not in touched]
            pieces.append(own.union(*touched))
        return pieces


def proof_of(theorem: Theorem) -> Proof:
    """The graph of a theorem's proof.

    Raises
    ------
    NtkVerifyError
        If a claim uses what there is not, or the edges run in a circle.
    """
    claims = {name: claim for name, claim in theorem.claims.items() if claim.kind != "control"}
    order = list(claims)
    bounded: dict[str, list[str]] = {}
    for name, claim in claims.items():
        if claim.kind == "lemma" and (constant := _bounds_by(theorem, claim)):
            bounded.setdefault(constant, []).append(name)
    edges = {}
    for name, claim in claims.items():
        found = {other for word in claim.uses for other in _named(theorem, claims, word, claim)}
        for constant in _says(theorem, claim):
            others = bounded.get(constant, [])
            found.update(() if name in others else others)
        edges[name] = tuple(sorted(found - {name}, key=order.index))
    _refuse_circles(theorem, edges)
    return Proof(
        edges,
        {name: _premises(theorem, claim) for name, claim in claims.items()},
        tuple(name for name, claim in claims.items() if claim.kind == "conclusion"),
    )


def falsified_by(theorem: Theorem) -> dict[str, str]:
    """For each control the claim that it falsifies.

    A control stands with that claim, and mostly measures the same: of the claims that measure what it measures, else of
    those of its part, else of those that share most words with it, it is the nearest before it, or the nearest after it
    where none is before.
    """
    order = {name: place for place, name in enumerate(theorem.claims)}
    claims = [claim for claim in theorem.claims.values() if claim.kind != "control"]

    def away(control: Claim, claim: Claim) -> tuple[int, ...]:
        distance = order[control.name] - order[claim.name]
        alike = _measured(control) == _measured(claim)
        part = control.part == claim.part and bool(control.part)
        shared = len(_words(control) & _words(claim))
        return not alike, not part, control.is_symbolic != claim.is_symbolic, -shared, distance < 0, abs(distance)

    return {
        control.name: min(claims, key=lambda claim: away(control, claim)).name
        for control in theorem.claims.values()
        if control.kind == "control"
    }


def _words(claim: Claim) -> set[str]:
    """The words of a sentence that say something."""
    return {word for word in re.findall(r"\w+", claim.name.lower()) if len(word) > 3}


def _measured(claim: Claim) -> object:
    """What a claim measures, as something that is equal for what measures alike."""
    expression = getattr(claim.measure, "expression", None)
    if expression is not None:
        return expression
    code = getattr(claim.measure, "__code__", None)
    cells = getattr(claim.measure, "__closure__", None) or ()
    return code, tuple(repr(cell.cell_contents) for cell in cells)  # of a name that a run answers for the name differs


def _premises(theorem: Theorem, claim: Claim) -> tuple[str, ...]:
    if claim.is_symbolic:
        return (ITSELF,)
    return tuple(a.name for a in theorem.assumptions_of(claim)) or tuple(f.name for f in theorem.families_of(claim))


def _bounds_by(theorem: Theorem, claim: Claim) -> str | None:
    """The constant that a claim bounds a measured quantity by, a factor or a power of it included."""
    if claim.bound is None or claim.from_below:
        return None
    expression = claim.measured_expression
    if expression is not None and (claim.over is None or _names(expression) & set(theorem.constants)):
        return None  # an inequality between constants bounds nothing by one
    symbols = [str(s) for s in claim.bound.free_symbols]
    if len(symbols) != 1 or symbols[0] not in theorem.constants:
        return None
    base = claim.bound.as_coeff_Mul()[1].as_base_exp()[0]
    return symbols[0] if isinstance(base, sympy.Symbol) else None


def _names(expression: sympy.Basic) -> set[str]:
    return {str(symbol) for symbol in expression.free_symbols}


def _says(theorem: Theorem, claim: Claim) -> set[str]:
    """Names of the constants that a claim's bound and measured expression contain, directly or through others."""
    written = [claim.bound, claim.measured_expression, getattr(claim.quantifier, "probability", None)]
    waiting = [str(s) for e in written if isinstance(e, sympy.Basic) for s in e.free_symbols]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in theorem.constants and name not in found:
            found.add(name)
            waiting.extend(str(s) for s in theorem.constants[name].expression.free_symbols)
    return found


def _named(theorem: Theorem, claims: dict[str, Claim], word: str, by: Claim) -> list[str]:
    """The claims that a word of ``uses=`` stands for."""
    if word in claims:
        return [word]
    for found in (
        [name for name, claim in claims.items() if claim.measure.__name__ == word],
        [name for name, claim in claims.items() if claim.part == word],
    ):
        if found:
            return found
    begin = [name for name in claims if name.startswith(word)]
    if len(begin) == 1:
        return begin
    where = f"claim {by.name!r} of theorem {theorem.title!r} uses {word!r}"
    if begin:
        raise NtkVerifyError(f"{where}, with which {len(begin)} claims begin; write more of the sentence.")
    known = [*claims, *(claim.measure.__name__ for claim in claims.values()), *(c.part for c in claims.values())]
    near = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0)
    raise NtkVerifyError(f"{where}, but no claim or part is called that; the nearest name is {near[0]!r}.")


def _refuse_circles(theorem: Theorem, edges: dict[str, tuple[str, ...]]) -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join(repr(step) for step in (*way[way.index(name) :], name))
            raise NtkVerifyError(f"the proof of theorem {theorem.title!r} runs in a circle: {circle}; break it.")
        if name not in done:
            for other in edges[name]:
                visit(other, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())
