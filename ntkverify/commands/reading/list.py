"""``ntkverify list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ntkverify.commands import options as shared


@shared.command(
    "list",
    examples="""
ntkverify list
ntkverify list theorems/natural_gradient
ntkverify list gradient_descent_regression --claims""",
)
@shared.theorems
@click.option("--claims", "with_claims", is_flag=True, help="Each theorem's claims, families and assumptions.")
@shared.table_options
def command(theorems: list[Path], with_claims: bool, as_json: bool, full: bool) -> int:
    """Theorems, and what each of them claims."""
    from ntkverify.report import console
    from ntkverify.theorem.files import ids_of

    ids = ids_of(theorems)
    rows = [_with_claims(path, name) if with_claims else _from_text(path, name) for path, name in ids.items()]
    if as_json:
        console.show_json(rows)
    elif not with_claims:
        for number, folder in enumerate(dict.fromkeys(r["theorem"].rpartition("/")[0] for r in rows)):
            inside = [r for r in rows if r["theorem"].rpartition("/")[0] == folder]
            cells = [(r["theorem"].rpartition("/")[2], r["title"]) for r in inside]
            print(("\n" if number else "") + folder)
            console.show(cells, ("theorem", "what it says"), full=full, indent=2)
    else:
        for number, row in enumerate(rows):
            print(("\n" if number else "") + f"{row['theorem']}: {row['title']} ({row['source']})")
            claims = [(c["claim"], c["kind"], c["quantifier"].partition("(")[0]) for c in row["claims"]]
            console.show(claims, ("claim", "kind", "quantifier"), full=full, indent=2)
            print(f"  families of instances: {', '.join(row['families']) or 'none'}")
            print(f"  assumptions: {', '.join(row['assumptions']) or 'none'}")
    return 0


def _from_text(path: Path, name: str) -> dict[str, Any]:
    """What a module's text says of its theorem; nothing is imported."""
    from ntkverify.theorem.files import creations_in

    try:
        made = creations_in(path.read_bytes())
        title = made[0].title if made else ""
    except (SyntaxError, ValueError):
        title = "(does not parse)"
    return {"theorem": name, "title": title, "path": str(path)}


def _with_claims(path: Path, name: str) -> dict[str, Any]:
    from ntkverify.theorem.loading import load_theorem

    theorem = load_theorem(path, called=name)
    return {
        "theorem": theorem.id,
        "title": theorem.title,
        "path": str(path),
        "source": theorem.source.label,
        "claims": [
            {"claim": c.name, "kind": c.kind, "quantifier": c.quantifier.name, "source": theorem.label_of(c)}
            for c in theorem.claims.values()
        ],
        "families": list(theorem.families),
        "assumptions": list(theorem.assumptions),
    }
