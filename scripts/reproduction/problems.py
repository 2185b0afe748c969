"""The five linear PDEs of the reproduction, with the settings that the paper leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.symbolic.network.operators import Operator, coordinates, unknown

PI = sympy.pi
METHODS = ("NGD", "GD", "Adam", "L-BFGS")


@dataclass(frozen=True)
class Problem:
    """A PDE with a known solution on the unit box, written in X = 2x - 1, so that inputs lie in (-1, 1).

    Parameters
    ----------
    title : str
    dimension : int
    operator : callable
        The left-hand side for an unknown and the coordinates X (derivatives in x are twice those in X).
    solution : callable
        u at x.
    interior : int
        Interior points: along each axis (Chebyshev) in up to two dimensions, in all (uniform) above.
    side : int
        Points on each face (two dimensions), in all above.
    faces : tuple of (axis, end)
        Where values are given.
    width : int
    spread : (float, float)
        Standard deviations of the initial weights and biases.
    eta : float
        Step of natural gradient descent.
    steps : int
        Its number of steps.
    paper : dict
        The paper's numbers by method.
    longest : int
        Most steps of gradient descent and Adam, twice those of L-BFGS.
    """

    title: str
    dimension: int
    operator: Callable[..., sympy.Expr]
    solution: Callable[..., sympy.Expr]
    interior: int
    side: int
    faces: tuple[tuple[int, int], ...]
    width: int
    spread: tuple[float, float]
    eta: float
    steps: int
    paper: dict[str, float]
    longest: int = 10000

    def points(self, seed: int) -> dict[str, Any]:
        """Interior and boundary points in X."""
        rng = np.random.default_rng(seed)
        if self.dimension > 2:
            inside = rng.uniform(-1, 1, (self.interior, self.dimension))
            boundary = rng.uniform(-1, 1, (self.side, self.dimension))
            boundary[np.arange(self.side), np.arange(self.side) % self.dimension] = rng.choice([-1.0, 1.0], self.side)
            return {"interior": inside, "boundary": boundary}
        axis = chebyshev(self.interior)
        inside = np.stack(np.meshgrid(*[axis] * self.dimension, indexing="ij"), -1).reshape(-1, self.dimension)
        if self.dimension == 1:
            return {"interior": inside, "boundary": np.array([[-1.0], [1.0]])}
        edge = chebyshev(self.side)
        parts = []
        for direction, end in self.faces:
            part = np.empty((self.side, 2))
            part[:, direction], part[:, 1 - direction] = end, edge
            parts.append(part)
        return {"interior": inside, "boundary": np.concatenate(parts)}

    def pieces(self) -> tuple[Operator, Callable[..., Any], Callable[..., Any]]:
        """The operator, the source and the solution, the latter two as functions of X."""
        xs = coordinates(" ".join(f"x_{i}" for i in range(self.dimension)))
        u = unknown("u", xs)
        operator = Operator.from_expression(self.operator(u, xs), [u], xs)
        exact = self.solution(*((x + 1) / 2 for x in xs))
        return operator, sympy.lambdify(xs, operator.apply(exact)), sympy.lambdify(xs, exact)

    @property
    def settings(self) -> str:
        """What the paper does not say, in a line."""
        weights, biases = self.spread
        return (
            f"{self.title}: width {self.width}, weights N(0, {weights:g}^2), biases N(0, {biases:g}^2), NGD step "
            f"{self.eta:g} for {self.steps} steps"
        )


def chebyshev(count: int) -> Any:
    """Zeros of the Chebyshev polynomial of that degree."""
    return -np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _minus_laplacian(u: sympy.Expr, xs: Sequence[sympy.Symbol]) -> sympy.Expr:
    return -4 * sum(u.diff(x, 2) for x in xs)


BOX = ((0, -1), (0, 1), (1, -1), (1, 1))
PROBLEMS = {
    "poisson-1d": Problem(
        "1-D Poisson", 1, _minus_laplacian, lambda x: sympy.sin(PI * x), 24, 0, (), 320, (1, 1), 0.5, 40,
        {"GD": 1.28e-1, "Adam": 6.46e-2, "L-BFGS": 2.63e-4, "NGD": 1.67e-5},
    ),
    "poisson-2d": Problem(
        "2-D Poisson", 2, _minus_laplacian, lambda x, y: sympy.sin(PI * x) * sympy.sin(PI * y),
        15, 15, BOX, 640, (1, 1), 0.5, 40,
        {"GD": 1.45e-1, "Adam": 5.32e-3, "L-BFGS": 3.17e-3, "NGD": 1.12e-4},
    ),
    "heat-1d": Problem(
        "1-D heat", 2, lambda u, xs: 2 * u.diff(xs[0]) - u.diff(xs[1], 2),
        lambda t, x: sympy.exp(-(PI**2) * t / 4) * sympy.sin(PI * x),
        16, 16, BOX[:1] + BOX[2:], 640, (1, 1), 0.5, 40,
        {"GD": 5.43e-1, "Adam": 6.91e-3, "L-BFGS": 4.98e-3, "NGD": 3.42e-4},
    ),
    # two periods of the solution across the box: weights of size 2 and short steps reach them, weights of size 1 do not
    "helmholtz-2d": Problem(
        "2-D Helmholtz", 2, lambda u, xs: u - _minus_laplacian(u, xs),
        lambda x, y: sympy.sin(PI * x) * sympy.sin(4 * PI * y),
        20, 20, BOX, 1000, (2, 2), 0.1, 100,
        {"GD": 8.48, "Adam": 1.06, "L-BFGS": 3.35, "NGD": 6.67e-3},
    ),
    # small weights make the network nearly polynomial of low degree, as the solution is; most points on the boundary,
    # which holds nearly all of a box in ten dimensions
    "poisson-10d": Problem(
        "10-D Poisson (f = 0)", 10, _minus_laplacian,
        lambda *x: sum(x[i] * x[i + 1] for i in range(0, 10, 2)),
        300, 700, (), 200, (0.1, 1), 0.5, 20,
        {"GD": 1.35e-2, "Adam": 3.15e-3, "L-BFGS": float("nan"), "NGD": 9.91e-4}, 2000,
    ),
}  # fmt: skip
