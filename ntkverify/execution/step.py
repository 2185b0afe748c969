"""A step that measures itself: what lemmas about one step of training speak of, whatever the executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ntkverify.execution.samples import Forward


@dataclass(frozen=True)
class Move:
    """How the weights of one group move in a step; of the executor's kind of number.

    Parameters
    ----------
    drift : scalar
        max_j |w_j - w_j(0)| after the step.
    drift_rms : scalar
        Root of the mean over neurons of |w_j - w_j(0)|^2 after the step.
    norm : scalar
        max_j |w_j| after the step.
    gradient : scalar
        max_j |(J^T vector)_j| before the step; with the residuals as vector the gradient of the loss.
    length : scalar
        Euclidean norm of the change of all weights of the group.
    """

    drift: Any
    drift_rms: Any
    norm: Any
    gradient: Any
    length: Any


@dataclass(frozen=True)
class MeasuredStep:
    """What one step of training leaves, and what its lemmas speak of; N residuals.

    Parameters
    ----------
    forward : Forward
        The pass at the new weights.
    errors : array, shape (N,)
        Bound of the rounding errors of the residuals there; zero in balls.
    linear : array, shape (N,)
        ``J change``, J at the old weights.
    remainders : array, shape (N,)
        ``r(new) - r(old) - J change``, summed neuron by neuron.
    moves : mapping from group to Move
        Per group of trained weights.
    gram : array, shape (N, N), or None
        ``J J^T`` at the old weights, if it was asked for.
    """

    forward: Forward
    errors: Any
    linear: Any
    remainders: Any
    moves: Mapping[str, Move]
    gram: Any = None
