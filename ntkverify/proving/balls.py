"""Expressions compiled for balls of python-flint, and the sign of an exact number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError

PRECISION, FINEST = 96, 1536  # bits of an enclosure, and at which a sign is given up

_LONG = 60  # operations of a number that algebra is asked about

_METHODS: Mapping[type, str] = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.tanh: "tanh",
    sympy.atan: "atan",
    sympy.erf: "erf",
    sympy.erfc: "erfc",
}


class NotForBalls(ValueError):
    """An expression with a function that has no enclosure here."""


def is_there() -> bool:
    """Whether python-flint is installed."""
    return find_spec("flint") is not None


def version() -> str:
    """python-flint with its version."""
    import flint

    return f"python-flint {flint.__version__}"


class _Compiler:
    """Python text that evaluates an expression, its numbers as names."""

    def __init__(self, names: Mapping[sympy.Basic, str]) -> None:
        self.names = dict(names)
        self.constants: dict[str, sympy.Expr] = {}

    def number(self, value: sympy.Expr) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def text(self, e: sympy.Basic) -> str:
        if e.is_Symbol:
            return str(self.names[e])
        if e.is_Rational or e in (sympy.pi, sympy.E):
            return self.number(e)
        if isinstance(e, sympy.Add | sympy.Mul):
            return f"({(' + ' if isinstance(e, sympy.Add) else ' * ').join(map(self.text, e.args))})"
        if isinstance(e, sympy.exp):  # before powers, which sympy calls them too
            return f"({self.text(e.args[0])}).exp()"
        if isinstance(e, sympy.Pow):
            base = self.text(e.base)
            if e.exp == sympy.Rational(1, 2):
                return f"({base}).sqrt()"
            if e.exp == -sympy.Rational(1, 2):
                return f"({base}).rsqrt()"
            return f"(({base}) ** {self.text(e.exp)})"
        if isinstance(e, sympy.Abs):
            return f"abs({self.text(e.args[0])})"
        if isinstance(e, sympy.Max | sympy.Min):
            name, (first, *rest) = ("max" if isinstance(e, sympy.Max) else "min"), map(self.text, e.args)
            return f"({first})" + "".join(f".{name}({other})" for other in rest)
        if e.func in _METHODS:
            return f"({self.text(e.args[0])}).{_METHODS[e.func]}()"
        raise NotForBalls(str(e))


def compiled(expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> Callable[..., tuple[Any, ...]]:
    """A function of one ball a symbol, at the working precision, that encloses every expression.

    Where an expression is not defined on the balls its enclosure is not finite, or not a number.

    Raises
    ------
    NotForBalls
        If an expression has a function that balls have not.
    """
    import flint

    numbered = {symbol: f"x{i}" for i, symbol in enumerate(symbols)}
    # numbers go in before common parts are looked for: sympy would write 1/3 as a float
    parts, results = sympy.cse([sympy.sympify(e) for e in expressions], symbols=sympy.numbered_symbols("t"))
    compiler = _Compiler(numbered)
    lines = []
    for name, part in parts:
        lines.append(f"    {name} = {compiler.text(part)}")
        compiler.names[name] = str(name)
    returned = "".join(f"{compiler.text(result)}, " for result in results)
    # a constant result is no ball by itself, and a name that nobody uses costs nothing
    arguments = ", ".join((*numbered.values(), *compiler.constants))
    source = f"def enclosed({arguments}):\n" + "\n".join([*lines, f"    return ({returned})"])
    scope: dict[str, Any] = {}
    exec(source, scope)
    values: dict[int, tuple[Any, ...]] = {}

    def function(*balls: Any) -> tuple[Any, ...]:
        bits = flint.ctx.prec
        if bits not in values:
            values[bits] = tuple(_ball(value) for value in compiler.constants.values())
        found: tuple[Any, ...] = scope["enclosed"](*balls, *values[bits])
        return found

    return function


def _ball(value: sympy.Expr) -> Any:
    import flint

    if value is sympy.pi:
        return flint.arb.pi()
    if value is sympy.E:
        return flint.arb.const_e()
    if value.is_Integer:
        return flint.arb(int(value))
    return flint.arb(flint.fmpq(int(value.p), int(value.q)))


def enclosed(value: sympy.Expr, bits: int = PRECISION) -> Any:
    """The ball of an exact number."""
    with precision(bits):
        return compiled([value], ())()[0]


def precision(bits: int) -> Any:
    """A ``with`` block at this working precision."""
    import flint

    return flint.ctx.workprec(bits)


def sign_of(value: sympy.Expr) -> int | None:
    """-1, 0 or 1, certified: by balls, and 0 by algebra; None if it can't be told or the value is not defined."""
    value = sympy.sympify(value)
    if value.is_Rational:
        return int(sympy.sign(value))
    if not value.is_number or value.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    bits = PRECISION
    try:
        while bits <= FINEST:
            ball = enclosed(value, bits)
            if ball > 0:
                return 1
            if ball < 0:
                return -1
            bits *= 4
    except NotForBalls:
        return None
    return 0 if value.is_extended_real is not False and _is_zero(value) else None


def _is_zero(value: sympy.Expr) -> bool:
    if sympy.count_ops(value) > _LONG:
        return False
    try:
        return sympy.simplify(value) == 0 or (value.is_algebraic is True and value.equals(0) is True)
    except (NtkVerifyError, NotImplementedError, ValueError, TypeError):
        return False
