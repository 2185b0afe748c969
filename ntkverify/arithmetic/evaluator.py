"""Walk a sympy tree over arrays: the obvious evaluator, the reference for every generated kernel.

The walk knows no number type. An `Algebra` says how exact constants become leaves and how
each function acts, so the same walk serves array-API arrays and balls.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.choices import Where
from ntkverify.symbolic.expression.functions import PositivePower, Softplus


class Algebra(Protocol):
    """How constants and functions act on one kind of array."""

    functions: Mapping[type, Callable[..., Any]]

    def constant(self, value: sympy.Expr) -> Any:
        """Value of an expression without symbols, or None to have its parts evaluated."""
        ...

    def power(self, base: Any, exponent: sympy.Rational) -> Any:
        """``base`` to an exact rational power."""
        ...

    def positive_power(self, z: Any, k: int) -> Any:
        """z_+^k, the step 1{z >= 0} for k = 0."""
        ...

    def choose(self, test: Any, yes: Any, no: Any) -> Any:
        """`yes` where test >= 0, else `no`."""
        ...


def evaluate(expression: sympy.Expr, values: Mapping[sympy.Symbol, Any], algebra: Algebra) -> Any:
    """Value of an expression at arrays that broadcast against each other.

    Parameters
    ----------
    expression : sympy.Expr
        Built of sums, products, rational powers and the algebra's functions.
    values : mapping from sympy.Symbol to array
        Value of every free symbol.
    algebra : Algebra
        Number type to evaluate in.

    Raises
    ------
    NtkVerifyError
        If a symbol has no value or a function is not known to the algebra.
    """
    return evaluate_all([expression], values, algebra)[0]


def evaluate_all(expressions: list[sympy.Expr], values: Mapping[sympy.Symbol, Any], algebra: Algebra) -> list[Any]:
    """Values of several expressions; equal subtrees are evaluated once."""
    parts = tuple(sympy.sympify(e) for e in expressions)
    program = _program(parts) if isinstance(algebra, ArrayAlgebra) else None
    if program is not None:
        return program.run(values, algebra)
    known: dict[sympy.Basic, Any] = dict(values)
    return [_walk(e, known, algebra) for e in parts]


class Formulas:
    """Lists of expressions that are evaluated at many sets of arrays, list by list.

    Parameters
    ----------
    lists : sequence of sequences of sympy.Expr
    algebra : Algebra
        Number type to evaluate in.
    """

    def __init__(self, lists: Sequence[Sequence[sympy.Expr]], algebra: Algebra) -> None:
        self.lists, self.algebra = tuple(tuple(sympy.sympify(e) for e in es) for es in lists), algebra
        whole = isinstance(algebra, ArrayAlgebra)
        program = _program(tuple(itertools.chain.from_iterable(self.lists))) if whole else None
        self.program = None if program is None else program.bound(algebra)
        if self.program is not None:
            results = iter(self.program.results)
            self.results = [[next(results) for _ in es] for es in self.lists]
            self.needed = [self.program.needed(places) for places in self.results]
            #: values on the way to all lists, symbols and constants among them
            self.length = len(self.program.steps)
        else:
            self.length = len({part for es in self.lists for e in es for part in sympy.preorder_traversal(e)})

    def at(self, values: Mapping[sympy.Symbol, Any]) -> FormulaValues:
        """Their values at these arrays, found when they are asked for."""
        return FormulaValues(self, values)


class FormulaValues:
    """Values of the lists of `Formulas` at one set of arrays; what lists share is evaluated once.

    What lies on the way to them is dropped when the last list is found.
    """

    def __init__(self, formulas: Formulas, values: Mapping[sympy.Symbol, Any]) -> None:
        self._formulas, self._values = formulas, values
        self._known: dict[sympy.Basic, Any] = dict(values) if formulas.program is None else {}
        self._found: list[Any] = [] if formulas.program is None else [None] * len(formulas.program.steps)
        self._lists: dict[int, list[Any]] = {}

    def of(self, which: int) -> list[Any]:
        """Values of the expressions of one list."""
        # before it is looked whether the list is there: another thread may be the one that drops the way to it
        known, found, formulas = self._known, self._found, self._formulas
        if which not in self._lists:
            if formulas.program is None:
                result = [_walk(e, known, formulas.algebra) for e in formulas.lists[which]]
            else:
                formulas.program.find(formulas.needed[which], found, self._values, formulas.algebra)
                result = [found[place] for place in formulas.results[which]]
            self._lists[which] = result
            if len(self._lists) == len(formulas.lists):
                self._known, self._found = {}, []
        return self._lists[which]


@functools.lru_cache(maxsize=4096)
def _program(expressions: tuple[sympy.Expr, ...]) -> _Program | None:
    """The walk over these expressions written down once; None where it is no plain list of steps."""
    if any(e.has(Where) for e in expressions):
        return None
    places: dict[sympy.Basic, int] = {}
    steps: list[tuple[str, Any, tuple[int, ...]]] = []

    def place(e: sympy.Basic) -> int:
        if e not in places:
            kind, payload, parts = _step(e)
            arguments = tuple(place(part) for part in parts)
            steps.append((kind, payload, arguments))
            places[e] = len(steps) - 1
        return places[e]

    results = tuple(place(e) for e in expressions)
    return _Program(tuple(steps), results)


def _step(e: sympy.Basic) -> tuple[str, Any, tuple[sympy.Basic, ...]]:
    """What finds the value of an expression, with what, from the values of which parts, in the order of `_walk`."""
    if e.is_Symbol:
        return "symbol", e, ()
    if _is_constant(e):
        return "constant", e, ()
    if isinstance(e, sympy.Add):
        return "+", None, e.args
    if isinstance(e, sympy.Mul):
        return "*", None, e.args
    if isinstance(e, sympy.Pow) and e.exp.is_Rational:
        return "power", e.exp, (e.base,)
    if isinstance(e, PositivePower):
        return "positive power", int(e.args[1]), (e.args[0],)
    if isinstance(e, sympy.Heaviside) and e.args[1] == 1:
        return "positive power", 0, (e.args[0],)
    return "function", e, e.args


class _Program:
    """Steps, each of which finds one more value from those before it; `results`: the places of what was asked for."""

    def __init__(self, steps: tuple[tuple[str, Any, tuple[int, ...]], ...], results: tuple[int, ...]) -> None:
        self.steps, self.results = steps, results

    def run(self, values: Mapping[sympy.Symbol, Any], algebra: Algebra) -> list[Any]:
        found: list[Any] = [None] * len(self.steps)
        self.find(range(len(self.steps)), found, values, algebra)
        return [found[i] for i in self.results]

    def needed(self, results: Iterable[int]) -> list[int]:
        """The places on the way to these results, in the order in which they can be found."""
        wanted, places = set(results), []
        for place in range(len(self.steps) - 1, -1, -1):
            if place in wanted:
                wanted.update(self.steps[place][2])
                places.append(place)
        return places[::-1]

    def bound(self, algebra: Any) -> _Program:
        """The same with the algebra's constants and functions looked up."""
        steps = []
        for kind, payload, arguments in self.steps:
            if kind == "constant":
                steps.append(("value", algebra.constant(payload), arguments))
            elif kind == "function" and payload.func in algebra.functions:
                steps.append(("apply", algebra.functions[payload.func], arguments))
            else:
                steps.append((kind, payload, arguments))
        return _Program(tuple(steps), self.results)

    def find(self, places: Iterable[int], found: list[Any], values: Mapping[sympy.Symbol, Any], algebra: Any) -> None:
        """Fill in what is not found yet at these places."""
        for place in places:
            if found[place] is not None:
                continue
            kind, payload, arguments = self.steps[place]
            if kind == "*":
                result = found[arguments[0]]
                for i in arguments[1:]:
                    result = result * found[i]
            elif kind == "+":
                result = found[arguments[0]]
                for i in arguments[1:]:
                    result = result + found[i]
            elif kind == "symbol":
                if payload not in values:
                    raise _no_value(payload)
                result = values[payload]
            elif kind == "value":
                result = payload
            elif kind == "constant":
                result = algebra.constant(payload)
            elif kind == "power":
                result = algebra.power(found[arguments[0]], payload)
            elif kind == "positive power":
                result = algebra.positive_power(found[arguments[0]], payload)
            elif kind == "apply":
                result = payload(*(found[i] for i in arguments))
            elif payload.func in algebra.functions:
                result = algebra.functions[payload.func](*(found[i] for i in arguments))
            else:
                raise _unknown(payload)
            found[place] = result


@functools.lru_cache(maxsize=65536)
def _is_constant(e: sympy.Basic) -> bool:
    return not e.free_symbols


def _walk(e: sympy.Basic, known: dict[sympy.Basic, Any], algebra: Algebra) -> Any:
    # a function of its own, not a closure: a closure that calls itself is a reference cycle, and the
    # arrays in `known` would wait for the garbage collector
    if e in known:
        return known[e]
    if e.is_Symbol:
        raise _no_value(e)
    result = algebra.constant(e) if _is_constant(e) else None
    if result is not None:
        pass
    elif isinstance(e, sympy.Add):
        result = _walk(e.args[0], known, algebra)
        for a in e.args[1:]:
            result = result + _walk(a, known, algebra)
    elif isinstance(e, sympy.Mul):
        result = _walk(e.args[0], known, algebra)
        for a in e.args[1:]:
            result = result * _walk(a, known, algebra)
    elif isinstance(e, sympy.Pow) and e.exp.is_Rational:
        result = algebra.power(_walk(e.base, known, algebra), e.exp)
    elif isinstance(e, PositivePower):
        result = algebra.positive_power(_walk(e.args[0], known, algebra), int(e.args[1]))
    elif isinstance(e, Where):
        with np.errstate(all="ignore"):  # the branch that is not taken may be anything
            test, yes, no = (_walk(a, known, algebra) for a in e.args)
            result = algebra.choose(test, yes, no)
    elif isinstance(e, sympy.Heaviside) and e.args[1] == 1:
        result = algebra.positive_power(_walk(e.args[0], known, algebra), 0)
    elif e.func in algebra.functions:
        result = algebra.functions[e.func](*(_walk(a, known, algebra) for a in e.args))
    else:
        raise _unknown(e)
    known[e] = result
    return result


def _no_value(e: sympy.Basic) -> NtkVerifyError:
    return NtkVerifyError(f"no value was given for the symbol {e}; add it to the neuron's weights or coordinates")


def _unknown(e: sympy.Basic) -> NtkVerifyError:
    return NtkVerifyError(
        f"the evaluator does not know {e.func.__name__} (in {e}); rewrite it in terms of exp, sin, cos, tanh, "
        "erf, log, Abs, Max, Min, PositivePower or Softplus"
    )


class ArrayAlgebra:
    """Floating-point arrays of one array-API namespace.

    Parameters
    ----------
    xp : module
        The namespace (numpy, cupy, array_api_strict, ...).
    dtype : dtype, optional
        Real floating dtype of the constants; the namespace's float64 by default.
    """

    def __init__(self, xp: Any = np, dtype: Any = None) -> None:
        self.xp = xp
        self.dtype = xp.float64 if dtype is None else dtype
        # a float of a sympy number takes longer than a product of small arrays
        self._constants: dict[sympy.Expr, Any] = {}
        self.functions: Mapping[type, Callable[..., Any]] = {
            sympy.exp: xp.exp,
            sympy.log: xp.log,
            sympy.sin: xp.sin,
            sympy.cos: xp.cos,
            sympy.tan: xp.tan,
            sympy.sinh: xp.sinh,
            sympy.cosh: xp.cosh,
            sympy.tanh: xp.tanh,
            sympy.atan: xp.atan,
            sympy.asin: xp.asin,
            sympy.acos: xp.acos,
            sympy.Abs: xp.abs,
            sympy.sign: xp.sign,
            sympy.erf: self._erf,
            sympy.Max: lambda *args: self._fold(xp.greater, *args),
            sympy.Min: lambda *args: self._fold(xp.less, *args),
            Softplus: self._softplus,
        }

    def constant(self, value: sympy.Expr) -> Any:
        if value not in self._constants:
            self._constants[value] = self.xp.asarray(float(value), dtype=self.dtype)
        return self._constants[value]

    def power(self, base: Any, exponent: sympy.Rational) -> Any:
        if exponent == sympy.Rational(1, 2):
            return self.xp.sqrt(base)
        if exponent.is_Integer:
            return integer_power(base, int(exponent))
        return base ** float(exponent)

    def positive_power(self, z: Any, k: int) -> Any:
        if k == 0:
            return self.xp.astype(z >= 0, self.dtype)
        return integer_power(self.xp.maximum(z, self.xp.asarray(0, dtype=z.dtype)), k)

    def choose(self, test: Any, yes: Any, no: Any) -> Any:
        return self.xp.where(test >= 0, yes, no)

    def _softplus(self, z: Any) -> Any:
        # log(1 + e^z) = max(z, 0) + log(1 + e^-|z|) never overflows
        return self.positive_power(z, 1) + self.xp.log1p(self.xp.exp(-self.xp.abs(z)))

    def _erf(self, z: Any) -> Any:
        if self.xp.__name__.startswith("cupy"):
            from cupyx.scipy.special import erf  # type: ignore[import-not-found]

            return erf(z)
        from scipy.special import erf

        return self.xp.asarray(erf(np.asarray(z)), dtype=self.dtype)

    def _fold(self, wins: Callable[[Any, Any], Any], *args: Any) -> Any:
        result = args[0]
        for a in args[1:]:
            result = self.xp.where(wins(a, result), a, result)
        return result


def integer_power(base: Any, exponent: int) -> Any:
    """Power by repeated squaring, so that every number type rounds (or encloses) the same products."""
    if exponent < 0:
        return 1 / integer_power(base, -exponent)
    result, square = None, base
    while exponent:
        if exponent & 1:
            result = square if result is None else result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return base * 0 + 1 if result is None else result
