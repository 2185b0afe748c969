"""Instances that no family draws, made by hand to break claims whose premises were once not all stated."""

from dataclasses import replace

import numpy as np
import pytest
import sympy
from small_instances import FOLDER, loaded, small_instance

from ntkverify.judging.case import Case
from ntkverify.judging.falsehoods import planted
from ntkverify.search.evidence.certify import certify
from ntkverify.theorem.instance import Instance

pytest.importorskip("flint")

SMOOTH = "smooth: halving the distance of two interior samples quarters lambda_0, up to sqrt(h) as chosen"
CUBED = "ReLU^3: halving the distance of two interior samples halves lambda_0, up to sqrt(h) as chosen"


def merging(h, pair, third, boundary, *, along=(1.0, 0.0), closer=None):
    pair, along = np.array(pair), np.array(along)
    ends = {"interior": pair + h * along, "closer": pair + h / 2 * along if closer is None else closer}
    points = {name: [pair.tolist(), third, end.tolist()] for name, end in ends.items()}
    return Instance(data={**points, "boundary": boundary}, parameters={"h": h}, width=1)


FINE = 2.0**-12
ROW = [[0, 0.1], [0, 0.1625625], [0, 0.225125], [0, 0.2876875]]
MERGING = [
    pytest.param("erf", SMOOTH, merging(FINE, [0.6, 0.5], [0.9, 0.9], ROW), id="four boundary samples in a row"),
    pytest.param("ReLU^3", CUBED, merging(FINE, [0.4, 0.5], [0.9, 0.9], ROW[:3]), id="three in a row"),
    pytest.param(
        "ReLU^3", CUBED, merging(2.0**-9, [0.05, 2.0], [0.02, 1.2], [[0, 0.9], [0.4, 1]]), id="outside the box"
    ),
    pytest.param(
        "ReLU^3",
        CUBED,
        merging(2.0**-7, [0.058, 0.9995], [0.0087, 0.115], [[0.445, 1], [0, 0.874]], along=(-1.0, 0.0)),
        id="not close enough",
    ),
    pytest.param(
        "ReLU^3",
        CUBED,
        merging(FINE, [0.4, 0.5], [0.9, 0.9], [[0, 0.1], [0.5, 1]], closer=np.array([0.4 + FINE, 0.5])),
        id="not halved",
    ),
]


@pytest.mark.parametrize(("activation", "claim", "instance"), MERGING)
def test_merging_samples_beyond_what_is_observed(activation, claim, instance):
    theorem = loaded(FOLDER / "positive_definiteness.py")
    found = certify(Case(theorem, theorem.claims[claim], theorem.families[f"merging samples, {activation}"]), instance)
    assert found.status == "REFUTED"
    assert "one pair" in found.reason
    # the claim does fail there: the assumption is what keeps it
    relaxed = [a.name for a in theorem.assumptions_of(theorem.claims[claim]) if a.name.startswith("one pair")]
    family = theorem.families[f"merging samples, {activation}"]
    assert certify(Case(theorem, theorem.claims[claim], family, tuple(relaxed)), instance).status == "CERTIFIED"


def test_more_than_float64_can_tell_is_certified():
    """Five samples in a row of either block: lambda_0 is 3e-19 of the norm, and proved to five digits."""
    theorem = loaded(FOLDER / "positive_definiteness.py")
    row = {"interior": [[0.3 + j / 200, 0.5] for j in range(5)], "boundary": [[0, 0.3 + j / 200] for j in range(5)]}
    run = theorem.families["erf"].run(Instance(data=row, width=1), theorem)
    lower, upper = (float(end) for end in (run.certified_lambda_0.lower, run.certified_lambda_0.upper))
    assert 0 < lower <= upper < lower * (1 + 1e-5)
    assert upper < 1e-18 * run.limit_norm
    assert abs(run.limit_eigenvalues[0] - lower) > lower  # not one digit of float64's value is right


def test_a_pair_too_close_for_float64_is_outside_the_claim():
    theorem = loaded(FOLDER / "positive_definiteness.py")
    (claim,) = (c for n, c in theorem.claims.items() if n.startswith("smooth without closed form"))
    points = {"interior": [[0.571, 0.006], [0.773, 0.978]], "boundary": [[0.089, 0], [0.08900102, 0]]}
    run = theorem.families["tanh"].run(Instance(data=points, width=1), theorem)
    margins = {a.name: a.margin(run) for a in theorem.assumptions_of(claim)}
    assert [name for name, margin in margins.items() if margin < 0] == ["at most two samples of a block, 1/100 apart"]
    assert claim.measure(run) < run.evaluate(theorem.bound_of(claim)) / 10


@pytest.mark.parametrize("interior", [[[0.4]], [[0.4], [0.9], [0.4 + FINE]]])
def test_other_shapes_than_the_observed_ones_are_outside(interior):
    """One interior sample, or one coordinate, where ReLU^3 would halve lambda_0 by less than the bound allows."""
    theorem = loaded(FOLDER / "positive_definiteness.py")
    closer = [*interior[:-1], [0.4 + FINE / 2]]
    instance = Instance(
        data={"interior": interior, "closer": closer, "boundary": [[0.0], [1.0]]}, parameters={"h": FINE}, width=1
    )
    found = certify(Case(theorem, theorem.claims[CUBED], theorem.families["merging samples, ReLU^3"]), instance)
    assert found.status == "REFUTED"
    assert "one pair" in found.reason


def test_an_observation_about_many_neurons_says_nothing_of_one():
    theorem = loaded(FOLDER / "natural_gradient_pinn.py")
    claim = "1024 neurons: ||E|| <= ||J(theta_s) - J(theta)|| ||theta+ - theta|| at the middle or the end of the step"
    instance = Instance(
        data={"interior": [[0.296, 0.511]], "boundary": [[0, 0.497]], "source": [0.362], "values": [-0.308]},
        width=1, step=0.9, steps=1, seed=845,
    )  # fmt: skip
    found = certify(Case(theorem, theorem.claims[claim], theorem.families["tanh, heat"]), instance)
    assert found.status == "REFUTED"
    assert "event" in found.reason
    run = theorem.families["tanh, heat"].run(instance, theorem)
    assert run.remainder[0] > 1.6 * run.change[0]


def test_a_bound_that_is_rounding_is_never_exceeded_for_certain():
    """Balls have no rounding errors: compared with zero every residual would be too large."""
    theorem = loaded(FOLDER / "quadratic_convergence.py")
    (claim,) = (c for name, c in theorem.claims.items() if name.startswith("rounding ends it"))
    points = {"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5], [0.5, 1.0]]}
    data = {**points, "source": [0.05, -0.05], "values": [0.02, 0.01]}
    instance = Instance(data=data, parameters={"size": 0.06}, width=64, step=1.0, steps=5, seed=1)
    run = theorem.families["training"].run(instance, theorem)
    assert claim.given(run)
    assert run.residuals[-1] <= run.floor
    found = certify(Case(theorem, claim, theorem.families["training"]), instance)
    assert found.status == "UNDECIDED"
    assert "rounding errors" in found.reason


def test_a_bound_that_is_zero_at_first_is_judged_where_it_is_not():
    theorem, family, instance = small_instance("gradient_descent_regression", "any width")
    (claim,) = (c for n, c in theorem.claims.items() if n.startswith("max_r ||w_r(k) - w_r(0)||"))
    growing = replace(claim, bound=sympy.Symbol("k") / 10**9, given=None, assumes=())
    found = certify(Case(theorem, growing, family), instance)
    assert found.status == "CERTIFIED"
    assert float(found.measured[0]) > 0


def test_a_false_identity_is_certified():
    theorem, family, instance = small_instance("natural_gradient_pinn", "tanh, heat")
    (claim,) = (c for n, c in theorem.claims.items() if n.startswith("the step solves"))
    assert certify(Case(theorem, claim, family), instance).status == "REFUTED"
    wrong = replace(claim, measure=lambda run: (claim.measure(run)[0] * 2, claim.measure(run)[1]))
    assert certify(Case(theorem, wrong, family), instance).status == "CERTIFIED"


def test_a_falsehood_about_1024_neurons_is_certified():
    theorem = loaded(FOLDER / "natural_gradient_pinn.py")
    instance = Instance(
        data={"interior": [[0.296, 0.511]], "boundary": [[0, 0.497]], "source": [0.362], "values": [-0.308]},
        width=1024, step=0.9, steps=1, seed=845,
    )  # fmt: skip
    (name,) = (n for n in theorem.claims if n.startswith("1024 neurons: ||E||"))
    assert certify(Case(theorem, theorem.claims[name], theorem.families["tanh, heat"]), instance).status == "REFUTED"
    with planted(theorem, [f"{name} * 1/10000"]):
        false = certify(Case(theorem, theorem.claims[name], theorem.families["tanh, heat"]), instance)
    assert false.status == "CERTIFIED"


@pytest.mark.parametrize("step", [-0.5, 0.0])
@pytest.mark.parametrize(
    ("name", "family", "assumption"),
    [
        ("natural_gradient_pinn", "tanh, heat", "step below 1"),
        ("gradient_descent_pinn", "narrow", "step at most 2/(3 ||H^inf||)"),
        ("gradient_descent_regression", "any width", "step at most 2/(3 ||H^inf||)"),
        ("zhang_martens_grosse", "worst Jacobians", "c below 1/2 and step at most (1 - 2c)/(1 + c)^2"),
    ],
)
def test_steps_are_positive(name, family, assumption, step):
    theorem, family, instance = small_instance(name, family)
    margin = theorem.assumptions[assumption].margin
    assert margin(family.run(instance, theorem)) >= 0
    assert margin(family.run(replace(instance, step=step), theorem)) < 0


WORST = [
    ("gradient_descent_pinn", "perturbed linear recursion", "contraction: I_1",
     Instance(data={"matrix": [[0.5]], "vector": [1.0]}, parameters={"lambda_0": 1.0}, step=1.0)),
    ("gradient_descent_regression", "perturbed linear recursion", "contraction: I_1",
     Instance(data={"matrix": [[1.0]], "vector": [1.0], "push": [1.0]},
              parameters={"lambda_0": 2.0, "tau": 0.25, "sigma": 0.25}, step=1.0)),
    ("zhang_martens_grosse", "worst Jacobians", "one step contracts the loss when",
     Instance(data={"left": [[1.0], [0.0]], "right": [[1.0]], "singular": [1.0], "vector": [0.0, 1.0]},
              parameters={"c": 0.4}, step=0.1)),
    ("natural_gradient_pinn", "worst Jacobians", "one step contracts the loss when",
     Instance(data={"left": [[1.0]], "right": [[1.0]], "singular": [0.5], "residual_vector": [1.0]},
              parameters={"lambda_0": 1.0}, step=0.5)),
    ("natural_gradient_pinn", "worst Jacobians", "lambda_min(J J^T) >= lambda_0/2 after",
     Instance(data={"left": [[1.0, 0.0], [0.0, 1.0]], "right": [[1.0, 0.0], [0.0, 1.0]], "singular": [0.45, -1.0],
                    "residual_vector": [1.0, 0.0]}, parameters={"lambda_0": 1.0}, step=0.5)),
    ("natural_gradient_pinn", "worst Jacobians", "lambda_min(J J^T) >= lambda_0/2 after",
     Instance(data={"left": [[1.0], [0.0]], "right": [[1.0], [0.0], [0.0]], "singular": [1.0],
                    "residual_vector": [1.0, 0.0]}, parameters={"lambda_0": 1.0}, step=0.5)),
    ("gradient_descent_pinn", "perturbed linear recursion", "contraction: I_1",
     Instance(data={"matrix": [[0.5, 100.0], [0.0, 0.6]], "vector": [0.0, 1.0]},
              parameters={"lambda_0": 0.5}, step=1.0)),
    ("gradient_descent_regression", "perturbed linear recursion", "contraction: I_1",
     Instance(data={"matrix": [[0.5, 100.0], [0.0, 0.6]], "vector": [0.0, 1.0], "push": [0.0, 1.0]},
              parameters={"lambda_0": 0.5, "tau": 0.25, "sigma": 0.25}, step=1.0)),
    ("gauss_newton_identity", "random Jacobian", "the damped step is off",
     Instance(data={"left": [[1.0]], "right": [[1.0]], "singular": [1.0], "vector": [1.0], "others": [[0.0]]},
              parameters={"mu": -0.5})),
    ("gauss_newton_identity", "random Jacobian", "no solution of J v = r is shorter",
     Instance(data={"left": [[1.0]], "right": [[1.0], [1.0]], "singular": [1.0], "vector": [1.0],
                    "others": [[0.5], [0.0]]}, parameters={"mu": 1.0})),
    ("initial_gram_pinn", "rates of a one-term bound", "||H(0) - H^inf|| >= t is likelier",
     Instance(parameters={"deviation": 1.0, "rate": 1e-3, "neurons": 1.0})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "family", "start", "instance"), WORST)
def test_worst_cases_state_their_premises(name, family, start, instance):
    theorem = loaded(FOLDER / f"{name}.py")
    (claim,) = (c for n, c in theorem.claims.items() if n.startswith(start) and c.kind != "control")
    run = theorem.families[family].run(instance, theorem)
    assert not np.any(claim.given(run))
    # it is the premise that keeps the claim: the bound is exceeded there
    measured = claim.measure(run)
    if claim.bound is None:
        excess = np.abs(measured[0] - measured[1]).max()
    else:
        excess = measured - run.evaluate(theorem.bound_of(claim))
    assert -excess > 1e-3 if claim.from_below else excess > 1e-3
    _, family, drawn = small_instance(name, family)
    assert np.all(claim.given(family.run(drawn, theorem)))
