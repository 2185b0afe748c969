import functools
import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# kernels compiled by one run of the tests serve the next, and the user's own cache stays untouched
os.environ.setdefault("NTKVERIFY_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"ntkverify-tests-{os.getuid()}"))


from ntkverify.theorem import loading

_load_once = functools.cache(loading.load_theorem)


@pytest.fixture
def loaded_once(monkeypatch):
    """A module that does not change is loaded once: the constants of one take seconds."""

    def load(path, **options):
        return _load_once(Path(path).resolve() if Path(path).is_file() else path, **options)

    monkeypatch.setattr(loading, "load_theorem", load)
