"""Grids for differences, and instances of the problems of `collocation` drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ntkverify.arrays import Array
from ntkverify.instances import Draw, generator
from ntkverify.theorem.instance import Instance


def line_grid(count: int, length: float = 1.0) -> Array:
    """`count` interior points (count, 1) of (0, length), equally spaced."""
    return (np.arange(1, count + 1) / (count + 1) * length)[:, None]


def square_grid(side: int) -> Array:
    """The interior points (side^2, 2) of a grid on the unit square."""
    axis = line_grid(side)[:, 0]
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)


def square_boundary(side: int) -> Array:
    """The points (4 side, 2) of that grid's lines on the four edges."""
    axis = line_grid(side)[:, 0]
    edges = [np.stack(pair, -1) for end in (0.0, 1.0) for pair in ((axis, axis * 0 + end), (axis * 0 + end, axis))]
    return np.concatenate(edges)


def wave_source(points: Array, p: int, coefficients: Array) -> Array:
    """Laplacian^p of sum_k c_k prod_i sin(k pi x_i), which vanishes on the unit box's boundary, at points (N, d)."""
    frequencies = np.pi * np.arange(1, len(coefficients) + 1)
    waves = np.prod(np.sin(points[:, :, None] * frequencies), axis=1)
    return np.asarray(waves @ (coefficients * (-points.shape[1] * frequencies**2) ** p))


def _one_of(draw: Draw, values: Sequence[Any]) -> Any:
    return draw(st.sampled_from(list(values)))


def drawn_problem(
    draw: Draw,
    *,
    sizes: Sequence[int],
    radii: Sequence[float],
    activations: Sequence[int] = (0, 1, 2),
    orders: Sequence[int] = (1, 2),
    laws: Sequence[int] = (0, 1),
    spacings: Sequence[float] = (),
    dimension: int = 1,
    boundary: bool = False,
    smooth: bool = False,
    width: int = 0,
    eta: float = 0.0,
    steps: int = 0,
    **parameters: float,
) -> Instance:
    """An instance for a `CollocationRun`: what is to vary is drawn, one of each list.

    Parameters
    ----------
    sizes : sequence of int
        Interior points, along an axis.
    radii : sequence of float
        Radius or standard deviation of weights and biases.
    activations, orders, laws : sequence of int
        Places in `ACTIVATIONS`, halves of the operator's order, places in `LAWS`.
    spacings : sequence of float, optional
        Of the stencil; that of the grid by default.
    dimension : {1, 2}
        Unit interval or unit square.
    boundary : bool
        Whether boundary values are residuals too.
    smooth : bool
        Whether the right-hand side is that of a sum of three waves with normal coefficients; normal itself if not.
    width : int
        Number of features; as many as there are interior points if 0.
    eta, steps
        Step and number of steps of gradient descent.
    **parameters
        Further parameters of the theorem, such as ``delta``.
    """

    size = _one_of(draw, sizes)
    interior = line_grid(size) if dimension == 1 else square_grid(size)
    normal = generator(draw).standard_normal(3 if smooth else len(interior))
    p = _one_of(draw, orders)
    data: dict[str, Array] = {"interior": interior, "source": wave_source(interior, p, normal) if smooth else normal}
    if boundary:
        data["boundary"] = np.array([[0.0], [1.0]]) if dimension == 1 else square_boundary(size)
    drawn = {"activation": _one_of(draw, activations), "p": p, "law": _one_of(draw, laws), "R": _one_of(draw, radii)}
    drawn["h"] = _one_of(draw, spacings) if spacings else 1 / (size + 1)
    return Instance(
        data=data,
        parameters={**drawn, **parameters},
        width=width or len(interior),
        step=eta,
        steps=steps,
    )
