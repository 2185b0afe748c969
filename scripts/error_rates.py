"""How often a claim of probability stays undecided, by exact calculation over every course that its draws may take.

    python scripts/error_rates.py

One data set is drawn until the claim is refuted or confirmed, as the check does it, at a true rate of failure that is
given. The table stands in docs/concepts.md.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np

from ntkverify.judging.budget import BLUNT, BUDGETS, CONFIRM, LEAST, MORE, MOST, REFUTE, SHARP
from ntkverify.judging.rates import log_excess, log_exclusion


@dataclass(frozen=True)
class Fate:
    """What becomes of a claim.

    Parameters
    ----------
    refuted, confirmed, undecided : float
        Probabilities.
    draws : float
        Expected number of draws.
    """

    refuted: float
    confirmed: float
    undecided: float
    draws: float


def fate(
    delta: float, rate: float, most: int, *, each: int = 0, cap: int | None = None, is_control: bool = False
) -> Fate:
    """What becomes of a claim that allows failures with probability `delta`, whose draws fail with `rate`.

    Parameters
    ----------
    delta, rate : float
        In (0, 1), and in [0, 1].
    most : int
        Draws at most, while none fails.
    each, cap : int
        How many more a failure brings, and the most that there are.
    is_control : bool
        Whether draws go on until the claim is refuted.
    """
    # law of the number of failures among courses that are not decided yet; more than `size` are surely refuted
    cap = most if cap is None else cap
    size = min(cap, int(3 * max(rate, delta) * cap + 60)) + 1
    alive, counts = np.zeros(size), np.arange(size)
    ends, blunt = np.minimum(most + each * counts, cap), min(BLUNT * delta, (1 + delta) / 2)
    alive[0] = 1.0
    refuted = confirmed = undecided = expected = 0.0
    for draws in range(1, cap + 1):
        expected += alive.sum()
        moved = alive * (1 - rate)
        moved[1:] += alive[:-1] * rate
        refuted += alive[-1] * rate
        alive = moved
        live = np.flatnonzero(alive > 1e-18)
        if live.size == 0:
            break
        seen = counts[live]
        bad = np.where(seen <= draws, log_excess(np.minimum(seen, draws), draws, delta), 0) >= -math.log(REFUTE / 2)
        good = (log_exclusion(seen, draws, SHARP * delta) >= -math.log1p(-CONFIRM)) & (seen <= draws * delta)
        good &= not is_control
        refuted += alive[live[bad]].sum()
        confirmed += alive[live[good & ~bad]].sum()
        alive[live[bad | good]] = 0
        over = counts[(ends == draws) & (alive > 0)]
        enough = (log_exclusion(over, draws, blunt) >= -math.log1p(-CONFIRM)) & (over <= draws * delta)
        confirmed += alive[over[enough]].sum()
        undecided += alive[over[~enough]].sum()
        alive[over] = 0
    return Fate(refuted, confirmed, float(undecided), expected)


def table(delta: float = 0.1) -> list[str]:
    """Lines of the table for claims that allow a tenth of the draws to fail."""
    most = BUDGETS["quick"].draws
    lines = ["| true rate | draws | holds | refuted | undecided |", "|---|---|---|---|---|"]
    for rate in (0.0, 0.025, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0):
        found = fate(delta, rate, most)
        lines.append(
            f"| {rate:g} | {found.draws:.0f} | {found.confirmed:.4g} | {found.refuted:.2g} | {found.undecided:.1g} |"
        )
    return lines


def controls() -> list[str]:
    """How seldom a control stays unrefuted that fails so many times more often than its claim allows."""
    most = BUDGETS["quick"].draws
    factors = (1.5, 2, 3, 5)
    lines = [
        "| claim allows | " + " | ".join(f"control fails {factor:g} delta" for factor in factors) + " |",
        "|---" * (len(factors) + 1) + "|",
    ]
    for delta in (0.2, 0.1, 0.05, 0.02, 0.01):
        left = (1 - fate(delta, factor * delta, most, is_control=True).refuted for factor in factors)
        lines.append(f"| {delta:g} | " + " | ".join(f"{max(x, 0):.1g}" for x in left) + " |")
    return lines


def dear(delta: float = 0.1) -> list[str]:
    """The same for what is so dear that the budget ends as early as it may.

    A quarter of the draws is on other data, and three of a dear family are looks at these.
    """
    lines = ["| true rate | holds | undecided |", "|---|---|---|"]
    whole, more = LEAST / delta, math.ceil(MORE / delta)
    for rate in (0.0, 0.001, 0.01, 0.025, 0.05, 0.075):
        found = fate(delta, rate, round(0.75 * whole) - 3, each=more, cap=round(MOST / delta - whole / 4) - 3)
        lines.append(f"| {rate:g} | {found.confirmed:.3g} | {found.undecided:.2g} |")
    return lines


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    clean = {rate: math.ceil(math.log(2 / (1 - CONFIRM)) / -math.log1p(-rate)) for rate in (0.125, 0.2)}
    print("\n".join(table()), "", "\n".join(controls()), "", "\n".join(dear()), "", sep="\n")
    print(f"Clean draws that exclude a rate, at most: {clean}.")


if __name__ == "__main__":
    main()
