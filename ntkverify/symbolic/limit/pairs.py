"""Products of the terms of two gradients, grouped by the Gaussian moment that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy

from ntkverify.symbolic.expectation.terms import Groups, Term


@dataclass(frozen=True)
class IsotropicPart:
    """The gradient in many weights w_i that enter through one form z and the sum of their squares only.

    It is D nu + E w with the form's coefficients nu and two functions of the neuron, so that products of two such
    gradients hold nu . nu', w . nu' = z' - (the other weights' part), and the sum of squares: no pairs of weights.

    Parameters
    ----------
    form : tuple of sympy.Expr
        nu, in the coordinates.
    others : dict of int to sympy.Expr
        The other weights of the form, with their coefficients.
    squares : int
        The index that stands for the sum of squares of all weights of the form.
    along_form, form_times_form, along_weights : tuple of Term
        D, z D and E.
    """

    form: tuple[sympy.Expr, ...]
    others: dict[int, sympy.Expr]
    squares: int
    along_form: tuple[Term, ...]
    form_times_form: tuple[Term, ...]
    along_weights: tuple[Term, ...]

    def products(self, right: IsotropicPart) -> Iterator[tuple[tuple[int, ...], Term, Term]]:
        """Terms of the inner product: weights besides those of the two terms, and the terms."""
        for s in self.along_form:
            for t in right.along_form:
                for c in self.form:
                    yield (), _times(s, c), _times(t, c)
        for s in self.along_weights:
            for t in right.form_times_form:
                yield (), s, t
            for t in right.along_form:
                for i, c in right.others.items():
                    yield (i,), _times(s, sympy.S.NegativeOne), _times(t, c)
            for t in right.along_weights:
                yield (self.squares,), s, t
                for i in self.others:
                    yield (i, i), _times(s, sympy.S.NegativeOne), t
        for t in right.along_weights:
            for s in self.form_times_form:
                yield (), s, t
            for s in self.along_form:
                for i, c in self.others.items():
                    yield (i,), _times(s, c), _times(t, sympy.S.NegativeOne)


Component = tuple[Term, ...] | IsotropicPart
"""The terms of the gradient in one weight, or in many."""


def _times(term: Term, factor: sympy.Expr) -> Term:
    return Term(term.coefficient * factor, term.monomial, term.atom, term.form)


def pair_terms(
    left: Sequence[Component],
    right: Sequence[Component],
    polynomial_weights: Mapping[int, Sequence[sympy.Expr]],
) -> Groups:
    """Products of terms, grouped by the Gaussian moment that they need.

    Parameters
    ----------
    left, right : sequences of Component
        Components are multiplied in pairs and summed.
    polynomial_weights : mapping of int to sequence of sympy.Expr
        Moments 0, 1, 2, .. of the weights that enter no linear form; they are taken out here.

    Returns
    -------
    dict
        (monomial, left atom, left form, right atom, right form) to the pairs of coefficients whose products add up.
    """
    groups: Groups = {}
    for left_component, right_component in zip(left, right, strict=True):
        for extra, s, t in _products(left_component, right_component):
            joint = sorted(s.monomial + t.monomial + extra)
            factor = sympy.S.One
            for index in set(joint) & polynomial_weights.keys():
                factor *= polynomial_weights[index][joint.count(index)]
            if factor == 0:
                continue
            kept = tuple(i for i in joint if i not in polynomial_weights)
            key = (kept, s.atom, s.form, t.atom, t.form)
            groups.setdefault(key, []).append((factor * s.coefficient, t.coefficient))
    return groups


def _products(left: Component, right: Component) -> Iterator[tuple[tuple[int, ...], Term, Term]]:
    if isinstance(left, IsotropicPart) and isinstance(right, IsotropicPart):
        yield from left.products(right)
    elif isinstance(left, tuple) and isinstance(right, tuple):
        yield from (((), s, t) for s in left for t in right)
    else:
        raise TypeError("the gradients of one neuron have the same components")
