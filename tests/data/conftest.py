from pathlib import Path

import pytest

from ntkverify import load_theorem

THEOREMS = Path(__file__).parents[2] / "theorems" / "natural_gradient"


@pytest.fixture(scope="session")
def regression():
    return load_theorem(THEOREMS / "gradient_descent_regression.py")


@pytest.fixture(scope="session")
def pinn():
    return load_theorem(THEOREMS / "gradient_descent_pinn.py")
