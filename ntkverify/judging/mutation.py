"""Mutants: a theorem with one constant, bound or exponent made wrong. The check is worth what it refutes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.budget import BUDGETS, Budget
from ntkverify.judging.case import Trial
from ntkverify.judging.check import Check, TooWide
from ntkverify.judging.falsehoods import planted, requirements_of
from ntkverify.judging.verdict import Verdict
from ntkverify.problems.records import RecordStore
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem

FACTORS = (sympy.Rational(1, 2), sympy.Integer(2))
#: an exponent that is claimed up to a tolerance is moved by so many of them: the bands lie apart by one
SHIFT = 3
#: a mutant may ask for networks that are so many times wider; what it claims of such ones is not looked at
WIDER = 16
#: what needs no second look: refuted, or implied by the theorem
CLOSED = ("refuted", "weaker")
#: relative: bounds this close are the same
ROUNDING = 1e-9


@dataclass(frozen=True)
class Mutant:
    """One constant, or one claim, with something made wrong.

    Parameters
    ----------
    name : str
        Whose.
    factor : sympy.Rational
        What the constant or the bound is scaled by; 1 where that is not what is wrong.
    is_constant : bool
        Whether `name` is a constant, which any claim may contain.
    kind : {"constant", "bound", "exponent", "requirement"}
        What is made wrong; a requirement is one of the terms whose largest a constant contains.
    change : str
        How, as `ntkverify.judging.falsehoods` reads it; empty for a factor.
    """

    name: str
    factor: sympy.Rational
    is_constant: bool
    kind: str = ""
    change: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.kind or ("constant" if self.is_constant else "bound"))

    @property
    def plant(self) -> str:
        """The mutant as a falsehood to be planted."""
        return self.change or f"{self.name} * {self.factor}"


@dataclass(frozen=True)
class Fate:
    """What became of a mutant.

    Parameters
    ----------
    mutant : Mutant
        Which.
    status : {"refuted", "control lost", "inconclusive", "not run", "error", "survived", "weaker", "unseen", "missed"}
        "refuted": a claim is violated. Otherwise the first of these that happened: a control is no longer refuted, a
        verdict cannot be reached, networks would be `WIDER` times as wide, a claim cannot be evaluated; or none of
        them. "weaker" is a survivor that the theorem implies wherever it was looked at: on the instances as they were
        no claim's bound became tighter. "unseen": no bound differs there, and nothing tells the mutant from the
        theorem. "missed": a survivor that a search violated
        (`ntkverify.search.campaign.mutants`).
    claim : str or None
        The claim that showed it.
    evidence : str
        Its evidence or error, or the slack that the mutant left.
    """

    mutant: Mutant
    status: str
    claim: str | None
    evidence: str

    @property
    def refuted(self) -> bool:
        """Whether a claim of the mutant is violated; nothing less counts."""
        return self.status == "refuted"


def mutants(theorem: Theorem) -> Iterator[Mutant]:
    """Constants halved and doubled, bounds tightened by two; then exponents, and requirements one by one.

    Each symbol of a constant's expression or of a bound gets half and twice its exponent: one of the two makes a bound
    looser as a rule, and stays true. A claimed power of the width is moved by `SHIFT` tolerances. Where a constant
    contains the largest of several terms each is halved, of the least of several each is doubled.
    """
    claims = [claim for claim in theorem.claims.values() if claim.kind != "control"]
    for name in theorem.constants:
        for factor in FACTORS:
            yield Mutant(name, factor, True)
    for claim in claims:
        if claim.bound is not None:
            yield Mutant(claim.name, FACTORS[1] if claim.from_below else FACTORS[0], False)
    one = sympy.Integer(1)
    expressions = [(name, constant.expression, True) for name, constant in theorem.constants.items()]
    expressions += [(claim.name, claim.bound, False) for claim in claims if claim.bound is not None]
    for name, expression, is_constant in expressions:
        for symbol in sorted({str(s) for s in expression.free_symbols} - theorem.constants.keys()):
            for power in FACTORS:
                yield Mutant(name, one, is_constant, "exponent", f"{name} with {symbol}**{power}")
    for claim in claims:
        tolerance = getattr(claim.quantifier, "tolerance", None)
        if tolerance is not None and claim.quantifier.moved(0) is not None:
            shift = SHIFT * sympy.Rational(str(tolerance))
            for sign in "-+":
                yield Mutant(claim.name, one, False, "exponent", f"{claim.name}, exponent {sign} {shift}")
    for name, constant in theorem.constants.items():
        for number, (extreme, term) in enumerate(requirements_of(constant.expression), 1):
            if term != 0:  # no multiple of it is wrong
                factor = FACTORS[1] if isinstance(extreme, sympy.Min) else FACTORS[0]
                yield Mutant(name, one, True, "requirement", f"{name}, requirement {number} * {factor}")


@dataclass
class _Standing:
    """A claim's verdict as it stands, and the constants that were read for it, or kept by a run before."""

    verdict: Verdict
    read: set[str]


@dataclass
class _Change:
    """The verdict on a mutant's claim, and by what factors its bound is tighter and looser; None on other instances."""

    verdict: Verdict
    factors: tuple[float, float] | None


@dataclass
class Bench:
    """A theorem as it stands, and its mutants one after another; what a mutant leaves as it was is not made again.

    A claim is judged again where the mutated constant is in its bound or was read for its verdict. Runs are made again
    in families where anything read the constant that is wrong now; records in `store` go by what they were made with.

    Parameters
    ----------
    theorem : Theorem
        Whose mutants.
    profile : str
        As for `Check`.
    store : RecordStore
        Where records lie meanwhile.
    entropy : int
        As for `Check`.
    draws : int, optional
        How many instances of every family are drawn, where somebody asked for a number; for what errors say.
    """

    theorem: Theorem
    profile: str
    store: RecordStore
    entropy: int = 0
    draws: int | None = None
    _check: Check = field(init=False)
    _standing: dict[str, _Standing] = field(default_factory=dict, init=False)
    _read: dict[str, set[str]] = field(default_factory=dict, init=False)
    _widths: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._check = self._fresh()

    def _fresh(self, observe: Callable[[Trial], None] | None = None) -> Check:
        theorem, store = self.theorem, self.store
        return Check(theorem, profile=self.profile, entropy=self.entropy, store=store, observe=observe)

    def stand(self, claim: Claim) -> _Standing:
        """Judge a claim as it is: one that fails unmutated would seem to refute every mutant.

        Raises
        ------
        NtkVerifyError
            If the verdict fails; where so many `draws` were asked for and too few are what is wrong, it says that.
        """
        if claim.name not in self._standing:
            # what a run of these families has kept may be made of what was read before
            before = set().union(*(self._read.get(name, set()) for name in self._families(claim)))
            with self.theorem.reading() as read:
                verdict = self._check.verdict(claim)
            _refuse_failure(self.theorem, claim, verdict, self.draws)
            for name in self._families(claim):
                self._read.setdefault(name, set()).update(read)
            if claim.bound is not None:
                read = read | self.theorem.constants_of(claim.bound)
            self._standing[claim.name] = _Standing(verdict, read | before)
        return self._standing[claim.name]

    def fate(self, mutant: Mutant, *, but: Collection[str] = ()) -> Fate:
        """What becomes of a mutant; the claims that it may change, `but` some, are judged until one is violated."""
        claims = list(self.theorem.claims.values()) if mutant.is_constant else [self.theorem.claims[mutant.name]]
        claims = [claim for claim in claims if claim.name not in but]
        standing = {claim.name: self.stand(claim) for claim in claims}
        if mutant.is_constant:
            claims = [claim for claim in claims if mutant.name in standing[claim.name].read]
        before = {claim.name: None if claim.bound is None else self.theorem.bound_of(claim) for claim in claims}
        seen: list[Trial] = []
        check = self._fresh(seen.append)
        # of runs that were made before a mutant spoilt them the widths are remembered
        self._widths |= {name: max(width, self._widths.get(name, 0)) for name, width in self._check.widths.items()}
        check.widest = {name: WIDER * width for name, width in self._widths.items() if width}
        check.share(self._check, [name for name, read in self._read.items() if mutant.name not in read])
        changes: list[_Change] = []
        weaker: Fate | None = None
        with planted(self.theorem, [mutant.plant]):
            # those on runs that are there come first; a claim of the mutant may be another object
            for name in sorted(before, key=lambda name: not self._is_shared(check, self.theorem.claims[name])):
                claim = self.theorem.claims[name]
                seen.clear()
                check.budget = self._budget(claim)
                try:
                    verdict = self._judge(check, claim, mutant)
                except NtkVerifyError as error:
                    status = "not run" if isinstance(error, TooWide) else "error"
                    weaker = weaker or Fate(mutant, status, name, str(error))
                    continue
                if not verdict.passed:
                    if verdict.status == "violated" and claim.kind != "control":
                        return Fate(mutant, "refuted", name, verdict.evidence)
                    status = "control lost" if claim.kind == "control" else "inconclusive"
                    weaker = weaker or Fate(mutant, status, name, verdict.evidence)
                elif claim.kind != "control":
                    changes.append(_Change(verdict, self._factors(check, claim, mutant, before[name], seen)))
        found = _survivor(mutant, changes)
        if weaker is not None and (weaker.status, found.status) == ("control lost", "weaker"):
            return replace(weaker, evidence=f"{weaker.evidence}; of the claims {found.evidence}")
        return weaker or found

    def _budget(self, claim: Claim) -> Budget:
        """The profile's; of a control four times what refuted it: a lost one could draw for ever."""
        budget = BUDGETS[self.profile]
        if claim.kind != "control":
            return budget
        enough = 4 * self._standing[claim.name].verdict.instances
        return replace(budget, data=min(budget.data, enough), draws=min(budget.draws, enough))

    def _families(self, claim: Claim) -> list[str]:
        return [] if claim.is_symbolic else [family.name for family in self.theorem.families_of(claim)]

    def _is_shared(self, check: Check, claim: Claim) -> bool:
        """Whether a claim is judged on the runs of the theorem as it stands."""
        return bool(claim.on) and all(check.shares(self._check, name) for name in self._families(claim))

    def _factors(
        self, check: Check, claim: Claim, mutant: Mutant, before: sympy.Expr | None, seen: list[Trial]
    ) -> tuple[float, float] | None:
        """By what factors a claim's bound is tighter and looser; None where what it measures changed, too."""
        if not claim.is_symbolic:
            return _factors(seen, before) if self._is_shared(check, claim) else None
        side = claim.measured_expression
        if before is None or side is None or mutant.name in self.theorem.constants_of(side):
            return None
        after = self.theorem.bound_of(claim)
        return (1.0, 1.0 if before == after else math.inf) if is_implied(before, after, claim.from_below) else None

    def _judge(self, check: Check, claim: Claim, mutant: Mutant) -> Verdict:
        """A mutant's verdict; runs that turn out to depend on the wrong constant are shared no longer."""
        names = self._families(claim)
        failure: NtkVerifyError | None = None
        with self.theorem.reading() as read:
            try:
                verdict = check.verdict(claim)
            except NtkVerifyError as error:
                failure = error
        for name in names:
            self._read.setdefault(name, set()).update(read)
        spoiled = [name for name in names if mutant.name in read and check.shares(self._check, name)]
        for name in spoiled:
            check.forget(name)
            self._check.forget(name)
        if spoiled:
            return check.verdict(claim)
        if failure is not None:
            raise failure
        return verdict


def _refuse_failure(theorem: Theorem, claim: Claim, verdict: Verdict, draws: int | None) -> None:
    if verdict.passed:
        return
    said = f"theorem {theorem.id or theorem.title!r}: {verdict.claim!r} is {verdict.shown} without any mutation"
    if verdict.status == "violated" and claim.kind != "control":
        raise NtkVerifyError(f"{said}; mend the theorem first.")
    if draws is not None:
        raise NtkVerifyError(f"{said}, which {draws} draws are too few to decide; give more --draws, or none.")
    raise NtkVerifyError(f"{said}; give another --profile or leave the claim out with --only, or mend it first.")


def _factors(trials: Iterable[Trial], before: sympy.Expr | None) -> tuple[float, float]:
    """By what factors a bound is tighter and looser than before at most; 1 where it is so nowhere."""
    tighter = looser = 1.0
    for trial in trials:
        claim = trial.case.claim
        if before is None or trial.outcome.vacuous:
            continue
        with np.errstate(all="ignore"):
            old = np.broadcast_to(np.asarray(trial.value(before), np.float64), trial.measured.shape)[trial.applies]
            new = trial.bound[trial.applies]
            larger, ratio = new > old, new / old
            # of bounds that are not positive no factor is told
            ratio = np.where((old > 0) & (new > 0), np.maximum(ratio, 1 / ratio), math.inf)
        tighter = max([tighter, *ratio[(new != old) & (larger == claim.from_below)]])
        looser = max([looser, *ratio[(new != old) & (larger != claim.from_below)]])
    return tighter, looser


def is_implied(before: sympy.Expr, after: sympy.Expr, from_below: bool) -> bool:
    """Whether the changed bound is the old one or a weaker one; a ratio that is no number decides nothing."""
    if before == after:
        return True
    # of a bound that may be negative a ratio says nothing
    ratio = sympy.cancel(after / before) if before.is_positive else sympy.nan
    return bool(ratio.is_number and ratio.is_positive and (ratio <= 1 if from_below else ratio >= 1))


def _survivor(mutant: Mutant, changes: list[_Change]) -> Fate:
    """A mutant that no claim refutes: which bounds it tightens, and how much room is left."""
    # a factor within rounding is none
    tighter = [change for change in changes if change.factors is None or change.factors[0] > 1 + ROUNDING]
    if not tighter:
        seen = sum(change.verdict.instances for change in changes)
        if all(change.factors is not None and change.factors[1] <= 1 + ROUNDING for change in changes):
            return Fate(mutant, "unseen", None, f"no bound differs on {seen} instances")
        return Fate(mutant, "weaker", None, f"no bound is tighter on {seen} instances")
    least = min(tighter, key=lambda change: math.inf if change.verdict.slack is None else change.verdict.slack)
    slack = least.verdict.slack
    said = "still proved" if not least.verdict.instances else f"still true on {least.verdict.instances} instances"
    said += f" with slack {slack:.3g}" if slack is not None else ""
    if least.factors is not None and math.isfinite(least.factors[0]):
        said += f" of a bound tighter by {least.factors[0]:.3g}"
    if mutant.is_constant:
        said += f", least in {least.verdict.claim!r}"
    return Fate(mutant, "survived", None, said)


def fate(theorem: Theorem, mutant: Mutant, *, profile: str, store: RecordStore, entropy: int = 0) -> Fate:
    """What becomes of one mutant alone; see `Bench`, which checks several for less."""
    return Bench(theorem, profile, store, entropy).fate(mutant)
