"""Evolution strategies: what they climb that mutation does not, where they start, and what they leave to it."""

import contextlib

import climbing
import numpy as np
import pytest

from ntkverify.search.climb import cma as strategies
from ntkverify.search.climb.cma import _Island, strategize
from ntkverify.search.climb.engines import Finished
from ntkverify.search.climb.islands import Effects
from ntkverify.search.score import VACUOUS
from ntkverify.search.space.coordinates import GRID


def best(value, dimension, smooth, *, engine="evolution-strategies", evaluations=1000, entropies=range(6)):
    """The best value of each of several searches."""
    options = {"engine": engine, "evaluations": evaluations, "entropies": entropies}
    return climbing.best(value, dimension, smooth, **options)


@pytest.fixture
def begun(monkeypatch):
    """Starts of all islands that are made."""
    starts = []

    class Noted(_Island):
        def __init__(self, start, *args):
            starts.append(start)
            super().__init__(start, *args)

    monkeypatch.setattr(strategies, "_Island", Noted)
    return starts


@pytest.fixture
def handed_on(monkeypatch):
    """What `mutate` is given, instead of running it, and what had been used by then."""
    given = {}

    def noted(objective, dimension, *, used, start, **options):
        given.update(start=start, used=used())

    monkeypatch.setattr(strategies, "mutate", noted)
    return given


def strategized(value, dimension, smooth, evaluations, start=()):
    """All vectors with their values that one run of the strategies evaluates."""
    seen = []

    def objective(vector):
        if len(seen) == evaluations:
            raise Finished
        seen.append((value(np.array(vector) / GRID, vector), list(vector)))
        return seen[-1][0]

    with contextlib.suppress(Finished):
        strategize(
            objective, dimension, entropy=0, evaluations=evaluations, smooth=smooth,
            used=lambda: len(seen) / evaluations, start=start,
        )  # fmt: skip
    return seen


def sphere(x, vector=None):
    return -float(np.linalg.norm(x - 0.4))


@pytest.mark.heavy
def test_a_ridge_that_no_single_coordinate_follows():
    """16 coordinates have to move together: the ridge is three times as steep across."""
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0]
    scales = np.where(np.arange(16) < 8, 1.0, 3.0)

    def ridge(x, vector):
        return -float(np.abs(scales * (turned @ (x - 0.4))).mean())

    options = {"evaluations": 1200, "entropies": range(4)}
    evolved = best(ridge, 16, range(16), **options)
    mutated = best(ridge, 16, range(16), engine="mutation", **options)
    assert np.median(evolved) > np.median(mutated) / 2


def hill_of_a_seed(x, vector):
    """One hill for each of 2^20 seeds, of all heights; the other coordinates lead to its top."""
    height = float(np.random.default_rng(vector[0]).uniform())
    return height - float(np.linalg.norm(x[1:] - 0.6))


@pytest.mark.heavy
def test_seeds_are_tried_beside_the_strategies(monkeypatch):
    with_copies = best(hill_of_a_seed, 13, range(1, 13))
    monkeypatch.setattr(_Island, "_copy", lambda island, objective: None)
    monkeypatch.setattr(strategies, "_MODELLED", 1.0)  # nor does mutation change them
    without = best(hill_of_a_seed, 13, range(1, 13))
    assert np.median(with_copies) > np.median(without) + 0.02


@pytest.mark.heavy
@pytest.mark.parametrize(("value", "share"), [(sphere, 0.3), (hill_of_a_seed, -0.1)])
def test_a_small_budget_is_enough_for_the_models_of_the_last_fifth(value, share):
    """Thirty coordinates and 500 evaluations: 100 are left, a first model takes 61."""

    def wide(x, vector):
        return value(x[:31], vector)

    found = best(wide, 31, range(1, 31), engine="portfolio", evaluations=500, entropies=range(4))
    assert np.median(found) > -share


def test_copies_are_as_many_as_they_help():
    helping = iter(range(10**6))
    never = lambda vector: -1.0 - sum(vector) / GRID  # noqa: E731
    always = lambda vector: float(next(helping))  # noqa: E731
    for value, number in ((never, 1), (always, strategies._MOST_COPIES)):
        island = _Island((0.0, [0] * 6), [0, 1, 2], Effects(6), np.random.default_rng(0))
        calls = []

        def objective(vector, value=value, calls=calls):
            calls.append(vector)
            return value(vector)

        for _ in range(10):
            before = len(calls)
            island.generation(objective)
        assert len(calls) - before == island._strategy.population_size + number


def test_an_island_has_converged_when_its_generation_is_narrow():
    island = _Island((sphere(np.full(3, 0.9)), [int(0.9 * GRID)] * 3), [0, 1, 2], Effects(3), np.random.default_rng(0))
    generations = 0
    while not island.converged:
        island.generation(lambda vector: sphere(np.array(vector) / GRID))
        generations += 1
    assert 20 < generations < 200
    assert island.best[0] > -3 * strategies._NARROW / GRID


@pytest.mark.parametrize("smooth", [(), (1,)])
def test_without_two_smooth_coordinates_mutation_does_it_all(smooth, begun):
    found = best(lambda x, vector: -float(np.abs(x - 0.3).sum()), 4, smooth)
    assert np.median(found) > -0.01
    assert not begun


def test_all_that_has_converged_leaves_the_rest_of_the_budget_to_mutation(handed_on):
    strategized(sphere, 3, range(3), 20_000)
    assert handed_on["used"] < 0.6


def test_what_is_vacuous_is_no_start(begun, handed_on):
    good, worse = (0.0, [GRID // 2] * 4), (-1.0, [GRID // 4] * 4)
    start = [good, (VACUOUS, [1, 2, 3, 4]), worse, (VACUOUS, [5, 6, 7, 8])]
    strategized(lambda x, vector: VACUOUS, 4, range(4), 3000, start=start)
    assert begun == [good, worse]
    assert handed_on["start"] == [good, worse, *start]
    begun.clear()
    strategized(lambda x, vector: VACUOUS, 4, range(4), 300)
    assert not begun
    assert {value for value, _ in handed_on["start"]} == {VACUOUS}


def test_islands_start_from_vectors_that_are_unlike(begun, handed_on):
    """Of an engine's best most differ in a coordinate or two."""
    rng = np.random.default_rng(0)
    feet = [rng.integers(0, GRID, 6).tolist() for _ in range(3)]
    start = [(-float(10 * j + i), [*foot[:5], i]) for j, foot in enumerate(feet) for i in range(10)]
    strategized(lambda x, vector: -1e3, 6, range(6), 8000, start=start)
    # three are unlike; two islands, since their number is halved
    assert begun == [start[0], start[10]]


def test_in_a_portfolio_too(begun):
    best(sphere, 12, range(12), engine="portfolio", evaluations=2000, entropies=[0])
    starts = np.array([vector for _, vector in begun])
    assert len(starts) > 2
    alike = (starts[:, None] == starts).sum(axis=2) - 12 * np.eye(len(starts), dtype=int)
    assert alike.max() <= 6


def test_what_given_up_islands_have_found_is_handed_on(begun, handed_on):
    seen = strategized(sphere, 8, range(8), 4000)
    values = [value for value, _ in handed_on["start"]]
    assert values[0] == max(value for value, _ in seen)
    bests = values[: len(begun)]
    assert bests == sorted(bests, reverse=True)
    # all but the last have been improved on
    assert len(begun) > 4
    assert min(bests) > np.median([value for value, _ in begun])


def test_a_hill_that_is_higher_at_its_foot_is_found_later(monkeypatch, begun, handed_on):
    """Where no strategy gets anywhere, the uniform vectors beside them still do."""
    monkeypatch.setattr(_Island, "generation", lambda island, objective: objective(island.best[1]))
    far = [int(0.95 * GRID)] * 4
    seen = strategized(sphere, 4, range(4), 1000, start=[(sphere(np.full(4, 0.95)), far)])
    assert handed_on["start"][0][0] == max(value for value, _ in seen) > -0.5
    assert len(begun) > 1
    assert begun[0][1] == far
