"""Fixtures shared by all tests."""

# pytester unloads what a session of its own has imported, and NumPy can be loaded only once per process
import numpy  # noqa: F401

pytest_plugins = ["pytester"]
