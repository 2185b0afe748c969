"""Functions as sums of powers times sin or cos times Gaussians times erf, which have closed moments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy

from ntkverify.symbolic.expression.functions import Z


@dataclass(frozen=True)
class Piece:
    """coefficient * z^power * wave(frequency z) * exp(-damping z^2) * (erf(scale z) if scale else 1).

    The wave is ``"cos"`` or ``"sin"``; with frequency 0 it is ``"cos"``, which is 1.
    """

    coefficient: sympy.Expr
    power: int = 0
    wave: str = "cos"
    frequency: sympy.Expr = sympy.S.Zero
    damping: sympy.Expr = sympy.S.Zero
    scale: sympy.Expr = sympy.S.Zero


@lru_cache(maxsize=1024)
def pieces_of(function: sympy.Expr) -> tuple[Piece, ...] | None:
    """The function of ``Z`` as a sum of pieces, or None if it is none."""
    i = sympy.I
    waves = function.replace(sympy.sin, lambda a: (sympy.exp(i * a) - sympy.exp(-i * a)) / (2 * i))
    waves = waves.replace(sympy.cos, lambda a: (sympy.exp(i * a) + sympy.exp(-i * a)) / 2)
    collected: dict[tuple[Any, ...], sympy.Expr] = {}
    for term in sympy.Add.make_args(sympy.expand(waves, power_exp=False)):
        found = _one_piece(term)
        if found is None:
            return None
        coefficient, *key = found
        collected[tuple(key)] = collected.get(tuple(key), sympy.S.Zero) + coefficient
    result = []
    for (power, frequency, damping, scale), coefficient in collected.items():
        if frequency == 0:
            result.append(Piece(coefficient, power, "cos", sympy.S.Zero, damping, scale))
        elif frequency > 0:
            # c e^{ikz} and its conjugate at -k add up to 2 Re c cos kz - 2 Im c sin kz
            real, imaginary = sympy.expand(coefficient).as_real_imag()
            result.append(Piece(2 * real, power, "cos", frequency, damping, scale))
            result.append(Piece(-2 * imaginary, power, "sin", frequency, damping, scale))
    return tuple(p for p in result if p.coefficient != 0)


def _one_piece(term: sympy.Expr) -> tuple[Any, ...] | None:
    coefficient, exponent, scale, power = sympy.S.One, sympy.S.Zero, sympy.S.Zero, 0
    for factor in sympy.Mul.make_args(term):
        base, exp = factor.as_base_exp()
        if not factor.has(Z):
            coefficient *= factor
        elif base is sympy.E:
            exponent += exp
        elif base == Z and exp.is_Integer and exp > 0:
            power += int(exp)
        elif isinstance(factor, sympy.erf) and scale == 0 and factor.args[0].coeff(Z) * Z == factor.args[0]:
            scale = factor.args[0].coeff(Z)
        else:
            return None
    if not exponent.is_polynomial(Z) or sympy.degree(exponent, Z) > 2:
        return None
    c0, c1, c2 = (exponent.coeff(Z, k) for k in range(3))
    frequency = sympy.expand(-sympy.I * c1)
    if not (frequency.is_real and (-c2).is_nonnegative):
        return None
    return coefficient * sympy.exp(c0), power, frequency, -c2, scale
