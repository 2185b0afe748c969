"""Damped natural gradient w+ = w - eta J^T (H + mu)^-1 r, eta <= 1, as a perturbed contraction r+ = (1 - eta A) r + E.

A = H (H + mu)^-1 has the eigenvalues a = s^2/(s^2 + mu). Whatever H is, ||w+ - w|| <= eta ||r||/(2 sqrt(mu)); and since
eta^2 a (1 - a)/mu <= eta/(2 mu) (1 - (1 - eta a)^2), a step is paid for by what it takes off ||r||^2, so that by
Cauchy-Schwarz k steps are sqrt(eta k/(2 mu)) ||r(0)|| long at most, but for E.

With D = J' - J, R = (H + mu)^-1 and R' that of J', A' - A = mu R (D J'^T + J D^T) R' is sqrt(mu) times the product of
the row (3^(-1/4) sqrt(mu) R, 3^(1/4) R J), of the diagonal (D, D^T), and of the column of 3^(1/4) J'^T R' and 3^(-1/4)
sqrt(mu) R'. The squared norms of row and column are (sqrt(3) a (1 - a) + (1 - a)^2/sqrt(3))/mu at an eigenvalue a, so
that ||A' - A|| <= (3 sqrt(3)/8) ||D||/sqrt(mu). With one sample this is the largest slope of s^2/(s^2 + mu), at s^2 =
mu/3: no smaller constant will do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from sympy import Interval, Rational, oo, sqrt

from ntkverify import always, identity
from ntkverify.glossary import eta, k, residual
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import started
from ntkverify.symbolic.constants.derived import derived
from ntkverify.theorem.theorem import Theorem

mu = sympy.Symbol("mu", positive=True)  #: the damping
s, a = sympy.symbols("s a", positive=True)  # a singular value of J or what lies between two eigenvalues; one of A
away = sympy.Symbol("away", positive=True)  # of a singular value from sqrt(mu/3), as a share of it
_POSITIVE = Interval.open(0, oo)
_STEP = Interval.Lopen(0, 1)


def _share(value: Any) -> Any:
    """The eigenvalue of A at a singular value in units of sqrt(mu)."""
    return value**2 / (1 + value**2)


class DampedSteps(Part):
    """Claims about every step, and about the way, of runs of `ntkverify.problems.natural_gradient.damped.DampedRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives the claims, the constant ``steepest``, and the quantities ``remainder_norm``, ``paid_for`` and
        ``steps_done``.
    step : str
        The theorem's assumption that eta is at most 1.
    """

    name = "damped steps"
    rate = 1 - eta / 2  #: at most, of modes from mu on

    def __init__(self, theorem: Theorem, *, step: str) -> None:
        super().__init__(theorem)
        self.step = step
        slope = derived(3 * sqrt(3) / 8, "the slope of s^2/(s^2 + mu) at s^2 = mu/3, times sqrt(mu)")
        self.steepest = theorem.constant("steepest", slope, "||A(J') - A(J)|| over ||J' - J||/sqrt(mu)")
        self.remainder = theorem.quantity("remainder_norm", lambda run: run.remainder)
        paid = theorem.quantity("paid_for", lambda run: run.paid)
        self.longest = sqrt(eta * theorem.quantity("steps_done", lambda run: run.k[1:]) * paid / (2 * mu))

    def recursion(self, *, on: Any) -> None:
        """The recursion, an identity."""
        self.lemma(
            "recursion: r(k+1) = (1 - eta A(k)) r(k) + E(k)",
            of=lambda run: (run.trajectory.residuals[1:], run.damped_step + run.trajectory.remainders),
            holds=identity,
            assumes=(),
            on=on,
            error=lambda run: np.repeat(run.solve_error[1:, None], run.samples.total, axis=1),
        )

    def short(self, *, on: Any, sharp: str) -> None:
        """The length of a step; on `sharp` two thirds of the bound are exceeded."""
        self.lemma(
            "s/(s^2 + mu) <= 1/(2 sqrt(mu)) for every singular value s",
            of=s / (s**2 + mu),
            holds=always,
            bound=1 / (2 * sqrt(mu)),
            over={s: _POSITIVE, mu: _POSITIVE},
        )
        length: dict[str, Any] = {"of": "trajectory.lengths", "holds": always, "assumes": ()}
        self.conclusion(
            "||w(k+1) - w(k)|| <= eta ||r(k)||/(2 sqrt(mu)), whatever the kernel",
            bound=eta * residual / (2 * sqrt(mu)),
            on=on,
            uses="s/(s^2 + mu)",
            **length,
        )
        self.control(
            "||w(k+1) - w(k)|| <= eta ||r(k)||/(3 sqrt(mu))", bound=eta * residual / (3 * sqrt(mu)), on=sharp, **length
        )

    def falls(self, *, on: Any, slow: str) -> None:
        """What a step leaves by the least eigenvalue of H(k); on `slow` some are below mu."""
        least = self.theorem.quantity("least", lambda run: run.eigenvalues[:-1, 0])
        self.lemma(
            "1 - eta lambda/(lambda + mu) falls with lambda: the least eigenvalue is the slowest",
            of=1 - eta * (s + a) / (s + a + mu),
            holds=always,
            bound=1 - eta * a / (a + mu),
            over={s: _POSITIVE, a: _POSITIVE, mu: _POSITIVE, eta: _STEP},
        )
        falls: dict[str, Any] = {"holds": always, "error": lambda run: run.solve_error[1:], "assumes": (self.step,)}
        falls["of"] = lambda run: run.residuals[1:]
        self.conclusion(
            "||r(k+1)|| <= (1 - eta lambda/(lambda + mu)) ||r(k)|| + ||E(k)||, lambda the least eigenvalue of H(k)",
            bound=(1 - eta * least / (least + mu)) * residual + self.remainder,
            on=on,
            attained=True,  # by a single sample
            uses=("recursion", "1 - eta lambda"),
            **falls,
        )
        self.control(
            "||r(k+1)|| <= (1 - eta/2) ||r(k)|| + ||E(k)||, whatever mu",
            bound=self.rate * residual + self.remainder,
            on=slow,
            **falls,
        )

    def way(self, *, on: Any, far_below: str, longest: str) -> None:
        """How long k steps are; sharp `far_below` mu, and growing with k on `longest`."""
        self.lemma(
            "a step is paid for: eta^2 a (1 - a)/mu <= eta/(2 mu) (1 - (1 - eta a)^2) for every eigenvalue a of A",
            of=eta**2 * a * (1 - a) / mu,
            holds=always,
            bound=eta / (2 * mu) * (1 - (1 - eta * a) ** 2),
            over={a: Interval.open(0, 1), mu: _POSITIVE, eta: _STEP},
        )
        way: dict[str, Any] = {"of": "way", "holds": always, "assumes": (self.step,)}
        self.lemma(
            "k steps are at most sqrt(eta k/(2 mu)) long, times what they take off ||r||^2 but for E",
            bound=self.longest,
            on=on,
            error=lambda run: run.solve_error[1:] / np.sqrt(run.mu),
            uses="a step is paid for",
            **way,
        )
        self.control(
            "k steps are at most sqrt(eta k/(3 mu)) long, times what they take off ||r||^2 but for E",
            bound=self.longest * sqrt(2) / sqrt(3),
            on=far_below,
            **way,
        )
        start = self.theorem.quantity("start_norm", lambda run: run.residuals[0])
        self.control(
            "the way does not grow with k: it is at most 2 ||r(0)||/sqrt(mu)",
            bound=2 * start / sqrt(mu),
            on=longest,
            **way,
        )

    def kernel_follows(self, *, on: Any, sharp: str) -> None:
        """A moves by no more than 3 sqrt(3)/8, which is 0.6495, times J; on `sharp`, by more than 0.64 of it."""
        self.lemma(
            "sqrt(3) a (1 - a) + (1 - a)^2/sqrt(3) <= 3 sqrt(3)/8 for every eigenvalue a of A",
            of=sqrt(3) * a * (1 - a) + (1 - a) ** 2 / sqrt(3),
            holds=always,
            bound=self.steepest,
            over={a: Interval.open(0, 1)},
        )
        self.lemma(
            "3 sqrt(3)/8 is reached but for a share of d^2/3, by singular values (1 +- d) sqrt(mu/3)",
            of=_share((1 + away) / sqrt(3)) - _share((1 - away) / sqrt(3)),
            holds=always,
            bound=self.steepest * (1 - away**2 / 3) * 2 * away / sqrt(3),
            from_below=True,
            over={away: Interval.Lopen(0, 1)},
        )
        moved = self.theorem.quantity("moved", lambda run: run.trajectory.jacobian_change[1:])
        change: dict[str, Any] = {"of": "kernel_change", "holds": always, "assumes": ()}
        change["error"] = lambda run: run.kernel_change_error
        self.lemma(
            "||A(k) - A(0)|| <= (3 sqrt(3)/8) ||J(k) - J(0)||/sqrt(mu)",
            bound=self.steepest * moved / sqrt(mu),
            on=on,
            uses="sqrt(3) a",
            **change,
        )
        self.control(
            "||A(k) - A(0)|| <= 0.64 ||J(k) - J(0)||/sqrt(mu)",
            bound=Rational(16, 25) * moved / sqrt(mu),
            on=sharp,
            **change,
        )

    def modes_fall(self, *, on: Any, saturated: str) -> sympy.Expr:
        """What modes from mu on do where r(0) has one; `saturated` tells it from (1 - eta/2)^k ||P r(0)|| and E.

        Returns the first of the two.
        Claims on runs of `ntkverify.problems.natural_gradient.damped.DampedPathRun`; `kernel_follows` comes before.
        """
        self.lemma(
            "modes from mu on fall: 1 - eta a <= 1 - eta/2 for a = lambda/(lambda + mu), lambda >= mu",
            of=1 - eta * (mu + s) / (2 * mu + s),
            holds=always,
            bound=self.rate,
            over={s: _POSITIVE, mu: _POSITIVE, eta: _STEP},
        )
        fallen = self.rate**k * self.theorem.quantity("modes_0", lambda run: run.modes(above=True)[0])
        departure = self.theorem.quantity("departure", lambda run: run.carried(run.jacobian_pushes))
        pushed = self.theorem.quantity("pushed", lambda run: run.carried(run.remainder))
        modes: dict[str, Any] = {"holds": always, "given": reaches_damping, "error": lambda run: run.solve_error}
        modes |= {"of": lambda run: run.modes(above=True), "assumes": (self.step,)}
        self.lemma(
            "||P r(k)|| <= (1 - eta/2)^k ||P r(0)|| + what J(j) - J(0) and E(j) bring in, j < k",
            bound=fallen + self.steepest * departure + pushed,
            on=on,
            uses=("recursion", "modes from mu on", "||A(k) - A(0)||"),
            **modes,
        )
        self.control(
            "||P r(k)|| <= (1 - eta/2)^k ||P r(0)|| + what E(j) brings in, j < k: J taken to stand still",
            bound=fallen + pushed,
            on=saturated,
            **modes,
        )
        return fallen


def reaches_damping(run: Any) -> Any:
    """k >= 1, where P r(0) is not 0, (K+1,)."""
    return started(run) & bool(run.plain.modes(above=True)[0] > 0)
