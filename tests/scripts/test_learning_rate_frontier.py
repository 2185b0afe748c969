"""The frontier of the step sizes runs in small and prints its table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def call(name, *options):
    return subprocess.run([sys.executable, SCRIPTS / name, *options], capture_output=True, text=True, check=False)


def test_natural_gradient_descent_is_stable_up_to_two():
    found = call("learning_rate_frontier.py", "--width", "512", "--steps", "6", "--seeds", "1")
    assert found.returncode == 0, found.stderr
    (measured,) = re.findall(r"\| NGD \| - \| below 1 \| - \| ([\d.]+),", found.stdout)
    assert 1 < float(measured) < 3


def test_bad_options_are_one_sentence():
    found = call("learning_rate_frontier.py", "--width", "0")
    assert found.returncode != 0
    assert "must be at least 1" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.heavy
def test_prescribed_widths_are_printed():
    found = call("prescribed_widths.py")
    assert found.returncode == 0, found.stderr
    widths = [float(x) for x in re.findall(r"\| ([\d.e+]+) \|$", found.stdout, re.M)]
    assert len(widths) == 10
    assert min(widths) > 1e4
    assert max(widths) > 1e20
