"""Networks all of whose weights are trained, on residuals of any equation, linear or not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import sympy

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.execution.backends import executor_of
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.measures.hessian import ResidualHessian, residual_hessian
from ntkverify.measures.kernels import SumKernels
from ntkverify.measures.steps import Measure
from ntkverify.problems.blocks import refuse_other_dimensions
from ntkverify.problems.records import RecordStore
from ntkverify.problems.trained import MethodName, TrainedRun
from ntkverify.symbolic.limit.limits import LimitGram, limit_gram
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import Neuron, network_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, identity
from ntkverify.symbolic.network.tangent import sums_neuron
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

#: what writes the operator of a block over its coordinates
Equation = Callable[[Sequence[sympy.Symbol]], Operator]
Equations = tuple[tuple[str, Equation], ...]
Loss = Literal["mean", "sum"]
ALL = ("inner", "inner_bias", "outer", "outer_bias")


@functools.lru_cache(maxsize=64)
def full_neuron(
    activation: str | Activation, equations: Equations, dimension: int, outputs: int = 1, output_scale: Any = 1
) -> Neuron:
    """One neuron of u(x) = alpha [m^-1/2 sum_j a_j sigma(w_j . x + b_j) + c], all standard normal and trained.

    The output bias c is m^-1/2 sum_j c_j: in law, in the kernel and in training the same as one bias.
    """
    points = coordinates(" ".join(f"x_{i}" for i in range(dimension)))
    operators = {name: equation(points) for name, equation in equations}
    options: Any = {"outputs": outputs, "output_scale": output_scale}
    return network_neuron(activation, operators, trainable=ALL, inner_bias=True, outer_bias=True, **options)


@functools.lru_cache(maxsize=64)
def _limit_of_sums(neuron: Neuron) -> LimitGram:
    return limit_gram(sums_neuron(neuron))


@functools.lru_cache(maxsize=64)
def _name(neuron: Neuron) -> str:
    """What a neuron computes, in words: printing takes sympy as long as a small network takes to train."""
    return str([(block.features, block.residual) for block in neuron.blocks])


class Start(NamedTuple):
    """What is measured of a network before training; S sums at all samples, N residuals.

    Parameters
    ----------
    residuals, errors : arrays (N,)
        r(0) with its loss weights, and a bound of its rounding error.
    sums : array (S,)
        The sums Phi, by block, then sum, then sample.
    slopes : array (N, S)
        Derivatives of the residuals (without loss weights) in the sums: Lambda_R.
    kernel : array (N, N)
        K(0) = J J^T of the residuals without loss weights.
    sum_kernel : array (S, S)
        K_Phi(0).
    """

    residuals: Any
    errors: Any
    sums: Any
    slopes: Any
    kernel: Any
    sum_kernel: Any


class FullNetworkRun(TrainedRun):
    """``e = R_b(Phi[u](x_p)) - target_p`` per block, trained on ``L = 1/2 sum_p W_p e_p^2``.

    The instance's data are the points of each block under its name, (n_b, coordinates), and, 0 where absent,
    ``NAME_target`` (n_b,). A parameter ``weight_NAME`` multiplies the loss weights of a block.

    Parameters
    ----------
    activation : str or Activation
    equations : mapping of block name to callable
        Each writes an operator over the coordinates.
    loss : {"mean", "sum"}
        W = weight / n_b, or W = weight.
    method : {"gradient", "natural gradient"}
    outputs : int
        Number of components of the solution.
    output_scale : number
        The factor alpha of the output.
    kernels : bool
        Whether K_Phi is measured along training.
    """

    def __init__(
        self,
        instance: Instance,
        theorem: Theorem,
        *,
        equations: Mapping[str, Equation] | Equations,
        activation: str | Activation = "tanh",
        loss: Loss = "mean",
        method: MethodName = "gradient",
        outputs: int = 1,
        output_scale: Any = 1,
        kernels: bool = False,
        backend: str = "auto",
        store: RecordStore | None = None,
    ) -> None:
        super().__init__(instance, theorem, backend=backend, store=store)
        self.equations = tuple(dict(equations).items())
        self.activation, self.loss_kind, self.method = activation, loss, method
        self.outputs, self.output_scale, self.kernels = outputs, output_scale, kernels
        where = f"instance of {instance.theorem or 'a theorem'}"
        names = [name for name, _ in self.equations]
        self._points = self.read_points(*names, beside={f"{name}_target": name for name in names})
        refuse_other_dimensions(self._points, where)
        if loss not in ("mean", "sum"):
            raise NtkVerifyError(f"{where}: the loss is a 'mean' or a 'sum' over the samples of a block, not {loss!r}.")
        if instance.width < 1:
            raise NtkVerifyError(f"{where}: width is {instance.width}; a network needs at least one neuron.")

    # -- the problem ------------------------------------------------------------------------------------------------

    @functools.cached_property
    def neuron(self) -> Neuron:
        """One neuron of the problem."""
        dimension = next(iter(self._points.values())).shape[1]
        return full_neuron(self.activation, self.equations, dimension, self.outputs, self.output_scale)

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance."""
        return f"{_name(self.neuron)} {self.loss_kind} {self.kernels}"

    @functools.cached_property
    def samples(self) -> Samples:
        """Points, targets and the roots of the loss weights."""
        data, scale = self.instance.data, {}
        for name, x in self._points.items():
            weight = float(self.instance.parameters.get(f"weight_{name}", 1.0))
            if not weight > 0:
                raise NtkVerifyError(f"the loss weight of block {name!r} must be positive, not {weight}.")
            # one over the root, as for every other problem: balls know it again and take the exact root
            mean = len(x) ** -0.5 if self.loss_kind == "mean" else 1.0
            scale[name] = mean if weight == 1 else mean * weight**0.5
        targets = {
            name: self.instance.array(f"{name}_target") if f"{name}_target" in data else np.zeros(len(x))
            for name, x in self._points.items()
        }
        return collect_samples(self.neuron, self._points, targets, scale)

    @functools.cached_property
    def sum_samples(self) -> Samples:
        """The samples of the sums Phi: every block's points once for each of its sums."""
        twin = sums_neuron(self.neuron)
        points = {c.name: b.points for b, cs in self._sum_blocks for c in cs}
        return collect_samples(twin, points, {name: np.zeros(len(x)) for name, x in points.items()})

    @property
    def _sum_blocks(self) -> Any:
        """Every block of samples with the linear blocks of its sums."""
        blocks = iter(sums_neuron(self.neuron).blocks)
        return [(b, [next(blocks) for _ in b.block.sums]) for b in self.samples.blocks]

    @functools.cached_property
    def sum_executor(self) -> Executor:
        """Runs the sums."""
        return self.executor_at(self.sum_samples)

    @property
    def loss_weights(self) -> Any:
        """W, (N,)."""
        return self._per_residual(lambda b: self.number(b.scale) ** 2)

    @property
    def roots(self) -> Any:
        """The roots of the loss weights, (N,)."""
        return self._per_residual(lambda b: self.number(b.scale))

    def _per_residual(self, value: Callable[[Any], Any]) -> Any:
        return self.numbers(np.concatenate([np.array([value(b)] * b.size) for b in self.executor_samples.blocks]))

    # -- before training --------------------------------------------------------------------------------------------

    @functools.cached_property
    def start(self) -> Start:
        """Residuals, sums and kernels of the draw."""
        return self.shared(f"start {self.kind}", self._start)

    def _start(self) -> Start:
        executor = self.executor
        weights, frozen = (self._moved(executor, part) for part in self._drawn_here())
        forward = executor.forward(weights, frozen)
        moved = executor.copy(weights)
        still = executor.measured_step(moved, frozen, forward, 0, start=weights, gram=False)
        sums = [executor.to_host(phi) for phi in forward.sums]
        slopes = [[executor.to_host(s) for s in parts] for parts in executor.slopes(forward)]
        found = Start(
            residuals=self.numbers(executor.to_host(forward.residuals)),
            errors=self.numbers(executor.to_host(still.errors)),
            sums=self.numbers(np.concatenate([phi.reshape(-1) for phi in sums])),
            slopes=self._slope_matrix(slopes),
            kernel=self._unweighted(executor.to_host(executor.gram(weights, frozen))),
            sum_kernel=self.numbers(self.sum_executor.to_host(self.sum_executor.gram(weights, frozen))),
        )
        return found

    def _drawn_here(self) -> tuple[Any, Any]:
        """Weights and frozen weights in this run's arithmetic."""
        return self.weights, self.frozen

    def _slope_matrix(self, slopes: list[list[Any]]) -> Any:
        """Lambda_R, (N, S), from the slopes of each block, which carry the roots of the loss weights."""
        total = sum(b.size * len(cs) for b, cs in self._sum_blocks)
        result = self.numbers(np.zeros((self.samples.total, total)))
        column = 0
        for b, parts in zip(self.executor_samples.blocks, slopes, strict=True):
            for slope in parts:
                full = np.broadcast_to(np.asarray(slope, dtype=object if self.is_exact else float), (b.size,))
                for i, row in enumerate(range(b.rows.start, b.rows.stop)):
                    result[row, column + i] = self.number(full[i]) / self.number(b.scale)
                column += b.size
        return result

    def _unweighted(self, gram: Any) -> Any:
        roots = self.roots
        return self.numbers(gram) / (roots[:, None] * roots[None, :])

    @functools.cached_property
    def limit_sum_kernel(self) -> Array:
        """The limit of K_Phi, (S, S), which is deterministic; in float64."""
        return np.asarray(_limit_of_sums(self.neuron).matrix(self._sum_points))

    @functools.cached_property
    def limit_sum_covariance(self) -> Array:
        """The covariance Sigma of the sums at the start, (S, S), the same at every width; in float64."""
        return np.asarray(_limit_of_sums(self.neuron).covariance(self._sum_points))

    @property
    def _sum_points(self) -> dict[str, Array]:
        return {c.name: b.points for b, cs in self._sum_blocks for c in cs}

    @property
    def initial_residuals(self) -> Any:
        """r(0), (N,)."""
        return self.start.residuals

    def hessian(self, index: int, *, weights: Array | None = None, of_sums: bool = False) -> ResidualHessian:
        """Hessian of one residual, its root of the loss weight included, or of one sum; at the start or other weights.

        Formed by the plain evaluator in float64, whatever the backend.
        """
        executor = executor_of(self.sum_samples if of_sums else self.samples, backend="array")
        return residual_hessian(executor, self._drawn[0] if weights is None else weights, self._drawn[1], index)

    # -- along the trajectory ---------------------------------------------------------------------------------------

    def measures(self) -> list[Measure]:
        """What is seen of every step, with K_Phi if it was asked for."""
        return [*super().measures(), *([SumKernels(self.sum_executor)] if self.kernels else [])]

    @property
    def path(self) -> Any:
        """||theta(k) - theta(0)||, (K+1,)."""
        return self.drift_rms * np.sqrt(self.m)

    @property
    def kernels_along(self) -> Any:
        """K(k), without loss weights, (K+1, N, N)."""
        roots = self.roots
        return self.trajectory.grams / (roots[:, None] * roots[None, :])

    @functools.cached_property
    def derivative_along_gradient(self) -> tuple[Any, Any, Any]:
        """``-K W e``, the central difference of e along minus the gradient, and a bound of how far they may differ.

        The truncation error is judged by the change from twice the step, three times its own for a smooth function.
        """
        start, executor = self.start, self.executor
        weights, frozen = (self._moved(executor, part) for part in self._drawn_here())
        forward = executor.forward(weights, frozen)
        downhill = -executor.gradient(weights, frozen, forward)
        exact = -start.kernel @ (self.loss_weights * (start.residuals / self.roots))
        h = 2.0**-30 if self.is_exact else 2.0**-12

        def difference(step: float) -> Any:
            ends = [self.numbers(executor.to_host(executor.residuals(weights + s * downhill, frozen)))
                    for s in (step, -step)]  # fmt: skip
            return (ends[0] - ends[1]) / (2 * step) / self.roots

        fine, coarse = difference(h), difference(2 * h)
        rounding = self.numbers(0 * start.errors) if self.is_exact else 4 * start.errors / self.roots / h
        return exact, fine, abs(coarse - fine) + rounding


def full_network(
    equation: Equation | None = None,
    *,
    equations: Mapping[str, Equation] | None = None,
    boundary: bool = True,
    kind: type[FullNetworkRun] = FullNetworkRun,
    **options: Any,
) -> Callable[..., FullNetworkRun]:
    """What ``run=`` of a family of instances takes.

    Parameters
    ----------
    equation : callable, optional
        Operator of the block "interior"; with `boundary` the block "boundary" has u itself.
    equations : mapping of block name to callable, optional
        All blocks, instead.
    boundary : bool
        Whether there is a block "boundary".
    kind : type
        The run, `FullNetworkRun` or a subclass.
    **options
        Of the run.
    """
    if (equation is None) == (equations is None):
        raise NtkVerifyError("give the equation of the interior, or the equations of all blocks.")
    chosen: dict[str, Equation] = dict(equations or {})
    if equation is not None:
        chosen = {"interior": equation} | ({"boundary": identity} if boundary else {})
    return functools.partial(kind, equations=tuple(chosen.items()), **options)
