"""Print scalar sympy expressions for the generated kernels (Python under numba, CUDA C)."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.choices import Where
from ntkverify.symbolic.expression.functions import PositivePower, Softplus

NUMBA_FUNCTIONS: Mapping[type, str] = {
    sympy.exp: "exp",
    sympy.tanh: "tanh",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.log: "math.log",
    sympy.tan: "math.tan",
    sympy.sinh: "math.sinh",
    sympy.cosh: "math.cosh",
    sympy.atan: "math.atan",
    sympy.erf: "math.erf",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    Softplus: "softplus",
}


class ScalarPrinter:
    """Infix expressions with a table of function names; powers are written out as products.

    Parameters
    ----------
    functions : mapping
        Name of the target's function for each sympy class.
    conditional : str
        Format of a choice with the fields `test`, `yes` and `no`.
    sqrt : str
        Name of the square root.
    power : str
        Name of the general power.
    """

    def __init__(
        self,
        functions: Mapping[type, str] = NUMBA_FUNCTIONS,
        *,
        conditional: str = "({yes} if {test} else {no})",
        sqrt: str = "math.sqrt",
        power: str = "math.pow",
    ) -> None:
        self.functions = functions
        self.conditional = conditional
        self.sqrt = sqrt
        self.power = power

    def __call__(self, e: sympy.Expr) -> str:
        if e.is_Symbol:
            return str(e.name)
        if not e.free_symbols:
            return f"({float(e)!r})"
        if isinstance(e, sympy.Add):
            return "(" + " + ".join(self(a) for a in e.args) + ")"
        if isinstance(e, sympy.Mul):
            return self._product(e)
        if isinstance(e, sympy.Pow) and e.exp.is_Rational:
            return self._power(e)
        if isinstance(e, PositivePower):
            z, k = self(e.args[0]), int(e.args[1])
            if k == 0:
                return self.conditional.format(test=f"{z} >= 0.0", yes="1.0", no="0.0")
            # 0 > z and not z <= 0: one instruction that lets a NaN through, so that a run that diverged shows it
            return self._repeat(self.conditional.format(test=f"0.0 > {z}", yes="0.0", no=z), k)
        if isinstance(e, Where):
            test, yes, no = map(self, e.args)
            return self.conditional.format(test=f"{test} >= 0.0", yes=yes, no=no)
        if isinstance(e, sympy.Heaviside) and e.args[1] == 1:
            return self.conditional.format(test=f"{self(e.args[0])} >= 0.0", yes="1.0", no="0.0")
        if isinstance(e, sympy.Max | sympy.Min):
            sign, text = (">" if isinstance(e, sympy.Max) else "<"), self(e.args[0])
            for a in e.args[1:]:
                text = self.conditional.format(test=f"{text} {sign} {self(a)}", yes=text, no=self(a))
            return text
        if e.func in self.functions:
            return f"{self.functions[e.func]}({', '.join(self(a) for a in e.args)})"
        raise NtkVerifyError(
            f"no compiled form of {e.func.__name__} (in {e}) is known; use backend='array' or rewrite the feature"
        )

    def _product(self, e: sympy.Mul) -> str:
        below = [a for a in e.args if isinstance(a, sympy.Pow) and a.exp.is_Integer and a.exp < 0]
        above = [a for a in e.args if a not in below]
        # a step chooses, it does not multiply: c * 1{z >= 0} is one select
        steps = [a for a in above if isinstance(a, PositivePower) and a.args[1] == 0]
        rest = [a for a in above if a not in steps]
        text = " * ".join(self(a) for a in rest) or "1.0"
        if below:
            text = f"({text}) / ({' * '.join(self(1 / a) for a in below)})"
        for s in steps:
            text = self.conditional.format(test=f"{self(s.args[0])} >= 0.0", yes=f"({text})", no="0.0")
        return f"({text})"

    def _power(self, e: sympy.Pow) -> str:
        base, k = self(e.base), e.exp
        if k == sympy.Rational(1, 2):
            return f"{self.sqrt}({base})"
        if k == sympy.Rational(-1, 2):
            return f"(1.0 / {self.sqrt}({base}))"
        if not k.is_Integer:
            return f"{self.power}({base}, {float(k)!r})"
        text = self._repeat(base, abs(int(k)))
        return text if k > 0 else f"(1.0 / {text})"

    def _repeat(self, text: str, k: int) -> str:
        return text if k == 1 else "(" + " * ".join([text] * k) + ")"
