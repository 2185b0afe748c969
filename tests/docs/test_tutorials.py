"""Every block of code of README and tutorials runs, in order, and prints what the page shows."""

import re

import jupytext
import nbclient
import nbformat
import pytest
from shown import ROOT, examples

import ntkverify.symbolic.network.activations as activations
from ntkverify.commands.reading.templates import rendered

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
PINN = ROOT / "docs" / "tutorials" / "your_own_pinn"


def python_of(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the theorems of the house."""
    where = tmp_path / "mine"
    where.mkdir()
    (where / "theorems").symlink_to(ROOT / "theorems")
    monkeypatch.chdir(where)
    return where


# the last is a notebook
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in (PINN.stem, "index")], ids=lambda page: page.stem
)
def test_what_a_page_shows_is_what_happens(page, desk):
    found = list(examples(page))
    assert len(found) >= 3
    for example in found:
        example.evaluate()


# those of diagnose, your_data and add_a_theorem are run by the tests of errands and of that theorem
@pytest.mark.parametrize("name", ["symbols", "execution"])
def test_the_code_of_a_page_runs_as_it_is_pasted(name, desk, monkeypatch):
    # one page registers an activation; the registry is put back afterwards
    monkeypatch.setattr(activations, "_REGISTRY", dict(activations._REGISTRY))
    found = list(examples(ROOT / "docs" / f"{name}.md"))
    assert len(found) >= 2
    for example in found:
        example.evaluate()


def test_new_writes_the_module_that_readme_and_tutorial_show():
    text = rendered("start", "Initial residual", "initial_residual.py")
    assert text in python_of(ROOT / "README.md")
    blocks = python_of(ROOT / "docs" / "tutorials" / "theorem_in_15_minutes.md")
    assert re.sub(r"\n\n+", "\n", "\n".join(blocks[:8])).strip() == re.sub(r"\n\n+", "\n", text).strip()


def test_the_notebook_is_the_page_and_runs(desk):
    """`jupytext --to ipynb docs/tutorials/your_own_pinn.md` writes it."""
    notebook = nbformat.read(PINN.with_suffix(".ipynb"), as_version=4)
    page = jupytext.read(PINN.with_suffix(".md"))
    assert [(c.cell_type, c.source) for c in notebook.cells] == [(c.cell_type, c.source) for c in page.cells]
    assert [c.source for c in notebook.cells if c.cell_type == "code"] == [
        c.strip() for c in python_of(PINN.with_suffix(".md"))
    ]
    done = nbclient.NotebookClient(notebook, timeout=120).execute()
    printed = "".join(o.get("text", "") for c in done.cells for o in c.get("outputs", []))
    for shown in re.findall(r"```text\n(.*?)```", PINN.with_suffix(".md").read_text(encoding="utf-8"), re.DOTALL):
        assert shown in printed
    assert any("image/png" in o.get("data", {}) for c in done.cells for o in c.get("outputs", []))
