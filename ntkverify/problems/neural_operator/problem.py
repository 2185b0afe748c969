"""Shallow neural operators: branch times trunk, both trained, at all pairs of an input function and a query point."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import replace
from typing import Any, Self

import numpy as np

from ntkverify.arithmetic.ball_linear import as_object_array
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.product_samples import product_samples
from ntkverify.execution.samples import Samples
from ntkverify.problems.neural_operator.limits import (
    LimitFactors,
    Problem,
    certified_rates,
    limit_factor_balls,
    limit_factors,
    problem_neuron,
)
from ntkverify.problems.pinn import Equation
from ntkverify.problems.records import RecordStore
from ntkverify.problems.trained import TrainedRun
from ntkverify.symbolic.network.neuron import Neuron
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

#: the operator's data that say where it is queried, by block
QUERIES = {"data": "queries", "interior": "interior", "boundary": "boundary"}


@functools.lru_cache(maxsize=64)
def _problem_name(*problem: Any) -> str:
    return str([block.features for block in problem_neuron(*problem).unrolled.blocks])


class OperatorProblem(TrainedRun):
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
        targets = ["values"] if equation is None else ["source", "values"]
        points = self.read_points("functions", *(QUERIES[b] for b in names), beside=dict.fromkeys(targets, ""))
        self._functions = points["functions"]
        self._queries = {name: points[QUERIES[name]] for name in names}
        if len({y.shape[1] for y in self._queries.values()}) > 1:
            raise NtkVerifyError(f"{where}: interior and boundary need points with the same number of coordinates.")
        if instance.width < 1:
            raise NtkVerifyError(f"{where}: width is {instance.width}; a network needs at least one neuron.")
        units = instance.parameters.get("p", 1)
        if units < 1 or units != int(units):
            raise NtkVerifyError(f"{where}: the branch has p = {units} units; give a whole number of at least 1.")
        _ = self.alpha  # refused before anything is computed
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
    def _problem(self) -> Problem:
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

    @functools.cached_property
    def limit_factors(self) -> LimitFactors:
        """What both limits are Kronecker products of, for alpha = 1."""
        given = self._problem, self._functions, self._queries
        if not self.is_exact:
            return limit_factors(*given)
        from flint import ctx

        found = limit_factor_balls(*given, ctx.prec)
        return LimitFactors(*(self.numbers(as_object_array(matrix)) for matrix in found.matrices))

    @functools.cached_property
    def _order(self) -> Any:
        """Where each residual stands among the pairs (function, query of any block)."""
        ends = np.cumsum([0, *(len(y) for y in self._queries.values())])
        rows = np.arange(len(self._functions))[:, None] * ends[-1]
        return np.concatenate([(rows + np.arange(a, b)).ravel() for a, b in itertools.pairwise(ends)])

    def _product(self, left: Any, right: Any) -> Any:
        full = np.kron(np.asarray(left), np.asarray(right))
        return self.alpha**2 * self.numbers(full[np.ix_(self._order, self._order)])

    @functools.cached_property
    def limit_trunk(self) -> Any:
        """H^inf, of the trunk's weights, (N, N): branch covariance (x) trunk Gram matrix."""
        return self._product(self.limit_factors.branch_covariance, self.limit_factors.trunk_gram)

    @functools.cached_property
    def limit_branch(self) -> Any:
        """The twin of the branch's weights, (N, N): branch Gram matrix (x) trunk covariance."""
        return self._product(self.limit_factors.branch_gram, self.limit_factors.trunk_covariance)

    def _ends(self, *, twin: bool) -> Any:
        """Least and largest eigenvalue of either limit."""
        if not self.is_exact and self.limit_factors.are_singular:
            sizes = [{"functions": len(self._functions)}, {name: len(y) for name, y in self._queries.items()}]
            raise NtkVerifyError(self.limit_factors.refusal(*sizes))
        return tuple(self.alpha**2 * end for end in self.limit_factors.ends(twin=twin))

    @property
    def lambda_trunk(self) -> Any:
        """lambda_min(H^inf)."""
        return self._ends(twin=False)[0]

    @property
    def lambda_branch(self) -> Any:
        """lambda_min of the twin's limit."""
        return self._ends(twin=True)[0]

    @property
    def Lambda(self) -> Any:
        """The sum of both least eigenvalues: the rate."""
        return self.lambda_trunk + self.lambda_branch

    @property
    def norm_sum(self) -> Any:
        """||H^inf||_2 plus that of the twin."""
        return self._ends(twin=False)[1] + self._ends(twin=True)[1]

    @functools.cached_property
    def certified_rate(self) -> Any:
        """Lower ends, proved in balls, of both least eigenvalues at alpha = 1, from those of the four factors."""
        found = certified_rates(self._problem, self._functions, self._queries)
        return self.numbers(found) if self.is_exact else np.array([float(x.lower()) for x in found])
