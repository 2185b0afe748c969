"""What a run says of the function that is learnt: at the inputs mode by mode, and at test points.

`ntkverify.lemmas.relu.learnt` bounds it; its last few are what the bounds must tell from the truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ntkverify.lemmas.rounding import ULP


def start(run: Any) -> Any:
    """H(0), (n, n)."""
    return run.trajectory.grams[0]


def departure(run: Any, gram: Any) -> Any:
    """||r(k) - (I - eta G)^k r(0)||, (K+1,)."""
    return rows(run.trajectory.residuals - run.linear_residuals(gram))


def spectral(run: Any) -> Any:
    """| ||r(k)|| - sqrt(sum_i (1 - eta lambda_i)^(2k) (v_i . r(0))^2) |, eigenvalues of H^inf, (K+1,)."""
    return np.abs(run.residuals - rows(run.linear_residuals(run.limit_gram)))


def one_rate(run: Any) -> Any:
    """||r(k) - (1 - eta lambda_0)^k r(0)||, as if every mode were the slowest, (K+1,)."""
    r, left = run.trajectory.residuals, (1 - run.eta * run.lambda_0) ** run.k
    return rows(r - left[:, None] * r[0])


def largest_push(run: Any, sizes: Any) -> Any:
    """The largest of `sizes` (K,) over eta ||r||."""
    return (sizes / (run.eta * run.residual)).max()


def limit_cross(run: Any) -> Any:
    """K_x^inf, (q, n)."""
    count = len(run.targets)
    return run.limit_at_all_points[count:, :count]


def test_diagonal(run: Any) -> Any:
    """K_xx^inf, (q,)."""
    count = len(run.targets)
    return np.diagonal(run.limit_at_all_points)[count:]


def kernel_regression(run: Any, kernel: Any) -> Any:
    """Regression of the targets at the test points with a kernel (n + q, n + q), (q,)."""
    count = len(run.targets)
    return kernel[count:, :count] @ np.linalg.solve(kernel[:count, :count], run.targets)


def limit_regression(run: Any) -> Any:
    """K_x^inf (H^inf)^(-1) y, (q,)."""
    return kernel_regression(run, run.limit_at_all_points)


def covariance_regression(run: Any) -> Any:
    """The same with another kernel, the covariance of the outputs at the start where neurons are independent, (q,)."""
    return kernel_regression(run, run.covariance_at_all_points)


def linear_error(run: Any) -> Any:
    """Rounding of the residuals and of the powers of a contraction, (K+1,)."""
    return run.residuals_error + 64 * ULP * len(run.targets) * run.residual_0 * (1 + run.k)


def field_error(run: Any) -> Any:
    """Rounding of the field, and of sums and solves of a system of its condition, (K+1,)."""
    ends = run.plain.eigenvalues[0]
    size = ULP * len(run.targets) * (1 + ends[-1] / ends[0]) * run.weight_0 * run.residual_0
    return run.trajectory.field_error.max(axis=1) + run.trajectory.field_error[0].max() + 64 * size * (1 + run.k)


def rows(matrix: Any) -> Any:
    """Norms of the rows."""
    return np.linalg.norm(matrix, axis=-1)


def frobenius(matrices: Any) -> Any:
    """Norms of matrices (k, n, n)."""
    return np.linalg.norm(matrices, axis=(1, 2))


# -- at test points, the largest over them ------------------------------------------------------------------------


def infinite(run: Any) -> Any:
    """What the infinitely wide network says, K_x^inf (H^inf)^(-1) (I - (I - eta H^inf)^k) y, (K+1, q)."""
    return run.linear_field(run.limit_gram, limit_cross(run))


def from_infinite(run: Any) -> Any:
    """How far the network is from that, (K+1,)."""
    return np.abs(run.field - infinite(run)).max(axis=1)


def from_infinite_late(run: Any) -> Any:
    """The same a step later, (K+1,); of the last k nothing is said."""
    late = np.concatenate([infinite(run)[1:], run.field[-1:]])
    return np.abs(run.field - late).max(axis=1)


def zero_from_infinite(run: Any) -> Any:
    """How far the zero function is from it, (K+1,)."""
    return np.abs(infinite(run)).max(axis=1)


def from_regression(run: Any) -> Any:
    """How far the network is from kernel regression with H^inf, (K+1,)."""
    return np.abs(run.field - limit_regression(run)).max(axis=1)


def from_covariance(run: Any) -> Any:
    """How far it is from regression with the covariance of the initial outputs, (K+1,)."""
    return np.abs(run.field - covariance_regression(run)).max(axis=1)
