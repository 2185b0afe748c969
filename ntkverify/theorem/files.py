"""Theorem modules on disk: recognised by their text, found in folders, named by part of their names.

Nothing heavy is imported here: pytest asks about every file of every session.
"""

from __future__ import annotations

import ast
import difflib
import fnmatch
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

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
    if not may_be_a_theorem_module(path):
        return f"{path} has no line `theorem = Theorem(...)` of its own, outside functions; add one."
    return ""


def is_theorem_module(path: Path) -> bool:
    """Whether a file is plainly a theorem module, judged by its text; nothing is imported."""
    source = _text_of(path)
    if b"ntkverify" not in source or b"Theorem" not in source:
        return False
    try:
        return any(made.name == "theorem" for made in creations_in(source))
    except (SyntaxError, ValueError):
        # it may be a theorem module with a typing error: say so rather than skip it in silence
        return re.search(rb"^theorem\s*(:[^=]*)?=\s*(\w+\.)*Theorem\(", source, re.MULTILINE) is not None


def may_be_a_theorem_module(path: Path) -> bool:
    """Whether importing a file that was named may bring a theorem to light, whatever it is called and made by."""
    source = _text_of(path)
    return b"ntkverify" in source and (b"Theorem" in source or re.search(rb"\btheorem\b.*=", source) is not None)


def holds_tests(path: Path) -> bool:
    """Whether a file has functions or classes that pytest takes for tests, by its text."""
    return re.search(rb"^(async\s+)?(def|class)\s+[tT]est", _text_of(path), re.MULTILINE) is not None


def names_the_library(path: Path) -> bool:
    """Whether a file's text mentions ntkverify."""
    return b"ntkverify" in _text_of(path)


def _text_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Creation(NamedTuple):
    """A statement that makes a theorem.

    Parameters
    ----------
    line : int
        Where it stands.
    name : str
        What the theorem is bound to.
    call : str
        What makes it: ``Theorem``, another name for it, or a function of the module that calls it.
    title : str
        Its title, where that is written out.
    """

    line: int
    name: str
    call: str
    title: str


def creations_in(source: bytes) -> list[Creation]:
    """The theorems that a module makes outside functions, each with a name; of those that it imports, none.

    Of the branches of an ``if`` or a ``try`` the one that makes most counts; what is made in a loop counts twice.

    Raises
    ------
    SyntaxError, ValueError
        If the text is not Python.
    """
    tree = ast.parse(source)
    makers = {"Theorem"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ntkverify":
            makers |= {alias.asname for alias in node.names if alias.name == "Theorem" and alias.asname}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in makers:
            makers |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.FunctionDef) and any(_is_call_of(makers, inner) for inner in ast.walk(node)):
            makers.add(node.name)
    return _made_by(makers, tree.body)


def _made_by(makers: Collection[str], body: Iterable[ast.stmt]) -> list[Creation]:
    found: list[Creation] = []
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            call = node.value
            if isinstance(call, ast.Call) and _is_call_of(makers, call):
                words = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "title")]
                title = words[0].value if words and isinstance(words[0], ast.Constant) else ""
                found.append(Creation(node.lineno, ast.unparse(targets[0]), ast.unparse(call.func), str(title)))
        elif isinstance(node, ast.If):
            found += _most([_made_by(makers, node.body), _made_by(makers, node.orelse)])
        elif isinstance(node, ast.Try):
            handled = [_made_by(makers, handler.body) for handler in node.handlers]
            found += _most([_made_by(makers, [*node.body, *node.orelse]), *handled])
            found += _made_by(makers, node.finalbody)
        elif isinstance(node, ast.For | ast.While):
            found += 2 * _made_by(makers, node.body) + _made_by(makers, node.orelse)
        elif isinstance(node, ast.With):
            found += _made_by(makers, node.body)
    return found


def _most(branches: Iterable[list[Creation]]) -> list[Creation]:
    return max(branches, key=lambda branch: len(branch))


def _is_call_of(makers: Collection[str], node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in makers


def imported_names(source: bytes) -> set[str]:
    """What a module binds by ``from ... import``."""
    imports = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}


def id_of(path: Path) -> str:
    """What a theorem is called: its folder and its file."""
    path = path.resolve()
    return f"{path.parent.name}/{path.stem}"


def ids_of(paths: Iterable[Path]) -> dict[Path, str]:
    """What several theorems are called: their folder and file, with as many folders more as tell all of them apart."""
    found = list(dict.fromkeys(paths))
    parts = {path: path.resolve().with_suffix("").parts for path in found}
    alike: dict[str, list[Path]] = {}
    for path in found:
        alike.setdefault(id_of(path), []).append(path)
    ids: dict[Path, str] = {}
    for same in alike.values():
        whole = {parts[path] for path in same}  # one file by two names is one theorem
        length = next(n for n in range(2, 1000) if len({p[-n:] for p in whole}) == len(whole))
        ids |= {path: "/".join(parts[path][-length:]) for path in same}
    return {path: ids[path] for path in found}


def ends_in(path: Path, name: str) -> bool:
    """Whether a theorem's file is meant by its name, with as many folders before it as one likes."""
    parts = name.split("/")
    return list(path.resolve().with_suffix("").parts[-len(parts) :]) == parts


def is_called(name: str, other: str) -> bool:
    """Whether two ids are of one theorem: one may have more folders than the other."""
    short, long = sorted((name.split("/"), other.split("/")), key=len)
    return long[-len(short) :] == short


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
            found.append(named(name))
    return list(dict.fromkeys(found))


def _here() -> Path:
    return Path(HOME) if Path(HOME).is_dir() else Path()


def _where() -> tuple[str, ...]:
    """The folder whose theorems are meant where none is named."""
    return (str(_here() if modules_in(_here()) or not BROUGHT.is_dir() else BROUGHT),)


def named(name: str) -> Path:
    """The module of a theorem that is called so; see `find_modules`.

    Raises
    ------
    NtkVerifyError
        If there is none, or if there are several.
    """
    here = modules_in(_here())
    exact = [path for path in here if ends_in(path, name)]
    # a theorem of the reader's own hides one of the same name that ntkverify brings
    brought = modules_in(BROUGHT) if BROUGHT.is_dir() and BROUGHT.resolve() != Path(HOME).resolve() else []
    exact = exact or [path for path in brought if ends_in(path, name)]
    known = here + brought
    ids = ids_of(known)
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise NtkVerifyError(f"{name!r} may be {' or '.join(ids_of(exact).values())}; say which.")
    beside = Path(name).parent
    files = [str(path) for path in modules_in(beside)] if beside.is_dir() and len(Path(name).parts) > 1 else []
    names = {**{path.stem: str(path) for path in known}, **{ids[path]: str(path) for path in known}}
    near = [*difflib.get_close_matches(name, files, 2), *(names[n] for n in difflib.get_close_matches(name, names, 2))]
    if not near:  # a path that is nowhere may end like one that is here
        near = [names[n] for n in difflib.get_close_matches(Path(name).stem, names, 2)]
    hint = (
        f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "`ntkverify list FOLDER` shows what is there."
    )
    raise NtkVerifyError(f"there is no theorem file, folder or theorem called {name}; {hint}")
