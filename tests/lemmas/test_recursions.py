"""The parts for implicit gradient descent and for momentum: sharp constants, and runs of one method each."""

from pathlib import Path

import numpy as np
import pytest
import sympy
from sympy import Rational

from ntkverify import Check, Instance, Source, Theorem, load_theorem
from ntkverify.glossary import lambda_0
from ntkverify.lemmas.recursions.implicit import WORST, ImplicitDescent
from ntkverify.lemmas.recursions.momentum import Momentum, u, z
from ntkverify.lemmas.recursions.runs import ImplicitSteps, MomentumRun
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import PinnRun, pinn

OTHER = sympy.Symbol("branch_0", positive=True)


def verdicts(theorem, *, without=()):
    check = Check(theorem)
    return {c.name: check.verdict(c).shown for c in theorem.claims.values() if not c.name.startswith(without)}


def implicit_theorem(**options):
    theorem = Theorem("T", source=Source(), statement="S")
    descent = ImplicitDescent(theorem, **options)
    descent.any_step(on=WORST, assumes=())
    descent.contraction(on=WORST, assumes=())
    descent.sums()
    return theorem


ON_RUNS = ("any step", "the same with lambda_max", "one step shrinks")


@pytest.mark.parametrize("options", [{}, {"rate": lambda_0 + OTHER}, {"kept": Rational(3, 4)}])
def test_worst_implicit_step_is_kept_and_its_threshold_is_sharp(options):
    words = verdicts(implicit_theorem(**options), without=ON_RUNS)
    assert sorted(words.values()) == ["holds"] * 4 + ["refuted"]


@pytest.mark.parametrize(("constant", "factor"), [("epsilon", Rational(102, 100)), ("drift_factor", Rational(98, 100))])
def test_a_constant_of_implicit_steps_moved_by_two_per_cent_is_refuted(constant, factor):
    theorem = implicit_theorem()
    with theorem.mutated(constant, factor):
        assert "violated" in verdicts(theorem, without=ON_RUNS).values()


class Implicit(ImplicitSteps, PinnRun):
    """Two samples, trained implicitly."""


HEAT = Instance(
    data={"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]], "source": [0.3], "values": [0.2]},
    width=6,
    step=100.0,
    steps=2,
    seed=5,
)


@pytest.mark.parametrize("backend", ["array", "cpu", "ball"])
def test_implicit_steps_are_solved_and_looked_back_on(backend):
    run = pinn(activation="tanh", kind=Implicit)(HEAT, Theorem("T", source=Source(), statement="S"), backend=backend)
    r, trajectory = run.trajectory.residuals, run.trajectory
    pulled = run.eta * np.einsum("kij,kj->ki", trajectory.grams[1:], r[1:])
    found = [r[:-1] - r[1:] - pulled - trajectory.back_remainders, trajectory.back_linear - pulled]
    found.append(trajectory.lengths**2 - run.eta * (r[1:] * trajectory.back_linear).sum(axis=1))
    for difference in found:
        assert (abs(difference) <= 1e-9).all()
    assert run.push_norm.max() > 1e-3  # the network is no linear one


@pytest.mark.parametrize("nesterov", [False, True])
def test_powers_over_the_spectrum_are_proved_and_their_constants_sharp(nesterov):
    theorem = Theorem("T", source=Source(), statement="S")
    momentum = Momentum(theorem, nesterov=nesterov)
    momentum.powers()
    momentum.perturbed()
    words = verdicts(theorem)
    assert set(words.values()) == {"holds", "refuted"}
    for name, factor in [("growth", Rational(1, 2)), ("rho", Rational(99, 100))]:
        with theorem.mutated(name, factor):
            assert "violated" in verdicts(theorem).values(), name


@pytest.mark.parametrize(("kappa", "found"), [(2, 2.75), (10, 6.73), (100, 22.5), (1e4, 230.4)])
def test_the_sharp_constant_of_heavy_ball_is_what_powers_reach(kappa, found):
    theorem = Theorem("T", source=Source(), statement="S")
    momentum = Momentum(theorem)
    run = AlgebraRun(Instance(parameters={"u": kappa**-0.5, "z": 1 / kappa}, steps=400), theorem)
    c, h = 1 + momentum.b, momentum.h
    sharp = run.evaluate(((c + sympy.sqrt(c**2 - h)) / sympy.sqrt(h)).subs(z, 1 / sympy.Float(kappa)))
    reached = max(momentum.norms(run, run.rho))
    assert 0.99 * sharp <= reached <= sharp * (1 + 1e-9)
    assert reached == pytest.approx(found, rel=2e-3)
    assert u in theorem.expand(momentum.growth).free_symbols


class Nesterov(MomentumRun):
    """At the extrapolated points."""

    nesterov = True


@pytest.mark.parametrize("kind", [MomentumRun, Nesterov])
@pytest.mark.parametrize("backend", ["array", "cpu", "ball"])
def test_a_network_whose_signs_stay_has_no_perturbation(kind, backend):
    """ReLU networks are linear until a neuron switches: inputs and targets far too small for that."""
    theorem = Theorem("T", source=Source(), statement="S")
    Momentum(theorem, nesterov=kind.nesterov)
    data = {"inputs": [[1.0, 0.0], [0.6, 0.8]], "targets": [1e-3, -1e-3]}
    instance = Instance(data=data, parameters={"alpha": 1e3}, width=8, steps=4, seed=3)
    run = kind(instance, theorem, coupled=True, backend=backend)
    assert (run.trajectory.drift < 1e-6).all()
    assert (run.phi <= 1e-6 * run.sizes[0]).all()
    assert len(run.sizes) == 5 - kind.nesterov


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov"])
def test_a_control_at_a_width_allows_what_its_true_twin_does_and_no_rate_is_judged_before_a_step(name):
    theorem = load_theorem(Path(__file__).parents[2] / "theorems" / "beyond" / f"{name}.py")
    claims = theorem.claims.values()
    narrow = [c for c in claims if c.kind == "control" and "neurons: " in c.name]
    assert narrow
    for control in narrow:
        said = control.name.partition("neurons: ")[2]
        (twin,) = (c for c in claims if c.kind == "conclusion" and c.name == f"two inputs, 4096 neurons: {said}")
        assert control.quantifier == twin.quantifier
    rated = [c for c in claims if "since" in map(str, theorem.expand(c.bound).free_symbols)]
    assert len(rated) == len(narrow) + 1
    data = {"inputs": [[1.0, 0.0], [0.6, 0.8]], "targets": [1.0, -1.0]}
    for claim in rated:
        family = theorem.families_of(claim)[0]
        run = family.run(Instance(data=data, parameters={"delta": 0.25, "C": 1.0}, width=64, steps=4, seed=1), theorem)
        judged = np.asarray(claim.given(run))
        assert not judged[0]  # |x(0)| <= growth |x(0)| says nothing of a rate
        assert judged[1]
