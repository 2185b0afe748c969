"""Integer coordinates: what instances they stand for."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from ntkverify import Instance
from ntkverify.execution.draw import draw_block
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.search.campaign.cells import SEARCHER
from ntkverify.search.space.coordinates import GRID, Space
from ntkverify.theorem.parts import Family


class TestSpace:
    def test_every_kind_of_strategy_reads_coordinates(self):
        def build(draw):
            size = draw(st.integers(2, 5).map(lambda i: 2 * i).filter(lambda i: i != 6))
            values = draw(st.lists(st.floats(-1, 1), min_size=size, max_size=size))
            sign = draw(st.one_of(st.just(1.0), st.sampled_from([-2.0, -3.0])))
            return Instance(data={"x": values}, parameters={"sign": sign, "b": float(draw(st.booleans()))})

        space = Space(Family("r", build, AlgebraRun, {}), "t")
        rng = np.random.default_rng(0)
        found = [space.instance(rng.integers(0, GRID, space.dimension).tolist()) for _ in range(60)]
        assert {len(i.data["x"]) for i in found if i} == {4, 8, 10}
        assert {i.parameters["sign"] for i in found if i} == {1.0, -2.0, -3.0}
        assert all(np.abs(i.array("x")).max() <= 1 for i in found if i)
        vector = rng.integers(0, GRID, space.dimension).tolist()
        assert space.instance(vector) == space.instance(vector)

    def test_the_origin_is_the_simplest_and_the_corner_the_largest(self, theorem):
        space = Space(theorem.families["vectors"], theorem.id)
        assert len(space.instance([0] * space.dimension).data["x"]) == 1
        assert len(space.instance([GRID - 1] * space.dimension).data["x"]) == 6
        assert not space.seeded

    def test_numbers_of_a_generator_move_with_coordinates_and_stay_in_their_range(self):
        def build(draw):
            rng = generator(draw)
            data = {
                "normal": rng.standard_normal((2, 3)),
                "uniform": rng.uniform(2, 3, 4),
                "sign": rng.choice([-1.0, 1.0], 2),
            }
            return Instance(data={**data, "one": [rng.uniform()]})

        space = Space(Family("r", build, AlgebraRun, {}), "t")
        assert (space.choices, space.shifts) == (1, 11)
        plain = space.instance([7, *[0] * 11])
        expected = np.random.default_rng(np.random.PCG64(7 * 2**32 // GRID))
        assert np.array_equal(plain.data["normal"], expected.standard_normal((2, 3)))
        assert np.array_equal(plain.data["uniform"], expected.uniform(2, 3, 4))
        moved = space.instance([7, *[0] * 6, GRID // 2, *[0] * 4])
        assert moved.data["normal"] == plain.data["normal"]
        assert moved.data["uniform"][1:] == plain.data["uniform"][1:]
        assert abs(moved.data["uniform"][0] - plain.data["uniform"][0]) == pytest.approx(0.5)
        rng = np.random.default_rng(0)
        drawn = [space.instance([7, *rng.integers(0, GRID, 11).tolist()]) for _ in range(400)]
        assert all(2 <= x <= 3 for i in drawn for x in i.data["uniform"])
        # a uniform shift makes a uniform number: mean and variance are within five of their deviations
        normals = np.array([i.data["normal"] for i in drawn])
        assert abs(normals.mean()) < 5 / np.sqrt(normals.size)
        assert abs(normals.var() - 1) < 5 * np.sqrt(2 / normals.size)

    def test_a_network_has_its_seed_as_a_coordinate(self):
        family = Family("r", lambda: Instance(width=3), AlgebraRun, {})
        space = Space(family, "t")
        assert space.dimension == 11
        assert space.instance([0] * 10 + [1]).seed != space.instance([0] * 10 + [2]).seed
        assert Space(family, "t", weights=False).dimension == 0

    def test_weights_turn_with_coordinates_and_stay_standard_normal(self):
        space = Space(Family("r", lambda: Instance(width=2000), AlgebraRun, {}), "t")
        assert space.instance([0] * 11).turns == ()
        turned = space.instance([0, 0, 3 * GRID // 4, 0, GRID // 3, GRID // 2, 7, 7, 7, 7, 7])
        assert [angle for angle, _ in turned.turns] == pytest.approx([np.pi / 4, -np.pi / 6], abs=1e-5)
        # equal coordinates are different draws: turned towards itself a draw would only be longer
        assert len({turned.seed, *(seed for _, seed in turned.turns)}) == 3
        inner, signs = draw_block(turned.weight_seed, 0, 2000, 3)
        assert abs(inner.mean()) < 5 / np.sqrt(inner.size)
        assert abs(inner.var() - 1) < 5 * np.sqrt(2 / inner.size)
        near = space.instance([0, 0, 3 * GRID // 4 + 1, 0, GRID // 3, 0, 7, 7, 7, 7, 7])
        moved, same = draw_block(near.weight_seed, 0, 2000, 3)
        assert 0 < np.abs(moved - inner).max() < 1e-4
        assert np.array_equal(signs, same)

    def test_weights_are_scaled_by_a_coordinate_whose_middle_leaves_them_alone(self):
        space = Space(Family("r", lambda: Instance(width=50), AlgebraRun, {}), "t")
        factors = [space.instance([share * GRID // 8, *[0] * 9, 3]).scale for share in (0, 1, 3, 4, 5, 7)]
        assert factors == pytest.approx([1, 4 ** (-2 / 3), 1, 1, 1, 4 ** (2 / 3)])
        assert space.instance([1, *[0] * 10]).scale == pytest.approx(1 / 4, rel=1e-4)
        assert space.instance([GRID - 1, *[0] * 10]).scale == pytest.approx(4, rel=1e-4)
        plain, scaled = (space.instance([c, *[0] * 9, 3]) for c in (0, 7 * GRID // 8))
        inner, signs = draw_block(plain.weight_seed, 0, 50, 3)
        longer, same = draw_block(scaled.weight_seed, 0, 50, 3)
        np.testing.assert_array_equal(longer, scaled.scale * inner)
        np.testing.assert_array_equal(signs, same)

    def test_lengths_of_weights_are_evened_out_by_a_coordinate_and_directions_stay(self):
        space = Space(Family("r", lambda: Instance(width=50), AlgebraRun, {}), "t")
        drawn = [space.instance([0, c, *[0] * 8, 3]) for c in (0, GRID // 6, GRID // 2, GRID - 1)]
        assert [instance.evenness for instance in drawn] == [0, 0, 1 / 2, 1]
        (plain, signs), _, (half, _), (even, same) = (draw_block(i.weight_seed, 0, 50, 3) for i in drawn)
        lengths = [np.linalg.norm(inner, axis=0) for inner in (plain, half, even)]
        np.testing.assert_allclose(lengths[1], np.sqrt(lengths[0] * np.sqrt(3)), rtol=1e-14)
        np.testing.assert_allclose(lengths[2], np.sqrt(3), rtol=1e-14)
        np.testing.assert_allclose(even / lengths[2], plain / lengths[0], rtol=1e-14)
        np.testing.assert_array_equal(signs, same)
        longer, _ = draw_block(replace(drawn[-1], scale=2.0).weight_seed, 0, 50, 3)
        np.testing.assert_array_equal(longer, 2 * even)
        # any exponent, of as many binary digits as it has
        third, _ = draw_block(replace(drawn[-1], evenness=0.3).weight_seed, 0, 50, 3)
        np.testing.assert_allclose(np.linalg.norm(third, axis=0), lengths[0] ** 0.7 * 3**0.15, rtol=1e-14)

    def test_whoever_changes_what_a_vector_means_changes_the_number_of_the_searcher(self):
        """Else a record of before would be resumed, and its vectors taken for other instances."""
        space = Space(Family("r", lambda: Instance(width=50), AlgebraRun, {}), "t")
        instance = space.instance([GRID // 2, 5 * GRID // 8, GRID // 8, 0, GRID // 4, GRID // 2, 1, 2, 3, 4, 5])
        meaning = hashlib.sha256(instance.to_json().encode()).hexdigest()[:16]
        assert (SEARCHER, space.dimension, meaning) == (12, 11, "53c7da9e527b016a")


def test_the_smooth_coordinates_are_floats_shifts_stretches_factor_evenness_and_angles():
    def build(draw):
        rng = generator(draw)
        size = draw(st.floats(0, 1))
        return Instance(data={"x": rng.uniform(0, 1, 2)}, parameters={"size": size}, width=3)

    space = Space(Family("r", build, AlgebraRun, {}), "t")
    # seed of the generator, float, two shifts, factor, evenness, four angles and their seeds, seed of the weights
    assert (space.dimension, space.smooth) == (15, list(range(1, 10)))
