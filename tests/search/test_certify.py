"""Balls never guess, runs in balls enclose the float64 runs, and certificates say what they know."""

import numpy as np
import pytest

flint = pytest.importorskip("flint")

from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

from ntkverify import Instance, load_theorem  # noqa: E402
from ntkverify.arithmetic.ball_linear import eigenvalue_balls  # noqa: E402
from ntkverify.arithmetic.ball_numbers import Ball, NoEnclosure, ball_array, raw_array  # noqa: E402
from ntkverify.arithmetic.balls import Undecided  # noqa: E402
from ntkverify.instances import orthonormal_inputs  # noqa: E402
from ntkverify.judging.case import Case  # noqa: E402
from ntkverify.judging.draws import draw_instances  # noqa: E402
from ntkverify.judging.falsehoods import planted  # noqa: E402
from ntkverify.problems.regression import RegressionRun  # noqa: E402
from ntkverify.search.evidence.certify import certify  # noqa: E402

REGRESSION = Path(__file__).parents[2] / "theorems/natural_gradient/gradient_descent_regression.py"


def wide(low, high):
    return Ball(flint.arb(low).union(flint.arb(high)))


class TestBalls:
    def test_overlapping_balls_are_not_compared(self):
        a, b = wide(0, 2), wide(1, 3)
        for compare in (lambda: a < b, lambda: a <= b, lambda: a >= b, lambda: a == b, lambda: bool(a)):
            with pytest.raises(Undecided):
                compare()
        assert a < 4
        assert a >= -1
        assert a < 5
        with pytest.raises(NoEnclosure):
            float(a)

    def test_the_maximum_of_overlapping_balls_encloses_both_cases(self):
        top = ball_array([wide(0, 2), wide(1, 3), Ball(-1)]).max()
        assert top.arb.contains(flint.arb(1))
        assert top.arb.contains(flint.arb(3))
        assert not top.arb.contains(flint.arb("0.5"))
        assert np.maximum(ball_array([wide(0, 2)]), 5)[0] == 5

    def test_numpy_functions_enclose(self):
        x = np.array([[3.0, 4.0], [1 / 3, 0.1]])
        balls = ball_array(x)
        for value, enclosure in (
            (np.linalg.norm(x, axis=1), np.linalg.norm(balls, axis=1)),
            (np.abs(-x).max(), np.abs(-balls).max()),
            (x @ x[0], balls @ balls[0]),
            (np.sqrt(x) ** 2 / 7 + x.sum(axis=0), np.sqrt(balls) ** 2 / 7 + balls.sum(axis=0)),
        ):
            middle = np.vectorize(lambda b: float(b.mid()))(raw_array(enclosure))
            np.testing.assert_allclose(middle, value, rtol=1e-14)
        # 1/3 in float64 times 3 is not 1: the ball is exact about what it was given
        with flint.ctx.workprec(128):
            assert Ball(1 / 3) * 3 != 1

    def test_eigenvalues_of_clusters_are_enclosed_in_order(self):
        q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
        matrix = (q * [1.0, 2.0, 2.0, 5.0]) @ q.T
        found = eigenvalue_balls(raw_array((matrix + matrix.T) / 2))
        np.testing.assert_allclose([float(b.mid()) for b in found], [1, 2, 2, 5], atol=1e-12)
        identity = eigenvalue_balls(raw_array(np.eye(3)))
        assert all(b.contains(flint.arb(1)) for b in identity)


@pytest.fixture(scope="module")
def regression():
    return load_theorem(REGRESSION)


def test_a_regression_run_in_balls_is_the_float64_run_without_rounding(regression):
    family = regression.families["any width"]
    instance = next(
        i for i in draw_instances(family, 20, entropy=3) if 8 <= i.width <= 32 and len(i.data["inputs"]) > 1
    )
    run = family.run(instance, regression)
    with flint.ctx.workprec(128):
        balls = run.on("ball")
        for name in (
            "residuals", "losses", "gram_drift", "eigenvalues", "remainder", "drift", "largest_gradient",
            "linear_step", "limit_gram", "lambda_0", "limit_norm", "initial_outputs", "initial_gram_error",
            "residual_0", "loss_0", "R",
        ):  # fmt: skip
            found = raw_array(getattr(balls, name))
            middle = np.vectorize(lambda b: float(b.mid()), otypes=[float])(found)
            np.testing.assert_allclose(middle, getattr(run, name), rtol=1e-9, atol=1e-12, err_msg=name)
            radius = np.vectorize(lambda b: float(b.rad()), otypes=[float])(found)
            assert np.max(radius) < 1e-25, name
        near = raw_array(balls.initial(0.5).near)
        np.testing.assert_allclose([float(b) for b in near], run.initial(0.5).near, rtol=1e-15)


GRADIENT = "max_r ||dL/dw_r|| <= sqrt(n/m) ||r||"


def small(**changes):
    options = {
        "data": {"inputs": [[1.0]], "targets": [1.0]},
        "parameters": {"C": 1.0, "delta": 0.1},
        "width": 2,
        "step": 0.1,
        "steps": 2,
        "seed": 3,
    }
    return Instance(**{**options, **changes})


class TestCertificate:
    def test_a_planted_falsehood_is_certified_and_the_true_claim_refuted(self, regression):
        claim, family = regression.claims[GRADIENT], regression.families["any width"]
        true = certify(Case(regression, claim, family), small())
        assert true.status == "REFUTED"
        assert float(true.measured[0]) <= float(true.bound[1]) * (1 + 1e-12)
        with planted(regression, [f"{GRADIENT} * 9/10"]):
            false = certify(Case(regression, claim, family), small())
        assert false.status == "CERTIFIED"
        assert float(false.measured[0]) > float(false.bound[1])

    def test_an_unmet_assumption_refutes_and_a_relaxed_one_does_not(self, regression):
        claim, family = regression.claims[GRADIENT], regression.families["any width"]
        long = small(data={"inputs": [[3.0]], "targets": [1.0]})
        assert "unit inputs" in certify(Case(regression, claim, family), long).reason
        relaxed = certify(Case(regression, claim, family, ("unit inputs",)), long)
        assert relaxed.status == "CERTIFIED"

    def test_an_excess_within_rounding_is_not_certified(self, theorem):
        claim, family = theorem.claims["the root squared is the square"], theorem.families["vectors"]
        instance = Instance(data={"x": [0.3, 0.7]}, parameters={"scale": 1.0})
        assert certify(Case(theorem, claim, family), instance).status == "REFUTED"

    def test_a_number_rounded_by_the_measure_itself_certifies_nothing(self, theorem):
        """(1e16 + 3) - 1e16 is 3, and 4 in float64: the claim is true."""
        family = theorem.families["vectors"]
        claim = replace(
            theorem.claims["rounds an enclosed number"], measure=lambda run: (np.float64(1e16) + 3.0) - 1e16
        )
        instance = Instance(data={"x": [0.3, 0.7]}, parameters={"scale": 1.0})
        found = certify(Case(theorem, claim, family), instance)
        assert found.status == "UNDECIDED"
        assert "float64" in found.reason

    def test_an_error_in_a_measure_is_undecided(self, theorem):
        def fails(run):
            return 1.0 if isinstance(run.x[0], float) else np.linalg.cholesky(np.array([[-1.0]]))

        claim = replace(theorem.claims["rounds an enclosed number"], measure=fails)
        instance = Instance(data={"x": [0.3, 0.7]}, parameters={"scale": 1.0})
        assert certify(Case(theorem, claim, theorem.families["vectors"]), instance).status == "UNDECIDED"

    def test_probability_and_large_runs_are_undecided(self, regression, theorem):
        coin = theorem.claims["a fair coin"]
        assert certify(Case(theorem, coin, theorem.families["vectors"]), small()).status == "UNDECIDED"
        claim, family = regression.claims[GRADIENT], regression.families["any width"]
        huge = small(data={"inputs": orthonormal_inputs(2), "targets": [0.0, 0.0]}, width=10**9)
        assert "too many" in certify(Case(regression, claim, family), huge).reason


def test_what_a_class_adds_or_redefines_is_computed_with_balls_or_refused(regression):
    class Other(RegressionRun):
        activation = "erf"

        @property
        def half(self):
            return self.eta / 2

        @property
        def drift(self):
            return np.zeros(self.instance.steps + 1)

    instance = small(data={"inputs": [[0.6, 0.8]], "targets": [1.0]})
    found = Other(instance, regression).on("ball")
    assert isinstance(found.half, Ball)
    assert found.plain.backend == "auto"
    claim = replace(regression.claims[GRADIENT], measure=lambda run: run.drift[1:])
    certificate = certify(Case(regression, claim, replace(regression.families["any width"], run=Other)), instance)
    assert certificate.status == "UNDECIDED"
    assert "measures in float64" in certificate.reason
