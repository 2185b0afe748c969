"""The table of results names claims that exist, and each module has the controls that it should have."""

from functools import cache
from pathlib import Path

import pytest

from ntkverify import load_theorem

ROOT = Path(__file__).parents[1]
FOLDER = "natural_gradient"  #: of modules that the table names without one
MODULES = sorted((ROOT / "theorems" / FOLDER).glob("*.py")) + sorted(
    (ROOT / "theorems" / "neural_operator").glob("*.py")
)


def rows():
    for line in (ROOT / "docs" / "cards.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.replace("\\|", "\0").strip().strip("|").split("|")]
        if len(cells) == 4 and cells[2].startswith("`"):
            yield cells[0], cells[2].strip("`"), cells[3].replace("\0", "|")


@cache
def claims(module):
    path = module if "/" in module else f"{FOLDER}/{module}"
    theorem = load_theorem(ROOT / "theorems" / f"{path}.py")
    return {("control: " if c.kind == "control" else "") + c.name for c in theorem.claims.values()}


@pytest.mark.parametrize(("card", "module", "claim"), list(rows()))
def test_each_claim_named_exists(card, module, claim):
    assert claim in claims(module)


def test_every_card_of_the_papers_is_there():
    operators = {"E3", *(f"E4.{i}" for i in range(1, 8)), "E5"}
    missing = {f"F{i}" for i in range(1, 18)} | operators
    missing -= {card for card, *_ in rows()}
    assert not missing


@pytest.mark.parametrize("module", [f"{path.parent.name}/{path.stem}" for path in MODULES])
def test_each_module_has_two_controls_at_least(module):
    assert sum(name.startswith("control: ") for name in claims(module)) >= 2
