"""Natural gradient with a damping mu, for any trained network: w+ = w - eta J^T (H + mu)^-1 r, H = J J^T.

A = H (H + mu)^-1, and E is what a step leaves beyond r+ = (1 - eta A) r. K steps, N residuals.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ntkverify.arithmetic.ball_linear import spectral_projector
from ntkverify.arithmetic.ball_numbers import raw_array
from ntkverify.measures.steps import JacobianPath, Measure, Steps
from ntkverify.problems.trained import TrainedRun
from ntkverify.training import Method, NaturalGradient

_ULP = float(np.finfo(np.float64).eps)


class DampedRun(TrainedRun):
    """To be mixed into the run of a problem; the instance has a parameter ``mu``."""

    def training(self) -> Method:
        """Steps of the length eta, by a decomposition of J."""
        step = self.eta.arb if self.is_exact else self.eta
        return NaturalGradient(step, damping=float(self.instance.parameters["mu"]), solver="qr")

    # -- one step -----------------------------------------------------------------------------------------------------

    def damped_kernel(self, gram: Any) -> Any:
        """A = H (H + mu)^-1 of a Gram matrix, (N, N)."""
        return np.linalg.solve(gram + self.mu * self.numbers(np.eye(len(gram))), gram)

    def damped_part(self, gram: Any) -> Any:
        """1 - eta A of a Gram matrix, (N, N)."""
        return self.numbers(np.eye(len(gram))) - self.eta * self.damped_kernel(gram)

    @property
    def damped_step(self) -> Any:
        """(1 - eta A(k)) r(k), (K, N)."""
        grams, residuals = self.trajectory.grams[:-1], self.trajectory.residuals[:-1]
        found = [self.damped_part(h) @ r for h, r in zip(grams, residuals, strict=True)]
        return self.numbers(np.array(found).reshape(residuals.shape))

    @property
    def solve_error(self) -> Any:
        """Rounding of the steps up to k, (K+1,): of N x N systems of condition 1 + ||H||/mu, and of the residuals."""
        return 1024 * _ULP * self._condition * self.residuals[0] * (1 + self.k) + 8 * self.residuals_error.max()

    @property
    def _condition(self) -> float:
        """Of H + mu at the start, at most."""
        return 1 + float(np.trace(self.plain.trajectory.grams[0])) / self.instance.parameters["mu"]

    # -- many steps ---------------------------------------------------------------------------------------------------

    @property
    def way(self) -> Any:
        """Sum of the lengths of the first k steps, k = 1, ..., K."""
        return np.cumsum(self.trajectory.lengths)

    @property
    def paid(self) -> Any:
        """What k steps take off the residual, ||r(0)||^2 - ||r(k)||^2 + 2 sum_j ||r(j+1)|| ||E(j)||, k = 1, ..., K."""
        r = self.residuals
        return r[0] ** 2 - r[1:] ** 2 + 2 * np.cumsum(r[1:] * self.remainder)

    def _projector(self) -> Any:
        """On the eigenvectors of H(0) with eigenvalues from mu on, (N, N)."""
        gram = self.trajectory.grams[0]
        if self.is_exact:
            return self.numbers(spectral_projector(raw_array(gram), self.mu.arb))
        values, vectors = np.linalg.eigh(gram)
        kept = vectors[:, values >= self.mu]
        return kept @ kept.T

    def modes(self, *, above: bool) -> Any:
        """||P r(k)||, (K+1,), P on the eigenvectors of H(0) with eigenvalues from mu on, or on the others."""
        residuals = self.trajectory.residuals
        kept = residuals @ self._projector()
        return np.linalg.norm(kept if above else residuals - kept, axis=1)


class DampedPathRun(DampedRun):
    """The same with the Jacobian seen along the way, for networks of which J fits in memory."""

    def measures(self) -> list[Measure]:
        """Every step, and how far J is from its start."""
        return [Steps(), JacobianPath()]

    @property
    def kernel_change(self) -> Any:
        """||A(k) - A(0)||, k = 1, ..., K."""
        first, *others = (self.damped_kernel(gram) for gram in self.trajectory.grams)
        return self.numbers(np.array([np.linalg.norm(a - first, 2) for a in others]))

    @property
    def kernel_change_error(self) -> Any:
        """Bound of its rounding error: of two N x N systems of condition 1 + ||H||/mu."""
        return 64 * self.samples.total * _ULP * self._condition

    @property
    def jacobian_pushes(self) -> Any:
        """eta ||J(k) - J(0)||/sqrt(mu) ||r(k)||, k = 0, ..., K-1."""
        return self.eta * self.trajectory.jacobian_change[:-1] / np.sqrt(self.mu) * self.residual

    def carried(self, pushes: Any) -> Any:
        """sum_{j<k} (1 - eta/2)^(k-1-j) pushes(j), (K+1,): what reaches modes that fall by 1 - eta/2 a step."""
        found = [0 * self.residuals[0]]
        for push in pushes:
            found.append((1 - self.eta / 2) * found[-1] + push)
        return self.numbers(np.array(found))
