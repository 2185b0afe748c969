"""Arrange a block's features and gradients for code: chain rule by hand, work sorted by what it depends on.

A feature almost always meets the sample through an affine form ``z = w . x`` only, so the gradient is
``sum_l (dT/dz_l) dz_l/dw + dT/dw`` with ``T = sum_k c_k feature_k``: one derivative shared by all
components instead of p separate expressions. Statements are sorted into three kinds, those of the
neuron alone, of the sample alone, and the mixed ones; only the last are paid m * n times.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sympy

from ntkverify.symbolic.expression.forms import InForms, in_forms, linear_parts
from ntkverify.symbolic.expression.functions import PositivePower, Softplus
from ntkverify.symbolic.network.neuron import Block, Neuron

Assignment = tuple[sympy.Symbol, sympy.Expr]


@dataclass(frozen=True)
class Statements:
    """Straight-line code of one pass over one block.

    Parameters
    ----------
    neuron, sample, mixed : tuple of (symbol, expression)
        Assignments that depend on the weights only, on the sample only, and on both, each in order.
    outputs : tuple of sympy.Expr
        For the gradient, per weight; for the forward pass, per feature.
    """

    neuron: tuple[Assignment, ...]
    sample: tuple[Assignment, ...]
    mixed: tuple[Assignment, ...]
    outputs: tuple[sympy.Expr, ...]

    @property
    def operations(self) -> int:
        """Arithmetic operations per neuron and sample: additions, products and function calls count one."""
        return sum(operations(e) for _, e in self.mixed) + sum(operations(e) for e in self.outputs)


def operations(e: sympy.Basic) -> int:
    """Operations of an expression as it is printed: a power k costs k - 1 products, a step in a product none."""
    if isinstance(e, sympy.Mul):
        # a step chooses what the other factors come to, and its comparison serves all that it chooses
        steps = [a for a in e.args if isinstance(a, PositivePower) and a.args[1] == 0]
        rest = [a for a in e.args if a not in steps]
        return sum(operations(a) for a in (*rest, *(s.args[0] for s in steps))) + max(len(rest) - 1, 0)
    below = sum(operations(a) for a in e.args)
    if isinstance(e, sympy.Add):
        return below + len(e.args) - 1
    if isinstance(e, sympy.Pow) and e.exp.is_Integer:
        return operations(e.base) + abs(int(e.exp)) - (1 if e.exp > 0 else 0)
    if isinstance(e, PositivePower):
        k = int(e.args[1])
        return operations(e.args[0]) + max(k, 1)
    return below + (1 if e.args else 0)


def canonical(neuron: Neuron) -> Neuron:
    """The same neuron with its symbols renamed to w0.., f0.., x0.. and, per block, p0..: names that code may use."""

    def named(prefix: str, symbols: Iterable[sympy.Symbol]) -> dict[sympy.Symbol, sympy.Symbol]:
        return {s: sympy.Symbol(f"{prefix}{i}", real=True) for i, s in enumerate(symbols)}

    w, f, x = named("w", neuron.weights), named("f", neuron.frozen), named("x", neuron.coordinates)
    blocks = []
    for b in neuron.blocks:
        p = named("p", b.sums)
        features = tuple(sympy.sympify(e).xreplace({**w, **f, **x}) for e in b.features)
        blocks.append(Block(b.name, features, tuple(p.values()), sympy.sympify(b.residual).xreplace({**x, **p})))
    return Neuron(tuple(w.values()), tuple(f.values()), tuple(x.values()), tuple(blocks))


Given = tuple[tuple[sympy.Expr, sympy.Symbol], ...]
"""Forms that features hold as symbols already, with their symbols."""


def _in_forms(block: Block, neuron: Neuron, given: Given) -> InForms:
    """A block's features with symbols for the linear forms of the weights, those that are given before all others."""
    weights = (*neuron.weights, *neuron.frozen)
    found = in_forms(block.features, weights, neuron.coordinates, first=len(given))
    parts = {s: (linear_parts(form, set(weights)) or ({}, form))[0] for form, s in given}
    return InForms(found.expressions, {**dict(given), **found.forms}, {**parts, **found.coefficients})


@functools.lru_cache(maxsize=256)
def forward_statements(neuron: Neuron, block: Block, given: Given = ()) -> Statements:
    """Code for the features of one neuron at one sample."""
    found = _in_forms(block, neuron, given)
    return _sort(neuron, found.forms, [_arrange(f) for f in found.expressions], ())


@functools.lru_cache(maxsize=256)
def gradient_statements(
    neuron: Neuron, block: Block, cotangents: tuple[sympy.Symbol, ...], given: Given = (), *, spread: bool = False
) -> Statements:
    """Code for the gradient of ``sum_k c_k feature_k`` in the trainable weights, c_k given per sample.

    With `spread` the factors of a shared derivative that belong to the sample or to the neuron alone, and to all of
    its terms (such as the cotangent, where there is one feature), go to what they are multiplied by, and are not
    paid m * n times.
    """
    found = _in_forms(block, neuron, given)
    z, features = found.forms, found.expressions
    # dT/dz_l is arranged per feature, so that c_k stays one factor of it
    by_form = [
        sympy.Add(*(c * _arrange(sympy.diff(f, s)) for c, f in zip(cotangents, features, strict=True)))
        for s in z.values()
    ]
    factors = [sympy.S.One] * len(by_form)
    if spread:
        parts = [_apart(e, z.values()) for e in by_form]
        factors, by_form = [own for own, _ in parts], [rest for _, rest in parts]
    shared = [sympy.Symbol(f"s_{i}") for i in range(len(by_form))]
    outputs = []
    for w in neuron.weights:
        through = [
            s * a * found.coefficients[form].get(w, sympy.S.Zero)
            for s, a, form in zip(shared, factors, z.values(), strict=True)
        ]
        direct = [c * _partial(f, w) for c, f in zip(cotangents, features, strict=True)]
        outputs.append(sympy.Add(*through, *direct))
    return _sort(neuron, z, outputs, cotangents, tuple(zip(shared, by_form, strict=True)), apart=spread)


def _partial(f: sympy.Expr, w: sympy.Symbol) -> sympy.Expr:
    """What a feature owes to a weight outside the forms."""
    return _arrange(sympy.diff(f, w)) if w in f.free_symbols else sympy.S.Zero


def _apart(e: sympy.Expr, both: Iterable[sympy.Symbol]) -> tuple[sympy.Expr, sympy.Expr]:
    """An expression as a product of factors without the symbols `both`, common to all its terms, and what is left."""
    both, terms = set(both), sympy.Add.make_args(e)
    if e == 0:
        return sympy.S.One, e
    of_all = set.intersection(*({a for a in sympy.Mul.make_args(t) if not a.free_symbols & both} for t in terms))
    own = sympy.Mul(*of_all)
    return own, sympy.Add(*(t / own for t in terms))


@functools.lru_cache(maxsize=256)
def values_and_gradients_statements(neuron: Neuron, block: Block) -> Statements:
    """Code for a block's features with their gradients: all values first, then the gradients feature by feature."""
    found = _in_forms(block, neuron, ())
    z, features = found.forms, found.expressions
    slopes = [_arrange(sympy.diff(f, s)) for f in features for s in z.values()]
    shared = [sympy.Symbol(f"s_{i}") for i in range(len(slopes))]
    outputs = [_arrange(f) for f in features]
    for k, f in enumerate(features):
        own = shared[k * len(z) : (k + 1) * len(z)]
        for w in neuron.weights:
            through = [
                s * found.coefficients[form].get(w, sympy.S.Zero) for s, form in zip(own, z.values(), strict=True)
            ]
            outputs.append(sympy.Add(*through, _partial(f, w)))
    return _sort(neuron, z, outputs, (), tuple(zip(shared, slopes, strict=True)))


def _arrange(e: sympy.Expr) -> sympy.Expr:
    """Rewrite a derivative as a short polynomial in the functions that it contains.

    Powers z_+^k become powers of z_+ and the step, and the polynomial in the (usually one)
    function that varies with the sample is put in Horner form, its coefficients factored.
    """
    e = e.replace(PositivePower, lambda z, k: PositivePower(z, 1) ** k if k > 1 else PositivePower(z, k))
    atoms = sorted(e.atoms(sympy.Function, Softplus), key=sympy.default_sort_key)
    outer = [a for a in atoms if not any(a is not b and b.has(a) for b in atoms)]
    if not outer or not e.is_polynomial(*outer):
        return e
    names = {a: sympy.Dummy() for a in outer}
    back = {v: k for k, v in names.items()}
    try:
        poly = sympy.Poly(e.xreplace(names), *names.values())
    except sympy.PolynomialError:
        return e
    if len(outer) == 1:
        result: sympy.Expr = sympy.S.Zero
        (x,) = names.values()
        for c in poly.all_coeffs():
            result = result * x + sympy.factor_terms(c)
        candidate = result.xreplace(back)
    else:
        terms = [
            sympy.Mul(sympy.factor_terms(c), *(x**k for x, k in zip(poly.gens, ks, strict=True)))
            for ks, c in poly.terms()
        ]
        candidate = sympy.Add(*terms).xreplace(back)
    return candidate if operations(candidate) < operations(e) else e


class _Parts:
    """Gives names to the parts of expressions that depend on the neuron alone, or on the sample alone.

    Parameters
    ----------
    of_neuron, of_sample, of_both : set of sympy.Symbol
        What is known of symbols; names that are given are added.
    """

    def __init__(self, of_neuron: set[sympy.Symbol], of_sample: set[sympy.Symbol], of_both: set[sympy.Symbol]) -> None:
        self.of_neuron, self.of_sample, self.of_both = of_neuron, of_sample, of_both
        self.assignments: dict[str, list[Assignment]] = {"neuron": [], "sample": []}
        self._names: dict[sympy.Expr, sympy.Symbol] = {}

    def hoist(self, e: sympy.Expr) -> sympy.Expr:
        """Replace the largest neuron-only and sample-only parts of an expression by names."""
        if not e.args or e.is_number:
            return e
        which = self._kind(e)
        if which != "mixed":
            return self._name(e, which)
        if not isinstance(e, sympy.Add | sympy.Mul):
            return e.func(*(self.hoist(a) for a in e.args))
        groups: dict[str, list[sympy.Expr]] = {"neuron": [], "sample": [], "mixed": [], "number": []}
        for a in e.args:
            groups["number" if a.is_number else self._kind(a)].append(a)
        # a constant belongs where it costs nothing
        cheapest = next((g for g in ("neuron", "sample") if groups[g]), "mixed")
        groups[cheapest] += groups["number"]
        parts = [self.hoist(e.func(*groups[g])) for g in ("neuron", "sample") if groups[g]]
        return e.func(*parts, *(self.hoist(a) for a in groups["mixed"]))

    def _kind(self, e: sympy.Basic) -> str:
        free = e.free_symbols
        if free & self.of_both or (free & self.of_neuron and free & self.of_sample):
            return "mixed"
        return "neuron" if free & self.of_neuron else "sample"

    def _name(self, e: sympy.Expr, which: str) -> sympy.Expr:
        """The name of a part that depends on one of the two only."""
        if not e.args or e.is_number:
            return e
        if e not in self._names:
            symbol = sympy.Symbol(f"{'nv' if which == 'neuron' else 'xv'}_{len(self._names)}")
            self._names[e] = symbol
            (self.of_neuron if which == "neuron" else self.of_sample).add(symbol)
            self.assignments[which].append((symbol, e))
        return self._names[e]


def _sort(
    neuron: Neuron,
    z: dict[sympy.Expr, sympy.Symbol],
    outputs: Iterable[sympy.Expr],
    cotangents: tuple[sympy.Symbol, ...],
    shared: tuple[Assignment, ...] = (),
    *,
    apart: bool = False,
) -> Statements:
    """Share common subexpressions and sort every product's factors by what they depend on.

    With `apart`, factors of the neuron alone in an output's terms are left out of what is shared, and can be taken
    out of sums over samples.
    """
    parts = _Parts(
        {*neuron.weights, *neuron.frozen},
        {*neuron.coordinates, *cotangents},
        {*z.values(), *(s for s, _ in shared)},
    )
    definitions = [*((s, form) for form, s in z.items()), *shared]
    hoisted = [parts.hoist(e) for _, e in definitions]
    groups = [
        by_neuron(parts.hoist(e), parts.of_neuron) if apart else {sympy.S.One: parts.hoist(e)} for e in list(outputs)
    ]
    hoisted += [rest for group in groups for rest in group.values()]
    replacements, reduced = sympy.cse(hoisted, symbols=sympy.numbered_symbols("t_"), order="canonical")
    pending = list(replacements) + [(s, e) for (s, _), e in zip(definitions, reduced, strict=False)]
    if apart:
        steps = _bare_steps(pending)
        pending = [(s, e.xreplace(steps)) for s, e in pending if s not in steps]
        reduced = [e.xreplace(steps) for e in reduced]
    rests = iter(reduced[len(definitions) :])
    results = tuple(sympy.Add(*(own * next(rests) for own in group)) for group in groups)
    of_neuron, of_sample = (tuple(parts.assignments[which]) for which in ("neuron", "sample"))
    # where only outer weights are trained, the derivatives through the forms are asked for by nobody
    return live(Statements(of_neuron, of_sample, tuple(_in_order(pending)), results))


def _bare_steps(assignments: Iterable[Assignment]) -> dict[sympy.Symbol, sympy.Expr]:
    """Names that stand for nothing but a step of another name, and that step.

    A step chooses what it is multiplied by, which a name of its own would hide from the printer; one whose argument is
    more than a name keeps its own, so that the argument is not computed again.
    """
    steps = {s: e for s, e in assignments if isinstance(e, PositivePower) and e.args[1] == 0 and e.args[0].is_Symbol}
    return {s: e for s, e in steps.items() if e.args[0] not in steps}


def _in_order(assignments: Iterable[Assignment]) -> list[Assignment]:
    """The assignments in an order in which each uses only earlier ones."""
    pending, ordered = list(assignments), []
    unknown = {s for s, _ in pending}
    while pending:
        ready = next(i for i, (_, e) in enumerate(pending) if not (e.free_symbols & unknown))
        ordered.append(pending.pop(ready))
        unknown.discard(ordered[-1][0])
    return ordered


def by_neuron(e: sympy.Expr, of_neuron: Collection[sympy.Symbol]) -> dict[sympy.Expr, sympy.Expr]:
    """The terms of a sum gathered by their factors of the neuron alone: factor to what it multiplies."""
    found: dict[sympy.Expr, sympy.Expr] = {}
    for term in sympy.Add.make_args(e) if e != 0 else ():
        own = sympy.Mul(*(a for a in sympy.Mul.make_args(term) if a.is_number or a in of_neuron))
        found[own] = found.get(own, sympy.S.Zero) + term / own
    return found


def live(code: Statements, given: frozenset[sympy.Symbol] = frozenset()) -> Statements:
    """The statements that the outputs need when the symbols `given` come from elsewhere."""
    needed: set[sympy.Basic] = set().union(*(e.free_symbols for e in code.outputs))
    kept = []
    for statements in (code.mixed, code.sample, code.neuron):
        part = []
        for s, e in reversed(statements):
            if s in needed and s not in given:
                needed |= e.free_symbols
                part.append((s, e))
        kept.append(tuple(part[::-1]))
    mixed, sample, neuron = kept
    return Statements(neuron, sample, mixed, code.outputs)
