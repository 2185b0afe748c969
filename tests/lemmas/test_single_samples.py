"""Runs on single samples: what they say of a step is what the step does, in balls too."""

import numpy as np
import pytest

from ntkverify import Instance, Source, Theorem
from ntkverify.lemmas.relu.single_sample_run import SingleSampleRun
from ntkverify.lemmas.relu.single_samples import SingleSamples

DATA = {"inputs": np.array([[1.0, 0.0], [0.6, 0.8]]), "targets": np.array([1.0, -0.5])}


@pytest.fixture(scope="module")
def part():
    return SingleSamples(Theorem("single samples", source=Source(provenance="derived"), statement="none"))


def run_of(part, **options):
    instance = Instance(data=DATA, parameters={"C": 1.0}, width=16, step=0.3, steps=3, seed=4)
    return SingleSampleRun(instance, part.theorem, **options)


def test_the_expectation_is_the_mean_over_the_samples_and_within_its_factor(part):
    run = run_of(part)
    branches = run.trajectory.branches
    np.testing.assert_allclose(run.expected_losses, (branches[:-1] ** 2).sum(axis=2).mean(axis=1) / 2)
    assert (run.expected_losses <= run.factors * run.loss * (1 + 1e-12)).all()
    np.testing.assert_allclose(run.growth, np.cumprod([1.0, *run.factors]))
    linear = run.trajectory.linear
    np.testing.assert_allclose(run.linear_steps[np.arange(3), run.drawn_samples], linear, rtol=1e-10, atol=1e-13)


def test_constants_at_three_quarters_and_five_quarters(part):
    found = [float(part.theorem.value(s, {})) for s in (part.left, part.slowed, part.epsilon, part.path_factor)]
    assert found == [1 / 2, 1 / 4, 1 / 8, 8]


def test_the_chain_holds_where_its_shares_are_at_most_one(part):
    run = run_of(part)
    shares = part.shares(run)
    assert shares.shape == (3, 3)
    assert (part.chain(run) == (shares <= 1).all(axis=0)).all()
    assert part.chain_so_far(run)[0]


def test_balls_enclose_what_floats_say(part):
    plain, exact = run_of(part), run_of(part, backend="ball")
    assert (plain.drawn_samples == exact.drawn_samples).all()
    for name in ("expected_losses", "factors", "growth"):
        enclosed = [float(ball.arb.mid()) for ball in getattr(exact, name)]
        np.testing.assert_allclose(enclosed, getattr(plain, name), rtol=1e-9)
