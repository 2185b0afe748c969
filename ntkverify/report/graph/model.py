"""The graph of a theorem's proof: premises, constants, lemmas, conclusions, and controls hung on what they falsify.

Edges are those of `ntkverify.theorem.proof`, and those of symbols: a constant in a bound, and in another constant. An
edge that a longer way implies is not drawn. Premises would cross everything, since most claims share them: they are
letters on the first claims that need them.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sympy

from ntkverify.report.files.schema import GOOD, Record
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.proof import ITSELF, falsified_by, proof_of
from ntkverify.theorem.theorem import Theorem

#: slacks from which on a lemma is a shade darker: what is sharp, loose, very loose
SHADES = (1.5, 5.0, 50.0)


@dataclass(frozen=True)
class Hung:
    """A control, hung on the claim that it falsifies."""

    name: str
    verdict: str


@dataclass(frozen=True)
class Node:
    """A premise, a constant, a lemma or a conclusion.

    Parameters
    ----------
    name : str
        Sentence, or a constant's name; the graph calls them ``constant NAME`` and ``premise NAME``.
    kind : {"premise", "constant", "lemma", "conclusion"}
        What it is.
    record : mapping or None
        The verdict; None for what is not judged, and for claims of which no verdict is known.
    letter : str
        Of a premise.
    premises : tuple of str
        Letters of the premises that nothing below a claim needs already.
    controls : tuple of Hung
        What falsifies it.
    below : frozenset of str
        Itself and all that it rests on, premises by their names.
    sound : bool
        Whether its verdict, and every verdict below it, is a good one.
    meaning : str
        Of a constant.
    """

    name: str
    kind: str
    record: Record | None = None
    letter: str = ""
    premises: tuple[str, ...] = ()
    controls: tuple[Hung, ...] = ()
    below: frozenset[str] = frozenset()
    sound: bool = False
    meaning: str = ""

    @property
    def verdict(self) -> str:
        """The word, ``not checked`` where none is known, and nothing for what is not judged."""
        if self.kind in ("premise", "constant"):
            return ""
        return self.record["verdict"] if self.record else "not checked"

    @property
    def slack(self) -> float | None:
        """The slack of a claim with a bound; identities have rounding only."""
        if self.record is None or self.record["quantifier"] == "identity":
            return None
        found = self.record["slack"]
        return float(found) if found is not None and math.isfinite(found) else None

    @property
    def shade(self) -> int:
        """0 for what is sharp or has no slack, up to 3."""
        return 0 if self.slack is None else sum(self.slack >= least for least in SHADES)


@dataclass(frozen=True)
class ProofGraph:
    """Nodes by name and the edges that are drawn.

    Parameters
    ----------
    nodes : dict of str to Node
        Premises, constants, then claims in the order of the module.
    edges : tuple of (str, str)
        From what is used to what uses it.
    loosest : str
        The claim with the largest slack; empty if none has one.
    """

    nodes: dict[str, Node]
    edges: tuple[tuple[str, str], ...]
    loosest: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Node]:
        """Nodes of one kind."""
        return [node for node in self.nodes.values() if node.kind == kind]

    def focus(self, name: str) -> frozenset[str]:
        """What is in view when a node is looked at: what it rests on; of a premise what rests on it."""
        if self.nodes[name].kind == "premise":
            return frozenset({name, *(other for other, node in self.nodes.items() if name in node.below)})
        return self.nodes[name].below


def proof_graph(theorem: Theorem, records: Iterable[Record] = ()) -> ProofGraph:
    """The graph of a theorem's proof with these verdicts.

    Parameters
    ----------
    theorem : Theorem
        Whose proof.
    records : iterable of mapping
        Verdicts on its claims, as `ntkverify.report.files.schema` has them.
    """
    proof, known = proof_of(theorem), {record["claim"]: record for record in records}
    claims = {name: theorem.claims[name] for name in proof.edges}
    used: dict[str, set[str]] = {name: set(names) for name, names in proof.edges.items()}
    constants = {f"constant {name}": constant for name, constant in theorem.constants.items()}
    for name, claim in claims.items():
        used[name] |= {f"constant {s}" for s in _symbols(claim)} & constants.keys()
    for label, constant in constants.items():
        used[label] = {f"constant {s}" for s in constant.expression.free_symbols} & constants.keys()
    needed = {other for name in used for other in used[name]}
    for label in [label for label in constants if label not in needed and not used[label]]:
        del used[label], constants[label]  # one that no bound contains has no place in the proof

    premises = {f"premise {name}": on for name, on in _grouped(proof.premises).items()}
    letters = dict(zip(premises, _letters(len(premises)), strict=True))
    below = {name: _below(name, used) for name in used}
    resting = {
        name: frozenset().union(
            *(below[name], *({p for p, on in premises.items() if other in on} for other in below[name]))
        )
        for name in used
    }
    hung: dict[str, list[Hung]] = {}
    for control, claim_name in falsified_by(theorem).items():
        word = known[control]["verdict"] if control in known else "not checked"
        hung.setdefault(claim_name, []).append(Hung(control, word))

    nodes: dict[str, Node] = {}
    for label in premises:
        nodes[label] = Node(label.partition(" ")[2], "premise", letter=letters[label], below=frozenset({label}))
    for label, constant in constants.items():
        nodes[label] = Node(str(constant.symbol), "constant", below=frozenset(below[label]), meaning=constant.meaning)
    for name, claim in claims.items():
        inherited = frozenset().union(*(resting[other] for other in used[name])) if used[name] else frozenset()
        sound = all(known[other]["verdict"] in GOOD if other in known else other in constants for other in below[name])
        nodes[name] = Node(
            name,
            claim.kind,
            known.get(name),
            premises=tuple(letters[p] for p, on in premises.items() if name in on and p not in inherited),
            controls=tuple(hung.get(name, ())),
            below=resting[name],
            sound=sound,
        )
    edges = _without_shortcuts([(other, name) for name in used for other in sorted(used[name], key=list(used).index)])
    slacks = {name: node.slack for name, node in nodes.items() if node.slack is not None}
    loosest = max(slacks, key=lambda name: slacks[name] or 0.0) if slacks else ""
    return ProofGraph(nodes, tuple(edges), loosest, {name: place for place, name in enumerate(nodes)})


def _symbols(claim: Claim) -> set[str]:
    """What a claim's bound and measured expression are written with."""
    written = (claim.bound, getattr(claim.measure, "expression", None))
    return {str(s) for expression in written if isinstance(expression, sympy.Basic) for s in expression.free_symbols}


def _grouped(premises: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Premises, and on what claims each bears; those that always come together are one."""
    bears: dict[str, list[str]] = {}
    for claim, names in premises.items():
        for name in names:
            if name != ITSELF:
                bears.setdefault(name, []).append(claim)
    together: dict[frozenset[str], list[str]] = {}
    for name, claims in bears.items():
        together.setdefault(frozenset(claims), []).append(name)
    return {"; ".join(names): claims for claims, names in together.items()}


def _letters(count: int) -> list[str]:
    """A, B, ..., Z, A2, ..."""
    return [string.ascii_uppercase[i % 26] + (str(i // 26 + 1) if i >= 26 else "") for i in range(count)]


def _below(name: str, used: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += used[at]
    return found


def _without_shortcuts(edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Edges that no longer way implies."""
    after: dict[str, set[str]] = {}
    for start, end in edges:
        after.setdefault(start, set()).add(end)

    def implied(start: str, end: str) -> bool:
        found, waiting = set(), list(after[start] - {end})
        while waiting:
            at = waiting.pop()
            if at == end:
                return True
            if at not in found:
                found.add(at)
                waiting += after.get(at, ())
        return False

    return [edge for edge in edges if not implied(*edge)]
