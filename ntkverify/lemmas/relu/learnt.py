"""Which function gradient descent learns, in terms of a kernel that stands still.

modes       ||r(k) - (I - eta G)^k r(0)|| for G = H(0) or H^inf: at most rho^k - a^k, and (Delta + eps)/lambda_min(G)
field       |f(x) - f_G(x)| at test points, f_G the linear model of G and K_x^G: the network linearised at its start for
            H(0), the infinitely wide network for H^inf
regression  f_G -> f(x) - K_x^G G^(-1) r(0) of the start, and what a kernel's change does to that

with a = 1 - eta lambda_min(G) and rho = a + eta (Delta + eps), where a step leaves s(k) = eta (G - H(k)) r(k) + I_1(k),
at most eta (Delta + eps) ||r(k)||. If eta ||G|| <= 1, then ||I - eta G|| <= a, so that ||r(k)|| <= rho^k ||r(0)||, and

    r(k) - (I - eta G)^k r(0) = sum_j (I - eta G)^(k-1-j) s(j),   sum_j a^(k-1-j) (rho - a) rho^j = rho^k - a^k.

At x these add up to K_x G^(-1) (I - (I - eta G)^(k-1-j)) s(j), 0 for the last and at most ||K_x G^(-1)|| ||s(j)|| else,
beside what a step leaves there, eta (Delta_x + eps_x) ||r(j)||; eta sum_(j<k) rho^j is (1 - rho^k) eta/(1 - rho).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from sympy import sqrt

from ntkverify import always, identity
from ntkverify.glossary import eta, k, lambda_0, residual_0
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.relu.learnt_runs import (
    covariance_regression,
    departure,
    field_error,
    frobenius,
    largest_push,
    limit_cross,
    limit_regression,
    linear_error,
    rows,
    start,
    test_diagonal,
)
from ntkverify.lemmas.rounding import started
from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Kernel:
    """A kernel that stands still, and how far the network's is from it, as symbols that a run answers for.

    Parameters
    ----------
    name, cross_name : str
        Of the Gram matrix and of the cross kernel, in sentences.
    gram, cross : callable
        What a run says: (n, n) and (q, n).
    least : sympy.Expr
        lambda_min(G).
    change, change_x : sympy.Expr
        Delta, largest ||H(k) - G||; Delta_x, largest ||K_x(k) - K_x^G||.
    weight, ratio : sympy.Expr
        Largest ||K_x^G G^(-1)||, and G_xx/lambda_min(G), (q,).
    """

    name: str
    cross_name: str
    gram: Callable[[Any], Any]
    cross: Callable[[Any], Any]
    least: sympy.Expr
    change: sympy.Expr
    change_x: sympy.Expr
    weight: sympy.Expr
    ratio: sympy.Expr

    @property
    def product(self) -> str:
        """K_x^G G^(-1), in sentences."""
        return f"{self.cross_name} {f'({self.name})' if '^' in self.name else self.name}^(-1)"

    def weights(self, run: Any) -> Any:
        """K_x^G G^(-1), (q, n)."""
        return np.linalg.solve(self.gram(run), self.cross(run).T).T

    def linear(self, run: Any) -> Any:
        """f_G at the test points, (K+1, q)."""
        return run.linear_field(self.gram(run), self.cross(run))

    def regressed(self, run: Any) -> Any:
        """Where f_G ends, f(x) - K_x^G G^(-1) r(0), (q,)."""
        return run.field[0] - self.weights(run) @ run.trajectory.residuals[0]

    def stable(self, run: Any) -> Any:
        """eta ||G|| <= 1; from k = 1 on, (K+1,)."""
        return bool(run.eta * np.linalg.eigvalsh(self.gram(run))[-1] <= 1) & started(run)


class LearntFunction(Part):
    """The links between a trained network, its linear models and kernel regression.

    Parameters
    ----------
    theorem : Theorem
        Receives the quantities; its runs are `ntkverify.problems.field.FieldRun`.
    """

    name = "learnt function"

    def __init__(self, theorem: Theorem) -> None:
        super().__init__(theorem)
        quantity = theorem.quantity
        self.push = quantity("push", lambda run: largest_push(run, run.remainder))
        self.push_x = quantity("push_x", lambda run: largest_push(run, np.abs(run.field_remainders).max(axis=1)))
        self.at_start = Kernel(
            "H(0)",
            "K_x",
            start,
            lambda run: run.cross,
            quantity("least_0", lambda run: run.eigenvalues[0, 0]),
            quantity("change_0", lambda run: run.gram_drift.max()),
            quantity("change_x", lambda run: run.cross_drift.max()),
            quantity("weight_0", lambda run: rows(self.at_start.weights(run)).max()),
            quantity("ratio_0", lambda run: run.trajectory.field_kernels[0] / run.eigenvalues[0, 0]),
        )
        self.limit = Kernel(
            "H^inf",
            "K_x^inf",
            lambda run: run.limit_gram,
            limit_cross,
            lambda_0,
            quantity("change_inf", lambda run: frobenius(run.trajectory.grams - run.limit_gram).max()),
            quantity("change_x_inf", lambda run: rows(run.trajectory.cross_kernels - limit_cross(run)).max()),
            quantity("weight_inf", lambda run: rows(self.limit.weights(run)).max()),
            quantity("ratio_inf", lambda run: test_diagonal(run) / run.lambda_0),
        )

    def sums(self) -> None:
        """Both geometric sums, by induction over k."""
        a, rho = sympy.symbols("a rho", positive=True)
        for sentence, factor, summed, term in (
            ("rho^k - a^k = sum_j a^(k-1-j) (rho - a) rho^j", a, rho**k - a**k, (rho - a) * rho**k),
            ("1 - rho^k = (1 - rho) sum_j rho^j", sympy.S.One, 1 - rho**k, (1 - rho) * rho**k),
        ):
            sides = summed.subs(k, k + 1), factor * summed + term
            self.lemma(f"{sentence}, by induction", of=_expanded(*sides), holds=identity)

    def modes(self, *, on: Any, loose: Any, assumes: Any) -> None:
        """Every mode at its own rate, for both kernels; and a control on `loose`, where the kernel moves."""
        for kernel in (self.at_start, self.limit):
            claim: dict[str, Any] = {
                "of": _departed(kernel),
                "holds": always,
                "assumes": assumes,
                "error": linear_error,
            }
            left = f"||r(k) - (I - eta {kernel.name})^k r(0)||"
            moved = kernel.change + self.push
            self.conclusion(
                f"{left} <= (rho^k - (1 - eta lambda_min)^k) ||r(0)||, rho = 1 - eta (lambda_min - Delta - eps)",
                bound=apart(kernel.least, moved),
                given=kernel.stable,
                uses=("recursion", "rho^k - a^k ="),
                on=on,
                attained=True,  # by one sample
                **claim,
            )
            self.conclusion(
                f"{left} <= (Delta + eps)/lambda_min ||r(0)|| while Delta + eps <= lambda_min",
                bound=moved / kernel.least * residual_0,
                given=_and_small(kernel, moved),
                uses=("recursion", "rho^k - a^k ="),
                on=on,
                **claim,
            )
            self.control(
                f"{left} without Delta: the kernel taken to stand still",
                bound=apart(kernel.least, self.push),
                given=kernel.stable,
                on=loose,
                **claim,
            )

    def field(self, *, on: Any, loose: Any, assumes: Any) -> None:
        """The network against both linear models at test points, and controls without the change of the kernels."""
        for kernel in (self.at_start, self.limit):
            name, product = kernel.name, kernel.product
            claim: dict[str, Any] = {
                "of": _misses(kernel),
                "holds": always,
                "assumes": assumes,
                "error": field_error,
                "given": kernel.stable,
            }
            self.lemma(
                f"||{product}|| <= sqrt(G_xx/lambda_min) for G = {name}",
                of=lambda run, kernel=kernel: rows(kernel.weights(run)),
                holds=always,
                bound=sqrt(kernel.ratio),
                assumes=assumes,
                on=on,
                attained=True,  # by one sample that the test point is parallel to
            )
            moved = kernel.change + self.push
            there = kernel.change_x + self.push_x
            self.lemma(
                f"|f(x) - f_lin(x)| <= ((Delta_x + eps_x) (1 - rho^k) + ||{product}|| (Delta + eps) "
                f"(1 - rho^(k-1)))/(lambda_min - Delta - eps) ||r(0)|| for {name}",
                bound=away(kernel.least, there, kernel.weight, moved),
                uses=("recursion", "1 - rho^k =", f"||{product}|| <="),
                on=on,
                attained=True,  # by one sample, in one step
                **claim,
            )
            self.control(
                f"|f(x) - f_lin(x)| as if no kernel moved, for {name}",
                bound=away(kernel.least, self.push_x, kernel.weight, self.push),
                on=loose,
                **claim,
            )
            self.lemma(
                f"|f_lin(x) - (f(x) - {product} r(0))| <= ||{product}|| (1 - eta lambda_min)^k ||r(0)||",
                of=lambda run, kernel=kernel: np.abs(kernel.linear(run) - kernel.regressed(run)).max(axis=1),
                holds=always,
                bound=kernel.weight * (1 - eta * kernel.least) ** k * residual_0,
                assumes=assumes,
                on=on,
                given=lambda run, kernel=kernel: bool(kernel.stable(run).any()),
                error=field_error,
                attained=True,  # by one sample
            )

    def regression(self, *, on: Any, wide: Any, assumes: Any) -> None:
        """Kernel regression with H(0) against that with H^inf.

        A control on `wide`: it is regression with the covariance of the outputs at the start.
        """
        theorem = self.theorem
        here = theorem.quantity("gram_off", lambda run: frobenius(run.trajectory.grams[:1] - run.limit_gram)[0])
        there = theorem.quantity("cross_off", lambda run: rows(run.cross - limit_cross(run)).max())
        size = theorem.quantity("size", lambda run: np.linalg.norm(np.linalg.solve(run.limit_gram, run.targets)))
        claim: dict[str, Any] = {
            "holds": always,
            "bound": (self.at_start.weight * here + there) * size,
            "assumes": assumes,
            "error": lambda run: field_error(run)[0],
        }
        self.conclusion(
            "|K_x H(0)^(-1) y - K_x^inf (H^inf)^(-1) y| <= (||K_x H(0)^(-1)|| ||H(0) - H^inf|| + ||K_x - K_x^inf||) "
            "||(H^inf)^(-1) y||",
            of=lambda run: np.abs(self.at_start.regressed(run) - limit_regression(run)).max(),
            on=on,
            attained=True,  # by one sample
            **claim,
        )
        self.control(
            "the same with the covariance of the initial outputs in place of the kernel",
            of=lambda run: np.abs(self.at_start.regressed(run) - covariance_regression(run)).max(),
            on=wide,
            **claim,
        )


def apart(least: sympy.Expr, moved: sympy.Expr) -> sympy.Expr:
    """(rho^k - a^k) ||r(0)||, what the modes part by where a step leaves up to `moved` eta ||r||."""
    return ((1 - eta * (least - moved)) ** k - (1 - eta * least) ** k) * residual_0


def away(least: sympy.Expr, there: sympy.Expr, weight: sympy.Expr, moved: sympy.Expr) -> sympy.Expr:
    """What the field is away by where a step leaves up to `moved` eta ||r||, and up to `there` eta ||r|| at x."""
    rho = 1 - eta * (least - moved)
    return (there * (1 - rho**k) + weight * moved * (1 - rho ** (k - 1))) / (least - moved) * residual_0


def _expanded(left: sympy.Expr, right: sympy.Expr) -> Callable[[], Any]:
    return lambda: (sympy.expand(left), sympy.expand(right))


def _departed(kernel: Kernel) -> Callable[[Any], Any]:
    return lambda run: departure(run, kernel.gram(run))


def _misses(kernel: Kernel) -> Callable[[Any], Any]:
    return lambda run: np.abs(run.field - kernel.linear(run)).max(axis=1)


def _and_small(kernel: Kernel, moved: sympy.Expr) -> Callable[[Any], Any]:
    return lambda run: kernel.stable(run) & bool(run.evaluate(moved) <= run.evaluate(kernel.least))
