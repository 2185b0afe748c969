"""The face of the library: its names, and what objects look like in a terminal and in a notebook."""

import numpy as np

import ntkverify
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.neuron import pinn_neuron, regression_neuron
from ntkverify.symbolic.network.operators import coordinates, laplacian
from ntkverify.training import Trajectory


def test_public_names_are_shown_and_all_can_be_had():
    names = set(dir(ntkverify))
    assert {"Theorem", "always", "check_theorem", "diagnose", "theorem_at", "load_theorem", "__version__"} <= names
    assert names == {*ntkverify.__all__, "__version__"}
    for name in ntkverify.__all__:
        assert getattr(ntkverify, name) is not None
    assert {"check_theorem", "diagnose"} <= {name for name in names if callable(getattr(ntkverify, name))}


def test_limit_gram_matrices_show_their_kernel():
    regression = limit_gram(regression_neuron("relu", dimension=2))
    assert repr(regression) == "<limit Gram matrix of data over (x_0, x_1), 2 trained weights a neuron>"
    assert regression._repr_latex_() == r"$\displaystyle K(x, x') = \frac{q \left(\pi - \theta\right)}{2 \pi}$"
    assert "<details>" in regression._repr_html_()
    pinn = limit_gram(pinn_neuron("relu3", laplacian(coordinates("x y"))))
    assert repr(pinn).startswith("<limit Gram matrix of interior, boundary over (x, y), 3")
    assert pinn._repr_latex_() is None  # two blocks have no single kernel
    assert "interior" in pinn._repr_html_()


def test_trajectories_show_how_the_loss_fell():
    steps = np.arange(101)
    residuals = np.outer(0.9**steps, [3.0, 4.0])
    found = Trajectory(steps, 0.1 * steps, residuals, {"drift": np.zeros(101)}, None, {"method": "<b>"})
    assert repr(found) == (
        "<Trajectory of 2 residuals at 101 moments, loss 12.5 -> 8.82e-09 after 100 steps; measured drift>"
    )
    page = found._repr_html_()
    assert page.count("<tr>") == 1 + 20 + 1 + 1 + 1 + 1
    assert "&lt;b&gt;" in page
