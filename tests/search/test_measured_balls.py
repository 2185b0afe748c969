"""Physics-informed and natural gradient runs in balls are the float64 runs without their rounding."""

from dataclasses import replace

import numpy as np
import pytest

flint = pytest.importorskip("flint")

from small_instances import FOLDER, loaded, small_instance  # noqa: E402

from ntkverify import Instance, NtkVerifyError  # noqa: E402
from ntkverify.arithmetic.ball_linear import FUNCTIONS, eigenvalue_balls, solve_balls, spectral_norm_ball  # noqa: E402
from ntkverify.arithmetic.ball_numbers import Ball, ball_array, raw_array  # noqa: E402
from ntkverify.cli import main  # noqa: E402
from ntkverify.judging.case import Case  # noqa: E402
from ntkverify.judging.falsehoods import planted  # noqa: E402
from ntkverify.search.evidence.certify import certify  # noqa: E402
from ntkverify.search.evidence.violation import Violation, digest  # noqa: E402


def middles(balls):
    return np.vectorize(lambda b: float(b.mid()), otypes=[float])(raw_array(balls))


def radii(balls):
    return np.vectorize(lambda b: float(b.rad()), otypes=[float])(raw_array(balls))


SMOOTH = "smooth: halving the distance of two interior samples quarters lambda_0, up to sqrt(h) as chosen"
CUBED = "ReLU^3: halving the distance of two interior samples halves lambda_0, up to sqrt(h) as chosen"


@pytest.mark.parametrize(
    ("family", "anywhere", "mended"),
    [
        ("merging samples beside a third, erf",
         "smooth: halving the distance quarters lambda_0 up to sqrt(h) as chosen wherever the other samples are",
         SMOOTH),
        ("two pairs, ReLU^3",
         "ReLU^3: halving the distance halves lambda_0 up to sqrt(h) as chosen wherever the other samples are", CUBED),
    ],
)  # fmt: skip
def test_what_refutes_a_merging_lemma_anywhere_is_certified_and_outside_its_assumption(family, anywhere, mended):
    theorem, family, instance = small_instance("positive_definiteness", family)
    assert certify(Case(theorem, theorem.claims[anywhere], family), instance).status == "CERTIFIED"
    certificate = certify(Case(theorem, theorem.claims[mended], family), instance)
    assert certificate.status == "REFUTED"
    assert "4 sqrt(h) apart" in certificate.reason
    # with the merging pair and one boundary sample there is nothing else that could be close
    alone = {name: [instance.data[name][0], instance.data[name][-1]] for name in ("interior", "closer")}
    alone = replace(instance, data={**alone, "boundary": instance.data["boundary"][:1]})
    assert "kept" in certify(Case(theorem, theorem.claims[mended], family), alone).reason


TRAJECTORY = (
    "residuals", "grams", "linear", "remainders", "lengths", "drift", "drift_rms", "weight_norm", "jacobian_change",
    "path_change", "path_from_start", "gradients",
)  # fmt: skip
RUN = ("residuals", "losses", "eigenvalues", "gram_drift", "remainder", "drift", "drift_rms", "residual_0", "loss_0")
PINN = ("limit_gram", "limit_eigenvalues", "lambda_0", "limit_norm", "initial_gram_error", "rho")


@pytest.mark.parametrize(
    ("name", "family", "attributes"),
    [
        ("gradient_descent_pinn", "narrow", RUN + PINN),
        ("natural_gradient_pinn", "ReLU^3, heat", RUN + PINN),
        ("natural_gradient_pinn", "tanh, heat", RUN),
        ("zhang_martens_grosse", "training", (*RUN, "sigma_0")),
    ],
)
def test_a_trajectory_in_balls_is_the_float64_trajectory(name, family, attributes):
    theorem, family, instance = small_instance(name, family, width=16)
    run = family.run(instance, theorem)
    with flint.ctx.workprec(192):
        balls = run.on("ball")
        pairs = [(attribute, getattr(balls, attribute), getattr(run, attribute)) for attribute in attributes]
        # float64 follows the Jacobian for natural gradient descent only
        fields = TRAJECTORY if run.method == "natural gradient" else TRAJECTORY[:8] + TRAJECTORY[11:]
        pairs += [(field, getattr(balls.trajectory, field), getattr(run.trajectory, field)) for field in fields]
        size = float(np.max(np.abs(run.residuals)))
        for field, found, expected in pairs:
            # remainders cancel numbers of the size of the residuals, and steps amplify rounding by a condition
            scale = np.max(np.abs(expected), initial=1e-6 * size)
            np.testing.assert_allclose(middles(found), expected, rtol=1e-6, atol=1e-6 * scale, err_msg=field)
            assert np.max(radii(found), initial=0) < 1e-20 * scale, field
        jacobian, expected = balls.jacobian_at(balls.weights), run.jacobian_at(run.weights)
        np.testing.assert_allclose(middles(jacobian), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sizes, tanh", "widths, softplus", "widths, softplus, all signs +1"])
def test_a_first_step_in_balls_is_the_float64_step(name):
    _, family, instance = small_instance("quadratic_convergence", name, width=16)
    theorem = loaded(FOLDER / "quadratic_convergence.py")
    run = family.run(replace(instance, scale=0.6, evenness=0.8), theorem)
    signs = run.frozen
    assert (signs == 1).all() == name.endswith("+1")
    with flint.ctx.workprec(192):
        balls = run.on("ball")
        np.testing.assert_array_equal(middles(balls.frozen), signs)
        np.testing.assert_allclose(middles(balls.residual_0), run.residual_0, rtol=1e-14)
        for field, expected in run.first_step._asdict().items():
            found = getattr(balls.first_step, field)
            if field == "rounding":
                assert middles(found) == radii(found) == 0
                continue
            # remainders cancel outputs, whose rounding is bounded
            error = run.first_step.rounding if field in ("whole", "half") else 1e-9 * expected
            assert abs(float(middles(found)) - expected) <= error, field
            assert float(radii(found)) < 1e-30, field


def test_the_first_steps_bound_and_a_thousandth_of_it_are_told_apart(tmp_path, capsys):
    theorem, family, instance = small_instance("quadratic_convergence", "sizes, tanh", width=16, seed=5)
    moved = replace(instance, scale=0.6)
    assert moved.turns
    names = (next(name for name in theorem.claims if name.startswith("third order: ")),
             "third order with a thousandth of its constant")  # fmt: skip
    found = [certify(Case(theorem, theorem.claims[name], family), moved).status for name in names]
    assert found == ["REFUTED", "CERTIFIED"]
    # and from a file, by whoever was sent it
    path = FOLDER / "quadratic_convergence.py"
    violation = Violation(theorem.id, str(path), digest(path), names[1], (), (), moved, {"kind": "float64"})
    file = tmp_path / "violation.json"
    file.write_text(violation.to_json())
    assert main(["certify", str(file)]) == 0
    assert "weights times 0.6" in capsys.readouterr().out
    assert main(["replay", str(file)]) == 0
    assert "violated in float64 by the fraction 6.07" in capsys.readouterr().out


def test_a_first_step_has_no_trajectory_in_either_arithmetic():
    _, family, instance = small_instance("quadratic_convergence", "widths, softplus, all signs +1", width=4)
    run = family.run(instance, loaded(FOLDER / "quadratic_convergence.py"))
    for name in ("trajectory", "at_start", "eigenvalues"):
        for one in (run, run.on("ball")):
            with pytest.raises(NtkVerifyError, match="follows no trajectory"):
                getattr(one, name)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gradient_descent_regression", "any width"),
        ("gradient_descent_pinn", "narrow"),
        ("natural_gradient_pinn", "ReLU^3, heat"),
        ("zhang_martens_grosse", "training"),
    ],
)
def test_moved_weights_reach_float64_and_balls_alike(name, family):
    theorem, family, instance = small_instance(name, family, seed=1)
    instance = replace(instance, scale=0.7, evenness=0.5)
    assert instance.turns
    turned, plain = (family.run(i, theorem) for i in (instance, instance.with_seed(instance.seed)))
    # other networks than the unturned ones, before training too; targets of the last theorem follow the initial outputs
    pairs = [(turned.eigenvalues, plain.eigenvalues)]
    if name != "zhang_martens_grosse":
        pairs.append((turned.at_start.outputs, plain.at_start.outputs))
    for one, other in pairs:
        assert np.abs(one - other).max() > 1e-3 * np.abs(other).max()
    size = np.abs(turned.residuals).max()
    with flint.ctx.workprec(192):
        np.testing.assert_allclose(middles(turned.on("ball").residuals), turned.residuals, rtol=1e-9, atol=1e-9 * size)
    again = family.run(Instance.from_json(instance.to_json()), theorem)
    np.testing.assert_array_equal(again.residuals, turned.residuals)


def test_linear_algebra_encloses():
    rng = np.random.default_rng(0)
    a, square = rng.standard_normal((3, 5)), rng.standard_normal((4, 4))
    symmetric = square + square.T
    with flint.ctx.workprec(128):
        for expected, found in (
            (np.linalg.norm(a, 2), np.linalg.norm(ball_array(a), ord=2)),
            (np.linalg.norm(np.stack([a, 2 * a]), ord=2, axis=(1, 2)),
             np.linalg.norm(ball_array(np.stack([a, 2 * a])), ord=2, axis=(1, 2))),
            (np.linalg.norm(a), np.linalg.norm(ball_array(a))),
            (np.linalg.eigvalsh(symmetric), np.linalg.eigvalsh(ball_array(symmetric))),
            (np.linalg.pinv(a), np.linalg.pinv(ball_array(a))),
            (np.linalg.pinv(a.T), np.linalg.pinv(ball_array(a.T))),
            (np.linalg.solve(square, a[:, :4].T), np.linalg.solve(ball_array(square), ball_array(a[:, :4].T))),
        ):  # fmt: skip
            np.testing.assert_allclose(middles(found), expected, rtol=1e-12, atol=1e-14)
            assert np.max(radii(found)) < 1e-30
        assert spectral_norm_ball(raw_array(np.zeros((2, 3)))) == 0
        assert [float(e) for e in eigenvalue_balls(raw_array(np.array([[2.0]])))] == [2]
        assert set(FUNCTIONS) >= {np.linalg.solve, np.linalg.pinv}
        from ntkverify.arithmetic.balls import Undecided

        with pytest.raises(Undecided, match="regular"):
            solve_balls(raw_array(np.ones((2, 2))), raw_array(np.ones(2)))
        # arrays of floats meet single balls, and arrays of balls are compared with single ones
        assert (np.array([1.0, 2.0]) * Ball(3) == ball_array([3, 6])).all()
        assert list(ball_array([1, 4]) <= Ball(2)) == [True, False]


@pytest.mark.parametrize(
    ("name", "family", "claim"),
    [
        ("gradient_descent_pinn", "narrow", "max_r ||dL/dw_r|| <= C_g B^2 ||r||/sqrt(m)"),
        ("natural_gradient_pinn", "ReLU^3, heat", "||theta+ - theta|| <= eta ||r||/sqrt(lambda_min(H))"),
        ("jacobian_stability", "tanh", "tanh, two moves: ||J(w) - J(0)||_F <= R times the root mean square slope"),
        ("quadratic_convergence", "training", "||J_r||_F <= C_g B^2/sqrt(m), every neuron"),
        ("zhang_martens_grosse", "worst Jacobians", "||E|| <= eta (2c/3)/(1 - c/3) ||r||, worst case"),
        ("initial_gram_pinn", "any width", "m ||J_r||_F^2 <= C_g^2 |w_r|^4, every neuron"),
        ("positive_definiteness", "merging samples, ReLU^3",
         "lambda_0 <= E||grad r_p - grad r_q||^2 / 2 for any two samples of a block"),
        ("positive_definiteness", "merging samples, erf",
         "smooth: halving the distance of two interior samples quarters lambda_0, up to sqrt(h) as chosen"),
    ],
)  # fmt: skip
def test_a_falsehood_about_a_network_is_certified_and_the_truth_refuted(name, family, claim):
    theorem, family, instance = small_instance(name, family, width=10)
    instance = replace(instance, scale=1.0)  # short weights are far from every bound
    true = certify(Case(theorem, theorem.claims[claim], family), instance)
    assert true.status == "REFUTED"
    with planted(theorem, [f"{claim} * 1/10000"]):
        false = certify(Case(theorem, theorem.claims[claim], family), instance)
    assert false.status == "CERTIFIED"
    assert float(false.measured[0]) > float(false.bound[1])
