"""Random problems of a kind: samples and weights from one entropy integer."""

import numpy as np

from ntkverify.execution import make_executor


def draw_problem(neuron, sizes, m, entropy):
    rng = np.random.default_rng(entropy)
    points, targets, scale = {}, {}, {}
    for block, n in zip(neuron.blocks, sizes, strict=False):
        points[block.name] = rng.standard_normal((n, len(neuron.coordinates)))
        targets[block.name] = rng.standard_normal(n)
        scale[block.name] = n**-0.5
    weights = rng.standard_normal((m, len(neuron.weights)))
    frozen = rng.choice([-1.0, 1.0], (m, len(neuron.frozen)))
    return {"points": points, "targets": targets, "scale": scale}, weights, frozen


def executor_of(neuron, problem, **options):
    return make_executor(neuron, problem["points"], problem["targets"], scale=problem["scale"], **options)


def relative(a, b):
    """Largest difference as a fraction of the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(float).tiny))
