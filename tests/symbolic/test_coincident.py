"""Samples that no Gram matrix tells apart: every pair by block, wherever such data are refused."""

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, Source, Theorem, diagnose
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.problems.neural_operator.run import OperatorRun
from ntkverify.problems.pinn import pinn
from ntkverify.problems.regression import RegressionRun, least_eigenvalue, limit_gram_matrix
from ntkverify.symbolic.limit.coincident import Alike, alike_rows, equal_rows, in_words
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import natural_gradient_descent
from ntkverify.training.least_norm import dense_least_norm

THEOREM = Theorem("T", source=Source(), statement="S")
LINE = np.linspace(0.1, 0.9, 12)


def sentence(call):
    with pytest.raises(NtkVerifyError) as refusal:
        call()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_every_pair_of_equal_rows():
    assert equal_rows([[0, 1], [2, 3], [-0.0, 1], [0, 1], [2, 3]]) == [(0, 2), (0, 3), (2, 3), (1, 4)]
    assert equal_rows(np.eye(3)) == []


@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e100])
def test_pairs_that_alone_make_a_matrix_singular(scale):
    x = np.array([[1.0, 0.0], [0.6, 0.8], [-2.0, 0.0], [0.0, 0.0], [0.6, 0.8 + 1e-10], [0.6, 0.8 + 1e-6]])
    # 1e-10 apart the determinant of a pair is 1e-20, 1e-6 apart 1e-12: float64 tells these from zero
    assert alike_rows(scale * (x @ x.T)) == [(0, 2), (1, 4)]


def test_a_matrix_that_no_pair_makes_singular():
    x = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert alike_rows(x @ x.T) == []
    said = sentence(lambda: least_eigenvalue(x @ x.T))
    assert "no two samples alone make it so; give fewer, or such that lie further apart." in said


def test_ten_pairs_are_named_and_the_others_counted():
    pairs = [Alike(("inputs", 0), ("inputs", j)) for j in range(1, 13)]
    said = in_words(pairs)
    assert said.startswith("block 'inputs': row 1 repeats row 0; row 2 repeats row 0; ")
    assert said.endswith("; row 10 repeats row 0; and 2 more pairs: remove one of each pair")
    assert in_words(pairs[:11]).endswith("; and 1 more pair: remove one of each pair")
    assert in_words(pairs[:1]) == "block 'inputs': row 1 repeats row 0: remove one of the two"
    across = [*pairs[:1], Alike(("a", 1), ("b", 0), "is parallel to"), Alike(("b", 1), ("b", 2))]
    assert in_words(across) == (
        "block 'inputs': row 1 repeats row 0; blocks 'b' and 'a': row 0 is parallel to row 1; "
        "block 'b': row 2 repeats row 1: remove one of each pair"
    )


def test_limits_of_regression_and_instances_of_it():
    x = [[1.0, 0.0], [0.6, 0.8], [1.0, 0.0], [1.2, 1.6], [0.0, 1.0]]
    wanted = (
        "block 'inputs': row 2 is to rounding parallel to row 0; row 3 is to rounding parallel to row 1: remove one of "
        "each pair."
    )
    assert sentence(lambda: least_eigenvalue(limit_gram_matrix(x))).endswith(wanted)
    run = RegressionRun(Instance(data={"inputs": x, "targets": np.zeros(5)}, width=8), THEOREM)
    assert sentence(lambda: run.lambda_0).endswith(wanted)


def test_limits_of_physics_informed_networks():
    interior, boundary = [[0.2, 0.3], [0.8, 0.7], [0.2, 0.3]], [[0.0, 0.5], [0.0, 0.5], [0.0, 0.5]]
    run = pinn()(Instance(data={"interior": interior, "boundary": boundary}, width=8), THEOREM)
    assert sentence(lambda: run.lambda_0).endswith(
        "block 'interior': row 2 is to rounding the same as row 0; block 'boundary': row 1 is to rounding the same as "
        "row 0; row 2 is to rounding the same as row 0; row 2 is to rounding the same as row 1: remove one of each "
        "pair."
    )


def test_limits_of_neural_operators():
    for functions, queries, block in (
        ([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], np.eye(2), "functions"),
        (np.eye(2), [[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]], "data"),
    ):
        run = OperatorRun(Instance(data={"functions": functions, "queries": queries}, width=8), THEOREM)
        wanted = f"block '{block}': row 1 is to rounding parallel to row 0: remove one of the two."
        assert sentence(lambda run=run: run.Lambda).endswith(wanted)


def test_points_of_a_diagnosis():
    x = np.concatenate([LINE, LINE])[:, None]
    said = sentence(lambda: diagnose("poisson", "tanh", {"interior": x, "boundary": [[0.0], [1.0]]}, width=8))
    assert said.startswith("points, block 'interior': row 12 repeats row 0; row 13 repeats row 1; ")
    assert said.endswith("; row 21 repeats row 9; and 2 more pairs: remove one of each pair.")


def test_steps_of_natural_gradient():
    neuron = regression_neuron("tanh", dimension=2)
    x = np.array([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0], [0.6, 0.8]])
    executor = make_executor(neuron, {"data": x}, {"data": np.zeros(4)}, backend="array")
    weights, frozen = draw_weights(neuron, 1, 20)
    said = sentence(lambda: natural_gradient_descent(executor, weights, frozen, steps=1))
    assert "block 'data': row 2 is to rounding parallel to row 0; row 3 is to rounding parallel to row 1: " in said
    assert said.endswith("remove one of each pair, widen the network, or pass damping= or rcond=")
    said = sentence(lambda: dense_least_norm(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]), np.ones(2)))
    assert "block 'J': row 1 is to rounding parallel to row 0: remove one of the two, widen" in said
