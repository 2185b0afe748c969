"""Check a theorem: draw its instances for a profile, run them once, and judge every claim."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import chosen_backend
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.judging import statistics
from ntkverify.judging.case import Case, Trial
from ntkverify.judging.draws import draw_instances
from ntkverify.judging.verdict import Verdict, judge
from ntkverify.problems.records import RecordStore
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.symbols import refuse_unknown
from ntkverify.theorem.theorem import PROFILES, Theorem


class Check:
    """One theorem under one profile; all claims share the runs.

    Parameters
    ----------
    theorem : Theorem
        What to check.
    profile : {"quick", "ci", "thorough"}
        How many instances of each family to draw.
    backend : {"auto", "array", "cpu", "gpu"}, optional
        What the networks run on; ``$NTKVERIFY_BACKEND`` by default, and else the fastest that is there.
    entropy : int
        Changes every draw; equal entropy reproduces the check.
    store : RecordStore, optional
        Shares the runs' records with other processes.
    """

    def __init__(
        self,
        theorem: Theorem,
        *,
        profile: str = "quick",
        backend: str | None = None,
        entropy: int = 0,
        store: RecordStore | None = None,
    ) -> None:
        if profile not in PROFILES:
            raise NtkVerifyError(f"there is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
        self.theorem = theorem
        self.profile = profile
        self.backend = chosen_backend(backend)
        self.entropy = entropy
        self.store = store
        self._runs: dict[str, list[Any]] = {}

    def runs(self, family: Family) -> list[Any]:
        """The runs of one family; nothing is trained before a claim asks for it."""
        if family.name not in self._runs:
            instances = draw_instances(family, family.counts[self.profile], entropy=self.entropy)
            self._runs[family.name] = [
                family.run(
                    replace(instance, theorem=self.theorem.id, family=family.name),
                    self.theorem,
                    backend=self.backend,
                    store=self.store,
                )
                for instance in instances
            ]
        return self._runs[family.name]

    def _trials(self, claim: Claim) -> Iterator[Trial]:
        for family in self.theorem.families_of(claim):
            case = Case(self.theorem, claim, family)
            yield from (Trial(case, run) for run in self.runs(family))

    def verdict(self, claim: Claim, *, alpha: float | None = None) -> Verdict:
        """Judge one claim; `alpha` defaults to this theorem's share of the session's budget."""
        if alpha is None:
            alpha = statistics.share_budget(count_tests([self.theorem]))
        # a diverging control may overflow, that is its verdict; threads of BLAS only spin on matrices this small
        with np.errstate(over="ignore", invalid="ignore"), one_blas_thread():
            return judge(self.theorem, claim, self._trials(claim), alpha=alpha)

    def verdicts(self) -> Iterator[Verdict]:
        """Judge every claim and control in the order of the module."""
        for claim in self.theorem.claims.values():
            yield self.verdict(claim)


def refuse_unknown_symbols(theorem: Theorem) -> None:
    """Refuse a bound with a symbol that neither the theorem knows nor the run of one drawn instance.

    Raises
    ------
    NtkVerifyError
        One sentence with the nearest name.
    """

    @functools.cache
    def knows(name: str) -> frozenset[str]:
        family = theorem.families[name]
        (instance,) = draw_instances(family, 1, entropy=0)
        run = family.run(replace(instance, theorem=theorem.id, family=name), theorem)
        return frozenset([*dir(run), *instance.parameters, *instance.data])

    refuse_unknown(theorem, lambda family: knows(family.name))


def count_tests(theorems: list[Theorem]) -> int:
    """Number of statistical tests among the claims of some theorems."""
    return sum(claim.quantifier.is_statistical for theorem in theorems for claim in theorem.claims.values())
