"""The samples of a problem, validated once, and what every executor derives from them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import real_array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.network.neuron import Block, Neuron


@dataclass(frozen=True)
class BlockSamples:
    """The samples of one block.

    Parameters
    ----------
    block : Block
        The expressions that the samples share.
    points : array, shape (n_b, k)
        Coordinates, one sample per row.
    targets : array, shape (n_b,)
        What R_b should equal at each sample.
    scale : scalar
        Factor of the residual, typically 1 or ``n_b**-1/2``.
    rows : slice
        Where the block's residuals lie among all N residuals.
    """

    block: Block
    points: Any
    targets: Any
    scale: Any
    rows: slice

    @property
    def size(self) -> int:
        """Number of samples n_b."""
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True)
class Samples:
    """All samples of a problem, in the order of the neuron's blocks."""

    neuron: Neuron
    blocks: tuple[BlockSamples, ...]

    @property
    def total(self) -> int:
        """Number of residuals N."""
        return int(self.blocks[-1].rows.stop)

    @property
    def targets(self) -> Any:
        """All targets, shape (N,)."""
        return np.concatenate([b.targets for b in self.blocks])

    @property
    def is_linear(self) -> bool:
        """Whether every residual is a plain sum over neurons."""
        return all(b.block.is_linear for b in self.blocks)


@dataclass(frozen=True)
class Forward:
    """What one forward pass leaves behind: enough to form the gradient at the same weights.

    Parameters
    ----------
    sums : tuple of arrays
        Per block, the sums Phi_k over neurons (with the factor m**-1/2), shape (K_b, n_b).
    residuals : array, shape (N,)
        ``scale_b * (R_b(Phi; x) - target)`` for every sample.
    """

    sums: tuple[Any, ...]
    residuals: Any
    #: what the executor goes on with if it is asked for more at the same weights; a copy of the pass has nothing
    kept: Any = field(default=None, init=False, repr=False, compare=False)

    def keep(self, what: Any) -> None:
        """Keep this for the executor, as long as the pass lives, or nothing any more."""
        object.__setattr__(self, "kept", what)

    def __getstate__(self) -> dict[str, Any]:
        # on a disk and in other processes the weights are somebody else's
        return {**self.__dict__, "kept": None}

    @property
    def loss(self) -> Any:
        """Half the squared norm of the residuals."""
        return self.residuals @ self.residuals / 2


def collect_samples(
    neuron: Neuron,
    points: Mapping[str, Any],
    targets: Mapping[str, Any],
    scale: Mapping[str, Any] | None = None,
    *,
    dtype: Any = np.float64,
) -> Samples:
    """Validate points, targets and scales against the neuron's blocks.

    Parameters
    ----------
    neuron : Neuron
        The problem's expressions.
    points, targets : mapping from block name
        Arrays of shape (n_b, len(neuron.coordinates)) and (n_b,).
    scale : mapping from block name, optional
        Factor of each block's residuals; 1 where absent.
    dtype : dtype
        ``float64``, or ``object`` for exact or ball entries.

    Raises
    ------
    NtkVerifyError
        If a block is missing or unknown, a shape is wrong, or an entry is complex or not finite.
    """
    names = [b.name for b in neuron.blocks]
    for label, mapping in (("points", points), ("targets", targets), ("scale", scale or {})):
        unknown = sorted(set(mapping) - set(names))
        missing = [] if label == "scale" else [name for name in names if name not in mapping]
        if unknown or missing:
            raise NtkVerifyError(
                f"{label} must name exactly the blocks {names}: missing {missing}, unknown {unknown}; rename the keys"
            )
    blocks, start = [], 0
    for block in neuron.blocks:
        for label, values in (("points", points[block.name]), ("targets", targets[block.name])):
            if _is_complex(values):
                raise NtkVerifyError(
                    f"{label}[{block.name!r}] are complex; make two real problems of it, or two blocks, one of real "
                    "parts and one of imaginary ones"
                )
        x, y = (
            np.ascontiguousarray(
                np.asarray(values, dtype=dtype)
                if dtype is object
                else real_array(f"{label}[{block.name!r}] are", values, remedy)
            )
            for label, values, remedy in (
                ("points", points[block.name], "give one row a sample"),
                ("targets", targets[block.name], "give one number a sample"),
            )
        )
        k = len(neuron.coordinates)
        if x.ndim != 2 or x.shape[1] != k or x.shape[0] == 0:
            raise NtkVerifyError(f"points[{block.name!r}] must have shape (n, {k}) with n >= 1, not {x.shape}")
        if y.shape != (x.shape[0],):
            raise NtkVerifyError(f"targets[{block.name!r}] must have shape ({x.shape[0]},), not {y.shape}")
        factor = (scale or {}).get(block.name, 1)
        if dtype is not object:
            factor = float(factor)
            if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(factor)):
                raise NtkVerifyError(
                    f"points, targets and scale of block {block.name!r} must be finite; remove the NaNs"
                )
        block.check_points(neuron.coordinates, x)
        blocks.append(BlockSamples(block, x, y, factor, slice(start, start + x.shape[0])))
        start += x.shape[0]
    return Samples(neuron, tuple(blocks))


def _is_complex(values: Any) -> bool:
    try:
        given = np.asarray(values)
    except ValueError:  # rows of different lengths, which have a sentence of their own
        return False
    return given.dtype.kind == "c" or (given.dtype == object and any(isinstance(v, complex) for v in given.flat))


@functools.lru_cache(maxsize=1024)  # asked for at every step
def residual_slopes(block: Block) -> tuple[sympy.Expr, ...]:
    """Derivatives of the pointwise residual R_b in the sums Phi_1..Phi_K."""
    return _slopes(block.residual, tuple(block.sums))


@functools.lru_cache(maxsize=256)
def _slopes(residual: sympy.Expr, sums: tuple[sympy.Symbol, ...]) -> tuple[sympy.Expr, ...]:
    return tuple(sympy.diff(residual, s) for s in sums)


def check_weights(neuron: Neuron, weights: Any, frozen: Any) -> tuple[Any, Any]:
    """Check shapes of the arrays of weights; a neuron without frozen weights may pass None for them.

    Returns
    -------
    weights, frozen : arrays, shape (m, p) and (m, q)

    Raises
    ------
    NtkVerifyError
        If a shape does not fit the neuron.
    """
    p, q = len(neuron.weights), len(neuron.frozen)
    if weights.ndim != 2 or weights.shape[1] != p or weights.shape[0] == 0:
        raise NtkVerifyError(f"weights must have shape (m, {p}) with m >= 1, not {tuple(weights.shape)}")
    if frozen is None:
        frozen = np.empty((weights.shape[0], 0), dtype=np.float64)
    if frozen.ndim != 2 or tuple(frozen.shape) != (weights.shape[0], q):
        raise NtkVerifyError(f"frozen must have shape ({weights.shape[0]}, {q}), not {tuple(frozen.shape)}")
    return weights, frozen
