"""The tables of what is accepted and what is refused, row by row."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.symbolic.expression.functions import PositivePower, Softplus, Z
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network import neuron as neurons
from ntkverify.symbolic.network import operators
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.operators import Operator, coordinates, unknown

DOCS = Path(__file__).parents[2] / "docs"
T, X, Y = coordinates("t x y")
U = unknown("u", (T, X, Y))
NAMES = {**vars(sympy), "Z": Z, "PositivePower": PositivePower, "Softplus": Softplus}
NAMES |= {"t": T, "x": X, "y": Y, "u": U}


def rows(page, heading, columns):
    text = (DOCS / page).read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    found = [[c.strip() for c in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in found[1:] if len(row) == columns]


SYMBOLS = rows("symbols.md", "What is accepted, and what is refused", 3)
EXECUTORS = rows("execution.md", "Which executor takes a hundred inputs", 2)


def test_the_tables_are_there():
    assert len(SYMBOLS) >= 19
    assert len(EXECUTORS) >= 10


def tried(what, expression, points):
    """The limit Gram matrix, and a forward pass of the reference."""
    if what == "activation":
        neuron = neurons.regression_neuron(Activation("tried", expression), dimension=3)
    else:
        operator = Operator.from_expression(expression, [U], (T, X, Y))
        neuron = neurons.random_features_neuron("sin", {"data": operator})
    make_executor(neuron, {"data": points}, {"data": np.zeros(len(points))}, backend="array")
    gram = limit_gram(neuron)
    return gram.matrix(points) if neuron.block("data").is_linear else gram.feature_matrix(points)


@pytest.mark.parametrize(("what", "written", "answer"), SYMBOLS)
def test_what_the_page_says_of_symbols(what, written, answer):
    expression = eval(written.strip("`"), dict(NAMES))
    points = np.array([[0.1, 0.5, 0.25], [0.2, 1.5, 0.5]])
    verdict, _, sentence = answer.partition(": ")
    if not verdict.startswith("refused"):
        matrix = tried(what, expression, points)
        assert np.isfinite(matrix).all()
        assert np.linalg.eigvalsh(matrix).min() >= -1e-12 * np.trace(matrix)
    if sentence:
        points[1, 1] = 0.0
        with pytest.raises(NtkVerifyError, match=re.escape(sentence)):
            tried(what, expression, points)


def allen_cahn(t, x):
    u = unknown("u", (t, *x))
    return Operator.from_expression(u.diff(t) - sympy.Add(*(u.diff(s, 2) for s in x)) + u**3 - u, [u], (t, *x))


def eikonal(x):
    u = unknown("u", x)
    return Operator.from_expression(sympy.Add(*(u.diff(s) ** 2 for s in x)) - 1, [u], x)


@pytest.mark.heavy
@pytest.mark.parametrize(("written", "executor"), EXECUTORS)
def test_what_the_page_says_of_executors(written, executor):
    """The executor is made: its kernels are compiled, for no longer than fifteen seconds of processor time."""
    names = {**vars(neurons), **vars(operators), "t": T, "x": coordinates(" ".join(f"x_{i}" for i in range(100)))}
    names |= {"allen_cahn": allen_cahn, "eikonal": eikonal}
    neuron = eval(written.strip("`"), names)
    points = {b.name: np.full((1 + (b.name == "data"), len(neuron.coordinates)), 0.1) for b in neuron.blocks}
    targets = {name: np.zeros(len(x)) for name, x in points.items()}
    start = time.process_time()
    made = make_executor(neuron, points, targets)
    assert type(made).__name__ == executor.strip("`")
    assert time.process_time() - start < 15
    weights, frozen = draw_weights(neuron, 1, 8)
    wanted = make_executor(neuron, points, targets, backend="array").forward(weights, frozen).residuals
    np.testing.assert_allclose(made.forward(weights, frozen).residuals, wanted, rtol=1e-11)
