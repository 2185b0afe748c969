"""Two-layer ReLU regression trained on one sample a step, with every step that might have been drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ntkverify.measures.one_sample import OneSampleSteps
from ntkverify.measures.steps import Measure
from ntkverify.problems.regression import RegressionRun
from ntkverify.training import StochasticGradient


class SingleSampleRun(RegressionRun):
    """``w(k+1) = w(k) - eta n r_i grad r_i``, the sample i drawn uniformly: r(k+1) = r - eta n r_i H e_i + I_i.

    The samples that are drawn follow from the instance's seed.
    """

    def training(self) -> StochasticGradient:
        """One sample a step."""
        return StochasticGradient(self._step, batch=1, seed=self.instance.seed)

    def measures(self) -> list[Measure]:
        """What is seen of every step, and of the steps that were not drawn."""
        return [*super().measures(), OneSampleSteps(self._step)]

    @property
    def _step(self) -> Any:
        return self.eta.arb if self.is_exact else self.eta

    @property
    def kind(self) -> str:
        """Activation and initialisation, on single samples."""
        return f"{super().kind}, single samples"

    @property
    def drawn_samples(self) -> Any:
        """The sample of every step, (K,)."""
        return self.trajectory.notes["batches"][:, 0]

    @property
    def expected_losses(self) -> Any:
        """E L(k+1) given w(k), the mean over the sample that step k draws, (K,)."""
        return (self.trajectory.branches[:-1] ** 2).sum(axis=(1, 2)) / (2 * self.n)

    @property
    def expected_losses_error(self) -> Any:
        """Bound of its rounding error, (K,): every branch is a forward pass like that of the step taken."""
        errors = self.residuals_error[1:] + self.residuals_error[:-1]
        return np.sqrt(2 * self.n * self.expected_losses) * errors + self.n * errors**2

    @property
    def columns(self) -> Any:
        """max_i ||H(k) e_i||^2, (K+1,)."""
        return (self.trajectory.grams**2).sum(axis=1).max(axis=1)

    @property
    def linear_steps(self) -> Any:
        """-eta n r_i(k) H(k) e_i for every sample i, (K+1, N, N)."""
        return -self.eta * self.n * self.trajectory.residuals[:, :, None] * self.trajectory.grams

    @property
    def push(self) -> Any:
        """The root mean square over the samples of ||I_i(k)||, (K+1,)."""
        pushes = self.trajectory.branches - self.trajectory.residuals[:, None] - self.linear_steps
        return np.sqrt((pushes**2).sum(axis=(1, 2)) / self.n)

    @property
    def relative_push(self) -> Any:
        """`push` over ||r(k)||, (K,); over its rounding error where r(k) is below that."""
        return self.push[:-1] / np.maximum(self.residual, self.residuals_error[:-1])

    @property
    def factors(self) -> Any:
        """(sqrt(factor of H(k)) + rms_i ||I_i(k)||/||r(k)||)^2, what E L(k+1) is at most over L(k), (K,)."""
        linear = 1 - 2 * self.eta * self.eigenvalues[:-1, 0] + self.eta**2 * self.n * self.columns[:-1]
        return (np.sqrt(linear) + self.relative_push) ** 2

    @property
    def growth(self) -> Any:
        """The product of `factors` up to each step, (K+1,)."""
        found = [self.number(1.0)]
        for factor in self.factors:
            found.append(found[-1] * factor)
        return self.numbers(found)
