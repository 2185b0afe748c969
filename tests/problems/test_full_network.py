"""Networks all of whose weights are trained: definitions, loss weights, balls, batches, flows."""

import numpy as np
import pytest
import sympy
from simulated_cupy import use_device

from ntkverify import Instance, NtkVerifyError, Source, Theorem
from ntkverify.execution.draw import weights_of_block
from ntkverify.problems.nonlinear.batch import batch
from ntkverify.problems.nonlinear.flows import flow
from ntkverify.problems.nonlinear.full_network import full_network
from ntkverify.symbolic.network.operators import burgers, derivative, self_advection
from ntkverify.training import gradient_descent

THEOREM = Theorem("t", source=Source(), statement="s")
DATA = {"interior": [[0.3], [0.8]], "boundary": [[0.0]], "interior_target": [0.5, -0.2], "boundary_target": [1.0]}


def nonlinear(points):
    return self_advection(points[0])


def linear(points):
    return derivative(points, 2)


def run(equation=nonlinear, *, backend="array", width=30, steps=3, data=DATA, parameters=None, **options):
    instance = Instance(data=data, width=width, step=0.02, steps=steps, seed=5, parameters=parameters or {})
    return full_network(equation, **{"activation": "sin", **options})(instance, THEOREM, backend=backend)


def by_hand(r, weights):
    """Residuals of u u_x and u written out, without loss weights."""
    u, w, v, c = weights[:, 2], weights[:, 0], weights[:, 1], weights[:, 3]
    root = np.sqrt(len(weights))

    def value(x):
        return (u @ np.sin(w * x + v) + c.sum()) / root

    def slope(x):
        return u @ (w * np.cos(w * x + v)) / root

    return np.array([value(0.3) * slope(0.3) - 0.5, value(0.8) * slope(0.8) + 0.2, value(0.0) - 1.0])


def test_residuals_carry_the_roots_of_the_loss_weights():
    r = run()
    assert [str(w) for w in r.neuron.weights] == ["w_0", "b", "a", "c"]
    np.testing.assert_allclose(r.start.residuals, by_hand(r, r.weights) * np.sqrt([0.5, 0.5, 1]), atol=1e-13)
    np.testing.assert_allclose(r.loss_weights, [0.5, 0.5, 1])
    heavy = run(parameters={"weight_boundary": 9.0}, loss="sum")
    np.testing.assert_allclose(heavy.start.residuals, by_hand(heavy, heavy.weights) * [1, 1, 3], atol=1e-13)


def test_the_kernel_is_the_sums_kernel_between_the_slopes_and_the_jacobians_product():
    r = run(parameters={"weight_boundary": 4.0})
    start = r.start
    np.testing.assert_allclose(start.slopes @ start.sum_kernel @ start.slopes.T, start.kernel, atol=1e-12)
    rows = r.jacobian_at(r.weights).reshape(3, -1) / r.roots[:, None]
    np.testing.assert_allclose(rows @ rows.T, start.kernel, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1.001])
def test_the_central_difference_finds_a_wrong_kernel(scale):
    r = run()
    r.__dict__["start"] = r.start._replace(kernel=r.start.kernel * scale)
    exact, difference, bound = r.derivative_along_gradient
    assert (np.abs(exact - difference) <= bound).all() == (scale == 1)


def test_limits_are_means_over_many_neurons():
    r = run(width=200000)
    gap = np.abs(r.start.sum_kernel - r.limit_sum_kernel).max()
    assert gap < 6 * 3 / np.sqrt(200000) * np.abs(r.limit_sum_kernel).max()
    outer = r.limit_sum_covariance
    assert outer[0, 0] == pytest.approx(1.5 - np.exp(-2 - 2 * 0.09) / 2, rel=1e-12)  # with the output bias


def test_kernels_along_training_begin_with_those_at_the_start():
    r = run(kernels=True)
    np.testing.assert_allclose(r.trajectory.sum_kernels[0], r.start.sum_kernel, atol=1e-12)
    np.testing.assert_allclose(r.kernels_along[0], r.start.kernel, atol=1e-12)
    assert r.trajectory.sum_kernels.shape == (4, 5, 5)
    assert r.path[0] == 0
    assert r.path[3] > 0


def test_every_backend_measures_the_same(monkeypatch):
    use_device(monkeypatch)
    wanted = run(kernels=True)
    for backend in ("cpu", "gpu"):
        found = run(kernels=True, backend=backend)
        for name in ("kernel", "sum_kernel", "slopes", "residuals"):
            np.testing.assert_allclose(getattr(found.start, name), getattr(wanted.start, name), atol=1e-12)
        np.testing.assert_allclose(found.trajectory.sum_kernels, wanted.trajectory.sum_kernels, atol=1e-12)
        np.testing.assert_allclose(found.trajectory.residuals, wanted.trajectory.residuals, atol=1e-12)


def test_balls_enclose_what_float64_measures():
    flint = pytest.importorskip("flint")
    exact, plain = run(backend="ball", width=6, kernels=True), run(width=6, kernels=True)
    for one, other in [
        (exact.start.kernel, plain.start.kernel),
        (exact.kernels_along[3], plain.kernels_along[3]),
        (exact.trajectory.sum_kernels[3], plain.trajectory.sum_kernels[3]),
    ]:
        gaps = [abs(float(a.arb.mid()) - b) for a, b in zip(one.ravel(), other.ravel(), strict=True)]
        assert max(gaps) < 1e-12
    with flint.ctx.workprec(200):
        value, difference, bound = run(backend="ball", width=6).derivative_along_gradient
    assert all(abs(a - b) <= c for a, b, c in zip(value, difference, bound, strict=True))


@pytest.mark.parametrize(
    ("left", "right", "backend"), [(0, 0, "array"), (0, 1, "array"), (1, 2, "array"), (0, 0, "cpu")]
)
def test_a_batch_has_the_kernel_entries_of_its_networks(left, right, backend):
    parameters = {"networks": 5, "left": left, "right": right}
    instance = Instance(data=DATA, width=40, seed=9, parameters=parameters)
    many = batch(nonlinear, activation="sin", loss="sum")(instance, THEOREM, backend=backend)
    assert many.kernel_entries.shape == (5,)
    for j in (0, 4):
        weights = weights_of_block(many.neuron, 9, j, 40)[0]
        assert many.kernel_entries[j] == pytest.approx(many.executor.gram(weights)[left, right], rel=1e-11)


@pytest.mark.parametrize("backend", ["array", "cpu"])
def test_a_batch_trains_its_networks(backend):
    instance = Instance(data=DATA, width=40, seed=9, step=0.05, steps=3, parameters={"networks": 3})
    many = batch(nonlinear, activation="sin", loss="sum")(instance, THEOREM, backend=backend)
    for j in (0, 2):
        weights = weights_of_block(many.neuron, 9, j, 40)[0]
        residuals, first, last = (values[j] for values in many.paths)
        np.testing.assert_allclose(residuals, many.executor.residuals(weights), rtol=1e-11)
        assert first == pytest.approx(many.kernel_entries[j], rel=1e-12)
        found = gradient_descent(many.executor, weights, None, eta=0.05, steps=3)
        assert last == pytest.approx(many.executor.gram(found.weights)[0, 0], rel=1e-10)


def test_a_batch_of_burgers_networks_has_two_coordinates():
    def equation(points):
        return burgers(*points, viscosity=sympy.Rational(1, 10))

    instance = Instance(data={"interior": [[0.2, 0.3]]}, width=8, seed=9, parameters={"networks": 3})
    many = batch(equation, activation="sin", boundary=False)(instance, THEOREM, backend="array")
    assert (many.kernel_entries > 0).all()


def test_a_flow_loses_what_the_gradient_says():
    instance = Instance(data=DATA, width=30, steps=4, seed=5, parameters={"time": 0.2})
    found = flow(nonlinear, activation="sin")(instance, THEOREM)
    assert found.losses[-1] < found.losses[0]
    slope = (found.losses[1] - found.losses[0]) / found.time[1]
    start = found.start
    assert slope == pytest.approx(-start.residuals @ (found.trajectory.grams[0] @ start.residuals), rel=0.2)
    with pytest.raises(NtkVerifyError, match="no ball encloses"):
        flow(nonlinear)(instance, THEOREM, backend="ball")


def test_mistakes_are_named():
    with pytest.raises(NtkVerifyError, match="same number of coordinates"):
        run(data={"interior": [[0.1, 0.2]], "boundary": [[0.0]]})
    with pytest.raises(NtkVerifyError, match="at least one neuron"):
        run(width=0)
    with pytest.raises(NtkVerifyError, match="loss weight of block 'interior'"):
        _ = run(parameters={"weight_interior": -1.0}).samples
    with pytest.raises(NtkVerifyError, match="'mean' or a 'sum'"):
        run(loss="max")
    with pytest.raises(NtkVerifyError, match="give the equation"):
        full_network()
    with pytest.raises(NtkVerifyError, match="unknown flow"):
        flow(nonlinear, flow="magic")(Instance(data=DATA, width=3), THEOREM)
    far = batch(nonlinear)(Instance(data=DATA, width=3, parameters={"networks": 1, "left": 7}), THEOREM)
    with pytest.raises(NtkVerifyError, match="left must lie in"):
        _ = far.kernel_entries
