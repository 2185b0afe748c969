"""The first natural gradient step in balls."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from ntkverify.arithmetic.ball_linear import largest_ball, least_norm_balls, norm_balls
from ntkverify.arithmetic.ball_numbers import Ball, NoEnclosure, ball_array, raw_array
from ntkverify.arithmetic.balls import as_ball
from ntkverify.problems.first_step import NO_TRAJECTORY
from ntkverify.search.ball_measured import BallPinnRun


class BallFirstStepRun(BallPinnRun):
    """`ntkverify.problems.first_step.FirstStepRun` in balls: the exact step from the instance's residuals."""

    @functools.cached_property
    def network(self) -> Any:
        """The weights as drawn, exact, and the signs."""
        drawn = super().network
        ones = ball_array(np.ones(self.instance.width))
        return drawn if self.plain.random_signs else SimpleNamespace(weights=drawn.weights, signs=ones)

    @property
    def given_residuals(self) -> Any:
        """(-source/sqrt(n_1), -values/sqrt(n_2)), (n,)."""
        targets = [raw_array(ball_array(target)) for target in self.plain.given_targets.values()]
        return ball_array(np.concatenate([-target * as_ball(len(target)).rsqrt() for target in targets]))

    @property
    def residual_0(self) -> Any:
        """||r(0)||."""
        return Ball(norm_balls(raw_array(self.given_residuals)))

    @functools.cached_property
    def trajectory(self) -> Any:
        """None, as in float64."""
        raise NoEnclosure(NO_TRAJECTORY)

    @functools.cached_property
    def at_start(self) -> Any:
        """None, as in float64."""
        raise NoEnclosure(NO_TRAJECTORY)

    @functools.cached_property
    def first_step(self) -> Any:
        """What `ntkverify.problems.first_step.FirstStep` holds; an enclosure has no rounding error."""
        weights, signs = raw_array(self.network.weights).T, raw_array(self.network.signs)[:, None]
        before, jacobian = self.executor.forward(weights, signs).residuals, self.executor.jacobian(weights, signs)
        change = -least_norm_balls(jacobian, raw_array(self.given_residuals))
        step, linear = change.reshape(weights.shape), jacobian @ change

        def left(share: Any) -> Any:
            after = self.executor.forward(weights + share * step, signs).residuals
            return Ball(norm_balls(after - before - share * linear))

        ends = [largest_ball(norm_balls(w)) for w in (weights, weights + step)]
        return SimpleNamespace(
            whole=left(as_ball(1)),
            half=left(as_ball(1) / as_ball(2)),
            rounding=Ball(0),
            cubes=Ball(sum(length**3 for length in norm_balls(step))),
            weight_norm=Ball(largest_ball(np.array(ends, dtype=object))),
        )
