"""Derivatives along a direction, as another neuron that every executor can run.

The direction enters as further frozen weights v, so that ``J v`` and ``v^T H_i v`` cost one
forward pass of generated code, for every sample at once, and nothing of size n x m.
"""

from __future__ import annotations

from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.network.neuron import Block, Neuron


def directional_neuron(neuron: Neuron, order: int) -> Neuron:
    """The neuron whose residuals are the first or second derivatives of `neuron`'s along frozen weights v.

    Parameters
    ----------
    neuron : Neuron
        The problem.
    order : {1, 2}
        ``d/ds`` or ``d^2/ds^2`` of every residual at theta + s v, s = 0.

    Returns
    -------
    Neuron
        With `neuron`'s weights and samples; its frozen weights are `neuron`'s, then v.
    """
    if order not in (1, 2):
        raise NtkVerifyError(f"order must be 1 or 2, not {order}")
    direction = tuple(sympy.Dummy(f"v{i}", real=True) for i in range(len(neuron.weights)))

    def along(e: sympy.Expr) -> sympy.Expr:
        return sympy.Add(*(v * sympy.diff(e, w) for v, w in zip(direction, neuron.weights, strict=True)))

    blocks = []
    for b in neuron.blocks:
        first = [along(f) for f in b.features]
        firsts = [sympy.Dummy(f"D{k}", real=True) for k in range(len(first))]
        residual: Any = sympy.Add(*(sympy.diff(b.residual, s) * d for s, d in zip(b.sums, firsts, strict=True)))
        pairs = [*zip(b.sums, b.features, strict=True), *zip(firsts, first, strict=True)]
        if order == 2:
            second = [along(f) for f in first]
            seconds = [sympy.Dummy(f"DD{k}", real=True) for k in range(len(second))]
            residual = sympy.Add(
                *(sympy.diff(b.residual, s) * d for s, d in zip(b.sums, seconds, strict=True)),
                *(
                    sympy.diff(b.residual, s, t) * d * e
                    for s, d in zip(b.sums, firsts, strict=True)
                    for t, e in zip(b.sums, firsts, strict=True)
                ),
            )
            pairs += zip(seconds, second, strict=True)
        needed = [(s, f) for s, f in pairs if s in residual.free_symbols]
        if not needed:
            raise NtkVerifyError(f"the residual of block {b.name!r} does not depend on the network; remove the block")
        blocks.append(Block(b.name, tuple(f for _, f in needed), tuple(s for s, _ in needed), residual))
    frozen = (*neuron.frozen, *direction)
    return Neuron(neuron.weights, frozen, neuron.coordinates, tuple(blocks), laws=neuron.laws, groups=neuron.groups)
