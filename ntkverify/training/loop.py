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
import scipy.linalg
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.draw import Seed
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Terms
from ntkverify.measures.network import draw_network
from ntkverify.measures.rounding import CHUNK, output_error, sum_roundings

Array = NDArray[np.float64]
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


class Sweeper:
    """Values, their rounding majorants and Jacobians of a whole network, by chunks of neurons.

    Parameters
    ----------
    samples : Samples
        Of linear blocks; values carry the blocks' scales.
    signs : array (m,)
        Frozen outer weights.
    """

    def __init__(self, samples: Samples, signs: NDArray[np.int8]) -> None:
        self.terms = Terms(samples)
        self.width = int(signs.size)
        self._frozen = signs[None].astype(np.float64)
        self._roundings = self.terms.roundings + sum_roundings(self.width)
        self.targets = np.concatenate([b.scale * b.targets for b in samples.blocks])

    def values_and_jacobian(self, weights: Array) -> tuple[Array, Array]:
        """Each neuron's share of the outputs (N, m), and the Jacobian (p, N, m); both with m**-1/2."""
        count, width = self.terms.samples.total, self.width
        values, jacobian = np.empty((count, width)), np.empty((len(weights), count, width))
        for lo in self._starts:
            chunk = slice(lo, lo + CHUNK)
            value, gradient = self.terms.with_gradient(weights[:, chunk], self._frozen[:, chunk])
            values[:, chunk] = value
            for row, component in zip(jacobian, gradient, strict=True):
                row[:, chunk] = component
        values /= math.sqrt(width)
        jacobian /= math.sqrt(width)
        return values, jacobian

    def jacobian(self, weights: Array) -> Array:
        """The Jacobian alone, (p, N, m)."""
        return self.values_and_jacobian(weights)[1]

    def values(self, weights: Array) -> Array:
        """Each neuron's share of the outputs alone, (N, m)."""
        parts = [self.terms.at(weights[:, lo : lo + CHUNK], self._frozen[:, lo : lo + CHUNK]) for lo in self._starts]
        return np.concatenate(parts, axis=1) / math.sqrt(self.width)

    @property
    def _starts(self) -> range:
        return range(0, self.width, CHUNK)

    def rounding(self, weights: Array) -> Array:
        """Bound (N,) of the rounding errors of the residuals at `weights`."""
        total = np.zeros(self.terms.samples.total)
        for lo in self._starts:
            chunk = slice(lo, lo + CHUNK)
            total += self.terms.majorants(weights[:, chunk], self._frozen[:, chunk]).sum(axis=1)
        return output_error(self._roundings, total, self.targets, self.width)


def spectral_norm(jacobian: Array) -> float:
    """Largest singular value of a Jacobian given as (p, N, m)."""
    gram = np.einsum("pim,pjm->ij", jacobian, jacobian, optimize=True)
    return math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0))


def least_norm_step(jacobian: Array, residual: Array) -> Array:
    """The shortest step with J step = residual, (p, m), by QR of J^T, which does not square its condition.

    Raises
    ------
    NtkVerifyError
        If the Jacobian has not full row rank to rounding.
    """
    p, count, width = jacobian.shape
    q, r = np.linalg.qr(np.moveaxis(jacobian, 1, 2).reshape(p * width, count))
    diagonal = np.abs(np.diag(r))
    if p * width < count or diagonal.min() <= count * np.finfo(float).eps * diagonal.max():
        raise NtkVerifyError(
            f"natural gradient descent needs a Jacobian of full row rank, and that of {count} residuals has none "
            "to rounding: remove repeated samples or widen the network."
        )
    step: Array = (q @ scipy.linalg.solve_triangular(r, residual, trans="T")).reshape(p, width)
    return step


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
        change = -step * (gradient if method == "gradient" else least_norm_step(jacobian, residual))
        middle = sweeper.jacobian(weights + change / 2) if natural else None
        weights += change
        after, turned = sweeper.values_and_jacobian(weights)
        linear = np.einsum("pim,pm->im", jacobian, change)
        length = float(np.linalg.norm(change))
        # Householder QR is backward stable with a constant of at most rows times columns
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
