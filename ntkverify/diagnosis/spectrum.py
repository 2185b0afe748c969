"""The spectrum of a kernel, and what gradient descent and natural gradient descent make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ntkverify.arrays import Array
from ntkverify.training.least_norm import CHOLESKY_LIMIT

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, repr=False)
class Spectrum:
    """Eigenvalues of a Gram matrix H of residuals, largest first.

    Parameters
    ----------
    name : str
        Which matrix.
    eigenvalues : array (N,)
        Falling.
    vectors : array (N, N)
        Eigenvectors as columns, in the same order.
    error : float
        How far an eigenvalue may be off.
    """

    name: str
    eigenvalues: Array
    vectors: Array
    error: float

    @classmethod
    def of(cls, name: str, matrix: Array, error: float = 0.0) -> Spectrum:
        """The spectrum of a symmetric matrix whose entries are off by `error` in the Frobenius norm."""
        values, vectors = np.linalg.eigh(matrix)
        # backward error of the eigensolver, and some ulps of sqrt(H_ii H_jj) an entry
        rounding = EPS * (len(matrix) * float(values[-1]) + 16 * float(np.trace(matrix)))
        return cls(name, values[::-1].copy(), vectors[:, ::-1].copy(), error + rounding)

    @property
    def norm(self) -> float:
        """Largest eigenvalue."""
        return float(self.eigenvalues[0])

    @property
    def least(self) -> float:
        """Least eigenvalue."""
        return float(self.eigenvalues[-1])

    @property
    def is_singular(self) -> bool:
        """Whether the least eigenvalue can't be told from zero."""
        return self.least <= self.error

    @property
    def condition(self) -> float:
        """Largest over least; infinite where the least can't be told from zero."""
        return math.inf if self.is_singular else self.norm / self.least

    @property
    def stable_step(self) -> float:
        """2/||H||: below it the linearised residual r(k+1) = (I - eta H) r(k) falls along every eigenvector."""
        return 2 / self.norm

    def is_stable(self, step: float) -> bool:
        """Whether no eigenvector's linearised residual grows with this step."""
        return step <= self.stable_step

    def left(self, step: float, steps: int) -> Array:
        """|1 - eta lambda_i|^K: what K linearised steps leave of the residual along each eigenvector, (N,)."""
        with np.errstate(over="ignore"):
            kept: Array = np.abs(1 - step * self.eigenvalues) ** steps
        return kept

    def learned(self, step: float, steps: int, *, to: float = 0.01) -> int:
        """Modes along which K linearised steps leave at most the share `to` of the residual."""
        return int((self.left(step, steps) <= to).sum())

    def steps_until(self, step: float, *, to: float = 0.01) -> Array:
        """Steps until the share `to` is left along each eigenvector, (N,); infinite where it is never."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.ceil(math.log(to) / np.log(np.abs(1 - step * self.eigenvalues)))
        return np.where((found > 0) & (self.eigenvalues > self.error), found, np.where(found == 0, 1.0, np.inf))

    def __repr__(self) -> str:
        return (
            f"<spectrum of {self.name}: {len(self.eigenvalues)} eigenvalues from {self.least:.3g} to {self.norm:.3g}, "
            f"condition number {self.condition:.3g}>"
        )


@dataclass(frozen=True)
class NaturalGradient:
    """Whether J d = r, the system of a natural gradient step, can be solved in float64.

    Parameters
    ----------
    condition : float
        cond(J), the root of cond(H(0)); infinite without full rank to rounding.
    columns, rows : int
        Weights and residuals.
    """

    condition: float
    columns: int
    rows: int

    @property
    def is_solvable(self) -> bool:
        """Whether J has full row rank, to rounding."""
        return self.rows <= self.columns and math.isfinite(self.condition)

    @property
    def is_well_conditioned(self) -> bool:
        """Whether even the normal equations, which square the condition number, keep half of the digits."""
        return self.is_solvable and self.condition**2 <= CHOLESKY_LIMIT

    @property
    def words(self) -> str:
        """One sentence."""
        if self.rows > self.columns:
            return f"impossible: {self.rows} residuals and only {self.columns} weights; widen the network"
        if not self.is_solvable:
            return "ill-posed: J has not full rank to rounding; use damping (Levenberg-Marquardt) or drop close points"
        if self.is_well_conditioned:
            return f"well conditioned: cond(J) = {self.condition:.2g}, by Cholesky of J J^T"
        by_qr, by_cholesky = (max(0, math.floor(-math.log10(self.condition**p * EPS))) for p in (1, 2))
        return (
            f"ill-conditioned: cond(J) = {self.condition:.2g}; about {by_qr} digits of a step are right by QR of J^T, "
            f"{by_cholesky} by Cholesky of J J^T"
        )
