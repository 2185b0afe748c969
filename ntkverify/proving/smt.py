"""Questions of real algebra as SMT-LIB text, and z3's answer to that very text.

A root becomes a variable r >= 0 with r^q = base, a quotient one with r * base = 1. Where it is not plain that a base
is in order, the text asks for a point at which it is not, too: what is unsatisfiable is true and defined everywhere.
Constants that are not algebraic (pi) become variables between two rationals, which can only make the question harder.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import sympy
from sympy.core.relational import Relational

from ntkverify.proving.question import Question

#: z3's own count of its work, the same on every machine; about half of it is done in a second
RLIMIT = 4_000_000
_DIGITS = 40
#: powers and roots that are written out, and operations of a number whose polynomial is looked for
_HIGHEST, _LONG = 24, 80
_SIGN = "(or (and (> X 0) (> Y 0)) (and (< X 0) (< Y 0)) (and (= X 0) (= Y 0)))"
#: what holds of Y = f(X) for every X
_KNOWN = {
    sympy.exp: "(and (> Y 0) (>= Y (+ 1 X)))",
    sympy.log: "(and (<= Y (- X 1)) (or (and (> X 1) (> Y 0)) (and (< X 1) (< Y 0)) (and (= X 1) (= Y 0))))",
    sympy.tanh: f"(and (< (- 1) Y) (< Y 1) {_SIGN})",
    sympy.erf: f"(and (< (- 1) Y) (< Y 1) {_SIGN})",
    sympy.atan: _SIGN,
}


class NotAlgebraic(ValueError):
    """An expression with functions that are no roots."""


def is_there() -> bool:
    """Whether z3 is installed."""
    return find_spec("z3") is not None


def version() -> str:
    """z3 with its version."""
    import z3

    return f"z3 {z3.get_version_string()}"


@dataclass
class _Writer:
    """Terms of SMT-LIB, and the variables that they need."""

    declared: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    known: dict[sympy.Basic, str] = field(default_factory=dict)
    abstract: bool = False

    def symbol(self, symbol: sympy.Symbol) -> str:
        self.declared.append(f"|{symbol}|")
        self.known[symbol] = f"|{symbol}|"
        return self.known[symbol]

    def term(self, e: sympy.Expr) -> str:
        if e not in self.known:
            self.known[e] = self._term(e)
        return self.known[e]

    def _term(self, e: sympy.Expr) -> str:
        if e.is_Rational:
            size = str(abs(e.p)) if e.q == 1 else f"(/ {abs(e.p)} {e.q})"
            return size if e.p >= 0 else f"(- {size})"
        if e.is_number and (found := _minimal(e)) is not None:
            return self._algebraic(*found)
        if isinstance(e, sympy.Add | sympy.Mul):
            sign = "+" if isinstance(e, sympy.Add) else "*"
            return f"({sign} {' '.join(map(self.term, e.args))})"
        if isinstance(e, sympy.Pow) and e.exp.is_Rational and max(abs(e.exp.p), e.exp.q) <= _HIGHEST:
            return self._power(e.base, e.exp)
        if isinstance(e, sympy.Abs):
            inner = self.term(e.args[0])
            return f"(ite (>= {inner} 0) {inner} (- {inner}))"
        if isinstance(e, sympy.Max | sympy.Min):
            sign = ">=" if isinstance(e, sympy.Max) else "<="
            return functools.reduce(lambda a, b: f"(ite ({sign} {a} {b}) {a} {b})", map(self.term, e.args))
        if e.is_number and e.is_extended_real and e.is_finite:
            return self._constant(e)
        if self.abstract and e.func in _KNOWN and len(e.args) == 1:
            return self._function(e)
        raise NotAlgebraic(str(e))

    def _power(self, base: sympy.Expr, exponent: sympy.Rational) -> str:
        inner = self.term(base)
        if exponent.q > 1:
            inner = self._root(base, inner, int(exponent.q))
        count = abs(int(exponent.p))
        power = inner if count == 1 else f"(* {' '.join([inner] * count)})"
        return power if exponent > 0 else self._reciprocal(base, power)

    def _root(self, base: sympy.Expr, inner: str, degree: int) -> str:
        key = sympy.Pow(base, sympy.Rational(1, degree), evaluate=False)
        if key not in self.known or not self.known[key].startswith("|"):
            name = self._fresh()
            solved = f"(and (>= {name} 0) (= (* {' '.join([name] * degree)}) {inner}))"
            self._where(solved, sure=bool(base.is_nonnegative), fails=f"(< {inner} 0)")
            self.known[key] = name
        return self.known[key]

    def _reciprocal(self, base: sympy.Expr, power: str) -> str:
        name = self._fresh()
        self._where(f"(= (* {name} {power}) 1)", sure=base.is_zero is False, fails=f"(= {power} 0)")
        return name

    def _where(self, solved: str, *, sure: bool, fails: str) -> None:
        self.constraints.append(solved if sure else f"(or {fails} {solved})")
        if not sure:
            self.broken.append(fails)

    def _algebraic(self, coefficients: tuple[int, ...], low: sympy.Rational, high: sympy.Rational) -> str:
        name = self._fresh()
        terms = [[self.term(sympy.Integer(c)), *[name] * n] for n, c in enumerate(coefficients) if c]
        powers = [f"(* {' '.join(term)})" if len(term) > 1 else term[0] for term in terms]
        between = f"(< {self.term(low)} {name}) (< {name} {self.term(high)})"
        self.constraints.append(f"(and {between} (= (+ {' '.join(powers)}) 0))")
        return name

    def _function(self, e: sympy.Expr) -> str:
        """A value of which nothing is known but what holds of the function everywhere."""
        inner, name = self.term(e.args[0]), self._fresh()
        facts = _KNOWN[e.func].replace("X", inner).replace("Y", name)
        domain = isinstance(e, sympy.log) and not e.args[0].is_positive
        self._where(facts, sure=not domain, fails=f"(<= {inner} 0)")
        return name

    def _constant(self, e: sympy.Expr) -> str:
        name, half = self._fresh(), sympy.Rational(1, 10**_DIGITS)
        middle = sympy.Rational(e.evalf(_DIGITS + 20))  # off by much less than half
        scale = max(sympy.Integer(1), sympy.Rational(sympy.ceiling(abs(middle))))
        low, high = self.term(middle - half * scale), self.term(middle + half * scale)
        self.constraints.append(f"(and (< {low} {name}) (< {name} {high}))")
        return name

    def _fresh(self) -> str:
        self.declared.append(f"|y!{len(self.declared)}|")
        return self.declared[-1]

    def relation(self, relation: Relational) -> str:
        sign = {sympy.Eq: "=", sympy.Le: "<=", sympy.Lt: "<", sympy.Ge: ">=", sympy.Gt: ">"}[type(relation)]
        return f"({sign} {self.term(relation.lhs)} {self.term(relation.rhs)})"


@functools.lru_cache(maxsize=256)
def _minimal(number: sympy.Expr) -> tuple[tuple[int, ...], sympy.Rational, sympy.Rational] | None:
    """An irrational number as the only root of a polynomial between two rationals; None if it is not algebraic.

    One variable instead of one for every root in it.
    """
    if not number.is_algebraic or not number.is_extended_real or sympy.count_ops(number) > _LONG:
        return None
    if any(max(abs(p.exp.p), p.exp.q) > _HIGHEST for p in number.atoms(sympy.Pow) if p.exp.is_Rational):
        return None
    z = sympy.Dummy("z")
    polynomial = sympy.Poly(sympy.minimal_polynomial(number, z), z)
    value = sympy.N(number, _DIGITS)
    for (low, high), _ in polynomial.intervals(eps=sympy.Rational(1, 10**12)):
        if low < value < high:
            return tuple(int(c) for c in polynomial.all_coeffs()[::-1]), sympy.Rational(low), sympy.Rational(high)
    return None


def text_of(asked: Question, *, abstract: bool = False) -> str:
    """A search for a counterexample as SMT-LIB text; unsatisfiable where the answer is yes.

    With `abstract` values of exp, log, ... are variables with the function's range and sign: what is unsatisfiable is
    still true, and what is satisfiable says nothing.

    Raises
    ------
    NotAlgebraic
        If the question has functions that are no roots.
    """
    write, ranges = _Writer(abstract=abstract), []
    for symbol in asked.symbols:
        write.symbol(symbol)
    for symbol, interval in asked.box:
        for end, is_open, sign in ((interval.start, interval.left_open, ">"), (interval.end, interval.right_open, "<")):
            if end.is_finite:
                ranges.append(f"({sign}{'' if is_open else '='} |{symbol}| {write.term(end)})")
    ranges += [write.relation(condition) for condition in asked.given]
    left, right = write.term(asked.left), write.term(asked.right)
    wrong = f"({'>=' if asked.strict else '>'} {left} {right})"
    lines = [f"; is there a counterexample to {asked.text}", "(set-logic QF_NRA)"]
    lines += [f"(declare-fun {name} () Real)" for name in write.declared]
    lines += [f"(assert {line})" for line in (*ranges, *write.constraints)]
    lines += [f"(assert {_either([wrong, *write.broken])})", "(check-sat)", ""]
    return "\n".join(lines)


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"(or {' '.join(parts)})"


@dataclass(frozen=True)
class Answer:
    """What z3 says: "unsat", "sat" with the values of a counterexample, or "unknown"."""

    word: str
    candidates: tuple[dict[sympy.Symbol, sympy.Expr], ...] = ()


def ask(text: str, symbols: tuple[sympy.Symbol, ...], *, limit: int = RLIMIT) -> Answer:
    """z3's answer within so much work; a counterexample as exact numbers, and as rationals close to it."""
    import z3

    context = z3.Context()
    solver = z3.Tactic("qfnra-nlsat", ctx=context).solver()
    solver.set("rlimit", limit)
    solver.add(z3.parse_smt2_string(text, ctx=context))
    word = str(solver.check())
    if word != "sat":
        return Answer(word)
    model = solver.model()
    values = {s: model.eval(z3.Real(str(s), ctx=context), model_completion=True) for s in symbols}
    near = [{s: _rational(v, digits) for s, v in values.items()} for digits in (2, 4, 8, 16, 32)]
    return Answer(word, (*near, {s: _exact(v) for s, v in values.items()}))


def _rational(value: Any, digits: int) -> sympy.Rational:
    if hasattr(value, "numerator_as_long"):
        exact = sympy.Rational(value.numerator_as_long(), value.denominator_as_long())
    else:
        close = value.approx(digits + 10)
        exact = sympy.Rational(close.numerator_as_long(), close.denominator_as_long())
    return exact.limit_denominator(10**digits)


def _exact(value: Any) -> sympy.Expr:
    if hasattr(value, "numerator_as_long"):
        return sympy.Rational(value.numerator_as_long(), value.denominator_as_long())
    z = sympy.Dummy("z")
    coefficients = [sympy.Rational(c.numerator_as_long(), c.denominator_as_long()) for c in value.poly()]
    near = _rational(value, 40)
    roots = sympy.Poly(coefficients[::-1], z).real_roots()
    return min(roots, key=lambda root: abs(sympy.N(root - near, 40)))
