"""What is diagnosed: an equation by name or as a function of its coordinates, points by block, a state."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.arrays import Array, real_array
from ntkverify.diagnosis.arguments import by_block, made_equation, names_of, solution_of
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.problems.nonlinear.equations import (
    first_derivative,
    inviscid_burgers,
    self_advected,
    square,
    viscous_burgers,
)
from ntkverify.problems.pinn import heat_equation, poisson_equation
from ntkverify.symbolic.limit.coincident import equal_rows, in_words, named, rows_of
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import Neuron, network_neuron
from ntkverify.symbolic.network.operators import Operator, biharmonic, coordinates, helmholtz, identity, wave
from ntkverify.theorem.names import chosen

Equation = Callable[[Sequence[sympy.Symbol]], Operator]


def _wave(points: Sequence[sympy.Symbol]) -> Operator:
    """u_tt - Laplacian u, time first."""
    return wave(points[0], points[1:])


def _helmholtz(points: Sequence[sympy.Symbol]) -> Operator:
    """Laplacian u + u."""
    return helmholtz(points)


#: equations by name; time, where there is one, is the first coordinate
EQUATIONS: Mapping[str, Equation] = {
    "heat": heat_equation,
    "poisson": poisson_equation,
    "wave": _wave,
    "helmholtz": _helmholtz,
    "biharmonic": biharmonic,
    "burgers": viscous_burgers,
    "inviscid burgers": inviscid_burgers,
    "u_x": first_derivative,
    "u u_x": self_advected,
    "u^2": square,
    "regression": identity,
}
#: how many coordinates an equation is written for, where that is fixed
_COORDINATES = {"burgers": 2, "inviscid burgers": 2, "u_x": 1, "u u_x": 1}
State = Callable[..., Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """An equation on points, for a network of some activation.

    Parameters
    ----------
    name : str
        What the equation is called.
    neuron : Neuron
        One neuron, with a block of residuals for every block of points.
    points : dict of str to array (n_b, coordinates)
        Samples.
    operators : dict of str to Operator
        The equation of each block.
    samples : Samples
        The points with targets and the scales n_b**-1/2.
    """

    name: str
    neuron: Neuron
    points: dict[str, Array]
    operators: dict[str, Operator]
    samples: Samples

    @property
    def is_linear(self) -> bool:
        """Whether every residual is linear in the solution."""
        return self.samples.is_linear

    def slopes(self, state: Mapping[str, Array]) -> list[list[Array]]:
        """Per block, the derivatives of the residual in each of its sums at a state, (n_b,) each."""
        found = []
        for block in self.neuron.blocks:
            arguments = (*self.neuron.coordinates, *block.sums)
            function = sympy.lambdify(arguments, self.neuron.linearisations[block.name], "numpy")
            values = function(*self.points[block.name].T, *np.asarray(state[block.name]).T)
            found.append([np.broadcast_to(np.asarray(v, float), (len(self.points[block.name]),)) for v in values])
        return found

    def residuals_at(self, state: Mapping[str, Array]) -> Array:
        """The residuals of a state, (N,), each with its scale."""
        found = []
        for samples in self.samples.blocks:
            block = samples.block
            function = sympy.lambdify((*self.neuron.coordinates, *block.sums), block.residual, "numpy")
            values = function(*samples.points.T, *np.asarray(state[block.name]).T)
            found.append(samples.scale * (np.broadcast_to(values, (samples.size,)) - samples.targets))
        return np.concatenate(found)


def problem_of(
    equation: str | Equation | Mapping[str, str | Equation],
    activation: str | Activation,
    points: Any,
    *,
    targets: Mapping[str, Any] | None = None,
    trainable: Iterable[str] = ("inner", "inner_bias"),
) -> Problem:
    """The problem of an equation; options as for `ntkverify.diagnosis.diagnose.diagnose`.

    Raises
    ------
    NtkVerifyError
        For an equation that is not known, points that do not fit it, or an activation that is not smooth enough.
    """
    named = points if isinstance(points, Mapping) else {"interior": points}
    arrays = {str(name): _points(name, x) for name, x in named.items()}
    if not arrays:
        raise NtkVerifyError("there are no points; give an array, or a mapping of block name to array.")
    dimension = next(iter(arrays.values())).shape[1]
    if any(x.shape[1] != dimension for x in arrays.values()):
        widths = ", ".join(f"{name!r} has {x.shape[1]}" for name, x in arrays.items())
        raise NtkVerifyError(
            f"blocks of points need one number of coordinates, but {widths}; a flat array is one column, as "
            "reshape(-1, 1) makes it."
        )
    equations = equation if isinstance(equation, Mapping) else _with_boundary(equation, arrays)
    if set(equations) != set(arrays):
        raise NtkVerifyError(
            f"equations are given for {sorted(equations)} and points for {sorted(arrays)}; give both for each block."
        )
    symbols = coordinates(" ".join(f"x_{i}" for i in range(dimension)))
    operators = {name: _operator(equations[name], symbols) for name in arrays}
    trained = names_of("trainable", trainable)
    neuron = network_neuron(
        activation,
        operators,
        trainable=trained,
        inner_bias=True,
        outer_bias="outer_bias" in trained,
        outputs=max(operator.components for operator in operators.values()),
    )
    given = by_block("targets", targets, arrays)
    goals = {name: _target(given, name, len(x)) for name, x in arrays.items()}
    scale = {name: len(x) ** -0.5 for name, x in arrays.items()}
    title = equation if isinstance(equation, str) else getattr(equation, "__name__", "equations")
    return Problem(str(title), neuron, arrays, operators, collect_samples(neuron, arrays, goals, scale))


def _points(name: Any, given: Any) -> Array:
    x = real_array(f"points of {name!r} are", given, "give one row a point")
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or 0 in x.shape:
        raise NtkVerifyError(
            f"points of {name!r} have the shape {x.shape}; give rows of coordinates, (points, coordinates), by "
            "reshape(-1, 1) where there is one."
        )
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise NtkVerifyError(f"points of {name!r}: row {row} is {x[row].tolist()}; correct or remove it.")
    if pairs := named(equal_rows(x), rows_of({name: len(x)}), "repeats"):
        raise NtkVerifyError(f"points, {in_words(pairs)}.")
    return x


def _with_boundary(equation: str | Equation, arrays: Mapping[str, Array]) -> dict[str, str | Equation]:
    """The equation on the block "interior"; u itself on all others."""
    if "interior" not in arrays:
        near = difflib.get_close_matches("interior", arrays, 1, 0.7)
        remedy = f"did {near[0]!r} mean it? rename it" if near else "rename one"
        raise NtkVerifyError(
            f"none of the blocks {sorted(arrays)} is called 'interior', where the equation holds; {remedy}, or give an "
            "equation for each as a mapping."
        )
    return {name: equation if name == "interior" else identity for name in arrays}


def _operator(equation: str | Equation, symbols: Sequence[sympy.Symbol]) -> Operator:
    if isinstance(equation, str):
        name = chosen(equation, EQUATIONS, what="equation", of="ntkverify.diagnose")
        wanted = _COORDINATES.get(name)
        if wanted is not None and len(symbols) != wanted:
            raise NtkVerifyError(f"the equation {name!r} has {wanted} coordinates, but the points have {len(symbols)}.")
        if name in ("heat", "wave") and len(symbols) < 2:
            raise NtkVerifyError(f"the equation {name!r} has time and space, but the points have one coordinate.")
        equation = EQUATIONS[name]
    if isinstance(equation, Operator):
        return equation
    if not callable(equation):
        raise NtkVerifyError(f"an equation is a name or a function of the coordinates, not {equation!r}.")
    operator = made_equation(equation, symbols)
    if not isinstance(operator, Operator):
        raise NtkVerifyError(
            "an equation is a function of the coordinates that returns an Operator, such as "
            f"ntkverify.symbolic.network.operators.laplacian; this one returned {type(operator).__name__}."
        )
    return operator


def _target(targets: Mapping[str, Any], name: str, count: int) -> Array:
    given = real_array(f"targets of {name!r} are", targets.get(name, np.zeros(count)), f"give {count} numbers")
    if given.shape != (count,) or not np.isfinite(given).all():
        raise NtkVerifyError(
            f"targets of {name!r} must be {count} finite numbers, not an array of shape {given.shape}."
        )
    return given


def state_of(problem: Problem, given: State | None, drawn: Sequence[Array]) -> dict[str, Array]:
    """The sums of every block, (n_b, K_b), at which a nonlinear residual is linearised.

    Parameters
    ----------
    given : callable, mapping or None
        A function u of the coordinates, as a sympy expression of them; the sums themselves by block; or nothing, for
        the state of the drawn network.
    drawn : sequence of arrays (K_b, n_b)
        That state.
    """
    if given is None:
        return {b.name: np.asarray(phi).T for b, phi in zip(problem.neuron.blocks, drawn, strict=True)}
    if isinstance(given, Mapping):
        found, given = {}, by_block("state", given, problem.points)
        for block in problem.neuron.blocks:
            shape = (len(problem.points[block.name]), len(block.sums))
            value = given.get(block.name, np.zeros(shape))
            value = real_array(f"sums of {block.name!r} in the state are", value, f"give the shape {shape}")
            if value.shape != shape:
                raise NtkVerifyError(f"the state of {block.name!r} must have the shape {shape}, not {value.shape}.")
            found[block.name] = value
        return found
    components = solution_of(given, problem.neuron.coordinates)
    return {block.name: _values_of(problem, block.name, components) for block in problem.neuron.blocks}


def _values_of(problem: Problem, block: str, solution: tuple[sympy.Expr, ...]) -> Array:
    """The sums of a block where the network is a function that is given."""
    operator, points = problem.operators[block], problem.points[block]
    values = tuple(part.apply(*solution) for _, part in operator.parts)
    function = sympy.lambdify(problem.neuron.coordinates, values, "numpy")
    with np.errstate(all="ignore"):
        columns = [np.broadcast_to(np.asarray(v, np.float64), (len(points),)) for v in function(*points.T)]
    found = np.stack(columns, axis=1)
    if not np.isfinite(found).all():
        raise NtkVerifyError(f"the state is not finite at a point of {block!r}; give one that is smooth there.")
    return found
