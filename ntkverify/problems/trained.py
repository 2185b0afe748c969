"""What every trained run answers for, whatever the problem, the method, the backend and its arithmetic."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ntkverify.arithmetic.ball_numbers import raw_array
from ntkverify.arithmetic.balls import as_ball
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.execution.backends import executor_of, fastest_backend
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Terms
from ntkverify.measures.initial import Initial, initial_sweep
from ntkverify.measures.steps import JacobianPath, Measure, Steps
from ntkverify.measures.values import NeuronValues
from ntkverify.problems.blocks import blocks_of_points
from ntkverify.problems.run import Run
from ntkverify.symbolic.network.neuron import Neuron
from ntkverify.theorem.instance import Instance
from ntkverify.training import GradientDescent, Method, NaturalGradient, Trajectory, follow

MethodName = Literal["gradient", "natural gradient"]
METHODS: dict[str, Callable[[Any], Method]] = {"gradient": GradientDescent, "natural gradient": NaturalGradient}


class TrainedRun(Run):
    """A network trained for K steps on N residuals; subclasses say on which samples, and by which method.

    Every quantity is written once. Where the backend is ``"ball"`` the same lines give enclosures, and bounds of
    rounding errors are zero.
    """

    method: MethodName = "gradient"
    cost = 300.0
    #: data of an instance that the class's own measures read, beside those of the problem
    further_data: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for old in ("record", "descent"):
            if old in vars(cls) and "trajectory" not in vars(cls):
                raise NtkVerifyError(
                    f"{cls.__name__} overrides {old!r}, from which nothing follows; override `training` instead."
                )

    # -- the problem ------------------------------------------------------------------------------------------------

    def read_points(self, *names: str, beside: Mapping[str, str]) -> dict[str, Array]:
        """Points of the instance by block; see `blocks_of_points`, which refuses data that nothing reads."""
        further = (*self.further_data, *self.theorem.roles.data)
        return blocks_of_points(self.instance, names, beside=beside, further=further)

    @functools.cached_property
    def samples(self) -> Samples:
        """Points, targets and scales of the problem, in float64."""
        raise NtkVerifyError(f"{type(self).__name__} defines no samples; override `samples`.")

    @property
    def neuron(self) -> Neuron:
        """One neuron of the problem."""
        return self.samples.neuron

    @property
    def work(self) -> float:
        """Neurons times residuals times sweeps: one of the start, and one a step."""
        return float(self.instance.width) * self.samples.total * (1 + self.instance.steps)

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance."""
        return str([b.block.features for b in self.samples.blocks])

    @property
    def alpha(self) -> Any:
        """Scale of the output, a parameter of the instance; 1 where it has none."""
        scale = self.instance.parameters.get("alpha", 1.0)
        if scale <= 0:
            raise NtkVerifyError(
                f"instance of {self.instance.theorem or 'a theorem'}: the output has scale alpha = {scale}; "
                "let it be > 0."
            )
        return self.number(scale)

    @property
    def n(self) -> Any:
        """Number of residuals."""
        return self.number(self.samples.total)

    @property
    def d(self) -> Any:
        """Number of trained weights of a neuron."""
        return self.number(len(self.neuron.weights))

    @functools.cached_property
    def executor(self) -> Executor:
        """Runs the problem on the backend that was asked for, or that is fastest."""
        return self.executor_at(self.samples)

    def executor_at(self, samples: Samples) -> Executor:
        """The same for other samples; a scale n_b**-1/2 is exact in balls."""
        if self.is_exact:
            from flint import ctx

            return executor_of(_with_exact_roots(samples), backend="ball", bits=ctx.prec)
        chosen = self.backend if self.backend != "auto" else fastest_backend(samples, self.instance.width)
        return executor_of(samples, backend=chosen)

    @property
    def has_overflowed(self) -> bool:
        """Whether the training left the range of float64."""
        return not self.is_exact and not np.isfinite(np.asarray(self.trajectory.residuals, np.float64)).all()

    # -- the network as drawn ---------------------------------------------------------------------------------------

    def drawn(self) -> tuple[Array, Array]:
        """Weights (m, p) and frozen weights (m, q) on the host, in float64; in balls exact, being what was drawn."""
        return draw_weights(self.neuron, self.instance.weight_seed, self.instance.width)

    @functools.cached_property
    def _drawn(self) -> tuple[Array, Array]:
        return self.drawn()

    @property
    def has_measured(self) -> bool:
        """Whether anything was swept yet, or the weights drawn."""
        return super().has_measured or "_drawn" in vars(self)

    @functools.cached_property
    def weights(self) -> Any:
        """The weights as drawn, (m, p)."""
        return self.numbers(self._drawn[0])

    @functools.cached_property
    def frozen(self) -> Any:
        """The frozen weights, (m, q)."""
        return self.numbers(self._drawn[1])

    def jacobian_at(self, weights: Any) -> Any:
        """The Jacobian of the residuals at any weights (m, p), shape (N, m, p)."""
        executor = self.executor
        rows = executor.jacobian(self._moved(executor, weights), self._moved(executor, self.frozen))
        found = executor.to_host(rows)
        return self.numbers(found.reshape(len(found), *np.shape(weights)))

    def _moved(self, executor: Executor, values: Any) -> Any:
        """An array of this run as the executor's own."""
        if self.is_exact:
            return raw_array(values)
        return executor.from_host(np.ascontiguousarray(values, dtype=np.float64))

    @property
    def sample_inputs(self) -> Any:
        """What the inner weights multiply, (N, p): the points, with a 1 for a bias."""
        return self.numbers(Terms(self.samples).inputs)

    @property
    def scaled_targets(self) -> Any:
        """Targets with the scales of their residuals, (N,)."""
        parts = [self.numbers(b.targets) * self.numbers(b.scale) for b in self.executor_samples.blocks]
        return self.numbers(np.concatenate([np.asarray(part) for part in parts]))

    @property
    def executor_samples(self) -> Samples:
        """The samples in this run's arithmetic."""
        return _with_exact_roots(self.samples) if self.is_exact else self.samples

    # -- before training --------------------------------------------------------------------------------------------

    def initial(self, radius: Any = 0.0, *, samples: Samples | None = None) -> Initial:
        """Outputs, Gram matrix and share of pre-activations within `radius` of zero, before training."""
        samples = self.samples if samples is None else samples
        if self.is_exact:
            return self._enclosed_start(samples, radius)
        radius = float(radius)
        return self.shared(
            f"initial {self.kind} {radius!r}",
            lambda: initial_sweep(samples, seed=self.instance.weight_seed, width=self.instance.width, radius=radius),
        )

    def _enclosed_start(self, samples: Samples, radius: Any) -> Initial:
        bare = Samples(samples.neuron, tuple(replace(b, targets=b.targets * 0) for b in samples.blocks))
        executor = self.executor_at(bare)
        weights, frozen = self._moved(executor, self.weights), self._moved(executor, self.frozen)
        outputs = executor.forward(weights, frozen).residuals
        inside = abs(self.numbers(Terms(samples).inputs) @ self.weights.T)
        limit = self.number(radius)
        return Initial(
            outputs=self.numbers(outputs),
            outputs_error=self.numbers(np.zeros(len(outputs))),
            gram=self.numbers(executor.gram(weights, frozen)),
            near=self.numbers([self.number(sum(bool(z <= limit) for z in row)) / self.m for row in inside]),
        )

    @functools.cached_property
    def at_start(self) -> Initial:
        """Outputs and Gram matrix of the draw before training."""
        return self.initial()

    # -- along the trajectory ---------------------------------------------------------------------------------------

    def training(self) -> Method:
        """The training method; a subclass with one of its own returns it here."""
        if self.method not in METHODS:
            raise NtkVerifyError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}.")
        eta = self.eta.arb if self.is_exact else self.eta
        return METHODS[self.method](eta)

    def measures(self) -> list[Measure]:
        """What is seen of every step; lemmas about gradient descent do not speak of J."""
        return [Steps(), JacobianPath()] if self.method == "natural gradient" else [Steps()]

    @property
    def recorded(self) -> Instance:
        """The instance with the step that was taken, where the run sets it and not the instance."""
        if self.instance.step or not self.instance.steps or not self.has_measured:
            return self.instance
        step = getattr(self.training(), "eta", None)
        return replace(self.instance, step=float(step)) if isinstance(step, int | float | np.number) else self.instance

    @functools.cached_property
    def trajectory(self) -> Trajectory:
        """The trained trajectory with everything measured."""
        return self.shared(f"trajectory {self.kind} {self.method}", self._train)

    @property
    def descent(self) -> Trajectory:
        """The trajectory."""
        return self.trajectory

    def _train(self) -> Trajectory:
        executor = self.executor
        # drawn anew where nobody holds them, and trained in place: very wide networks fit in memory twice, not thrice
        held = "_drawn" in vars(self)
        weights, frozen = (self._moved(executor, part) for part in (self._drawn if held else self.drawn()))
        found = follow(
            executor,
            weights,
            frozen,
            self.training(),
            steps=self.instance.steps,
            measures=self.measures(),
            in_place=not held,
        )
        # weights are not kept: forty networks of 1e6 neurons are to cost no more memory than one
        return replace(
            found,
            weights=None,
            residuals=self.numbers(found.residuals),
            records={name: self.numbers(values) for name, values in found.records.items()},
        )

    @property
    def residuals(self) -> Any:
        """||r(k)||, (K+1,)."""
        return np.linalg.norm(self.trajectory.residuals, axis=1)

    @property
    def residuals_error(self) -> Any:
        """Bound of the rounding error of ||r(k)||, (K+1,)."""
        return np.linalg.norm(self.trajectory.residuals_error, axis=1)

    @property
    def residual_0(self) -> Any:
        """||r(0)||."""
        return self.residuals[0]

    @property
    def loss_0(self) -> Any:
        """L(0)."""
        return self.losses[0]

    @property
    def losses(self) -> Any:
        """L(k) = ||r(k)||^2 / 2, (K+1,)."""
        return self.residuals**2 / 2

    @property
    def losses_error(self) -> Any:
        """Bound of the rounding error of L(k), (K+1,)."""
        return self.residuals * self.residuals_error + self.residuals_error**2

    @property
    def residual(self) -> Any:
        """||r(k)|| before each step, (K,)."""
        return self.residuals[:-1]

    @property
    def loss(self) -> Any:
        """L(k) before each step, (K,)."""
        return self.losses[:-1]

    @functools.cached_property
    def eigenvalues(self) -> Any:
        """Eigenvalues of H(k) in ascending order, (K+1, N)."""
        return np.linalg.eigvalsh(self.trajectory.grams)

    @property
    def gram_drift(self) -> Any:
        """||H(k) - H(0)||_F, (K+1,)."""
        return np.linalg.norm(self.trajectory.grams - self.trajectory.grams[0], axis=(1, 2))

    @property
    def gram_drift_error(self) -> Any:
        """Bound of its rounding error, (K+1,): it cancels two Gram matrices, each known to some hundred ulps."""
        lengths = np.linalg.norm(self.trajectory.grams, axis=(1, 2))
        return 2.0**10 * np.finfo(np.float64).eps * (lengths + lengths[0])

    @property
    def remainder(self) -> Any:
        """||r(k+1) - r(k) - J(k) (theta(k+1) - theta(k))||, for gradient descent ||I_1(k)||, (K,)."""
        return np.linalg.norm(self.trajectory.remainders, axis=1)

    @property
    def remainder_error(self) -> Any:
        """Bound of the rounding error of `remainder`, (K,): it cancels two outputs and a linear term of their size."""
        return 4 * (self.residuals_error[1:] + self.residuals_error[:-1])

    @property
    def drift(self) -> Any:
        """max_r ||w_r(k) - w_r(0)||, (K+1,)."""
        return self.trajectory.drift

    @property
    def drift_rms(self) -> Any:
        """Root of the mean over neurons of ||w_r(k) - w_r(0)||^2, (K+1,)."""
        return self.trajectory.drift_rms

    # -- derivatives against differences, in float64 ------------------------------------------------------------------

    @functools.cached_property
    def derivative_check(self) -> tuple[Array, Array, Array]:
        """J(0) v for a random v, the central difference of the outputs along v, and a bound of how far they may differ.

        The truncation error of the difference over h is judged neuron by neuron, by its change from 2h, which is three
        times its error if it is smooth (none is where a kink is crossed); rounding is divided by h.
        """
        return self.shared(f"derivative {self.kind}", self._differences)

    @functools.cached_property
    def along_weights(self) -> tuple[Any, Any, Any]:
        """J(0) theta(0), the outputs at theta(0), and a bound of the rounding error of either."""
        jacobian = self.jacobian_at(self.weights)
        start = self.at_start
        # the terms of J theta are those of the outputs times a power
        rounding = 2 * len(self.neuron.weights) * start.outputs_error
        return np.einsum("imp,mp->i", jacobian, self.weights), start.outputs, rounding

    def _differences(self) -> tuple[Array, Array, Array]:
        weights, frozen = self._drawn
        neurons = NeuronValues(self.samples, frozen)
        direction = np.random.default_rng(self.instance.seed).standard_normal(weights.shape[::-1]).T
        step = 2.0**-12

        def difference(h: float) -> Array:
            ends = [neurons.values(weights + sign * h * direction) for sign in (1, -1)]
            return np.asarray((ends[0] - ends[1]) / (2 * h))

        fine, coarse = difference(step), difference(2 * step)
        product = np.einsum("imp,mp->i", self.jacobian_at(weights), direction)
        rounding = neurons.rounding(np.abs(weights) + 2 * step * np.abs(direction))
        return product, fine.sum(axis=1), np.abs(coarse - fine).sum(axis=1) + 2 * rounding / step


def _with_exact_roots(samples: Samples) -> Samples:
    """Samples whose scales k**-1/2, k whole, are balls of the exact root, and other scales what they are."""
    blocks = []
    for b in samples.blocks:
        size = round(b.scale**-2) if 0 < b.scale < 1 else 1
        root = size > 1 and b.scale == 1 / math.sqrt(size)
        blocks.append(replace(b, scale=as_ball(size).rsqrt() if root else as_ball(b.scale)))
    return Samples(samples.neuron, tuple(blocks))
