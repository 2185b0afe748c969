"""Regression runs in balls."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from ntkverify.arithmetic.ball_linear import eigenvalue_balls, largest_ball, norm_balls
from ntkverify.arithmetic.ball_numbers import Ball, ball_array, raw, raw_array
from ntkverify.search.ball_runs import FollowedBallRun


class BallRegressionRun(FollowedBallRun):
    """`ntkverify.problems.regression.RegressionRun` in balls: the exact trajectory from the same drawn weights."""

    cost = 4.0

    @property
    def activation(self) -> str:
        """Name of the activation."""
        return str(self.plain.activation)

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
        from ntkverify.measures.network import draw_network
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
        network = draw_network(self.instance.weight_seed, self.instance.width, inputs.shape[1])
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
        return Ball(norm_balls((raw_array(self.at_start.gram) - self._limit).ravel()))

    def worst_shift(self, radius: Any) -> Any:
        """As `ntkverify.measures.initial.worst_shift`: active neurons near switching moved against the mean input."""
        executor, weights, signs = self._network
        mean = raw_array(self.inputs).sum(axis=0)
        direction = mean / norm_balls(mean)
        reach, along = Ball(radius), weights @ direction
        moves = np.array([raw(Ball(z) >= 0 and Ball(z) <= reach) * reach.arb for z in along], dtype=object)
        moved = weights - np.multiply.outer(moves, direction)
        change = executor.gram(moved, signs) - executor.gram(weights, signs)
        return SimpleNamespace(change=Ball(norm_balls(change.ravel())), near=self.initial(radius).near)

    @functools.cached_property
    def descent(self) -> Any:
        """The exact trajectory: everything that `ntkverify.training.loop.Descent` records."""
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
            gradients.append(largest_ball(norm_balls(gradient)))
            drift.append(largest_ball(norm_balls(weights - start)))
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
    def followed(self) -> Any:
        """The trajectory of gradient descent."""
        return self.descent

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
