"""What a checked step takes beside a bare one: a measured step of gradient descent, and a natural gradient step."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmark_problems import draw, executor_of, race

from ntkverify.training import least_norm

#: kind ("heat" has ReLU^3, "poisson" tanh), samples, dimension of space, width
CHECKED = [
    ("heat", (200, 50), 1, 16384),
    ("heat", (20, 10), 1, 16384),
    ("poisson", (200, 50), 1, 16384),
    ("poisson", (20, 10), 1, 16384),
]
NATURAL = ("heat", (100, 40), 1, 4096)


def check_case(kind: str, sizes: tuple[int, ...], d: int, m: int) -> dict[str, Any]:
    """A measured step (residual, majorants, remainder, Gram matrix, drift, gradients), in steps and Gram matrices."""
    neuron, problem, weights, a = draw(kind, sizes, d, m)
    executor = executor_of(neuron, problem)
    start, forward = weights.copy(), executor.forward(weights, a)
    times = race(
        {
            "measured step": lambda: executor.measured_step(weights, a, forward, 0.0, start=start),
            "step": lambda: executor.step(weights, a, forward, 0.0),
            "gram": lambda: executor.gram(weights, a),
        }
    )
    return {
        "case": f"{kind} measured step n={sizes} d={d} m={m}",
        "seconds": times,
        "ratio": {},
        "in_steps_and_gram_matrices": times["measured step"] / (times["step"] + times["gram"]),
    }


def natural_case(kind: str, sizes: tuple[int, ...], d: int, m: int) -> dict[str, Any]:
    """A natural gradient step in Gram matrices, and LAPACK's QR beside it."""
    neuron, problem, weights, a = draw(kind, sizes, d, m)
    executor = executor_of(neuron, problem)
    forward = executor.forward(weights, a)
    right, jacobian = forward.residuals, executor.jacobian(weights, a)
    found = {name: least_norm(executor, weights, a, forward, right, solver=name) for name in ("qr", "householder")}
    times = race(
        {
            "natural gradient": lambda: least_norm(executor, weights, a, forward, right, solver="qr"),
            "Householder": lambda: least_norm(executor, weights, a, forward, right, solver="householder"),
            "gram": lambda: executor.gram(weights, a),
        }
    )
    left = {name: jacobian @ one.direction.ravel() - right for name, one in found.items()}
    return {
        "case": f"{kind} natural gradient step n={sizes} d={d} m={m}",
        "seconds": times,
        "ratio": {},
        "in_gram_matrices": times["natural gradient"] / times["gram"],
        "condition": found["qr"].condition,
        "residual": float(np.linalg.norm(left["qr"]) / np.linalg.norm(right)),
        "residual_of_householder": float(np.linalg.norm(left["householder"]) / np.linalg.norm(right)),
    }
