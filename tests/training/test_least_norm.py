"""The least-norm solver against Jacobians whose singular value decomposition float64 holds exactly."""

import importlib

import numpy as np
import pytest
import scipy.linalg
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, sine_regression

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.problems.pinn import heat_equation, problem_neuron
from ntkverify.training import dense_least_norm, gauss_newton_flow, least_norm, natural_gradient_descent

# the package's attribute of that name is the function
module = importlib.import_module("ntkverify.training.least_norm")
rows_module = importlib.import_module("ntkverify.training.orthonormal_rows")
EPS = np.finfo(float).eps
N, P = 64, 1024


class Exact:
    """J = U diag(singular) V^T without rounding: Hadamard matrices and powers of two."""

    def __init__(self, exponents):
        # shuffled, so that nothing is graded
        order = np.random.default_rng(0).permutation(N)
        self.u = scipy.linalg.hadamard(N)[:, order] / 8
        self.v = scipy.linalg.hadamard(P)[:, order] / 32
        self.singular = 0.5 ** np.asarray(exponents)
        self.jacobian = (self.u * self.singular) @ self.v.T

    def solution(self, coefficients, factors=None):
        """V diag(factors) coefficients, 1 / singular by default."""
        return self.v @ (coefficients / self.singular if factors is None else coefficients * factors)


def spread(digits):
    """Condition number 10**digits of J J^T, to the next power of two."""
    return Exact(np.round(np.linspace(0, digits * np.log2(10) / 2, N)))


def coefficients():
    """Integers, of which U forms a right-hand side without rounding."""
    return np.random.default_rng(1).integers(-100, 100, N).astype(float)


@pytest.mark.parametrize("digits", [2, 4, 6, 8, 10, 12, 13, 14, 18, 22])
def test_as_accurate_as_qr_at_every_condition_number(digits):
    exact, c = spread(digits), coefficients()
    condition = exact.singular[0] / exact.singular[-1]
    right = exact.u @ c
    for solver, ulps in (("qr", 4), ("householder", 16)):
        found = dense_least_norm(exact.jacobian, right, solver=solver)
        assert (found.solver, found.rank, found.reason) == (solver, N, "")
        assert found.condition == pytest.approx(condition**2, rel=1e-3)
        # backward stable: as if J had been off by some ulps
        assert relative(found.direction, exact.solution(c)) < ulps * EPS * condition
        residual = np.linalg.norm(exact.jacobian @ found.direction - right)
        assert residual < ulps * EPS * np.linalg.norm(found.direction) * exact.singular[0]


def test_a_direction_that_the_large_singular_values_determine_loses_nothing():
    exact = spread(13)
    c = coefficients() * exact.singular
    found = dense_least_norm(exact.jacobian, exact.u @ c)
    assert np.linalg.norm(exact.jacobian @ found.direction - exact.u @ c) < 8 * EPS * np.linalg.norm(c)


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_do_not_depend_on_the_threads(threads, monkeypatch):
    monkeypatch.setattr(rows_module, "available_threads", lambda: threads)
    exact, c = spread(13), coefficients()
    found = dense_least_norm(exact.jacobian, exact.u @ c).direction
    monkeypatch.setattr(rows_module, "available_threads", lambda: 3)
    assert np.array_equal(found, dense_least_norm(exact.jacobian, exact.u @ c).direction)


class TestRank:
    DEFICIENT = (np.arange(N) % 20 + 1500 * (np.arange(N) >= 50)).astype(int)

    def test_refused_by_default_and_the_options_are_named(self):
        for jacobian in (Exact(self.DEFICIENT).jacobian, np.zeros((3, 40)), np.ones((3, 2)), np.ones((3, 40))):
            for solver in ("qr", "householder"):
                with pytest.raises(NtkVerifyError, match=r"not full rank.*damping= or rcond="):
                    dense_least_norm(jacobian, np.ones(len(jacobian)), solver=solver)

    @pytest.mark.parametrize("solver", ["qr", "householder"])
    @pytest.mark.parametrize(("rcond", "rank"), [(0.0, 50), (1e-10, 50), (0.75 * 2.0**-10, 32), (0.75 * 2.0**-1, 6)])
    def test_truncation_is_the_shortest_least_squares_solution(self, solver, rcond, rank):
        exact, c = Exact(self.DEFICIENT), coefficients()
        kept = exact.singular > max(rcond, 1e-13)
        assert kept.sum() == rank
        wanted = exact.solution(c, kept / np.where(kept, exact.singular, 1))
        found = dense_least_norm(exact.jacobian, exact.u @ c, rcond=rcond, solver=solver)
        assert (found.rank, found.solver) == (rank, solver)
        assert found.condition == pytest.approx(exact.singular[kept].min() ** -2.0)
        # singular vectors on either side of the cut are a factor of two apart at least
        assert relative(found.direction, wanted) < 100 * EPS / exact.singular[kept].min()

    def test_nothing_left_is_no_step(self):
        found = dense_least_norm(np.zeros((3, 40)), np.ones(3), rcond=1e-3)
        assert (found.rank, found.condition) == (0, np.inf)
        assert not found.direction.any()

    @pytest.mark.parametrize("solver", ["qr", "householder"])
    @pytest.mark.parametrize("exponent", [2, 20, 40, 60])
    def test_damping_is_the_filtered_solution(self, solver, exponent):
        for exact in (Exact(self.DEFICIENT), spread(7.5), spread(13)):
            c, damping = coefficients(), 0.5**exponent
            wanted = exact.solution(c, exact.singular / (exact.singular**2 + damping))
            found = dense_least_norm(exact.jacobian, exact.u @ c, damping=damping, solver=solver)
            assert (found.solver, found.reason) == (solver, "")
            kept = exact.singular[exact.singular > 1e-13]
            assert found.condition == pytest.approx((1 + damping) / (kept.min() ** 2 + damping), rel=1e-6)
            assert relative(found.direction, wanted) < 100 * EPS / np.sqrt(kept.min() ** 2 + damping)

    def test_a_diagonal_of_r_that_misleads(self):
        """Without pivoting R keeps a diagonal of ones, or Kahan's, far above its smallest singular value."""
        for count, accepted in ((30, True), (55, False)):
            triangle = np.eye(count) - np.triu(np.ones((count, count)), 1)
            self.check(triangle, accepted, diagonal=1.0)
        for count, accepted in ((60, True), (100, False)):
            s, c = np.sin(1.2), np.cos(1.2)
            triangle = s ** np.arange(count)[:, None] * (np.eye(count) - c * np.triu(np.ones((count, count)), 1))
            self.check(triangle, accepted, diagonal=s ** (count - 1))

    def check(self, triangle, accepted, diagonal):
        count = len(triangle)
        r = np.abs(np.diag(np.linalg.qr(triangle)[1]))
        assert r.min() / r.max() == pytest.approx(diagonal)
        # triangles are inverted to full relative accuracy, so this is their smallest singular value
        inverse = scipy.linalg.solve_triangular(triangle, np.eye(count))
        share = 1 / (np.linalg.norm(inverse, 2) * np.linalg.norm(triangle, 2))
        assert (share > count * EPS) == accepted
        jacobian = np.hstack([triangle.T, np.zeros((count, 8 * count))])
        for solver in ("qr", "householder"):
            if accepted:
                found = dense_least_norm(jacobian, np.ones(count), solver=solver)
                assert found.solver == solver
                assert found.condition == pytest.approx(share**-2.0, rel=1e-3)
            else:
                with pytest.raises(NtkVerifyError, match="not full rank"):
                    dense_least_norm(jacobian, np.ones(count), solver=solver)


class TestWhatGoesWrong:
    def wrong(self, monkeypatch, factor):
        """Have what is undone of the turns and scalings be off by a factor."""
        right_one = module.by_gram_matrices

        def wrong_one(*args):
            rows = right_one(*args)
            return rows._replace(factor=rows.factor * factor)

        monkeypatch.setattr(module, "by_gram_matrices", wrong_one)

    def test_refinement_mends_a_decomposition_that_is_nearly_right(self, monkeypatch):
        self.wrong(monkeypatch, 1 + 1e-4)
        exact, c = spread(13), coefficients()
        found = dense_least_norm(exact.jacobian, exact.u @ c)
        assert found.solver == "qr"
        assert relative(found.direction, exact.solution(c)) < 16 * EPS / exact.singular[-1]

    @pytest.mark.parametrize(("factor", "rounds"), [(0.5, 8), (1 + 1e-4, 1)])
    def test_refinement_that_stalls_is_seen_and_replaced(self, monkeypatch, factor, rounds):
        self.wrong(monkeypatch, factor)
        monkeypatch.setattr(module, "MOST_ROUNDS", rounds)
        exact, c = spread(13), coefficients()
        found = dense_least_norm(exact.jacobian, exact.u @ c)
        assert found.solver == "householder"
        assert "refinement stalls" in found.reason
        assert relative(found.direction, exact.solution(c)) < 16 * EPS / exact.singular[-1]

    def test_a_single_gram_matrix_is_not_enough(self, monkeypatch):
        monkeypatch.setattr(rows_module, "MOST_GRAMS", 1)
        exact, c = spread(18), coefficients()
        found = dense_least_norm(exact.jacobian, exact.u @ c)
        assert found.solver == "householder"
        assert found.reason

    @pytest.mark.parametrize("power", [-700, -1000])
    def test_residuals_whose_squares_vanish(self, power):
        exact, c = spread(13), coefficients()
        found, plain = (dense_least_norm(exact.jacobian, exact.u @ c * 2.0**k).direction for k in (power, 0))
        assert np.array_equal(found, plain * 2.0**power)

    @pytest.mark.parametrize(("power", "solver"), [(-600, "qr"), (600, "householder")])
    def test_a_gram_matrix_beyond_float64(self, power, solver):
        exact, c = spread(6), coefficients()
        with np.errstate(over="ignore"):
            found = dense_least_norm(exact.jacobian * 2.0**power, exact.u @ c * 2.0**power)
        assert found.solver == solver
        assert found.reason == ("J J^T is not finite" if power > 0 else "")
        assert found.condition == pytest.approx(exact.singular[-1] ** -2)
        assert relative(found.direction, exact.solution(c)) < 16 * EPS / exact.singular[-1]

    def test_what_is_not_finite_and_bad_options(self):
        bad = np.ones((2, 3))
        bad[0, 0] = np.nan
        with pytest.raises(NtkVerifyError, match="is not finite; take shorter steps"):
            dense_least_norm(bad, np.ones(2))
        with pytest.raises(NtkVerifyError, match="right-hand side is not finite"):
            dense_least_norm(np.eye(2), np.array([1, np.inf]))
        for options in ({"damping": -1.0}, {"rcond": 1.0}, {"rcond": -0.1}):
            with pytest.raises(NtkVerifyError, match="damping must be at least 0"):
                dense_least_norm(np.eye(2), np.ones(2), **options)
        with pytest.raises(NtkVerifyError, match="unknown solver 'cholesky' of a given Jacobian"):
            dense_least_norm(np.eye(2), np.ones(2), solver="cholesky")


def merging(gap, backend="cpu", **options):
    """Regression with two samples that far apart."""
    neuron = sine_regression(2)
    _, weights, frozen = draw_problem(neuron, (5,), 400, 0)
    x = np.random.default_rng(1).standard_normal((5, 2))
    x[1] = x[0] + gap
    return make_executor(neuron, {"data": x}, {"data": np.ones(5)}, backend=backend, **options), weights, frozen


class TestExecutors:
    @pytest.mark.parametrize("gap", [1.0, 1e-4, 1e-6])
    def test_arrays_that_numpy_does_not_multiply(self, gap):
        strict = pytest.importorskip("array_api_strict")
        executor, weights, frozen = merging(gap)
        other, *_ = merging(gap, "array", xp=strict)
        w, f = strict.asarray(weights), strict.asarray(frozen)
        a = least_norm(executor, weights, frozen, executor.forward(weights, frozen), np.ones(5), solver="qr")
        b = least_norm(other, w, f, other.forward(w, f), strict.asarray(np.ones(5)), solver="qr")
        assert isinstance(b.direction, type(w))
        assert b.direction.shape == (400, 2)
        assert (b.solver, b.reason) == ("qr", "")
        assert relative(np.asarray(b.direction), a.direction) < 100 * EPS * np.sqrt(a.condition)

    @pytest.mark.parametrize("gap", [1.0, 1e-6])
    def test_what_the_caller_knows_is_not_computed_again(self, gap, monkeypatch):
        executor, weights, frozen = merging(gap)
        forward = executor.forward(weights, frozen)
        known = {"gram": executor.gram(weights, frozen), "jacobian": executor.jacobian(weights, frozen)}
        plain = least_norm(executor, weights, frozen, forward, forward.residuals, solver="qr")
        for name in known:
            monkeypatch.setattr(executor, name, None)
        for solver in ("auto", "qr", "householder"):
            given = least_norm(executor, weights, frozen, forward, forward.residuals, solver=solver, **known)
            assert given.solver == ("qr" if solver == "auto" else solver)
            assert relative(given.direction, plain.direction) < 100 * EPS * np.sqrt(plain.condition)

    def test_damping_and_truncation_without_a_jacobian(self):
        neuron = KINDS["sine"]()
        samples, weights, frozen = draw_problem(neuron, (4,), 100, 1)
        executor = executor_of(neuron, samples)
        forward, right = executor.forward(weights, frozen), np.arange(1.0, 5)
        jacobian = executor.jacobian(weights, frozen)
        singular = np.linalg.svd(jacobian, compute_uv=False)
        for options in (
            {"damping": singular[1] ** 2},
            {"rcond": 0.9 * singular[-1] / singular[0]},
            {"rcond": 1.1 * singular[-1] / singular[0]},
        ):
            found = least_norm(executor, weights, frozen, forward, right, **options)
            wanted = dense_least_norm(jacobian, right, **options)
            assert found.solver == ("cholesky" if wanted.rank == 4 else "qr")
            assert found.rank == wanted.rank
            assert found.condition == pytest.approx(wanted.condition)
            assert relative(found.direction.ravel(), wanted.direction) < 1e-12 * wanted.condition
        with pytest.raises(NtkVerifyError, match="drops no singular values; use solver='qr'"):
            least_norm(executor, weights, frozen, forward, right, solver="cholesky", **options)


class TestCollocationPoints:
    """Uniform points in the unit square for the heat equation: more than ReLU^3 of this width tells apart."""

    def problem(self):
        rng = np.random.default_rng(0)
        neuron = problem_neuron("relu3", heat_equation, 2)
        points = {"interior": rng.random((100, 2)), "boundary": rng.random((40, 2))}
        points["boundary"][:20, 1], points["boundary"][20:, 0] = 0, 1
        targets = {"interior": np.ones(100), "boundary": np.zeros(40)}
        executor = make_executor(neuron, points, targets, scale={"interior": 0.1, "boundary": 40**-0.5})
        return executor, rng.standard_normal((60, 3)), rng.choice([-1.0, 1.0], (60, 1))

    def test_refused_unless_damped_or_truncated(self):
        executor, weights, frozen = self.problem()
        with pytest.raises(NtkVerifyError, match="damping= or rcond="):
            natural_gradient_descent(executor, weights, frozen, steps=1)
        for options in ({"damping": 1e-6}, {"rcond": 1e-5}):
            run = natural_gradient_descent(executor, weights, frozen, steps=10, eta=0.5, **options)
            assert run.losses[-1] < 0.01 * run.losses[0]
            assert run.notes["damping"] == options.get("damping", 0)
            assert run.notes["rcond"] == options.get("rcond")
            assert (run.notes["ranks"] < 140).all() or "damping" in options
            assert set(run.notes["solvers"]) == {"householder"}
            assert set(run.notes["reasons"]) == {"J has few columns"}
        flow = gauss_newton_flow(executor, weights, frozen, times=[0.0, 0.5], damping=1e-2, rtol=1e-4)
        assert flow.losses[-1] < flow.losses[0]
