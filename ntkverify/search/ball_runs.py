"""Runs in balls: what a float64 run answers, every answer an enclosure of the exact one.

`BallRun` answers for parameters, data, constants and quantities; it stands in for any run of linear algebra. A run that
trains needs a class of its own, named in `ball_run_class`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy

from ntkverify.execution.ball import BallAlgebra, Undecided
from ntkverify.execution.evaluator import evaluate
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.run import Run
from ntkverify.search.balls import Ball, NoEnclosure, ball_array, power, raw_array


class _BoundAlgebra(BallAlgebra):
    """Balls, and powers whose exponent is a symbol such as the step k."""

    def __init__(self) -> None:
        super().__init__()
        self.functions = {**self.functions, sympy.Pow: np.frompyfunc(power, 2, 1)}


class BallRun(Run):
    """An instance in balls at flint's current precision.

    Integers are balls as well: a quotient of two of them would otherwise be rounded.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("instance", "theorem"):
            raise AttributeError(name)
        if name in self.instance.parameters:
            return Ball(self.instance.parameters[name])
        if name in self.instance.data:
            return _as_attribute(ball_array(self.instance.array(name)))
        return super().__getattr__(name)

    @property
    def m(self) -> Any:
        """Width."""
        return Ball(self.instance.width)

    @property
    def eta(self) -> Any:
        """Learning rate."""
        return Ball(self.instance.step)

    @property
    def k(self) -> Any:
        """The steps 0, 1, ..., `steps`."""
        return ball_array(np.arange(self.instance.steps + 1))

    def evaluate(self, expression: Any) -> Any:
        """A sympy expression: exact rationals at the leaves, its symbols answered by this run."""
        expression = self.theorem.expand(sympy.sympify(expression))
        values = {s: raw_array(getattr(self, str(s))) for s in expression.free_symbols}
        result = evaluate(expression, values, _BoundAlgebra())
        return _as_attribute(ball_array(result))


def _as_attribute(array: Any) -> Any:
    return array[()] if array.ndim == 0 else array


def eigenvalue_balls(matrix: Any) -> list[Any]:
    """Enclosures of the eigenvalues of a symmetric matrix of python-flint balls, ascending.

    Gershgorin or Krawczyk clusters may overlap and their order be open; the j-th smallest eigenvalue lies between
    the j-th smallest lower end and the j-th smallest upper end all the same.
    """
    import flint

    rows = [[matrix[i, j] for j in range(len(matrix))] for i in range(len(matrix))]
    try:
        found = [e.real for e in flint.acb_mat(rows).eig(multiple=True)]
    except (ValueError, ZeroDivisionError):
        raise Undecided("the eigenvalues are not enclosed at this precision") from None
    lower = _sorted([e.lower() for e in found])
    upper = _sorted([e.upper() for e in found])
    return [low.union(high) for low, high in zip(lower, upper, strict=True)]


def _sorted(ends: list[Any]) -> list[Any]:
    # ends of balls are exact, so that comparisons are decided
    def order(a: Any, b: Any) -> int:
        return -1 if a < b else 1 if a > b else 0

    return sorted(ends, key=functools.cmp_to_key(order))


def _norm(values: Any) -> Any:
    """Euclidean norm over the last axis of an object array of python-flint balls."""
    flat = np.asarray(values, dtype=object)
    squares = np.add.reduce(flat * flat, axis=-1)
    return np.frompyfunc(lambda b: b.nonnegative_part().sqrt(), 1, 1)(squares)


def _largest(values: Any) -> Any:
    return functools.reduce(lambda a, b: a.max(b), np.asarray(values, dtype=object).ravel())


class BallRegressionRun(BallRun):
    """`ntkverify.problems.regression.RegressionRun` in balls: the exact trajectory from the same drawn weights."""

    activation = "relu"

    @property
    def inputs(self) -> Any:
        """Inputs (n, d)."""
        return ball_array(np.atleast_2d(self.instance.array("inputs")))

    @property
    def n(self) -> Any:
        """Number of samples."""
        return Ball(len(self.inputs))

    @property
    def d(self) -> Any:
        """Input dimension."""
        return Ball(self.inputs.shape[1])

    @functools.cached_property
    def _limit(self) -> Any:
        import flint

        from ntkverify.problems.regression import _limit

        points = np.atleast_2d(self.instance.array("inputs")).tolist()
        matrix = _limit(self.activation, len(points[0])).matrix_balls(points, bits=flint.ctx.prec)
        size = len(points)
        return np.array([[matrix[i, j] for j in range(size)] for i in range(size)], dtype=object)

    @property
    def limit_gram(self) -> Any:
        """H^inf."""
        return ball_array(self._limit)

    @functools.cached_property
    def lambda_0(self) -> Any:
        """Least eigenvalue of H^inf."""
        return Ball(eigenvalue_balls(self._limit)[0])

    @functools.cached_property
    def limit_norm(self) -> Any:
        """Spectral norm of H^inf."""
        return Ball(eigenvalue_balls(self._limit)[-1])

    @functools.cached_property
    def _network(self) -> tuple[Any, Any, Any]:
        import flint

        from ntkverify.execution import make_executor
        from ntkverify.measures.sweep import draw_network
        from ntkverify.problems.regression import _neuron

        inputs = np.atleast_2d(self.instance.array("inputs"))
        neuron = _neuron(self.activation, inputs.shape[1])
        (block,) = neuron.blocks
        executor = make_executor(
            neuron,
            {block.name: inputs},
            {block.name: self.instance.array("targets")},
            backend="ball",
            bits=flint.ctx.prec,
        )
        network = draw_network(self.instance.seed, self.instance.width, inputs.shape[1])
        return executor, raw_array(network.weights.T), raw_array(network.signs[:, None].astype(float))

    def initial(self, radius: Any = 0.0) -> Any:
        """Outputs, Gram matrix and share of pre-activations within `radius` of zero."""
        executor, weights, signs = self._network
        residuals = executor.forward(weights, signs).residuals
        targets = raw_array(self.instance.array("targets"))
        inside = abs(raw_array(self.inputs) @ weights.T)
        limit = Ball(radius)
        near = [Ball(sum(Ball(z) <= limit for z in row)) / self.instance.width for row in inside]
        return SimpleNamespace(
            outputs=ball_array(residuals + targets),
            outputs_error=ball_array(np.zeros(len(targets))),
            gram=ball_array(executor.gram(weights, signs)),
            near=ball_array(near),
        )

    @functools.cached_property
    def at_start(self) -> Any:
        """The draw before training."""
        return self.initial()

    @property
    def initial_outputs(self) -> Any:
        """u_i(0)."""
        return self.at_start.outputs

    @property
    def initial_gram_error(self) -> Any:
        """||H(0) - H^inf||_F."""
        return Ball(_norm((raw_array(self.at_start.gram) - self._limit).ravel()))

    @property
    def residual_0(self) -> Any:
        """||u(0) - y||."""
        executor, weights, signs = self._network
        return Ball(_norm(executor.forward(weights, signs).residuals))

    @property
    def loss_0(self) -> Any:
        """Half the squared residual norm at initialisation."""
        return self.residual_0**2 / 2

    @functools.cached_property
    def descent(self) -> Any:
        """The exact trajectory: everything that `ntkverify.measures.sweep.Descent` records."""
        executor, start, signs = self._network
        weights = start.copy()
        forward = executor.forward(weights, signs)
        residuals, grams = [forward.residuals], [executor.gram(weights, signs)]
        remainders, drift, gradients = [], [raw_array(0)], []
        for _ in range(self.instance.steps):
            gradient = executor.gradient(weights, signs, forward)
            # J (theta' - theta) = -eta J J^T r
            linear = -raw_array(self.eta) * (grams[-1] @ forward.residuals)
            forward = executor.step(weights, signs, forward, self.instance.step)
            remainders.append(forward.residuals - residuals[-1] - linear)
            residuals.append(forward.residuals)
            grams.append(executor.gram(weights, signs))
            gradients.append(_largest(_norm(gradient)))
            drift.append(_largest(_norm(weights - start)))
        count = len(residuals[0])
        return SimpleNamespace(
            residuals=ball_array(np.array(residuals)),
            residuals_error=ball_array(np.zeros((len(residuals), count))),
            grams=ball_array(np.array(grams)),
            remainders=ball_array(np.array(remainders, dtype=object).reshape(len(remainders), count)),
            drift=ball_array(drift),
            gradients=ball_array(gradients),
        )

    @property
    def residuals(self) -> Any:
        """||r(k)||."""
        return ball_array(_norm(raw_array(self.descent.residuals)))

    @property
    def residuals_error(self) -> Any:
        """Zero: an enclosure has no rounding error."""
        return ball_array(np.zeros(self.instance.steps + 1))

    @property
    def losses(self) -> Any:
        """L(k)."""
        return self.residuals**2 / 2

    @property
    def losses_error(self) -> Any:
        """Zero: an enclosure has no rounding error."""
        return self.residuals_error

    @property
    def residual(self) -> Any:
        """||r(k)|| before each step."""
        return self.residuals[:-1]

    @property
    def loss(self) -> Any:
        """L(k) before each step."""
        return self.losses[:-1]

    @property
    def gram_drift(self) -> Any:
        """||H(k) - H(0)||_F."""
        grams = raw_array(self.descent.grams)
        return ball_array(_norm((grams - grams[0]).reshape(len(grams), -1)))

    @functools.cached_property
    def eigenvalues(self) -> Any:
        """Eigenvalues of H(k), ascending."""
        return ball_array([eigenvalue_balls(gram) for gram in raw_array(self.descent.grams)])

    @property
    def remainder(self) -> Any:
        """||I_1(k)||."""
        return ball_array(_norm(raw_array(self.descent.remainders)))

    @property
    def drift(self) -> Any:
        """max_r ||w_r(k) - w_r(0)||."""
        return self.descent.drift

    @property
    def largest_gradient(self) -> Any:
        """max_r ||dL/dw_r(k)||."""
        return self.descent.gradients

    @property
    def linear_step(self) -> Any:
        """(I - eta H(k)) r(k)."""
        r, grams = raw_array(self.descent.residuals)[:-1], raw_array(self.descent.grams)[:-1]
        moved = [g @ x for g, x in zip(grams, r, strict=True)]
        return ball_array(r - raw_array(self.eta) * np.array(moved, dtype=object).reshape(r.shape))


def _measures_added(run: type, base: type) -> set[str]:
    """What the classes between `run` and `base` define beyond the activation: balls would not know of it."""
    between = run.__mro__[: run.__mro__.index(base)]
    return {n for kind in between for n in vars(kind) if n != "activation" and not n.startswith("__")}


def ball_run_class(run: Callable[..., Any]) -> type[BallRun]:
    """The class of ball runs that stands for a float64 run.

    Raises
    ------
    NtkVerifyError
        If there is none.
    """
    from ntkverify.problems.regression import RegressionRun

    if isinstance(run, type):
        if issubclass(run, RegressionRun) and not _measures_added(run, RegressionRun):
            return type(run.__name__, (BallRegressionRun,), {"activation": run.activation})
        if run is AlgebraRun:
            return BallRun
    raise NoEnclosure(f"runs of {getattr(run, '__name__', run)} have no counterpart in balls.")
