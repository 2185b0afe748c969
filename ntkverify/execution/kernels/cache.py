"""Generated modules on disk, so that numba's own cache can keep their machine code."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import numba
import numpy as np

from ntkverify.cache import cache_directory, private_directory
from ntkverify.errors import NtkVerifyError


def _written(directory: Path, name: str, text: str) -> Path:
    path = directory / f"{name}.py"
    directory.mkdir(parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK):
        # numba keeps its machine code beside the text
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if not path.exists():
        # written under another name and renamed: a concurrent reader sees all of it or nothing
        with tempfile.NamedTemporaryFile("w", dir=directory, suffix=".tmp", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    return path


@cache
def load_generated(text: str) -> ModuleType:
    """Import generated source, writing it to the cache directory first if it is not there yet.

    Raises
    ------
    NtkVerifyError
        If the cache directory was chosen by NTKVERIFY_CACHE_DIR and cannot be written.
    """
    # the helpers are inlined into the machine code, whose cache would not notice a change in them
    helpers = Path(__file__).with_name("fastmath.py").read_text()
    versions = f"{sys.version_info[:3]} {numba.__version__} {np.__version__}"
    name = "kernels_" + hashlib.sha256("\0".join((text, helpers, versions)).encode()).hexdigest()[:24]
    directory = cache_directory()
    try:
        path = _written(directory, name, text)
    except OSError as error:
        if os.environ.get("NTKVERIFY_CACHE_DIR"):
            raise NtkVerifyError(
                f"the cache directory {directory} cannot be written ({error.strerror}); "
                "set NTKVERIFY_CACHE_DIR to one that can"
            ) from error
        # nobody asked for the default one, which a read-only home must not make a condition
        path = _written(private_directory(), name, text)
    full_name = f"ntkverify_generated.{name}"
    spec = importlib.util.spec_from_file_location(full_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    spec.loader.exec_module(module)
    return module
