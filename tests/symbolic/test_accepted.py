"""The tables of what is accepted and what is refused, row by row."""

import re
from pathlib import Path

import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import make_executor
from ntkverify.execution.fused.cpu import CpuExecutor
from ntkverify.execution.fused.gemm import GemmExecutor, worthwhile
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
    assert len(EXECUTORS) >= 8


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


@pytest.mark.parametrize(("written", "executor"), EXECUTORS)
def test_what_the_page_says_of_executors(written, executor):
    names = {**vars(neurons), **vars(operators), "t": T, "x": coordinates(" ".join(f"x_{i}" for i in range(100)))}
    neuron = eval(written.strip("`"), names)
    chosen = GemmExecutor if worthwhile(neuron, 2) else CpuExecutor
    assert chosen.__name__ == executor.strip("`")
