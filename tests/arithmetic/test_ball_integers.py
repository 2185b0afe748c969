"""What a run in balls counts with, arcs, and eigenvalues that coincide."""

import numpy as np
import pytest

flint = pytest.importorskip("flint")

from ntkverify import Instance, Source, Theorem  # noqa: E402
from ntkverify.arithmetic.ball_linear import eigenvalue_balls  # noqa: E402
from ntkverify.arithmetic.ball_numbers import Ball, BallArray, NoEnclosure, ball_array, raw  # noqa: E402
from ntkverify.problems.regression import RegressionRun  # noqa: E402


class TestIntegers:
    @pytest.fixture
    def run(self):
        instance = Instance(data={"inputs": np.eye(3), "targets": np.zeros(3)}, width=8)
        return RegressionRun(instance, Theorem("t", source=Source(), statement="s"), backend="ball")

    def test_they_count_and_index(self, run):
        np.testing.assert_array_equal(np.triu_indices(run.n), np.triu_indices(3))
        np.testing.assert_array_equal(np.tril_indices(run.n, -1), np.tril_indices(3, -1))
        np.testing.assert_array_equal(np.eye(run.n), np.eye(3))
        assert len(np.zeros(run.n)) == len(list(range(run.n))) == run.n == 3
        assert [int(k) for k in np.arange(run.n)] == [0, 1, 2]
        gram = run.limit_gram[np.triu_indices(run.n, 1)]
        assert isinstance(gram, BallArray)
        assert len(gram) == 3

    def test_so_are_arrays(self, run):
        for found in (np.ones(2) / run.n, run.n / np.arange(1, 3), run.inputs[0] * run.n, run.n * np.array([0.1, 2])):
            assert isinstance(found, BallArray)
        with flint.ctx.workprec(256):
            assert abs((np.ones(2) / run.n)[0] * 3 - 1) <= Ball(2.0**-200)

    def test_nothing_else_is_rounded(self, run):
        assert float(run.n) == 3.0
        for value in (run.n / 7, run.number(0.5), Ball(2) ** 60 + 1):
            with pytest.raises(NoEnclosure):
                float(value)


class TestArcs:
    def test_they_are_enclosed(self):
        x = np.array([-1.0, -0.3, 0.0, 0.8, 1.0])
        for function in (np.arcsin, np.arccos):
            for value, found in zip(function(x), function(ball_array(x)), strict=True):
                assert abs(float(raw(found).mid()) - value) < 1e-15

    def test_a_cosine_that_is_one_up_to_its_radius_has_an_angle(self):
        unit = ball_array([3, 4]) / 5
        length = (unit * unit).sum() / Ball(1)
        assert not length.arb.is_exact()
        angle = np.arccos(length)
        assert raw(angle).is_finite()
        assert raw(angle).contains(0)
        assert raw(np.arcsin(length)).overlaps(flint.arb.pi() / 2)

    def test_what_is_no_cosine_has_none(self):
        assert not raw(np.arccos(Ball(2))).is_finite()


class TestEigenvaluesThatCoincide:
    @pytest.mark.parametrize(
        "values", [[1, 0, 0], [1, 0, 0, 2], [0, 0, 5, 5, 5], [-1, -1, 3], [2, 2], [0, 0, 0, 0], [1e-30, 0, 1]]
    )
    def test_they_are_enclosed(self, values):
        with flint.ctx.workprec(128):
            found = eigenvalue_balls(ball_array_of(np.diag(np.array(values, float))))
            for ball, value in zip(found, sorted(values), strict=True):
                assert ball.contains(flint.arb(float(value)))
                assert ball.rad() < 1e-35

    def test_of_projections_that_are_turned(self):
        rng = np.random.default_rng(0)
        with flint.ctx.workprec(192):
            for rank, size in ((1, 4), (2, 5), (3, 6)):
                rows = ball_array_of(rng.standard_normal((size, rank)))
                found = eigenvalue_balls(rows @ rows.T)
                assert all(ball.contains(0) and ball.rad() < 1e-40 for ball in found[: size - rank])
                assert all(ball > 0 for ball in found[size - rank :])


def ball_array_of(matrix):
    from ntkverify.arithmetic.ball_numbers import raw_array

    return raw_array(matrix)
