"""Runs of shallow neural operators: what they measure, on every backend and in balls."""

import numpy as np
import pytest
from simulated_cupy import use_device

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.problems.neural_operator.flow import operator_flow
from ntkverify.problems.neural_operator.run import operator
from ntkverify.problems.pinn import heat_equation
from ntkverify.symbolic.limit.limits import limit_gram

THEOREM = Theorem("T", source=Source(), statement="S")
ANGLES = np.array([0.3, 1.4])
UNIT = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
DATA = {"functions": UNIT, "queries": np.eye(2), "values": [[0.5, -0.2], [0.1, 0.9]]}
INFORMED = {
    "functions": UNIT,
    "interior": [[0.2, 0.3], [0.8, 0.7]],
    "boundary": [[0.0, 0.5]],
    "source": [[1.0, -1.0], [0.5, 0.2]],
    "values": [[0.3], [-0.4]],
}


def run_of(data=DATA, *, width=40, steps=2, step=0.5, backend="array", make=None, **parameters):
    instance = Instance(data=data, parameters={"p": 2, **parameters}, width=width, step=step, steps=steps, seed=3)
    return (make or operator())(instance, THEOREM, backend=backend)


INFORMED_RUN = operator(trunk="relu3", equation=heat_equation, coupled=True)
MAKERS = {"plain": (DATA, operator(), 0.5), "physics-informed": (INFORMED, INFORMED_RUN, 1e-3)}


class TestQuantities:
    def test_features_are_those_of_the_network(self):
        run = run_of()
        w, v = run.weights[:, :2], run.weights[:, 2:].reshape(-1, 2, 2)
        branch = np.einsum("rk,rki->ri", run.frozen, np.maximum(v @ UNIT.T, 0)) / np.sqrt(2)
        outputs = branch.T @ np.maximum(w @ np.eye(2).T, 0) / np.sqrt(40)
        assert run.at_start.outputs == pytest.approx(outputs.ravel(), abs=1e-13)
        assert run.beta == pytest.approx(np.abs(branch).max())
        assert run.start_residual == pytest.approx(outputs.ravel() - np.ravel(DATA["values"]), abs=1e-13)

    def test_both_groups_add_up_to_the_gram_matrix(self):
        run = run_of()
        assert run.trajectory.grams == pytest.approx(run.grams_of("trunk") + run.grams_of("branch"), abs=1e-12)
        assert run.at_start.gram == pytest.approx(run.initial_grams["trunk"] + run.initial_grams["branch"], abs=1e-12)

    def test_a_unit_moves_at_most_as_far_as_its_branch_and_at_least_its_share(self):
        run = run_of(steps=4)
        assert (run.unit_drift <= run.of_group("drift", "branch") * (1 + 1e-12)).all()
        assert (run.unit_drift * np.sqrt(2) >= run.of_group("drift", "branch") * (1 - 1e-12)).all()

    def test_pairs_cancel(self):
        run = run_of(make=operator(coupled=True))
        assert np.abs(run.at_start.outputs).max() < 1e-14

    def test_alpha_scales_outputs_and_limits(self):
        one, three = run_of(), run_of(alpha=3.0)
        assert three.at_start.outputs == pytest.approx(3 * one.at_start.outputs)
        assert three.Lambda == pytest.approx(9 * one.Lambda)
        assert three.limit_trunk == pytest.approx(9 * one.limit_trunk)

    def test_carried_weights_move_as_far_as_they_are_told_to(self):
        run = run_of(width=400)
        assert run.carried("trunk", 0.0, 0.0) == 0
        assert 0 < run.carried("trunk", 0.1, 0.0) < run.carried("trunk", 0.1, 0.1)
        assert 0 < run.carried("branch", 0.1, 0.0) < run.carried("branch", 0.1, 0.1)


class TestLimits:
    @pytest.mark.parametrize("name", MAKERS)
    def test_least_eigenvalues_come_from_the_factors(self, name):
        data, make, _ = MAKERS[name]
        run = run_of(data, make=make)
        for matrix, least in ((run.limit_trunk, run.lambda_trunk), (run.limit_branch, run.lambda_branch)):
            assert np.linalg.eigvalsh(matrix)[0] == pytest.approx(least, rel=1e-9)
        assert run.norm_sum == pytest.approx(sum(np.linalg.norm(m, 2) for m in (run.limit_trunk, run.limit_branch)))

    @pytest.mark.parametrize("name", MAKERS)
    def test_the_certificate_is_below_and_close(self, name):
        data, make, _ = MAKERS[name]
        run = run_of(data, make=make)
        wanted = np.array([run.lambda_trunk, run.lambda_branch])
        assert (run.certified_rate <= wanted).all()
        assert run.certified_rate == pytest.approx(wanted, rel=1e-4)

    def test_blocks_of_the_limit_stand_in_the_order_of_the_residuals(self):
        """The Monte Carlo mean of a wide network, whose residuals come block by block."""
        run = run_of(INFORMED, make=INFORMED_RUN, width=2**15)
        for group, limit in (("trunk", run.limit_trunk), ("branch", run.limit_branch)):
            scale = np.sqrt(np.multiply.outer(np.diag(limit), np.diag(limit)))
            assert np.abs((run.initial_grams[group] - limit) / scale).max() < 0.3  # heavy tails, 2^15 draws

    def test_samples_that_nearly_coincide_are_refused(self):
        near = {**DATA, "functions": [[1.0, 0.0], [1.0, 1e-17]]}
        with pytest.raises(NtkVerifyError, match="block 'functions': row 1 is to rounding parallel to row 0"):
            _ = run_of(near).Lambda

    def test_covariances_in_balls_enclose_those_in_floats(self):
        limit = limit_gram(run_of().samples.product.trunk)
        balls = limit.matrix_balls(UNIT.tolist(), covariance=True)
        floats = limit.covariance(UNIT)
        assert all(abs(float(balls[i, j].mid()) - floats[i, j]) < 1e-14 for i in range(2) for j in range(2))


class TestBackends:
    @pytest.mark.parametrize("name", MAKERS)
    @pytest.mark.parametrize("backend", ["cpu", "gpu", "ball"])
    def test_trajectories_agree(self, name, backend, monkeypatch):
        if backend == "gpu":
            use_device(monkeypatch)
        data, make, step = MAKERS[name]
        width = 6 if backend == "ball" else 40
        plain = run_of(data, make=make, step=step, width=width)
        other = run_of(data, make=make, step=step, width=width, backend=backend)

        def floats(values):
            return np.array([float(x.arb.mid()) for x in np.ravel(values)]) if backend == "ball" else np.ravel(values)

        for quantity in (
            lambda run: run.residuals,
            lambda run: run.of_group("drift", "trunk"),
            lambda run: run.of_group("drift", "branch"),
            lambda run: run.unit_drift,
            lambda run: run.grams_of("branch"),
            lambda run: run.limit_branch,
            lambda run: run.initial_gram_errors,
            lambda run: [run.beta, run.gamma, run.trunk_near(0.3), run.branch_near(0.3), run.Lambda, run.norm_sum],
        ):
            assert floats(quantity(other)) == pytest.approx(np.ravel(quantity(plain)), rel=1e-9, abs=1e-11)


class TestFlow:
    def test_a_short_flow_is_a_short_step(self):
        flow = run_of(make=operator_flow(), step=1e-4, steps=1)
        descent = run_of(step=1e-4, steps=1)
        # Euler's step is off by the square of its length
        assert flow.residuals == pytest.approx(descent.residuals, abs=1e-7)
        assert (flow.trajectory.residuals_error < 1e-9).all()

    def test_kept_times_far_apart_have_more_steps_between_them(self):
        norm = np.linalg.norm(run_of().at_start.gram, 2)
        far = run_of(make=operator_flow(), step=12 / norm, steps=1)
        near = run_of(make=operator_flow(), step=12 / norm / 32, steps=32)
        assert far.trajectory.notes["substeps"] >= 32
        assert (np.diff(near.losses) < 0).all()
        allowed = far.trajectory.residuals_error[-1] + near.trajectory.residuals_error[-1]
        assert (np.abs(far.trajectory.residuals[-1] - near.trajectory.residuals[-1]) <= 4 * allowed).all()
        for group in ("trunk", "branch"):
            assert far.drift_error(group)[-1] < 0.1 * far.of_group("drift", group)[-1]
        assert far.eigenvalues_error[-1] < 0.1 * far.eigenvalues[-1, -1]

    def test_balls_are_refused_in_one_sentence(self):
        with pytest.raises(NtkVerifyError, match="integrated in float64"):
            _ = run_of(make=operator_flow(), backend="ball").trajectory


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "parameters", "message"),
        [
            ({**DATA, "values": [[1.0, 2.0]]}, {}, r"values must have shape \(2, 2\)"),
            ({**DATA, "functions": np.empty((0, 2))}, {}, r"data 'functions' hold no sample; add at least one"),
            (DATA, {"p": 1.5}, "whole number"),
            (DATA, {"alpha": -1.0}, "alpha = -1"),
        ],
    )
    def test_bad_instances(self, data, parameters, message):
        with pytest.raises(NtkVerifyError, match=message):
            run_of(data, **parameters)

    def test_an_odd_width_leaves_one_without_a_partner(self):
        with pytest.raises(NtkVerifyError, match="even width"):
            _ = run_of(make=operator(coupled=True), width=41).residuals
