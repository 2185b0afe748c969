"""Physics-informed training: interior residuals of a linear PDE and boundary values, by (natural) gradient descent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import sympy

from ntkverify.arithmetic.ball_linear import as_object_array
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import Terms, as_samples
from ntkverify.measures.initial import Initial
from ntkverify.problems.blocks import refuse_other_dimensions
from ntkverify.problems.records import RecordStore
from ntkverify.problems.trained import MethodName, TrainedRun
from ntkverify.symbolic.limit.coincident import singular_to_rounding
from ntkverify.symbolic.limit.enclosures import Enclosure, least_eigenvalue
from ntkverify.symbolic.limit.limits import LimitGram, limit_gram
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import Neuron, pinn_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, heat, laplacian
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

#: what writes the operator of a problem over its coordinates
Equation = Callable[[Sequence[sympy.Symbol]], Operator]
BLOCKS = ("interior", "boundary")
#: what the residuals of each block are compared with
TARGETS = {"source": "interior", "values": "boundary"}
#: working precision of what is proved of a limit Gram matrix
CERTIFIED_BITS = 256


def heat_equation(points: Sequence[sympy.Symbol]) -> Operator:
    """u_t - Laplacian u, time first."""
    return heat(points[0], points[1:])


def poisson_equation(points: Sequence[sympy.Symbol]) -> Operator:
    """Laplacian u."""
    return laplacian(points)


@functools.lru_cache(maxsize=64)
def problem_neuron(
    activation: str | Activation, equation: Equation, dimension: int, coupled: bool = False, scale: float = 1.0
) -> Neuron:
    """One neuron of u(x) = scale m^-1/2 sum_r a_r sigma(w_r . (x, 1)) hit by the equation, in `dimension` coordinates.

    `coupled` neurons come in pairs that cancel.
    """
    points = coordinates(" ".join(f"x_{i}" for i in range(dimension)))
    return pinn_neuron(activation, equation(points), coupled=coupled, output_scale=scale)


@functools.lru_cache(maxsize=64)
def _problem_name(activation: str | Activation, equation: Equation, dimension: int) -> str:
    """What that neuron computes, in words: printing takes sympy as long as a small network takes to train."""
    return str([block.features for block in problem_neuron(activation, equation, dimension).blocks])


@functools.lru_cache(maxsize=64)
def problem_limit(activation: str | Activation, equation: Equation, dimension: int) -> LimitGram:
    """The limit Gram matrix of that neuron at scale 1."""
    return limit_gram(problem_neuron(activation, equation, dimension))


@functools.lru_cache(maxsize=256)
def _limit_matrix(
    activation: str | Activation, equation: Equation, dimension: int, *points: bytes
) -> tuple[Array, Array]:
    """H^inf of points given as bytes, and the error of its quadrature: runs that share their samples share it."""
    arrays = {name: np.frombuffer(x).reshape(-1, dimension) for name, x in zip(BLOCKS, points, strict=True)}
    return problem_limit(activation, equation, dimension).matrix_with_error(arrays, normalise=True)


def normalised(matrix: Any, sizes: Sequence[int]) -> Any:
    """A Gram matrix of balls with each residual divided by the square root of the size of its block."""
    from flint import arb, arb_mat

    root = [arb(size).sqrt() for size in sizes for _ in range(size)]
    count = range(len(root))
    return arb_mat([[matrix[i, j] / (root[i] * root[j]) for j in count] for i in count])


class PinnRun(TrainedRun):
    """``r = ((A u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2))`` with loss ``||r||^2 / 2``.

    The network is ``u(x) = alpha m**-1/2 sum_r a_r sigma(w_r . (x, 1))``, the weights w_r (bias included) are trained,
    the signs a_r frozen. The instance's data are ``interior`` (n_1, coordinates), ``boundary`` (n_2, coordinates)
    and, 0 where absent, ``source`` (n_1,) and ``values`` (n_2,); its parameter ``alpha`` is 1 where absent.

    Parameters
    ----------
    activation : str or Activation
    equation : callable
        Writes the operator A over the coordinates.
    method : {"gradient", "natural gradient"}
    relative : bool
        Take the targets relative to the initial outputs, so that -source/sqrt(n_1), -values/sqrt(n_2) is r(0).
    coupled : bool
        Neurons come in pairs that cancel, so that u = 0 at the start and r(0) is the same.
    """

    def __init__(
        self,
        instance: Instance,
        theorem: Theorem,
        *,
        activation: str | Activation = "relu3",
        equation: Equation = heat_equation,
        method: MethodName = "gradient",
        relative: bool = False,
        coupled: bool = False,
        backend: str = "auto",
        store: RecordStore | None = None,
    ) -> None:
        super().__init__(instance, theorem, backend=backend, store=store)
        self.activation, self.equation, self.method = activation, equation, method
        self.relative, self.coupled = relative, coupled
        _ = self.alpha  # refused before anything is computed
        where = f"instance of {instance.theorem or 'a theorem'}"
        self._points = self.read_points(*BLOCKS, beside=TARGETS)
        refuse_other_dimensions(self._points, where)
        if instance.width < 1:
            raise NtkVerifyError(f"{where}: width is {instance.width}; a network needs at least one neuron.")

    def with_samples(self, **points: Any) -> Self:
        """A run of the same problem at other samples.

        Parameters
        ----------
        **points : array_like (n_b, coordinates)
            The samples of the blocks that change; the rest of the instance stays, but for targets of which a block
            with another number of samples would have too few or too many.
        """
        args, options = self._made_with
        data = {**self.instance.data, **points}
        for target, block in TARGETS.items():
            if target in data and np.shape(data[target])[:1] != np.shape(data[block])[:1]:
                del data[target]
        return type(self)(replace(self.instance, data=data), *args[1:], **options)

    @property
    def points(self) -> dict[str, Any]:
        """Samples by block, (n_b, coordinates)."""
        return {name: self.numbers(x) for name, x in self._points.items()}

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance."""
        return f"{_problem_name(*self._problem)} {self.relative}{' coupled' if self.coupled else ''}"

    @property
    def _problem(self) -> tuple[str | Activation, Equation, int]:
        return self.activation, self.equation, self._points["interior"].shape[1]

    @functools.cached_property
    def neuron(self) -> Neuron:
        """One neuron of the problem."""
        return problem_neuron(*self._problem, self.coupled, float(self.plain.alpha))

    @functools.cached_property
    def _bare_samples(self) -> Samples:
        """Points and scales, targets left at zero."""
        return as_samples(self.neuron, self._points, normalise=True)

    @functools.cached_property
    def samples(self) -> Samples:
        """Points, targets and the scales n_b**-1/2; targets relative to the initial outputs are float64's."""
        targets = self._given_targets
        if self.relative:
            sizes = self._sizes
            outputs = np.split(self.plain.at_start.outputs, sizes[:1])  # carry the scale n_b**-1/2
            targets = {b: targets[b] + u * np.sqrt(n) for b, u, n in zip(BLOCKS, outputs, sizes, strict=True)}
        return as_samples(self.neuron, self._points, targets, normalise=True)

    @property
    def _sizes(self) -> list[int]:
        return [len(self._points[name]) for name in BLOCKS]

    @property
    def n(self) -> Any:
        """Number of residuals, n_1 + n_2, known without drawing anything."""
        return self.number(sum(self._sizes))

    @property
    def _given_targets(self) -> dict[str, Array]:
        """The instance's ``source`` and ``values`` by block; zero where it has none."""
        return {
            block: self.instance.array(name) if name in self.instance.data else np.zeros(len(self._points[block]))
            for name, block in TARGETS.items()
        }

    @property
    def given_residuals(self) -> Any:
        """(-source/sqrt(n_1), -values/sqrt(n_2)), (n,): r(0) where outputs start at 0 or targets relative to them."""
        parts = [-self.numbers(y) / np.sqrt(self.number(len(y))) for y in self._given_targets.values()]
        return self.numbers(np.concatenate(parts))

    @property
    def residual_0(self) -> Any:
        """||r(0)||, known before anything is drawn where initial outputs are 0 or targets relative to them."""
        known = (self.relative or self.coupled) and not self.is_exact
        return np.linalg.norm(self.given_residuals) if known else super().residual_0

    @property
    def rho(self) -> Any:
        """Largest norm of an augmented point (x, 1)."""
        return np.linalg.norm(self.numbers(Terms(self._bare_samples).inputs), axis=1).max()

    @functools.cached_property
    def limit_gram(self) -> Any:
        """H^inf, (n, n)."""
        if self.is_exact:
            from flint import ctx

            limit = problem_limit(*self._problem)
            matrix = normalised(limit.matrix_balls(self._points, bits=ctx.prec), self._sizes)
            return self.alpha**2 * self.numbers(as_object_array(matrix))
        return self.alpha**2 * self._limit_matrices[0]

    @property
    def _limit_matrices(self) -> tuple[Array, Array]:
        points = (np.ascontiguousarray(self._points[name]).tobytes() for name in BLOCKS)
        return _limit_matrix(*self._problem, *points)

    @property
    def limit_gram_error(self) -> Array:
        """Estimated absolute error of each entry of H^inf in float64, (n, n); 0 where all is in closed form."""
        return np.asarray(self.alpha**2 * self._limit_matrices[1])

    @functools.cached_property
    def limit_eigenvalues(self) -> Any:
        """Eigenvalues of H^inf in ascending order."""
        return np.linalg.eigvalsh(self.limit_gram)

    @property
    def lambda_0(self) -> Any:
        """Least eigenvalue of H^inf, refused where float64 can't tell it from zero."""
        low, high = self.limit_eigenvalues[0], self.limit_eigenvalues[-1]
        if not self.is_exact and low <= self.n * np.finfo(np.float64).eps * high:
            sizes = dict(zip(BLOCKS, self._sizes, strict=True))
            raise NtkVerifyError(singular_to_rounding(self.limit_gram, sizes, float(low)))
        return low

    @property
    def limit_norm(self) -> Any:
        """Spectral norm of H^inf."""
        return self.limit_eigenvalues[-1]

    @functools.cached_property
    def certified_lambda_0(self) -> Enclosure:
        """The least eigenvalue of H^inf at scale 1, enclosed in ball arithmetic."""
        limit = problem_limit(*self._problem)
        matrix = limit.matrix_balls(self._points, bits=CERTIFIED_BITS)
        from flint import ctx

        # dividing by the blocks' sizes in the 53 bits that are set otherwise would widen entries to float64's rounding
        with ctx.workprec(CERTIFIED_BITS):
            matrix = normalised(matrix, self._sizes)
        return least_eigenvalue(matrix, bits=CERTIFIED_BITS)

    # -- before training --------------------------------------------------------------------------------------------

    def initial(self, radius: Any = 0.0, *, samples: Samples | None = None) -> Initial:
        """Outputs, Gram matrix and share of pre-activations within `radius` of zero, before training."""
        return super().initial(radius, samples=self._bare_samples if samples is None else samples)

    @property
    def initial_gram_error(self) -> Any:
        """||H(0) - H^inf||_F."""
        return np.linalg.norm((self.at_start.gram - self.limit_gram).ravel())


def pinn(
    *,
    activation: str | Activation = "relu3",
    equation: Equation = heat_equation,
    method: MethodName = "gradient",
    relative: bool = False,
    kind: type[PinnRun] = PinnRun,
    coupled: bool = False,
) -> Callable[..., PinnRun]:
    """What ``run=`` of a family of instances takes: a `PinnRun`, or a subclass as `kind`, with these options."""
    return functools.partial(
        kind, activation=activation, equation=equation, method=method, relative=relative, coupled=coupled
    )
