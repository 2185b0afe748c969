"""Gradient descent measured in fused sweeps: what `ntkverify.training.loop.descend` measures, an order faster."""

from __future__ import annotations

import math

import numpy as np

from ntkverify.arrays import Array
from ntkverify.execution.draw import Seed
from ntkverify.execution.fused.measured import MeasuredStep, measured_step, most_roundings
from ntkverify.execution.rounding import output_error
from ntkverify.measures.network import draw_network
from ntkverify.symbolic.network.neuron import Neuron
from ntkverify.training.loop import Descent


def descend_fused(
    neuron: Neuron, points: Array, targets: Array, *, seed: Seed, width: int, step: float, steps: int
) -> Descent:
    """Train by gradient descent on half the squared residual norm and measure every step; see `sweep.descend`."""
    network = draw_network(seed, width, points.shape[1])
    start = network.weights.copy()
    frozen = network.signs[None]
    root = math.sqrt(width)
    deep = most_roundings(neuron, width, len(points))

    def sweep(residual: Array, eta: float) -> MeasuredStep:
        return measured_step(neuron, network.weights, start, frozen, points, residual / root, eta)

    # a step of length zero is the forward pass
    measured = sweep(np.zeros(len(points)), 0.0)
    residuals, errors = [measured.sums / root - targets], [output_error(deep, measured.majorants, targets, width)]
    grams, remainders, drift, gradients = [], [], [0.0], []
    for _ in range(steps):
        measured = sweep(residuals[-1], step)
        residuals.append(measured.sums / root - targets)
        errors.append(output_error(deep, measured.majorants, targets, width))
        grams.append(measured.gram / width)
        remainders.append(measured.remainders / root)
        drift.append(measured.drift)
        gradients.append(measured.gradient)
    grams.append(sweep(residuals[-1], 0.0).gram / width)
    return Descent(
        np.array(residuals),
        np.array(errors),
        np.array(grams),
        np.array(remainders).reshape(steps, len(points)),
        np.array(drift),
        np.array(gradients),
    )
