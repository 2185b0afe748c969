"""Loading a theorem module from a file."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.files import creations_in
from ntkverify.theorem.theorem import Theorem

#: names of the modules that theorems are imported as; frames of such a module are its author's lines
_PREFIX = "ntkverify_theorem_"


def authors_line(error: BaseException) -> str:
    """File and line of the theorem module that an error came through last; empty if it came through none."""
    place, frame = "", error.__traceback__
    while frame is not None:
        if str(frame.tb_frame.f_globals.get("__name__", "")).startswith(_PREFIX):
            place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


def load_theorem(path: str | Path) -> Theorem:
    """Import a theorem module from a file and return its validated `Theorem`.

    Raises
    ------
    NtkVerifyError
        If the file does not import, defines no ``theorem`` or several, or the theorem lacks a part.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise NtkVerifyError(f"there is no theorem file {path}.")
    # the hash keeps two files of one name apart; sys.modules must know the module for pickling and dataclasses
    name = f"{_PREFIX}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NtkVerifyError(f"{path} is not a Python file; a theorem module ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except NtkVerifyError as error:
        raise NtkVerifyError(f"{path.name}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the module raises becomes one sentence that names the line
        raise NtkVerifyError(
            f"{path.name} does not import: {type(error).__name__} in line {_line(error, path)}: {error}."
        ) from error
    theorem = getattr(module, "theorem", None)
    if not isinstance(theorem, Theorem):
        raise NtkVerifyError(f"{path.name} defines no `theorem = Theorem(...)`; add one.")
    created = creations_in(path.read_bytes())
    if len(created) > 1:
        lines = " and ".join(f"`{name} = Theorem(...)` in line {line}" for line, name in created)
        raise NtkVerifyError(
            f"{path.name} holds {len(created)} theorems, {lines}; a module is one theorem: give each a file of its own."
        )
    theorem.id = f"{path.parent.name}/{path.stem}"
    try:
        theorem.validate()
    except NtkVerifyError as error:
        raise NtkVerifyError(f"{path.name}: {error}") from None
    return theorem


def _line(error: BaseException, path: Path) -> int | str:
    """Line of `path` that an exception came through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or "?"
    line: int | str = "?"
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(path):
            line = frame.tb_lineno
        frame = frame.tb_next
    return line
