"""What a measured step is by definition, and the assertion that one is that."""

import numpy as np
from drawing import executor_of, relative

# as for the other sweeps; remainders are what differences of values of size 1 leave
AGREEMENT = 1e-12


def defined(neuron, problem, weights, frozen, start, eta, change=None):
    """The definitions, from the reference's Jacobian and forward passes."""
    executor = executor_of(neuron, problem, backend="array")
    before, jacobian = executor.forward(weights, frozen), executor.jacobian(weights, frozen)
    gradient = (jacobian.T @ before.residuals).reshape(weights.shape)
    change = -eta * gradient if change is None else change
    after = executor.forward(weights + change, frozen)
    linear = jacobian @ change.ravel()
    lengths = [np.linalg.norm(a, axis=1) for a in (weights + change - start, weights + change, gradient, change)]
    moves = [
        lengths[0].max(), np.sqrt((lengths[0] ** 2).mean()), lengths[1].max(), lengths[2].max(),
        np.linalg.norm(lengths[3]),
    ]  # fmt: skip
    return {
        "weights": weights + change,
        "residuals": after.residuals,
        "linear": linear,
        "remainders": after.residuals - before.residuals - linear,
        "gram": jacobian @ jacobian.T,
        "moves": moves,
    }


def assert_defined(wanted, w, step):
    # a remainder is left by values and linear parts, whose rounding it has
    size = max(1.0, np.abs(wanted["residuals"]).max(), np.abs(wanted["linear"]).max())
    assert relative(w, wanted["weights"]) < AGREEMENT
    assert relative(step.forward.residuals, wanted["residuals"]) < AGREEMENT
    for name in ("linear", "remainders"):
        assert np.abs(np.asarray(getattr(step, name)) - wanted[name]).max() < AGREEMENT * size, name
    if step.gram is not None:
        assert relative(step.gram, wanted["gram"]) < AGREEMENT
    if len(step.moves) == 1:  # groups are measured apart, see below
        (move,) = step.moves.values()
        found = [move.drift, move.drift_rms, move.norm, move.gradient, move.length]
        np.testing.assert_allclose(found, wanted["moves"], rtol=AGREEMENT, atol=1e-300)
    else:
        length = np.linalg.norm([move.length for move in step.moves.values()])
        np.testing.assert_allclose(length, wanted["moves"][-1], rtol=AGREEMENT)
