"""Theorem modules on disk: recognised by their text, found in folders, named by part of their names.

Nothing heavy is imported here: pytest asks about every file of every session.
"""

from __future__ import annotations

import ast
import difflib
import fnmatch
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ntkverify.errors import NtkVerifyError

#: where theorems are looked for by name, from the folder that a command is started in
HOME = "theorems"
#: the theorems that ntkverify brings: below the package where it was installed, beside it in a clone
_PACKAGE = Path(__file__).parents[1]
BROUGHT = _PACKAGE / HOME if (_PACKAGE / HOME).is_dir() else _PACKAGE.parent / HOME
_SKIPPED = {"build", "dist", "node_modules", "site-packages", "venv", "__pycache__"}
_TESTS = ("test_*.py", "*_test.py")


def is_named_like_a_test(path: Path) -> bool:
    """Whether a file's name is one that pytest reads as ordinary tests, so that no theorem is collected from it."""
    return any(fnmatch.fnmatch(path.name, test) for test in _TESTS)


def why_not_collected(path: Path) -> str:
    """Why a check would pass over a file that was named, in one sentence with the remedy; empty if it does not."""
    if is_named_like_a_test(path):
        return f"{path} is named like a file of ordinary tests, in which pytest looks for no theorem; rename it."
    if not is_theorem_module(path):
        return f"{path} has no line `theorem = Theorem(...)` of its own, outside functions and blocks; add one."
    return ""


def is_theorem_module(path: Path) -> bool:
    """Whether a file is plainly a theorem module, judged by its text; nothing is imported."""
    try:
        source = path.read_bytes()
    except OSError:
        return False
    if b"ntkverify" not in source or b"Theorem(" not in source:
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # it may be a theorem module with a typing error: say so rather than skip it in silence
        return re.search(rb"^theorem\s*(:[^=]*)?=\s*(\w+\.)*Theorem\(", source, re.MULTILINE) is not None
    return any(creation_in(node) is not None for node in tree.body)


def creation_in(node: ast.stmt) -> ast.Call | None:
    """The call of ``theorem = Theorem(...)``, annotated or not, if a statement is that."""
    names, call = _creation(node)
    return call if "theorem" in names else None


def creations_in(source: bytes) -> list[tuple[int, str]]:
    """Line and name of every top-level ``NAME = Theorem(...)`` of a module; of theorems that it imports, none."""
    found = ((node.lineno, _creation(node)[0]) for node in ast.parse(source).body)
    return [(line, names[0]) for line, names in found if names]


def _creation(node: ast.stmt) -> tuple[list[str], ast.Call | None]:
    """The names that a statement gives to a ``Theorem(...)``, and the call; none if it does no such thing."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = getattr(node, "value", None)
    if isinstance(value, ast.Call) and getattr(value.func, "id", getattr(value.func, "attr", "")) == "Theorem":
        return [ast.unparse(target) for target in targets], value
    return [], None


def id_of(path: Path) -> str:
    """What a theorem is called: its folder and its file."""
    path = path.resolve()
    return f"{path.parent.name}/{path.stem}"


def modules_in(folder: Path) -> list[Path]:
    """The theorem modules in a folder and below, as pytest finds them."""
    found = []
    for where, folders, files in os.walk(folder):
        # whole environments are not walked: a command without names may be started in somebody's home folder
        folders[:] = [f for f in folders if not f.startswith(".") and f not in _SKIPPED]
        paths = (Path(where) / file for file in files if file.endswith(".py"))
        found += [path for path in paths if not is_named_like_a_test(path) and is_theorem_module(path)]
    return sorted(found)


def find_modules(names: Iterable[str] = ()) -> list[Path]:
    """Theorem modules by file, by folder, or by name, each once, in the order given.

    Parameters
    ----------
    names : iterable of str
        A file, a folder, or what a theorem below ``theorems/`` (else below the current folder, else among those that
        ntkverify brings) is called: ``folder/file`` or ``file`` without ``.py``. Without any: all that are there, or
        all that ntkverify brings where there is none.

    Raises
    ------
    NtkVerifyError
        If a name stands for nothing, with those that are near.
    """
    found: list[Path] = []
    for name in tuple(names) or _where():
        path = Path(name)
        if path.is_dir():
            inside = modules_in(path)
            if not inside:
                raise NtkVerifyError(
                    f"there is no theorem module in the folder {name}; `ntkverify new {path / 'mine.py'}` writes one."
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            found.append(_named(name))
    return list(dict.fromkeys(found))


def _here() -> Path:
    return Path(HOME) if Path(HOME).is_dir() else Path()


def _where() -> tuple[str, ...]:
    """The folder whose theorems are meant where none is named."""
    return (str(_here() if modules_in(_here()) or not BROUGHT.is_dir() else BROUGHT),)


def _named(name: str) -> Path:
    here = modules_in(_here())
    exact = [path for path in here if name in (id_of(path), path.stem)]
    # a theorem of the reader's own hides one of the same name that ntkverify brings
    brought = modules_in(BROUGHT) if BROUGHT.is_dir() and BROUGHT.resolve() != Path(HOME).resolve() else []
    exact = exact or [path for path in brought if name in (id_of(path), path.stem)]
    known = here + brought
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise NtkVerifyError(f"{name!r} may be {' or '.join(map(id_of, exact))}; say which.")
    beside = Path(name).parent
    files = [str(path) for path in modules_in(beside)] if beside.is_dir() and len(Path(name).parts) > 1 else []
    names = {**{path.stem: str(path) for path in known}, **{id_of(path): str(path) for path in known}}
    near = [*difflib.get_close_matches(name, files, 2), *(names[n] for n in difflib.get_close_matches(name, names, 2))]
    if not near:  # a path that is nowhere may end like one that is here
        near = [names[n] for n in difflib.get_close_matches(Path(name).stem, names, 2)]
    hint = (
        f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "`ntkverify list FOLDER` shows what is there."
    )
    raise NtkVerifyError(f"there is no theorem file, folder or theorem called {name}; {hint}")
