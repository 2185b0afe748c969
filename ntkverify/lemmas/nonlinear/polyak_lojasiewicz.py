"""Gradient descent on ||r||^2/2 in a ball where the Jacobian is beta-Lipschitz: the Polyak-Lojasiewicz inequality.

With mu <= sigma(J(0)) <= nu and ||J(theta) - J(theta')|| <= beta ||theta - theta'||:

P1  within mu/(2 beta) of the start mu/2 <= sigma(J) <= nu + mu/2, so that |grad L|^2 >= mu^2/2 L
P2  a step with eta (||J||^2 + beta ||r||) <= 1 lowers L by pl eta |grad L|^2, pl = 1/2: by a factor of 1 - eta mu^2/4
P3  eta |grad L| <= 4/mu (||r(k)|| - ||r(k+1)||): the way is at most 4 ||r(0)||/mu long, and stays in the ball where
    that is at most mu/(2 beta)

A theorem gives mu, nu and beta as expressions in what its runs know of the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import always, with_probability
from ntkverify.glossary import delta, eta, k, loss, loss_0, residual_0
from ntkverify.instances import generator
from ntkverify.lemmas import premises
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import loss_error, started, two_losses
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.derived import derived, solve_for
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

MATRICES, ONE, LARGE = "a Jacobian changes", "one weight", "one weight, a large residual"
mu = sympy.Symbol("mu", positive=True)  #: least singular value of J(0), or a lower bound
EVERY = sympy.Interval.open(0, sympy.oo)
RATE, WAY = "L(k) <= (1 - eta rate)^k L(0) for all k", "the way is at most 4 ||r(0)||/mu long"
LOSSES: dict[str, Any] = {"of": "losses", "error": loss_error, "given": started}


class PolyakLojasiewicz(Part):
    """The chain of a theorem; runs know `mu`, and the length `path` of their way, `distance` and `gradient_square`.

    Parameters
    ----------
    theorem : Theorem
        Receives constants, assumptions, claims and controls; its rate and largest step are declared.
    nu, beta : sympy.Expr
        Largest singular value of J(0), and how fast J moves.
    moves : sequence of sympy.Expr
        What else is to stay at most 1 along the way, for a unit of eta sum_k ||r(k)||.
    """

    name = "Polyak-Lojasiewicz"

    def __init__(self, theorem: Theorem, *, nu: sympy.Expr, beta: sympy.Expr, moves: Sequence[sympy.Expr] = ()) -> None:
        super().__init__(theorem)
        self.nu, self.beta, constant = nu, beta, theorem.constant
        radius = sympy.Symbol("radius", positive=True)
        self.ball = constant("ball", solve_for(radius, sympy.Le(beta * radius, mu / 2)), "within it sigma(J) >= mu/2")
        half = Rational(1, 2)
        self.pl = constant(
            "pl", derived(1 - half, "1 - eta Lambda/2 at eta Lambda = 1"), "a step gains pl eta |grad L|^2"
        )
        # ||r|| - ||r'|| >= (||r||^2 - ||r'||^2)/(2 ||r||) >= pl eta |g|^2/||r||, and |g| >= mu/2 ||r||
        self.way = constant("way", derived(2 * residual_0 / (half * mu), "P3, telescoped"), "length of the way")
        rated = mu**2 / 4
        self.rate = constant(
            "rate", derived(rated, "pl |g|^2 >= pl (mu/2)^2 2 L"), "a step contracts L by 1 - eta rate"
        )
        total = 2 / rated
        self.sums = constant("sums", derived(total, "geometric series, P2"), "eta sum_k ||r(k)|| <= sums ||r(0)||")
        largest = [mu / (2 * beta) * mu / 4, *(1 / (total * move) for move in moves)]
        self.allowed = constant(
            "allowed", derived(sympy.Min(*largest), "the way stays in the ball"), "||r(0)|| may be so large"
        )
        self.eta_max = constant(
            "eta_max",
            derived(1 / ((nu + mu / 2) ** 2 + mu**2 / 8), "||J||^2 + beta ||r|| at both largest values"),
            "largest step",
        )
        theorem.declare(rate=self.rate)
        premises.step_at_most(theorem, "step at most 1/((nu + mu/2)^2 + mu^2/8)", self.eta_max)

        @theorem.assumption("||r(0)|| at most what is allowed")
        def small(run: Any) -> Any:
            return run.allowed - run.residual_0

    def links(self) -> None:
        """Each of the three in numbers, or on matrices."""
        least: dict[str, Any] = {"holds": always, "bound": mu / 2, "from_below": True, "assumes": (), "on": MATRICES}
        self.theorem.instances(MATRICES, run=AlgebraRun, quick=40)(_changed)
        p1 = "P1: sigma_min(J + D) >= mu/2 for ||D|| <= mu/2"
        self.lemma(p1, of=lambda run: _least_after(run, 0.5), attained=True, **least)
        self.control("the same for ||D|| <= 0.51 mu", of=lambda run: _least_after(run, 0.51), **least)
        largest: dict[str, Any] = {**least, "bound": sympy.Symbol("top", positive=True) + mu / 2, "from_below": False}
        p1 = "P1: sigma_max(J + D) <= nu + mu/2 for ||D|| <= mu/2"
        self.lemma(p1, of=lambda run: _largest_after(run, 0.5), attained=True, **largest)
        self.control("the largest for ||D|| <= 0.51 mu", of=lambda run: _largest_after(run, 0.51), **largest)
        g, x, y, a = sympy.symbols("g x y a", positive=True)
        steps: dict[str, Any] = {
            "holds": always,
            "over": dict.fromkeys((eta, g, mu, x, y), EVERY),
            "given": (sympy.Le(y**2, x**2 - eta * g**2), sympy.Ge(g, mu * x / 2)),
        }
        # of the same degree on both sides, whose quotient is what the slack is
        self.lemma(
            "P3: eta |grad L| <= 4/mu (||r(k)|| - ||r(k+1)||), x and y the norms",
            of=y + eta * g * mu / 4,
            bound=x,
            **steps,
        )
        self.control("the same with 1.9/mu", of=y + eta * g * mu / Rational(19, 10), bound=x, **steps)
        self.lemma(
            "P2: eta sum_k (1 - eta rate)^(k/2) <= sums",
            of=1 / (1 - sqrt(1 - a)),
            holds=always,
            bound=2 / a,
            over={a: sympy.Interval.open(0, 1)},
        )
        top = sympy.Symbol("top", positive=True)
        self.lemma(
            "the largest step is at least 8/(19 nu^2)",
            of=1 / ((top + mu / 2) ** 2 + mu**2 / 8),
            holds=always,
            bound=Rational(8, 19) / top**2,
            from_below=True,
            over={mu: EVERY, top: EVERY},
            given=sympy.Le(mu, top),
        )

    def one_weight(self) -> None:
        """f = beta w^2/2 from w = mu/beta: no solution where ||r(0)|| > mu^2/(2 beta), four times what is allowed."""
        claim: dict[str, Any] = {"holds": always, "assumes": ()}
        for name, largest in ((ONE, 1 / 8), (LARGE, 1 / 1.8)):
            self.theorem.instances(name, run=AlgebraRun, quick=40)(_one_weight(largest))

        def excess(run: Any, power: int = 1) -> Any:
            """The largest L(k) over (1 - eta rate)^(power k) L(0)."""
            r = _descended(run)[1]
            return (r[1:] ** 2 / (1 - run.eta * run.evaluate(self.rate)) ** (power * run.k[1:])).max() / r[0] ** 2

        rate = "one weight: L(k) <= (1 - eta rate)^k L(0) for ||r(0)|| <= mu^2/(8 beta)"
        self.lemma(rate, of=excess, bound=1, on=ONE, **claim)
        self.control("the same for ||r(0)|| <= mu^2/(1.8 beta)", of=excess, bound=1, on=LARGE, **claim)
        self.control("L(k) <= (1 - eta rate)^(9k) L(0)", of=lambda run: excess(run, 9), bound=1, on=ONE, **claim)
        path: dict[str, Any] = {"of": lambda run: abs(np.diff(_descended(run)[0])).sum(), "on": ONE, **claim}
        self.lemma("one weight: the way is at most 4 ||r(0)||/mu long", bound=self.way, **path)
        self.control("one weight: the way is at most ||r(0)||/mu long", bound=residual_0 / mu, **path)

    def along(self, *, on: Any, given: Callable[[Any], Any], uses: Any) -> None:
        """P1 and P2 at every step of training; `given` is where beta is one, `uses` what mu, nu and beta rest on."""
        self.sigmas = tuple((lambda run, end=end: np.sqrt(run.eigenvalues[:, end])) for end in (0, -1))
        where: dict[str, Any] = {"holds": always, "on": on, "uses": uses}
        distance = self.theorem.quantity("distance", lambda run: run.distance)
        square = self.theorem.quantity("gradient_square", lambda run: run.gradient_square)
        self.lemma(
            "sigma_min(J(k)) >= mu - beta ||theta(k) - theta(0)||",
            of=self.sigmas[0],
            bound=mu - self.beta * distance,
            from_below=True,
            given=given,
            **where,
        )
        self.lemma(
            "sigma_max(J(k)) <= nu + beta ||theta(k) - theta(0)||",
            of=self.sigmas[1],
            bound=self.nu + self.beta * distance,
            given=given,
            **where,
        )
        self.lemma(
            "descent: L(k+1) <= L(k) - pl eta |grad L(k)|^2",
            of=lambda run: run.losses[1:],
            bound=loss - self.pl * eta * square,
            error=two_losses,
            **where,
        )

    def concluded(self, *, on: Any) -> None:
        """The rate, the length of the way, and that it stays in the ball; each with a control."""
        where: dict[str, Any] = {"holds": always, "on": on}
        links = ("P1: sigma_min", "sigma_min(J(k)) >= mu - beta", "descent: L(k+1)", "P3: eta", "P2: eta sum")
        contracted = 1 - eta * self.rate
        self.conclusion(RATE, bound=contracted**k * loss_0, uses=links, **LOSSES, **where)
        self.control("L(k) <= (1 - eta rate)^(32k) L(0)", bound=contracted ** (32 * k) * loss_0, **LOSSES, **where)
        self.conclusion(WAY, of=lambda run: run.path, bound=self.way, uses=links, **where)
        # what a residual that is all but gone takes at least is ||r(0)||/(nu + mu/2)
        short: dict[str, Any] = {"bound": residual_0 / (2 * self.nu), **where}
        self.control("the way is at most ||r(0)||/(2 nu) long", of=lambda run: run.path, **short)
        away: dict[str, Any] = {"of": lambda run: run.distance, **where}
        name = "||theta(k) - theta(0)|| <= mu/(2 beta)"
        self.conclusion(name, bound=self.ball, uses=links, **away)
        self.control("||theta(k) - theta(0)|| <= ||r(0)||/(2 nu)", **short, of=lambda run: run.distance)
        least: dict[str, Any] = {"bound": mu / 2, "from_below": True, "uses": (name, "sigma_min(J(k)) >= mu - beta")}
        self.conclusion("sigma_min(J(k)) >= mu/2 for all k", of=self.sigmas[0], **least, **where)
        largest: dict[str, Any] = {"of": self.sigmas[1], **where}
        self.conclusion(
            "sigma_max(J(k)) <= nu + mu/2 for all k",
            bound=self.nu + mu / 2,
            uses=(name, "sigma_max(J(k)) <= nu + beta", "P1: sigma_max"),
            **largest,
        )
        first = self.theorem.quantity("sigma_0", lambda run: np.sqrt(run.eigenvalues[0, -1]))
        self.control("sigma_max(J(k)) <= sigma_max(J(0)) for all k", bound=first, **largest)

    def at_width(self, width: str, *, on: Any, small: str) -> None:
        """Rate and way with probability 1 - delta, where `small` says that so many neurons allow this residual."""
        sure: dict[str, Any] = {"holds": with_probability(1 - delta), "on": on, "assumes": ()}
        rated = (1 - eta * self.rate) ** k * loss_0
        self.conclusion(f"{width}: {RATE}", bound=rated, uses=(small, RATE), **LOSSES, **sure)
        path: dict[str, Any] = {"of": lambda run: run.path, "bound": self.way, "uses": (small, WAY)}
        self.conclusion(f"{width}: {WAY}", **path, **sure)


def _changed(draw: Any) -> Instance:
    """A Jacobian of least singular value mu, and a change of norm 1: at random, or along the ends of the spectrum."""
    rng, value = generator(draw), draw(st.sampled_from([0.1, 1.0]))
    left, right = (np.linalg.qr(rng.standard_normal((size, 3)))[0] for size in (3, 8))
    ends = np.outer(left[:, 2], right[:, 2]) - np.outer(left[:, 0], right[:, 0])
    change = draw(st.sampled_from([ends, rng.standard_normal((3, 8))]))
    rows = (left * np.array([1.0, 2.0, 3.0])) @ right.T * value
    data = {"rows": rows, "change": change / np.linalg.norm(change, 2)}
    return Instance(data=data, parameters={"mu": value, "top": 3 * value})


def _least_after(run: Any, share: float) -> Any:
    """sigma_min after a change of norm `share` mu."""
    return _sigmas_after(run, share)[0]


def _largest_after(run: Any, share: float) -> Any:
    """sigma_max after such a change."""
    return _sigmas_after(run, share)[-1]


def _sigmas_after(run: Any, share: float) -> Any:
    moved = run.rows + share * run.mu * run.change
    return np.sqrt(np.linalg.eigvalsh(moved @ moved.T))


def _one_weight(largest: float) -> Callable[[Any], Instance]:
    """nu = mu; ||r(0)|| up to `largest` mu^2/beta, and a share of the largest step."""

    def of(draw: Any) -> Instance:
        least, curve = draw(st.sampled_from([0.1, 1.0])), draw(st.sampled_from([0.1, 10.0]))
        size = largest * least**2 / curve * draw(st.sampled_from([0.1, 1.0]))
        step = draw(st.sampled_from([0.1, 1.0])) / (least**2 * (9 / 4 + 1 / 8))
        return Instance(parameters={"mu": least, "curve": curve, "residual_0": size}, step=step, steps=100)

    return of


def _descended(run: Any) -> tuple[Any, Any]:
    """w(k) and r(k) of gradient descent on (curve w^2/2 - y)^2/2."""
    w = [run.mu / run.curve]
    target = run.curve * w[0] ** 2 / 2 - run.residual_0
    for _ in range(run.steps):
        w.append(w[-1] - run.eta * (run.curve * w[-1] ** 2 / 2 - target) * run.curve * w[-1])
    along = run.numbers(w)
    return along, run.curve * along**2 / 2 - target
