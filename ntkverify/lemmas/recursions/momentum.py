"""Gradient descent with momentum on residuals: x(k+1) = A x(k) + (phi(k), 0), x(k) = (r(k), r(k-1)).

M1  heavy ball, r(k+1) = (1 + beta) r(k) - beta r(k-1) - eta Hbar r(k) + phi(k), and Nesterov's method at its
    extrapolated points, r(k+1) = (1 - eta Hbar)((1 + beta) r(k) - beta r(k-1)) + phi(k), k >= 1: a mode z = eta lambda
    of Hbar has A = [[a, -b], [1, 0]] with a = 1 + beta - z, b = beta, or a = (1 + beta)(1 - z), b = beta (1 - z)
M2  where h = 4 b - a^2 > 0 both roots have the modulus sqrt(b), the eigenvectors (root, 1) make an angle of cosine
    sqrt(1 - h/(1 + b)^2), and sup_t ||A^t||/b^(t/2) <= (1 + b + sqrt((1 + b)^2 - h))/sqrt(h) <= 2 (1 + b)/sqrt(h); the
    first is the least such constant wherever the roots' angle over pi is irrational
M3  with eta = 1/L, z in [1/kappa, 1], u = 1/sqrt(kappa): ||A^t|| <= growth rho^t over all modes
M4  with rate = rho + u/4, |phi(k)| <= u/4 rate^k |x(0)| leaves |x(k)| <= growth rate^k |x(0)|: the sum over j of growth
    rho^(k-1-j) u/4 rate^j is growth (rate^k - rho^k). So does |phi(k)| <= allowed |x(k)|, growth allowed = u/4, by
    induction; but a residual that falls faster than the rate leaves |phi| behind, beside it, and nothing of the bound

phi is measured as a whole: it holds what H(k) differs from Hbar, what outputs miss of their linearisation, and, which
gradient descent has not, beta times what they missed in the step before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Interval, Rational, sqrt

from ntkverify import always, with_probability
from ntkverify.glossary import delta, k
from ntkverify.instances import generator
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP, so_far
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

u, z = sympy.symbols("u z", positive=True)  #: 1/sqrt(kappa), and an eigenvalue of eta Hbar
MODE, LAST, MODES = "one mode", "the largest mode", "several modes, pushed"
SLOWEST = "the slowest mode of kappa = 100"
#: for t beyond this the powers of one mode have come close to their supremum
POWERS = 400
KAPPAS = (2.0, 3.0, 10.0, 100.0, 1e4)
Names = str | Sequence[str]


class Momentum(Part):
    """The chain of a theorem on heavy ball, or on Nesterov's method; its runs are `MomentumRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, families, claims and controls.
    nesterov : bool
        Whose recursion it is.
    """

    name = "momentum"

    def __init__(self, theorem: Theorem, *, nesterov: bool = False) -> None:
        super().__init__(theorem)
        self.nesterov = nesterov
        constant, half = theorem.constant, 1 - u / 2
        self.least_kappa = 2 if nesterov else 1
        self.beta = constant("beta", half / (1 + u / 2) if nesterov else half**2, "momentum; u = 1/sqrt(kappa)")
        beta, at = self.beta, theorem.expand(self.beta)
        self.a = (1 + beta) * (1 - z) if nesterov else 1 + beta - z
        self.b = beta * (1 - z) if nesterov else beta
        self.h = 4 * self.b - self.a**2
        modulus = sqrt(sympy.factor(at * (1 - u**2))) if nesterov else half
        self.rho = constant("rho", derived(modulus, "sqrt(b) at z = 1/kappa"), "modulus of the roots, the largest")
        words = "3 > 2.74, its supremum from kappa = 2 on" if nesterov else "4 > 10/sqrt(15), its supremum"
        self.growth = constant(
            "growth", derived((3 if nesterov else 4) / u, f"2 (1 + b)/sqrt(h) over rho^t, times u: {words}"), "||A^t||"
        )
        self.allowed = constant(
            "allowed", derived(u / (4 * theorem.expand(self.growth)), "growth * allowed = u/4"), "|phi|/|x|"
        )
        self.rate = constant("rate", derived(self.rho + self.growth * self.allowed, "geometric sum"), "of |x|")
        self.many = f"{3 if nesterov else 4} sqrt(kappa)"
        self.small = f"|phi(k)| <= |x(k)|/({12 if nesterov else 16} kappa)"
        fast = "(rho + 1/(4 sqrt(kappa)))^k" if nesterov else "(1 - 1/(4 sqrt(kappa)))^k"
        self.rated = f"|x(k)| <= {self.many} {fast} |x(0)|"
        self.falls = "|phi(k)| <= rate^k |x(0)|/(4 sqrt(kappa))"

    @property
    def ranges(self) -> dict[sympy.Symbol, sympy.Interval]:
        """Of u, from kappa = 1 or 2 on."""
        return {u: Interval.Lopen(0, 1 / sqrt(sympy.Integer(self.least_kappa)))}

    # -- M2, M3 -------------------------------------------------------------------------------------------------------

    def powers(self) -> None:
        """What a power of A is at most: sharp for a mode, its simple form, and over the spectrum."""
        self.theorem.instances(MODE, run=AlgebraRun, quick=100)(self.one_mode)
        c, h = 1 + self.b, self.h
        claim: dict[str, Any] = {"holds": always, "assumes": (), "on": MODE, "error": powers_error}
        own = {"of": lambda run: max(self.norms(run, run.evaluate(sqrt(self.b)))), **claim}
        sharp = (c + sqrt(c**2 - h)) / sqrt(h)
        self.lemma(
            "||A^t|| <= (1 + b + sqrt((1 + b)^2 - h))/sqrt(h) b^(t/2), h = 4 b - a^2, of a mode", bound=sharp, **own
        )
        self.control("the same less 1%", bound=Rational(99, 100) * sharp, **own)
        self.lemma(
            "||A^t|| <= 2 (1 + b)/sqrt(h) b^(t/2) of a mode",
            bound=2 * c / sqrt(h),
            uses="||A^t|| <= (1 + b + sqrt",
            **own,
        )
        self.control("||A^t|| <= sqrt(2) (1 + b)/sqrt(h) b^(t/2) of a mode", bound=sqrt(2) * c / sqrt(h), **own)
        name = self.spectrum()
        every: dict[str, Any] = {"of": lambda run: max(self.norms(run, run.rho)), **claim}
        every["uses"] = ["||A^t|| <= 2 (1 + b)", "at the least eigenvalue", "over the spectrum", name]
        if self.nesterov:
            every["on"] = (MODE, LAST)
            every["uses"].append(self.largest_mode())
        self.lemma(f"||A^t|| <= {self.many} rho^t for every mode", bound=self.growth, **every)
        self.control("||A^t|| <= 2 sqrt(kappa) rho^t for every mode", bound=2 / u, **{**every, "uses": ()})

    def spectrum(self) -> str:
        """The least eigenvalue is the worst, and what is left of its constant: inequalities in u and z."""
        inside = {
            "given": sympy.Le(u**2, z),
            "over": {**self.ranges, z: Interval.open(0, 1) if self.nesterov else Interval.Lopen(0, 1)},
        }
        c, at = 1 + self.b, {z: u**2}
        if self.nesterov:
            # sin^2 of the roots' angle: b is a factor of h and of 4 b
            sine = 1 - (1 + self.beta) ** 2 * (1 - z) / (4 * self.beta)
            of, bound, what = sine.subs(at), sine, "h/(4 b)"
        else:
            of, bound, what = self.h.subs(at), self.h, "h"
        self.lemma(f"at the least eigenvalue {what} is least", of=of, holds=always, bound=bound, **inside)
        # at the least eigenvalue b = rho^2, and q^(t-1) <= rho^(t-1) for every other
        size = (2 * c) ** 2 * u**2
        if self.nesterov:
            most, name = Rational(15, 2), "sqrt(15/2)"
        else:
            most, name = Rational(100, 15), "10/sqrt(15)"
        self.lemma(
            f"over the spectrum: 2 (1 + b)/sqrt(h) <= {name} sqrt(kappa)",
            of=size.subs(at),
            holds=always,
            bound=most * self.h.subs(at),
            over=self.ranges,
        )
        last = f"{name} sqrt(kappa) <= {self.many}"
        self.lemma(last, of=sqrt(most) / u, holds=always, bound=self.growth, over=self.ranges)
        return last

    def largest_mode(self) -> str:
        """At z = 1 Nesterov's A is [[0, 0], [1, 0]]: both roots are 0, and b^(t/2) says nothing."""
        kappas = st.sampled_from(KAPPAS)
        self.theorem.instances(LAST, run=AlgebraRun, quick=20)(
            lambda draw: Instance(parameters={"u": draw(kappas) ** -0.5, "z": 1.0}, steps=POWERS)
        )
        name = f"at the largest eigenvalue A^2 = 0 and ||A||^2 = 1 <= ({self.many} rho)^2"
        most = self.theorem.expand(self.growth * self.rho) ** 2
        self.lemma(name, of=sympy.Integer(1), holds=always, bound=sympy.simplify(most), over=self.ranges)
        return name

    def one_mode(self, draw: Any) -> Instance:
        """The least eigenvalue, or one beyond it; kappa over four orders of magnitude."""
        kappa = draw(st.sampled_from(KAPPAS))
        fraction = draw(st.sampled_from([0.0, 0.0, 0.5, 0.9, *(() if self.nesterov else (1.0,))]))
        return Instance(parameters={"u": kappa**-0.5, "z": kappa ** (fraction - 1)}, steps=POWERS)

    def norms(self, run: Any, scale: Any) -> Any:
        """||A^t||/scale^t for t up to the number of steps."""
        a, b = run.evaluate(self.a), run.evaluate(self.b)
        first, second, third, fourth = 1 + 0 * a, 0 * a, 0 * a, 1 + 0 * a
        found = []
        for _ in range(run.steps):
            first, second, third, fourth = (
                (a * first - b * third) / scale,
                (a * second - b * fourth) / scale,
                first / scale,
                second / scale,
            )
            square = first**2 + second**2 + third**2 + fourth**2
            found.append(np.sqrt((square + np.sqrt(square**2 - 4 * (first * fourth - second * third) ** 2)) / 2))
        return found

    # -- M4 -----------------------------------------------------------------------------------------------------------

    def perturbed(self) -> None:
        """The recursion with a perturbation at its threshold, and beyond it."""
        self.theorem.instances(MODES, run=AlgebraRun, quick=60)(self.several_modes)
        claim: dict[str, Any] = {"holds": always, "assumes": (), "on": MODES, "bound": self.growth * self.rate**k}
        self.lemma(
            f"{self.rated} where {self.falls}",
            of=lambda run: self.path(run, falling=run.evaluate(u / 4)),
            uses=f"||A^t|| <= {self.many}",
            **claim,
        )
        self.control(
            "the same where |phi(k)| = rate^k |x(0)|", of=lambda run: self.path(run, falling=run.number(1.0)), **claim
        )
        self.lemma(
            f"{self.rated} where {self.small}",
            of=lambda run: self.path(run, relative=run.allowed),
            uses=f"||A^t|| <= {self.many}",
            **claim,
        )
        self.control(
            "the same where |phi(k)| = |x(k)|/kappa",
            of=lambda run: self.path(run, relative=run.evaluate(u**2)),
            **claim,
        )
        # 1 - 1/kappa takes some 250 steps to use up what the bound begins with
        self.theorem.instances(SLOWEST, run=AlgebraRun, quick=1)(_slowest)
        plain = {"of": lambda run: self.path(run, relative=run.number(0.0), beta=run.number(0.0)), **claim}
        self.control(f"gradient descent, {SLOWEST}: {self.rated}", **{**plain, "on": SLOWEST})

    def several_modes(self, draw: Any) -> Instance:
        """Eigenvalues from 1/kappa to 1, x(0) along the slowest or at random; what pushes, and how."""
        rng, kappa = generator(draw), draw(st.sampled_from([2.0, 10.0, 100.0]))
        size = draw(st.integers(2, 4))
        values = np.concatenate([[1 / kappa], rng.uniform(1 / kappa, 1, size - 2), [1.0]])
        start = draw(st.sampled_from([np.eye(size)[0], rng.standard_normal(size)]))
        data = {"values": values, "start": start, "along": rng.standard_normal((4, size))}
        kind = draw(st.sampled_from([0.0, 1.0, 2.0]))
        return Instance(data=data, parameters={"u": kappa**-0.5, "kind": kind}, steps=150)

    def path(self, run: Any, *, falling: Any = None, relative: Any = None, beta: Any = None) -> Any:
        """|x(k)|/|x(0)| with |phi(k)| a share of rate^k |x(0)| or |x(k)|, along r, the linear step or given vectors."""
        values, r, before = run.values, run.start, run.start
        beta = run.beta if beta is None else beta
        kind, found = int(run.instance.parameters["kind"]), []
        for step in range(run.steps + 1):
            found.append(np.sqrt((r**2).sum() + (before**2).sum()))
            ahead = (1 + beta) * r - beta * before
            linear = ahead - values * (ahead if self.nesterov else r)
            along = (r, linear, run.along[step % len(run.along)])[kind]
            size = falling * run.rate**step * found[0] if relative is None else relative * found[-1]
            r, before = linear + size * along / np.sqrt((along**2).sum()), r
        return run.numbers(np.array(found)) / found[0]

    # -- networks -----------------------------------------------------------------------------------------------------

    def conditional(self, *, on: Names) -> None:
        """The rate for as long as the perturbation is small."""
        size_0 = self.theorem.quantity("size_0", lambda run: run.sizes[0])
        since = self.theorem.quantity("since", lambda run: run.since)
        self.bound = self.growth * self.rate**since * size_0
        self.lemma(
            f"{self.rated} while {self.falls}",
            of=lambda run: run.sizes,
            holds=always,
            bound=self.bound,
            on=on,
            given=lambda run: (
                (run.since >= 1)  # at 0 the bound is growth |x(0)|, which no rate has a part in
                & so_far(run.phi + run.phi_error <= run.evaluate(u / 4) * run.falling, start=True)
            ),
            error=size_error,
            uses=f"{self.rated} where {self.falls}",
        )

    def at_width(self, width: str, *, on: Names, few: str, narrow: Names, plain: Names = ()) -> None:
        """At a stated width the perturbation is small, and the rate holds; not so with few neurons.

        Nor, where the bound is small enough to tell, on `plain`, without momentum. Where kappa is large x(0) is seldom
        along the slowest mode, and |x| reaches a twentieth of the bound: what tests its constants is single modes.
        """
        small: dict[str, Any] = {
            "of": lambda run: (run.phi / run.falling).max(),
            "bound": self.growth * self.allowed,
            "error": lambda run: (run.phi_error / run.falling).max(),
        }
        sure = with_probability(1 - delta)
        self.conclusion(f"{width}: {self.falls}", holds=sure, on=on, **small)
        self.control(f"{few}: {self.falls}", holds=sure, on=narrow, **small)
        rated: dict[str, Any] = {
            "of": lambda run: run.sizes,
            "bound": self.bound,
            "given": lambda run: run.since >= 1,
            "error": size_error,
        }
        uses = (f"{width}: {self.falls}", f"{self.rated} while")
        self.conclusion(f"{width}: {self.rated}", holds=sure, on=on, uses=uses, **rated)
        if plain:
            self.control(f"gradient descent, {width}: {self.rated}", holds=sure, on=plain, **rated)


def _slowest() -> Instance:
    """x(0) along it, and nothing pushes."""
    data = {"values": [0.01, 1.0], "start": [1.0, 0.0], "along": [[1.0, 0.0]]}
    return Instance(data=data, parameters={"u": 0.1, "kind": 0.0}, steps=400)


def powers_error(run: Any) -> Any:
    """Each of the products rounds once more, and near a double root small errors grow with t."""
    return 64 * run.steps**2 * ULP * run.evaluate(1 / u)


def size_error(run: Any) -> Any:
    """Rounding of |x(k)| and, in the bound, of |x(0)|."""
    return 4 * run.residuals_error.max() + 0 * run.sizes
