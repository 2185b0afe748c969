"""What a command needs of the machine, asked before it computes anything."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from ntkverify.errors import NtkVerifyError

#: packages that some commands need, what for, and how they are installed
PACKAGES = {
    "matplotlib": ("a figure", "pip install 'ntkverify[report]'"),
    "jinja2": ("a page", "pip install 'ntkverify[report]'"),
    "latex2mathml": ("a formula", "pip install 'ntkverify[report]'"),
    "graphlay": ("the graph of a proof", "pip install 'ntkverify[report]'"),
    "flint": ("ball arithmetic", "pip install 'ntkverify[certify]'"),
    "pyarrow": ("Parquet", "pip install pyarrow"),
    "cupy": ("the backend 'gpu'", "pip install 'ntkverify[cuda12]' or 'ntkverify[cuda13]'"),
    "distributed": ("sharing work out", "pip install 'ntkverify[distributed]'"),
    "xdist": ("several processes", "pip install 'ntkverify[test]'"),
}
#: their names where they differ from what is imported
CALLED = {
    "flint": "python-flint",
    "cupy": "CuPy",
    "jinja2": "Jinja2",
    "xdist": "pytest-xdist",
    "distributed": "Dask distributed",
}


def package(name: str, otherwise: str) -> None:
    """Refuse to begin without a package.

    Parameters
    ----------
    name : str
        What it is imported as.
    otherwise : str
        What can be done without it, the end of the sentence.

    Raises
    ------
    NtkVerifyError
        If it is not installed, with the extra that brings it.
    """
    if importlib.util.find_spec(name) is None:
        purpose, remedy = PACKAGES[name]
        called = CALLED.get(name, name)
        raise NtkVerifyError(f"{purpose} needs {called}, which is not installed: {remedy}, or {otherwise}.")


def folder(name: str | Path, option: str) -> Path:
    """A folder that can be written, or made; refused otherwise, before anything is computed."""
    path = Path(name)
    above = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise NtkVerifyError(f"the folder {name} can't be written ({above} is in the way); choose another {option}.")
    return path


def file(name: str | Path, option: str) -> Path:
    """A file that can be written; refused otherwise, before anything is computed."""
    path = Path(name)
    above = path.absolute().parent
    if path.is_dir() or not above.is_dir() or not os.access(path if path.exists() else above, os.W_OK):
        raise NtkVerifyError(f"{name} can't be written; choose another {option}, in a folder that is there.")
    return path
