"""Theorems beyond the papers: what their bounds give away, and the sweep over a start in pairs with a scale."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy

from ntkverify import Instance, NtkVerifyError, Source, Theorem, load_theorem
from ntkverify.judging.check import Check
from ntkverify.judging.quantifiers.always import Always
from ntkverify.problems.pinn import pinn
from ntkverify.problems.regression import regression

FOLDER = Path(__file__).parents[1] / "theorems" / "beyond"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("coupled_regression", ["no weight moves further than R", "H(0) is within tau lambda_0"]),
        ("coupled_natural_regression", ["||J(w) - J(0)|| <= alpha"]),
        ("coupled_gradient_descent", ["(|w_r(0)| + 1)^2 <= B_2", "||I_1(k)|| <= alpha C_L B"]),
        ("implicit_gradient", ["one step shrinks", "||I(k)|| <= alpha C_L B", "||w(k) - w(0)|| <= path", "tanh, 512"]),
        ("heavy_ball", ["||A^t||", "|x(k)| <=", "two inputs"]),
        ("nesterov", ["||A^t||", "|x(k)| <=", "two inputs"]),
        ("both_layers", ["||J' - J||", "P1", "sigma_m", "L(k) <=", "the way", "||theta(k)", "4096 neurons"]),
        ("stochastic_gradient", ["max_r |w_r(k)", "E L(k+1) <= (sqrt", "L(k) <= ", "two orthonormal inputs or"]),
        ("damped_regression", ["the steps add up", "||P r(k)|| <=", "||r(k)|| <= (1 + growth)", "||A(k) - A(0)||"]),
        ("data_angles", ["lambda_0 >= 3 theta", "lambda_min(K_1) >= theta^3", "lambda_0 <= phi", "three in", "two s"]),
        ("generalisation", ["the mean over", "random signs: y^T", "random labels: ", "y^T (H^inf)^", "networks:"]),
        ("learnt_function", ["||r(k) - (I", "|f(x) - f_lin(x)| <=", "|f(x) - K_x^inf (H^inf)^(-1)", "H(0) is within"]),
    ],
)  # fmt: skip
def test_bounds_are_refuted_past_their_slack(name, claims):
    theorem = load_theorem(FOLDER / f"{name}.py")
    check = Check(theorem)
    for claim in [c for c in theorem.claims.values() if c.kind != "control" and c.name.startswith(tuple(claims))]:
        beyond = sympy.Rational(101, 100) if isinstance(claim.quantifier, Always) else 4
        factor = sympy.Rational(check.verdict(claim).slack) * beyond
        with theorem.mutated(claim.name, factor if claim.from_below else 1 / factor):
            assert check.verdict(theorem.claims[claim.name]).status == "violated", claim.name


THEOREM = Theorem("start", source=Source(provenance="derived"), statement="r(0) = -y")
REGRESSION = Instance(
    data={"inputs": np.eye(2), "targets": [1.0, -1.0]}, parameters={"alpha": 3.0}, width=24, step=0.01, steps=2, seed=5
)
HEAT = replace(REGRESSION, data={"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]], "source": [1.0], "values": [2.0]})
RUNS = [(regression(coupled=True), REGRESSION), (pinn(coupled=True), HEAT)]


@pytest.mark.parametrize(("make", "instance"), RUNS)
def test_the_sweep_over_a_start_is_that_of_the_drawn_weights(make, instance):
    """Pairs, and the scale: the sweep drew plain normal weights and one sign once."""
    run = make(instance, THEOREM)
    assert np.abs(run.at_start.outputs).max() <= run.at_start.outputs_error.max()
    np.testing.assert_allclose(run.at_start.gram, run.trajectory.grams[0], rtol=1e-12)
    rows = run.jacobian_at(run.weights).reshape(len(run.at_start.gram), -1)
    np.testing.assert_allclose(rows @ rows.T, run.at_start.gram, rtol=1e-12)


@pytest.mark.parametrize(("make", "instance"), RUNS)
def test_limits_and_start_scale_with_the_output(make, instance):
    one = make(replace(instance, parameters={}), THEOREM)
    run = make(instance, THEOREM)
    np.testing.assert_allclose(run.limit_gram, 9 * one.limit_gram, rtol=1e-14)
    np.testing.assert_allclose(run.at_start.gram, 9 * one.at_start.gram, rtol=1e-12)


@pytest.mark.parametrize(("make", "instance"), RUNS)
def test_a_scale_that_is_not_positive_is_refused(make, instance):
    with pytest.raises(NtkVerifyError, match="scale alpha = -1"):
        make(replace(instance, parameters={"alpha": -1.0}), THEOREM)
