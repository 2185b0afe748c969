"""Certified enclosures: the same walk over arrays of balls (python-flint), for replaying small runs.

Every operation returns a ball that holds the exact result for every point of its inputs. Constants
enter as exact rationals, so that 1/7 is enclosed and not replaced by its rounding.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ntkverify.arithmetic.balls import DEFAULT_BITS, BallAlgebra, _flint, as_ball, as_balls
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import BlockSamples, Forward, Samples
from ntkverify.execution.step import MeasuredStep, Step
from ntkverify.execution.walking.array import WalkingExecutor


class BallExecutor(WalkingExecutor):
    """Executor over balls: every result encloses the exact one; for small networks and few steps.

    Weights may be float64 (taken as exact) or object arrays of balls; `step` changes them in place and so
    needs balls (see `as_balls`). A derivative that asks for an undecidable sign raises `Undecided`;
    run the whole computation through `escalate` to repeat it with more bits.

    Parameters
    ----------
    samples : Samples
        The problem; points, targets and scales may be floats, fractions or exact sympy numbers.
    bits : int
        Working precision.
    """

    is_exact = True

    def __init__(self, samples: Samples, *, bits: int = DEFAULT_BITS) -> None:
        self._flint = _flint()
        self.bits = bits
        with self._flint.ctx.workprec(bits):
            blocks = tuple(
                BlockSamples(b.block, as_balls(b.points), as_balls(b.targets), as_ball(b.scale), b.rows)
                for b in samples.blocks
            )
            super().__init__(Samples(samples.neuron, blocks), BallAlgebra())

    def _rebuilt(self, samples: Samples) -> BallExecutor:
        return BallExecutor(samples, bits=self.bits)

    def _inverse_root(self, m: int) -> Any:
        return self._flint.arb(m).rsqrt()

    def _square_root(self, value: Any) -> Any:
        return value.nonnegative_part().sqrt()

    def larger(self, one: Any, other: Any) -> Any:
        return one.max(other)

    def centred(self, array: Any) -> Any:
        return np.frompyfunc(lambda ball: ball.mid(), 1, 1)(array)

    def _measured(self, step: Step) -> MeasuredStep:
        _check_balls(step.weights)
        with self._flint.ctx.workprec(self.bits):
            enclosed = dataclasses.replace(
                step,
                frozen=None if step.frozen is None else as_balls(step.frozen),
                eta=as_ball(step.eta),
                start=as_balls(step.start),
                change=None if step.change is None else as_balls(step.change),
            )
            return super()._measured(enclosed)

    def _balls(self, weights: Any, frozen: Any) -> tuple[Any, Any]:
        return as_balls(weights), None if frozen is None else as_balls(frozen)

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        with self._flint.ctx.workprec(self.bits):
            return super().forward(*self._balls(weights, frozen))

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        with self._flint.ctx.workprec(self.bits):
            return super().vjp(*self._balls(weights, frozen), forward, as_balls(vector))

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        with self._flint.ctx.workprec(self.bits):
            return super().jacobian(*self._balls(weights, frozen))

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        with self._flint.ctx.workprec(self.bits):
            return super().gram(*self._balls(weights, frozen))

    def step(self, weights: Any, frozen: Any, forward: Forward, eta: Any) -> Forward:
        _check_balls(weights)
        with self._flint.ctx.workprec(self.bits):
            weights[...] = weights - as_ball(eta) * self.gradient(weights, frozen, forward)
            return self.forward(weights, frozen)


def _check_balls(weights: Any) -> None:
    if weights.dtype != object:
        raise NtkVerifyError("backend 'ball' updates weights in place and needs balls; pass as_balls(weights)")
