"""What every trained run answers for, whatever recorded its trajectory."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.problems.run import Run


class Record(Protocol):
    """What a recorded trajectory of K steps over N residuals holds at least."""

    @property
    def residuals(self) -> Array:
        """r(k), (K+1, N)."""

    @property
    def residuals_error(self) -> Array:
        """Bound of the rounding error of r(k), (K+1, N)."""

    @property
    def grams(self) -> Array:
        """H(k), (K+1, N, N)."""

    @property
    def remainders(self) -> Array:
        """What each step leaves of its linearisation, (K, N)."""

    @property
    def drift(self) -> Array:
        """max_r ||w_r(k) - w_r(0)||, (K+1,)."""


class TrainedRun(Run):
    """A network trained for K steps; subclasses say how by their `record`."""

    @property
    def record(self) -> Record:
        """The trajectory, trained when something of it is first asked for."""
        raise NtkVerifyError(f"{type(self).__name__} trains nothing; override `record`.")

    @property
    def residuals(self) -> Array:
        """||r(k)||, (K+1,)."""
        return np.asarray(np.linalg.norm(self.record.residuals, axis=1))

    @property
    def residuals_error(self) -> Array:
        """Bound of the rounding error of ||r(k)||, (K+1,)."""
        return np.asarray(np.linalg.norm(self.record.residuals_error, axis=1))

    @property
    def losses(self) -> Array:
        """L(k) = ||r(k)||^2 / 2, (K+1,)."""
        return np.asarray(self.residuals**2 / 2)

    @property
    def losses_error(self) -> Array:
        """Bound of the rounding error of L(k), (K+1,)."""
        return np.asarray(self.residuals * self.residuals_error + self.residuals_error**2)

    @property
    def residual(self) -> Array:
        """||r(k)|| before each step, (K,)."""
        return self.residuals[:-1]

    @property
    def loss(self) -> Array:
        """L(k) before each step, (K,)."""
        return self.losses[:-1]

    @functools.cached_property
    def eigenvalues(self) -> Array:
        """Eigenvalues of H(k) in ascending order, (K+1, N)."""
        return np.asarray(np.linalg.eigvalsh(self.record.grams), np.float64)

    @property
    def gram_drift(self) -> Array:
        """||H(k) - H(0)||_F, (K+1,)."""
        return np.asarray(np.linalg.norm(self.record.grams - self.record.grams[0], axis=(1, 2)))

    @property
    def remainder(self) -> Array:
        """||r(k+1) - r(k) - J(k) (theta(k+1) - theta(k))||, for gradient descent ||I_1(k)||, (K,)."""
        return np.asarray(np.linalg.norm(self.record.remainders, axis=1))

    @property
    def drift(self) -> Array:
        """max_r ||w_r(k) - w_r(0)||, (K+1,)."""
        return self.record.drift
