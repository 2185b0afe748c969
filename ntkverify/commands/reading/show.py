"""``ntkverify show``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.theorem.theorem import Theorem


@shared.command(
    "show",
    examples="""
ntkverify show gradient_descent_regression
ntkverify show theorems/natural_gradient/gradient_descent_regression.py --latex
ntkverify show gradient_descent_regression --data points.csv --unit
ntkverify show gradient_descent_pinn --data interior=interior.csv,boundary=boundary.csv""",
)
@shared.some_theorems
@click.option("--latex", is_flag=True, help="A document in LaTeX; of several theorems their bodies.")
@data_options()
@shared.table_options
def command(theorems: list[Path], latex: bool, given: Given | None, as_json: bool, full: bool) -> int:
    """A theorem with its constants written out: what is assumed, claimed and derived.

    With --data what it says at your points: lambda_0, the largest step, the width, how many steps, what a run takes
    here, and which assumptions fail by how much.
    """
    from ntkverify.report import console
    from ntkverify.theorem.loading import load_theorems

    if given is not None:
        if latex:
            raise NtkVerifyError("--latex prints a theorem for all data; leave --data out.")
        at = given.at(only(theorems))
        console.show_json(at.to_dict()) if as_json else print("\n".join(at.lines(width=console.width())))
        return 0
    loaded = list(load_theorems(theorems).values())
    if as_json:
        console.show_json([content(theorem) for theorem in loaded])
        return 0
    for number, theorem in enumerate(loaded):
        if number:
            print()
        if latex:
            print(theorem.latex(document=len(loaded) == 1))
        else:
            _show(theorem, full=full)
    return 0


def content(theorem: Theorem) -> dict[str, Any]:
    """JSON-ready dictionary of a theorem."""
    from ntkverify.glossary import words

    roles = theorem.roles
    return {
        "theorem": theorem.id,
        "title": theorem.title,
        "source": theorem.source.label,
        "statement": theorem.statement.strip(),
        "assumptions": list(theorem.assumptions),
        "data": {name: list(shape) for name, shape in roles.data.items()},
        "roles": {
            name: words(value)
            for name in ("rate", "largest_step", "width")
            if (value := getattr(roles, name)) is not None
        },
        "constants": [
            {"constant": name, "expression": words(constant.expression), "meaning": constant.meaning}
            for name, constant in theorem.constants.items()
        ],
        "claims": [
            {
                "claim": claim.name,
                "kind": claim.kind,
                "quantifier": claim.quantifier.name,
                "bound": None if claim.bound is None else words(claim.bound),
                "from_below": claim.from_below,
                "source": theorem.label_of(claim),
            }
            for claim in theorem.claims.values()
        ],
        "families": list(theorem.families),
        "errata": list(theorem.errata),
    }


def _show(theorem: Theorem, *, full: bool) -> None:
    import textwrap

    from ntkverify.report import console

    found = content(theorem)
    print(f"{found['title']}\n{found['theorem']}, {found['source']}\n")
    for paragraph in textwrap.dedent(theorem.statement).strip().split("\n\n"):
        print(textwrap.fill(" ".join(paragraph.split()), console.width()) + "\n")
    if found["assumptions"]:
        print("assumptions\n" + "\n".join(f"  {name}" for name in found["assumptions"]) + "\n")
    if found["roles"]:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in found["roles"].items()) + "\n")
    if found["constants"]:
        rows = [(c["constant"], c["expression"], c["meaning"]) for c in found["constants"]]
        console.show(rows, ("constant", "expression", "meaning"), full=full)
        print()
    rows = [(c["claim"], c["kind"], _bound(c)) for c in found["claims"]]
    console.show(rows, ("claim", "kind", "bound"), full=full)
    for text in found["errata"]:
        print("\n" + textwrap.fill(f"erratum: {' '.join(text.split())}", console.width()))


def _bound(claim: dict[str, Any]) -> str:
    if claim["bound"] is None:
        return ""
    return f"{'>=' if claim['from_below'] else '<='} {claim['bound']}"
