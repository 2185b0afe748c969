"""Engines: what they climb, and that they use up what they are given."""

import numpy as np
import pytest
from climbing import best

from ntkverify.search.climb import engines
from ntkverify.search.climb import islands as hills
from ntkverify.search.climb.engines import ENGINES, Finished, climb
from ntkverify.search.climb.islands import ascend
from ntkverify.search.score import VACUOUS
from ntkverify.search.space.coordinates import GRID


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - {"random"}))
def test_engines_climb_a_narrow_ridge_and_repeat_themselves(engine):
    def best(budget):
        seen = []

        def objective(vector):
            if len(seen) == budget:
                raise Finished
            seen.append(-sum(abs(c / GRID - 0.9) for c in vector))
            return seen[-1]

        climb(engine, objective, 4, entropy=0, evaluations=budget, smooth=range(4))
        return seen

    first = best(600)
    assert first == best(600)
    # uniform draws come within 0.1 of the ridge with probability 2 * 0.1^4 / 3 or less per draw
    assert max(first) > -0.1


def test_mutation_ends_with_models_that_climb_what_is_smooth_and_leave_seeds_alone():
    """A hill a thousandth wide in two coordinates, of which every seed has its own."""
    seen = []

    def objective(vector):
        if len(seen) == 500:
            raise Finished
        top = np.random.default_rng(vector[0]).uniform(0.2, 0.8, 2)
        seen.append(-float(np.abs(np.array(vector[1:]) / GRID - top).sum()))
        return seen[-1]

    climb("mutation", objective, 3, entropy=0, evaluations=500, smooth=[1, 2])
    # 500 uniform vectors come that near with probability 500 * 2 * 0.001^2 = 0.001
    assert max(seen) > -0.001


def test_models_find_tops_in_corners():
    """Of six coordinates three are best at an end of their range."""
    top = np.array([0, GRID - 1, 0, GRID // 2, GRID // 3, GRID - 1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        seen = []

        def objective(vector, seen=seen):
            seen.append(-float((np.square((np.array(vector) - top) / GRID)).sum()))
            return seen[-1]

        ascend(objective, rng.integers(0, GRID, 6).tolist(), range(6))
        assert max(seen) > -1e-6
        assert len(seen) <= 200


def test_vacuous_instances_do_not_spoil_the_models():
    """Half of the cube is vacuous, and the top lies at the cliff.

    90 uniform vectors reach 0.4 with probability 0.38, seven times out of ten with 0.04.
    """
    rng = np.random.default_rng(0)
    reached = []
    for _ in range(10):
        seen = []

        def objective(vector, seen=seen):
            x = np.array(vector) / GRID
            value = -float(np.square(x[1:] - 0.7).sum())
            seen.append(VACUOUS if x[0] > 0.5 else value + float(x[0]))
            return seen[-1]

        top, _ = ascend(objective, [GRID // 4, *rng.integers(0, GRID, 3).tolist()], range(4))
        assert top == max(seen) <= 0.5
        reached.append(top)
    assert sum(top > 0.4 for top in reached) >= 7


def test_models_start_where_they_are_told_to_even_next_to_an_end():
    """A hill of width 0.003 around a start near the ends of its range; a start moved to the end has lost it."""
    rng = np.random.default_rng(1)
    for _ in range(10):
        start = rng.choice([0.02, 0.97], 5) + rng.uniform(-0.01, 0.01, 5)
        top = start + rng.uniform(-0.0015, 0.0015, 5)

        def objective(vector, top=top):
            return -float(np.minimum(np.square((np.array(vector) / GRID - top) / 0.003).sum(), 10))

        value, _ = ascend(objective, [int(c * GRID) for c in start], range(5))
        assert value > -1e-2


@pytest.mark.parametrize("share", [0.0, 1 / 2000, 1 / 20])
def test_mutation_uses_up_its_budget_where_hardly_anything_is_valid(share):
    seen = []

    def objective(vector):
        if len(seen) == 3000:
            raise Finished
        seen.append(-abs(vector[1] / GRID - 0.5) if vector[0] < share * GRID else VACUOUS)
        return seen[-1]

    climb("mutation", objective, 4, entropy=3, evaluations=3000, smooth=[1], used=lambda: len(seen) / 3000)
    assert len(seen) == 3000


def test_mutation_turns_to_models_when_most_of_the_seconds_are_used_up():
    """Planned for 10^5 evaluations, of which a budget of seconds admits 400."""
    seen = []

    def objective(vector):
        if len(seen) == 400:
            raise Finished
        seen.append(-float(np.square(np.array(vector) / GRID - 0.3).sum()))
        return seen[-1]

    climb("mutation", objective, 5, entropy=0, evaluations=10**5, smooth=range(5), used=lambda: len(seen) / 400)
    assert max(seen[:320]) < -1e-7 < max(seen)


def best_of_mutation(value, *, dimension=60, evaluations=400):
    options = {"engine": "mutation", "evaluations": evaluations, "entropies": range(10)}
    return best(lambda x, vector: value(x), dimension, (), **options)


def test_mutation_learns_which_coordinates_matter(monkeypatch):
    def five_of_sixty(x):
        return -float(np.square(x[[3, 17, 31, 44, 59]] - 0.3).sum())

    learned = best_of_mutation(five_of_sixty)
    monkeypatch.setattr(hills, "_RARELY", 1.0)
    assert np.median(learned) > np.median(best_of_mutation(five_of_sixty)) / 3


def test_a_coordinate_that_comes_to_matter_late_is_not_forgotten():
    """The second counts once the first is nearly right; sixty others never do."""

    def late(x):
        return -abs(x[0] - 0.3) - (abs(x[1] - 0.7) if abs(x[0] - 0.3) < 0.01 else 1.0)

    assert np.median(best_of_mutation(late, evaluations=1500)) > -0.05


@pytest.mark.heavy
def test_a_larger_budget_is_spent_on_several_hills(monkeypatch):
    """The first coordinate chooses among eight hills, whose height shows only near the top."""

    def hills_of(x):
        hill = int(8 * x[0])
        far = float(np.abs(x[1:4] - (hill + 1) / 10).sum())
        return -far if far > 0.02 else hill / 8 - far

    several = best_of_mutation(hills_of, dimension=4, evaluations=4800)
    monkeypatch.setattr(hills, "_MOST", 0)
    assert np.median(several) > np.median(best_of_mutation(hills_of, dimension=4, evaluations=4800)) + 1 / 8


@pytest.mark.parametrize(("left", "number"), [(100, 1), (700, 1), (720, 2), (1200, 2), (10_000, 16), (10**7, 32)])
def test_islands_share_the_start_and_thin_out_to_one(left, number):
    start = [(float(-i), [i]) for i in range(200)]
    islands = hills._Islands(start, left)
    assert islands.number == number
    rng = np.random.default_rng(0)
    assert {islands.parent(rng, turn)[1][0] for turn in range(10_000)} == set(range(6 * number))
    numbers = []
    for share in np.linspace(0, 1, 1001):
        islands.thin_out(share)
        numbers.append(islands.number)
    assert set(numbers) == {2**i for i in range(number.bit_length())}
    assert numbers[-2] == 1
    assert islands.best == start[0]


def test_the_worse_half_of_the_islands_is_given_up():
    islands = hills._Islands([(0.0, [i]) for i in range(8)], 2000)
    for turn, value in enumerate([1.0, 4.0, 2.0, 3.0]):
        islands.take((value, [100 + turn]), turn)
    assert islands.number == 4
    islands.thin_out(0.34)
    assert islands.number == 2
    rng = np.random.default_rng(0)
    assert {101, 103} < {islands.parent(rng, turn)[1][0] for turn in range(100)} < set(range(8)) | {101, 103}
    islands.thin_out(0.67)
    assert islands.number == 1
    assert {one[1][0] for one in islands._sets[0]} & {100, 101, 102, 103} == {101}


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["evolution-strategies", "mutation", "portfolio"])
def test_what_is_rarely_valid_is_found_about_as_often_as_by_random_draws(engine):
    """One vector in two hundred and fifty is valid, and nothing else says where."""

    def found(name, entropy):
        seen = []

        def objective(vector):
            if len(seen) == 500:
                raise Finished
            seen.append(0.0 if 0.4 < vector[0] / GRID < 0.404 else VACUOUS)
            return seen[-1]

        climb(name, objective, 10, entropy=entropy, evaluations=500, smooth=(), used=lambda: len(seen) / 500)
        return max(seen) == 0.0

    expected = 1 - 0.996**500
    assert sum(found(engine, entropy) for entropy in range(40)) >= 40 * expected * 0.75


def test_no_island_is_empty_where_little_is_known():
    for known in range(1, 10):
        islands = hills._Islands([(0.0, [i]) for i in range(known)], 10**5)
        assert islands.number <= known
        assert islands.best == (0.0, [0])


class TestPortfolio:
    def climbed(self, value, budget, *, seconds=None):
        """All that was seen; with `seconds` per evaluation the budget is one of time, a tenth of what was planned."""
        seen = {}

        def objective(vector):
            key = tuple(vector)
            if key not in seen:
                if len(seen) == budget:
                    raise Finished
                seen[key] = value(np.array(key) / GRID)
            return seen[key]

        planned = budget if seconds is None else 10 * budget
        used = lambda: len(seen) / budget  # noqa: E731
        climb("portfolio", objective, 4, entropy=0, evaluations=planned, smooth=range(4), used=used)
        return list(seen.values())

    def test_every_engine_has_its_share_and_strategies_go_on_from_the_best(self, monkeypatch):
        shares, given = [], {}

        def counted(engine, name):
            def run(objective, *args, **options):
                calls = []
                shares.append((name, calls))
                given.update({name: options})

                def counting(vector):
                    calls.append((objective(vector), list(vector)))
                    return calls[-1][0]

                engine(counting, *args, **options)

            return run

        for name, label in (("evolve", "first"), ("hypothesize", "second"), ("strategize", "third")):
            monkeypatch.setattr(engines, name, counted(getattr(engines, name), label))
        self.climbed(lambda x: -float(np.abs(x - 0.3).sum()), 1000)
        assert [name for name, _ in shares] == ["first", "second", "third"]
        best = {name: sorted({(-value, tuple(v)) for value, v in calls}) for name, calls in shares}
        assert len(best["first"]) == len(best["second"]) == 100
        pairs = given["third"]["start"]
        assert len(pairs) == 200
        for name, ours in (("first", pairs[::2]), ("second", pairs[1::2])):
            assert [-value for value, _ in ours] == [value for value, _ in best[name]]
        assert given["third"]["evaluations"] == 1000
        # strategies start there: 300 uniform vectors would be better with probability 300 (2 * 0.06)^4 / 24 = 0.003
        values = [value for value, _ in shares[2][1][:300]]
        assert pairs[0][0] > -0.06
        assert max(values) > pairs[0][0]

    def test_a_budget_of_seconds_is_shared_alike(self):
        seen = self.climbed(lambda x: -float(np.square(x - 0.3).sum()), 600, seconds=1)
        assert len(seen) == 600
        assert max(seen[:480]) < -1e-7 < max(seen)  # models end it

    def test_an_engine_that_repeats_itself_is_given_up(self, monkeypatch):
        """One instance forever uses up nothing of a budget."""
        calls = {"stuck": 0, "others": 0}

        def stuck(objective, *args, **options):
            while True:
                objective([0])

        def objective(vector):
            calls["stuck" if vector == [0] else "others"] += 1
            if calls["others"] == 50:
                raise Finished
            return 0.0

        monkeypatch.setattr(engines, "evolve", stuck)
        monkeypatch.setattr(engines, "hypothesize", stuck)
        climb("portfolio", objective, 1, entropy=0, evaluations=500, smooth=(), used=lambda: 1 / 500)
        assert 2 * 100 < calls["stuck"] <= 2 * 201 + 50

    @pytest.mark.parametrize("last", [1, 3, 7, 200, 401])
    def test_an_evaluation_may_take_all_the_time_that_is_left(self, last):
        """Seconds are counted when they are over: the budget is overdrawn."""
        for engine in ("evolution-strategies", "mutation", "portfolio"):
            seen = []

            def objective(vector, seen=seen):
                if len(seen) >= last:
                    raise Finished
                seen.append(vector)
                return -float(vector[0])

            climb(
                engine, objective, 3, entropy=0, evaluations=1000, smooth=range(3),
                used=lambda seen=seen: 1.5 if len(seen) >= last else len(seen) / 1000,
            )  # fmt: skip
            assert len(seen) == last

    def test_nothing_valid_is_no_reason_to_stop(self):
        assert len(self.climbed(lambda x: VACUOUS, 500)) == 500


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_error_of_the_objective_passes_through_every_engine(engine):
    def objective(vector):
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        climb(engine, objective, 3, entropy=0, evaluations=20)
