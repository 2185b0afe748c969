"""Regression with a wide two-layer network, inner weights trained by gradient descent."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arithmetic.ball_linear import as_object_array
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import as_samples
from ntkverify.measures.initial import Shift, initial_sweep, worst_shift
from ntkverify.problems.records import RecordStore
from ntkverify.problems.trained import MethodName, TrainedRun
from ntkverify.symbolic.limit.angles import AngleBounds, angle_bounds
from ntkverify.symbolic.limit.coincident import PARALLEL, singular_to_rounding
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.neuron import Neuron, regression_neuron
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem


@functools.lru_cache(maxsize=64)
def _neuron(activation: str, dimension: int, coupled: bool = False, scale: float = 1.0) -> Neuron:
    return regression_neuron(activation, dimension=dimension, trainable=("inner",), coupled=coupled, output_scale=scale)


@functools.lru_cache(maxsize=64)
def _limit(activation: str, dimension: int) -> Any:
    return limit_gram(_neuron(activation, dimension))


@functools.lru_cache(maxsize=256)
def _limit_matrix(activation: str, shape: tuple[int, int], points: bytes) -> Array:
    """H^inf, which draws and runs of one data set ask for many times."""
    return np.asarray(_limit(activation, shape[1]).matrix(np.frombuffer(points).reshape(shape)))


def limit_gram_matrix(inputs: Any, *, activation: str = "relu") -> Array:
    """Limit Gram matrix H^inf of the inputs, derived from the Gaussian expectation.

    Parameters
    ----------
    inputs : array (n, d)
        One sample a row.

    Returns
    -------
    array (n, n)

    Raises
    ------
    NtkVerifyError
        If there is no sample or a value is not finite.
    """
    points = np.asarray(inputs, np.float64)
    if points.ndim == 1 and points.size:
        raise NtkVerifyError(
            f"inputs have the shape {points.shape}, but are (samples, dimensions); give one row a sample, by "
            "reshape(-1, 1) where there is one dimension."
        )
    if points.ndim != 2 or 0 in points.shape:
        raise NtkVerifyError(
            f"regression needs at least one input row, data of shape {points.shape} has none; add samples."
        )
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0][0])
        raise NtkVerifyError(f"input {row} of the regression problem is not finite; remove it.")
    return _limit_matrix(activation, points.shape, np.ascontiguousarray(points).tobytes()).copy()


def least_eigenvalue(matrix: Array) -> float:
    """Least eigenvalue of a symmetric matrix, refused where float64 can't tell it from zero.

    Raises
    ------
    NtkVerifyError
        If the eigenvalue is below the backward error of the eigensolver, n * eps * ||matrix||: naming all pairs of
        inputs that are parallel or nearly so.
    """
    if not np.diag(matrix).all():
        zero = int(np.argmin(np.diag(matrix)))
        raise NtkVerifyError(f"the limit Gram matrix is singular: input {zero} is the zero vector; remove it.")
    eigenvalues = np.linalg.eigvalsh(matrix)
    floor = len(matrix) * np.finfo(np.float64).eps * eigenvalues[-1]
    if eigenvalues[0] <= floor:
        raise NtkVerifyError(singular_to_rounding(matrix, {"inputs": len(matrix)}, float(eigenvalues[0]), PARALLEL))
    return float(eigenvalues[0])


class RegressionRun(TrainedRun):
    """``f(x) = alpha m**-1/2 sum_r a_r sigma(w_r . x)``, loss ``1/2 sum_i (f(x_i) - y_i)^2``, weights w trained.

    The instance's data are ``inputs`` (n, d) and ``targets`` (n,); its parameter ``alpha`` is 1 where absent. Sweeps
    happen when a claim first asks for something they measure; initial quantities never train the network.

    Parameters
    ----------
    instance, theorem, backend, store
        As for `Run`.
    coupled : bool
        Neurons come in pairs that cancel, so that f = 0 at the start.
    method : {"gradient", "natural gradient"}, optional
        The class's own by default.
    """

    activation = "relu"
    cost = 4.0

    def __init__(
        self,
        instance: Instance,
        theorem: Theorem,
        *,
        coupled: bool = False,
        method: MethodName | None = None,
        backend: str = "auto",
        store: RecordStore | None = None,
    ) -> None:
        super().__init__(instance, theorem, backend=backend, store=store)
        self.coupled, self.method = coupled, method or self.method
        _ = self.alpha  # refused before anything is computed
        self._given = self._data()
        where = f"instance of {instance.theorem or 'a theorem'}"
        if self._given[0].size == 0:
            raise NtkVerifyError(f"{where}: there are no inputs (n = 0); add at least one sample.")
        if instance.width < 1:
            raise NtkVerifyError(f"{where}: width is {instance.width}; a network needs at least one neuron.")

    def _data(self) -> tuple[Array, Array]:
        """Inputs and targets of the instance; a subclass may take them from elsewhere."""
        inputs = self.read_points("inputs", beside={"targets": "inputs"})["inputs"]
        return inputs, self.instance.array("targets")

    @property
    def inputs(self) -> Any:
        """Inputs, (n, d)."""
        return self.numbers(self._given[0])

    @property
    def targets(self) -> Any:
        """Targets, (n,)."""
        return self.numbers(self._given[1])

    @functools.cached_property
    def samples(self) -> Samples:
        """Inputs and targets."""
        scale = float(self.plain.alpha)
        return as_samples(_neuron(self.activation, self._given[0].shape[1], self.coupled, scale), *self._given)

    @property
    def kind(self) -> str:
        """Activation and initialisation; the instance says the rest."""
        return f"{self.activation}{' coupled' if self.coupled else ''}"

    @functools.cached_property
    def limit_gram(self) -> Any:
        """H^inf, (n, n)."""
        return self.limit_at(self._given[0])

    def limit_at(self, points: Array, *, covariance: bool = False) -> Any:
        """The limit kernel at any points (q, d), or the covariance of outputs of independent neurons, (q, q)."""
        limit = _limit(self.activation, points.shape[1])
        if not self.is_exact:
            found = limit.covariance(points) if covariance else limit_gram_matrix(points, activation=self.activation)
            return self.alpha**2 * found
        from flint import ctx

        matrix = limit.matrix_balls(points.tolist(), bits=ctx.prec, covariance=covariance)
        return self.alpha**2 * self.numbers(as_object_array(matrix))

    @property
    def limit_gram_error(self) -> Array:
        """Estimated absolute error of each entry of H^inf in float64, (n, n); 0 where all is in closed form."""
        limit = _limit(self.activation, self._given[0].shape[1])
        return np.asarray(self.alpha**2 * limit.matrix_with_error(self._given[0])[1])

    @functools.cached_property
    def lambda_0(self) -> Any:
        """Least eigenvalue of the limit Gram matrix."""
        return np.linalg.eigvalsh(self.limit_gram)[0] if self.is_exact else least_eigenvalue(self.limit_gram)

    @functools.cached_property
    def limit_norm(self) -> Any:
        """Spectral norm of the limit Gram matrix."""
        return np.linalg.norm(self.limit_gram, 2)

    @property
    def angle_bounds(self) -> AngleBounds | None:
        """Bounds on the spectrum of H^inf of ReLU from the inputs' inner products, without the matrix."""
        if self.activation != "relu":
            return None
        return angle_bounds(self._given[0]).scaled(float(self.plain.alpha) ** 2)

    # -- before training --------------------------------------------------------------------------------------------

    def worst_shift(self, radius: Any) -> Shift:
        """Change of the Gram matrix when every neuron within `radius` of switching off is switched off."""
        if self.is_exact:
            return self._enclosed_shift(radius)
        radius = float(radius)
        return self.shared(
            f"worst shift {radius!r}",
            lambda: worst_shift(self.samples, seed=self.instance.weight_seed, width=self.instance.width, radius=radius),
        )

    def _enclosed_shift(self, radius: Any) -> Shift:
        """As `worst_shift`: active neurons near switching moved against the mean input."""
        mean = self.inputs.sum(axis=0)
        direction, reach = mean / np.linalg.norm(mean), self.number(radius)
        along = self.weights @ direction
        moves = self.numbers([reach if z >= 0 and z <= reach else 0 for z in along])
        moved = self.weights - np.multiply.outer(moves, direction)
        grams = [self._gram_at(weights) for weights in (self.weights, moved)]
        return Shift(np.linalg.norm((grams[1] - grams[0]).ravel()), self.initial(radius).near)

    def _gram_at(self, weights: Any) -> Any:
        executor = self.executor
        return self.numbers(executor.gram(self._moved(executor, weights), self._moved(executor, self.frozen)))

    @property
    def initial_gram_error(self) -> Any:
        """||H(0) - H^inf||_F."""
        return np.linalg.norm((self.at_start.gram - self.limit_gram).ravel())

    @property
    def initial_outputs(self) -> Any:
        """u_i(0), (n,)."""
        return self.at_start.outputs

    @property
    def residual_0(self) -> Any:
        """||u(0) - y||."""
        return np.linalg.norm(self.initial_outputs - self.targets)

    @property
    def loss_0(self) -> Any:
        """Half the squared residual norm at initialisation."""
        return self.residual_0**2 / 2

    # -- along the trajectory ---------------------------------------------------------------------------------------

    @property
    def largest_gradient(self) -> Any:
        """max_r ||dL/dw_r(k)||, (K,)."""
        return self.trajectory.gradients

    @property
    def linear_step(self) -> Any:
        """(I - eta H(k)) r(k), (K, n)."""
        r, grams = self.trajectory.residuals[:-1], self.trajectory.grams[:-1]
        return r - self.eta * np.einsum("kij,kj->ki", grams, r)


def regression(*, coupled: bool = False, method: MethodName = "gradient") -> Callable[..., RegressionRun]:
    """What ``run=`` of a family of instances takes: a `RegressionRun` with these options."""
    return functools.partial(RegressionRun, coupled=coupled, method=method)


class NaturalRegressionRun(TrainedRun):
    """Two-layer ReLU regression by natural gradient descent; targets are relative to the initial outputs."""

    method: MethodName = "natural gradient"

    @functools.cached_property
    def samples(self) -> Samples:
        """Inputs, and targets at the given residuals from the initial outputs."""
        inputs = self.read_points("inputs", beside={"start": "inputs"})["inputs"]
        neuron = regression_neuron("relu", dimension=inputs.shape[1])
        start = initial_sweep(
            as_samples(neuron, inputs), seed=self.instance.weight_seed, width=self.instance.width, radius=0.0
        )
        return as_samples(neuron, inputs, start.outputs - self.instance.array("start"))

    @property
    def sigma_0(self) -> Any:
        """Least singular value of J(0)."""
        return np.sqrt(self.eigenvalues[0, 0])
