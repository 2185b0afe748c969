"""Two-layer tanh regression with both layers trained: its smoothness, and runs whose start is small against it.

Weights theta = (w_r, a_r), f(x) = m^(-1/2) sum_r a_r tanh(w_r . x), outer weights fair signs at the start. The Jacobian
is J = (J_w, J_a), J_a = m^(-1/2) tanh(W X)^T, and per neuron the second derivative along (u, v) is
2 v tanh'(z) (u . x) + a tanh''(z) (u . x)^2.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import as_samples
from ntkverify.problems.trained import TrainedRun
from ntkverify.symbolic.network.laws import FairSign
from ntkverify.symbolic.network.neuron import Neuron, regression_neuron


@functools.lru_cache(maxsize=16)
def _neuron(dimension: int) -> Neuron:
    found = regression_neuron("tanh", dimension=dimension, trainable=("inner", "outer"), laws={"outer": FairSign()})
    return dataclasses.replace(found, groups={"inner": tuple(range(dimension)), "outer": (dimension,)})


class BothLayersRun(TrainedRun):
    """Two-layer tanh regression; targets are relative to the initial outputs, the step to the theorem's largest.

    The instance's data are ``inputs`` (n, d) and the direction ``start`` (n,) of r(0). Its parameters: ``fraction`` is
    ||r(0)|| over the theorem's constant `allowed`, or, where ``size`` is given, that is ||r(0)||; ``speed`` is the step
    over the theorem's constant `eta_max`.
    """

    @functools.cached_property
    def samples(self) -> Samples:
        """Inputs, with targets 0: the start is to be known before targets are."""
        inputs = self.read_points("inputs", beside={"start": "inputs"})["inputs"]
        return as_samples(_neuron(inputs.shape[1]), inputs, np.zeros(len(inputs)))

    @functools.cached_property
    def executor(self) -> Executor:
        """Runs the problem with its targets, at the wanted distance from the outputs of the float64 start."""
        direction, given = self.instance.array("start"), self.instance.parameters
        if not np.linalg.norm(direction) > 0:
            raise NtkVerifyError("r(0) has no direction where `start` is zero; give one.")
        size = given["size"] if "size" in given else given["fraction"] * float(self.plain.allowed)
        targets = self.plain.at_start.outputs - size * direction / np.linalg.norm(direction)
        return self.executor_at(as_samples(self.neuron, self._points, targets))

    @property
    def _points(self) -> Array:
        return np.asarray(self.samples.blocks[0].points)

    @property
    def inputs(self) -> Any:
        """Inputs, (n, d)."""
        return self.numbers(self._points)

    @functools.cached_property
    def eta(self) -> Any:
        """The step, a share of the largest in float64."""
        return self.number(self.instance.parameters["speed"] * float(self.plain.eta_max))

    # -- the start ----------------------------------------------------------------------------------------------------

    def rows_at(self, weights: Any) -> Any:
        """J at any weights, (n, m, d + 1); targets have no say in it."""
        executor = self.executor_at(self.samples)
        rows = executor.to_host(executor.jacobian(self._moved(executor, weights), self._moved(executor, self.frozen)))
        return self.numbers(rows.reshape(len(rows), *np.shape(weights)))

    @functools.cached_property
    def _start(self) -> Any:
        rows = self.rows_at(self.weights)
        parts = rows.reshape(len(rows), -1), rows[:, :, -1]
        return [np.linalg.eigvalsh(part @ part.T) for part in parts]

    @property
    def spectrum(self) -> Any:
        """Singular values of J(0), ascending, (n,)."""
        return np.sqrt(self._start[0])

    @property
    def outer_spectrum(self) -> Any:
        """Those of J_a(0) = m^(-1/2) tanh(W X)^T."""
        return np.sqrt(self._start[1])

    @property
    def outer_weights(self) -> Any:
        """a_r(0), (m,)."""
        return self.weights[:, -1]

    @property
    def chi(self) -> Any:
        """What no outer weight exceeds on the way: max_r |a_r(0)| + 1."""
        return abs(self.outer_weights).max() + 1

    # -- along the way ------------------------------------------------------------------------------------------------

    @property
    def outer_drift(self) -> Any:
        """max_r |a_r(k) - a_r(0)|, (K+1,)."""
        return self.trajectory.records["drift of outer"]

    @property
    def distance(self) -> Any:
        """||theta(k) - theta(0)||, (K+1,)."""
        inner, outer = (self.trajectory.records[f"drift_rms of {group}"] for group in ("inner", "outer"))
        return np.sqrt(self.m * (inner**2 + outer**2))

    @property
    def path(self) -> Any:
        """The length of the way, (K+1,)."""
        inner, outer = (self.trajectory.records[f"lengths of {group}"] for group in ("inner", "outer"))
        found = [self.number(0.0)]
        for length in np.sqrt(inner**2 + outer**2):
            found.append(found[-1] + length)
        return self.numbers(found)

    @property
    def gradient_square(self) -> Any:
        """||grad L(k)||^2 = r^T H r, (K,)."""
        r = self.trajectory.residuals[:-1]
        return np.einsum("ki,kij,kj->k", r, self.trajectory.grams[:-1], r)


class MovedRun(BothLayersRun):
    """The same network before and after neurons move; nothing is trained.

    Parameters of the instance: so many neurons, ``moved``, have the outer weight ``outer`` and at the first input the
    pre-activation ``bend``; they move by ``length`` together, at the angle ``turn`` from inner weights along that input
    to outer. Where ``moved`` is 0 all move from where they were drawn: at random, or with ``worst`` each the way in
    which its own derivative at the first input changes most.
    """

    @functools.cached_property
    def ends(self) -> tuple[Any, Any]:
        """Weights before and after."""
        given, x = self.instance.parameters, self._points[0]
        weights, count = np.array(self._drawn[0]), int(given["moved"])
        change = np.zeros_like(weights)
        if count:
            weights[:count] = [*(given["bend"] * x / (x @ x)), given["outer"]]
            change[:count] = [*(np.cos(given["turn"]) * x / np.linalg.norm(x)), np.sin(given["turn"])]
        elif given["worst"]:
            change = _steepest(weights, x)
        else:
            change = np.random.default_rng(self.instance.seed).standard_normal(weights.shape)
        moved = weights + given["length"] * change / np.linalg.norm(change)
        return self.numbers(weights), self.numbers(moved)

    @property
    def chi(self) -> Any:
        """max_r |a_r| on the segment."""
        return max(abs(weights[:, -1]).max() for weights in self.ends)

    @property
    def slope(self) -> Any:
        """||J' - J|| over the length of the move."""
        one, other = (self.rows_at(weights).reshape(len(self.inputs), -1) for weights in self.ends)
        return np.linalg.norm(other - one, 2) / np.linalg.norm((self.ends[1] - self.ends[0]).ravel())

    @property
    def slope_error(self) -> Any:
        """Bound of its rounding error: entries of both Jacobians are known to some ulps, and cancel."""
        size = np.abs(self.rows_at(self.ends[0])).sum() + np.abs(self.rows_at(self.ends[1])).sum()
        return 2.0**6 * np.finfo(np.float64).eps * size / self.instance.parameters["length"]


def _steepest(weights: Array, x: Array) -> Array:
    """Of every neuron the unit vector along which its output at x has the second derivative of largest modulus."""
    length, t = np.linalg.norm(x), np.tanh(weights[:, :-1] @ x)
    inner, mixed = -2 * weights[:, -1] * t * (1 - t**2) * length**2, (1 - t**2) * length
    values, vectors = np.linalg.eigh(np.stack([np.stack([inner, mixed], -1), np.stack([mixed, 0 * mixed], -1)], -2))
    chosen = vectors[np.arange(len(weights)), :, np.abs(values).argmax(axis=1)]
    return np.concatenate([chosen[:, :1] * x / length, chosen[:, 1:]], axis=1)
