"""Steps at given data, where every run sets its own: they are taken, and a step of yours is refused."""

import math
from pathlib import Path

import numpy as np
import pytest

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.data.roles import family_at
from ntkverify.judging.draws import simplest_instance

FOLDER = Path(__file__).parents[2] / "theorems"
OWN = ["beyond/heavy_ball", "beyond/nesterov", "beyond/both_layers", "differentiation/residual_loss"]
OWN += ["nonlinear_regime/gauss_newton_flow", "nonlinear_regime/lazy_sums"]


def at_its_data(name, **options):
    theorem = load_theorem(FOLDER / f"{name}.py")
    drawn = simplest_instance(family_at(theorem))
    return drawn, theorem.at(drawn.data, width=min(drawn.width, 64), **options)


@pytest.mark.parametrize("name", OWN)
def test_a_run_that_sets_its_own_step_takes_the_steps_of_its_family(name):
    drawn, at = at_its_data(name)
    assert at.sets_step
    assert at.steps == at.instance.steps == drawn.steps > 0
    assert at_its_data(name, steps=3)[1].steps == 3
    assert "each run's own step" in at.check(draws=1).heading
    assert "each run's own step" in repr(at)
    assert any(line.startswith("step") and "of each run" in line for line in at.lines())
    assert at.to_dict()["step"] is None
    assert at.cost().steps == drawn.steps


@pytest.mark.parametrize("name", OWN)
def test_a_step_that_no_run_reads_is_refused(name):
    with pytest.raises(NtkVerifyError, match=r"sets the step of every run itself; leave --step"):
        at_its_data(name, step=0.5)


def test_a_step_that_runs_read_is_theirs(regression):
    at = regression.at({"inputs": np.eye(2), "targets": [1.0, -1.0]}, width=64, step=0.25, steps=2)
    assert not at.sets_step
    assert float(at.run_of(at.instance).eta) == 0.25
    assert "64 neurons, step 0.25, 2 steps" in at.check(draws=1, claims=["recursion"]).heading


def test_the_heading_has_the_step_that_a_run_took():
    _, at = at_its_data("beyond/heavy_ball")
    run = at.run_of(at.instance)
    assert f"each run's own step ({1 / np.linalg.eigvalsh(run.at_start.gram)[-1]:.4g} in one draw), 12 steps" in (
        at.check(draws=1).heading
    )


def test_a_rate_that_is_too_fast_is_refuted_at_given_data():
    """At k = 0 alone, any rate would do."""
    theorem = load_theorem(FOLDER / "beyond/heavy_ball.py")
    points = {"inputs": [[1.0, 0.0], [0.6, 0.8]], "targets": [1.0, -1.0]}
    with theorem.mutated("rate", 0.25):
        report = theorem.at(points, width=64).check(claims=["4096 neurons: |x(k)| <="])
    assert [v.status for v in report] == ["violated"]


def test_what_every_network_has_another_of_is_no_figure_of_the_data():
    """Of both layers rate and largest step are those of J(0): a network of two neurons said them once."""
    _, at = at_its_data("beyond/both_layers")
    assert (at.largest_step, at.rate, at.contracts, at.steps_to()) == (None, None, None, None)
    (step,) = (met for met in at.assumptions if met.name.startswith("step at most"))
    assert math.isnan(step.margin)
    assert step.words == "decided by each run"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["heavy_ball", "nesterov"])
def test_a_network_whose_neurons_are_all_inactive_on_an_input_is_left_out(name):
    """Its H(0) has the eigenvalue 0, by which step or momentum were divided: no claim could be put to such data."""
    theorem = load_theorem(FOLDER / f"beyond/{name}.py")
    points = {"inputs": [[1.0, 0.0], [0.6, 0.8]], "targets": [1.0, -1.0]}
    (verdict,) = theorem.at(points, width=2).check(claims=["while |phi"])
    assert verdict.status in ("holds", "not exercised")
    at_one = theorem.at({**points, "inputs": np.eye(2)}, width=1)
    assert theorem.assumptions["H(0) positive definite"].margin(at_one.run_of(at_one.instance)) < 0
