"""Both layers trained: the start has the size that was asked for, and beta is how fast the Jacobian moves."""

import numpy as np
import pytest

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.lemmas.nonlinear.both_layers import BothLayersRun, MovedRun
from ntkverify.lemmas.nonlinear.polyak_lojasiewicz import PolyakLojasiewicz, mu

INPUTS, START = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([3.0, -4.0])


@pytest.fixture(scope="module")
def theorem():
    found = Theorem("both layers", source=Source(provenance="derived"), statement="none")
    found.quantity("mu", lambda run: run.outer_spectrum[0])
    PolyakLojasiewicz(found, nu=4 * mu, beta=mu**0 / 2)
    return found


def run_of(theorem, kind=BothLayersRun, inputs=INPUTS, start=START, backend="auto", **parameters):
    given = {"fraction": 0.5, "speed": 1.0, **parameters}
    instance = Instance(data={"inputs": inputs, "start": start}, parameters=given, width=12, steps=3, seed=2)
    return kind(instance, theorem, backend=backend)


def test_r_0_has_the_direction_and_the_size_that_were_asked_for(theorem):
    run = run_of(theorem)
    wanted = 0.5 * float(run.allowed)
    np.testing.assert_allclose(run.trajectory.residuals[0], wanted * START / 5, rtol=1e-9)
    assert run_of(theorem, size=2.0).residual_0 == pytest.approx(2.0)
    assert run.eta == pytest.approx(float(run.eta_max))


def test_the_jacobian_of_the_start_is_that_of_the_trajectory(theorem):
    run = run_of(theorem)
    np.testing.assert_allclose(run.spectrum**2, run.eigenvalues[0], rtol=1e-10)
    weights = run.weights
    outer = np.tanh(INPUTS @ weights[:, :-1].T) / np.sqrt(12)
    np.testing.assert_allclose(run.outer_spectrum, np.linalg.svd(outer, compute_uv=False)[::-1], rtol=1e-10)
    assert set(np.abs(run.outer_weights)) == {1.0}


def test_the_way_is_as_long_as_its_steps_and_longer_than_it_leads(theorem):
    run = run_of(theorem)
    steps = np.sqrt(run.eta**2 * run.gradient_square)
    np.testing.assert_allclose(run.path, np.concatenate([[0], np.cumsum(steps)]), rtol=1e-9)
    assert (run.distance <= run.path * (1 + 1e-12)).all()


def test_a_neuron_at_rest_moves_the_jacobian_by_the_length_of_its_input(theorem):
    """At w = a = 0 the second derivative is ((0, x), (x, 0)), of norm |x|."""
    rest = {"moved": 1.0, "outer": 0.0, "bend": 0.0, "turn": np.pi / 4, "length": 2.0**-10}
    run = run_of(theorem, MovedRun, [[3.0, 4.0]], np.ones(1), **rest)
    assert run.slope == pytest.approx(5 / np.sqrt(12), rel=1e-4)
    assert run.slope_error < 1e-9
    assert run.chi == 1
    assert run_of(theorem).chi == 2


def test_all_neurons_at_rest_move_it_as_much_and_their_worst_directions_more_than_any_other(theorem):
    rest = {"moved": 12.0, "outer": 0.0, "bend": 0.0, "turn": np.pi / 4, "length": 2.0**-10}
    assert run_of(theorem, MovedRun, [[3.0, 4.0]], np.ones(1), **rest).slope == pytest.approx(5 / np.sqrt(12), rel=1e-4)
    drawn = {"moved": 0.0, "length": 2.0**-10}
    random, worst = (run_of(theorem, MovedRun, worst=kind, **drawn) for kind in (0.0, 1.0))
    for run in (random, worst):
        before, after = run.ends
        assert ((after - before) != 0).any(axis=1).all()
        assert np.linalg.norm(after - before) == pytest.approx(2.0**-10)
    assert worst.slope > 1.3 * random.slope


def test_balls_enclose_the_same_run(theorem):
    plain, exact = run_of(theorem), run_of(theorem, backend="ball")
    for name in ("losses", "path", "gradient_square"):
        enclosed = [float(ball.arb.mid()) for ball in getattr(exact, name)]
        np.testing.assert_allclose(enclosed, getattr(plain, name), rtol=1e-9, atol=1e-15)


def test_no_direction_is_one_sentence(theorem):
    with pytest.raises(NtkVerifyError, match="no direction"):
        _ = run_of(theorem, start=np.zeros(2)).trajectory
