"""What claims measure along a run against their bounds, over draws of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.judging.case import Case, Trial
from ntkverify.judging.check import Check, authors_errors
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.theorem import Theorem

#: neurons times residuals times sweeps that the draws of one claim may cost
WORK = 3e7
DRAWS = 12  #: of the weights, on one and the same data
FEWEST = 3  #: draws that make a band
SHORTEST = 4  #: steps that make a curve


@dataclass(frozen=True)
class Curves:
    """A measured quantity and its bound along draws of one family.

    Parameters
    ----------
    claim, family : str
        Which claim, on which instances.
    along : str
        What the axis counts.
    at : array (K,)
        Steps, or times.
    measured, bound : array (D, K)
        A row a draw; NaN where the claim says nothing.
    from_below : bool
        Whether the bound is a lower one.
    width : int
        Neurons.
    """

    claim: str
    family: str
    along: str
    at: Array
    measured: Array
    bound: Array
    from_below: bool
    width: int

    @property
    def draws(self) -> int:
        """How many draws there are."""
        return len(self.measured)

    @property
    def closest(self) -> float:
        """The least slack of a draw against its own bound, where that is not reached by construction at the start."""
        with np.errstate(all="ignore"):
            ratio = self.measured / self.bound if self.from_below else self.bound / self.measured
        later = ratio[:, self.at > self.at[0]]
        found = later[np.isfinite(later)]
        return float(found.min()) if found.size else float("inf")


def curves_of(
    theorem: Theorem, *, most: int = 3, draws: int = DRAWS, entropy: int = 0, backend: str | None = None
) -> Iterator[Curves]:
    """The curves that say most of a theorem: conclusions whose bound depends on the step, conclusions, lemmas.

    Parameters
    ----------
    theorem : Theorem
        Whose claims.
    most : int
        How many.
    draws : int
        Of the weights; fewer where they are dear.
    entropy, backend
        As for `ntkverify.judging.check.Check`.
    """
    if draws < FEWEST:
        return
    check = Check(theorem, entropy=entropy, backend=backend)
    found = 0
    for claim in sorted(theorem.claims.values(), key=lambda claim: _rank(theorem, claim)):
        if found == most:
            return
        if claim.kind == "control" or claim.bound is None or claim.is_symbolic:
            continue
        curves = _curves(check, claim, draws)
        if curves is not None:
            found += 1
            yield curves


def _rank(theorem: Theorem, claim: Claim) -> tuple[bool, bool]:
    symbols = set() if claim.bound is None else {str(s) for s in theorem.expand(claim.bound).free_symbols}
    return claim.kind != "conclusion", not symbols & {"k", "t"}


def _curves(check: Check, claim: Claim, draws: int) -> Curves | None:
    """Curves on the cheapest family on which there are some; None where there are none, or nothing is cheap."""
    theorem = check.theorem
    families = sorted(theorem.families_of(claim), key=lambda family: check.runs(family).run(0).work)
    for family in families:
        count = int(min(draws, WORK // max(check.runs(family).run(0).work, 1)))
        if count < FEWEST:
            return None
        try:
            with authors_errors(), np.errstate(all="ignore"), one_blas_thread():
                curves = _on(check, claim, family, count)
        except NtkVerifyError:  # what fails in a check is said there
            continue
        if curves is not None:
            return curves
    return None


def _on(check: Check, claim: Claim, family: Family, count: int) -> Curves | None:
    """Curves of one data set and several seeds; None if a run is no curve, or hardly one exercises the claim."""
    case, runs, rows = Case(check.theorem, claim, family), check.runs(family), []
    for seed in range(count):
        trial = Trial(case, runs.run(0, seed))
        if seed == 0 and not _is_curve(trial):
            return None
        if not trial.outcome.vacuous:
            rows.append((np.where(trial.applies, trial.measured, np.nan), np.where(trial.applies, trial.bound, np.nan)))
    if len(rows) < FEWEST or len({row[0].shape for row in rows}) > 1:
        return None
    measured, bound = (np.array([row[i] for row in rows]) for i in (0, 1))
    if np.isfinite(measured).all(axis=0).sum() < SHORTEST:
        return None
    run = runs.run(0)
    name = next((name for name in ("t", "time") if hasattr(type(run), name)), "k")
    at = np.asarray(getattr(run, name), np.float64)[: measured.shape[1]]
    along = "step" if name == "k" else "time"
    return Curves(claim.name, family.name, along, at, measured, bound, claim.from_below, run.instance.width)


def _is_curve(trial: Trial) -> bool:
    steps = np.asarray(trial.run.k)
    shape = trial.measured.shape
    return len(shape) == 1 and steps.ndim == 1 and shape[0] >= SHORTEST and shape[0] in (steps.size, steps.size - 1)
