"""Matrices of random features against formulas written out by hand, and spectra that float64 gets wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkverify.errors import NtkVerifyError
from ntkverify.problems.random_features.collocation import (
    ACTIVATIONS,
    PARTS,
    CollocationRun,
    collocation,
)
from ntkverify.problems.random_features.grids import drawn_problem, line_grid, square_boundary, square_grid
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Source
from ntkverify.theorem.theorem import Theorem

THEOREM = Theorem("collocation", Source(), "none")


def run(*, points=None, trainable=("outer",), backend="array", boundary=None, width=12, **changed):
    parameters = {"p": 1, "activation": 0, "law": 0, "R": 2.0, "h": 1 / 16} | changed
    data = {"interior": line_grid(10) if points is None else points}
    data |= {} if boundary is None else {"boundary": boundary}
    instance = Instance(data=data, parameters=parameters, width=width, seed=7)
    return CollocationRun(instance, THEOREM, trainable=trainable, backend=backend)


class TestMatrices:
    @pytest.mark.parametrize(("p", "sign"), [(1, -1), (2, 1)])
    def test_sine_features_written_out(self, p, sign):
        found = run(p=p)
        w, b = found.inner_weights[:, 0], found.inner_biases
        waves = np.sin(line_grid(10) * w + b)
        assert np.allclose(found.matrix, sign * w ** (2 * p) * waves, rtol=1e-12, atol=1e-14)
        stencil = (2 / found.h * np.sin(w * found.h / 2)) ** (2 * p)
        assert np.allclose(found.differences.matrix, sign * stencil * waves, rtol=0, atol=1e-9 if p == 2 else 1e-12)

    @pytest.mark.parametrize("activation", range(len(ACTIVATIONS)))
    def test_two_ways_and_two_evaluators_agree(self, activation):
        for p in (1, 2):
            found = run(p=p, activation=activation, h=2.0**-8)
            size = np.abs(found.matrix).max()
            assert np.abs(found.differences.matrix - found.matrix).max() < 1e-2 * size
            assert np.allclose(found.rounded_matrix(), found.matrix, rtol=1e-10, atol=1e-12 * size)

    def test_poisson_on_a_square_with_its_boundary(self):
        found = run(points=square_grid(3), boundary=square_boundary(3))
        w, b = found.inner_weights, found.inner_biases
        interior = -(w**2).sum(axis=1) * np.sin(square_grid(3) @ w.T + b)
        rows = np.concatenate([interior, np.sin(square_boundary(3) @ w.T + b)])
        assert np.allclose(found.matrix, rows, rtol=1e-12, atol=1e-14)
        assert np.allclose(found.differences.matrix[9:], rows[9:], rtol=1e-12, atol=1e-14)
        assert not np.allclose(found.differences.matrix[:9], rows[:9], rtol=1e-6, atol=0)

    def test_a_network_of_two_layers_has_three_columns_a_neuron(self):
        assert run(trainable=PARTS).matrix.shape == (10, 36)

    def test_float32_is_rounded_and_float64_less(self):
        found = run(activation=1)
        errors = [np.abs(found.rounded_matrix(dtype) - found.matrix).max() for dtype in (np.float32, np.float64)]
        assert found.rounded_matrix(np.float32).dtype == np.float32
        assert 1e-9 < errors[0] < 1e-5
        assert errors[1] < 1e-14

    def test_the_laws_are_those_asked_for(self):
        uniform, normal = run(width=4000), run(width=4000, law=1)
        assert np.abs(uniform.inner_weights).max() <= 2
        assert uniform.inner_weights.std() == pytest.approx(2 / np.sqrt(3), rel=0.05)
        assert normal.inner_biases.std() == pytest.approx(2, rel=0.05)


class TestErrors:
    def test_truncation_is_accurate_where_float64_has_lost_it(self):
        found = run(h=2.0**-16)
        w = found.inner_weights[:, 0]
        waves = found.matrix
        expected = waves * ((np.sin(w * found.h / 2) / (w * found.h / 2)) ** 2 - 1)
        assert np.allclose(found.truncation, -waves * w**2 * found.h**2 / 12, rtol=1e-8, atol=0)
        assert not np.allclose(found.differences.matrix - found.matrix, expected, rtol=1e-3, atol=0)

    def test_rounding_is_what_float64_errs_by(self):
        found = run(p=2).differences
        assert np.allclose(found.rounding, found.rounded_matrix() - found.matrix, rtol=0, atol=1e-9)
        assert 1e-13 < np.abs(found.rounding).max() < 1e-9

    def test_another_spacing_has_the_same_weights(self):
        found = run().differences
        other = found.at_spacing(1 / 32)
        assert other.way == "differences"
        assert (other.inner_weights == found.inner_weights).all()
        assert np.abs(other.truncation).max() == pytest.approx(np.abs(found.truncation).max() / 4, rel=0.02)


@settings(max_examples=20, deadline=None, database=None)
@given(st.data())
def test_a_drawn_problem_has_what_was_asked_for(data):
    line = drawn_problem(
        data.draw, sizes=[3], radii=[2.0], activations=[1], orders=[2], boundary=True, steps=4, eta=0.5
    )
    assert line.width == 3
    assert line.parameters["h"] == 0.25
    assert line.array("boundary").tolist() == [[0], [1]]
    square = drawn_problem(data.draw, sizes=[2, 3], radii=[1.0, 2.0], spacings=[0.125], dimension=2, width=5)
    found = CollocationRun(square, THEOREM, backend="array")
    assert found.matrix.shape == (len(square.array("interior")), 5)
    assert found.h == 0.125


class TestSpectra:
    def test_certified_values_are_those_of_svd_where_it_sees_them(self):
        found = run(activation=1, trainable=PARTS)
        assert np.allclose(found.singular, np.linalg.svd(found.matrix, compute_uv=False), rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("p", [1, 2])
    def test_float64_would_have_decided_wrongly(self, p):
        """In exact arithmetic no singular value of sine features grows by differencing; in float64 half of them do."""
        found = run(p=p, R=1.0, points=line_grid(16), width=16)
        exact, differences = found.singular, found.differences.singular
        assert (differences <= exact).all()
        assert (found.differences.seen > found.seen).sum() >= 5
        assert exact[-1] < 1e-30
        assert found.differences.seen[-1] > 1e15 * differences[-1]

    def test_balls_enclose_the_certified_values(self):
        found = run(activation=1, points=line_grid(5), width=5)
        import flint

        with flint.ctx.workprec(400):
            enclosed = found.on("ball").singular
            assert all(
                ball.arb.overlaps(flint.arb(v, 1e-11 * v)) for ball, v in zip(enclosed, found.singular, strict=True)
            )

    def test_the_limit_kernel_is_the_mean_of_gram_matrices(self):
        found = run(points=line_grid(3), width=20000, trainable=PARTS, R=1.0)
        gram = found.matrix @ found.matrix.T / 20000
        assert np.allclose(gram, found.limit_kernel, rtol=0.1, atol=0.1)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"p": 3}, "parameter 'p' must be one of 1, 2"),
            ({"activation": 5}, "parameter 'activation' must be one of 0, 1, 2"),
            ({"law": 0.5}, "parameter 'law' must be one of 0, 1"),
            ({"R": 0.0}, "parameter 'R' must be there and positive"),
            ({"width": 0}, "width is 0"),
            ({"boundary": [[0.0, 0.0]]}, "the same number of coordinates"),
        ],
    )
    def test_each_names_the_place(self, changed, message):
        with pytest.raises(NtkVerifyError, match=message):
            run(**changed)

    def test_a_family_takes_the_parts_that_are_trained(self):
        instance = run().instance
        assert collocation(trainable=PARTS)(instance, THEOREM, backend="array").matrix.shape == (10, 36)
