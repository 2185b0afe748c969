"""The regression problem: its quantities, and one sentence for data that can't be a problem."""

import dataclasses
import re

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.problems.regression import RegressionRun, least_eigenvalue, limit_gram_matrix

THEOREM = Theorem("T", source=Source(), statement="S")
GOOD = Instance(
    theorem="t",
    data={"inputs": np.eye(2), "targets": [1.0, -1.0]},
    parameters={"delta": 0.1},
    width=512,
    step=0.5,
    steps=6,
)


def run(**changes):
    return RegressionRun(dataclasses.replace(GOOD, **changes), THEOREM)


def test_the_limit_gram_matrix_of_orthonormal_inputs():
    np.testing.assert_allclose(limit_gram_matrix(np.eye(3)), np.eye(3) / 2, atol=1e-15)
    assert run().lambda_0 == pytest.approx(0.5)
    assert run().limit_norm == pytest.approx(0.5)


def test_trajectory_quantities_are_consistent():
    r = run()
    assert r.losses.shape == (7,)
    assert r.loss.shape == r.residual.shape == r.remainder.shape == r.largest_gradient.shape == (6,)
    np.testing.assert_allclose(r.losses, r.residuals**2 / 2)
    assert r.gram_drift[0] == r.drift[0] == 0
    assert r.residual_0 == pytest.approx(r.residuals[0], rel=1e-12)
    assert (np.diff(r.losses) < 0).all()
    assert r.eigenvalues.shape == (7, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"inputs": [], "targets": []}}, "n = 0"),
        ({"data": {"inputs": np.eye(2), "targets": [1.0]}}, "data .targets. have the shape"),
        ({"data": {"targets": [1.0]}}, "'inputs' is missing"),
        ({"width": 0}, "at least one neuron"),
    ],
)
def test_data_that_is_no_problem(changes, message):
    with pytest.raises(NtkVerifyError, match=message):
        run(**changes)


@pytest.mark.parametrize(
    "inputs",
    [
        [[1.0, 0.0], [1.0, 0.0]],
        [[1.0, 0.0], [0.6, 0.8], [0.6, 0.8]],
    ],
)
def test_duplicate_inputs_are_named(inputs):
    with pytest.raises(NtkVerifyError, match=r"row \d is to rounding parallel to row \d: remove") as caught:
        least_eigenvalue(limit_gram_matrix(inputs))
    i, j = map(int, re.findall(r"row (\d)", str(caught.value)))
    assert inputs[i] == inputs[j]


def test_parallel_inputs_in_a_claim_are_one_sentence():
    with pytest.raises(NtkVerifyError, match="parallel"):
        _ = run(data={"inputs": [[1.0, 0.0], [1.0, 0.0]], "targets": [1.0, 1.0]}).lambda_0


@pytest.mark.parametrize("inputs", [np.empty((0, 2)), np.ones(3), [[np.nan, 1.0]]])
def test_inputs_without_a_limit(inputs):
    with pytest.raises(NtkVerifyError, match="input"):
        limit_gram_matrix(inputs)


def test_a_width_beyond_memory():
    with pytest.raises(NtkVerifyError, match="GiB"):
        _ = run(width=10**13).losses
