"""Which function gradient descent learns, in terms of a kernel that stands still.

modes       ||r(k) - (I - eta G)^k r(0)|| for G = H(0) or H^inf, in two forms: one that fades, and its largest value
field       |f(x) - f_lin(x)| at test points, f_lin the network linearised at the start
regression  f_lin -> f(x) + K_x H(0)^(-1) (y - f) of the start, and what a kernel's change does to that

Departures are sums of what a step leaves, eta (G - H(k)) r(k) + I_1(k), against powers of I - eta G; at test points
they add up to H(0)^(-1), so that what counts is ||K_x H(0)^(-1)||, at most sqrt(H_xx/lambda_min(H(0))).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from sympy import Rational, sqrt

from ntkverify import always
from ntkverify.glossary import eta, k, lambda_0, residual_0
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import ULP, started
from ntkverify.theorem.theorem import Theorem

PEAK = Rational(3, 2)  # of eta k q^(k-1) lambda_0


class LearntFunction(Part):
    """The links between a trained network, its linearisation and kernel regression.

    Parameters
    ----------
    theorem : Theorem
        Receives the quantities; its runs are `ntkverify.problems.field.FieldRun`.
    descent : GradientDescent
        Gradient descent's own chain, with the rate lambda_0.
    """

    name = "learnt function"

    def __init__(self, theorem: Theorem, descent: GradientDescent) -> None:
        super().__init__(theorem)
        self.descent = descent
        quantity = theorem.quantity
        self.change_0 = quantity("change_0", lambda run: run.gram_drift.max())
        self.change_inf = quantity("change_inf", lambda run: _frobenius(run.trajectory.grams - run.limit_gram).max())
        self.push = quantity("push", lambda run: largest_push(run, run.remainder))
        self.change_x = quantity("change_x", lambda run: run.cross_drift.max())
        self.push_x = quantity("push_x", lambda run: largest_push(run, np.abs(run.field_remainders).max(axis=1)))
        self.weight_x = quantity("weight_x", lambda run: _rows(regression_weights(run)).max())

    def fading(self, pushed: sympy.Expr) -> sympy.Expr:
        """The bound of the modes' departure where steps leave up to `pushed` eta ||r||."""
        return pushed * eta * k * (1 - eta * self.descent.rate / 2) ** ((k - 1) / 2) * residual_0

    def held(self, run: Any, gram: Any) -> Any:
        """The loss has contracted so far, and lambda_0/2 <= G <= 1/eta, from k = 1 on, (K+1,)."""
        ends = np.linalg.eigvalsh(gram)[[0, -1]]
        fits = bool(ends[0] >= run.lambda_0 / 2) and bool(run.eta * ends[1] <= 1)
        return self.descent.contracting_so_far(run) & fits & started(run)

    def _where(self, gram: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda run: self.held(run, gram(run))

    def modes(self, *, on: Any, loose: Any, assumes: Any) -> None:
        """Every mode at its own rate, for both kernels; and a control on `loose`, where the kernel moves."""
        for name, change, gram in (
            ("H(0)", self.change_0, start),
            ("H^inf", self.change_inf, lambda run: run.limit_gram),
        ):
            claim: dict[str, Any] = {
                "of": _departed(gram),
                "holds": always,
                "assumes": assumes,
                "error": linear_error,
                "given": self._where(gram),
            }
            where = f"while the loss contracts, lambda_0/2 <= {name} <= 1/eta"
            left = f"||r(k) - (I - eta {name})^k r(0)||"
            self.conclusion(
                f"{left} <= (Delta + eps) eta k (1 - eta lambda_0/2)^((k-1)/2) ||r(0)|| {where}",
                bound=self.fading(change + self.push),
                uses=("recursion", "gradient descent"),
                on=on,
                attained=True,  # by one sample, in one step
                **claim,
            )
            self.conclusion(
                f"{left} <= (3/2)/lambda_0 (Delta + eps) ||r(0)|| {where}",
                bound=PEAK / lambda_0 * (change + self.push) * residual_0,
                uses=("recursion", "eta k (1 - eta"),
                on=on,
                **claim,
            )
            self.control(
                f"{left} without Delta: the kernel taken to stand still",
                bound=self.fading(self.push),
                on=loose,
                **claim,
            )

    def peak(self) -> None:
        """The fading bound is at most (3/2)/lambda_0 (Delta + eps) ||r(0)||, where the sums say 4/lambda_0."""
        a, x = sympy.symbols("a x", positive=True)
        self.lemma(
            "k q^(k-1) <= 1/(e q log(1/q)), as log(x) <= x - 1 for x = k log(1/q)",
            of=sympy.log(x),
            holds=always,
            bound=x - 1,
            over={x: sympy.Interval.open(0, sympy.oo)},
        )
        self.lemma(
            "eta k (1 - eta lambda_0/2)^((k-1)/2) <= (3/2)/lambda_0: 4 a <= (3/2) e sqrt(1 - a) log(1/(1 - a))",
            of=4 * a,
            holds=always,
            bound=PEAK * sympy.E * sqrt(1 - a) * -sympy.log(1 - a),
            over={a: sympy.Interval.Lopen(0, self.descent.largest_a)},
            uses="k q^(k-1) <=",
        )

    def field(self, *, on: Any, loose: Any, assumes: Any) -> None:
        """The network against its linearisation at test points, and a control without the change of K_x."""
        kernel = self.weight_x * (self.change_0 + self.push)
        scale = self.descent.drift_factor / lambda_0 * residual_0
        claim: dict[str, Any] = {
            "of": lambda run: np.abs(run.field - linearised(run)).max(axis=1),
            "holds": always,
            "assumes": assumes,
            "error": field_error,
            "given": self._where(start),
        }
        self.lemma(
            "||K_x H(0)^(-1)|| <= sqrt(H_xx/lambda_min(H(0)))",
            of=lambda run: _rows(regression_weights(run)),
            holds=always,
            bound=sqrt(self.theorem.quantity("ratio_x", _ratios)),
            assumes=assumes,
            on=on,
            attained=True,  # by one sample that the test point is parallel to
        )
        self.lemma(
            "|f(x) - f_lin(x)| <= (4/lambda_0) (Delta_x + eps_x + ||K_x H(0)^(-1)|| (Delta + eps)) ||r(0)||",
            bound=scale * (self.change_x + self.push_x + kernel),
            uses=("recursion", "sums"),
            on=on,
            **claim,
        )
        self.control("|f(x) - f_lin(x)| as if no kernel moved", bound=scale * self.push_x, on=loose, **claim)

    def regression(self, *, on: Any, wide: Any, assumes: Any) -> None:
        """The limit of the linear model, and kernel regression with H(0) against that with H^inf.

        A control on `wide`: it is regression with the covariance of the outputs at the start.
        """
        theorem = self.theorem
        slowest = theorem.quantity("least_0", lambda run: run.eigenvalues[0, 0])
        self.lemma(
            "|f_lin(x) - (f(x) - K_x H(0)^(-1) r(0))| <= ||K_x H(0)^(-1)|| (1 - eta lambda_min(H(0)))^k ||r(0)||",
            of=lambda run: np.abs(linearised(run) - regressed(run)).max(axis=1),
            holds=always,
            bound=self.weight_x * (1 - eta * slowest) ** k * residual_0,
            assumes=assumes,
            on=on,
            given=lambda run: bool(run.eta * run.eigenvalues[0, -1] <= 1),
            error=field_error,
            attained=True,  # by one sample
        )
        here = theorem.quantity("gram_off", lambda run: _frobenius(run.trajectory.grams[:1] - run.limit_gram)[0])
        there = theorem.quantity("cross_off", lambda run: _rows(run.cross - limit_cross(run)).max())
        size = theorem.quantity("size", lambda run: np.linalg.norm(np.linalg.solve(run.limit_gram, run.targets)))
        claim: dict[str, Any] = {
            "holds": always,
            "bound": (self.weight_x * here + there) * size,
            "assumes": assumes,
            "error": lambda run: field_error(run)[0],
        }
        self.lemma(
            "|K_x H(0)^(-1) y - K_x^inf (H^inf)^(-1) y| <= (||K_x H(0)^(-1)|| ||H(0) - H^inf|| + ||K_x - K_x^inf||) "
            "||(H^inf)^(-1) y||",
            of=lambda run: np.abs(regressed(run) - kernel_regression(run, run.limit_at_all_points)).max(),
            on=on,
            attained=True,  # by one sample
            **claim,
        )
        self.control(
            "the same with the covariance of the initial outputs in place of the kernel",
            of=lambda run: np.abs(regressed(run) - kernel_regression(run, run.covariance_at_all_points)).max(),
            on=wide,
            **claim,
        )


def _departed(gram: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda run: departure(run, gram(run))


# -- what a run says ----------------------------------------------------------------------------------------------


def start(run: Any) -> Any:
    """H(0), (n, n)."""
    return run.trajectory.grams[0]


def departure(run: Any, gram: Any) -> Any:
    """||r(k) - (I - eta G)^k r(0)||, (K+1,)."""
    return _rows(run.trajectory.residuals - run.linear_residuals(gram))


def largest_push(run: Any, sizes: Any) -> Any:
    """The largest of `sizes` (K,) over eta ||r||."""
    return (sizes / (run.eta * run.residual)).max()


def linearised(run: Any) -> Any:
    """f_lin at the test points, (K+1, q)."""
    return run.linear_field(start(run), run.cross)


def regression_weights(run: Any) -> Any:
    """K_x H(0)^(-1), (q, n)."""
    return np.linalg.solve(start(run), run.cross.T).T


def regressed(run: Any) -> Any:
    """Where the linear model ends, f(x) - K_x H(0)^(-1) r(0), (q,)."""
    return run.field[0] - regression_weights(run) @ run.trajectory.residuals[0]


def limit_cross(run: Any) -> Any:
    """K_x^inf, (q, n)."""
    count = len(run.targets)
    return run.limit_at_all_points[count:, :count]


def kernel_regression(run: Any, kernel: Any) -> Any:
    """Regression of the targets at the test points with a kernel (n + q, n + q), (q,)."""
    count = len(run.targets)
    return kernel[count:, :count] @ np.linalg.solve(kernel[:count, :count], run.targets)


def limit_regression(run: Any) -> Any:
    """K_x^inf (H^inf)^(-1) y, (q,)."""
    return kernel_regression(run, run.limit_at_all_points)


def linear_error(run: Any) -> Any:
    """Rounding of the residuals and of the powers of a contraction, (K+1,)."""
    return run.residuals_error + 64 * ULP * len(run.targets) * run.residual_0 * (1 + run.k)


def field_error(run: Any) -> Any:
    """Rounding of the field, and of sums and solves of a system of its condition, (K+1,)."""
    ends = run.plain.eigenvalues[0]
    size = ULP * len(run.targets) * (1 + ends[-1] / ends[0]) * run.weight_x * run.residual_0
    return run.trajectory.field_error.max(axis=1) + run.trajectory.field_error[0].max() + 64 * size * (1 + run.k)


def _ratios(run: Any) -> Any:
    return run.trajectory.field_kernels[0] / run.eigenvalues[0, 0]


def _rows(matrix: Any) -> Any:
    return np.linalg.norm(matrix, axis=-1)


def _frobenius(matrices: Any) -> Any:
    return np.linalg.norm(matrices, axis=(1, 2))
