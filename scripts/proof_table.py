"""Every deterministic claim of every module with its level: writes the end of `docs/trust.md`.

    python scripts/proof_table.py

Nothing is trained: a claim over ranges is put to the solvers, and what else a claim rests on is read from its module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ntkverify import Check, Theorem, load_theorem
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.proving.prove import Proof
from ntkverify.theorem.parts import Claim

MODULES = sorted((Path(__file__).parents[1] / "theorems").rglob("*.py"))
PAGE = Path(__file__).parents[1] / "docs" / "trust.md"
MARK = "<!-- what follows is written by scripts/proof_table.py; a test keeps it up to date -->"
HEAD = """
## What is proved

A claim of `always` about numbers alone has ranges (`over=`) and no instances. It is decided for all numbers in them, by

- **z3**, where it is an inequality between roots and rational functions: real algebra. Where logarithms or exponentials
  are in it, their ranges and signs alone may do.
- **signs and derivatives**: a function that is not negative where a variable begins, and whose derivative in it is not,
  is nowhere. So equality at an end is decided, and ranges without one.
- **balls**: bisection, with enclosures by python-flint of the difference of both sides on every one of a list of boxes.

Work is limited by the solvers' own counts, by numbers of boxes and by depth, never by time, so that the word `proved`
depends on the theorem and the versions of the solvers alone. What is refuted comes with a point whose failure balls
certify. What a solver would leave undefined (the root of a negative number, a quotient by 0) is asked for too.
`ntkverify check THEOREM --proofs FOLDER` writes SMT-LIB text for any other solver, steps, or boxes; a test puts the
texts to cvc5. Without z3 or python-flint, which come with the package, these claims are compared with 50 digits at a
list of points, and their level says `sampled`.

What a proof rests on besides: z3 and python-flint, and sympy, which writes the inequality out, differentiates and
simplifies. A step from matrices to numbers (the worst case lies along an eigenvector) is a claim of its own, on
matrices that are drawn.
"""
WHY = {
    "expressions": "both sides are equal as expressions",
    "networks": "measures networks, of which it says something each",
    "matrices": "measures matrices or vectors of any size; what it uses is proved where the worst case is a number",
    "many numbers": "an inequality between up to ten numbers of a run, which was not put to the solvers",
    "equal": "two measured sides are equal, on runs",
}


def by(proof: Proof) -> str:
    """What proved it, without versions and counts, which may differ from machine to machine."""
    if proof.suffix == ".smt2":
        return "z3"
    return "signs and derivatives" if "steps by signs" in proof.how else "balls"


def reason(theorem: Theorem, claim: Claim) -> str:
    """Why a claim is not decided for all numbers, in a word."""
    if claim.is_symbolic:
        return "expressions"
    if claim.quantifier.name == "identity":
        return "equal"
    if claim.measured_expression is not None:
        return "many numbers"
    return "matrices" if all(family.run is AlgebraRun for family in theorem.families_of(claim)) else "networks"


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Module, claim, level, and how or why not."""
    for path in MODULES:
        theorem = load_theorem(path)
        check = Check(theorem)
        for claim in theorem.claims.values():
            if claim.kind == "control" or claim.quantifier.name not in ("always", "identity"):
                continue
            proof = check.proof(claim)
            if proof is not None:
                yield path.stem, claim.name, proof.status, by(proof)
            else:
                why = reason(theorem, claim)
                yield path.stem, claim.name, "proved" if why == "expressions" else "float64", why


def section() -> str:
    """The end of the page."""
    found = list(rows())
    ranges = [row for row in found if row[3] not in WHY]
    others = [row for row in found if row[3] in WHY]
    counts = Counter((row[2], row[3]) for row in others)
    proved = sum(row[2] == "proved" for row in ranges)
    lines = [HEAD, f"### For all numbers: {proved} proved of {len(ranges)}", "", *_table("by", ranges), ""]
    lines += ["### The others", ""]
    lines += [f"- {count} {level}, *{why}*: {WHY[why]}" for (level, why), count in counts.most_common()]
    lines += ["", *_table("why", others)]
    return "\n".join(lines)


def _table(last: str, found: list[tuple[str, str, str, str]]) -> list[str]:
    rows_ = [f"| `{module}` | {_cell(claim)} | {level} | {word} |" for module, claim, level, word in found]
    return [f"| module | claim | level | {last} |", "|---|---|---|---|", *rows_]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def page() -> str:
    """The page with its end written anew."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
    return f"{above}\n\n{MARK}\n{section()}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
