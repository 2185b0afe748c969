"""The twenty pairs of `false_twins.py`: one statement each, with a mistake that papers make and without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from scipy import stats

from ntkverify import Check, Instance, Source, Theorem, always, in_law, moment, scales_as, with_probability
from ntkverify.instances import generator
from ntkverify.judging.verdict import Verdict
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.regression import RegressionRun

TENTH = sympy.Rational(1, 10)
OFTEN = with_probability(1 - TENTH)


@dataclass(frozen=True)
class Pair:
    """One statement, false and true.

    Parameters
    ----------
    mistake, name : str
        What is wrong, and with what.
    build, run, count : callable, callable, int
        The family of instances.
    measure : callable
        What is measured of a run.
    false, true : dict
        Options of the claim, with and without the mistake.
    """

    mistake: str
    name: str
    build: Callable[..., Instance]
    run: Callable[..., Any]
    count: int
    measure: Callable[[Any], Any]
    false: dict[str, Any]
    true: dict[str, Any]

    def theorem(self, options: dict[str, Any]) -> Theorem:
        """The statement as a theorem of one claim."""
        theorem = Theorem(self.name, source=Source(), statement=self.name, id=self.name)
        theorem.instances("instances", run=self.run, quick=self.count)(self.build)
        theorem.conclusion("claim", **options)(self.measure)
        return theorem

    def verdicts(self, entropy: int) -> tuple[Verdict, Verdict]:
        """Of the false and of the true one, in the quick profile."""
        found = (Check(self.theorem(options), entropy=entropy) for options in (self.false, self.true))
        false, true = (next(check.verdicts()) for check in found)
        return false, true


# ---- what is drawn --------------------------------------------------------------------------------------------------


def noise(run: Any, size: int | None = None) -> np.random.Generator:
    """The randomness of a run without a network."""
    return np.random.default_rng(run.instance.seed)


def plain() -> Instance:
    return Instance(width=1)


def sixteen_inputs() -> Instance:
    return Instance(data={"inputs": np.eye(16), "targets": np.zeros(16)}, width=256)


def one_input() -> Instance:
    return Instance(data={"inputs": np.eye(2)[:1], "targets": np.zeros(1)}, width=256)


def ladder(draw: Any) -> Instance:
    width = 2 ** draw(st.sampled_from([6, 7, 11, 12]))
    return Instance(data={"inputs": np.eye(4), "targets": np.zeros(4)}, width=width)


def widths(draw: Any) -> Instance:
    return Instance(width=2 ** draw(st.integers(4, 14)))


def points(draw: Any) -> Instance:
    """Three points of an interval."""
    return Instance(data={"points": np.sort(generator(draw).uniform(size=3))})


def vectors(draw: Any) -> Instance:
    rng = generator(draw)
    return Instance(data={"x": rng.standard_normal(8), "y": rng.standard_normal(8)})


def rates(draw: Any) -> Instance:
    return Instance(parameters={"rate": float(generator(draw).uniform(0.01, 0.5))})


def unevenness(run: Any) -> float:
    """Longer over shorter of the two gaps; it is below 1.17 for nearly equispaced points, one data set in thirteen."""
    gaps = np.diff(run.points)
    return float(gaps.max() / gaps.min())


def gram_error(run: Any) -> float:
    return float(np.linalg.norm(run.at_start.gram - run.limit_gram))


def output(run: Any) -> float:
    return float(run.at_start.outputs[0])


rate = sympy.Symbol("rate", positive=True)
variance = 0.5  # of an initial output: E relu(g)^2
single = sympy.sqrt(2 * sympy.log(2 / TENTH))
union = sympy.sqrt(2 * sympy.log(2 * 16 / TENTH))


def often(false: Any, true: Any) -> dict[str, Any]:
    """Two bounds under the same probability."""
    return {"false": {"holds": OFTEN, "bound": false}, "true": {"holds": OFTEN, "bound": true}}


def every(false: Any, true: Any) -> dict[str, Any]:
    """Two bounds for all instances."""
    return {"false": {"holds": always, "bound": false}, "true": {"holds": always, "bound": true}}


def claimed(false: Any, true: Any) -> dict[str, Any]:
    """Two quantifiers without a bound."""
    return {"false": {"holds": false}, "true": {"holds": true}}


def normal(scale: float) -> Callable[..., Any]:
    return stats.norm(scale=scale).cdf


# ---- the pairs ------------------------------------------------------------------------------------------------------


def union_bounds() -> Iterator[Pair]:
    """Of several variables the bound of one."""
    yield Pair(
        "union bound missing",
        "largest of 16 normals",
        plain,
        AlgebraRun,
        40,
        lambda run: np.abs(noise(run).standard_normal(16)).max(),
        **often(single, union),
    )
    yield Pair(
        "union bound missing",
        "16 initial outputs",
        sixteen_inputs,
        RegressionRun,
        40,
        lambda run: np.abs(run.at_start.outputs).max() / variance**0.5,
        **often(single, union),
    )
    yield Pair(
        "union bound missing",
        "largest of 16 exponentials",
        plain,
        AlgebraRun,
        40,
        lambda run: noise(run).exponential(size=16).max(),
        **often(sympy.log(1 / TENTH), sympy.log(16 / TENTH)),
    )


def probabilities() -> Iterator[Pair]:
    """A probability of 0.85 that is claimed to be 0.9."""
    yield Pair(
        "0.85 claimed as 0.9",
        "an exponential",
        plain,
        AlgebraRun,
        40,
        lambda run: noise(run).exponential(),
        **often(-np.log(0.15), -np.log(0.08)),
    )
    yield Pair(
        "0.85 claimed as 0.9",
        "an initial output",
        one_input,
        RegressionRun,
        40,
        lambda run: abs(output(run)),
        **often(variance**0.5 * stats.norm.ppf(0.925), variance**0.5 * stats.norm.ppf(0.97)),
    )
    yield Pair(
        "0.85 claimed as 0.9",
        "chi-square, a degree of freedom too few",
        plain,
        AlgebraRun,
        40,
        lambda run: noise(run).chisquare(3),
        **often(stats.chi2(2).ppf(0.9), stats.chi2(4).ppf(0.9)),
    )


def exponents() -> Iterator[Pair]:
    """Rates in the width."""
    yield Pair(
        "exponent off by 0.1",
        "initial Gram matrix",
        ladder,
        RegressionRun,
        200,
        gram_error,
        **claimed(scales_as(-0.6, tolerance=0.05), scales_as(-0.5, tolerance=0.05)),
    )
    yield Pair(
        "exponent off by 0.1",
        "a mean of m terms",
        widths,
        AlgebraRun,
        300,
        lambda run: abs(noise(run).standard_normal()) / run.m**0.5,
        **claimed(scales_as(-0.4, tolerance=0.04), scales_as(-0.5, tolerance=0.08)),
    )
    yield Pair(
        "exponent off by 0.1",
        "a remainder",
        widths,
        AlgebraRun,
        300,
        lambda run: noise(run).exponential() / run.m,
        **claimed(scales_as(-0.9, tolerance=0.04), scales_as(-1, tolerance=0.08)),
    )


def constants() -> Iterator[Pair]:
    """A constant that is three times too small."""
    yield Pair(
        "constant 3 times too small",
        "squared length of x + y",
        vectors,
        AlgebraRun,
        40,
        lambda run: ((run.x + run.y) ** 2).sum() / ((run.x**2).sum() + (run.y**2).sum()),
        **every(sympy.Rational(2, 3), 2),
    )
    yield Pair(
        "constant 3 times too small",
        "length of a normal vector",
        plain,
        AlgebraRun,
        40,
        lambda run: np.linalg.norm(noise(run).standard_normal(8)),
        **often(np.sqrt(80) / 3, np.sqrt(80)),
    )
    yield Pair(
        "constant 3 times too small",
        "an initial output",
        one_input,
        RegressionRun,
        40,
        lambda run: abs(output(run)) / variance**0.5,
        **often(single / 3, single),
    )


def variances() -> Iterator[Pair]:
    """A variance that is off by a tenth."""
    yield Pair(
        "variance off by 10%",
        "second moment of a normal",
        plain,
        AlgebraRun,
        16_000,
        lambda run: noise(run).standard_normal(),
        **claimed(moment(2, 1.1, within=0.03), moment(2, 1, within=0.03)),
    )
    yield Pair(
        "variance off by 10%",
        "an initial output",
        one_input,
        RegressionRun,
        8_000,
        output,
        **claimed(moment(2, 1.1 * variance, within=0.04), moment(2, variance, within=0.04)),
    )


def laws() -> Iterator[Pair]:
    """Another law, within its tolerance."""
    yield Pair(
        "a law through its tolerance",
        "Laplace for normal",
        plain,
        AlgebraRun,
        4_000,
        lambda run: noise(run).laplace(scale=0.5**0.5),
        **claimed(in_law(normal(1), within=0.01), in_law(stats.laplace(scale=0.5**0.5).cdf, within=0.04)),
    )
    yield Pair(
        "a law through its tolerance",
        "an initial output, variance 10% off",
        one_input,
        RegressionRun,
        4_000,
        output,
        **claimed(in_law(normal(0.55**0.5), within=0.01), in_law(normal(0.5**0.5), within=0.04)),
    )


def rare_data() -> Iterator[Pair]:
    """One data set in thirteen fails."""
    yield Pair(
        "only nearly equispaced inputs fail",
        "gaps, for all data",
        points,
        AlgebraRun,
        30,
        lambda run: 1 / unevenness(run),
        **every(sympy.Rational(6, 7), 1),
    )
    yield Pair(
        "only nearly equispaced inputs fail",
        "gaps, with probability",
        points,
        AlgebraRun,
        30,
        lambda run: (unevenness(run) < 7 / 6) + 0.5 * noise(run).uniform(),
        **often(sympy.Rational(3, 4), 2),
    )


def paths() -> Iterator[Pair]:
    """A factor that is lost where steps are added up."""
    yield Pair(
        "2 sqrt(2) dropped from a path",
        "a geometric sum of steps",
        rates,
        AlgebraRun,
        40,
        lambda run: 1 / (1 - np.sqrt(1 - run.rate)),
        **every(1 / (sympy.sqrt(2) * rate), 2 / rate),
    )
    yield Pair(
        "2 sqrt(2) dropped from a path",
        "8 coordinates one by one",
        vectors,
        AlgebraRun,
        40,
        lambda run: np.abs(run.x).sum() / np.linalg.norm(run.x),
        **every(1, 2 * sympy.sqrt(2)),
    )


def pairs() -> Iterator[Pair]:
    """The twenty pairs."""
    for family in (union_bounds, probabilities, exponents, constants, variances, laws, rare_data, paths):
        yield from family()
