"""Two-layer regression seen as a function: at test points, and on samples drawn at random from a population."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import as_samples
from ntkverify.measures.field import Field
from ntkverify.measures.initial import Initial, initial_sweep
from ntkverify.measures.steps import Measure
from ntkverify.problems.regression import RegressionRun, limit_gram_matrix


@functools.lru_cache(maxsize=16)
def _kernel(activation: str, points: bytes, shape: tuple[int, int]) -> Array:
    """The limit kernel at points given as bytes, which runs on one population share."""
    return limit_gram_matrix(np.frombuffer(points).reshape(shape), activation=activation)


class FieldRun(RegressionRun):
    """`RegressionRun` that also sees the network at the instance's ``tests`` (q, d), which are not trained on.

    Rows of what is measured at all points are those of the inputs, then those of the test points.
    """

    further_data: tuple[str, ...] = ("tests",)
    #: whether kernels at the test points are wanted at every step, or the outputs alone
    kernels = True

    def _data(self) -> tuple[Array, Array]:
        self._tests = self._test_points()
        given = super()._data()
        if self._tests.ndim != 2 or self._tests.size == 0 or self._tests.shape[1:] != given[0].shape[1:]:
            raise NtkVerifyError(
                f"instance of {self.instance.theorem or 'a theorem'}: test points have the shape {self._tests.shape}, "
                f"inputs {given[0].shape}; give at least one test point, of as many coordinates."
            )
        return given

    def _test_points(self) -> Array:
        return self.instance.array("tests")

    @property
    def tests(self) -> Any:
        """Test points, (q, d)."""
        return self.numbers(self._tests)

    def at_all_points(self, targets: Array | None = None) -> Samples:
        """Inputs and test points as samples of one network, targets 0 by default."""
        return as_samples(self.neuron, np.concatenate([self._given[0], self._tests]), targets)

    @property
    def work(self) -> float:
        """What the sweeps over all points cost as well."""
        return super().work + float(self.instance.width) * self.at_all_points().total * (1 + self.instance.steps)

    def measures(self) -> list[Measure]:
        """The field too."""
        executor, count = self.executor_at(self.at_all_points()), len(self._given[0])
        return [*super().measures(), Field(executor, count, kernels=self.kernels)]

    # -- before training --------------------------------------------------------------------------------------------

    def start_at_all_points(self, radius: Any = 0.0) -> Initial:
        """`initial` at inputs and test points."""
        samples = self.at_all_points()
        if self.is_exact:
            return self.initial(radius, samples=samples)
        seed, width, radius = self.instance.weight_seed, self.instance.width, float(radius)
        return self.shared(
            f"all points {self.kind} {radius!r}",
            lambda: initial_sweep(samples, seed=seed, width=width, radius=radius),
        )

    @functools.cached_property
    def limit_at_all_points(self) -> Any:
        """The limit kernel, (n + q, n + q)."""
        return self.limit_at(np.concatenate([self._given[0], self._tests]))

    @functools.cached_property
    def covariance_at_all_points(self) -> Any:
        """The covariance of the outputs at the start where neurons are independent, (n + q, n + q)."""
        return self.limit_at(np.concatenate([self._given[0], self._tests]), covariance=True)

    # -- along the trajectory ---------------------------------------------------------------------------------------

    @property
    def field(self) -> Any:
        """u_x(k), (K+1, q)."""
        return self.trajectory.field

    @property
    def cross(self) -> Any:
        """The cross kernel at the start, K_x = J_x J^T, (q, n)."""
        return self.trajectory.cross_kernels[0]

    @property
    def cross_drift(self) -> Any:
        """||K_x(k) - K_x||, (K+1, q)."""
        return np.linalg.norm(self.trajectory.cross_kernels - self.cross, axis=2)

    @property
    def field_remainders(self) -> Any:
        """u_x(k+1) - u_x(k) + eta K_x(k) r(k), what a step of gradient descent leaves, (K, q)."""
        u, moved = self.field, np.einsum("kqn,kn->kq", self.trajectory.cross_kernels, self.trajectory.residuals)
        return u[1:] - u[:-1] + self.eta * moved[:-1]

    @property
    def field_remainder_error(self) -> Any:
        """Bound of its rounding error, (K, q)."""
        error, ulp = self.trajectory.field_error, float(np.finfo(np.float64).eps)
        rows = np.linalg.norm(self.trajectory.cross_kernels[:-1], axis=2)
        moved = self.eta * rows * self.residual[:, None]
        return 4 * (error[1:] + error[:-1]) + 2.0**10 * ulp * moved

    def linear_residuals(self, gram: Any) -> Any:
        """(I - eta H)^k r(0) for a Gram matrix H, (K+1, n)."""
        found = [self.trajectory.residuals[0]]
        for _ in range(self.steps):
            found.append(found[-1] - self.eta * (gram @ found[-1]))
        return self.numbers(np.array(found))

    def linear_norms(self, gram: Any) -> Any:
        """sqrt(c^T H c), c = eta sum_{j<k} (I - eta H)^j r(0): the linear model's norm, J^T c its weights', (K+1,)."""
        moved = self.eta * np.cumsum(self.linear_residuals(gram)[:-1], axis=0)
        found = np.sqrt(((moved @ gram) * moved).sum(axis=1))
        return np.concatenate([0 * self.residuals[:1], found])

    def linear_field(self, gram: Any, cross: Any) -> Any:
        """u_x(0) - eta sum_{j<k} K_x (I - eta H)^j r(0), the linear model at the test points, (K+1, q)."""
        steps = self.eta * (self.linear_residuals(gram)[:-1] @ cross.T)
        moved = np.concatenate([0 * steps[:1], np.cumsum(steps, axis=0)]) if self.steps else 0 * self.field
        return self.field[0] - moved


class PopulationRun(FieldRun):
    """Inputs drawn with the instance's seed, uniformly and with replacement, from its ``population`` (N, d).

    The population's ``labels`` (N,), between -1 and 1, are the targets, its points the test points, so that the error
    on the distribution is an average over N numbers. The parameter ``size`` says how many are drawn; the distinct ones
    are trained on. Losses are l(u, y) = min(1, |u - y|), in [0, 1] and 1-Lipschitz.

    Parameters
    ----------
    random_labels : bool
        Independent fair signs in place of the labels, drawn with the seed as well.
    """

    further_data = ("population", "labels")
    kernels = False

    def __init__(self, *args: Any, random_labels: bool = False, **options: Any) -> None:
        self.random_labels = random_labels
        super().__init__(*args, **options)

    def _test_points(self) -> Array:
        return self.read_points("population", beside={"labels": "population"})["population"]

    def _data(self) -> tuple[Array, Array]:
        size = self.instance.parameters.get("size", 0)
        if not size >= 1 or size != round(size):
            raise NtkVerifyError(
                f"instance of {self.instance.theorem or 'a theorem'}: parameter 'size' is {size}; draw a whole number "
                "of samples, at least one."
            )
        points = self._tests = self._test_points()
        rng = np.random.default_rng([self.instance.seed, 1])
        self._drawn_points = rng.integers(len(points), size=round(size))
        signs = rng.choice([-1.0, 1.0], len(points))
        self._labels = signs if self.random_labels else self.instance.array("labels")
        chosen = np.unique(self._drawn_points)
        self._chosen = chosen
        return points[chosen], self._labels[chosen]

    @property
    def kind(self) -> str:
        """The problem, and whose labels."""
        return f"{super().kind}{', random labels' if self.random_labels else ''}"

    @functools.cached_property
    def population_kernel(self) -> Any:
        """The limit kernel at the population, (N, N)."""
        if self.is_exact:
            return self.limit_at(self._tests)
        kernel = _kernel(self.activation, self._tests.tobytes(), self._tests.shape)
        # thousands of runs on one population hold one kernel, not a copy each
        return kernel if self.alpha == 1 else self.alpha**2 * kernel

    @functools.cached_property
    def limit_gram(self) -> Any:
        """H^inf at the distinct samples, (n, n)."""
        if self.is_exact:  # an enclosure of the whole population's would take minutes
            return self.limit_at(self._given[0])
        return self.population_kernel[np.ix_(self._chosen, self._chosen)]

    @functools.cached_property
    def coefficients(self) -> Any:
        """(H^inf)^(-1) y, (n,)."""
        return np.linalg.solve(self.limit_gram, self.targets)

    @property
    def complexity(self) -> Any:
        """y^T (H^inf)^(-1) y, the squared norm of the least interpolant."""
        return self.targets @ self.coefficients

    def complexity_of(self, labels: Any) -> Any:
        """The same for other labels of the population, (N,)."""
        chosen = self.numbers(labels[self._chosen])
        return chosen @ (self.inverse @ chosen)

    @functools.cached_property
    def inverse(self) -> Any:
        """(H^inf)^(-1), (n, n)."""
        return np.linalg.solve(self.limit_gram, self.numbers(np.eye(len(self.targets))))

    @property
    def interpolant(self) -> Any:
        """The interpolant of least norm at the population, (N,)."""
        return self.population_kernel[:, self._chosen] @ self.coefficients

    def population_error(self, values: Any) -> Any:
        """Mean loss over the population of a function with these values there, (..., N)."""
        return self._losses(values).mean(axis=-1)

    def sample_error(self, values: Any) -> Any:
        """Mean loss over the draws of the sample."""
        return self._losses(values)[..., self._drawn_points].mean(axis=-1)

    def counted(self, values: Any) -> Any:
        """Losses at the points seen, and 1 at each of the others, over N: what needs no theory, (...,)."""
        return self._losses(values)[..., self._chosen].sum(axis=-1) / len(self._tests) + self.unseen

    @property
    def unseen(self) -> Any:
        """The share of the population that is not in the sample."""
        return 1 - self.number(len(self._chosen)) / len(self._tests)

    def _losses(self, values: Any) -> Any:
        return np.minimum(1, np.abs(values - self._labels))

    @property
    def witness(self) -> Any:
        """The function of norm 1 whose mean over the population most exceeds its mean over the draws, (N,)."""
        away = self.excess @ self.population_kernel
        return away / np.sqrt(away @ self.excess)

    @property
    def excess(self) -> Any:
        """Of each point: its share of the population minus its share of the draws, (N,)."""
        count = len(self._tests)
        return 1 / count - np.bincount(self._drawn_points, minlength=count) / len(self._drawn_points)


def from_population(*, random_labels: bool = False, coupled: bool = True) -> Callable[..., PopulationRun]:
    """What ``run=`` of a family of instances takes: a `PopulationRun` with these options."""
    return functools.partial(PopulationRun, random_labels=random_labels, coupled=coupled)


def field(*, coupled: bool = False) -> Callable[..., FieldRun]:
    """What ``run=`` of a family of instances takes: a `FieldRun` with these options."""
    return functools.partial(FieldRun, coupled=coupled)
