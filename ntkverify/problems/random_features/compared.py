"""Derivatives and differences side by side: spectra, truncated entropies, residual losses and the speed of training."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.measures.entropy import (
    DEFINITIONS,
    above,
    reached,
    rounding_threshold,
    saturated,
    truncated_residuals,
)
from ntkverify.problems.random_features.collocation import CollocationRun

#: by name, how the number of singular values that count is found; see `ComparedRun.cutoffs`
RULES = ("all", "common", "noise-aware", "saturated", "reached")


class ComparedRun(CollocationRun):
    """The spectra of A_AD and A_FD as an arithmetic computes them, their entropies, and what they do for training.

    Pairs have the number of A_AD first. All of it is about the matrices as computed, in float64 by default.

    Parameters
    ----------
    dtype : numpy dtype or "exact"
        The arithmetic: a floating type, or enclosures, in which singular values are certified.
    """

    def __init__(self, *args: Any, dtype: Any = np.float64, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dtype = dtype

    @functools.cached_property
    def matrices(self) -> tuple[Array, Array]:
        """A_AD and A_FD, (N, m p); in float64 where singular values alone are exact."""
        kind = np.float64 if self.dtype == "exact" else self.dtype
        return self.rounded_matrix(kind), self.differences.rounded_matrix(kind)

    @functools.cached_property
    def spectra(self) -> tuple[Any, Any]:
        """Their singular values, descending."""
        if self.dtype == "exact":
            return self.singular, self.differences.singular
        first, other = (np.linalg.svd(a, compute_uv=False).astype(np.float64) for a in self.matrices)
        return first, other

    @property
    def threshold(self) -> float:
        """max(N, m p) times the arithmetic's machine epsilon, float64's for exact values."""
        kind = np.float64 if self.dtype == "exact" else self.dtype
        rows, columns = self.matrices[0].shape
        return rounding_threshold(rows, columns, kind)

    @property
    def noise(self) -> float:
        """Size of the rounding of A_FD, S_p u sqrt(N m)/h^2p: singular values below are noise."""
        parameters, (rows, columns) = self.instance.parameters, self.matrices[0].shape
        unit = 0.0 if self.dtype == "exact" else float(np.finfo(self.dtype).eps) / 2
        p = int(parameters["p"])
        return float(4**p * unit * np.sqrt(rows * columns) / parameters["h"] ** (2 * p))

    def cutoffs(self, rule: str = "common", *, relative: float | None = None) -> tuple[int, int]:
        """How many singular values of A_AD and of A_FD count, at least one.

        Parameters
        ----------
        rule : {"all", "common", "noise-aware", "saturated", "reached"}
            All; C1 with one threshold relative to sigma_1 for both; the same but no lower than the rounding of A_FD for
            A_FD; C2, where the truncated residual is within 10% of its least; C3, the modes that 1000 steps of gradient
            descent with eta = 1/sigma_1^2 have fitted.
        relative : float, optional
            The threshold of C1; `threshold` by default.

        Raises
        ------
        NtkVerifyError
            For another rule.
        """
        if rule not in RULES:
            raise NtkVerifyError(f"there is no rule {rule!r} for the cut-off; choose one of {', '.join(RULES)}.")
        tau = self.threshold if relative is None else relative
        found = []
        for place, (values, matrix) in enumerate(zip(self.spectra, self.matrices, strict=True)):
            if rule == "all":
                count = len(values)
            elif rule == "saturated":
                count = saturated(truncated_residuals(matrix, self.right.astype(matrix.dtype)), excess=0.1)
            elif rule == "reached":
                count = reached(values, eta=1 / values[0] ** 2, time=1000)
            else:
                floor = self.noise if rule == "noise-aware" and place else 0.0
                count = above(values, max(tau * values[0], floor))
            found.append(max(count, 1))
        return found[0], found[1]

    def entropies(self, name: str, rule: str = "common", *, relative: float | None = None, power: int = 1) -> Array:
        """Truncated entropy of A_AD and of A_FD; the name is one of `DEFINITIONS`."""
        cutoffs = self.cutoffs(rule, relative=relative)
        pairs = zip(self.spectra, cutoffs, strict=True)
        return np.array([DEFINITIONS[name].entropy(s, cut, power=power) for s, cut in pairs])

    @property
    def right(self) -> Array:
        """The instance's right-hand side."""
        return np.concatenate([b.targets for b in self.samples.blocks])

    @functools.cached_property
    def residual_losses(self) -> Array:
        """||A a - f|| of least squares in the arithmetic, singular values below its threshold left out."""
        found = []
        for matrix in self.matrices:
            solution = np.linalg.lstsq(matrix, self.right.astype(matrix.dtype))[0]
            found.append(np.linalg.norm(matrix.astype(np.float64) @ solution.astype(np.float64) - self.right))
        return np.array(found)

    def losses_after(self, steps: int) -> Array:
        """Mean loss, as a share of the first, of an isotropic residual after these steps with eta = 1/sigma_1^2."""
        return np.array([((1 - (s / s[0]) ** 2) ** (2 * steps)).mean() for s in self.spectra])

    def fitted_losses(self, steps: Any) -> Array:
        """The same for the instance's right-hand side and coefficients 0, (2, len(steps)): training curves."""
        curves = []
        for matrix in self.matrices:
            left, singular, _ = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
            inside = (left.T @ self.right) ** 2
            outside = max(float(self.right @ self.right - inside.sum()), 0.0)
            rates = (1 - (singular / singular[0]) ** 2)[None, :] ** (2 * np.asarray(steps)[:, None])
            curves.append((rates @ inside + outside) / (self.right @ self.right))
        return np.array(curves)

    @property
    def distance(self) -> Any:
        """T: half the distance of the normalised spectra, all values retained."""
        first, other = (s / s.sum() for s in self.spectra)
        return np.abs(first - other).sum() / 2


def compared_run(*, trainable: Sequence[str] = ("outer",), dtype: Any = np.float64) -> Callable[..., ComparedRun]:
    """What ``run=`` of a family of instances takes: a `ComparedRun` with these options."""
    return functools.partial(ComparedRun, trainable=tuple(trainable), dtype=dtype)
