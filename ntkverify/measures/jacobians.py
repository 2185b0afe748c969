"""Jacobians of linear problems in an arithmetic of one's choice, and what rounding hides of their differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arithmetic.balls import midpoints
from ntkverify.arithmetic.evaluator import Algebra, evaluate_all
from ntkverify.arrays import Array
from ntkverify.execution.samples import Samples


def evaluated_jacobian(
    samples: Samples, weights: Array, frozen: Array, algebra: Algebra, convert: Callable[[Any], Any]
) -> Any:
    """The Jacobian (N, m p) times sqrt(m) in any arithmetic, evaluated term by term as written.

    Parameters
    ----------
    samples : Samples
        Of linear blocks.
    weights, frozen : arrays (m, p) and (m, q)
    algebra : Algebra
        Of the arithmetic.
    convert : callable
        Turns an array of float64 into one of its arrays.
    """
    neuron = samples.neuron
    names = (*neuron.weights, *neuron.frozen, *neuron.coordinates)
    rows = []
    for b in samples.blocks:
        columns = (*weights.T[:, None, :], *frozen.T[:, None, :], *b.points.T[:, :, None])
        values = {s: convert(x) for s, x in zip(names, columns, strict=True)}
        found = evaluate_all(list(neuron.gradients[b.block.name][0]), values, algebra)
        shape = (b.size, len(weights))
        rows.append(np.stack([np.broadcast_to(g, shape) for g in found], axis=-1).reshape(b.size, -1))
    return np.concatenate(rows)


def correctly_rounded(matrix: Callable[[], Any], bits: int = 192) -> Array:
    """A matrix of balls as floats; enough bits are left where entries cancel to 1e-30 of their parts.

    Parameters
    ----------
    matrix : callable
        Returns the matrix at flint's current precision, which is set to `bits`.
    """
    from flint import ctx

    with ctx.workprec(bits):
        return np.asarray(midpoints(matrix()))
