"""Derivatives and differences side by side: cut-offs, entropies, losses, in every arithmetic."""

import numpy as np
import pytest

from ntkverify.errors import NtkVerifyError
from ntkverify.measures.entropy import h1, h3, truncated_residuals
from ntkverify.problems.random_features.collocation import PARTS
from ntkverify.problems.random_features.compared import RULES, ComparedRun, compared_run
from ntkverify.problems.random_features.grids import line_grid, square_grid, wave_source
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Source
from ntkverify.theorem.theorem import Theorem

THEOREM = Theorem("compared", Source(), "none")


def run(dtype=np.float64, *, size=16, p=1, trainable=("outer",), **changed):
    grid = line_grid(size)
    parameters = {"p": p, "activation": 0, "law": 0, "R": 1.0, "h": 1 / (size + 1)} | changed
    source = wave_source(grid, p, np.array([1.0, -0.5]))
    instance = Instance(data={"interior": grid, "source": source}, parameters=parameters, width=size, seed=3)
    return ComparedRun(instance, THEOREM, dtype=dtype, trainable=trainable, backend="array")


class TestCutoffs:
    def test_the_plateau_counts_with_a_common_threshold_and_not_with_a_noise_aware_one(self):
        found = run(p=2)
        common, aware = found.cutoffs("common"), found.cutoffs("noise-aware")
        assert common[0] < common[1] == 16
        assert aware[0] == common[0] > aware[1]
        assert found.cutoffs("all") == (16, 16)
        assert found.cutoffs("common", relative=0.5)[0] <= 2

    def test_exact_spectra_have_one_cutoff(self):
        found = run("exact")
        assert found.cutoffs("common")[0] == found.cutoffs("common")[1] == found.cutoffs("noise-aware")[1]

    def test_a_lower_precision_retains_fewer(self):
        assert run(np.float32).cutoffs()[0] < run().cutoffs()[0] < run("exact").cutoffs("all")[0]

    @pytest.mark.parametrize("rule", RULES)
    def test_every_rule_retains_at_least_one_and_no_more_than_all(self, rule):
        assert all(1 <= count <= 16 for count in run().cutoffs(rule))

    def test_saturation_stops_where_nothing_is_gained(self):
        found = run()
        for count, matrix in zip(found.cutoffs("saturated"), found.matrices, strict=True):
            residuals = truncated_residuals(matrix, found.right)
            assert residuals[count] <= 1.1 * residuals.min() < residuals[:count].min()

    def test_an_unknown_rule_is_refused(self):
        with pytest.raises(NtkVerifyError, match="no rule 'best'"):
            run().cutoffs("best")


class TestEntropies:
    def test_they_are_those_of_the_spectra(self):
        found = run()
        first, other = found.spectra
        cuts = found.cutoffs()
        assert found.entropies("H1") == pytest.approx([h1(first, cuts[0]), h1(other, cuts[1])], rel=1e-14)
        squared = found.entropies("H3", power=2)
        assert squared == pytest.approx([h3(first, cuts[0], power=2), h3(other, cuts[1], power=2)], rel=1e-14)

    def test_the_inferred_definition_and_the_exact_spectra_disagree(self):
        computed, exact = run(R=2.0).entropies("H3"), run("exact", R=2.0).entropies("H3")
        assert computed[0] > computed[1]
        assert exact[0] < exact[1]


class TestLosses:
    def test_curves_are_those_of_gradient_descent(self):
        found = run(size=8, activation=1, R=3.0)
        matrix, right = found.matrices[0], found.right
        eta, a = 1 / np.linalg.norm(matrix, 2) ** 2, np.zeros(8)
        for _ in range(25):
            a = a - eta * matrix.T @ (matrix @ a - right)
        left = np.linalg.norm(matrix @ a - right) ** 2 / (right @ right)
        assert found.fitted_losses([0, 25])[0] == pytest.approx([1.0, left], rel=1e-9)

    def test_isotropic_losses_are_the_mean_over_directions(self):
        found = run(size=6, activation=1, R=3.0)
        rates = 1 - (found.spectra[1] / found.spectra[1][0]) ** 2
        assert found.losses_after(7)[1] == pytest.approx(np.mean(rates**14), rel=1e-14)

    def test_residual_losses_are_those_of_least_squares(self):
        found = run(size=6, activation=1, R=5.0)
        for loss, matrix in zip(found.residual_losses, found.matrices, strict=True):
            solution = np.linalg.pinv(matrix, rcond=6 * 2.0**-52) @ found.right
            # what float64 makes of the products alone: either side may be off by that
            rounding = len(matrix) * 2.0**-52 * np.linalg.norm(matrix, 2) * np.linalg.norm(solution)
            left = np.linalg.norm(matrix @ solution - found.right)
            assert loss == pytest.approx(left, rel=1e-3, abs=10 * rounding)

    def test_the_distance_of_equal_spectra_vanishes(self):
        assert run(h=2.0**-10).distance < 1e-6 < 1e-5 < run(h=0.25).distance


def test_wave_sources_are_derivatives_of_waves():
    grid = square_grid(3)
    waves = np.sin(np.pi * grid).prod(axis=1)
    assert wave_source(grid, 1, np.array([1.0])) == pytest.approx(-2 * np.pi**2 * waves, rel=1e-13)
    assert wave_source(line_grid(4), 2, np.array([0.0, 1.0])) == pytest.approx(
        (2 * np.pi) ** 4 * np.sin(2 * np.pi * line_grid(4)[:, 0]), rel=1e-12
    )


def test_a_family_takes_the_parts_and_the_arithmetic():
    made = compared_run(trainable=PARTS, dtype=np.float32)(run().instance, THEOREM, backend="array")
    assert made.matrices[0].shape == (16, 48)
    assert made.matrices[0].dtype == np.float32
