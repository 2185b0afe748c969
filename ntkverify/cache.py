"""Where generated kernels and derivations are kept."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import platformdirs


def cache_directory() -> Path:
    """``$NTKVERIFY_CACHE_DIR``, or ``ntkverify`` in the user's cache directory; where nobody has one, a private one."""
    chosen = os.environ.get("NTKVERIFY_CACHE_DIR")
    if chosen:
        return Path(chosen)
    try:
        path = platformdirs.user_cache_path("ntkverify", appauthor=False)
    except RuntimeError:  # no home directory at all
        return private_directory()
    # where versions before that error leave a tilde that nothing stands for
    return path if path.is_absolute() else private_directory()


@cache
def private_directory() -> Path:
    """A directory of this process alone, for want of one that lasts."""
    directory = tempfile.mkdtemp(prefix="ntkverify-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)
