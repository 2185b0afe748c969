"""ReLU's limit kernels at unit vectors as power series, and what one angle says of their least eigenvalues.

K_0 = rho f, f = (pi - theta)/(2 pi), and K_1' = f: (1 - rho^2) f'' = rho f' makes the coefficients of f c_0^2 = 1/4,
c_1^2 = 1/(2 pi), c_(k+2)^2 = c_k^2 k^2/((k+1)(k+2)) for odd k and 0 for the other even ones, that is binom(2j, j)/4^j/
(2 pi (2j + 1)) for k = 2j + 1. At an angle theta between lines (n - 1) |rho|^p <= zeta from p = 2 log((n - 1)/zeta)/
theta^2 on; what the coefficients from there on add up to, times 1 - zeta, is below the least eigenvalue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from sympy import Interval, Rational, acos, cos, exp, log, oo, pi, sin, sqrt

from ntkverify import always, identity
from ntkverify.glossary import n
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.neural_operator.angles import AnglesRun
from ntkverify.symbolic.constants.derived import derived
from ntkverify.symbolic.limit.angles import TERMS
from ntkverify.theorem.theorem import Theorem

theta, phi = sympy.symbols("theta phi", positive=True)  #: smallest angles between lines, and between samples
POWERS = 16  #: Schur powers that are looked at


def entries_error(run: Any) -> Any:
    """Rounding of the entries and of an eigensolver."""
    return 64 * run.n * ULP


def _of_kernel(measure: Callable[[Any, int, int], Any], kernel: int) -> Callable[[Any], Any]:
    """A measure of a kernel and a number of terms, as one of a run."""
    return lambda run: measure(run, kernel, TERMS)


class Angles(Part):
    """Claims on runs of `ntkverify.problems.neural_operator.angles.AnglesRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives zeta, and ``least_0`` and ``least_1``, the bounds of K_0 and K_1 by theta and n alone.
    """

    name = "angles"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        zeta = theorem.constant("zeta", Rational(1, 4), "row sum from which on a power counts; any below 1 will do")
        size, reach = (1 - zeta) * sqrt(2 / pi) / (2 * pi), 2 * log((n - 1) / zeta) / theta**2
        # the first odd power of f, or even one of K_1, from `reach` on is at most 1, or 2, beyond
        self.least = (
            theorem.constant("least_0", derived(size / sqrt(reach + 1), "odd powers of f from reach - 1 on"), "of K_0"),
            theorem.constant(
                "least_1", derived(size / 3 / (reach + 2) ** Rational(3, 2), "even powers from reach on"), "of K_1"
            ),
        )
        self.tails = ("1/sqrt(k) - 1/sqrt(k + 2)", "(k^(-3/2)")

    def series(self, *, on: Any) -> None:
        """The recursion, symbolically, and what is beyond 64 terms."""
        rho, z = sympy.Symbol("rho", positive=True), sympy.Symbol("z", real=True)
        f = (pi - acos(rho)) / (2 * pi)

        @self.lemma("f = (pi - theta)/(2 pi) solves (1 - rho^2) f'' = rho f': the recursion of c_k^2", holds=identity)
        def recursion() -> Any:
            return sympy.simplify((1 - rho**2) * f.diff(rho, 2)), sympy.simplify(rho * f.diff(rho))

        @self.lemma("f begins with 1/4 + rho/(2 pi)", holds=identity)
        def beginning() -> Any:
            return f.subs(rho, 0) + z * f.diff(rho).subs(rho, 0), Rational(1, 4) + z / (2 * pi)

        @self.lemma("K_1' = f, and K_1 begins with 1/(2 pi)", holds=identity)
        def outputs() -> Any:
            kernel = (sqrt(1 - rho**2) + (pi - acos(rho)) * rho) / (2 * pi)
            return sympy.simplify(kernel.diff(rho) - f) + z * kernel.subs(rho, 0), z / (2 * pi)

        for kernel in (0, 1):
            left = self.theorem.quantity(f"left_{kernel}", _of_kernel(AnglesRun.left, kernel))
            self.lemma(
                f"K_{kernel} is its power series: {TERMS} terms leave no entry more than they leave of 1/2",
                of=_of_kernel(AnglesRun.rest, kernel),
                holds=always,
                bound=left,
                on=on,
                error=entries_error,
                attained=True,  # at rho = 1
                uses=("recursion", "beginning", "outputs")[: 2 + kernel],
            )

    def schur(self, *, on: Any, signed: str) -> None:
        """Gershgorin of every Schur power; on `signed` the moduli are needed."""
        rows = self.theorem.quantity("rows", lambda run: run.gershgorin(POWERS, run.moduli()))
        sums = self.theorem.quantity("sums", lambda run: run.gershgorin(POWERS, run.inner - np.eye(len(run.inner))))
        powers: dict[str, Any] = {"of": lambda run: run.least_of_powers(POWERS), "from_below": True, "holds": always}
        self.lemma(
            "the least eigenvalue of every Schur power of X X^T is at least 1 - R_p",
            bound=rows,
            on=on,
            error=entries_error,
            attained=True,  # by two samples
            **powers,
        )
        self.control("the same without the moduli", bound=sums, on=signed, error=entries_error, **powers)

    def one_angle(self) -> None:
        """The numbers behind the bounds by one angle: tails of the coefficients, powers of a cosine, and a pair."""
        k, j = sympy.symbols("power j", positive=True)
        positive, right = Interval.open(0, oo), Interval.open(0, pi / 2)

        def proved(sentence: str, of: Any, bound: Any, *, over: Any, uses: Any = ()) -> None:
            self.lemma(sentence, of=of, holds=always, bound=bound, over=over, uses=uses)

        proved(
            "binom(2j, j) sqrt(2j + 1)/4^j falls with j, to sqrt(2/pi)",
            (2 * j + 1) * (2 * j + 3),
            (2 * j + 2) ** 2,
            over={j: positive},
        )
        proved(
            "1/sqrt(k) - 1/sqrt(k + 2) <= k^(-3/2): what odd powers from k on add up to",
            1 / sqrt(k) - 1 / sqrt(k + 2),
            k ** Rational(-3, 2),
            over={k: positive},
        )
        proved(
            "(k^(-3/2) - (k + 2)^(-3/2))/3 <= k^(-5/2): the same of even powers",
            (k ** Rational(-3, 2) - (k + 2) ** Rational(-3, 2)) / 3,
            k ** Rational(-5, 2),
            over={k: positive},
        )
        proved("theta cos(theta) <= sin(theta)", theta * cos(theta), sin(theta), over={theta: right})
        proved(
            "cos(theta) <= exp(-theta^2/2), whose logarithms' derivatives are -tan(theta) and -theta",
            cos(theta),
            exp(-(theta**2) / 2),
            over={theta: right},
            uses="theta cos",
        )
        proved(
            "1/2 - K_0 <= phi/(2 pi) + phi^2/4 at the angle phi",
            Rational(1, 2) - cos(phi) * (pi - phi) / (2 * pi),
            phi / (2 * pi) + phi**2 / 4,
            over={phi: Interval.open(0, pi)},
        )
