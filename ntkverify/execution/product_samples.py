"""Samples that are all pairs of an input function and a query, for neurons that are products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.symbolic.network.product import ProductNeuron


@dataclass(frozen=True)
class ProductSamples(Samples):
    """Samples of the unrolled neuron, block by block and within a block function by function, with their factors.

    Parameters
    ----------
    product : ProductNeuron
        The neuron as a product; `neuron` is the unrolled one.
    functions : array, shape (n_1, q)
        Sensor values of the input functions.
    queries : mapping from block name to array, shape (n_b, d)
        Query points.
    """

    product: ProductNeuron
    functions: Any
    queries: Mapping[str, Any]


def refuse_other_pairs(samples: Samples, product: ProductSamples, equal: Callable[[Any, Any], bool]) -> None:
    """Raise if a block's points are not `equal` to those of the product, arrays of one shape."""
    for b, own in zip(samples.blocks, product.blocks, strict=True):
        x, y = b.points, own.points
        if x is not y and (tuple(x.shape) != tuple(y.shape) or not equal(x, y)):
            raise NtkVerifyError(
                f"points[{b.block.name!r}] of a product are all pairs of its functions and queries, which a batch "
                "can't change; make an executor of `product_samples` for each network"
            )


def pairs(functions: Array, queries: Array) -> Array:
    """All pairs of an input function (n_1, q) and a query (n_2, d), function by function, (n_1 n_2, q + d)."""
    return np.hstack([np.repeat(functions, len(queries), axis=0), np.tile(queries, (len(functions), 1))])


def product_samples(
    product: ProductNeuron,
    functions: Any,
    queries: Mapping[str, Any],
    targets: Mapping[str, Any],
    scale: Mapping[str, Any] | None = None,
) -> ProductSamples:
    """Validate and collect the samples of a product.

    Parameters
    ----------
    product : ProductNeuron
    functions : array_like, shape (n_1, q)
        Sensor values, one input function a row.
    queries : mapping from block name to array_like, shape (n_b, d)
        Query points.
    targets : mapping from block name to array_like, shape (n_1, n_b)
        Targets, one input function a row.
    scale : mapping from block name to number, optional
        Factor of a block's residuals; 1 where absent.

    Raises
    ------
    NtkVerifyError
        If shapes do not fit the neuron or a value is not finite.
    """
    inputs = np.asarray(functions, dtype=np.float64)
    points = {name: np.asarray(y, dtype=np.float64) for name, y in queries.items()}
    if inputs.ndim != 2 or inputs.shape[1] != product.sensors or not len(inputs):
        raise NtkVerifyError(f"functions must have shape (n, {product.sensors}) with n >= 1, not {inputs.shape}")
    wanted = {}
    for name, y in points.items():
        z = np.asarray(targets[name], dtype=np.float64)
        if y.ndim != 2 or z.shape != (len(inputs), len(y)):
            raise NtkVerifyError(
                f"targets[{name!r}] must have shape ({len(inputs)}, {len(y)}), a row for each function, not {z.shape}"
            )
        wanted[name] = z.ravel()
    flat = collect_samples(product.unrolled, {n: pairs(inputs, y) for n, y in points.items()}, wanted, scale)
    return ProductSamples(flat.neuron, flat.blocks, product, inputs, points)
