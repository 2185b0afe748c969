"""From a neuron to the Gaussian moments that its limit Gram matrix is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.terms import Groups, Splitter, Term
from ntkverify.symbolic.expression.cache import cached
from ntkverify.symbolic.expression.functions import PositivePower
from ntkverify.symbolic.expression.squares import SQUARES, in_squares
from ntkverify.symbolic.limit.pairs import Component, IsotropicPart, pair_terms
from ntkverify.symbolic.network.laws import FairSign, Law, Normal, Uniform, completed_laws
from ntkverify.symbolic.network.neuron import Neuron

__all__ = ["Derivation", "Law", "Slot", "Uniform", "derive"]

#: the laws that have names of their own
NAMED: Mapping[str, Law] = {"normal": Normal(), "sign": FairSign()}
Slot = tuple[str, int]
# weights in the form besides those whose squares are summed, such as a bias and that of time
_MOST_OTHERS = 4


@dataclass(frozen=True)
class Isotropy:
    """Features that depend on many weights through one form and the sum of squares of all weights in it only.

    Parameters
    ----------
    features : tuple of sympy.Expr
        In the symbol of the form, `SQUARES`, and the other weights.
    members, others : tuple of int
        These weights, and the others of the form.
    """

    features: tuple[sympy.Expr, ...]
    members: tuple[int, ...]
    others: tuple[int, ...]


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
    gradients: dict[Slot, tuple[Component, ...]]
    features: dict[Slot, tuple[tuple[Term, ...], ...]]
    outer_moments: dict[int, tuple[sympy.Expr, ...]]
    box: tuple[sympy.Expr, ...] | None = None

    @property
    def inside(self) -> tuple[int, ...]:
        """The weights that stand in linear forms."""
        return tuple(i for i in range(len(self.weights)) if any(form[i] != 0 for form in self.forms))

    @cached_property
    def is_isotropic(self) -> bool:
        """Whether sums of squares of many weights are kept as one."""
        squares = len(self.weights)
        parts = [c for table in (self.gradients, self.features) for components in table.values() for c in components]
        return any(isinstance(c, IsotropicPart) or any(squares in term.monomial for term in c) for c in parts)

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
    normal = not any(isinstance(law, Uniform) for law in laws.values())
    splitter = Splitter(weights, sums_as_forms=normal)
    slots = [(block.name, k) for block in neuron.blocks for k in range(len(block.features))]
    every = [splitter.in_forms(f.xreplace(longer)) for block in neuron.blocks for f in block.features]
    splitter.in_half_lines = normal and any(f.has(PositivePower) for f in every)
    scales = [law.scale if isinstance(law, Normal) else sympy.S.One for law in (laws[w] for w in weights)]
    common = _isotropy(every, splitter, laws, scales, len(neuron.weights))
    written = dict(zip(slots, every if common is None else common.features, strict=True))
    gradients = {slot: _gradient(f, splitter, scales, len(neuron.weights), common) for slot, f in written.items()}
    features: dict[Slot, tuple[tuple[Term, ...], ...]] = {}
    for slot, f in written.items():
        # the features of a pair cancel, the products of its gradients do not
        features[slot] = ((),) if neuron.coupled else (splitter.split_forms(f),)
    inside = {i for form in splitter.forms for i, c in enumerate(form) if c != 0}
    standard = [Normal() if w in longer else laws[w] for w in weights]
    for i in inside:
        if isinstance(standard[i], FairSign):
            raise NtkVerifyError(f"{weights[i]} stands inside an activation and must be normal, but its law is 'sign'.")
    outer = {i: tuple(map(law.moment, range(129))) for i, law in enumerate(standard) if i not in inside}
    box = _box([law if i in inside else None for i, law in enumerate(standard)], weights)
    return Derivation(weights, tuple(splitter.forms), gradients, features, outer, box)


def _isotropy(
    features: Sequence[sympy.Expr],
    splitter: Splitter,
    laws: Mapping[sympy.Symbol, Law],
    scales: Sequence[sympy.Expr],
    trained: int,
) -> Isotropy | None:
    """Whether sums of squares stay one: normal weights of one deviation in one form, all of them trained or none."""
    if len(splitter.forms) != 1:
        return None
    inside = [i for i, c in enumerate(splitter.forms[0]) if c != 0]
    if not all(isinstance(laws[splitter.weights[i]], Normal) for i in inside):
        return None
    found = in_squares(features, [splitter.weights[i] for i in inside])
    if found is None:
        return None
    members = tuple(i for i in inside if splitter.weights[i] in found.members)
    others = tuple(i for i in inside if i not in members)
    if len(others) > _MOST_OTHERS or len({scales[i] for i in members}) > 1 or len({i < trained for i in members}) > 1:
        return None
    # the sum over all weights of the form is the one that no rotation changes
    whole = SQUARES - sympy.Add(*(splitter.weights[i] ** 2 for i in others))
    return Isotropy(tuple(f.xreplace({SQUARES: whole}) for f in found.expressions), members, others)


def _gradient(
    feature: sympy.Expr, splitter: Splitter, scales: Sequence[sympy.Expr], trained: int, common: Isotropy | None
) -> tuple[Component, ...]:
    """The gradient of a feature of `Splitter.in_forms`: by the chain rule through its forms."""
    slopes = splitter.slopes(feature)
    through = {form: splitter.split_forms(slope) for form, slope in slopes.items()}
    squares = 2 * sympy.diff(feature, SQUARES) if common is not None else sympy.S.Zero
    members = set(common.members) if common is not None else set()
    components: list[Component] = []
    for i in range(trained):
        if i in members:
            continue
        weight, terms = splitter.weights[i], []
        for form, found in through.items():
            factor = splitter.forms[form][i] / scales[i]
            terms += [Term(t.coefficient * factor, t.monomial, t.atom, t.form) for t in found if factor != 0]
        direct = sympy.diff(feature, weight) if weight in feature.free_symbols else sympy.S.Zero
        if common is not None and i in common.others:
            direct += squares * weight
        terms += splitter.split_forms(direct / scales[i])
        components.append(tuple(terms))
    if common is not None and common.members[0] < trained:
        scale = scales[common.members[0]]
        nu, (slope,) = splitter.forms[0], slopes.values() or (sympy.S.Zero,)
        components.append(
            IsotropicPart(
                tuple(nu[i] for i in common.members),
                {i: nu[i] for i in common.others},
                len(splitter.weights),
                splitter.split_forms(slope / scale),
                splitter.split_forms(splitter.symbol(0) * slope / scale),
                splitter.split_forms(squares / scale),
            )
        )
    return tuple(components)


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
