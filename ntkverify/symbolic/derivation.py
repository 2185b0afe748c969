"""From a neuron to the Gaussian moments that its limit Gram matrix is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.cache import cached
from ntkverify.symbolic.neuron import Neuron
from ntkverify.symbolic.terms import Groups, Splitter, Term, pair_terms

LAWS = ("normal", "sign")
Slot = tuple[str, int]


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
    """

    weights: tuple[sympy.Symbol, ...]
    forms: tuple[tuple[sympy.Expr, ...], ...]
    gradients: dict[Slot, tuple[tuple[Term, ...], ...]]
    features: dict[Slot, tuple[tuple[Term, ...], ...]]
    outer_moments: dict[int, tuple[sympy.Expr, ...]]

    def groups(self, left: Slot, right: Slot, *, covariance: bool = False) -> Groups:
        """The grouped moments of one pair of features."""
        source = self.features if covariance else self.gradients
        return pair_terms(source[left], source[right], self.outer_moments)


def derive(neuron: Neuron, laws: Mapping[sympy.Symbol, str] | None = None) -> Derivation:
    """Split all gradients and features of a neuron, from the disk cache if it was done before.

    Parameters
    ----------
    neuron : Neuron
    laws : mapping of weight to {"normal", "sign"}, optional
        Distribution of each weight, all independent. By default frozen weights that stand as factors in front of
        the activation are random signs and all others are standard normal.

    Raises
    ------
    NtkVerifyError
        For an unknown law, or signs inside an activation.
    """
    chosen = dict(laws or {})
    for weight, law in chosen.items():
        if law not in LAWS or weight not in neuron.weights + neuron.frozen:
            raise NtkVerifyError(f"the law of a weight is one of {', '.join(LAWS)}, not {law!r} for {weight}.")
    described = [sympy.srepr(s) for s in (*neuron.weights, *neuron.frozen, *neuron.coordinates)]
    described += [f"{b.name}:{i}:{sympy.srepr(f)}" for b in neuron.blocks for i, f in enumerate(b.features)]
    described += [str(len(neuron.weights)), *(f"{w}={law}" for w, law in sorted(chosen.items(), key=str))]
    return cached("limit", "\n".join(described), lambda: _derive(neuron, chosen))


def _derive(neuron: Neuron, chosen: Mapping[sympy.Symbol, str]) -> Derivation:
    weights = neuron.weights + neuron.frozen
    splitter = Splitter(weights)
    gradients: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    features: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    for block in neuron.blocks:
        for k, feature in enumerate(block.features):
            features[block.name, k] = (splitter.split(feature),)
            gradients[block.name, k] = tuple(splitter.split(g) for g in neuron.gradients[block.name][k])
    inside = {i for form in splitter.forms for i, c in enumerate(form) if c != 0}
    outer = {}
    for i, weight in enumerate(weights):
        sign = weight in neuron.frozen and i not in inside and _enters_linearly(weight, neuron)
        law = chosen.get(weight, "sign" if sign else "normal")
        if law == "sign" and i in inside:
            raise NtkVerifyError(f"{weight} stands inside an activation and must be normal, but its law is 'sign'.")
        if i not in inside:
            outer[i] = tuple(_moment(law, n) for n in range(129))
    return Derivation(weights, tuple(splitter.forms), gradients, features, outer)


def _enters_linearly(weight: sympy.Symbol, neuron: Neuron) -> bool:
    """Whether the weight is a factor in front of an activation, and not inside one that is a polynomial."""
    return all(sympy.diff(f, weight, 2) == 0 for b in neuron.blocks for f in b.features)


def _moment(law: str, n: int) -> sympy.Expr:
    if n % 2:
        return sympy.S.Zero
    return sympy.S.One if law == "sign" else sympy.factorial2(n - 1)
