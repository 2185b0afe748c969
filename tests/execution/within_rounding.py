"""What an executor computed is the exact value to within the rounding errors that are derived for it."""

import flint
import numpy as np
from drawing import executor_of

from ntkverify.arithmetic.balls import as_balls
from ntkverify.execution.samples import collect_samples
from ntkverify.execution.walking.referee import RoundingExecutor, stored


def assert_within_rounding(executor, neuron, problem, weights, frozen):
    """Residuals, gradient, Gram matrix and two steps; no tolerance is chosen by hand."""
    ball = executor_of(neuron, problem, backend="ball", bits=256)
    samples = collect_samples(neuron, problem["points"], problem["targets"], problem["scale"])
    model = RoundingExecutor(samples, bits=256)
    runs = []
    for one, w in ((executor, weights.copy()), (ball, as_balls(weights)), (model, stored(weights))):
        forward = one.forward(w, frozen)
        found = [forward.residuals, one.gradient(w, frozen, forward), one.gram(w, frozen)]
        # the steps keep the weights' own errors as they go
        forward = one.step(w, frozen, forward, 2.0**-7)
        forward = one.step(w, frozen, forward, 2.0**-7)
        runs.append([*found, w, forward.residuals])
    for floats, enclosures, bounds in zip(*runs, strict=True):
        largest = np.abs(floats).max()
        for x, exact, bound in zip(floats.ravel(), enclosures.ravel(), bounds.ravel(), strict=True):
            assert bound.exact.overlaps(exact)
            with flint.ctx.workprec(256):
                assert abs(exact - float(x)) <= bound.error
            # the bound says something
            assert bound.error < 1e-10 * largest
