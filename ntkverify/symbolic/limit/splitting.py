"""From a neuron to the Gaussian moments that its limit Gram matrix is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.terms import Groups, Splitter, Term, pair_terms
from ntkverify.symbolic.expression.cache import cached
from ntkverify.symbolic.network.laws import FairSign, Law, Normal, Uniform, completed_laws
from ntkverify.symbolic.network.neuron import Neuron

__all__ = ["Derivation", "Law", "Slot", "Uniform", "derive"]

#: the laws that have names of their own
NAMED: Mapping[str, Law] = {"normal": Normal(), "sign": FairSign()}
Slot = tuple[str, int]


@dataclass(frozen=True)
class Derivation:
    """Everything symbolic about a limit Gram matrix.

    Parameters
    ----------
    weights : tuple of sympy.Symbol
        Trainable, then frozen. Normal ones stand in all that follows for their multiples with deviation 1.
    forms : tuple of tuple of sympy.Expr
        Linear forms inside the activations: one coefficient per weight, in the coordinates.
    gradients : dict
        Per (block, feature): the terms of each component of the gradient.
    features : dict
        Per (block, feature): the terms of the feature itself, as its only component; none for coupled pairs, whose
        features cancel.
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


def derive(neuron: Neuron, laws: Mapping[sympy.Symbol, Law | str] | None = None) -> Derivation:
    """Split all gradients and features of a neuron, from the disk cache if it was done before.

    Parameters
    ----------
    neuron : Neuron
    laws : mapping of weight to Law, "normal" or "sign", optional
        Laws in place of the neuron's own, all weights independent. The weights inside an activation are either all
        normal or all uniform.

    Raises
    ------
    NtkVerifyError
        For an unknown law, signs inside an activation, or normal and uniform weights together inside one.
    """
    named = {w: NAMED.get(law, law) if isinstance(law, str) else law for w, law in (laws or {}).items()}
    every = neuron.weights + neuron.frozen
    chosen = completed_laws(every, named, neuron.laws)
    described = [sympy.srepr(s) for s in (*every, *neuron.coordinates)]
    described += [f"{b.name}:{i}:{sympy.srepr(f)}" for b in neuron.blocks for i, f in enumerate(b.features)]
    described += [str(len(neuron.weights)), *(f"{w}={chosen[w]}" for w in every), f"coupled {bool(neuron.coupled)}"]
    return cached("limit", "\n".join(described), lambda: _derive(neuron, chosen))


def _derive(neuron: Neuron, laws: Mapping[sympy.Symbol, Law]) -> Derivation:
    weights = neuron.weights + neuron.frozen
    # gradients are taken in the weights themselves, expectations over multiples of standard normal ones
    longer = {w: law.scale * w for w, law in laws.items() if isinstance(law, Normal) and law.scale != 1}
    splitter = Splitter(weights)
    gradients: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    features: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    for block in neuron.blocks:
        for k, feature in enumerate(block.features):
            # the features of a pair cancel, the products of its gradients do not
            features[block.name, k] = ((),) if neuron.coupled else (splitter.split(feature.xreplace(longer)),)
            found = neuron.gradients[block.name][k]
            gradients[block.name, k] = tuple(splitter.split(g.xreplace(longer)) for g in found)
    inside = {i for form in splitter.forms for i, c in enumerate(form) if c != 0}
    standard = [Normal() if w in longer else laws[w] for w in weights]
    for i in inside:
        if isinstance(standard[i], FairSign):
            raise NtkVerifyError(f"{weights[i]} stands inside an activation and must be normal, but its law is 'sign'.")
    outer = {i: tuple(map(law.moment, range(129))) for i, law in enumerate(standard) if i not in inside}
    box = _box([law if i in inside else None for i, law in enumerate(standard)], weights)
    return Derivation(weights, tuple(splitter.forms), gradients, features, outer, box)


def _box(laws: Sequence[Law | None], weights: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...] | None:
    """The radii of the weights inside activations, 0 for the others, or None if they are normal."""
    uniform = [w for w, law in zip(weights, laws, strict=True) if isinstance(law, Uniform)]
    normal = [w for w, law in zip(weights, laws, strict=True) if isinstance(law, Normal)]
    if uniform and normal:
        raise NtkVerifyError(
            f"the weights inside an activation are all normal or all uniform, but {uniform[0]} is uniform and "
            f"{normal[0]} normal."
        )
    return tuple(law.radius if isinstance(law, Uniform) else sympy.S.Zero for law in laws) if uniform else None
