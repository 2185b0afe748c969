"""Hessian of one residual: a p x p block per neuron, plus a part of low rank where the residual is nonlinear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy
from scipy.sparse.linalg import LinearOperator, eigsh

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.samples import check_weights

#: rows up to which eigenvalues come from the whole matrix: Krylov spaces of small or graded ones break down
SMALL = 64


@dataclass(frozen=True)
class ResidualHessian:
    """``blockdiag(blocks) + factors core factors^T``.

    Parameters
    ----------
    blocks : array, shape (m, p, p)
        Each neuron's own second derivatives; different neurons meet only through the sums Phi.
    factors : array, shape (m * p, K)
        Gradients of the sums Phi_1..Phi_K.
    core : array, shape (K, K)
        Second derivatives of the pointwise residual in the sums; zero for a linear problem.
    """

    blocks: Array
    factors: Array
    core: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the whole matrix."""
        return (len(self.factors), len(self.factors))

    def apply(self, vector: Array) -> Array:
        """The matrix times a vector of length m * p."""
        m, p, _ = self.blocks.shape
        own = np.einsum("jab,jb->ja", self.blocks, vector.reshape(m, p)).ravel()
        return np.asarray(own + self.factors @ (self.core @ (self.factors.T @ vector.ravel())))

    def dense(self) -> Array:
        """The whole matrix, for small networks."""
        p = self.blocks.shape[1]
        result = np.asarray(self.factors @ self.core @ self.factors.T)
        for j, block in enumerate(self.blocks):
            result[j * p : (j + 1) * p, j * p : (j + 1) * p] += block
        return result

    def spectral_norm(self, *, tolerance: float = 1e-10) -> float:
        """Largest absolute eigenvalue: exact for block form, by Lanczos to relative `tolerance` otherwise."""
        own = np.abs(np.linalg.eigvalsh(self.blocks)).max()
        if not self.core.any():
            return float(own)
        size = len(self.factors)
        if size <= SMALL:
            return float(np.abs(np.linalg.eigvalsh(self.dense())).max())
        operator = LinearOperator(self.shape, matvec=self.apply, dtype=np.float64)
        # a fixed start keeps runs reproducible; it leans towards the part of low rank
        start = self.factors.sum(axis=1) + np.random.default_rng(0).standard_normal(size) * np.abs(self.factors).max()
        (value,) = eigsh(operator, k=1, which="LM", v0=start, tol=tolerance, return_eigenvectors=False)
        return float(abs(value))


def residual_hessian(executor: Executor, weights: Array, frozen: Array | None, index: int) -> ResidualHessian:
    """Hessian in the trainable weights of one residual, scale included.

    Parameters
    ----------
    executor : Executor
        The problem, on a backend with NumPy arrays ("cpu" or "array").
    weights, frozen : arrays, shape (m, p) and (m, q)
        Weights of the network.
    index : int
        Which of the N residuals.

    Raises
    ------
    NtkVerifyError
        If the index is out of range.
    """
    neuron, samples = executor.neuron, executor.samples
    if not 0 <= index < samples.total:
        raise NtkVerifyError(f"index must lie in 0..{samples.total - 1}, not {index}")
    weights, frozen = check_weights(neuron, weights, frozen)
    m, p = weights.shape
    b = next(b for b in samples.blocks if b.rows.start <= index < b.rows.stop)
    row, name, root = index - b.rows.start, b.block.name, 1 / np.sqrt(np.float64(m))
    at_sample = {s: np.float64(b.points[row, i]) for i, s in enumerate(neuron.coordinates)}
    values = {s: weights[:, i] for i, s in enumerate(neuron.weights)} | at_sample
    values |= {s: frozen[:, i] for i, s in enumerate(neuron.frozen)}
    algebra, count = ArrayAlgebra(np), len(b.block.features)
    gradients = [g for gs in neuron.gradients[name] for g in gs]
    hessians = [h for matrix in neuron.hessians[name] for h in matrix]
    found = evaluate_all([*b.block.features, *gradients, *hessians], values, algebra)
    full = np.stack([np.broadcast_to(v, (m,)) for v in found]) * root
    features = full[:count]
    factors = full[count : count * (1 + p)].reshape(count, p, m).transpose(2, 1, 0).reshape(m * p, count)
    second = full[count * (1 + p) :].reshape(count, p, p, m)
    sums = {s: features[k].sum() for k, s in enumerate(b.block.sums)} | at_sample
    slopes = [sympy.diff(b.block.residual, s) for s in b.block.sums]
    curvatures = [sympy.diff(b.block.residual, s, t) for s in b.block.sums for t in b.block.sums]
    scalars = np.array([float(v) for v in evaluate_all([*slopes, *curvatures], sums, algebra)]) * b.scale
    blocks = np.einsum("k,kabj->jab", scalars[:count], second)
    return ResidualHessian(blocks, factors, scalars[count:].reshape(count, count))
