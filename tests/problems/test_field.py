"""Networks seen at test points, and samples drawn from a population: against formulas written out here."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_cupy import use_device
from small_instances import small_instance

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.judging.case import Case
from ntkverify.problems.field import PopulationRun, field, from_population
from ntkverify.problems.regression import limit_gram_matrix
from ntkverify.search.evidence.certify import certify

THEOREM = Theorem("field", source=Source(provenance="derived"), statement="u_x")
X = np.array([[1.0, 0.0], [0.6, 0.8]])
TESTS = np.array([[0.0, 1.0], [-0.8, 0.6], [1.0, 0.0]])
INSTANCE = Instance(
    data={"inputs": X, "targets": [1.0, -0.5], "tests": TESTS},
    parameters={"alpha": 3.0}, width=40, step=0.05, steps=3, seed=7,
)  # fmt: skip


def floats(values):
    """Of floats, or of balls."""
    return np.array([float(getattr(v, "arb", v)) for v in np.ravel(values)]).reshape(np.shape(values))


def trained(instance, points):
    """Weights along gradient descent, signs and outputs at points, by NumPy alone."""
    run = field(coupled=True)(instance, THEOREM)
    w, signs = run.drawn()[0].copy(), run.drawn()[1][:, 0]
    scale, x, y = 3.0 / np.sqrt(len(w)), instance.array("inputs"), instance.array("targets")
    jacobians, outputs = [], []
    for _ in range(instance.steps + 1):
        jacobians.append((scale * signs * (points @ w.T >= 0))[:, :, None] * points[:, None, :])
        outputs.append(scale * np.maximum(points @ w.T, 0) @ signs)
        rows = (scale * signs * (x @ w.T >= 0))[:, :, None] * x[:, None, :]
        residuals = scale * np.maximum(x @ w.T, 0) @ signs - y
        w = w - instance.step * np.einsum("n,nmd->md", residuals, rows)
    return np.array(jacobians), np.array(outputs)


class TestField:
    def test_outputs_and_kernels_are_those_of_the_trained_network(self):
        run = field(coupled=True)(INSTANCE, THEOREM)
        at_tests, outputs = trained(INSTANCE, TESTS)
        at_inputs, _ = trained(INSTANCE, X)
        np.testing.assert_allclose(run.field, outputs, atol=1e-13)
        assert (np.abs(run.field - outputs) <= 2 * run.trajectory.field_error).all()
        np.testing.assert_allclose(
            run.trajectory.cross_kernels, np.einsum("kqmd,knmd->kqn", at_tests, at_inputs), rtol=1e-12, atol=1e-13
        )
        np.testing.assert_allclose(
            run.trajectory.field_kernels, np.einsum("kqmd,kqmd->kq", at_tests, at_tests), rtol=1e-12
        )
        assert run.field[-1].max() > 0.1  # it has moved from 0

    def test_what_a_step_leaves_at_a_test_point_that_is_an_input_is_what_it_leaves_there(self):
        run = field(coupled=True)(INSTANCE, THEOREM)
        np.testing.assert_allclose(run.field_remainders[:, 2], run.trajectory.remainders[:, 0], atol=1e-13)
        assert (run.field_remainder_error < 1e-11).all()

    def test_the_linear_field_solves_the_frozen_recursion(self):
        run = field(coupled=True)(INSTANCE, THEOREM)
        gram, eta = run.trajectory.grams[0], INSTANCE.step
        power = np.linalg.matrix_power(np.eye(2) - eta * gram, 3)
        np.testing.assert_allclose(run.linear_residuals(gram)[3], power @ -INSTANCE.array("targets"), rtol=1e-13)
        ends = run.cross @ np.linalg.solve(gram, (np.eye(2) - power) @ INSTANCE.array("targets"))
        np.testing.assert_allclose(run.linear_field(gram, run.cross)[3], ends, rtol=1e-12)
        fitted = (np.eye(2) - power) @ INSTANCE.array("targets")
        assert run.linear_norms(gram)[3] == pytest.approx(np.sqrt(fitted @ np.linalg.solve(gram, fitted)), rel=1e-12)
        assert run.linear_norms(gram)[0] == 0

    def test_training_does_not_see_the_test_points(self):
        others = replace(INSTANCE, data={**INSTANCE.data, "tests": TESTS[:1]})
        one, other = (field(coupled=True)(i, THEOREM).trajectory.residuals for i in (INSTANCE, others))
        np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("backend", ["cpu", "gpu", "ball"])
    def test_every_backend_sees_the_same(self, backend, monkeypatch):
        if backend == "ball":
            pytest.importorskip("flint")
        if backend == "gpu":
            use_device(monkeypatch)
        wanted = field(coupled=True)(INSTANCE, THEOREM, backend="array")
        run = field(coupled=True)(INSTANCE, THEOREM, backend=backend)
        for name in ("field", "cross_kernels", "field_kernels"):
            found = floats(getattr(run.trajectory, name))
            np.testing.assert_allclose(found, getattr(wanted.trajectory, name), rtol=1e-12, atol=1e-12)
        start = run.start_at_all_points(0.1)
        np.testing.assert_allclose(floats(start.gram), wanted.start_at_all_points(0.1).gram, rtol=1e-12)

    @pytest.mark.parametrize("tests", [[], [[1.0, 0.0, 0.0]], [1.0, 0.0]])
    def test_test_points_of_another_space_are_refused(self, tests):
        with pytest.raises(NtkVerifyError, match="give at least one test point, of as many coordinates"):
            field()(replace(INSTANCE, data={**INSTANCE.data, "tests": tests}), THEOREM)

    def test_missing_test_points_are_refused(self):
        with pytest.raises(NtkVerifyError, match="'tests' is missing"):
            field()(replace(INSTANCE, data={"inputs": X, "targets": [1.0, 2.0]}), THEOREM)


POINTS = np.array([[np.cos(a), np.sin(a)] for a in np.arange(20) / 3])
POPULATION = Instance(
    data={"population": POINTS, "labels": POINTS[:, 0]}, parameters={"size": 12}, width=8, step=0.1, steps=1, seed=3
)


class TestPopulation:
    def test_the_interpolant_interpolates_and_its_norm_is_the_complexity(self):
        run = from_population()(POPULATION, THEOREM)
        kernel = limit_gram_matrix(POINTS)
        chosen = [int(np.flatnonzero((x == POINTS).all(axis=1))[0]) for x in run.inputs]
        assert 4 < len(chosen) == len(set(chosen)) <= 12
        np.testing.assert_allclose(run.interpolant[chosen], POINTS[chosen, 0], atol=1e-9)
        y = POINTS[chosen, 0]
        wanted = y @ np.linalg.solve(kernel[np.ix_(chosen, chosen)], y)
        assert run.complexity == pytest.approx(wanted, rel=1e-9)
        assert run.complexity_of(POINTS[:, 0]) == pytest.approx(wanted, rel=1e-9)
        assert run.sample_error(run.interpolant) < 1e-9 < run.population_error(run.interpolant) < 0.1
        np.testing.assert_allclose(run.inverse @ run.limit_gram, np.eye(len(chosen)), atol=1e-9)

    def test_errors_are_those_of_every_step(self):
        run = from_population()(POPULATION, THEOREM)
        for error in (run.population_error, run.sample_error):
            np.testing.assert_allclose(error(run.field), [error(u) for u in run.field], rtol=1e-14)

    def test_the_witness_has_norm_one_and_sees_the_sample_worst(self):
        run = from_population()(POPULATION, THEOREM)
        kernel, w = limit_gram_matrix(POINTS), run.excess
        assert w.sum() == pytest.approx(0, abs=1e-15)
        away = w @ run.witness  # mean over the population minus mean over the draws
        assert away == pytest.approx(np.sqrt(w @ kernel @ w))
        rng = np.random.default_rng(0)
        for _ in range(50):
            c = rng.standard_normal(len(POINTS))
            assert abs(w @ kernel @ c) <= away * np.sqrt(c @ kernel @ c) * (1 + 1e-12)

    def test_seeds_draw_samples_and_signs(self):
        runs = [from_population(random_labels=True)(replace(POPULATION, seed=s), THEOREM) for s in (3, 3, 4)]
        assert set(np.unique(runs[0].targets)) == {-1.0, 1.0}
        np.testing.assert_array_equal(runs[0].targets, runs[1].targets)
        assert runs[0].inputs.tolist() != runs[2].inputs.tolist()
        plain = from_population()(POPULATION, THEOREM)
        np.testing.assert_array_equal(plain.inputs, runs[0].inputs)  # the same draw, other labels

    def test_draws_count_as_often_as_they_come(self):
        run = PopulationRun(POPULATION, THEOREM, coupled=True)
        values = np.zeros(len(POINTS))
        counts = (1 / len(POINTS) - run.excess) * 12
        assert counts == pytest.approx(np.round(counts))
        assert run.sample_error(values) == pytest.approx(counts @ np.minimum(1, np.abs(POINTS[:, 0])) / 12)

    @pytest.mark.parametrize("size", [0, 2.5])
    def test_a_size_that_is_no_number_of_samples_is_refused(self, size):
        with pytest.raises(NtkVerifyError, match="draw a whole number of samples"):
            from_population()(replace(POPULATION, parameters={"size": size}), THEOREM)

    def test_labels_of_another_length_are_refused(self):
        with pytest.raises(NtkVerifyError, match="'labels'"):
            from_population()(replace(POPULATION, data={"population": POINTS, "labels": [1.0]}), THEOREM)


@pytest.mark.parametrize(
    ("name", "family", "kept"),
    [("learnt_function", "64 neurons, alpha = 1", 17), ("generalisation", "labels to the power 2", 1)],
)
def test_what_is_learnt_is_certified_in_balls(name, family, kept):
    pytest.importorskip("flint")
    theorem, chosen, instance = small_instance(name, family, width=24)
    found = [
        certify(Case(theorem, claim, chosen), instance)
        for claim in theorem.claims.values()
        if claim.kind != "control" and not claim.is_symbolic and claim.quantifier.is_decided_by_one_run
        if chosen in list(theorem.families_of(claim))
    ]
    assert [one.status for one in found] == ["REFUTED"] * kept  # no violation, in enclosures
