"""Physics-informed and other measured runs in balls, from the float64 run's own problem and drawn weights."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ntkverify.arithmetic.ball_linear import (
    eigenvalue_balls,
    largest_ball,
    least_norm_balls,
    norm_balls,
    spectral_norm_ball,
)
from ntkverify.arithmetic.ball_numbers import Ball, ball_array, raw, raw_array
from ntkverify.arithmetic.balls import as_ball
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.ball import BallExecutor
from ntkverify.execution.walking.terms import Terms
from ntkverify.measures.network import draw_network
from ntkverify.problems.pinn import BLOCKS, normalised, problem_limit
from ntkverify.search.ball_runs import FollowedBallRun, as_attribute


class BallSweeper:
    """Jacobians of a whole network at any weights, as `ntkverify.measures.jacobian.Sweeper`.

    Parameters
    ----------
    executor : BallExecutor
        The problem.
    signs : object array (m, 1)
        Frozen outer weights.
    inputs : object array (N, p)
        What the inner weights multiply.
    """

    def __init__(self, executor: BallExecutor, signs: Any, inputs: Any) -> None:
        self._executor, self._signs = executor, signs
        self.terms = SimpleNamespace(inputs=ball_array(inputs))
        scaled = [raw(b.scale) * raw_array(b.targets) for b in executor.samples.blocks]
        self.targets = ball_array(np.concatenate(scaled))

    def jacobian(self, weights: Any) -> Any:
        """The Jacobian (p, N, m) at weights (p, m)."""
        rows = self._executor.jacobian(raw_array(weights).T, self._signs)
        return ball_array(rows.reshape(len(rows), -1, len(weights)).transpose(2, 0, 1))


class BallMeasuredRun(FollowedBallRun):
    """`ntkverify.problems.measured.MeasuredRun` in balls: the exact trajectory of the problem that the float64 run has.

    Its samples are taken as they are - targets relative to the initial outputs are floats there - but for a
    scale n^-1/2, which is exact here.
    """

    cost = 300.0

    @functools.cached_property
    def samples(self) -> Any:
        """Points, targets and scales of the problem."""
        plain = self.plain.samples
        blocks = []
        for b in plain.blocks:
            root = b.scale != 1 and b.scale == 1 / math.sqrt(b.size)
            blocks.append(replace(b, scale=as_ball(b.size).rsqrt() if root else as_ball(b.scale)))
        return Samples(plain.neuron, tuple(blocks))

    @functools.cached_property
    def executor(self) -> BallExecutor:
        """Evaluates the network in balls at flint's current precision."""
        import flint

        return BallExecutor(self.samples, bits=flint.ctx.prec)

    @property
    def n(self) -> Any:
        """Number of residuals."""
        return Ball(self.samples.total)

    @property
    def d(self) -> Any:
        """Number of trainable weights of a neuron."""
        return Ball(len(self.samples.neuron.weights))

    @functools.cached_property
    def network(self) -> Any:
        """The weights (p, m) as drawn, exact."""
        drawn = draw_network(self.instance.weight_seed, self.instance.width, len(self.samples.neuron.weights))
        return SimpleNamespace(weights=ball_array(drawn.weights), signs=ball_array(drawn.signs.astype(float)))

    @functools.cached_property
    def sweeper(self) -> BallSweeper:
        """Jacobians of the network at any weights."""
        return BallSweeper(self.executor, raw_array(self.network.signs)[:, None], Terms(self.plain.samples).inputs)

    @functools.cached_property
    def at_start(self) -> Any:
        """Outputs and Gram matrix of the draw before training."""
        weights, signs = raw_array(self.network.weights).T, raw_array(self.network.signs)[:, None]
        outputs = raw_array(self.executor.forward(weights, signs).residuals) + raw_array(self.sweeper.targets)
        return SimpleNamespace(
            outputs=ball_array(outputs),
            outputs_error=ball_array(np.zeros(len(outputs))),
            gram=ball_array(self.executor.gram(weights, signs)),
        )

    @property
    def followed(self) -> Any:
        """The trajectory."""
        return self.trajectory

    @functools.cached_property
    def trajectory(self) -> Any:
        """The exact trajectory: everything that `ntkverify.training.loop.Measured` records."""
        signs = raw_array(self.network.signs)[:, None]
        start = raw_array(self.network.weights).T.copy()
        weights, residuals = start, self.executor.forward(start, signs).residuals
        jacobian = first = self.executor.jacobian(weights, signs)
        kept: dict[str, list[Any]] = {}

        def see(**numbers: Any) -> None:
            for name, value in numbers.items():
                kept.setdefault(name, []).append(value)

        def see_state() -> None:
            lengths = norm_balls(weights - start)
            see(
                residuals=residuals,
                grams=jacobian @ jacobian.T,
                drift=largest_ball(lengths),
                drift_rms=norm_balls(lengths) * as_ball(len(lengths)).rsqrt(),
                weight_norm=largest_ball(norm_balls(weights)),
                jacobian_change=spectral_norm_ball(jacobian - first),
            )

        see_state()
        for _ in range(self.instance.steps):
            gradient = jacobian.T @ residuals
            natural = self.plain.method == "natural gradient"
            change = -raw(self.eta) * (least_norm_balls(jacobian, residuals) if natural else gradient)
            step = change.reshape(weights.shape)
            middle = self.executor.jacobian(weights + step / as_ball(2), signs)
            weights = weights + step
            after, turned = self.executor.forward(weights, signs).residuals, self.executor.jacobian(weights, signs)
            see(
                linear=jacobian @ change,
                remainders=after - residuals - jacobian @ change,
                lengths=norm_balls(change),
                gradients=largest_ball(norm_balls(gradient.reshape(weights.shape))),
                path_from_start=spectral_norm_ball(middle - first),
                path_change=spectral_norm_ball(middle - jacobian).max(spectral_norm_ball(turned - jacobian)),
            )
            residuals, jacobian = after, turned
            see_state()
        return self._arrays(kept)

    def _arrays(self, kept: dict[str, list[Any]]) -> Any:
        count, steps = self.samples.total, self.instance.steps
        arrays = {name: ball_array(np.array(values, dtype=object)) for name, values in kept.items()}
        for name in ("lengths", "gradients", "path_from_start", "path_change"):
            arrays.setdefault(name, ball_array(np.zeros(0)))
        for name in ("linear", "remainders"):
            arrays[name] = ball_array(np.array(kept.get(name, []), dtype=object).reshape(steps, count))
        return SimpleNamespace(
            **arrays,
            residuals_error=ball_array(np.zeros((steps + 1, count))),
            linear_error=ball_array(np.zeros((steps, count))),
        )

    @property
    def remainder_error(self) -> Any:
        """Zero: an enclosure has no rounding error."""
        return ball_array(np.zeros(self.instance.steps))

    @property
    def drift_rms(self) -> Any:
        """Root of the mean over neurons of ||w_r(k) - w_r(0)||^2."""
        return self.trajectory.drift_rms


class BallPinnRun(BallMeasuredRun):
    """`ntkverify.problems.pinn.PinnRun` in balls."""

    def with_samples(self, **points: Any) -> Any:
        """The same problem at other samples, floats as the instance's own."""
        return type(self)(self.plain.with_samples(**points))

    @property
    def points(self) -> Any:
        """Samples by block."""
        return {name: ball_array(np.atleast_2d(self.instance.array(name))) for name in BLOCKS}

    @property
    def activation(self) -> Any:
        """The activation."""
        return self.plain.activation

    @property
    def rho(self) -> Any:
        """Largest norm of an augmented point (x, 1)."""
        return as_attribute(ball_array(largest_ball(norm_balls(raw_array(self.sweeper.terms.inputs)))))

    @functools.cached_property
    def _limit(self) -> Any:
        import flint

        points = self.plain.points
        sizes = [len(points[name]) for name in BLOCKS]
        limit = problem_limit(self.plain.activation, self.plain.equation, points[BLOCKS[0]].shape[1])
        matrix = normalised(limit.matrix_balls(points, bits=flint.ctx.prec), sizes)
        count = range(sum(sizes))
        return np.array([[matrix[i, j] for j in count] for i in count], dtype=object)

    @property
    def limit_gram(self) -> Any:
        """H^inf."""
        return ball_array(self._limit)

    @functools.cached_property
    def limit_eigenvalues(self) -> Any:
        """Eigenvalues of H^inf in ascending order."""
        return ball_array(eigenvalue_balls(self._limit))

    @property
    def lambda_0(self) -> Any:
        """Least eigenvalue of H^inf."""
        return self.limit_eigenvalues[0]

    @property
    def limit_norm(self) -> Any:
        """Spectral norm of H^inf."""
        return self.limit_eigenvalues[-1]

    @property
    def certified_lambda_0(self) -> Any:
        """The least eigenvalue of H^inf as the float64 run has it enclosed."""
        return self.plain.certified_lambda_0

    @property
    def initial_gram_error(self) -> Any:
        """||H(0) - H^inf||_F."""
        return Ball(norm_balls((raw_array(self.at_start.gram) - self._limit).ravel()))
