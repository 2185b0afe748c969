"""One neuron of a shallow neural operator, and the limits of its two Gram matrices by their factors.

H^inf, of the trunk's weights, is branch covariance (x) trunk Gram matrix; its twin, of the branch's weights, is branch
Gram matrix (x) trunk covariance, each for an output of scale 1 and the same for every branch width.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.problems.pinn import CERTIFIED_BITS, Equation
from ntkverify.symbolic.limit.coincident import PARALLEL, singular_to_rounding
from ntkverify.symbolic.limit.enclosures import least_eigenvalue
from ntkverify.symbolic.limit.limits import OperatorLimitGram, operator_limit_gram
from ntkverify.symbolic.network.neuron import network_neuron, regression_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, identity
from ntkverify.symbolic.network.product import ProductNeuron, product_neuron

Problem = tuple[str, Equation | None, int, int]  #: trunk, equation, sensors, coordinates of a query


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
def problem_limit(trunk: str, equation: Equation | None, sensors: int, dimension: int) -> OperatorLimitGram:
    """The limit Gram matrices for an output of scale 1."""
    query = network_neuron(
        trunk,
        _operators(equation, dimension),
        trainable=("inner", "inner_bias") if equation else ("inner",),
        inner_bias=equation is not None,
    )
    return operator_limit_gram(regression_neuron("relu", dimension=sensors), query)


@dataclass(frozen=True)
class LimitFactors:
    """Factors of both limits, (n_1, n_1) of the branch and (n_2, n_2) of the trunk; floats, balls or what a run takes.

    With an equation the trunk's have the scales n_b^-1/2 of the residuals.
    """

    branch_covariance: Any
    trunk_gram: Any
    branch_gram: Any
    trunk_covariance: Any

    @property
    def matrices(self) -> tuple[Any, ...]:
        """The four, in the order of their names above."""
        return self.branch_covariance, self.trunk_gram, self.branch_gram, self.trunk_covariance

    @functools.cached_property
    def spectra(self) -> tuple[Any, ...]:
        """Eigenvalues of each in ascending order."""
        return tuple(np.linalg.eigvalsh(matrix) for matrix in self.matrices)

    def ends(self, *, twin: bool) -> tuple[Any, Any]:
        """Least and largest eigenvalue of H^inf, or of its twin."""
        left, right = self.spectra[2:] if twin else self.spectra[:2]
        return left[0] * right[0], left[-1] * right[-1]

    @property
    def are_singular(self) -> bool:
        """Whether a least eigenvalue is zero up to the rounding of float64."""
        return any(map(_is_singular, self.spectra))

    def refusal(self, functions: Mapping[str, int], queries: Mapping[str, int]) -> str:
        """What is said where they are: which of these functions, or of the queries by block, are too much alike."""
        for matrix, spectrum, sizes in zip(self.matrices, self.spectra, (functions, queries) * 2, strict=True):
            if _is_singular(spectrum):
                return singular_to_rounding(matrix, sizes, float(spectrum[0]), PARALLEL)
        raise AssertionError("no factor is singular")


def _is_singular(spectrum: Array) -> bool:
    return bool(spectrum[0] <= len(spectrum) ** 2 * np.finfo(np.float64).eps * spectrum[-1])


def limit_factors(problem: Problem, functions: Array, queries: Mapping[str, Array]) -> LimitFactors:
    """The factors in float64; formed once for functions, and for queries, that come again."""
    branch_covariance, branch_gram = _branch_factors(problem, _table(functions))
    trunk = _trunk_factors(problem, tuple((name, _table(y)) for name, y in queries.items()))
    return LimitFactors(branch_covariance, trunk[0], branch_gram, trunk[1])


def _table(array: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, np.asarray(array, dtype=np.float64).tolist()))


@functools.lru_cache(maxsize=256)
def _branch_factors(problem: Problem, functions: Any) -> tuple[Array, Array]:
    branch = problem_limit(*problem).branch
    return _kept(branch.covariance(np.array(functions)), branch.matrix(np.array(functions)))


@functools.lru_cache(maxsize=256)
def _trunk_factors(problem: Problem, points: Any) -> tuple[Array, Array]:
    trunk, queries = problem_limit(*problem).trunk, {name: np.array(y) for name, y in points}
    root = np.sqrt(np.array(block_sizes(problem, queries), dtype=float))
    gram = trunk.matrix(queries, normalise=problem[1] is not None)
    return _kept(gram, trunk.covariance(queries) / np.multiply.outer(root, root))


def _kept(one: Array, other: Array) -> tuple[Array, Array]:
    for matrix in (one, other):
        matrix.flags.writeable = False
    return one, other


def limit_factor_balls(problem: Problem, functions: Array, queries: Mapping[str, Array], bits: int) -> LimitFactors:
    """Enclosures of the factors, as matrices of python-flint's balls."""
    limit = problem_limit(*problem)
    trunk = [limit.trunk.matrix_balls(queries, bits=bits, covariance=covariance) for covariance in (False, True)]
    gram, covariance = (_scaled(matrix, block_sizes(problem, queries), bits) for matrix in trunk)
    return LimitFactors(
        limit.branch.matrix_balls(functions, bits=bits, covariance=True),
        gram,
        limit.branch.matrix_balls(functions, bits=bits),
        covariance,
    )


def block_sizes(problem: Problem, queries: Mapping[str, Array]) -> list[int]:
    """Per query, the size of its block where residuals are normalised, else 1."""
    return [len(y) if problem[1] is not None else 1 for y in queries.values() for _ in y]


def _scaled(matrix: Any, sizes: list[int], bits: int) -> Any:
    from flint import arb, arb_mat, ctx

    with ctx.workprec(bits):
        root, count = [arb(size).sqrt() for size in sizes], range(len(sizes))
        return arb_mat([[matrix[i, j] / (root[i] * root[j]) for j in count] for i in count])


def certified_rates(problem: Problem, functions: Array, queries: Mapping[str, Array]) -> list[Any]:
    """Lower ends, proved in balls, of the least eigenvalue of H^inf and of its twin, from those of their factors."""
    from flint import ctx

    factors = limit_factor_balls(problem, functions, queries, CERTIFIED_BITS)
    a, b, c, d = (least_eigenvalue(matrix, bits=CERTIFIED_BITS).lower for matrix in factors.matrices)
    with ctx.workprec(CERTIFIED_BITS):
        return [a * b, c * d]
