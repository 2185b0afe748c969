"""A neuron that is a product: an indexed sum of p units in the input function, times a trunk in the query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.network.activations import Activation, get_activation
from ntkverify.symbolic.network.laws import Law
from ntkverify.symbolic.network.neuron import Block, Neuron, check_smoothness, laws_of, network_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates


@dataclass(frozen=True)
class ProductNeuron:
    """Features ``p**-1/2 (sum_{k < p} s_k unit(v_k . u)) trunk(w; y)``, one unit and one trunk kept as they are.

    Parameters
    ----------
    unit : sympy.Expr
        The activation of a unit, in the symbol `Z`.
    units, sensors : int
        How many units, and how many weights v_k each has.
    trunk : Neuron
        The trunk's weights, the query's coordinates, and per block the features without the branch; nothing is frozen.
    unrolled : Neuron
        The same with the sum written out over the coordinates (u, y): what draws its weights, and the reference.
    """

    unit: sympy.Expr
    units: int
    sensors: int
    trunk: Neuron
    unrolled: Neuron

    @cached_property
    def slope(self) -> sympy.Expr:
        """The derivative of the activation, in `Z`."""
        return sympy.diff(self.unit, Z)

    def __hash__(self) -> int:
        return hash((self.unit, self.units, self.sensors, self.unrolled))


def product_neuron(
    branch: str | Activation,
    trunk: str | Activation,
    operators: Mapping[str, Operator],
    *,
    sensors: int,
    branch_width: int = 1,
    inner_bias: bool = False,
    output_scale: Any = 1,
    **options: Any,
) -> ProductNeuron:
    """The neuron of a shallow neural operator as a product; options as for `operator_neuron`.

    Raises
    ------
    NtkVerifyError
        If a block's operator is nonlinear: products of a branch's sums are no product of branch and trunk.
    """
    unrolled = operator_neuron(
        branch,
        trunk,
        operators,
        sensors=sensors,
        branch_width=branch_width,
        inner_bias=inner_bias,
        output_scale=output_scale,
        **options,
    )
    for block in unrolled.blocks:
        if not block.is_linear:
            raise NtkVerifyError(f"a neuron that is a product has linear blocks only, and {block.name!r} is not.")
    trained = ("inner", "inner_bias") if inner_bias else ("inner",)
    query = network_neuron(trunk, operators, trainable=trained, inner_bias=inner_bias, output_scale=output_scale)
    (outer,) = query.frozen
    blocks = tuple(
        type(b)(b.name, tuple(f.subs(outer, 1) for f in b.features), b.sums, b.residual) for b in query.blocks
    )
    alone = Neuron(query.weights, (), query.coordinates, blocks)
    return ProductNeuron(get_activation(branch)(Z), branch_width, sensors, alone, unrolled)


def operator_neuron(
    branch: str | Activation,
    trunk: str | Activation,
    operators: Mapping[str, Operator],
    *,
    sensors: int,
    branch_width: int = 1,
    inner_bias: bool = False,
    laws: Mapping[Any, Law] | None = None,
    coupled: bool = False,
    output_scale: Any = 1,
) -> Neuron:
    """One neuron of a shallow neural operator, branch times trunk, with the branch's outer signs frozen.

    G(u)(y) = alpha m^-1/2 sum_r [p^-1/2 sum_k s_rk branch(v_rk . u)] trunk(w_r . y + b_r). The coordinates are the
    sensor values ``u_0..`` followed by the query's; the trained weights are ``w_..``, (``b``,), the group "trunk", and
    ``v_k_i``, the group "branch". Options as in `network_neuron`, where the parts that have laws are "inner",
    "inner_bias", "branch" and "signs"; in a coupled pair all the ``s_k`` change sign.
    """
    if sensors < 1 or branch_width < 1:
        raise NtkVerifyError(f"sensors and branch_width must be positive, not {sensors} and {branch_width}.")
    sigma = get_activation(branch)
    check_smoothness(sigma, "branch", 0, inner_trained=True)
    trained = ("inner", "inner_bias") if inner_bias else ("inner",)
    query = network_neuron(trunk, operators, trainable=trained, inner_bias=inner_bias, output_scale=output_scale)
    (outer,) = query.frozen
    inputs = coordinates(" ".join(f"u_{i}" for i in range(sensors)))
    signs = tuple(sympy.Symbol(f"s_{k}", real=True) for k in range(branch_width))
    weights = [tuple(sympy.Symbol(f"v_{k}_{i}", real=True) for i in range(sensors)) for k in range(branch_width)]
    forms = [sympy.Add(*(v * u for v, u in zip(vs, inputs, strict=True))) for vs in weights]
    coefficient = sympy.Add(*(s * sigma(z) for s, z in zip(signs, forms, strict=True))) / sympy.sqrt(branch_width)
    blocks = tuple(
        Block(b.name, tuple(f.subs(outer, coefficient) for f in b.features), b.sums, b.residual) for b in query.blocks
    )
    inner, branches = query.weights, tuple(v for vs in weights for v in vs)
    split = len(inner) - inner_bias
    parts = {"inner": inner[:split], "inner_bias": inner[split:], "branch": branches, "signs": signs}
    return Neuron(
        weights=inner + branches,
        frozen=signs,
        coordinates=inputs + query.coordinates,
        blocks=blocks,
        laws=laws_of(parts, signs, laws or {}),
        coupled=signs if coupled else (),
        groups={"trunk": tuple(range(len(inner))), "branch": tuple(range(len(inner), len(inner) + len(branches)))},
    )
