"""Splitting a neuron's expressions into coefficient(x) * monomial(weights) * atom(linear form of the weights)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.forms import linear_parts, ratio_of
from ntkverify.symbolic.expression.functions import PositivePower, Z
from ntkverify.symbolic.expression.pieces import pieces_of
from ntkverify.symbolic.expression.squares import SQUARES

# weights up to which a part that is not written linearly is differentiated to find out
_FEW = 16


@dataclass(frozen=True)
class Term:
    """coefficient * prod(weights[i] for i in monomial) * atom(forms[form] . weights).

    Parameters
    ----------
    coefficient : sympy.Expr
        In the coordinates only.
    monomial : tuple of int
        Indices of weights, sorted, repeated for powers.
    atom : sympy.Expr
        Function of ``Z``; 1 if there is none.
    form : int
        Index of the linear form, or -1 if the atom is 1.
    """

    coefficient: sympy.Expr
    monomial: tuple[int, ...]
    atom: sympy.Expr
    form: int


@dataclass
class Splitter:
    """Splits expressions and collects the linear forms they share.

    Parameters
    ----------
    weights : sequence of sympy.Symbol
        The random variables.
    forms : list of tuple of sympy.Expr, optional
        Linear forms: one coefficient per weight.
    sums_as_forms : bool, optional
        Write sums outside functions, such as w.x in w.x (1 + tanh(w.x)), by forms as well, not by single weights.
    in_half_lines : bool, optional
        Write powers of a form as z^p = z_+^p + (-1)^p (-z)_+^p, which have moments in closed form together with other
        positive parts.
    """

    weights: Sequence[sympy.Symbol]
    forms: list[tuple[sympy.Expr, ...]] = field(default_factory=list)
    sums_as_forms: bool = False
    in_half_lines: bool = False
    _stand_ins: dict[sympy.Symbol, int] = field(default_factory=dict)

    def split(self, expression: sympy.Expr) -> tuple[Term, ...]:
        """All terms of an expression with one linear form each, like terms collected.

        Raises
        ------
        NtkVerifyError
            If a function's argument is not built from linear forms of the weights (plus numbers), or a term
            multiplies functions of two different ones.
        """
        return self.split_forms(self.in_forms(expression))

    def split_forms(self, expression: sympy.Expr) -> tuple[Term, ...]:
        """The same for an expression of `in_forms`."""
        collected: dict[tuple[tuple[int, ...], sympy.Expr, int], list[sympy.Expr]] = {}
        for coefficient, monomial, atoms in self._terms(expression):
            if len(atoms) > 1:
                raise NtkVerifyError(f"{expression} multiplies functions of two different linear forms of the weights.")
            form, atom = next(iter(atoms.items()), (-1, sympy.S.One))
            collected.setdefault((monomial, atom, form), []).append(coefficient)
        if self.in_half_lines:
            collected = self._halved(collected)
        summed = ((key, sympy.Add(*parts)) for key, parts in collected.items())
        return _with_whole_functions([Term(c, monomial, atom, form) for (monomial, atom, form), c in summed if c != 0])

    def _halved(
        self, collected: dict[tuple[tuple[int, ...], sympy.Expr, int], list[sympy.Expr]]
    ) -> dict[tuple[tuple[int, ...], sympy.Expr, int], list[sympy.Expr]]:
        result: dict[tuple[tuple[int, ...], sympy.Expr, int], list[sympy.Expr]] = {}
        for (monomial, atom, form), parts in collected.items():
            base, power = atom.as_base_exp()
            if base != Z or not power.is_Integer:
                result.setdefault((monomial, atom, form), []).extend(parts)
                continue
            opposite, _ = self._register(tuple(-c for c in self.forms[form]))
            half = PositivePower(Z, power)
            result.setdefault((monomial, half, form), []).extend(parts)
            result.setdefault((monomial, half, opposite), []).extend((-1) ** power * c for c in parts)
        return result

    def split_products(
        self, expression: sympy.Expr
    ) -> Iterator[tuple[sympy.Expr, tuple[int, ...], list[tuple[sympy.Expr, tuple[sympy.Expr, ...]]]]]:
        """Terms with at most two linear forms: coefficient, monomial, and the atoms with their forms.

        Raises
        ------
        NtkVerifyError
            As for `split`, for three different forms.
        """
        for coefficient, monomial, atoms in self._products(expression):
            if len(atoms) > 2:
                raise NtkVerifyError(f"{expression} multiplies functions of three different linear forms.")
            yield coefficient, monomial, [(atom, self.forms[form]) for form, atom in atoms.items()]

    def _products(self, expression: sympy.Expr) -> Iterator[tuple[sympy.Expr, tuple[int, ...], dict[int, sympy.Expr]]]:
        return self._terms(self.in_forms(expression))

    def in_forms(self, expression: sympy.Expr) -> sympy.Expr:
        """The expression with a symbol for every linear form in its functions, and for its multiples elsewhere."""
        weights = set(self.weights)
        functions = {
            f for f in expression.atoms(sympy.Function, sympy.Pow) if _is_opaque(f) and f.free_symbols & weights
        }
        # xreplace goes from the outside in, so that a function inside another is replaced where it stands alone
        renamed = {f: self._rename(f, self._stand_ins) for f in sorted(functions, key=sympy.default_sort_key)}
        replaced = expression.xreplace(renamed)
        return self._with_known_forms(replaced, weights) if self.sums_as_forms else replaced

    def _with_known_forms(self, e: sympy.Expr, weights: set[sympy.Symbol]) -> sympy.Expr:
        """Sums that are multiples of a known form, such as w . x in z (1 + tanh(z/2)), by its symbol."""
        if not e.args or not e.free_symbols & weights:
            return e
        if e.is_Add:
            linear = [a for a in e.args if a.free_symbols & weights and linear_parts(a, weights) is not None]
            found = self._known(sympy.Add(*linear), weights) if len(linear) > 1 else None
            if found is not None:
                return sympy.Add(found, *(self._with_known_forms(a, weights) for a in e.args if a not in linear))
        if not (e.is_Add or e.is_Mul or e.is_Pow):
            return e
        return e.func(*(self._with_known_forms(a, weights) for a in e.args))

    def _known(self, part: sympy.Expr, weights: set[sympy.Symbol]) -> sympy.Expr | None:
        written = linear_parts(part, weights)
        if written is None or len(written[0]) < 2:
            return None
        for symbol, index in list(self._stand_ins.items()):
            form = {w: c for w, c in zip(self.weights, self.forms[index], strict=True) if c != 0}
            ratio = ratio_of(written[0], form)
            if ratio is not None:
                return ratio * symbol + written[1]
        if sum(bool(c.free_symbols) for c in written[0].values()) < 2:
            return None
        # a form that stands in no function, as in a network without activation
        return self._stand_in(part, self._stand_ins) if written[1].is_number else None

    def symbol(self, form: int) -> sympy.Symbol:
        """What stands for a form in expressions of `in_forms`."""
        return _symbol_of(form, self._stand_ins)

    def slopes(self, expression: sympy.Expr) -> dict[int, sympy.Expr]:
        """The derivatives of an expression of `in_forms` in its forms, by their index."""
        present = expression.free_symbols
        return {i: sympy.diff(expression, s) for s, i in self._stand_ins.items() if s in present}

    def _terms(self, expression: sympy.Expr) -> Iterator[tuple[sympy.Expr, tuple[int, ...], dict[int, sympy.Expr]]]:
        """The terms of an expression of `in_forms`."""
        positions = {w: i for i, w in enumerate((*self.weights, SQUARES))}
        stand_ins = self._stand_ins
        for term in sympy.Add.make_args(_multiplied_out(expression, positions.keys() | stand_ins.keys())):
            coefficient, monomial = sympy.S.One, list[int]()
            atoms: dict[int, sympy.Expr] = {}
            for factor in sympy.Mul.make_args(term):
                base, power = factor.as_base_exp()
                used = factor.free_symbols & stand_ins.keys()
                if len(used) == 1:
                    (symbol,) = used
                    form = stand_ins[symbol]
                    atoms[form] = atoms.get(form, sympy.S.One) * factor.xreplace({symbol: Z})
                elif base in positions and power.is_Integer and power > 0:
                    monomial += [positions[base]] * int(power)
                elif factor.free_symbols & (positions.keys() | stand_ins.keys()):
                    raise NtkVerifyError(
                        f"{_shortened(factor)} is neither a power of a weight nor a function of a linear form."
                    )
                else:
                    coefficient *= factor
            for form, atom in atoms.items():
                scale, atoms[form] = _canonical_positive(atom)
                coefficient *= scale
            yield coefficient, tuple(sorted(monomial)), atoms

    def _rename(self, function: sympy.Expr, stand_ins: dict[sympy.Symbol, int]) -> sympy.Expr:
        """A function with a symbol for every linear form in its arguments."""
        return function.func(*(self._in_forms(argument, stand_ins) for argument in function.args))

    def _in_forms(self, part: sympy.Expr, stand_ins: dict[sympy.Symbol, int]) -> sympy.Expr:
        weights = part.free_symbols & set(self.weights)
        if not weights:
            return part
        if _is_linear(part, weights):
            return self._stand_in(part, stand_ins)
        if part.is_Mul or part.is_Pow:
            # with one input, (w x)^3 is w^3 x^3
            own, rest = part.as_independent(*(a for a in part.args if not _is_monomial(a, weights)), as_Add=False)
            power = self._power_of_form(own, stand_ins)
            if power is not None:
                return power * (self._in_forms(rest, stand_ins) if rest.free_symbols & weights else rest)
        if not part.is_Add:
            return part.func(*(self._in_forms(argument, stand_ins) for argument in part.args))
        # w . x + (w . x)^3 is a sum of w_1 x_1, w_2 x_2 and the cube, but a function of one form
        linear = [a for a in part.args if _is_linear(a, weights)]
        rest = [self._in_forms(a, stand_ins) for a in part.args if a not in linear]
        return sympy.Add(self._in_forms(sympy.Add(*linear), stand_ins), *rest)

    def _stand_in(self, part: sympy.Expr, stand_ins: dict[sympy.Symbol, int]) -> sympy.Expr:
        """A linear part by the symbol of its form."""
        written = linear_parts(part, set(self.weights))
        if written is None:
            coefficients = tuple(sympy.diff(part, w) for w in self.weights)
            offset = sympy.expand(part - sympy.Add(*(c * w for c, w in zip(coefficients, self.weights, strict=True))))
        else:
            coefficients = tuple(written[0].get(w, sympy.S.Zero) for w in self.weights)
            offset = sympy.expand(written[1])
        if not offset.is_number:
            raise NtkVerifyError(f"the argument {part} has a part without weights, but a linear form is needed.")
        index, scale = self._register(coefficients)
        return scale * _symbol_of(index, stand_ins) + offset

    def _power_of_form(self, part: sympy.Expr, stand_ins: dict[sympy.Symbol, int]) -> sympy.Expr | None:
        """A coefficient times a power of one weight as a number times a power of a form, if it is that."""
        present = [w for w in self.weights if w in part.free_symbols]
        if len(present) != 1:
            return None
        (weight,) = present
        coefficient, rest = part.as_independent(weight, as_Add=False)
        base, power = rest.as_base_exp()
        if base != weight or not power.is_Integer or power < 1:
            return None
        place = list(self.weights).index(weight)
        for index, form in enumerate(self.forms):
            if form[place] != 0 and sum(c != 0 for c in form) == 1:
                ratio = sympy.cancel(coefficient / form[place] ** power)
                if ratio.is_number:
                    return ratio * _symbol_of(index, stand_ins) ** power
        number, powers = coefficient.as_independent(*coefficient.free_symbols, as_Add=False)
        roots = [(b, e / power) for b, e in powers.as_powers_dict().items()]
        if not all(e.is_Integer for _, e in roots):
            return None
        form = sympy.Mul(*(b**e for b, e in roots)) * weight
        return number * self._stand_in(form, stand_ins) ** power

    def _register(self, form: tuple[sympy.Expr, ...]) -> tuple[int, sympy.Expr]:
        """Index of a form and the number by which the registered form must be multiplied to give it."""
        for index, known in enumerate(self.forms):
            pairs = list(zip(form, known, strict=True))
            scale = next((sympy.cancel(f / k) for f, k in pairs if k != 0), sympy.S.One)
            if not (scale.is_positive and scale.is_number):
                continue
            if all(f == scale * k or sympy.expand(f - scale * k) == 0 for f, k in pairs):
                return index, scale
        # an irrational factor such as 1/sqrt(2) goes into the function, so that rational points give rational forms
        content = next(c.as_independent(*c.free_symbols, as_Add=False)[0] for c in form if c != 0)
        scale = content if content.is_positive and not content.is_rational else sympy.S.One
        self.forms.append(tuple(sympy.expand(c / scale) for c in form))
        return len(self.forms) - 1, scale


def _with_whole_functions(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Functions without closed form put together again where they were multiplied out, such as 1 - tanh^2.

    Each is integrated numerically, at the same cost for a sum as for one of its terms.
    """
    result, sums = [], dict[tuple[tuple[int, ...], sympy.Expr], dict[int, sympy.Expr]]()
    for term in terms:
        if term.form >= 0 and (term.atom.has(PositivePower) or pieces_of(term.atom) is not None):
            result.append(term)
            continue
        number, rest = term.coefficient.as_content_primitive()
        if rest.could_extract_minus_sign():
            number, rest = -number, -rest
        atoms = sums.setdefault((term.monomial, rest), {})
        atoms[term.form] = atoms.get(term.form, sympy.S.Zero) + number * term.atom
    for (monomial, coefficient), atoms in sums.items():
        constant, forms = atoms.pop(-1, sympy.S.Zero), list(atoms)
        if len(forms) == 1:
            atoms[forms[0]] += constant
        elif constant != 0:
            result.append(Term(constant * coefficient, monomial, sympy.S.One, -1))
        result += [Term(coefficient, monomial, atom, form) for form, atom in atoms.items()]
    return tuple(result)


def _is_opaque(part: sympy.Expr) -> bool:
    """Whether a part is a function that a product is not multiplied out into: no power with a natural exponent."""
    return not (part.is_Pow and part.exp.is_Integer and part.exp >= 0)


def _symbol_of(index: int, stand_ins: dict[sympy.Symbol, int]) -> sympy.Symbol:
    """The symbol that stands for a form."""
    symbol = next((s for s, i in stand_ins.items() if i == index), None) or sympy.Dummy("z", real=True)
    stand_ins[symbol] = index
    return symbol


def _shortened(part: sympy.Expr) -> str:
    text = str(part)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _is_monomial(factor: sympy.Expr, weights: set[sympy.Symbol]) -> bool:
    """Whether a factor is without weights, or a power of one."""
    return not factor.free_symbols & weights or factor.as_base_exp()[0] in weights


def _is_linear(part: sympy.Expr, weights: set[sympy.Symbol]) -> bool:
    """Whether a part is affine in the weights; one without them is."""
    if linear_parts(part, weights) is not None:
        return True
    present = part.free_symbols & weights
    if len(present) > _FEW:
        return False  # written as something else, and too long to be multiplied out
    return bool(part.is_polynomial(*present)) and all(not sympy.diff(part, w).free_symbols & weights for w in present)


def _canonical_positive(atom: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """A product of positive powers of multiples of Z as a number times one positive power of Z."""
    scale, power, rest = sympy.S.One, None, sympy.S.One
    for factor in sympy.Mul.make_args(atom):
        base, exponent = factor.as_base_exp()
        ratio = sympy.cancel(base.args[0] / Z) if isinstance(base, PositivePower) else sympy.S.Zero
        if ratio.is_positive and ratio.is_number and exponent.is_Integer and exponent > 0:
            scale *= ratio ** (base.args[1] * exponent)
            power = (power or 0) + base.args[1] * exponent
        else:
            rest *= factor
    if power is not None:
        base, exponent = rest.as_base_exp()
        if base == Z and exponent.is_Integer and exponent > 0:  # z z_+^k = z_+^(k+1)
            rest, power = sympy.S.One, power + exponent
    return scale, rest if power is None else rest * PositivePower(Z, power)


GroupKey = tuple[tuple[int, ...], sympy.Expr, int, sympy.Expr, int]
Groups = dict[GroupKey, list[tuple[sympy.Expr, sympy.Expr]]]


def _multiplied_out(expression: sympy.Expr, symbols: Collection[sympy.Symbol]) -> sympy.Expr:
    """The expression multiplied out, but for divisors without these symbols.

    1/(e^2 + (x - c)^2) multiplied out is a difference of large numbers near c.
    """
    powers = [p for p in expression.atoms(sympy.Pow) if p.exp.is_number and p.exp.is_negative and p.free_symbols]
    divisors = {p: sympy.Dummy() for p in powers if not p.free_symbols & set(symbols)}
    back = {symbol: power for power, symbol in divisors.items()}
    return sympy.expand(expression.xreplace(divisors)).xreplace(back)
