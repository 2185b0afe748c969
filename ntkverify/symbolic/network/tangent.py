"""Neurons made of another one: its sums Phi_k, and the entries of its tangent kernel.

Both are neurons like any other, so that every executor runs them: the kernel of a hundred thousand networks at one
point is a forward pass over a batch.
"""

from __future__ import annotations

import dataclasses
import functools

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.network.neuron import Block, Neuron


@functools.lru_cache(maxsize=64)
def sums_neuron(neuron: Neuron) -> Neuron:
    """The neuron whose residuals are the sums Phi_1..Phi_K of all blocks, each a linear block "BLOCK: SUM".

    Its Gram matrix is K_Phi = (d_theta Phi)(d_theta Phi)^T, the kernel before the pointwise residuals act on it.
    """
    total = sympy.Symbol("Phi_1", real=True)
    blocks = tuple(
        Block(f"{b.name}: {s}", (feature,), (total,), total)
        for b in neuron.blocks
        for s, feature in zip(b.sums, b.features, strict=True)
    )
    return dataclasses.replace(neuron, blocks=blocks)


@functools.lru_cache(maxsize=64)
def kernel_neuron(neuron: Neuron, left: str, right: str, *, width: int, same_point: bool = False) -> Neuron:
    """The neuron of one block, "kernel", whose residual is an entry of J J^T of networks of that width.

    An entry is ``sum_ab R_a(Phi(x)) R_b(Phi(x')) m^-1 sum_j <grad phi_a(theta_j; x), grad phi_b(theta_j; x')>``, a
    function of sums over neurons. Nothing of it is to be trained.

    Parameters
    ----------
    neuron : Neuron
        The problem.
    left, right : str
        Blocks of the two residuals.
    width : int
        Number m of neurons, by which the sum of products is divided.
    same_point : bool
        The entry of a point with itself: its coordinates are the neuron's. Otherwise those of x, then those of x'.
    """
    if width < 1:
        raise NtkVerifyError(f"a network needs at least one neuron, not {width}.")
    if same_point and left != right:
        raise NtkVerifyError(f"one point has one block, but {left!r} and {right!r} were given.")
    twins = {c: sympy.Symbol(f"{c}_right", real=True) for c in neuron.coordinates}
    shift = {} if same_point else twins
    one, other = neuron.block(left), neuron.block(right)
    primed = {s: sympy.Symbol(f"{s}_right", real=True) for s in other.sums} if not same_point else {}
    features: dict[sympy.Symbol, sympy.Expr] = dict(zip(one.sums, one.features, strict=True))
    features |= {primed.get(s, s): f.xreplace(shift) for s, f in zip(other.sums, other.features, strict=True)}
    root = sympy.sqrt(sympy.Integer(width))
    residual: sympy.Expr = sympy.S.Zero
    for a, slope in enumerate(neuron.linearisations[left]):
        for b, twin in enumerate(neuron.linearisations[right]):
            if same_point and b < a:
                continue  # the products are symmetric
            product = sympy.Symbol(f"g_{a}_{b}", real=True)
            features[product] = sympy.Add(
                *(
                    p * q.xreplace(shift)
                    for p, q in zip(neuron.gradients[left][a], neuron.gradients[right][b], strict=True)
                )
            )
            count = 2 if same_point and b > a else 1
            residual += count * slope * twin.xreplace(primed).xreplace(shift) * product / root
    needed = [s for s in features if s in residual.free_symbols]
    block = Block("kernel", tuple(features[s] for s in needed), tuple(needed), residual)
    coordinates = neuron.coordinates if same_point else (*neuron.coordinates, *twins.values())
    return dataclasses.replace(neuron, coordinates=coordinates, blocks=(block,))
