"""How many singular values count, and the entropy of those that do, in every definition that is a candidate.

Where it is open which definition a source means, a claim takes the definition as an argument: a rule for the cut-off
(`above`, `saturated`, `reached`) and a `Definition` of the entropy. Spectra come in descending order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError


def _spectrum(singular: Any) -> Any:
    values = np.asarray(singular) if not isinstance(singular, np.ndarray) else singular
    if values.ndim != 1 or len(values) == 0:
        raise NtkVerifyError(f"a spectrum is a list of at least one singular value, not an array {values.shape}.")
    if values.dtype != object and not (np.isfinite(values).all() and (values >= 0).all()):
        raise NtkVerifyError("singular values must be finite and not negative; one is not.")
    return values


def above(singular: Any, level: Any) -> int:
    """C1: how many singular values exceed an absolute level; tau * sigma_1 for a relative threshold tau."""
    return sum(bool(s > level) for s in _spectrum(singular))


def rounding_threshold(rows: int, columns: int, dtype: Any = np.float64) -> float:
    """The relative threshold max(rows, columns) * eps below which an arithmetic's singular values are rounding."""
    return float(max(rows, columns) * np.finfo(dtype).eps)


def saturated(residuals: Any, *, excess: float) -> int:
    """C2: the least n whose truncated-SVD residual ||A a^(n) - f|| is within a factor 1 + excess of the least one.

    Parameters
    ----------
    residuals : array (n + 1,)
        Norms for n = 0, 1, ... singular values.
    """
    values = np.asarray(residuals, dtype=np.float64)
    return int(np.argmax(values <= (1 + excess) * np.nanmin(values)))


def reached(singular: Any, *, eta: Any, time: Any) -> int:
    """C3: how many modes gradient descent has fitted after `time` steps of length eta, eta sigma^2 time >= 1."""
    return sum(bool(eta * s**2 * time >= 1) for s in _spectrum(singular))


def truncated_residuals(matrix: Array, right: Array) -> Array:
    """||A a^(n) - f|| for n = 0 ... min(A.shape), a^(n) the truncated-SVD solution, all computed in A's arithmetic."""
    left, singular, rows = np.linalg.svd(matrix, full_matrices=False)
    weights = left.T @ right
    steps = np.divide(weights, singular, out=np.zeros_like(weights), where=singular > 0)
    solutions = np.cumsum(steps[:, None] * rows, axis=0)
    residuals = np.concatenate([right[None], right - solutions @ matrix.T])
    return np.asarray(np.linalg.norm(residuals, axis=1))


def shannon(weights: Any) -> Any:
    """- sum p ln p with 0 ln 0 = 0; floats or balls."""
    kept = _spectrum(weights)
    kept = kept[[bool(w > 0) for w in kept]]
    return -(kept * np.log(kept)).sum()


def _parts(singular: Any, cutoff: int, power: int, over: str) -> Any:
    values = _spectrum(singular)
    if not 1 <= cutoff <= len(values):
        raise NtkVerifyError(f"the cut-off must lie between 1 and {len(values)}, the number of values, not {cutoff}.")
    if not bool(values[0] > 0):
        raise NtkVerifyError("a spectrum of zeros alone has no entropy.")
    scaled = (values / values[0]) ** power  # powers of what is tiny underflow alone, not all together
    total = scaled[:cutoff].sum() if over == "retained" else scaled.sum()
    return scaled[:cutoff] / total


def h1(singular: Any, cutoff: int, *, power: int = 1) -> Any:
    """H1: entropy of p_k = sigma_k^power / sum over the retained values; the logarithm of their effective rank."""
    return shannon(_parts(singular, cutoff, power, "retained"))


def h2(singular: Any, cutoff: int, *, power: int = 1) -> Any:
    """H2: the same terms, p_k normalised by the sum over all values."""
    return shannon(_parts(singular, cutoff, power, "all"))


def _normalised(entropy: Any, count: int) -> Any:
    # a single value has entropy 0 and no scale to measure it by
    return entropy * 0 if count == 1 else entropy / np.log(entropy * 0 + count)


def h3(singular: Any, cutoff: int, *, power: int = 1) -> Any:
    """H3: H1 / ln(cut-off), how flat the retained spectrum is; 0 for a single value."""
    return _normalised(h1(singular, cutoff, power=power), cutoff)


def h4(singular: Any, cutoff: int, *, power: int = 1) -> Any:
    """H4: H1 / ln(number of all values)."""
    return _normalised(h1(singular, cutoff, power=power), len(_spectrum(singular)))


@dataclass(frozen=True)
class Definition:
    """One candidate of a truncated entropy.

    Parameters
    ----------
    name : str
        H1 to H4.
    entropy : callable
        Of a spectrum and the number of values retained.
    """

    name: str
    entropy: Callable[..., Any]


DEFINITIONS = {
    d.name: d for d in (Definition("H1", h1), Definition("H2", h2), Definition("H3", h3), Definition("H4", h4))
}
