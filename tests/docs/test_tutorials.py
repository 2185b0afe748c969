"""Every block of code of README and tutorials runs, in order, and prints what the page shows."""

import re
import subprocess
import sys

import jupytext
import nbclient
import nbformat
import pytest
from shown import ROOT, agree, examples, run, without_figures

import ntkverify.symbolic.network.activations as activations
from ntkverify.commands.reading.templates import rendered

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
PINN = ROOT / "docs" / "tutorials" / "your_own_pinn"
SMALL = "nonlinear_regime/levenberg_marquardt"


def python_of(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder of one's own beside the theorems of the house, as the tutorials have it."""
    where = tmp_path / "mine"
    where.mkdir()
    (tmp_path / "theorems").symlink_to(ROOT / "theorems")
    monkeypatch.chdir(where)
    return where


# the last is a notebook, and is run as one below
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in (PINN.stem, "index")], ids=lambda page: page.stem
)
def test_what_a_page_shows_is_what_happens(page, desk):
    found = list(examples(page))
    assert len(found) >= 3
    for example in found:
        example.evaluate()


#: what the README types without showing what comes: how the line begins, what it must print, and what makes it short
#: enough for a test
TYPED = [
    ("ntkverify slack gradient_descent_regression", "which needs 6.55e+04", {}),
    (
        "pytest theorems/ -n auto --verdicts verdicts.jsonl; ntkverify report --verdicts verdicts.jsonl",
        "written: report.html",
        {"theorems/ -n auto": f"../theorems/{SMALL}.py", "report ": f"report {SMALL} "},
    ),
    ("printf 'x1,x2,y", "", {}),
    ("ntkverify show gradient_descent_regression --data points.csv --unit", "width, optimal split", {}),
    ("ntkverify check gradient_descent_regression --data points.csv --unit", "beyond the theorem", {}),
    ('python -c "import ntkverify, numpy; print(ntkverify.diagnose(', "natural gradient: ", {}),
    ("ntkverify search jacobian_stability", "not found", {"--minutes 1": "--minutes 0.05"}),
    ("ntkverify necessity initial_residual.py", "written: violations/initial_residual-", {}),
    ("ntkverify frontier gradient_descent_regression", "written: frontiers/", {"--draws 20": "--draws 4"}),
]


@pytest.mark.heavy
def test_what_the_readme_types_without_showing_what_comes_runs_line_after_line(desk, loaded_once):
    (desk / "initial_residual.py").write_text(rendered("start", "Initial residual", "initial_residual.py"))
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = re.findall(r"^    (\S.*)", text, re.MULTILINE)
    for line, (begins, wanted, shorter) in zip(lines, TYPED, strict=True):
        assert line.startswith(begins)
        for long, short in shorter.items():
            assert long in line
            line = line.replace(long, short)
        # the shell's own words need a shell; what is a single command is run here, where theorems are loaded already
        status, printed = run(line) if line.startswith("ntkverify ") else typed_in_a_shell(line)
        assert status in (0, 1)
        assert not wanted or any(wanted in one for one in printed), "\n".join([line, *printed])


def typed_in_a_shell(line):
    """Status and output of a line with this Python's commands."""
    commands = {"python": "", "pytest": "-m pytest", "ntkverify": "-m ntkverify"}
    ours = "".join(f'{name}() {{ "{sys.executable}" {how} "$@"; }}; ' for name, how in commands.items())
    done = subprocess.run(["bash", "-c", ours + line], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


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
    shown = re.findall(r"```text\n(.*?)```", PINN.with_suffix(".md").read_text(encoding="utf-8"), re.DOTALL)
    assert printed == "".join(shown)
    assert any("image/png" in o.get("data", {}) for c in done.cells for o in c.get("outputs", []))
    assert (desk / "losses.png").stat().st_size > 1000


def test_two_blocks_of_the_notebook_are_a_module(desk):
    blocks = python_of(PINN.with_suffix(".md"))
    claim = next(block for block in blocks if "theorem = Theorem(" in block)
    (desk / "reaction_diffusion.py").write_text(blocks[0] + claim, encoding="utf-8")
    (transcript,) = re.findall(r"```console\n\$ (.*?)```", PINN.with_suffix(".md").read_text("utf-8"), re.DOTALL)
    command, *lines = transcript.splitlines()
    status, printed = run(command)
    assert status == 0
    agree(lines, printed, figures=without_figures)
