"""The table of results names claims that exist, and each module has the controls that it should have."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: by name, those of arXiv 2408.00573 without their folder
MODULES = {
    path.stem if path.parent.name != "neural_operator" else f"neural_operator/{path.stem}": path
    for path in sorted((ROOT / "theorems").glob("*/*.py"))
}


def rows():
    for line in (ROOT / "docs" / "cards.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.replace("\\|", "\0").strip().strip("|").split("|")]
        if len(cells) == 4 and cells[2].startswith("`"):
            yield cells[0], cells[2].strip("`"), cells[3].replace("\0", "|")


@pytest.fixture
def claims(module, loaded):
    """Names of the claims of a module, controls marked as such."""
    return {("control: " if c.kind == "control" else "") + c.name for c in loaded(MODULES[module]).claims.values()}


@pytest.mark.parametrize(("card", "module", "claim"), list(rows()))
def test_each_claim_named_exists(card, claim, claims):
    assert claim in claims


@pytest.mark.parametrize(
    "cards",
    [
        {f"F{i}" for i in range(1, 18)},
        {"E3", *(f"E4.{i}" for i in range(1, 8)), "E5"},
        {f"N{i}" for i in range(1, 16)},
        {
            *(f"A{i}" for i in range(1, 11)),
            *(f"TR{i}" for i in range(1, 7)),
            "AF4",
            "AF5",
            "AF6",
            "F-H1",
            "F-H3",
            "F-H4",
        },
    ],
)
def test_every_card_of_a_paper_is_there(cards):
    missing = cards - {card for card, *_ in rows()}
    assert not missing


@pytest.mark.parametrize("module", list(MODULES))
def test_each_module_has_two_controls_at_least(claims):
    assert sum(name.startswith("control: ") for name in claims) >= 2
