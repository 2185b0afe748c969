"""The house: which package stands on which, and how long folders, files and functions may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "ntkverify"

#: the floors from the ground up; a package imports from its own floor's own files and from the floors below
FLOORS = (
    ("errors",),
    ("arrays", "cache", "seeds"),
    ("display",),
    ("symbolic",),
    ("glossary", "arithmetic"),
    ("proving",),
    ("theorem",),
    ("instances",),
    ("expressions",),
    ("execution",),
    ("measures",),
    ("training",),
    ("problems",),
    ("judging",),
    ("lemmas",),
    ("search",),
    ("report",),
    ("data",),
    ("diagnosis",),
    ("commands",),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
#: what still runs up; each line goes with the work that turns it round
STILL_UP: frozenset[tuple[str, str]] = frozenset()
MOST_FILES = 12

_FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def package_of(module):
    return module.removeprefix("ntkverify").lstrip(".").split(".")[0]


def upward_imports(root):
    """Pairs (file, module) of imports of `ntkverify` modules that do not stand below the file's own package."""
    found = set()
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        own = parts[0]
        if own == "__init__":
            continue  # the face of the library hands names on when they are asked for
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "ntkverify":
                modules = [f"ntkverify.{alias.name}" for alias in node.names if alias.name in _FLOOR]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            for module in modules:
                other = package_of(module)
                if module.startswith("ntkverify.") and other != own and _FLOOR[other] >= _FLOOR[own]:
                    found.add((f"ntkverify/{path.relative_to(root).as_posix()}", module))
    return found


def test_imports_point_down():
    found = upward_imports(ROOT)
    new = [f"{file} imports {module}, which does not stand below it" for file, module in sorted(found - STILL_UP)]
    assert not new, "\n".join(new)
    gone = sorted(STILL_UP - found)
    assert not gone, f"these no longer run up and leave the list: {gone}"


def test_nobody_asks_which_quantifier_a_claim_has():
    """They answer for themselves; only theorems and the face of the library name one."""
    naming = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if "judging.quantifiers." in path.read_text(encoding="utf-8") and "judging/quantifiers" not in path.as_posix()
    ]
    assert naming == ["__init__.py"]


def test_every_package_has_a_floor():
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert names - {"__init__"} == set(_FLOOR)


@pytest.mark.parametrize("line", ["from ntkverify.report.table import render", "import ntkverify.search.score"])
def test_an_upward_import_is_found_wherever_it_stands(tmp_path, line):
    (tmp_path / "judging").mkdir()
    (tmp_path / "judging" / "new.py").write_text(f"def late():\n    {line}\n")
    ((file, module),) = upward_imports(tmp_path)
    assert file == "ntkverify/judging/new.py"
    assert module in line


def test_a_folder_can_be_read_at_a_glance():
    folders = [ROOT, *(path for path in ROOT.rglob("*") if path.is_dir() and path.name != "__pycache__")]
    crowded = {str(f): n for f in folders if (n := sum(path.is_file() for path in f.iterdir())) > MOST_FILES}
    assert not crowded


#: lines of a file, and of a function without its docstring, which may be longer than the function
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
#: what is still longer; each goes with the work that divides it
STILL_LONG = {"ntkverify/lemmas/recursions/implicit.py: contraction"}
SOURCES = sorted((*ROOT.rglob("*.py"), *(ROOT.parent / "scripts").rglob("*.py")))


def lengths_of_functions(text):
    """Names and lines of the functions of a module: from ``def`` to the end, docstrings apart."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            described = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
            yield node.name, node.end_lineno - node.lineno + 1 - described


def test_a_file_and_a_function_do_one_thing():
    long = set()
    for path in SOURCES:
        name, text = path.relative_to(ROOT.parent).as_posix(), path.read_text(encoding="utf-8")
        long |= {name} if len(text.splitlines()) > LONGEST_FILE else set()
        long |= {f"{name}: {function}" for function, lines in lengths_of_functions(text) if lines > LONGEST_FUNCTION}
    assert not long - STILL_LONG, "divide these by what they do"


def test_the_length_of_a_function_is_that_of_its_code():
    text = 'def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n    def g():\n        return 1\n\n    return g\n'
    assert dict(lengths_of_functions(text)) == {"f": 7, "g": 2}


THEOREMS = sorted((ROOT.parent / "theorems").rglob("*.py"))
LONGEST, SHARED = 300, 8


def test_a_theorem_module_is_read_in_one_sitting():
    lengths = {path.stem: len(path.read_text(encoding="utf-8").splitlines()) for path in THEOREMS}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_no_two_theorems_share_a_run_of_lines():
    """What many proofs share is a part; blank lines count for nothing."""
    seen, shared = {}, []
    for path in THEOREMS:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for start in range(len(lines) - SHARED + 1):
            run = tuple(lines[start : start + SHARED])
            if seen.setdefault(run, path.stem) != path.stem:
                shared.append((seen[run], path.stem, run[0]))
    assert not shared
