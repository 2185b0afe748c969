"""What float64 kernels may have computed: exact enclosures beside rigorous bounds of the rounding errors.

The generated statements are walked once more, in numbers that carry the exact value as a ball and a bound
of what a float64 evaluation loses. The bound is the classical one of forward error analysis, made
independent of the order of operations, since the compiler and BLAS may reassociate, contract and factor:
between two functions, or between two arrays in memory, every value is a sum of monomials, each of which
meets at most n roundings (n counts all operations of the expression written out), so that the sum is off by
at most ``n u / (1 - n u)`` times the sum of the monomials' absolute values, u = 2**-53. At a function the
error so far moves the argument, and the function adds its own `FUNCTION_UNITS` units in the last place.
Underflow is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from ntkverify.arithmetic.balls import DEFAULT_BITS, BallAlgebra, as_ball, as_balls
from ntkverify.arithmetic.evaluator import evaluate, integer_power
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, gradient_statements
from ntkverify.execution.samples import BlockSamples, Forward, Samples, check_weights
from ntkverify.execution.walking.array import WalkingExecutor
from ntkverify.symbolic.expression.functions import Softplus
from ntkverify.symbolic.expression.majorant import FUNCTION_UNITS


class Rounded:
    """An exact number and how far a float64 evaluation of it may be off.

    Parameters
    ----------
    exact : ball
        Encloses the exact value.
    magnitude : ball
        Bounds the sum of the absolute values of the monomials that are added up.
    inherited : ball
        Error that the monomials bring along before any rounding of their own.
    roundings : int
        Most roundings that a monomial meets.
    """

    __slots__ = ("exact", "inherited", "magnitude", "roundings")

    def __init__(self, exact: Any, magnitude: Any, inherited: Any, roundings: int) -> None:
        self.exact, self.magnitude, self.inherited, self.roundings = exact, magnitude, inherited, roundings

    @classmethod
    def stored(cls, value: Any) -> Rounded:
        """A number that the kernels hold exactly."""
        ball = as_ball(value)
        return cls(ball, abs(ball), as_ball(0), 0)

    @property
    def error(self) -> Any:
        """Bound of |computed - exact|."""
        amount = as_ball(self.roundings) / 2**53
        return (self.inherited + self.magnitude * amount / (1 - amount)).upper()

    def kept(self) -> Rounded:
        """The same number once it lies in memory, where no compiler takes its sum apart any more."""
        return Rounded(self.exact, abs(self.exact).upper() + self.error, self.error, 0)

    @property
    def possible(self) -> Any:
        """The ball of everything that may have been computed, the exact value included."""
        error = self.error
        return self.exact + (-error).union(error)

    def __add__(self, other: Any) -> Rounded:
        if isinstance(other, np.ndarray):
            return NotImplemented  # the array adds entry by entry
        other = _rounded(other)
        return Rounded(
            self.exact + other.exact,
            self.magnitude + other.magnitude,
            self.inherited + other.inherited,
            self.roundings + other.roundings + 1,
        )

    __radd__ = __add__

    def __mul__(self, other: Any) -> Rounded:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = _rounded(other)
        return Rounded(
            self.exact * other.exact,
            self.magnitude * other.magnitude,
            self.inherited * abs(other.exact) + self.magnitude * other.inherited,
            self.roundings + other.roundings + 1,
        )

    __rmul__ = __mul__

    def __neg__(self) -> Rounded:
        return Rounded(-self.exact, self.magnitude, self.inherited, self.roundings)

    def __sub__(self, other: Any) -> Rounded:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self + -_rounded(other)

    def __rsub__(self, other: Any) -> Rounded:
        return -self + _rounded(other)

    def __rtruediv__(self, other: Any) -> Rounded:
        return _rounded(other) * self.through(lambda z: 1 / z)

    def through(self, function: Callable[[Any], Any], units: int = FUNCTION_UNITS) -> Rounded:
        """A function of this number that is itself good to so many units in the last place."""
        exact, possible = function(self.exact), function(self.possible)
        size = abs(possible).upper()
        error = (abs(possible - exact) + size * units * as_ball(2) ** -52).upper()
        return Rounded(exact, size + error, error, 0)


def _rounded(value: Any) -> Rounded:
    return value if isinstance(value, Rounded) else Rounded.stored(value)


class RoundingAlgebra(BallAlgebra):
    """Object arrays of `Rounded` numbers."""

    def __init__(self) -> None:
        super().__init__()

        def each(function: Callable[[Any], Any], units: int = FUNCTION_UNITS) -> Any:
            return np.frompyfunc(lambda z: _rounded(z).through(function, units), 1, 1)

        def method(name: str) -> Callable[[Any], Any]:
            return lambda z: getattr(z, name)()

        names = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "erf")
        self.functions = {
            **{getattr(sympy, name): each(method(name)) for name in names},
            sympy.Abs: each(abs, 0),
            Softplus: each(lambda z: z.max(0) + (-abs(z)).exp().log1p()),
        }

    def constant(self, value: sympy.Expr) -> Any:
        ball = super().constant(value)
        # a printed constant is rounded once; twice that allows for the decimal detour
        return None if ball is None else Rounded(ball, abs(ball), as_ball(0), 2)

    def power(self, base: Any, exponent: sympy.Rational) -> Any:
        if exponent.is_Integer:
            return integer_power(base, int(exponent))
        ball = as_ball(exponent)
        return np.frompyfunc(lambda z: _rounded(z).through(lambda b: b**ball), 1, 1)(base)

    def positive_power(self, z: Any, k: int) -> Any:
        if k == 0:
            return np.frompyfunc(lambda v: _rounded(v).through(self._possible_step, 0), 1, 1)(z)
        return integer_power(np.frompyfunc(lambda v: _rounded(v).through(lambda b: b.max(0), 0), 1, 1)(z), k)

    def _possible_step(self, z: Any) -> Any:
        # whether a rounded argument is on the right side of a kink cannot be told near it: both answers are possible
        if z >= 0 or z < 0:
            return self._step(z)
        return self._flint.arb(0).union(self._flint.arb(1))


class RoundingExecutor(WalkingExecutor):
    """Runs a small problem in `Rounded` numbers, statement by statement as the fused sweep on the CPU does.

    Results are object arrays of `Rounded`; whatever `CpuExecutor` returns for the same float64
    weights lies in their ``possible`` balls.

    Parameters
    ----------
    samples : Samples
        The problem, in float64.
    bits : int
        Working precision of the balls.
    """

    def __init__(self, samples: Samples, *, bits: int = DEFAULT_BITS) -> None:
        self.bits, algebra = bits, RoundingAlgebra()
        self._flint = algebra._flint
        with self._flint.ctx.workprec(bits):
            blocks = tuple(
                BlockSamples(b.block, stored(b.points), stored(b.targets), Rounded.stored(b.scale), b.rows)
                for b in samples.blocks
            )
        super().__init__(Samples(samples.neuron, blocks), algebra)
        self._canonical = canonical(samples.neuron)
        self._forwards = [forward_statements(self._canonical, b) for b in self._canonical.blocks]
        # sweeps run the spread statements, panels of gradients the others
        self._backwards = {spread: self._codes(spread=spread) for spread in (True, False)}

    def _codes(self, *, spread: bool) -> list[tuple[tuple[sympy.Symbol, ...], Statements]]:
        """Per block, the symbols of its cotangents and the code of its gradients."""
        result = []
        for b in self._canonical.blocks:
            cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(b.features)))
            result.append((cotangents, gradient_statements(self._canonical, b, cotangents, spread=spread)))
        return result

    def _rebuilt(self, samples: Samples) -> RoundingExecutor:
        return RoundingExecutor(samples, bits=self.bits)

    def _inverse_root(self, m: int) -> Any:
        ball = self._flint.arb(m).rsqrt()
        return Rounded(ball, abs(ball), as_ball(0), 3)

    def _run(
        self, b: BlockSamples, code: Statements, weights: Any, frozen: Any, cotangents: dict[sympy.Symbol, Any]
    ) -> list[Any]:
        values: dict[sympy.Symbol, Any] = {s: weights[:, i][:, None] for i, s in enumerate(self._canonical.weights)}
        values |= {s: frozen[:, i][:, None] for i, s in enumerate(self._canonical.frozen)}
        values |= {s: b.points[:, i][None, :] for i, s in enumerate(self._canonical.coordinates)}
        values |= cotangents
        for s, e in (*code.neuron, *code.sample, *code.mixed):
            values[s] = evaluate(e, values, self.algebra)
        shape = (weights.shape[0], b.size)
        return [np.broadcast_to(evaluate(e, values, self.algebra), shape) for e in code.outputs]

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        with self._flint.ctx.workprec(self.bits):
            weights, frozen = self._checked(weights, frozen)
            root, sums = self._inverse_root(len(weights)), []
            for b, code in zip(self.samples.blocks, self._forwards, strict=True):
                features = self._run(b, code, weights, frozen, {})
                sums.append(_kept(np.stack([_kept(f.sum(axis=0)) * root for f in features])))
            forward = self._residuals_of(tuple(sums))
            return Forward(forward.sums, _kept(forward.residuals))

    def _weighted_gradients(
        self, forward: Forward, weights: Any, frozen: Any, vector: Any, *, spread: bool
    ) -> list[list[Any]]:
        """Per block and weight: gradients times cotangents ``slope * root * vector``, shape (m, n_b)."""
        root, result, codes = self._inverse_root(len(weights)), [], self._backwards[spread]
        for b, slopes, (symbols, code) in zip(self.samples.blocks, self.slopes(forward), codes, strict=True):
            rows = [_kept(np.broadcast_to(slope * root * vector[b.rows], (b.size,)))[None, :] for slope in slopes]
            result.append(self._run(b, code, weights, frozen, dict(zip(symbols, rows, strict=True))))
        return result

    def _checked(self, weights: Any, frozen: Any) -> tuple[Any, Any]:
        weights, frozen = check_weights(self.neuron, stored(weights), frozen)
        return weights, stored(frozen)

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        with self._flint.ctx.workprec(self.bits):
            weights, frozen = self._checked(weights, frozen)
            parts = self._weighted_gradients(forward, weights, frozen, stored(vector), spread=True)
            return _kept(sum(np.stack([g.sum(axis=1) for g in block], axis=1) for block in parts))

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        with self._flint.ctx.workprec(self.bits):
            weights, frozen = self._checked(weights, frozen)
            ones = stored(np.ones(self.samples.total))
            parts = self._weighted_gradients(self.forward(weights, frozen), weights, frozen, ones, spread=False)
            return _kept(
                np.concatenate([self._rows(np.stack(block, axis=2)) for block in ([g.T for g in gs] for gs in parts)])
            )

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        jacobian = self.jacobian(weights, frozen)
        with self._flint.ctx.workprec(self.bits):
            return _kept(np.dot(jacobian, jacobian.T))

    def step(self, weights: Any, frozen: Any, forward: Forward, eta: Any) -> Forward:
        if weights.dtype != object:
            raise NtkVerifyError("the rounding model updates weights in place and needs its own; pass stored(weights)")
        with self._flint.ctx.workprec(self.bits):
            weights[...] = _kept(weights - self.gradient(weights, frozen, forward) * float(eta))
            return self.forward(weights, frozen)


def _kept(array: Any) -> Any:
    return np.frompyfunc(lambda v: _rounded(v).kept(), 1, 1)(array)


def stored(array: Any) -> Any:
    """An object array of `Rounded` numbers that hold the given floats exactly; `Rounded` numbers pass through."""
    source = np.asarray(array, dtype=object)
    if source.size and isinstance(source.flat[0], Rounded):
        return source
    return np.frompyfunc(Rounded.stored, 1, 1)(as_balls(source)) if source.size else source
