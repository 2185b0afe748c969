"""One neuron's contribution to one sample: the single source of every executor.

A residual of a two-layer network is ``r_p = R_b(Phi_1, ..., Phi_K; x_p) - target_p`` with
``Phi_k = m**-1/2 * sum_j feature_k(theta_j; x_p)``; a linear problem has K = 1 and R_b = Phi_1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import sympy


@dataclass(frozen=True)
class Block:
    """A family of samples that share an expression (interior points, boundary points, ...).

    Parameters
    ----------
    name : str
        Name of the family, unique within a neuron.
    features : tuple of sympy.Expr
        What one neuron contributes to the sums Phi_1..Phi_K, in the neuron's weights and the
        sample's coordinates, without the factor m**-1/2 and without any sample-size normalisation.
    sums : tuple of sympy.Symbol
        Symbols that stand for Phi_1..Phi_K inside `residual`.
    residual : sympy.Expr
        The pointwise function R_b of the sums and the coordinates; for a linear problem the one sum itself.
    """

    name: str
    features: tuple[sympy.Expr, ...]
    sums: tuple[sympy.Symbol, ...]
    residual: sympy.Expr

    @property
    def is_linear(self) -> bool:
        """Whether the residual is the plain sum over neurons."""
        return len(self.sums) == 1 and self.residual == self.sums[0]


@dataclass(frozen=True)
class Neuron:
    """Weights of one neuron, coordinates of one sample, and the blocks of a problem.

    Parameters
    ----------
    weights : tuple of sympy.Symbol
        Trainable weights of one neuron in storage order; an array of all weights has shape (m, len(weights)).
    frozen : tuple of sympy.Symbol
        Weights that are drawn but not trained, shape (m, len(frozen)).
    coordinates : tuple of sympy.Symbol
        Coordinates of one sample; the samples of one block have shape (n_b, len(coordinates)).
    blocks : tuple of Block
        The families of samples.
    """

    weights: tuple[sympy.Symbol, ...]
    frozen: tuple[sympy.Symbol, ...]
    coordinates: tuple[sympy.Symbol, ...]
    blocks: tuple[Block, ...]
    _cache: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def gradients(self) -> dict[str, tuple[tuple[sympy.Expr, ...], ...]]:
        """Per block, per feature: the gradient in the trainable weights."""
        return {b.name: tuple(tuple(sympy.diff(f, w) for w in self.weights) for f in b.features) for b in self.blocks}

    @cached_property
    def hessians(self) -> dict[str, tuple[sympy.Matrix, ...]]:
        """Per block, per feature: the Hessian block in the trainable weights."""
        return {b.name: tuple(sympy.hessian(f, self.weights) for f in b.features) for b in self.blocks}
