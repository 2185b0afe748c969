"""The ball of functions that the limit kernel of ReLU regression makes: its complexity, what it holds, what it costs.

complexity  E sqrt(s^T H^inf s) <= sqrt(n/2) over fair signs s, for any n unit vectors
means       over a sample of n draws and over the population, for all f of norm 1 at once
norms       (beta . x)^p has the squared norm 1/c_p^2 at most, c_p^2 the coefficient of t^p in the kernel at x.x' = t
signs       y^T (H^inf)^(-1) y of random signs has the mean tr (H^inf)^(-1) >= n'^2/tr H^inf = 2 n' and the variance
            2 ||A||_F^2, A the inverse off its diagonal: Cantelli's inequality

In sentences n is the number of draws, which runs (`ntkverify.problems.field.PopulationRun`) call ``size``, and n' that
of the distinct ones among them, which is their ``n``; the first lemma speaks of any n samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from sympy import Rational, log, sqrt

from ntkverify import always, with_probability
from ntkverify.glossary import delta, n
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.relu.arc_cosine import ArcCosine
from ntkverify.lemmas.rounding import ULP
from ntkverify.symbolic.constants.derived import derived
from ntkverify.symbolic.limit.angles import coefficients
from ntkverify.theorem.theorem import Theorem

size = sympy.Symbol("size", positive=True)
MOST_SIGNS = 12  # of more samples there are too many signs to take the mean over all


class KernelBall(Part):
    """Functions of bounded norm, for losses in [0, 1] that are 1-Lipschitz.

    Parameters
    ----------
    theorem : Theorem
        Receives the constants ``trace`` and, for each power, ``norm_p``.
    powers : sequence of int
        1 or even.
    """

    name = "kernel ball"

    def __init__(self, theorem: Theorem, powers: Sequence[int]) -> None:
        super().__init__(theorem)
        ArcCosine(theorem)
        series = coefficients("gram", max(powers) + 1, sympy.pi)
        self.norms = {
            p: theorem.constant(
                f"norm_{p}",
                derived(1 / series[p], f"1/coefficient of t^{p} in the kernel at x.x' = t"),
                f"squared norm of x -> (beta . x)^{p}, |beta| = 1",
            )
            for p in powers
        }
        self.trace = theorem.constant(
            "trace", derived(Rational(1, 2), "the kernel at x.x' = 1, theta = 0"), "H^inf(x, x)"
        )

    def allowed(self, norm: Any, kernel: Any = None, chance: Any = delta) -> sympy.Expr:
        """How far L_D exceeds L_S, for all functions of norm at most `norm` at once, but for a probability `chance`.

        Twice the complexity, and McDiarmid's inequality: one draw moves the supremum by 1/n at most.
        """
        mean = 2 * norm * sqrt((self.trace if kernel is None else kernel) / size)
        return mean + sqrt(log(1 / chance) / (2 * size))

    def allowed_for_all(self, norm: sympy.Expr, kernel: Any = None) -> sympy.Expr:
        """The same for a norm that the sample decides: B = 1, 2, ... spend delta/(B (B + 1)), and B <= norm + 1."""
        return self.allowed(norm + 1, kernel, delta / ((norm + 1) * (norm + 2)))

    def complexity(self, **where: Any) -> None:
        """The mean over all signs, for up to `MOST_SIGNS` samples; half of it is a control."""
        claim: dict[str, Any] = {"holds": always, "given": lambda run: len(run.targets) <= MOST_SIGNS, **where}

        @self.control("the mean complexity is at most half of that", bound=sqrt(n * self.trace) / 2, **claim)
        @self.lemma(
            "the mean over all signs of sqrt(s^T H^inf s), n times the unit ball's complexity, is at most sqrt(n/2)",
            bound=sqrt(n * self.trace),
            attained=True,  # by orthonormal inputs
            uses="tr H^inf = n/2",
            **claim,
        )
        def mean_complexity(run: Any) -> Any:
            few = min(len(run.targets), MOST_SIGNS)
            signs = run.numbers(np.array(list(itertools.product([-1.0, 1.0], repeat=few))))
            return np.sqrt(((signs @ run.limit_gram[:few, :few]) * signs).sum(axis=1)).mean()

    def means(self, **where: Any) -> None:
        """Means over sample and population; one draw moves their distance by sqrt(2)/n at most."""
        claim: dict[str, Any] = {"holds": with_probability(1 - delta), **where}

        @self.control("the same by 1/n", bound=1 / size, **claim)
        @self.conclusion(
            "means over sample and population differ by at most 1/sqrt(2 n) + sqrt(log(1/delta)/n), all f of norm 1",
            bound=sqrt(self.trace / size) + sqrt(2 * self.trace * log(1 / delta) / size),
            **claim,
        )
        def apart(run: Any) -> Any:
            return np.sqrt(run.excess @ run.population_kernel @ run.excess)

    def polynomials(self, families: Mapping[int, str], **where: Any) -> None:
        """Labels (beta . x)^p by family; the instance's parameter ``p`` says which."""
        for p, family in families.items():
            self.conclusion(
                f"y^T (H^inf)^(-1) y <= norm_{p} for y = (beta . x)^{p}",
                of="complexity",
                holds=always,
                bound=self.norms[p],
                on=family,
                given=_is_power(p),
                error=solved,
                uses="H^inf(x, x')",
                **where,
            )

    def signs(self, *, on: Any, few: str, **where: Any) -> sympy.Expr:
        """What random labels cost at least, which is returned; and a control that it is as little as squares do.

        The trace of the inverse is looked at on `few`, and is reached by orthonormal inputs.
        """
        trace = self.theorem.quantity("trace_inverse", lambda run: np.trace(run.inverse))
        spread = self.theorem.quantity("off_diagonal", off_diagonal)
        self.lemma(
            "tr (H^inf)^(-1) >= n'^2/tr H^inf = 2 n' for n' distinct samples",
            of=lambda run: np.trace(run.inverse),
            holds=always,
            bound=n / self.trace,
            from_below=True,
            on=few,
            error=lambda run: 8 * ULP * run.n * np.linalg.cond(run.plain.limit_gram) * np.trace(run.plain.inverse),
            attained=True,
            uses="tr H^inf = n/2",
            **where,
        )
        least = trace - sqrt(2 * (1 - delta) / delta) * spread
        claim: dict[str, Any] = {"of": "complexity", "holds": with_probability(1 - delta), "on": on, **where}
        self.lemma(
            "random signs: y^T (H^inf)^(-1) y >= tr (H^inf)^(-1) - sqrt(2 (1 - delta)/delta) ||off diagonal||_F",
            bound=least,
            from_below=True,
            **claim,
        )
        self.control("random signs: y^T (H^inf)^(-1) y <= norm_2", bound=self.norms[2], **claim)
        return least


def off_diagonal(run: Any) -> Any:
    """||A||_F, A (H^inf)^(-1) off its diagonal."""
    inverse = run.inverse
    return np.sqrt((inverse**2).sum() - (np.diagonal(inverse) ** 2).sum())


def solved(run: Any) -> Any:
    """Rounding of y^T (H^inf)^(-1) y."""
    return 8 * ULP * len(run.targets) * np.linalg.cond(run.plain.limit_gram) * run.plain.complexity


def largest_gap(run: Any, norm: Any) -> Any:
    """The largest L_D - L_S of the interpolant and of the functions of this norm that see the sample best and worst."""
    spread = norm * run.witness
    return max(run.population_error(f) - run.sample_error(f) for f in (run.interpolant, spread, -spread))


def _is_power(p: int) -> Any:
    return lambda run: bool(run.plain.p == p)
