"""Runs of shallow neural operators by gradient descent: what is measured of a start and along the way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ntkverify.execution.samples import Samples
from ntkverify.measures.groups import GroupGrams, UnitDrift
from ntkverify.measures.initial import Initial
from ntkverify.measures.steps import Measure
from ntkverify.problems.neural_operator.problem import OperatorProblem
from ntkverify.problems.pinn import Equation


class OperatorRun(OperatorProblem):
    """Both sets of weights of an operator, group by group: features and Gram matrices at the start, and along training.

    Parameters
    ----------
    instance, theorem, trunk, equation, coupled, backend, store
        As for `OperatorProblem`.
    """

    # -- before training ----------------------------------------------------------------------------------------------

    @property
    def _split(self) -> int:
        return len(self.neuron.groups["trunk"])

    # as large as the weights: not kept, since a family has hundreds of runs

    @property
    def trunk_arguments(self) -> Any:
        """w_r(0) . y_j, (m, n_2)."""
        return self.weights[:, : self._split] @ self.queries.T

    @property
    def branch_arguments(self) -> Any:
        """v_rk(0) . u_i, (m, p, n_1)."""
        functions = self.functions
        units = self.weights[:, self._split :].reshape((-1, functions.shape[1]))
        return (units @ functions.T).reshape((self.instance.width, self._units, len(functions)))

    @property
    def branch_values(self) -> Any:
        """b_r(u_i) at the start, (m, n_1)."""
        active = np.maximum(self.branch_arguments, self.number(0))
        return (self.frozen[:, :, None] * active).sum(axis=1) / np.sqrt(self.p)

    @functools.cached_property
    def beta(self) -> Any:
        """The largest |b_r(u_i)| at the start."""
        return abs(self.branch_values).max()

    @functools.cached_property
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

    @functools.cached_property
    def start_residual(self) -> Any:
        """r(0), (N,), by one pass over the network as drawn."""
        executor = self.executor
        weights, frozen = self._moved(executor, self.weights), self._moved(executor, self.frozen)
        return self.numbers(executor.to_host(executor.residuals(weights, frozen)))

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

        Every w_r (every v_rk) of the group that misses being active on the mean sample by at most `radius` moves by
        that along it. Of the other group, all w_r move by `reach` along the mean query, or the units of a neuron by
        that together, each so that it adds to |b_r|. So all adds to the matrix.

        Returns
        -------
        scalar
            ||H' - H(0)||_F.
        """
        weights = self.weights.copy()
        w, v = weights[:, : self._split], weights[:, self._split :].reshape((self.instance.width, self._units, -1))
        y, u = (x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)) for x in (self.queries, self.functions))
        if group == "trunk":
            w = w + radius * self._nearly_active(w @ y, radius)[:, None] * y
            pushes = self.frozen * np.sign(self.branch_values.sum(axis=1))[:, None]
            v = v + (reach / np.sqrt(self.p)) * pushes[:, :, None] * u
        else:
            w = w + reach * y
            v = v + radius * self._nearly_active(v @ u, radius)[:, :, None] * u
        moved = np.concatenate([w, v.reshape((self.instance.width, -1))], axis=1)
        found = self.group_gram_at(self.numbers(moved), group)
        return np.linalg.norm((found - self.initial_grams[group]).ravel())

    def _nearly_active(self, arguments: Any, radius: Any) -> Any:
        inside = (arguments < self.number(0)) & (arguments >= -radius)
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
