"""Loading a theorem module from a file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from weakref import WeakSet

import ntkverify
from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.files import creations_in, id_of, ids_of, imported_names, named
from ntkverify.theorem.theorem import Theorem

#: what the names of the modules begin with that theorems are imported as
_PREFIX = "ntkverify_theorem_"
_LIBRARY = Path(ntkverify.__file__).parent
#: files of theorems that were loaded, and of what they import from beside them; frames of these are an author's lines
_FILES: set[str] = set()
#: modules that another theorem had imported before they were loaded, and that were given away as they are; held weakly,
#: as a module that is gone leaves its id to the next
_GIVEN: WeakSet[ModuleType] = WeakSet()


def authors_line(error: BaseException) -> str:
    """File and line of a theorem module, or of one beside it, that an error came through last; empty if none."""
    place, frame = "", error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename in _FILES:
            place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


def load_theorem(path: str | Path, *, called: str = "") -> Theorem:
    """Import a theorem module from a file and return its validated `Theorem`.

    The module may import what lies beside it, and inside a package by relative imports, as in a script.

    Parameters
    ----------
    path : str or Path
        The file; or what a theorem is called, as for a command: one below ``theorems/``, else below the current folder,
        else of those that ntkverify brings.
    called : str, optional
        Its id, where several theorems have to be told apart (`ntkverify.theorem.files.ids_of`).

    Raises
    ------
    NtkVerifyError
        If there is no such file or theorem, the file does not import, makes no theorem or several, or the theorem lacks
        a part.
    """
    path = Path(path)
    if path.is_dir():
        raise NtkVerifyError(f"{path} is a folder; name one theorem in it.")
    path = (path if path.is_file() else named(str(path))).resolve()
    theorem = _theorem_in(_imported(path), path)
    theorem.id = called or id_of(path)
    try:
        theorem.validate()
    except NtkVerifyError as error:
        raise NtkVerifyError(f"{path.name}: {error}") from None
    return theorem


def load_theorems(paths: Iterable[str | Path]) -> dict[str, Theorem]:
    """Several theorems by the path of their modules, with ids that tell them apart; see `load_theorem`."""
    ids = ids_of(map(Path, paths))
    return {str(path): load_theorem(path, called=name) for path, name in ids.items()}


def _theorem_in(module: ModuleType, path: Path) -> Theorem:
    """The one theorem that a module makes, under whatever name."""
    source = path.read_bytes()
    made_here = vars(module)
    # of the functions that make a theorem some may return something else
    created = [c for c in creations_in(source) if isinstance(made_here.get(c.name, module), Theorem | ModuleType)]
    if len(created) > 1:
        lines = " and ".join(dict.fromkeys(f"`{made.name} = {made.call}(...)` in line {made.line}" for made in created))
        count = str(len(created)) if len({made.line for made in created}) == len(created) else "several"
        raise NtkVerifyError(
            f"{path.name} holds {count} theorems, {lines}; a module is one theorem: give each a file of its own."
        )
    theirs = {id(getattr(module, name, None)) for name in imported_names(source)}
    found = {name: t for name, t in made_here.items() if isinstance(t, Theorem) and id(t) not in theirs}
    if "theorem" in found:
        _refuse_others(found["theorem"], {n: v for n, v in made_here.items() if id(v) not in theirs}, path)
        return found["theorem"]
    several = {id(t): name for name, t in reversed(found.items())}
    if len(several) > 1:
        names = ", ".join(f"`{name}`" for name in reversed(several.values()))
        raise NtkVerifyError(
            f"{path.name} holds {len(several)} theorems, {names}; call the one that is meant `theorem`, and give the "
            "others files of their own."
        )
    if not found:
        raise NtkVerifyError(f"{path.name} defines no `theorem = Theorem(...)`; add one.")
    return next(iter(found.values()))


def _refuse_others(theorem: Theorem, values: Mapping[str, object], path: Path) -> None:
    """Refuse a theorem beside the one called `theorem`, by itself or in a list or dict."""
    titles = {theorem.title: "theorem"}  # copies of a theorem, such as its mutants, have its title
    for name, value in values.items():
        held = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        for other in held:
            if isinstance(other, Theorem):
                titles.setdefault(other.title, name)
    if len(titles) > 1:
        names = " and ".join(f"`{name}`" for name in titles.values())
        raise NtkVerifyError(
            f"{path.name} holds {len(titles)} theorems, in {names}; a module is one theorem: give each a file of "
            "its own."
        )


# -- importing a file as a script's folder would have it --------------------------------------------------------------


def _imported(path: Path) -> ModuleType:
    """The module of a file, run once more unless another theorem has just imported it."""
    root, package = _place_of(path)
    _put_first(root)
    _forget_namesakes(root)
    plain = ".".join([*package, path.stem])
    known = sys.modules.get(plain)
    if known is not None and getattr(known, "__file__", None) == str(path) and known not in _GIVEN:
        _GIVEN.add(known)
        return known
    # the hash keeps two files of one name apart; sys.modules must know the module for pickling and dataclasses
    unique = f"{_PREFIX}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    name = ".".join([*package, unique])
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NtkVerifyError(f"{path} is not a Python file; a theorem module ends in .py.")
    _FILES.add(str(path))
    before = dict(sys.modules)
    module = importlib.util.module_from_spec(spec)
    names = [name]
    if known is None or getattr(known, "__file__", None) == str(path):  # so that those beside it find it
        names.append(plain)
        _GIVEN.add(module)
    try:
        with _one_sentence(path):
            if package:
                _import_package(".".join(package), path)
            sys.modules |= dict.fromkeys(names, module)
            spec.loader.exec_module(module)
    except BaseException:
        for failed in names:
            sys.modules.pop(failed, None)
            sys.modules |= {failed: before[failed]} if failed in before else {}
        raise
    finally:
        _note_files(root, package, set(before))
    return module


def _place_of(path: Path) -> tuple[Path, list[str]]:
    """The folder that imports begin in, and the packages between it and the file."""
    root, package = path.parent, list[str]()
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        package.insert(0, root.name)
        root = root.parent
    return root, package


def _put_first(root: Path) -> None:
    importlib.invalidate_caches()
    if sys.path[:1] != [str(root)]:
        sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]


def _forget_namesakes(root: Path) -> None:
    """Modules that another theorem found beside itself, where this one has its own of that name."""
    for name, module in list(sys.modules.items()):
        top, file = name.partition(".")[0], getattr(module, "__file__", None)
        own = (root / f"{top}.py").is_file() or (root / top / "__init__.py").is_file()
        if file in _FILES and own and not Path(file).is_relative_to(root):
            del sys.modules[name]


def _import_package(name: str, path: Path) -> None:
    module = importlib.import_module(name)
    found = [Path(folder).resolve() for folder in getattr(module, "__path__", ())]
    if path.parent not in found:
        where = found[0] if found else getattr(module, "__file__", "Python itself")
        raise NtkVerifyError(
            f"its package {name!r} is hidden by another of that name, {where}; rename the folder, or remove its "
            "__init__.py."
        )


def _note_files(root: Path, package: list[str], before: set[str]) -> None:
    """Remember the files beside a theorem that it has imported."""
    top = root / package[0] if package else root
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and not Path(file).is_relative_to(_LIBRARY):
            beside = Path(file).parent == root or (bool(package) and Path(file).is_relative_to(top))
            if beside or (Path(file).name == "__init__.py" and Path(file).parent.parent == root):
                _FILES.add(file)


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Whatever a module raises becomes one sentence that names the line."""
    try:
        yield
    except NtkVerifyError as error:
        line = _line(error, path)
        raise NtkVerifyError(f"{path.name}{line and f':{line}'}: {' '.join(str(error).split())}") from error
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split()).rstrip(".")
        at = f" in line {_line(error, path)}" if _line(error, path) else ""
        raise NtkVerifyError(f"{path.name} does not import: {type(error).__name__}{at}: {said}.") from error


def _line(error: BaseException, path: Path) -> str:
    """Line of a theorem's file that an exception came through, and of what it imports from beside it."""
    if isinstance(error, SyntaxError) and error.filename:
        line = error.lineno or "?"
        return str(line) if error.filename == str(path) else f"{line} of {Path(error.filename).name}"
    own = other = ""
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file == str(path):
            own, other = str(frame.tb_lineno), ""
        elif own and Path(file).parent == path.parent:
            other = f" ({Path(file).name}:{frame.tb_lineno})"
        frame = frame.tb_next
    return own + other
