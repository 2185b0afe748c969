"""Shallow neural operators: branch times trunk, both trained, at all pairs of an input function and a query point."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np

from ntkverify.arithmetic.ball_linear import as_object_array
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.product_samples import product_samples
from ntkverify.execution.samples import Samples
from ntkverify.measures.groups import GroupGrams, UnitDrift
from ntkverify.measures.initial import Initial
from ntkverify.measures.steps import Measure
from ntkverify.problems.pinn import CERTIFIED_BITS, Equation
from ntkverify.problems.records import RecordStore
from ntkverify.problems.trained import TrainedRun
from ntkverify.symbolic.limit.enclosures import least_eigenvalue
from ntkverify.symbolic.limit.limits import OperatorLimitGram, operator_limit_gram
from ntkverify.symbolic.network.neuron import Neuron, network_neuron, regression_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, identity
from ntkverify.symbolic.network.product import ProductNeuron, product_neuron
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

#: the operator's data that say where it is queried, by block
QUERIES = {"data": "queries", "interior": "interior", "boundary": "boundary"}


def _operators(equation: Equation | None, dimension: int) -> Mapping[str, Operator]:
    points = coordinates(" ".join(f"y_{i}" for i in range(dimension)))
    if equation is None:
        return {"data": identity(points)}
    return {"interior": equation(points), "boundary": identity(points)}


@functools.lru_cache(maxsize=64)
def problem_neuron(
    trunk: str, equation: Equation | None, sensors: int, dimension: int, width: int, coupled: bool, scale: float
) -> ProductNeuron:
    """One neuron of G(u)(y) = scale m^-1/2 sum_r b_r(u) trunk(w_r . y), b_r with `width` ReLU units."""
    return product_neuron(
        "relu",
        trunk,
        _operators(equation, dimension),
        sensors=sensors,
        branch_width=width,
        inner_bias=equation is not None,
        coupled=coupled,
        output_scale=scale,
    )


@functools.lru_cache(maxsize=64)
def _problem_name(*problem: Any) -> str:
    return str([block.features for block in problem_neuron(*problem).unrolled.blocks])


@functools.lru_cache(maxsize=64)
def problem_limit(trunk: str, equation: Equation | None, sensors: int, dimension: int) -> OperatorLimitGram:
    """The factors of the limit Gram matrices for an output of scale 1; they are the same for every branch width."""
    query = network_neuron(
        trunk,
        _operators(equation, dimension),
        trainable=("inner", "inner_bias") if equation else ("inner",),
        inner_bias=equation is not None,
    )
    return operator_limit_gram(regression_neuron("relu", dimension=sensors), query)


class OperatorRun(TrainedRun):
    """``r_ij = G(u_i)(y_j) - z_ij`` with loss ``||r||^2/2``; weights w_r ("trunk") and v_rk ("branch") are trained.

    The network is ``G(u)(y) = alpha m^-1/2 sum_r b_r(u) sigma(w_r . y)`` with branches ``b_r(u) = p^-1/2 sum_k s_rk
    relu(v_rk . u)``. The instance's data are ``functions`` (n_1, q), one function's sensor values a row,
    ``queries`` (n_2, d) and ``values`` (n_1, n_2); its parameters ``p`` and ``alpha``, 1 where absent. With an
    `equation` the trunk has a bias and the residuals are ``(A G(u_i)(y_j) - f_ij)/sqrt(n_2)`` at ``interior``
    (n_2, d) with ``source`` (n_1, n_2), and ``(G(u_i)(y_j) - g_ij)/sqrt(n_3)`` at ``boundary`` (n_3, d) with
    ``values`` (n_1, n_3).

    Parameters
    ----------
    trunk : str
        Activation of the trunk.
    equation : callable, optional
        Writes the operator A over the query's coordinates.
    coupled : bool
        Neurons come in pairs that cancel, so that G = 0 at the start.
    """

    def __init__(
        self,
        instance: Instance,
        theorem: Theorem,
        *,
        trunk: str = "relu",
        equation: Equation | None = None,
        coupled: bool = False,
        backend: str = "auto",
        store: RecordStore | None = None,
    ) -> None:
        super().__init__(instance, theorem, backend=backend, store=store)
        self.trunk, self.equation, self.coupled = trunk, equation, coupled
        where = f"instance of {instance.theorem or 'a theorem'}"
        names = ["data"] if equation is None else ["interior", "boundary"]
        self._functions = np.atleast_2d(instance.array("functions"))
        self._queries = {name: np.atleast_2d(instance.array(QUERIES[name])) for name in names}
        if self._functions.size == 0 or any(y.size == 0 for y in self._queries.values()):
            raise NtkVerifyError(f"{where}: an operator needs at least one input function and one query point a block.")
        if len({y.shape[1] for y in self._queries.values()}) > 1:
            raise NtkVerifyError(f"{where}: interior and boundary need points with the same number of coordinates.")
        if instance.width < 1:
            raise NtkVerifyError(f"{where}: width is {instance.width}; a network needs at least one neuron.")
        units = instance.parameters.get("p", 1)
        if units < 1 or units != int(units):
            raise NtkVerifyError(f"{where}: the branch has p = {units} units; give a whole number of at least 1.")
        if instance.parameters.get("alpha", 1) <= 0:
            raise NtkVerifyError(
                f"{where}: the output has scale alpha = {instance.parameters['alpha']}; let it be > 0."
            )
        self._units = int(units)
        self._targets = self._checked_targets(where)

    def with_points(self, **points: Any) -> Self:
        """A run of the same problem at other samples, with targets 0.

        Parameters
        ----------
        **points : array_like
            The functions, or the queries of a block, that change; the rest of the instance's stay.
        """
        kept = {name: x for name, x in self.instance.data.items() if name not in ("source", "values")}
        args, options = self._made_with
        return type(self)(replace(self.instance, data={**kept, **points}), *args[1:], **options)

    def _checked_targets(self, where: str) -> dict[str, Array]:
        targets = {}
        for name, y in self._queries.items():
            key, shape = "source" if name == "interior" else "values", (len(self._functions), len(y))
            z = self.instance.array(key) if key in self.instance.data else np.zeros(shape)
            if z.shape != shape:
                raise NtkVerifyError(f"{where}: {key} must have shape {shape}, a row for each function, not {z.shape}.")
            targets[name] = z
        return targets

    @property
    def _problem(self) -> tuple[Any, ...]:
        (dimension,) = {y.shape[1] for y in self._queries.values()}
        return self.trunk, self.equation, self._functions.shape[1], dimension

    @functools.cached_property
    def _neuron_options(self) -> tuple[Any, ...]:
        return (*self._problem, self._units, self.coupled, float(self.instance.parameters.get("alpha", 1)))

    @functools.cached_property
    def neuron(self) -> Neuron:
        """One neuron of the problem."""
        return problem_neuron(*self._neuron_options).unrolled

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance."""
        return f"{_problem_name(*self._neuron_options)} {self.coupled}"

    @functools.cached_property
    def samples(self) -> Samples:
        """All pairs of a function and a query, block by block, and within a block function by function."""
        scale = {name: 1 / math.sqrt(len(y)) for name, y in self._queries.items()} if self.equation else None
        return product_samples(
            problem_neuron(*self._neuron_options), self._functions, self._queries, self._targets, scale
        )

    # -- sizes --------------------------------------------------------------------------------------------------------

    @property
    def p(self) -> Any:
        """Units of a neuron's branch."""
        return self.number(self._units)

    @property
    def alpha(self) -> Any:
        """Scale of the output."""
        return self.number(self.instance.parameters.get("alpha", 1.0))

    @property
    def n_1(self) -> Any:
        """Number of input functions."""
        return self.number(len(self._functions))

    @property
    def n_2(self) -> Any:
        """Number of queries, of all blocks."""
        return self.number(sum(len(y) for y in self._queries.values()))

    @property
    def functions(self) -> Any:
        """Sensor values of the input functions, (n_1, q)."""
        return self.numbers(self._functions)

    @property
    def queries(self) -> Any:
        """What the trunk's weights multiply, (n_2, d): the queries of all blocks, with a 1 for the bias."""
        points = np.concatenate(list(self._queries.values()))
        ones = np.ones((len(points), len(self.neuron.groups["trunk"]) - points.shape[1]))
        return self.numbers(np.hstack([points, ones]))

    # -- limits -------------------------------------------------------------------------------------------------------

    @property
    def _factors(self) -> dict[str, Any]:
        """Per factor of the limits: K_1(u), K_0(u), and of the trunk Gram matrix and covariance with their scales."""
        limit = problem_limit(*self._problem)
        if not self.is_exact:
            return {
                "branch covariance": limit.branch.covariance(self._functions),
                "branch gram": limit.branch.matrix(self._functions),
                "trunk gram": limit.trunk.matrix(self._queries, normalise=self.equation is not None),
                "trunk covariance": self._scaled(limit.trunk.covariance(self._queries)),
            }
        from flint import ctx

        found = self._balls(limit, ctx.prec)
        return {name: self.numbers(as_object_array(matrix)) for name, matrix in found.items()}

    def _balls(self, limit: OperatorLimitGram, bits: int) -> dict[str, Any]:
        branch, trunk = limit.branch, limit.trunk
        return {
            "branch covariance": branch.matrix_balls(self._functions, bits=bits, covariance=True),
            "branch gram": branch.matrix_balls(self._functions, bits=bits),
            "trunk gram": self._scaled_balls(trunk.matrix_balls(self._queries, bits=bits), bits),
            "trunk covariance": self._scaled_balls(trunk.matrix_balls(self._queries, bits=bits, covariance=True), bits),
        }

    @property
    def _sizes(self) -> list[int]:
        """Per query, the size of its block where residuals are normalised."""
        return [len(y) if self.equation else 1 for y in self._queries.values() for _ in y]

    def _scaled(self, matrix: Array) -> Array:
        root = np.sqrt(np.array(self._sizes, dtype=float))
        return np.asarray(matrix / np.multiply.outer(root, root))

    def _scaled_balls(self, matrix: Any, bits: int) -> Any:
        from flint import arb, arb_mat, ctx

        with ctx.workprec(bits):
            root, count = [arb(size).sqrt() for size in self._sizes], range(len(self._sizes))
            return arb_mat([[matrix[i, j] / (root[i] * root[j]) for j in count] for i in count])

    @functools.cached_property
    def limit_factors(self) -> dict[str, Any]:
        """The four factors by name, (n_1, n_1) and (n_2, n_2), for alpha = 1."""
        return self._factors

    @functools.cached_property
    def _order(self) -> Any:
        """Where each residual stands among the pairs (function, query of any block)."""
        starts, total = np.cumsum([0, *(len(y) for y in self._queries.values())]), len(self._sizes)
        rows = np.arange(len(self._functions))[:, None] * total
        return np.concatenate([(rows + np.arange(a, b)).ravel() for a, b in itertools.pairwise(starts)])

    def _product(self, left: str, right: str) -> Any:
        full = np.kron(np.asarray(self.limit_factors[left]), np.asarray(self.limit_factors[right]))
        return self.alpha**2 * self.numbers(full[np.ix_(self._order, self._order)])

    @functools.cached_property
    def limit_trunk(self) -> Any:
        """H^inf, of the trunk's weights, (N, N): branch covariance (x) trunk Gram matrix."""
        return self._product("branch covariance", "trunk gram")

    @functools.cached_property
    def limit_branch(self) -> Any:
        """The twin of the branch's weights, (N, N): branch Gram matrix (x) trunk covariance."""
        return self._product("branch gram", "trunk covariance")

    def _ends(self, left: str, right: str) -> Any:
        """Least and largest eigenvalue of a Kronecker product, from its factors."""
        spectra = [np.linalg.eigvalsh(self.limit_factors[name]) for name in (left, right)]
        low, high = (self.alpha**2 * spectra[0][i] * spectra[1][i] for i in (0, -1))
        floor = self.n * np.finfo(np.float64).eps
        if not self.is_exact and min(s[0] - len(s) * floor * s[-1] for s in spectra) <= 0:
            raise NtkVerifyError(
                "the limit Gram matrix is singular to rounding: two input functions, or two queries, are parallel or "
                "nearly so; remove one of them."
            )
        return low, high

    @functools.cached_property
    def lambda_trunk(self) -> Any:
        """lambda_min(H^inf)."""
        return self._ends("branch covariance", "trunk gram")[0]

    @functools.cached_property
    def lambda_branch(self) -> Any:
        """lambda_min of the twin's limit."""
        return self._ends("branch gram", "trunk covariance")[0]

    @property
    def Lambda(self) -> Any:
        """The sum of both least eigenvalues: the rate."""
        return self.lambda_trunk + self.lambda_branch

    @property
    def norm_sum(self) -> Any:
        """||H^inf||_2 plus that of the twin."""
        return self._ends("branch covariance", "trunk gram")[1] + self._ends("branch gram", "trunk covariance")[1]

    @functools.cached_property
    def certified_rate(self) -> Any:
        """Lower ends, proved in balls, of both least eigenvalues at alpha = 1, from those of the four factors."""
        from flint import ctx

        found = self._balls(problem_limit(*self._problem), CERTIFIED_BITS)
        lower = {name: least_eigenvalue(matrix, bits=CERTIFIED_BITS).lower for name, matrix in found.items()}
        with ctx.workprec(CERTIFIED_BITS):
            products = [
                lower["branch covariance"] * lower["trunk gram"],
                lower["branch gram"] * lower["trunk covariance"],
            ]
        return self.numbers(products) if self.is_exact else np.array([float(x.lower()) for x in products])

    # -- before training ----------------------------------------------------------------------------------------------

    @property
    def _split(self) -> int:
        return len(self.neuron.groups["trunk"])

    @functools.cached_property
    def trunk_arguments(self) -> Any:
        """w_r(0) . y_j, (m, n_2)."""
        return self.weights[:, : self._split] @ self.queries.T

    @functools.cached_property
    def branch_arguments(self) -> Any:
        """v_rk(0) . u_i, (m, p, n_1)."""
        units = self.weights[:, self._split :].reshape((self.instance.width, self._units, -1))
        return units @ self.functions.T

    @functools.cached_property
    def branch_values(self) -> Any:
        """b_r(u_i) at the start, (m, n_1)."""
        active = np.maximum(self.branch_arguments, self.number(0))
        return (self.frozen[:, :, None] * active).sum(axis=1) / np.sqrt(self.p)

    @property
    def beta(self) -> Any:
        """The largest |b_r(u_i)| at the start."""
        return abs(self.branch_values).max()

    @property
    def gamma(self) -> Any:
        """The largest relu(w_r . y_j) at the start."""
        return np.maximum(self.trunk_arguments, self.number(0)).max()

    def within(self, arguments: Any, radius: Any) -> Any:
        """1 where the modulus is at most the radius, else 0, as numbers of this run."""
        return self.numbers((abs(arguments) <= self.number(radius)).astype(np.int64))

    def _largest_share(self, arguments: Any, radius: Any) -> Any:
        inside = self.within(arguments.reshape((-1, arguments.shape[-1])), radius)
        return inside.sum(axis=0).max() / self.number(len(inside))

    def trunk_near(self, radius: Any) -> Any:
        """The largest share, over the queries, of neurons with |w_r(0) . y_j| at most the radius."""
        return self._largest_share(self.trunk_arguments, radius)

    def branch_near(self, radius: Any) -> Any:
        """The largest share, over the functions, of units with |v_rk(0) . u_i| at most the radius."""
        return self._largest_share(self.branch_arguments, radius)

    def initial(self, radius: Any = 0.0, *, samples: Samples | None = None) -> Initial:
        """Outputs, Gram matrix of all weights, and share of the trunk's arguments within `radius` of zero."""
        given = self.samples if samples is None else samples
        bare = replace(given, blocks=tuple(replace(b, targets=b.targets * 0) for b in given.blocks))
        return Initial(*self._start(bare), near=self.trunk_near(radius))

    def _start(self, samples: Samples) -> tuple[Any, Any, Any]:
        executor = self.executor_at(samples)
        weights, frozen = self._moved(executor, self.weights), self._moved(executor, self.frozen)
        forward = executor.forward(weights, frozen)
        still = executor.measured_step(weights, frozen, forward, 0, start=executor.copy(weights))
        return tuple(self.numbers(executor.to_host(x)) for x in (forward.residuals, still.errors, still.gram))

    @functools.cached_property
    def initial_grams(self) -> dict[str, Any]:
        """H(0) and its twin, (N, N), by group of weights."""
        return {name: self.group_gram_at(self.weights, name) for name in self.neuron.groups}

    def group_gram_at(self, weights: Any, group: str) -> Any:
        """The Gram matrix of one group at any weights (m, p), (N, N)."""
        executor = self.executor
        found = executor.group_gram(self._moved(executor, weights), self._moved(executor, self.frozen), group)
        return self.numbers(executor.to_host(found))

    @property
    def start_residual(self) -> Any:
        """r(0), (N,), without training."""
        return self.at_start.outputs - self.scaled_targets

    @functools.cached_property
    def gradient_squared(self) -> Any:
        """|grad L|^2 at the start, of both sets of weights."""
        executor = self.executor
        weights, frozen = self._moved(executor, self.weights), self._moved(executor, self.frozen)
        gradient = executor.gradient(weights, frozen, executor.forward(weights, frozen))
        return (self.numbers(executor.to_host(gradient)) ** 2).sum()

    @property
    def initial_gram_errors(self) -> Any:
        """||H(0) - H^inf||_F and the same of the twin, (2,)."""
        limits = {"trunk": self.limit_trunk, "branch": self.limit_branch}
        return self.numbers([np.linalg.norm((self.initial_grams[g] - limits[g]).ravel()) for g in limits])

    def carried(self, group: str, radius: Any, reach: Any) -> Any:
        """Change of the Gram matrix of a group when its own weights are carried across and the others' features grow.

        Every w_r (every v_rk) of the group that is active by at most `radius` on the mean sample moves by that against
        it. Of the other group, all w_r move by `reach` along the mean query, or the units of a neuron by that together,
        each so that it adds to |b_r|.

        Returns
        -------
        scalar
            ||H' - H(0)||_F.
        """
        weights = self.weights.copy()
        w, v = weights[:, : self._split], weights[:, self._split :].reshape((self.instance.width, self._units, -1))
        y, u = (x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)) for x in (self.queries, self.functions))
        if group == "trunk":
            w = w - radius * self._just_active(w @ y, radius)[:, None] * y
            pushes = self.frozen * np.sign(self.branch_values.sum(axis=1))[:, None]
            v = v + (reach / np.sqrt(self.p)) * pushes[:, :, None] * u
        else:
            w = w + reach * y
            v = v - radius * self._just_active(v @ u, radius)[:, :, None] * u
        moved = np.concatenate([w, v.reshape((self.instance.width, -1))], axis=1)
        found = self.group_gram_at(self.numbers(moved), group)
        return np.linalg.norm((found - self.initial_grams[group]).ravel())

    def _just_active(self, arguments: Any, radius: Any) -> Any:
        inside = (arguments >= self.number(0)) & (arguments <= radius)
        return self.numbers(inside.astype(np.int64))

    # -- along the trajectory -----------------------------------------------------------------------------------------

    def measures(self) -> list[Measure]:
        """What is seen of every step, group by group."""
        size = self._functions.shape[1]
        return [*super().measures(), GroupGrams(), UnitDrift(self._split, self._units, size)]

    def of_group(self, name: str, group: str) -> Any:
        """A record of one group of weights: its "drift" (K+1,), "gradients" (K,), "grams" (K+1, N, N) and so on.

        The drift of the branch is that of all units of a neuron together.
        """
        return getattr(self.trajectory, f"{name} of {group}")

    def grams_of(self, group: str) -> Any:
        """H(k) of the trunk's weights, or its twin of the branch's, (K+1, N, N)."""
        return self.of_group("grams", group)

    def gram_drift_of(self, group: str) -> Any:
        """||H(k) - H(0)||_F of a group, (K+1,)."""
        grams = self.grams_of(group)
        return np.linalg.norm(grams - grams[0], axis=(1, 2))

    @property
    def unit_drift(self) -> Any:
        """max_{r,k} ||v_rk(k) - v_rk(0)||, (K+1,)."""
        return self.trajectory.unit_drift

    @property
    def drift_rms(self) -> Any:
        """Root of the mean over neurons of ||theta_r(k) - theta_r(0)||^2, both groups together, (K+1,)."""
        parts = [self.of_group("drift_rms", group) for group in ("trunk", "branch")]
        return np.sqrt(parts[0] ** 2 + parts[1] ** 2)


def operator(
    *, trunk: str = "relu", equation: Equation | None = None, coupled: bool = False
) -> Callable[..., OperatorRun]:
    """What ``run=`` of a family of instances takes: an `OperatorRun` with these options."""
    return functools.partial(OperatorRun, trunk=trunk, equation=equation, coupled=coupled)
