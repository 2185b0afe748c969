"""Five equations with known solutions for networks of one hidden layer with all weights trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.problems.nonlinear.full_network import ALL
from ntkverify.symbolic.network.neuron import network_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, navier_stokes, unknown

PI = np.pi
Points = dict[str, Any]


@dataclass(frozen=True)
class Equation:
    """A problem on a box, written in X in (-1, 1)^d: ``x = centre + half X``.

    Parameters
    ----------
    title : str
    box : tuple of (low, high)
        Per coordinate.
    operators : callable
        Of the coordinates X and the factors 1/half of their derivatives: operators by block.
    solution : callable
        Values of all components (components, n) at points x (n, d).
    targets : callable
        Of the name of a block and points x (n, d).
    interior, boundary : int
        Numbers of points, inside and on the faces; Halton points.
    faces : tuple of (axis, end)
        Where values are given.
    width : int
    spread : tuple of float
        Factors of the inner weights, one per coordinate, and of the biases.
    weight : float
        Factor of the loss of the boundary.
    activation : str
    components : int
    layers : tuple of float
        Interior points are split evenly: over the whole box, and over each of these shares of it, at the low end of the
        last coordinate; the loss weight of a part is its share, so that the sum is a mean over the box.
    origin : tuple of float
        The point X about which the features are centred; the middle by default.
    patience : float
        Times the processor time of the other equations.
    """

    title: str
    box: tuple[tuple[float, float], ...]
    operators: Callable[..., dict[str, Operator]]
    solution: Callable[..., Any]
    targets: Callable[..., Any]
    interior: int
    boundary: int
    faces: tuple[tuple[int, int], ...]
    width: int
    spread: tuple[float, ...]
    weight: float = 1.0
    activation: str = "tanh"
    components: int = 1
    layers: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()
    patience: float = 1.0

    @property
    def half(self) -> Any:
        """Half sides of the box."""
        return np.array([(high - low) / 2 for low, high in self.box])

    def at(self, points: Any) -> Any:
        """x of X."""
        return np.array([(high + low) / 2 for low, high in self.box]) + points * self.half

    def blocks(self) -> tuple[Sequence[sympy.Symbol], dict[str, Operator]]:
        """Coordinates X and operators by block."""
        xs = coordinates(" ".join(f"x_{i}" for i in range(len(self.box))))
        found = self.operators(xs, [sympy.nsimplify(1 / h, rational=True) for h in self.half])
        return xs, found | {f"interior_{i}": found["interior"] for i in range(len(self.layers))}

    def points(self, seed: int) -> Points:
        """Points X by block."""
        from scipy.stats import qmc

        rng = np.random.default_rng([seed, 2])
        dimension = len(self.box)
        inside = 2 * qmc.Halton(dimension, rng=rng).random(self.interior) - 1
        # parts are consecutive: every second Halton point has the same half of the first coordinate
        parts = np.array_split(inside, len(self.layers) + 1)
        for part, share in zip(parts[1:], self.layers, strict=True):
            part[:, -1] = (part[:, -1] + 1) * share - 1
        edge = 2 * qmc.Halton(dimension, rng=rng).random(self.boundary) - 1
        if dimension == 1:
            edge = np.array([[-1.0], [1.0]])
        for part, (axis, end) in zip(np.array_split(edge, max(len(self.faces), 1)), self.faces, strict=False):
            part[:, axis] = end
        start = edge.copy()
        start[:, 0] = -1  # time comes first
        kinds = {"boundary": edge, "initial": start} | {f"interior_{i}": x for i, x in enumerate(parts[1:])}
        return {name: kinds.get(name, kinds.get(name.split("_")[0], parts[0])) for name in self.blocks()[1]}

    def loss_weight(self, name: str) -> float:
        """Of a block."""
        if name.startswith(("boundary", "initial")):
            return self.weight
        shares = {f"interior_{i}": share for i, share in enumerate(self.layers)}
        return shares.get(name, 1.0)

    @property
    def settings(self) -> str:
        """What was chosen, in a line."""
        return (
            f"{self.title}: {self.activation}, width {self.width}, deviations {self.spread} of weights and biases, "
            f"{self.interior} interior points, {self.boundary} on the boundary with loss weight {self.weight:g}"
            + (f", a part each of them in {self.layers} of the box" if self.layers else "")
            + (f", {self.patience:g} times the time" if self.patience != 1 else "")
        )

    def prepare(self, seed: int) -> tuple[Any, Any]:
        """Executor and initial weights."""
        xs, operators = self.blocks()
        del xs
        neuron = network_neuron(
            self.activation, operators, trainable=ALL, inner_bias=True, outer_bias=True, outputs=self.components
        )
        points = self.points(seed)
        targets = {name: np.broadcast_to(self.targets(name, self.at(x)), len(x)).copy() for name, x in points.items()}
        scale = {name: self.loss_weight(name) ** 0.5 * len(x) ** -0.5 for name, x in points.items()}
        executor = make_executor(neuron, points, targets, scale=scale, backend="cpu", threads=1)
        weights, _ = draw_weights(neuron, seed, self.width)
        inner = [i for i, w in enumerate(neuron.weights) if str(w)[0] in "wb"]
        weights[:, inner] *= np.array(self.spread)
        if self.origin:
            weights[:, inner[-1]] -= weights[:, inner[:-1]] @ np.array(self.origin)
        return executor, np.ascontiguousarray(weights)

    def tester(self, seed: int) -> Callable[[Any], float]:
        """Relative L2 error of weights, over all velocities of a system, on uniform points of the box."""
        xs, _ = self.blocks()
        names = [f"u{i}" for i in range(self.components)]
        unknowns = [unknown(name, xs) for name in names]
        shown = max(self.components - 1, 1)  # a pressure is known up to a constant
        operators = {
            n: Operator.from_expression(u, unknowns, xs) for n, u in zip(names[:shown], unknowns, strict=False)
        }
        neuron = network_neuron(
            self.activation, operators, trainable=ALL, inner_bias=True, outer_bias=True, outputs=self.components
        )
        points = np.random.default_rng([seed, 1]).uniform(-1, 1, (2000, len(self.box)))
        exact = self.solution(self.at(points))[:shown]
        test = make_executor(
            neuron, dict.fromkeys(operators, points), dict(zip(operators, exact, strict=True)), backend="cpu", threads=1
        )
        size = float(np.linalg.norm(exact))
        return lambda weights: float(np.linalg.norm(test.residuals(weights)) / size)


def scalar(left: Callable[..., sympy.Expr]) -> Callable[..., dict[str, Operator]]:
    """Blocks "interior", of an equation for one unknown, and "boundary", its values."""

    def operators(xs: Any, factors: Any) -> dict[str, Operator]:
        u = unknown("u", xs)
        return {
            "interior": Operator.from_expression(left(u, xs, factors), [u], xs),
            "boundary": Operator.from_expression(u, [u], xs),
        }

    return operators


def waves(xs: Any, factors: Any) -> dict[str, Operator]:
    """u_tt - 4 u_xx over 100, u on three faces, and u_t over 10 at the start."""
    u, (t, x) = unknown("u", xs), factors
    left = (t**2 * u.diff(xs[0], 2) - 4 * x**2 * u.diff(xs[1], 2)) / 100
    blocks = {"interior": left, "boundary": u, "initial": t * u.diff(xs[0]) / 10}
    return {name: Operator.from_expression(expression, [u], xs) for name, expression in blocks.items()}


def of_solution(solution: Any, source: Any = None) -> Callable[..., Any]:
    """Targets: the source inside (0 by default), the solution on the boundary."""

    def targets(name: str, x: Any) -> Any:
        return solution(x)[0] if name == "boundary" else 0.0 if source is None else source(x)

    return targets


def two_scales(x: Any) -> Any:
    """sin(2 pi x) + sin(50 pi x)/10."""
    return np.array([np.sin(2 * PI * x[:, 0]) + 0.1 * np.sin(50 * PI * x[:, 0])])


def two_scales_source(x: Any) -> Any:
    """Its second derivative."""
    return -4 * PI**2 * np.sin(2 * PI * x[:, 0]) - 250 * PI**2 * np.sin(50 * PI * x[:, 0])


def standing_wave(x: Any) -> Any:
    """sin(pi x) cos(2 pi t) + sin(4 pi x) cos(8 pi t)/2."""
    t, x = x.T
    return np.array([np.sin(PI * x) * np.cos(2 * PI * t) + 0.5 * np.sin(4 * PI * x) * np.cos(8 * PI * t)])


VISCOSITY = 0.01 / PI


def cole_hopf(x: Any) -> Any:
    """Burgers' equation from u(0, x) = -sin(pi x), by the Cole-Hopf transformation and Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite.hermgauss(200)
    t, x = x.T[:, :, None]
    at = x - np.sqrt(4 * VISCOSITY * np.maximum(t, 1e-12)) * nodes
    exponent = -np.cos(PI * at) / (2 * PI * VISCOSITY)
    kernel = weights * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return np.array([-(np.sin(PI * at) * kernel).sum(axis=1) / kernel.sum(axis=1)])


REYNOLDS = 40
LAMBDA = REYNOLDS / 2 - np.sqrt(REYNOLDS**2 / 4 + 4 * PI**2)


def kovasznay(x: Any) -> Any:
    """Velocities and pressure of Kovasznay's flow behind a grid."""
    x, y = x.T
    e = np.exp(LAMBDA * x)
    return np.array([1 - e * np.cos(2 * PI * y), LAMBDA / (2 * PI) * e * np.sin(2 * PI * y), (1 - e**2) / 2])


def flow_blocks(xs: Any, factors: Any) -> dict[str, Operator]:
    """Steady Navier-Stokes on a square box, whose derivatives share one factor, and both velocities at its boundary."""
    factor = factors[0]
    v0, v1, p = (unknown(name, xs) for name in ("v0", "v1", "p"))
    # u v_x + p_x - v_xx/Re with every derivative times the factor: the factor out, the viscosity times it
    found = navier_stokes(xs, reynolds=sympy.Integer(REYNOLDS) / factor)
    for i, v in enumerate((v0, v1)):
        found[f"boundary_{i}"] = Operator.from_expression(v, [v0, v1, p], xs)
    return found


def flow_targets(name: str, x: Any) -> Any:
    """0 inside, velocities on the boundary."""
    return kovasznay(x)[int(name[-1])] if name.startswith("boundary") else 0.0


def convection(beta: float) -> tuple[Any, Any]:
    """The left-hand side u_t + beta u_x, over beta, and the solution sin(x - beta t)."""
    speed = sympy.Integer(int(beta))

    def left(u: Any, xs: Any, factors: Any) -> Any:
        return factors[0] * u.diff(xs[0]) / speed + factors[1] * u.diff(xs[1])

    return left, lambda x: np.array([np.sin(x[:, 1] - beta * x[:, 0])])


def poisson(u: Any, xs: Any, factors: Any) -> Any:
    """u_xx over 1000."""
    return factors[0] ** 2 * u.diff(xs[0], 2) / 1000


def burgers(u: Any, xs: Any, factors: Any) -> Any:
    """u_t + u u_x - u_xx/(100 pi); the solution is odd, so half of (-1, 1) is the box, and its shock a layer."""
    t, x = factors
    return t * u.diff(xs[0]) + x * u * u.diff(xs[1]) - x**2 * u.diff(xs[1], 2) / (100 * sympy.pi)


SIDES = ((0, -1), (1, -1), (1, 1))
BOX = (*SIDES, (0, 1))
convective, convected = convection(100.0)
EQUATIONS = {
    "poisson": Equation(
        "Poisson, two scales", ((0, 1),), scalar(poisson),
        two_scales, of_solution(two_scales, lambda x: two_scales_source(x) / 1000),
        256, 2, (), 512, (40.0, 40.0), 100.0, "sin",
    ),
    "convection": Equation(
        "convection, beta = 100", ((0, 1), (0, 2 * PI)), scalar(convective), convected, of_solution(convected),
        400, 200, SIDES, 128, (50.0, 3.0, 3.0), 10.0, "sin",
    ),
    "wave": Equation(
        "wave", ((0, 1), (0, 1)), waves,
        standing_wave, of_solution(standing_wave), 400, 160, SIDES, 128, (10.0, 6.0, 3.0), 10.0, "sin",
    ),
    "burgers": Equation(
        "Burgers, viscosity 0.01/pi", ((0, 1), (0, 1)), scalar(burgers),
        cole_hopf, of_solution(cole_hopf), 2400, 240, SIDES, 96, (1.5, 5.0, 2.0), 100.0,
        layers=(0.2, 0.04), origin=(0.0, -1.0), patience=12.0,
    ),
    "kovasznay": Equation(
        "Kovasznay flow, Re = 40", ((-0.5, 1.0), (-0.5, 1.0)), flow_blocks, kovasznay, flow_targets,
        256, 96, BOX, 128, (1.5, 1.5, 1.5), 10.0, components=3,
    ),
}  # fmt: skip
