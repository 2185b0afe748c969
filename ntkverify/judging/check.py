"""Check a theorem: draw its instances for a profile, run them once, and judge every claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import chosen_backend
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.judging.budget import BUDGETS, Budget
from ntkverify.judging.case import Case, Trial
from ntkverify.judging.draws import Draws, FamilyDraws, Runs
from ntkverify.judging.verdict import Verdict, judge
from ntkverify.problems.records import RecordStore
from ntkverify.proving.prove import Proof
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.loading import authors_line
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.symbols import refuse_unknown
from ntkverify.theorem.theorem import PROFILES, Theorem


@contextmanager
def authors_errors() -> Iterator[None]:
    """What fails in a theorem's module becomes one sentence with the line; errors of ours pass as they are.

    Raises
    ------
    NtkVerifyError
        If something that came through a theorem's module fails.
    """
    try:
        yield
    except Exception as error:
        place = authors_line(error)
        if not place:
            raise
        if not isinstance(error, NtkVerifyError):
            raise NtkVerifyError(f"{place}: {type(error).__name__}: {error}") from error
        if place.partition(":")[0] in str(error):  # it names the module's line already
            raise
        raise NtkVerifyError(f"{place}: {error}") from error


class TooWide(NtkVerifyError):
    """A network is wider than whoever checks wants to run."""


class Check:
    """One theorem under one profile; all claims share the runs.

    Parameters
    ----------
    theorem : Theorem
        What to check.
    profile : {"quick", "ci", "thorough"}
        How many instances of each family to draw, and how much a claim may draw beyond.
    backend : {"auto", "array", "cpu", "gpu"}, optional
        What the networks run on; ``$NTKVERIFY_BACKEND`` by default, and else the fastest that is there.
    entropy : int
        Changes every draw; equal entropy reproduces the check.
    store : RecordStore, optional
        Shares the runs' records with other processes.
    budget : Budget, optional
        What a claim may draw of a family, instead of the profile's.
    observe : callable, optional
        Shown every claim put to one run.
    widest : mapping of str to int, optional
        By family the width of the widest network that is run; a wider one is an error.
    """

    def __init__(
        self,
        theorem: Theorem,
        *,
        profile: str = "quick",
        backend: str | None = None,
        entropy: int = 0,
        store: RecordStore | None = None,
        budget: Budget | None = None,
        observe: Callable[[Trial], None] | None = None,
        widest: Mapping[str, int] | None = None,
    ) -> None:
        if profile not in PROFILES:
            raise NtkVerifyError(f"there is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
        self.theorem = theorem
        self.profile = profile
        self.backend = chosen_backend(backend)
        self.entropy = entropy
        self.store = store
        self.budget = budget or BUDGETS[profile]
        self.observe = observe
        self.widest = dict(widest or {})
        self._families: dict[str, Runs] = {}

    def call(self, name: str) -> None:
        """Give the theorem another id, where one is taken; runs that were made are made anew."""
        if self.theorem.id != name:
            self.theorem.id = name
            self._families.clear()

    def runs(self, family: Family) -> Runs:
        """The runs of one family; nothing is trained before a claim asks for it."""
        if family.name not in self._families:
            self._families[family.name] = Runs(
                family,
                self.theorem.id,
                entropy=self.entropy,
                make=lambda instance: self._run(family, instance),
            )
        return self._families[family.name]

    def _run(self, family: Family, instance: Instance) -> Any:
        most = self.widest.get(family.name)
        if most is not None and instance.width > most:
            raise TooWide(
                f"{family.name!r} asks for {instance.width} neurons, and {most} are the most that are run here."
            )
        return family.run(instance, self.theorem, backend=self.backend, store=self.store)

    def share(self, other: Check, families: Iterable[str]) -> None:
        """Take the runs of some families from another check of this theorem, with what they have measured."""
        self._families.update({name: other._families[name] for name in families if name in other._families})

    def shares(self, other: Check, family: str) -> bool:
        """Whether both have the same runs of a family, or both have none."""
        return self._families.get(family) is other._families.get(family)

    @property
    def widths(self) -> dict[str, int]:
        """Width of the widest network that was drawn of each family."""
        return {name: runs.widest for name, runs in self._families.items()}

    def forget(self, family: str) -> None:
        """Make the runs of a family anew when they are asked for."""
        self._families.pop(family, None)

    def draws(self, claim: Claim) -> Draws:
        """What one claim is judged on; what was drawn for others does not count against its budget."""
        families = () if claim.is_symbolic else self.theorem.families_of(claim)
        return Draws(
            [
                FamilyDraws(
                    Case(self.theorem, claim, family),
                    self.runs(family),
                    family.counts[self.profile],
                    self.budget,
                    observe=self.observe,
                )
                for family in families
            ],
            is_control=claim.kind == "control",
            theorem=self.theorem,
        )

    def proof(self, claim: Claim) -> Proof | None:
        """The proof of a claim over ranges, to be checked by somebody else; None of one that runs decide."""
        with authors_errors():
            found: Proof | None = claim.quantifier.proof(self.theorem, claim)
            return found

    def verdict(self, claim: Claim) -> Verdict:
        """Judge one claim.

        Raises
        ------
        NtkVerifyError
            If something of the theorem's module fails, with its line.
        """
        # a diverging control may overflow, that is its verdict; threads of BLAS only spin on matrices this small
        with authors_errors(), np.errstate(over="ignore", invalid="ignore"), one_blas_thread():
            return judge(self.theorem, claim, self.draws(claim))

    def verdicts(self) -> Iterator[Verdict]:
        """Judge every claim and control in the order of the module."""
        for claim in self.theorem.claims.values():
            yield self.verdict(claim)

    def refuse_unknown_symbols(self) -> None:
        """Refuse a bound with a symbol that neither the theorem knows nor the run of one drawn instance.

        Raises
        ------
        NtkVerifyError
            One sentence with the nearest name.
        """

        def knows(family: Family) -> set[str]:
            run = self.runs(family).run(0)
            return {*dir(run), *run.instance.parameters, *run.instance.data}

        with authors_errors():
            refuse_unknown(self.theorem, knows)
