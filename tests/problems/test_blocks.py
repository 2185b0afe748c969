"""Data of an instance: flat points, unknown names, targets of another shape are one sentence, not another problem."""

import functools

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.problems.neural_operator.run import OperatorRun
from ntkverify.problems.nonlinear.full_network import full_network
from ntkverify.problems.pinn import PinnRun, pinn, poisson_equation
from ntkverify.problems.random_features.collocation import CollocationRun
from ntkverify.problems.regression import NaturalRegressionRun, RegressionRun, limit_gram_matrix
from ntkverify.symbolic.network.operators import identity

LINE = {"interior": [[0.2], [0.5]], "boundary": [[0.0], [1.0]]}
POISSON = pinn(equation=poisson_equation)
#: every problem, data that it takes, and its parameters
PROBLEMS = {
    "regression": (RegressionRun, {"inputs": [[0.1], [0.5]], "targets": [1.0, 2.0]}),
    "natural": (NaturalRegressionRun, {"inputs": [[0.1], [0.5]], "start": [1.0, 2.0]}),
    "pinn": (POISSON, {**LINE, "source": [1.0, 2.0], "values": [0.0, 1.0]}),
    "network": (full_network(identity), {**LINE, "interior_target": [1.0, 2.0], "boundary_target": [0.0, 1.0]}),
    "features": (CollocationRun, {**LINE, "source": [1.0, 2.0], "values": [0.0, 1.0]}),
    "operator": (OperatorRun, {"functions": [[1.0], [2.0]], "queries": [[1.0], [2.0]], "values": np.eye(2)}),
    "physics operator": (
        functools.partial(OperatorRun, trunk="relu3", equation=poisson_equation),
        {"functions": [[1.0], [2.0]], **LINE, "source": np.eye(2), "values": np.eye(2)},
    ),
}
PARAMETERS = {"p": 1, "activation": 0, "law": 0, "R": 1.0, "h": 0.25}


def theorem():
    return Theorem("Any", source=Source(), statement="S")


def run(problem, data, kind=None):
    made = (kind or PROBLEMS[problem][0])(Instance(data=data, parameters=PARAMETERS, width=4), theorem())
    _ = made.samples.targets
    return made


def refusal(*arguments, **options):
    with pytest.raises(NtkVerifyError) as caught:
        run(*arguments, **options)
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


def cases(keep):
    return [(problem, name) for problem, (_, data) in PROBLEMS.items() for name in data if keep(np.ndim(data[name]))]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_data_as_they_should_be_are_taken(problem):
    assert run(problem, PROBLEMS[problem][1]).samples.total >= 2


def test_two_samples_on_a_line_and_two_ends_are_four_residuals():
    """Read as one sample in two dimensions there were two, and lambda_0 was 55.65."""
    made = run("pinn", LINE)
    assert made.n == 4
    np.testing.assert_allclose(made.lambda_0, 3.9461066471846, rtol=1e-12)


@pytest.mark.parametrize(("problem", "name"), [c for c in cases(lambda n: n == 2) if c[1] not in ("source", "values")])
def test_flat_points_are_refused_with_what_mends_them(problem, name):
    data = PROBLEMS[problem][1]
    said = refusal(problem, {**data, name: np.ravel(data[name])})
    assert f"data {name!r} have the shape (2,), but points are (samples, coordinates)" in said
    assert "by reshape(-1, 1)" in said
    cubes = refusal(problem, {**data, name: np.ones((2, 1, 1))})
    assert "the shape (2, 1, 1)" in cubes


@pytest.mark.parametrize(("problem", "name"), cases(lambda n: n == 1))
def test_targets_as_a_column_or_of_another_length(problem, name):
    """A column would be broadcast against a row: the square of the number of samples, at no warning."""
    data = PROBLEMS[problem][1]
    said = refusal(problem, {**data, name: [[1.0], [2.0]]})
    assert f"data {name!r} have the shape (2, 1), but" in said
    assert "by reshape(-1)" in said
    assert "has 2 samples; give one number for each" in refusal(problem, {**data, name: [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(("problem", "name"), cases(lambda n: True))
def test_a_name_that_nothing_reads_is_refused_with_the_nearest(problem, name):
    data = PROBLEMS[problem][1]
    said = refusal(problem, {**data, f"{name}s": data[name]})
    assert f"nothing reads the data '{name}s'; did you mean {name!r}?" in said
    misspelt = {(other if other != name else f"{name}s"): x for other, x in data.items()}
    assert f"did you mean {name!r}?" in refusal(problem, misspelt)


def test_no_name_is_taken_as_zero_however_far_it_is():
    said = refusal("pinn", {**LINE, "right-hand side": [1.0, 2.0]})
    assert "nothing reads the data 'right-hand side'; choose one of 'interior', 'boundary', 'source', 'values'" in said


def test_targets_of_a_block_that_is_missing():
    said = refusal("features", {"interior": [[0.2]], "values": [1.0]})
    assert "data 'values' go with the points 'boundary', which are missing" in said


class Noisy(RegressionRun):
    """Reads data of its own."""

    further_data = ("noise",)


def test_data_that_a_class_or_a_theorem_says_it_reads():
    data = {**PROBLEMS["regression"][1], "noise": [0.0, 1.0]}
    assert "`further_data = ('noise',)`" in refusal("regression", data)
    np.testing.assert_array_equal(run("regression", data, Noisy).noise, [0, 1])
    declared = theorem()
    declared.declare(data={"noise": ("n",)})
    np.testing.assert_array_equal(RegressionRun(Instance(data=data, width=4), declared).noise, [0, 1])


def test_a_limit_gram_matrix_of_flat_inputs():
    with pytest.raises(NtkVerifyError, match=r"inputs have the shape \(2,\), .* by reshape\(-1, 1\)"):
        limit_gram_matrix([0.1, 0.5])
    assert limit_gram_matrix([[0.1], [0.5]]).shape == (2, 2)


def test_samples_elsewhere_are_checked_as_well():
    with pytest.raises(NtkVerifyError, match=r"'interior' have the shape \(3,\)"):
        PinnRun(Instance(data=LINE, width=4), theorem()).with_samples(interior=[0.1, 0.2, 0.3])
