"""Derivations kept on disk, keyed by the library's version, its deriving code and the source expression."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

import sympy

from ntkverify import __version__
from ntkverify.cache import cache_directory

T = TypeVar("T")
_DIGEST = hashlib.sha256


def cached(kind: str, source: str, derive: Callable[[], T]) -> T:
    """The result of ``derive()``, from disk if an earlier process derived it from the same source.

    Files are written aside and renamed, so that concurrent writers leave one complete file; a file whose
    checksum does not match, or that cannot be read, is derived again. A directory that cannot be
    written to costs the time of the derivation and nothing else.

    Parameters
    ----------
    kind : str
        What is derived.
    source : str
        The full source expression (``sympy.srepr``).
    derive : callable
        Makes the result, which must be picklable.
    """
    text = "\0".join((__version__, _source_digest(), sympy.__version__, kind, source))
    path = cache_directory() / f"{kind}-{_DIGEST(text.encode()).hexdigest()}.pickle"
    found = _load(path)
    if found is not None:
        return cast(T, found[0])
    result = derive()
    _store(path, pickle.dumps((result,)))
    return result


@lru_cache(maxsize=1)
def _source_digest() -> str:
    """Digest of the modules that derive, so that a changed working copy of one version never reads stale results."""
    folder = Path(__file__).parents[1]
    of_expressions = ("expression/functions", "expression/forms", "expression/squares", "expectation/terms")
    of_neurons = ("network/activations", "network/laws", "limit/pairs", "limit/splitting")
    names = (*of_expressions, *of_neurons, "constants/derived")
    return _DIGEST(b"".join((folder / f"{name}.py").read_bytes() for name in names)).hexdigest()


def _load(path: Path) -> tuple[object, ...] | None:
    try:
        digest, payload = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    if digest != _DIGEST(payload).hexdigest().encode():
        return None
    try:
        loaded = pickle.loads(payload)  # the user's own directory, and the digest fits
    except Exception:  # whatever a stale class raises, deriving again is right
        return None
    return loaded if isinstance(loaded, tuple) and len(loaded) == 1 else None


def _store(path: Path, payload: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_DIGEST(payload).hexdigest().encode() + b"\n" + payload)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError:
        return
