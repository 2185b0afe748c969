"""The part for gradient descent: any linear rate, sentences in the words of a theorem, sharp constants."""

import pytest
import sympy
from sympy import Rational

from ntkverify import Check, Source, Theorem
from ntkverify.glossary import lambda_0, limit_norm
from ntkverify.judging.draws import draw_instances
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.recursions.contraction import WORST
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.theorem.instance import Instance

OTHER, OTHER_NORM = sympy.symbols("branch_0 branch_norm", positive=True)


def theorem_on(**options):
    theorem = Theorem("T", source=Source(), statement="S")
    descent = GradientDescent(theorem, **options)
    descent.contraction(on=WORST, assumes=())
    descent.sums()
    return theorem, descent


def worst_verdicts(theorem):
    check = Check(theorem)
    return {c.name: check.verdict(c).shown for c in theorem.claims.values() if "whenever" not in c.name}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rate": lambda_0 + OTHER, "norm": limit_norm + OTHER_NORM},
        {"kept": Rational(3, 4)},
        {"kept": 1 - OTHER, "splits": ({OTHER: Rational(1, 3)}, {OTHER: Rational(1, 2)})},
    ],
    ids=["lambda_0", "a sum over two sets of weights", "three quarters kept", "a share that instances choose"],
)
def test_worst_case_is_kept_and_its_threshold_is_sharp(options):
    theorem, _ = theorem_on(**options)
    words = worst_verdicts(theorem)
    assert sorted(words.values()) == ["holds"] * 4 + ["refuted"] * 2


@pytest.mark.parametrize("constant", ["epsilon", "drift_factor"])
def test_a_constant_moved_by_two_per_cent_is_refuted(constant):
    theorem, _ = theorem_on(rate=lambda_0 + OTHER, norm=limit_norm + OTHER_NORM)
    with theorem.mutated(constant, Rational(102, 100) if constant == "epsilon" else Rational(98, 100)):
        assert "violated" in worst_verdicts(theorem).values()


def test_sentences_speak_in_the_theorems_symbols():
    theorem, _ = theorem_on(rate=lambda_0 + OTHER, norm=limit_norm + OTHER_NORM, said={OTHER_NORM: "||B^inf||"})
    assert "sums: eta sum_k sqrt(1 - eta (branch_0 + lambda_0)/2)^k <= 4/(branch_0 + lambda_0)" in theorem.claims
    assert "(||B^inf|| + ||H^inf||)" in theorem.constants["largest_a"].derivation.text()


def test_epsilon_is_the_threshold_of_the_contraction():
    """1 - 2 a mu + 2 a epsilon = sqrt(1 - a) at the largest a."""
    theorem, descent = theorem_on(kept=Rational(3, 4))
    a, e = (theorem.expand(s) for s in (descent.largest_a, descent.epsilon))
    assert sympy.simplify(1 - 2 * a * Rational(3, 4) + 2 * a * e - sympy.sqrt(1 - a)) == 0


def test_the_rate_and_the_largest_step_are_declared():
    theorem, descent = theorem_on(rate=lambda_0 + OTHER, norm=limit_norm + OTHER_NORM)
    assert theorem.roles.rate == lambda_0 + OTHER
    assert sympy.simplify(theorem.expand(theorem.roles.largest_step) - 2 / (3 * (limit_norm + OTHER_NORM))) == 0
    assert theorem.expand(descent.largest_a) == Rational(1, 3)


def test_draws_do_not_depend_on_who_uses_the_part():
    first, second = (theorem_on()[0] for _ in range(2))
    second.title = "another"
    drawn = [draw_instances(t.families[WORST], 20, entropy=3) for t in (first, second)]
    assert drawn[0] == drawn[1]


def test_an_instance_without_a_direction_is_perturbed_along_r():
    theorem, descent = theorem_on()
    instance = Instance(data={"matrix": [[0.25]], "vector": [2.0]}, parameters={"lambda_0": 0.5}, step=1.0)
    run = AlgebraRun(instance, theorem)
    epsilon = float(theorem.value(descent.epsilon, {}))
    assert descent.one_step(run, 1.0) == pytest.approx((0.75 + 0.5 * epsilon) ** 2)
