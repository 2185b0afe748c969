"""Fixtures shared by all tests."""

# pytester unloads what a session of its own has imported, and NumPy, lazy as its fft is, loads only once per process
import numpy.fft  # noqa: F401

pytest_plugins = ["pytester"]
