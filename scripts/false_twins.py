"""Twenty false theorems beside their true twins: which words does the check have for them?

    python scripts/false_twins.py --entropy 0 --markdown docs/results/false_twins.md
    python scripts/false_twins.py --search 0 1 2 3 4 --markdown docs/results/false_twins.md --record searches.json

Each pair is one statement with a mistake that papers make, and without it. A false one may be inconclusive, and may
hold where a verdict rests on instances in float64; a true one must not be violated. With --search it is said what
`ntkverify search` finds of them in a quarter of its default budget, seconds of processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st
from scipy import stats
from tqdm import tqdm

from ntkverify import Check, Instance, Source, Theorem, always, in_law, moment, scales_as, with_probability
from ntkverify.instances import generator
from ntkverify.judging.verdict import Verdict
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.regression import RegressionRun
from ntkverify.report.campaign import summarise
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store

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


def pairs() -> Iterator[Pair]:
    """The twenty pairs."""
    algebra, network = AlgebraRun, RegressionRun
    yield Pair(
        "union bound missing",
        "largest of 16 normals",
        plain,
        algebra,
        40,
        lambda run: np.abs(noise(run).standard_normal(16)).max(),
        **often(single, union),
    )
    yield Pair(
        "union bound missing",
        "16 initial outputs",
        sixteen_inputs,
        network,
        40,
        lambda run: np.abs(run.at_start.outputs).max() / variance**0.5,
        **often(single, union),
    )
    yield Pair(
        "union bound missing",
        "largest of 16 exponentials",
        plain,
        algebra,
        40,
        lambda run: noise(run).exponential(size=16).max(),
        **often(sympy.log(1 / TENTH), sympy.log(16 / TENTH)),
    )
    yield Pair(
        "0.85 claimed as 0.9",
        "an exponential",
        plain,
        algebra,
        40,
        lambda run: noise(run).exponential(),
        **often(-np.log(0.15), -np.log(0.08)),
    )
    yield Pair(
        "0.85 claimed as 0.9",
        "an initial output",
        one_input,
        network,
        40,
        lambda run: abs(output(run)),
        **often(variance**0.5 * stats.norm.ppf(0.925), variance**0.5 * stats.norm.ppf(0.97)),
    )
    yield Pair(
        "0.85 claimed as 0.9",
        "chi-square, a degree of freedom too few",
        plain,
        algebra,
        40,
        lambda run: noise(run).chisquare(3),
        **often(stats.chi2(2).ppf(0.9), stats.chi2(4).ppf(0.9)),
    )
    yield Pair(
        "exponent off by 0.1",
        "initial Gram matrix",
        ladder,
        network,
        200,
        gram_error,
        **claimed(scales_as(-0.6, tolerance=0.05), scales_as(-0.5, tolerance=0.05)),
    )
    yield Pair(
        "exponent off by 0.1",
        "a mean of m terms",
        widths,
        algebra,
        300,
        lambda run: abs(noise(run).standard_normal()) / run.m**0.5,
        **claimed(scales_as(-0.4, tolerance=0.04), scales_as(-0.5, tolerance=0.08)),
    )
    yield Pair(
        "exponent off by 0.1",
        "a remainder",
        widths,
        algebra,
        300,
        lambda run: noise(run).exponential() / run.m,
        **claimed(scales_as(-0.9, tolerance=0.04), scales_as(-1, tolerance=0.08)),
    )
    yield Pair(
        "constant 3 times too small",
        "squared length of x + y",
        vectors,
        algebra,
        40,
        lambda run: ((run.x + run.y) ** 2).sum() / ((run.x**2).sum() + (run.y**2).sum()),
        **every(sympy.Rational(2, 3), 2),
    )
    yield Pair(
        "constant 3 times too small",
        "length of a normal vector",
        plain,
        algebra,
        40,
        lambda run: np.linalg.norm(noise(run).standard_normal(8)),
        **often(np.sqrt(80) / 3, np.sqrt(80)),
    )
    yield Pair(
        "constant 3 times too small",
        "an initial output",
        one_input,
        network,
        40,
        lambda run: abs(output(run)) / variance**0.5,
        **often(single / 3, single),
    )
    yield Pair(
        "variance off by 10%",
        "second moment of a normal",
        plain,
        algebra,
        16_000,
        lambda run: noise(run).standard_normal(),
        **claimed(moment(2, 1.1, within=0.03), moment(2, 1, within=0.03)),
    )
    yield Pair(
        "variance off by 10%",
        "an initial output",
        one_input,
        network,
        8_000,
        output,
        **claimed(moment(2, 1.1 * variance, within=0.04), moment(2, variance, within=0.04)),
    )
    yield Pair(
        "a law through its tolerance",
        "Laplace for normal",
        plain,
        algebra,
        4_000,
        lambda run: noise(run).laplace(scale=0.5**0.5),
        **claimed(in_law(normal(1), within=0.01), in_law(stats.laplace(scale=0.5**0.5).cdf, within=0.04)),
    )
    yield Pair(
        "a law through its tolerance",
        "an initial output, variance 10% off",
        one_input,
        network,
        4_000,
        output,
        **claimed(in_law(normal(0.55**0.5), within=0.01), in_law(normal(0.5**0.5), within=0.04)),
    )
    yield Pair(
        "only nearly equispaced inputs fail",
        "gaps, for all data",
        points,
        algebra,
        30,
        lambda run: 1 / unevenness(run),
        **every(sympy.Rational(6, 7), 1),
    )
    yield Pair(
        "only nearly equispaced inputs fail",
        "gaps, with probability",
        points,
        algebra,
        30,
        lambda run: (unevenness(run) < 7 / 6) + 0.5 * noise(run).uniform(),
        **often(sympy.Rational(3, 4), 2),
    )
    yield Pair(
        "2 sqrt(2) dropped from a path",
        "a geometric sum of steps",
        rates,
        algebra,
        40,
        lambda run: 1 / (1 - np.sqrt(1 - run.rate)),
        **every(1 / (sympy.sqrt(2) * rate), 2 / rate),
    )
    yield Pair(
        "2 sqrt(2) dropped from a path",
        "8 coordinates one by one",
        vectors,
        algebra,
        40,
        lambda run: np.abs(run.x).sum() / np.linalg.norm(run.x),
        **every(1, 2 * sympy.sqrt(2)),
    )


# ---- the table ------------------------------------------------------------------------------------------------------


def row(pair: Pair, false: Verdict, true: Verdict) -> str:
    """One line of the table."""
    cells = (pair.mistake, pair.name, false.status, true.status, false.level, false.missed or "-", true.missed or "-")
    return "| " + " | ".join(cells) + " |"


def table(entropy: int) -> tuple[list[str], Counter[str]]:
    """Lines of the table, and how often each word was said of false and of true ones."""
    lines = [
        "| mistake | of what | false | true | rests on | the false one would have missed | the true one |",
        "|---|---|---|---|---|---|---|",
    ]
    words: Counter[str] = Counter()
    for pair in tqdm(list(pairs()), unit="pair", leave=False):
        false, true = pair.verdicts(entropy)
        lines.append(row(pair, false, true))
        words[f"false: {false.status}"] += 1
        words[f"true: {true.status}"] += 1
    return lines, words


# ---- what a search finds --------------------------------------------------------------------------------------------


#: budget of each claim: a quarter of what a search has by default, and seconds for each of these
EVALUATIONS = 500


@dataclass(frozen=True)
class Searched:
    """What `ntkverify search` says of one claim: its word, whether it ends with status 1, its seconds."""

    word: str
    found: bool
    seconds: float


def searched(theorem: Theorem, entropy: int) -> Searched:
    """Search one claim, in memory."""
    began, path = time.process_time(), __file__
    with Store(None) as store:
        cells = cells_of(theorem, path=path, entropy=entropy, evaluations=EVALUATIONS)
        for cell in cells:
            search_cell(theorem, cell, store, path=path)
        summary = summarise(store, cells)
    return Searched(summary.rows[0]["verdict"], summary.found, round(time.process_time() - began, 1))


def search_table(entropies: list[int], record: Path | None) -> str:
    """Which of the pairs a search tells apart; what is in the record is not searched again."""
    known = json.loads(record.read_text(encoding="utf-8")) if record and record.exists() else {}
    for entropy in entropies:
        for pair in tqdm(list(pairs()), unit="pair", desc=f"entropy {entropy}", leave=False):
            for side, options in (("false", pair.false), ("true", pair.true)):
                key = f"{entropy}|{pair.mistake}|{pair.name}|{side}"
                if key not in known:
                    known[key] = asdict(searched(pair.theorem(options), entropy))
                    if record:
                        record.write_text(json.dumps(known, indent=1), encoding="utf-8")

    def results(pair: Pair, side: str) -> list[Searched]:
        return [Searched(**known[f"{entropy}|{pair.mistake}|{pair.name}|{side}"]) for entropy in entropies]

    lines = [
        "| mistake | of what | false one found | words | true one found | seconds at most |",
        "|---|---|---|---|---|---|",
    ]
    for pair in pairs():
        false, true = results(pair, "false"), results(pair, "true")
        words = ", ".join(f"{word} {count}" for word, count in Counter(one.word for one in false).items())
        counts = [f"{sum(one.found for one in side)} of {len(side)}" for side in (false, true)]
        slowest = max(one.seconds for one in (*false, *true))
        lines.append(f"| {pair.mistake} | {pair.name} | {counts[0]} | {words} | {counts[1]} | {slowest:.0f} |")
    totals = []
    for index, entropy in enumerate(entropies):
        false, true = (sum(results(pair, side)[index].found for pair in pairs()) for side in ("false", "true"))
        totals.append(f"entropy {entropy}: {false} of 20 false ones, {true} of 20 true ones")
    names = " ".join(map(str, entropies))
    return "\n".join(
        [
            SEARCHED,
            "",
            f"`python scripts/false_twins.py --search {names}`: `ntkverify search` with `--evaluations {EVALUATIONS}`.",
            "A claim is found where the search would end with status 1; seconds are of processor time.",
            "",
            *lines,
            "",
            f"{'; '.join(totals)}.",
        ]
    )


#: the heading that the second table of the document begins with
SEARCHED = "# What a search says of them"


def check_table(entropy: int) -> str:
    """What the check says of the pairs."""
    lines, words = table(entropy)
    summary = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
    return "\n".join(
        [
            "# Twenty false theorems and their true twins",
            "",
            f"`python scripts/false_twins.py --entropy {entropy}`, quick profile.",
            "",
            *lines,
            "",
            f"{summary}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entropy", type=int, default=0, help="other draws")
    parser.add_argument(
        "--search", type=int, nargs="+", metavar="ENTROPY", help="what a search finds, instead of the check"
    )
    parser.add_argument("--record", metavar="FILE", type=Path, help="keep what was searched, to go on later")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="also write the table to its place in FILE")
    options = parser.parse_args()
    text = search_table(options.search, options.record) if options.search else check_table(options.entropy)
    print(text)
    if options.markdown:
        before = options.markdown.read_text(encoding="utf-8") if options.markdown.exists() else ""
        first, _, second = before.partition(SEARCHED)
        parts = [first, text] if options.search else [text, f"{SEARCHED}{second}" if second else ""]
        options.markdown.write_text("\n\n".join(p.strip() for p in parts if p.strip()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
