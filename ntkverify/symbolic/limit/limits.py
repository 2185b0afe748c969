"""Limit Gram matrices of networks and of operator networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import ArrayLike

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.limit.gram import LimitGram, Points
from ntkverify.symbolic.limit.splitting import Law, Uniform, derive
from ntkverify.symbolic.network.neuron import Neuron

__all__ = ["LimitGram", "OperatorLimitGram", "Uniform", "limit_gram", "operator_limit_gram"]


def limit_gram(neuron: Neuron, *, laws: Mapping[sympy.Symbol, Law | str] | None = None) -> LimitGram:
    """The limit Gram matrix of a neuron, for weights drawn by its laws.

    It is the expectation of J J^T over one neuron, so that networks of coupled pairs, in which every neuron has the
    law that it would have alone, have the limit of networks of independent neurons. Their sums at the start are 0 and
    so is their covariance.

    Parameters
    ----------
    neuron : Neuron
    laws : mapping of weight to Law, "normal" or "sign", optional
        Laws in place of the neuron's own.

    Examples
    --------
    >>> from ntkverify.symbolic.network.neuron import regression_neuron
    >>> limit_gram(regression_neuron("relu", dimension=2)).kernel
    q*(pi - theta)/(2*pi)
    """
    return LimitGram(neuron, derive(neuron, laws))


@dataclass(frozen=True)
class OperatorLimitGram:
    """Limit Gram matrices of a shallow neural operator: Kronecker products of branch and trunk kernels.

    Parameters
    ----------
    branch : LimitGram
        Of the branch network's neuron, one block (regression).
    trunk : LimitGram
        Of the trunk network's neuron: regression, or the blocks of a physics-informed operator.
    """

    branch: LimitGram
    trunk: LimitGram

    def from_trunk_weights(self, inputs: ArrayLike, queries: Points, *, normalise: bool = False) -> Array:
        """H: covariance of the branch times Gram matrix of the trunk; rows are (input, query) row-major."""
        return _kron(self.branch.covariance(inputs), self.trunk.matrix(queries, normalise=normalise))

    def from_branch_weights(self, inputs: ArrayLike, queries: Points, *, normalise: bool = False) -> Array:
        """H~: Gram matrix of the branch times covariance of the trunk."""
        covariance = self.trunk.covariance(queries)
        if normalise:
            sizes = np.concatenate([np.full(len(x), len(x)) for x in self.trunk.point_arrays(queries).values()])
            covariance = covariance / np.sqrt(np.multiply.outer(sizes, sizes))
        return _kron(self.branch.matrix(inputs), covariance)

    def matrix(self, inputs: ArrayLike, queries: Points, *, normalise: bool = False) -> Array:
        """H + H~, the kernel of the flow when both sets of weights are trained."""
        return self.from_trunk_weights(inputs, queries, normalise=normalise) + self.from_branch_weights(
            inputs, queries, normalise=normalise
        )


def _kron(left: Array, right: Array) -> Array:
    return np.asarray(np.kron(left, right), dtype=np.float64)


def operator_limit_gram(branch: Neuron, trunk: Neuron) -> OperatorLimitGram:
    """The limit of an operator network from the neurons of its branch and of its trunk.

    The random signs of the branch make the cross terms vanish in expectation for every branch width.

    Raises
    ------
    NtkVerifyError
        If either has a nonlinear block or coupled pairs, or the branch more than one block.
    """
    for role, neuron in (("branch", branch), ("trunk", trunk)):
        if neuron.coupled:  # pairs of the whole operator have this limit; pairs of one factor alone are no such network
            raise NtkVerifyError(
                f"the {role} of an operator network has no pairs of its own; couple the operator's signs."
            )
        for block in neuron.blocks:
            if not block.is_linear:
                raise NtkVerifyError(f"the {role} of an operator network must be linear, but {block.name!r} is not.")
    if len(branch.blocks) != 1:
        raise NtkVerifyError(f"the branch of an operator network has one block, not {len(branch.blocks)}.")
    return OperatorLimitGram(limit_gram(branch), limit_gram(trunk))
