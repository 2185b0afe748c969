"""A trajectory of gradient or natural gradient descent, measured step by step with the Jacobian in memory.

Where `sweep.descend` follows networks of 1e7 neurons and holds nothing of size samples x width, this holds the Jacobian
at the start and at the current step, so that it can say how far the Jacobian has moved. It is meant for N * p * m
up to about 1e7 numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.draw import Seed
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import in_order
from ntkverify.execution.rounding import CHUNK, output_error, sum_roundings
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Points, Terms, as_samples
from ntkverify.measures.jacobian import Sweeper, spectral_norm
from ntkverify.measures.network import draw_network
from ntkverify.symbolic.network.neuron import Neuron
from ntkverify.training.least_norm import dense_least_norm

Method = Literal["gradient", "natural gradient"]
METHODS: tuple[Method, ...] = ("gradient", "natural gradient")


@dataclass(frozen=True)
class Measured:
    """What lemmas about the steps of a trajectory speak of; K steps, N samples.

    Parameters
    ----------
    residuals, residuals_error : array (K+1, N)
        Residuals r(k) and a bound of their rounding errors.
    grams : array (K+1, N, N)
        J(k) J(k)^T.
    linear : array (K, N)
        J(k) (theta(k+1) - theta(k)).
    linear_error : array (K, N)
        Bound of the rounding error of `linear`, of the step's solve included.
    remainders : array (K, N)
        r(k+1) - r(k) - J(k) (theta(k+1) - theta(k)), summed neuron by neuron.
    lengths : array (K,)
        ||theta(k+1) - theta(k)||.
    drift, drift_rms : array (K+1,)
        max_r ||w_r(k) - w_r(0)|| and the root of the mean of its square.
    weight_norm : array (K+1,)
        max_r ||w_r(k)||.
    jacobian_change : array (K+1,)
        ||J(k) - J(0)||_2; this and the next two are NaN for gradient descent, whose lemmas do not speak of J.
    path_change : array (K,)
        max over the middle and the end of step k of ||J(theta_s) - J(theta(k))||_2.
    path_from_start : array (K,)
        ||J - J(0)||_2 at the middle of step k.
    gradients : array (K,)
        max_r ||dL/dw_r||.
    """

    residuals: Array
    residuals_error: Array
    grams: Array
    linear: Array
    linear_error: Array
    remainders: Array
    lengths: Array
    drift: Array
    drift_rms: Array
    weight_norm: Array
    jacobian_change: Array
    path_change: Array
    path_from_start: Array
    gradients: Array


def least_norm_step(jacobian: Array, residual: Array, gram: Array | None = None) -> Array:
    """The shortest step with J step = residual, (p, m), for a Jacobian (p, N, m); see `dense_least_norm`.

    Raises
    ------
    NtkVerifyError
        If the Jacobian has not full row rank to rounding.
    """
    p, count, width = jacobian.shape
    step: Array = dense_least_norm(np.moveaxis(jacobian, 1, 0).reshape(count, -1), residual, gram=gram).direction
    return step.reshape(p, width)


def follow(samples: Samples, *, seed: Seed, width: int, step: float, steps: int, method: Method) -> Measured:
    """Train by gradient descent or natural gradient descent and measure every step.

    Parameters
    ----------
    samples : Samples
        Points, targets and scales of a neuron with linear blocks whose frozen weight is the outer sign.
    seed, width, step, steps
        The draw, the number of neurons, the learning rate, the number of steps.
    method : {"gradient", "natural gradient"}
        theta <- theta - step J^T r, or theta <- theta - step J^T (J J^T)^-1 r.
    """
    if method not in METHODS:
        raise NtkVerifyError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}.")
    natural = method == "natural gradient"
    p = len(samples.neuron.weights)
    # values, Jacobians and the solver's copies, six of each at the most
    refuse_beyond_memory(8 * width * 6 * samples.total * (p + 1), f"measuring a trajectory of {width} neurons")
    network = draw_network(seed, width, p)
    sweeper = Sweeper(samples, network.signs)
    weights, start = network.weights, network.weights.copy()
    values, jacobian = sweeper.values_and_jacobian(weights)
    first = jacobian
    eps = float(np.finfo(np.float64).eps)
    kept: dict[str, list[Array | float]] = {name: [] for name in Measured.__dataclass_fields__}

    def see(values: Array, jacobian: Array) -> Array:
        residual: Array = values.sum(axis=1) - sweeper.targets
        moved = np.square(weights - start).sum(axis=0)
        kept["residuals"].append(residual)
        kept["residuals_error"].append(sweeper.rounding(weights))
        kept["grams"].append(np.einsum("pim,pjm->ij", jacobian, jacobian, optimize=True))
        kept["drift"].append(math.sqrt(moved.max()))
        kept["drift_rms"].append(math.sqrt(moved.mean()))
        kept["weight_norm"].append(math.sqrt(np.square(weights).sum(axis=0).max()))
        moved_by = spectral_norm(jacobian - first) if natural and jacobian is not first else 0.0
        kept["jacobian_change"].append(moved_by if natural else math.nan)
        return residual

    residual = see(values, jacobian)
    for _ in range(steps):
        gradient = np.einsum("pim,i->pm", jacobian, residual)
        change = -step * (
            gradient if method == "gradient" else least_norm_step(jacobian, residual, np.asarray(kept["grams"][-1]))
        )
        middle = sweeper.jacobian(weights + change / 2) if natural else None
        weights += change
        after, turned = sweeper.values_and_jacobian(weights)
        linear = np.einsum("pim,pm->im", jacobian, change)
        length = float(np.linalg.norm(change))
        # the solver refines until its residual is at most N eps ||J|| ||step||; Householder's QR needs P N eps ||J||
        solve = change.size * samples.total * eps * math.sqrt(np.trace(kept["grams"][-1])) * length
        kept["linear"].append(linear.sum(axis=1))
        kept["linear_error"].append(np.full(samples.total, solve))
        kept["remainders"].append((after - values - linear).sum(axis=1))
        kept["lengths"].append(length)
        kept["gradients"].append(math.sqrt(np.square(gradient).sum(axis=0).max()))
        if middle is not None:
            kept["path_from_start"].append(spectral_norm(middle - first))
            kept["path_change"].append(max(spectral_norm(middle - jacobian), spectral_norm(turned - jacobian)))
        else:
            kept["path_from_start"].append(math.nan)
            kept["path_change"].append(math.nan)
        values, jacobian = after, turned
        residual = see(values, jacobian)
    arrays = {name: np.array(value, dtype=np.float64) for name, value in kept.items()}
    for name in ("linear", "linear_error", "remainders"):
        arrays[name] = arrays[name].reshape(steps, samples.total)
    return Measured(**arrays)


@dataclass(frozen=True)
class Descent:
    """A gradient-descent trajectory with everything that lemmas about its steps measure.

    K is the number of steps, N the number of samples.

    Parameters
    ----------
    residuals : array (K+1, N)
        Residuals r(k).
    residuals_error : array (K+1, N)
        Bound of their rounding errors, accumulated over nothing but the last forward sweep.
    grams : array (K+1, N, N)
        Gram matrices H(k) = J J^T.
    remainders : array (K, N)
        I_1(k) = r(k+1) - r(k) - J(k) (theta(k+1) - theta(k)), summed neuron by neuron.
    drift : array (K+1,)
        max_r ||w_r(k) - w_r(0)||.
    gradients : array (K,)
        max_r ||dL/dw_r(k)||.
    """

    residuals: Array
    residuals_error: Array
    grams: Array
    remainders: Array
    drift: Array
    gradients: Array


def descend(
    neuron: Neuron, points: Points, targets: Points, *, seed: Seed, width: int, step: float, steps: int
) -> Descent:
    """Train by gradient descent on half the squared residual norm and measure every step.

    Parameters
    ----------
    neuron : Neuron
        With linear blocks; its frozen weight is the outer sign.
    points, targets : arrays (N, d) and (N,), or mappings of block name to such arrays
    seed, width, step, steps
        The draw, the number of neurons, the learning rate, the number of steps.
    """
    samples = as_samples(neuron, points, targets)
    terms, wanted = Terms(samples), samples.targets
    network = draw_network(seed, width, terms.dimension)
    start = network.weights.copy()
    chunks = [slice(lo, min(lo + CHUNK, width)) for lo in range(0, width, CHUNK)]
    root = math.sqrt(width)
    deep = terms.roundings + sum_roundings(width)

    def forward(chunk: slice) -> tuple[Array, Array]:
        weights, frozen = network.weights[:, chunk], network.signs[None, chunk].astype(np.float64)
        return terms.at(weights, frozen).sum(axis=1), terms.majorants(weights, frozen).sum(axis=1)

    outputs, magnitude = (np.add.reduce(parts) for parts in zip(*in_order(forward, chunks), strict=True))
    residuals = [outputs / root - wanted]
    errors = [output_error(deep, magnitude, wanted, width)]
    grams, remainders, drift, gradients = [], [], [0.0], []

    def advance(chunk: slice) -> tuple[Array, Array, Array, Array, float, float]:
        weights, frozen = network.weights[:, chunk], network.signs[None, chunk].astype(np.float64)
        value, jacobian = terms.with_gradient(weights, frozen)
        gram = sum((g @ g.T for g in jacobian), np.zeros((samples.total,) * 2))
        gradient = np.stack([residuals[-1] @ g for g in jacobian]) / root
        change = -step * gradient
        weights += change
        after = terms.at(weights, frozen)
        linear = sum(g * c for g, c in zip(jacobian, change, strict=True))
        remainder = (after - value - linear).sum(axis=1)
        moved = np.sqrt(np.square(weights - start[:, chunk]).sum(axis=0).max())
        size = np.sqrt(np.square(gradient).sum(axis=0).max())
        rounding = terms.majorants(weights, frozen).sum(axis=1)
        return after.sum(axis=1), rounding, gram, remainder, float(moved), float(size)

    for _ in range(steps):
        parts = list(zip(*in_order(advance, chunks), strict=True))
        outputs, magnitude, gram, remainder = (np.add.reduce(parts[i]) for i in range(4))
        residuals.append(outputs / root - wanted)
        errors.append(output_error(deep, magnitude, wanted, width))
        grams.append(gram / width)
        remainders.append(remainder / root)
        drift.append(max(parts[4]))
        gradients.append(max(parts[5]))

    def last_gram(chunk: slice) -> Array:
        frozen = network.signs[None, chunk].astype(np.float64)
        _, jacobian = terms.with_gradient(network.weights[:, chunk], frozen)
        return sum((g @ g.T for g in jacobian), np.zeros((samples.total,) * 2))

    grams.append(np.add.reduce(list(in_order(last_gram, chunks))) / width)
    return Descent(
        np.array(residuals),
        np.array(errors),
        np.array(grams),
        np.array(remainders).reshape(steps, samples.total),
        np.array(drift),
        np.array(gradients),
    )
