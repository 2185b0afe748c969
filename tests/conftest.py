"""Fixtures shared by all tests."""

import functools

# pytester unloads what a session of its own has imported, and NumPy, lazy as its fft is, loads only once per process
import numpy.fft  # noqa: F401
import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def loaded():
    """Loads a module's theorem, once in a process: for tests that only read it."""
    from ntkverify import load_theorem

    return functools.cache(load_theorem)
