"""Damped natural gradient w+ = w - eta J^T (H + mu)^-1 r, eta <= 1, as a perturbed contraction r+ = (1 - eta A) r + E.

A = H (H + mu)^-1 has the eigenvalues a = s^2/(s^2 + mu). Whatever H is, ||w+ - w|| <= eta ||r||/(2 sqrt(mu)); and since
eta^2 a (1 - a)/mu <= eta/(2 mu) (1 - (1 - eta a)^2), a step is paid for by what it takes off ||r||^2, so that by
Cauchy-Schwarz k steps are sqrt(eta k/(2 mu)) ||r(0)|| long at most, but for E.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from sympy import Interval, oo, sqrt

from ntkverify import always, identity
from ntkverify.glossary import eta, residual
from ntkverify.lemmas.part import Part
from ntkverify.theorem.theorem import Theorem

mu = sympy.Symbol("mu", positive=True)  #: the damping
s, a = sympy.symbols("s a", positive=True)  # a singular value of J or what lies between two eigenvalues; one of A
_POSITIVE = Interval.open(0, oo)
_STEP = Interval.Lopen(0, 1)


class DampedSteps(Part):
    """Claims about every step, and about the way, of runs of `ntkverify.problems.natural_gradient.damped.DampedRun`.

    Parameters
    ----------
    theorem : Theorem
        Receives the claims, and the quantities ``remainder_norm``, ``paid`` and ``steps_done``.
    step : str
        The theorem's assumption that eta is at most 1.
    """

    name = "damped steps"
    rate = 1 - eta / 2  #: at most, of modes from mu on

    def __init__(self, theorem: Theorem, *, step: str) -> None:
        super().__init__(theorem)
        self.step = step
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

    def modes_fall(self) -> None:
        """1 - eta a for eigenvalues of H from mu on."""
        self.lemma(
            "modes from mu on fall: 1 - eta a <= 1 - eta/2 for a = lambda/(lambda + mu), lambda >= mu",
            of=1 - eta * (mu + s) / (2 * mu + s),
            holds=always,
            bound=self.rate,
            over={s: _POSITIVE, mu: _POSITIVE, eta: _STEP},
        )
