"""One run of one method on one problem: what it was asked for, and what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from reproduction.problems import PROBLEMS, Problem

from ntkverify import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.symbolic.limit.enclosures import least_eigenvalue
from ntkverify.symbolic.network.neuron import network_neuron, pinn_neuron
from ntkverify.symbolic.network.operators import coordinates, identity
from ntkverify.training import adam, gradient_descent, lbfgs, natural_gradient_descent

BITS = 512  #: precision of certified eigenvalues
TESTED = 1000  #: test points
PILOT = 10**6  #: seed of the pilot runs that choose the baselines' steps; no table uses it
#: steps tried: of Adam; of gradient descent in multiples of 1/||H(0)||
PILOT_STEPS = {"Adam": (3e-2, 1e-2, 3e-3, 1e-3), "GD": (2 / 3, 1.0, 1.5, 1.9)}


def prepare(problem: Problem, seed: int, *, backend: str = "cpu") -> tuple[Any, Any, Any]:
    """Executor, initial weights and signs."""
    operator, source, solution = problem.pieces()
    points = problem.points(seed)
    values = {"interior": source, "boundary": solution}
    targets = {
        name: np.broadcast_to(np.asarray(values[name](*x.T), float), len(x)).copy() for name, x in points.items()
    }
    scale = {name: len(x) ** -0.5 for name, x in points.items()}
    neuron = pinn_neuron("tanh", operator)
    options: dict[str, Any] = {"threads": 1} if backend == "cpu" else {"bits": BITS}
    executor = make_executor(neuron, points, targets, scale=scale, backend=backend, **options)
    weights, frozen = draw_weights(neuron, seed, problem.width)
    weights[:, :-1] *= problem.spread[0]
    weights[:, -1] *= problem.spread[1]
    return executor, weights, frozen


def tester(problem: Problem, frozen: Any, seed: int) -> Callable[[Any], float]:
    """Relative L2 error of weights on test points, uniform in the box and independent of the training points."""
    xs = coordinates(" ".join(f"x_{i}" for i in range(problem.dimension)))
    points = np.random.default_rng([seed, 1]).uniform(-1, 1, (TESTED, problem.dimension))
    exact = np.asarray(problem.pieces()[2](*points.T))
    neuron = network_neuron("tanh", {"data": identity(xs)}, trainable=("inner", "inner_bias"), inner_bias=True)
    test = make_executor(neuron, {"data": points}, {"data": exact}, backend="cpu", threads=1)
    size = float(np.linalg.norm(exact))
    return lambda weights: float(np.linalg.norm(test.residuals(weights, frozen)) / size)


class Watch:
    """Errors along a run, and the processor time it took without the time that finding them took."""

    def __init__(self, error: Callable[[Any], float]) -> None:
        self._error = error
        self._lost = 0.0
        self.moments: list[tuple[int, float, float]] = []  # steps, seconds, error
        self._started = time.process_time()

    def seconds(self) -> float:
        """Processor time so far."""
        return time.process_time() - self._started - self._lost

    def see(self, snapshot: Any) -> float:
        """Note the error at a moment of the run."""
        before = time.process_time()
        error = self._error(snapshot.weights)
        self.moments.append((snapshot.step, before - self._started - self._lost, error))
        self._lost += time.process_time() - before
        return error

    def within(self, *, steps: float = np.inf, seconds: float = np.inf) -> float | None:
        """The error at the last moment within a budget; None for a budget that ends before the first step."""
        found = [error for at, spent, error in self.moments if at <= steps and spent <= seconds and at > 0]
        return found[-1] if found else None


def descend(method: str, executor: Any, weights: Any, frozen: Any, *, eta: float, steps: int, **options: Any) -> Any:
    """The trajectory of a method; the step of gradient descent is in units of 1/||H(0)||."""
    if method == "NGD":
        return natural_gradient_descent(executor, weights, frozen, eta=eta, steps=steps, solver="qr", **options)
    if method == "Adam":
        return adam(executor, weights, frozen, eta=eta, steps=steps, **options)
    if method == "GD":
        eta /= float(np.linalg.norm(executor.gram(weights, frozen), 2))
        return gradient_descent(executor, weights, frozen, eta=eta, steps=steps, **options)
    return lbfgs(executor, weights, frozen, steps=steps, **options)


def train(
    problem: Problem, method: str, seed: int, *, eta: float, steps: int, every: int, seconds: float | None = None
) -> dict[str, Any]:
    """One run; its error after `every` steps, within `seconds` of processor time, and at the end."""
    executor, weights, frozen = prepare(problem, seed)
    record: dict[str, Any] = {
        "seed": seed, "width": problem.width, "samples": executor.samples.total, "eta": eta, "steps": steps
    }  # fmt: skip
    error_of = tester(problem, frozen, seed)
    try:
        with np.errstate(all="ignore"):  # a step too long overflows; its error says so
            descend(method, executor, weights, frozen, eta=eta, steps=1)  # compiles what is timed below
            watch = Watch(error_of)
            options = {"every": every, "record": {"error": watch.see}}
            found = descend(method, executor, weights, frozen, eta=eta, steps=steps, **options)
            record["seconds"] = round(watch.seconds(), 3)
            record["error"] = error_of(found.weights)
            record["residual"] = float(np.sqrt(2 * found.losses[-1]))
        record["equal_steps"] = watch.within(steps=every)
        if seconds is not None:
            record["equal_seconds"] = watch.within(seconds=seconds)
        if method == "NGD":
            record["condition"] = float(np.max(found.notes["conditions"]))
        if method == "L-BFGS":
            record["stopped"] = found.notes["stopped"]
    except NtkVerifyError as error:
        record |= {"error": None, "stopped": str(error), "seconds": None}
    return record


def spectrum(seed: int, interior: int) -> dict[str, Any]:
    """The Gram matrix of 1-D Poisson at the start: float64's eigenvalues, and an enclosure of the least one."""
    from flint import arb_mat, ctx

    problem = replace(PROBLEMS["poisson-1d"], interior=interior)
    executor, weights, frozen = prepare(problem, seed)
    floats = np.linalg.eigvalsh(executor.gram(weights, frozen))
    singular = np.linalg.svd(executor.jacobian(weights, frozen), compute_uv=False)
    before = ctx.prec
    ctx.prec = BITS
    try:
        exact, _, _ = prepare(problem, seed, backend="ball")
        gram = exact.gram(weights.astype(object), frozen.astype(object))
        enclosed = least_eigenvalue(arb_mat(gram.tolist()), bits=BITS)
    finally:
        ctx.prec = before
    return {
        "seed": seed,
        "interior": interior,
        "lambda_max": float(floats[-1]),
        "float64": float(floats[0]),
        "float64_svd": float(singular[-1] ** 2),
        "lower": enclosed.lower.str(8, radius=False),
        "upper": enclosed.upper.str(8, radius=False),
        "condition": float(floats[-1]) / float(enclosed.upper),
        "error": None,
    }
