"""From a neuron to the Gaussian moments that its limit Gram matrix is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.terms import Groups, Splitter, Term, pair_terms
from ntkverify.symbolic.expression.cache import cached
from ntkverify.symbolic.expression.functions import exact_number
from ntkverify.symbolic.network.neuron import Neuron

LAWS = ("normal", "sign")
Slot = tuple[str, int]


@dataclass(frozen=True)
class Uniform:
    """The uniform law on [-radius, radius].

    Parameters
    ----------
    radius : number
        Kept exact; a float counts as the decimal fraction that it prints as.
    """

    radius: Any

    def __post_init__(self) -> None:
        try:
            exact = exact_number(self.radius)
        except sympy.SympifyError:
            exact = sympy.nan
        if not (exact.is_number and exact.is_finite and exact.is_positive):
            raise NtkVerifyError(f"the radius of a uniform law must be a positive finite number, not {self.radius}.")
        object.__setattr__(self, "radius", exact)

    def __str__(self) -> str:
        return f"uniform on [-{self.radius}, {self.radius}]"


Law = str | Uniform


@dataclass(frozen=True)
class Derivation:
    """Everything symbolic about a limit Gram matrix.

    Parameters
    ----------
    weights : tuple of sympy.Symbol
        Trainable, then frozen.
    forms : tuple of tuple of sympy.Expr
        Linear forms inside the activations: one coefficient per weight, in the coordinates.
    gradients : dict
        Per (block, feature): the terms of each component of the gradient.
    features : dict
        Per (block, feature): the terms of the feature itself, as its only component.
    outer_moments : dict
        Moments of the weights that enter no linear form.
    box : tuple of sympy.Expr, optional
        If the weights in the linear forms are uniform: the radius per weight, 0 for the others. Else they are
        standard normal.
    """

    weights: tuple[sympy.Symbol, ...]
    forms: tuple[tuple[sympy.Expr, ...], ...]
    gradients: dict[Slot, tuple[tuple[Term, ...], ...]]
    features: dict[Slot, tuple[tuple[Term, ...], ...]]
    outer_moments: dict[int, tuple[sympy.Expr, ...]]
    box: tuple[sympy.Expr, ...] | None = None

    def groups(self, left: Slot, right: Slot, *, covariance: bool = False) -> Groups:
        """The grouped moments of one pair of features, which are the same at all points."""
        key = (left, right, covariance)
        if key not in self._groups:
            source = self.features if covariance else self.gradients
            self._groups[key] = pair_terms(source[left], source[right], self.outer_moments)
        return self._groups[key]

    @cached_property
    def _groups(self) -> dict[tuple[Slot, Slot, bool], Groups]:
        """Those that were asked for."""
        return {}


def derive(neuron: Neuron, laws: Mapping[sympy.Symbol, Law] | None = None) -> Derivation:
    """Split all gradients and features of a neuron, from the disk cache if it was done before.

    Parameters
    ----------
    neuron : Neuron
    laws : mapping of weight to {"normal", "sign"} or Uniform, optional
        Distribution of each weight, all independent. By default frozen weights that stand as factors in front of
        the activation are random signs and all others are standard normal. The weights inside an activation are
        either all normal or all uniform.

    Raises
    ------
    NtkVerifyError
        For an unknown law, signs inside an activation, or normal and uniform weights together inside one.
    """
    chosen = dict(laws or {})
    for weight, law in chosen.items():
        if not (isinstance(law, Uniform) or law in LAWS):
            raise NtkVerifyError(
                f"the law of a weight is one of {', '.join(LAWS)} or Uniform(radius), not {law!r} for {weight}."
            )
        if weight not in neuron.weights + neuron.frozen:
            every = ", ".join(map(str, neuron.weights + neuron.frozen))
            raise NtkVerifyError(f"a law was given for {weight}, but the weights of the neuron are {every}.")
    described = [sympy.srepr(s) for s in (*neuron.weights, *neuron.frozen, *neuron.coordinates)]
    described += [f"{b.name}:{i}:{sympy.srepr(f)}" for b in neuron.blocks for i, f in enumerate(b.features)]
    described += [str(len(neuron.weights)), *(f"{w}={law}" for w, law in sorted(chosen.items(), key=str))]
    return cached("limit", "\n".join(described), lambda: _derive(neuron, chosen))


def _derive(neuron: Neuron, chosen: Mapping[sympy.Symbol, Law]) -> Derivation:
    weights = neuron.weights + neuron.frozen
    splitter = Splitter(weights)
    gradients: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    features: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    for block in neuron.blocks:
        for k, feature in enumerate(block.features):
            features[block.name, k] = (splitter.split(feature),)
            gradients[block.name, k] = tuple(splitter.split(g) for g in neuron.gradients[block.name][k])
    inside = {i for form in splitter.forms for i, c in enumerate(form) if c != 0}
    laws: dict[int, Law] = {}
    for i, weight in enumerate(weights):
        sign = weight in neuron.frozen and i not in inside and _enters_linearly(weight, neuron)
        laws[i] = chosen.get(weight, "sign" if sign else "normal")
        if laws[i] == "sign" and i in inside:
            raise NtkVerifyError(f"{weight} stands inside an activation and must be normal, but its law is 'sign'.")
    outer = {i: tuple(_moment(law, n) for n in range(129)) for i, law in laws.items() if i not in inside}
    box = _box([laws[i] if i in inside else None for i in range(len(weights))], weights)
    return Derivation(weights, tuple(splitter.forms), gradients, features, outer, box)


def _box(laws: Sequence[Law | None], weights: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...] | None:
    """The radii of the weights inside activations, 0 for the others, or None if they are normal."""
    uniform = [w for w, law in zip(weights, laws, strict=True) if isinstance(law, Uniform)]
    normal = [w for w, law in zip(weights, laws, strict=True) if law == "normal"]
    if uniform and normal:
        raise NtkVerifyError(
            f"the weights inside an activation are all normal or all uniform, but {uniform[0]} is uniform and "
            f"{normal[0]} normal."
        )
    return tuple(law.radius if isinstance(law, Uniform) else sympy.S.Zero for law in laws) if uniform else None


def _enters_linearly(weight: sympy.Symbol, neuron: Neuron) -> bool:
    """Whether the weight is a factor in front of an activation, and not inside one that is a polynomial."""
    return all(sympy.diff(f, weight, 2) == 0 for b in neuron.blocks for f in b.features)


def _moment(law: Law, n: int) -> sympy.Expr:
    if n % 2:
        return sympy.S.Zero
    if isinstance(law, Uniform):
        return law.radius**n / (n + 1)
    return sympy.S.One if law == "sign" else sympy.factorial2(n - 1)
