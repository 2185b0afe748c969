"""ReLU's limit kernels at unit vectors as power series, and what one angle says of their least eigenvalues.

K_0 = rho f, f = (pi - theta)/(2 pi), and K_1' = f: (1 - rho^2) f'' = rho f' makes the coefficients of f c_0^2 = 1/4,
c_1^2 = 1/(2 pi), c_(k+2)^2 = c_k^2 k^2/((k+1)(k+2)) for odd k and 0 for the other even ones, that is binom(2j, j)/4^j/
(2 pi (2j + 1)) for k = 2j + 1. At an angle theta between lines (n - 1) |rho|^p <= zeta from p = 2 log((n - 1)/zeta)/
theta^2 on; what the coefficients from there on add up to, times 1 - zeta, is below the least eigenvalue.

What is summed takes every factor 1 - R_p beyond 64 terms at a power of a grid, whose steps are of 3/2 at most. With two
samples (1 - rho^p)/p falls with p, and the tails that are used are 0.94 of the true ones at least: together 3/5. In
general the grid reaches where 1 - R_p >= 1 - zeta within 3/2 of p, which costs sqrt(2/3) of K_0 and (2/3)^(3/2) of K_1
against the bound by one angle.
"""

from __future__ import annotations

import functools
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


NAMES = "lambda_0", "lambda_min(K_1)"


def _of_kernel(measure: Callable[[Any, int, int], Any], kernel: int) -> Callable[[Any], Any]:
    """A measure of a kernel and a number of terms, as one of a run."""
    return lambda run: measure(run, kernel, TERMS)


def _of_sum(kernel: int, **octaves: int) -> Callable[[Any], Any]:
    return lambda run: run.lower(kernel, **octaves)


class Angles(Part):
    """Claims on runs of `ntkverify.problems.neural_operator.angles.AnglesRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives zeta, ``least_0`` and ``least_1``, the bounds of K_0 and K_1 by theta and n alone, and the shares
        ``of_pair``, ``of_angle_0`` and ``of_angle_1``.
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
        self.of_pair = theorem.constant(
            "of_pair",
            derived(Rational(2, 3) * Rational(9, 10), "two powers an octave, and tails"),
            "of two samples' sum",
        )
        grid = derived(Rational(4, 5), "below sqrt(2/3)"), derived(Rational(1, 2), "below (2/3)^(3/2)")
        self.of_angle = [
            theorem.constant(f"of_angle_{k}", kept, "of the bound by one angle") for k, kept in enumerate(grid)
        ]
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

    def summed(self, *, on: Any, near: str, close: str) -> None:
        """How much the sum says: of a pair `near` each other most, where 64 terms say little; elsewhere by theta."""
        for kernel, name in enumerate(NAMES):
            of = _of_sum(kernel)
            eigenvalue = self.theorem.quantity(f"least_of_{kernel}", functools.partial(AnglesRun.least, kernel=kernel))
            claim: dict[str, Any] = {"holds": always, "error": entries_error, "from_below": True}
            self.conclusion(
                f"two samples, however near: what is summed is at least 3/5 of {name}",
                of=of,
                bound=self.of_pair * eigenvalue,
                on=near,
                uses=f"K_{kernel} is its power series",
                **claim,
            )
            if kernel == 0:
                self.control(
                    f"two samples, however near: {TERMS} terms and what they leave are at least 3/5 of {name}",
                    of=_of_sum(kernel, octaves=0),
                    bound=self.of_pair * eigenvalue,
                    on=near,
                    **claim,
                )
                self.control(
                    f"{name}: {TERMS} terms and what they leave are at least 4/5 of the bound by one angle",
                    of=_of_sum(kernel, octaves=0),
                    bound=self.of_angle[kernel] * self.least[kernel],
                    on=close,
                    **claim,
                )
            self.conclusion(
                f"{name}: what is summed is at least {('4/5', '1/2')[kernel]} of the bound by one angle",
                of=of,
                bound=self.of_angle[kernel] * self.least[kernel],
                on=on,
                uses=(self.tails[kernel], "binom(2j", "cos(theta) <="),
                **claim,
            )

    def in_a_row(self, *, on: str) -> None:
        """K_1 at -theta, 0, theta from above: its least eigenvalue is of the order of theta^3."""
        angle = sympy.Symbol("angle", real=True)

        def kernel(at: Any) -> Any:
            return (sin(at) + (pi - at) * cos(at)) / (2 * pi)

        def quotient(at: Any) -> Any:
            return (2 * at - sin(2 * at)) / (2 * pi * (1 + 2 * cos(at) ** 2))

        @self.lemma(
            "v^T K_1 v/|v|^2 = (2 theta - sin(2 theta))/(2 pi (1 + 2 cos(theta)^2)) at -theta, 0, theta for "
            "v = (1, -2 cos(theta), 1)",
            holds=identity,
        )
        def form() -> Any:
            at, middle = (0, angle, 2 * angle), -2 * cos(angle)
            whole = (2 + middle**2) * kernel(at[0]) + 4 * middle * kernel(at[1]) + 2 * kernel(at[2])
            return sympy.simplify(sympy.expand_trig(whole / (2 + middle**2) - quotient(angle))) + angle, angle

        self.lemma(
            "(2 theta - sin(2 theta))/(2 pi (1 + 2 cos(theta)^2)) <= theta^3/13 up to theta = 1/4",
            of=quotient(theta),
            holds=always,
            bound=theta**3 / 13,
            over={theta: Interval.Lopen(0, Rational(1, 4))},
        )
        least: dict[str, Any] = {"of": lambda run: run.least(1), "holds": always, "error": entries_error, "on": on}
        self.conclusion(
            "three in a row: lambda_min(K_1) <= (2 theta - sin(2 theta))/(2 pi (1 + 2 cos(theta)^2))",
            bound=quotient(theta),
            attained=True,  # as theta -> 0
            uses="form",
            **least,
        )
        self.conclusion(
            "three in a row: lambda_min(K_1) <= theta^3/13",
            bound=theta**3 / 13,
            uses=("three in a row: lambda_min(K_1) <= (2", "(2 theta - sin"),
            **least,
        )
        self.control("three in a row: lambda_min(K_1) <= theta^3/15", bound=theta**3 / 15, **least)

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
