"""One neuron's contribution to one sample: the single source of every executor.

A residual of a two-layer network is ``r_p = R_b(Phi_1, ..., Phi_K; x_p) - target_p`` with
``Phi_k = m**-1/2 * sum_j feature_k(theta_j; x_p)``; a linear problem has K = 1 and R_b = Phi_1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict, Unpack

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.coefficients import check_coefficients
from ntkverify.symbolic.expression.forms import in_forms
from ntkverify.symbolic.network.activations import Activation, get_activation
from ntkverify.symbolic.network.laws import (
    FairSign,
    FrozenMapping,
    Law,
    Normal,
    completed_laws,
    positive_number,
    usual_laws,
)
from ntkverify.symbolic.network.operators import Operator, coordinates, identity
from ntkverify.symbolic.network.plane_waves import LinearForm
from ntkverify.symbolic.network.stencils import difference_features

PARTS = ("inner", "inner_bias", "outer", "outer_bias")


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

    @cached_property
    def is_linear(self) -> bool:
        """Whether the residual is the plain sum over neurons."""
        return len(self.sums) == 1 and self.residual == self.sums[0]

    def check_points(self, coordinates: tuple[sympy.Symbol, ...], points: Any) -> None:
        """Refuse samples (n, len(coordinates)) at which a coefficient is not finite.

        Raises
        ------
        NtkVerifyError
            Naming the sample and the coefficient.
        """
        check_coefficients(self.name, (*self.features, self.residual), coordinates, points)


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
    laws : mapping of sympy.Symbol to Law, optional
        What each weight is drawn from, trained or frozen, all independent. Where none is given, a frozen weight that
        stands as a factor before the activation is a fair sign, and any other weight standard normal.
    coupled : tuple of sympy.Symbol, optional
        If any are named, neurons come in pairs: both have the same weights, except that these change sign. All
        features are odd in them, so that a network of pairs starts as the zero function.
    groups : mapping of str to tuple of int, optional
        Trained weights by group, as their places in `weights`; drift and gradients are measured group by group.
        By default all are in one group, "weights".

    Raises
    ------
    NtkVerifyError
        If a law is none or of no weight, the groups do not hold each trained weight once, or a pair would not cancel.
    """

    weights: tuple[sympy.Symbol, ...]
    frozen: tuple[sympy.Symbol, ...]
    coordinates: tuple[sympy.Symbol, ...]
    blocks: tuple[Block, ...]
    laws: Mapping[sympy.Symbol, Law] = FrozenMapping()
    coupled: tuple[sympy.Symbol, ...] = ()
    groups: Mapping[str, tuple[int, ...]] = FrozenMapping()

    def __post_init__(self) -> None:
        every = (*self.weights, *self.frozen)
        features = [f for b in self.blocks for f in b.features]
        # the search for factors is left out where nothing is left to it: neurons are built in loops
        usual = {} if all(w in self.laws for w in every) else usual_laws(self.weights, self.frozen, features)
        object.__setattr__(self, "laws", completed_laws(every, self.laws, usual))
        places = tuple(range(len(self.weights)))
        groups = FrozenMapping({k: tuple(v) for k, v in self.groups.items()} or {"weights": places})
        if sorted(place for group in groups.values() for place in group) != list(places):
            raise NtkVerifyError(
                f"the groups hold each of the {len(places)} trained weights once, but they are {dict(groups)}."
            )
        object.__setattr__(self, "groups", groups)
        opposite = {w: -w for w in self.coupled}
        for weight in self.coupled:
            if weight not in every:
                raise NtkVerifyError(f"{weight} changes sign within a pair, but the weights of the neuron are {every}.")
        for feature in features if opposite else ():
            if sympy.expand(feature + feature.xreplace(opposite)) != 0:
                raise NtkVerifyError(
                    f"a pair of neurons with opposite signs of {', '.join(map(str, opposite))} cancels only if the "
                    f"features are odd in them, but {feature} is not."
                )

    @cached_property
    def gradients(self) -> dict[str, tuple[tuple[sympy.Expr, ...], ...]]:
        """Per block, per feature: the gradient in the trainable weights."""
        result = {}
        for b in self.blocks:
            found = in_forms(b.features, (*self.weights, *self.frozen), self.coordinates)
            result[b.name] = tuple(found.gradient(k, self.weights) for k in range(len(b.features)))
        return result

    @cached_property
    def hessians(self) -> dict[str, tuple[sympy.Matrix, ...]]:
        """Per block, per feature: the Hessian block in the trainable weights."""
        return {b.name: tuple(sympy.hessian(f, self.weights) for f in b.features) for b in self.blocks}

    def block(self, name: str) -> Block:
        """The block of the given name.

        Raises
        ------
        NtkVerifyError
            If there is none.
        """
        for block in self.blocks:
            if block.name == name:
                return block
        raise NtkVerifyError(f"the neuron has the blocks {', '.join(b.name for b in self.blocks)}, not {name!r}.")

    @cached_property
    def linearisations(self) -> dict[str, tuple[sympy.Expr, ...]]:
        """Per block: the derivatives of the residual in its sums, the coefficients of the linearised operator."""
        return {b.name: tuple(sympy.diff(b.residual, s) for s in b.sums) for b in self.blocks}


class Start(TypedDict, total=False):
    """How a network starts: what builders hand on to `network_neuron`."""

    laws: Mapping[Any, Law]
    coupled: bool
    output_scale: Any


def network_neuron(
    activation: str | Activation,
    operators: Mapping[str, Operator],
    *,
    trainable: Iterable[str] = ("inner",),
    inner_bias: bool = False,
    outer_bias: bool = False,
    outputs: int = 1,
    spacings: Mapping[sympy.Symbol, sympy.Expr | int | str] | None = None,
    accuracy: int = 2,
    laws: Mapping[Any, Law] | None = None,
    coupled: bool = False,
    output_scale: Any = 1,
) -> Neuron:
    """One neuron of u(x) = alpha m^-1/2 sum_r [a_r sigma(w_r.x + b_r) + c_r], hit by one operator per block.

    Inner weights are ``w_0..``, the inner bias ``b``, outer weights ``a`` (``a_0..`` for several outputs) and
    outer biases ``c``. A bias per neuron under m^-1/2, standard normal, is in law and in gradient flow
    the same as one standard normal bias of the network.

    Parameters
    ----------
    activation : str or Activation
    operators : mapping of str to Operator
        Blocks by name; all over the same coordinates.
    trainable : iterable of {"inner", "inner_bias", "outer", "outer_bias"}
        Everything else that is there is frozen.
    inner_bias, outer_bias : bool
        Whether the network has them.
    outputs : int
        Number of components of the solution.
    spacings : mapping of coordinate to spacing, optional
        If given, derivatives become central differences with these spacings.
    accuracy : {2, 4}
        Order of the differences.
    laws : mapping of {"inner", "inner_bias", "outer", "outer_bias"} or sympy.Symbol to Law, optional
        What the weights of a part, or one weight, are drawn from. By default outer weights are fair signs if they are
        frozen, and all other weights standard normal.
    coupled : bool, optional
        Neurons come in pairs with the same inner weights and opposite outer weights and biases, so that u = 0 at the
        start. No neuron's own law changes, nor the limit Gram matrix, which is an expectation over one neuron.
    output_scale : number, optional
        The factor alpha of the output, 1 by default, kept exact. Every feature has it, and the limit Gram matrix its
        square.

    Raises
    ------
    NtkVerifyError
        If the activation is not smooth enough, blocks disagree on the coordinates, an operator needs more
        outputs than there are, `trainable` or `laws` name a part that the network lacks, or the output has no
        positive scale.
    """
    sigma = get_activation(activation)
    alpha = positive_number(output_scale, "the scale of the output")
    points = _common_coordinates(operators)
    chosen = _trained(trainable, {"inner": True, "inner_bias": inner_bias, "outer": True, "outer_bias": outer_bias})
    suffixes = [""] if outputs == 1 else [f"_{k}" for k in range(outputs)]
    parts = {
        "inner": tuple(sympy.Symbol(f"w_{i}", real=True) for i in range(len(points))),
        "inner_bias": (sympy.Symbol("b", real=True),) if inner_bias else (),
        "outer": tuple(sympy.Symbol(f"a{s}", real=True) for s in suffixes),
        "outer_bias": tuple(sympy.Symbol(f"c{s}", real=True) for s in suffixes) if outer_bias else (),
    }
    _refuse_clashes({s for group in parts.values() for s in group}, points, operators)
    # functions of one form: differentiating them costs the same at every number of inputs
    form = LinearForm(sympy.Dummy("z", real=True), points, parts["inner"], parts["inner_bias"])
    biases = parts["outer_bias"] or (sympy.S.Zero,) * outputs
    network = [alpha * (a * sigma(form.symbol) + c) for a, c in zip(parts["outer"], biases, strict=True)]
    for name, operator in operators.items():
        if operator.components > outputs:
            raise NtkVerifyError(
                f"the operator of block {name!r} acts on {operator.components} components, "
                f"but the network has {outputs} outputs."
            )
        order = 0 if spacings is not None else operator.order
        check_smoothness(sigma, name, order, inner_trained="inner" in chosen or "inner_bias" in chosen)
    blocks = [_block(name, operator, form, network, spacings, accuracy) for name, operator in operators.items()]
    return Neuron(
        weights=tuple(s for p in PARTS if p in chosen for s in parts[p]),
        frozen=tuple(s for p in PARTS if p not in chosen for s in parts[p]),
        coordinates=points,
        blocks=tuple(blocks),
        laws=laws_of(parts, () if "outer" in chosen else parts["outer"], laws or {}),
        coupled=parts["outer"] + parts["outer_bias"] if coupled else (),
    )


def _trained(trainable: Iterable[str], present: Mapping[str, bool]) -> tuple[str, ...]:
    """The parts that are trained, which must be there."""
    chosen = tuple(trainable)
    for part in chosen:
        if part not in PARTS:
            raise NtkVerifyError(f"trainable parts are {', '.join(PARTS)}, not {part!r}.")
        if not present[part]:
            raise NtkVerifyError(f"{part} is to be trained, but the network is built with {part}=False.")
    if not chosen:
        raise NtkVerifyError(f"nothing is trainable; choose some of {', '.join(p for p in PARTS if present[p])}.")
    return chosen


def _refuse_clashes(
    weights: set[sympy.Symbol], points: tuple[sympy.Symbol, ...], operators: Mapping[str, Operator]
) -> None:
    """Refuse coordinates and unknowns that have the names of weights."""
    if clash := weights & set(points):
        raise NtkVerifyError(f"the coordinates {', '.join(map(str, clash))} have the names of weights; rename them.")
    for name, operator in operators.items():
        if twice := weights & set(operator.symbols):
            raise NtkVerifyError(
                f"the unknowns of block {name!r} have the names of weights, {', '.join(map(str, twice))}; rename them."
            )


def laws_of(
    parts: Mapping[str, tuple[sympy.Symbol, ...]], signs: Iterable[sympy.Symbol], chosen: Mapping[Any, Law]
) -> dict[sympy.Symbol, Law]:
    """Fair signs and standard normal weights, but for what is chosen by part or weight; the neuron checks the names."""
    laws: dict[sympy.Symbol, Law] = {s: Normal() for group in parts.values() for s in group}
    laws.update(dict.fromkeys(signs, FairSign()))
    for key, law in chosen.items():
        laws.update(dict.fromkeys(parts.get(key) or (key,), law))
    return laws


def _block(
    name: str,
    operator: Operator,
    form: LinearForm,
    network: Sequence[sympy.Expr],
    spacings: Mapping[sympy.Symbol, sympy.Expr | int | str] | None,
    accuracy: int,
) -> Block:
    """What an operator makes of the network, its derivatives exact or by differences."""
    if spacings is not None:
        written = [form.written_out(u) for u in network]
        values = difference_features(operator, written, spacings, accuracy=accuracy)
        if operator.is_linear:
            return _linear_block(name, operator.linear_combination(values))
        return Block(name, values, operator.symbols, operator.residual)
    if operator.is_linear:
        return _linear_block(name, form.combination(operator, network))
    features = tuple(form.combination(part, network) for _, part in operator.parts)
    return Block(name, features, tuple(s for s, _ in operator.parts), operator.pointwise)


def _linear_block(name: str, feature: sympy.Expr) -> Block:
    (total,) = sympy.symbols("Phi_1,", real=True)
    return Block(name, (feature,), (total,), total)


def _common_coordinates(operators: Mapping[str, Operator]) -> tuple[sympy.Symbol, ...]:
    if not operators:
        raise NtkVerifyError("a neuron needs at least one block, but no operators were given.")
    (first_name, first), *others = operators.items()
    for name, operator in others:
        if operator.coordinates != first.coordinates:
            raise NtkVerifyError(
                f"block {first_name!r} has the coordinates {first.coordinates}, but block {name!r} has "
                f"{operator.coordinates}; write both over the same ones."
            )
    return first.coordinates


def check_smoothness(sigma: Activation, block: str, order: int, *, inner_trained: bool) -> None:
    """Refuse an operator that asks a block for more derivatives than the activation has."""
    needed = order + int(inner_trained)
    if needed > sigma.smoothness:
        why = f"{order} for the operator" + (" and 1 for the gradient in the inner weights" if inner_trained else "")
        raise NtkVerifyError(
            f"block {block!r} needs {needed} derivatives of the activation ({why}), "
            f"but {sigma.name!r} has only {sigma.smoothness} that hold no Dirac mass."
        )


def regression_neuron(
    activation: str | Activation,
    *,
    dimension: int,
    trainable: Iterable[str] = ("inner",),
    inner_bias: bool = False,
    outer_bias: bool = False,
    **start: Unpack[Start],
) -> Neuron:
    """One neuron of plain regression, with one block named "data" over ``x_0..x_{dimension-1}``.

    Options as in `network_neuron`.
    """
    if dimension < 1:
        raise NtkVerifyError(f"the input dimension must be at least 1, not {dimension}.")
    points = coordinates(" ".join(f"x_{i}" for i in range(dimension)))
    operators = {"data": identity(points)}
    return network_neuron(
        activation, operators, trainable=trainable, inner_bias=inner_bias, outer_bias=outer_bias, **start
    )


def random_features_neuron(
    activation: str | Activation, operators: Mapping[str, Operator], **options: object
) -> Neuron:
    """One neuron of a random feature model: only the outer weights are trained. Options as in `network_neuron`."""
    return network_neuron(activation, operators, trainable=("outer",), **options)  # type: ignore[arg-type]


def pinn_neuron(
    activation: str | Activation,
    operator: Operator,
    *,
    trainable: Iterable[str] = ("inner", "inner_bias"),
    inner_bias: bool = True,
    outer_bias: bool = False,
    **start: Unpack[Start],
) -> Neuron:
    """One neuron of a scalar physics-informed network: blocks "interior" (the operator) and "boundary" (u itself).

    Options as in `network_neuron`.
    """
    operators = {"interior": operator, "boundary": identity(operator.coordinates)}
    return network_neuron(
        activation, operators, trainable=trainable, inner_bias=inner_bias, outer_bias=outer_bias, **start
    )
