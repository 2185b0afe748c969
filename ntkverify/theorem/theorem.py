"""The nouns: a theorem with its source, constants, assumptions, claims, controls and instances.

A theorem module creates one `Theorem` and fills it from top to bottom, like the mathematics; see
``docs/add_a_theorem.md``. Nothing here knows how networks are trained.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.proving.question import Question, question
from ntkverify.symbolic.constants.chain import DIGITS, Derived
from ntkverify.theorem.latex import latex_of
from ntkverify.theorem.names import refuse_keywords
from ntkverify.theorem.page import page_of
from ntkverify.theorem.parts import (
    Assumption,
    Claim,
    Constant,
    Family,
    Kind,
    Provenance,
    Roles,
    Source,
    Split,
    measured,
    refuse_provenance,
)
from ntkverify.theorem.proof import proof_of
from ntkverify.theorem.quantifier import Quantifier
from ntkverify.theorem.symbols import refuse_homonyms

Function = TypeVar("Function", bound=Callable[..., Any])
PROFILES = ("quick", "ci", "thorough")


@functools.lru_cache(maxsize=1024)
def _text(expression: sympy.Expr) -> str:
    return str(expression)


@dataclass(eq=False, repr=False)
class Theorem:
    """A theorem: what is claimed, where it comes from, and how to draw instances of it.

    Parameters
    ----------
    title : str
        One line.
    source : Source
        Paper, version and provenance.
    statement : str
        The theorem in LaTeX.
    """

    title: str
    source: Source
    statement: str
    id: str = ""
    constants: dict[str, Constant] = field(default_factory=dict, init=False)
    assumptions: dict[str, Assumption] = field(default_factory=dict, init=False)
    claims: dict[str, Claim] = field(default_factory=dict, init=False)
    families: dict[str, Family] = field(default_factory=dict, init=False)
    quantities: dict[str, Callable[[Any], Any]] = field(default_factory=dict, init=False)
    errata: list[str] = field(default_factory=list, init=False)
    roles: Roles = field(default_factory=Roles, init=False)
    _factors: dict[str, float] = field(default_factory=dict, repr=False, init=False)
    _expansions: dict[Any, tuple[sympy.Expr, frozenset[str]]] = field(
        default_factory=dict, repr=False, compare=False, init=False
    )
    _readers: list[set[str]] = field(default_factory=list, repr=False, compare=False, init=False)

    def __new__(cls, *args: Any, **keywords: Any) -> Theorem:
        """Keywords are looked at before Python refuses them with an error of its own."""
        known = ("title", "source", "statement", "id")
        if args or keywords:  # copies are made of nothing
            given = dict.fromkeys((*known[: len(args)], *keywords))
            refuse_keywords(given, known, of="Theorem", needed=known[:3])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not isinstance(self.source, Source):
            raise NtkVerifyError(f"theorem {self.title!r} has source={self.source!r}; give source=Source(...).")

    # -- building ---------------------------------------------------------------------------------------------------

    def constant(self, name: str, value: Derived | sympy.Expr, meaning: str) -> sympy.Symbol:
        """Name a derived expression; returns the symbol to write bounds with."""
        if name in self.constants:
            raise NtkVerifyError(f"theorem {self.title!r} defines the constant {name!r} twice; rename one.")
        derivation = value if isinstance(value, Derived) else Derived(sympy.sympify(value), (("defined as", value),))
        if derivation.expression.has(sympy.Float):
            raise NtkVerifyError(
                f"constant {name!r} of theorem {self.title!r} contains a rounded number; write it with sympy.Rational."
            )
        symbol = sympy.Symbol(name, positive=True)
        self.constants[name] = Constant(symbol, derivation.expression, meaning, derivation)
        return symbol

    def quantity(self, name: str, measure: Callable[[Any], Any]) -> sympy.Symbol:
        """Name something that a run measures, so that bounds may contain it; returns its symbol."""
        self._once(name, self.quantities, "quantity")
        self.quantities[name] = measure
        return sympy.Symbol(name, positive=True)

    def assumption(self, name: str) -> Callable[[Function], Function]:
        """Name a predicate by its margin: at least 0 where it is met."""

        def register(function: Function) -> Function:
            self._once(name, self.assumptions, "assumption")
            self.assumptions[name] = Assumption(name, function)
            return function

        return register

    def instances(
        self,
        name: str,
        *,
        run: Callable[..., Any],
        quick: int,
        ci: int | None = None,
        thorough: int | None = None,
        observed: str = "",
    ) -> Callable[[Function], Function]:
        """Name a family of instances.

        The decorated function takes Hypothesis' ``draw`` and builds one instance; without a parameter it
        builds the same data every time, to be trained from fresh weights.

        Parameters
        ----------
        name : str
            What claims refer to with ``on=``.
        run : callable
            Turns an instance into a run, for instance `ntkverify.problems.regression.RegressionRun`.
        quick, ci, thorough : int
            How many draws each profile prescribes; ``ci`` defaults to twice ``quick`` and ``thorough`` to ten times it.
            Claims that every draw must satisfy, and laws, are judged on as many; a claim of probability draws until it
            is decided, within the profile's budget (`ntkverify.judging.budget`).
        observed : str, optional
            Why these instances are too dear for claims of probability to be confirmed on them. Such a claim, not
            refuted but not confirmed either, is ``observed`` and passes. One family in ten at most.
        """
        if ci is None:
            ci = 2 * quick
        counts = {
            "quick": quick,
            "ci": ci,
            "thorough": 10 * quick if thorough is None else thorough,
        }
        if min(counts.values()) < 1:
            raise NtkVerifyError(f"instances {name!r} of theorem {self.title!r} must be drawn at least once.")

        def register(function: Function) -> Function:
            self._once(name, self.families, "family of instances")
            taken = inspect.signature(function).parameters.values()
            if sum(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in taken) > 1:
                names = ", ".join(p.name for p in taken)
                raise NtkVerifyError(
                    f"instances {name!r} of theorem {self.title!r}: the function takes {names}; give it one parameter, "
                    "draw, or none, and the others defaults."
                )
            self.families[name] = Family(name, function, run, counts, observed)
            return function

        return register

    def lemma(self, name: str, **options: Any) -> Callable[[Function], Function]:
        """Add a link of the proof; see `conclusion` for the options."""
        return self._checked(name, "lemma", options)

    def conclusion(self, name: str, **options: Any) -> Callable[[Function], Function]:
        """Add what the theorem concludes.

        Parameters
        ----------
        name : str
            Sentence that a table can show, unique in the theorem.
        holds : Quantifier
            ``identity``, ``always``, ``with_probability(p)``, ``scales_as(...)`` or ``in_law(...)``.
        bound : sympy.Expr, optional
            Upper bound of the measured quantity (lower with ``from_below=True``).
        given : callable, optional
            Event on which the claim conditions.
        error : callable, optional
            Absolute rounding error of the measured quantity.
        assumes : str or sequence of str, optional
            Assumptions that are needed; all of the theorem's by default.
        on : str or sequence of str, optional
            Families of instances; all of the theorem's by default.
        attained : bool, optional
            The bound is known to be reached, so that an excess within the rounding error is equality.
        provenance : {"quoted", "derived", "reconstructed"}, optional
            Where this statement comes from; like the theorem by default.
        uses : str or sequence of str, optional
            What its proof rests on, see `ntkverify.theorem.proof`.
        over : dict of sympy.Symbol to sympy.Interval, optional
            Makes ``always`` a claim about all numbers in these ranges, which is proved (`ntkverify.proving.prove`) and
            needs no instances: what is measured is an expression, from ``of=`` or from a function without parameters,
            ``given=`` a sympy relation or several, and ends may contain the theorem's constants. Empty where both sides
            are numbers.
        of : str, sympy.Expr or callable, optional
            The measured quantity, where it is something that a run answers for by name (``"drift"``,
            ``"trajectory.gradients"``) or an expression; then there is nothing to decorate.
        """
        return self._checked(name, "conclusion", options)

    def control(self, name: str, **options: Any) -> Callable[[Function], Function]:
        """Add a claim that is false on purpose; a check that fails to refute it is broken."""
        return self._checked(name, "control", options)

    def erratum(self, text: str) -> None:
        """Record an error found in the source."""
        self.errata.append(text)

    def declare(
        self,
        *,
        rate: sympy.Expr | None = None,
        largest_step: sympy.Expr | None = None,
        width: sympy.Expr | None = None,
        data: Mapping[str, Sequence[str]] | None = None,
        parameters: Mapping[str, float | Callable[[Mapping[str, Any]], float]] | None = None,
        splits: Mapping[str, Split] | None = None,
    ) -> None:
        """Say what plays which part, see `Roles`; a later word on the same counts."""
        for role, value in (("rate", rate), ("largest_step", largest_step), ("width", width)):
            if value is not None:
                setattr(self.roles, role, sympy.sympify(value))
        self.roles.data.update({name: tuple(shape) for name, shape in (data or {}).items()})
        self.roles.parameters.update(parameters or {})
        self.roles.splits.update(splits or {})

    def _checked(self, name: str, kind: Kind, options: dict[str, Any]) -> Callable[[Function], Function]:
        known = tuple(inspect.signature(self._claim).parameters)[2:]
        where = f"{kind} {name!r} of theorem {self.title!r}"
        refuse_keywords(options, known, of=where, needed=("holds",))
        if options.get("provenance") is not None:
            refuse_provenance(options["provenance"], where)
        return self._claim(name, kind, **options)

    def _claim(
        self,
        name: str,
        kind: Kind,
        *,
        holds: Quantifier,
        bound: sympy.Expr | float | None = None,
        from_below: bool = False,
        given: Any = None,
        error: Callable[[Any], Any] | None = None,
        assumes: str | Sequence[str] | None = None,
        on: str | Sequence[str] | None = None,
        attained: bool = False,
        provenance: Provenance | None = None,
        uses: str | Sequence[str] = (),
        part: str = "",
        over: Mapping[sympy.Symbol, sympy.Interval] | None = None,
        of: str | sympy.Expr | Callable[[Any], Any] | None = None,
    ) -> Callable[[Function], Function]:
        where: tuple[sympy.Basic, ...] = ()
        if over is not None:
            if any(option is not None for option in (error, assumes, on)):
                raise NtkVerifyError(
                    f"claim {name!r} of theorem {self.title!r} is about all numbers in the ranges over=...; leave out "
                    "on=, assumes= and error=, and say what the numbers satisfy with given=."
                )
            where = () if given is None else (given,) if isinstance(given, sympy.Basic) else tuple(given)
            given, assumes, on = None, (), ()

        def register(function: Function) -> Function:
            self._once(name, self.claims, "claim")
            self.claims[name] = Claim(
                name=name,
                kind=kind,
                quantifier=holds,
                measure=function,
                bound=None if bound is None else sympy.sympify(bound),
                from_below=from_below,
                given=given,
                error=error,
                assumes=("*",) if assumes is None else (assumes,) if isinstance(assumes, str) else tuple(assumes),
                on=("*",) if on is None else (on,) if isinstance(on, str) else tuple(on),
                attained=attained,
                provenance=provenance,
                uses=(uses,) if isinstance(uses, str) else tuple(uses),
                part=part,
                over=None if over is None else dict(over),
                where=where,
            )
            return function

        if of is not None:
            register(measured(of))
        return register

    def _once(self, name: str, present: Mapping[str, Any], what: str) -> None:
        if name in present:
            raise NtkVerifyError(f"theorem {self.title!r} has two things called {name!r} ({what}); rename one.")

    # -- reading ----------------------------------------------------------------------------------------------------

    def families_of(self, claim: Claim) -> tuple[Family, ...]:
        """Families of instances on which a claim is checked."""
        names = tuple(self.families) if claim.on == ("*",) else claim.on
        return tuple(self.families[name] for name in names)

    def label_of(self, claim: Claim) -> str:
        """Paper, version and provenance of a claim."""
        return self.source.labelled(claim.provenance or self.source.provenance)

    def assumptions_of(self, claim: Claim) -> tuple[Assumption, ...]:
        """Assumptions that a claim needs."""
        names = tuple(self.assumptions) if claim.assumes == ("*",) else claim.assumes
        return tuple(self.assumptions[name] for name in names)

    def expand(self, expression: sympy.Expr) -> sympy.Expr:
        """`expression` with the theorem's constants written out (scaled where `mutated` says so)."""
        written, names = self._expanded(expression)
        self.note(names)
        return written

    @contextmanager
    def reading(self) -> Iterator[set[str]]:
        """Names of the constants that are read in a ``with`` block, but for those of bounds (`bound_of`)."""
        found: set[str] = set()
        self._readers.append(found)
        try:
            yield found
        finally:
            # by identity: sets that hold the same names are equal
            self._readers[:] = [reader for reader in self._readers if reader is not found]

    def note(self, names: Iterable[str]) -> None:
        """Constants that something was made with which is used now: to whoever follows by `reading` they are read."""
        for reader in self._readers:
            reader.update(names)

    def constants_of(self, expression: sympy.Expr) -> frozenset[str]:
        """Names of the constants that an expression contains, and those that these are made of."""
        return self._expanded(expression)[1]

    def _expanded(self, expression: sympy.Expr) -> tuple[sympy.Expr, frozenset[str]]:
        # every run asks for the same few, and sympy takes milliseconds over each; constants are only ever added
        key = (expression, len(self.constants), tuple(sorted((n, str(f)) for n, f in self._factors.items())))
        if key not in self._expansions:
            table = {c.symbol: self._factor(name) * c.expression for name, c in self.constants.items()}
            written, names = expression, set()
            for _ in range(len(table)):
                if not (found := written.free_symbols & table.keys()):
                    break
                names |= {str(symbol) for symbol in found}
                written = written.xreplace(table)
            self._expansions[key] = written, frozenset(names)
        return self._expansions[key]

    def value(self, expression: sympy.Expr, values: Mapping[sympy.Symbol, Any]) -> sympy.Float:
        """`expression` at exact values of its symbols, to 50 digits.

        Raises
        ------
        NtkVerifyError
            If a symbol has no value.
        """
        # a float stands for the binary number that it is: a bound at measured data must not depend on a rounding
        exact = {s: sympy.Rational(v) if isinstance(v, int | float) else v for s, v in values.items()}
        result = self.expand(expression).xreplace(exact)
        if result.free_symbols:
            missing = ", ".join(sorted(map(str, result.free_symbols)))
            raise NtkVerifyError(f"theorem {self.title!r}: {expression} needs a value for {missing}.")
        return result.evalf(DIGITS)

    def at(self, data: Any, **options: Any) -> Any:
        """The theorem at given data: step, width, rate, cost, assumptions, and its claims put to the test.

        Parameters
        ----------
        data : mapping of block name to array, pair of arrays, or path
            Points and targets; a CSV or NPZ file.
        **options
            As for `ntkverify.data.at.TheoremAt`: ``width=``, ``step=``, ``steps=``, ``unit=True``, ``relax=``, and the
            theorem's parameters by name.

        Examples
        --------
        >>> load_theorem("gradient_descent_regression.py").at("points.csv", unit=True)  # doctest: +SKIP
        """
        from ntkverify import theorem_at  # the face of the library: a theorem knows nothing of what runs it

        return theorem_at(self, data, **options)

    def restricted(self, families: Mapping[str, Family], claims: Mapping[str, Claim] | None = None) -> Theorem:
        """The same theorem on other families of instances, with all or some of its claims."""
        found = copy.copy(self)
        found.families = dict(families)
        found.claims = dict(self.claims if claims is None else claims)
        return found

    def bound_of(self, claim: Claim) -> sympy.Expr:
        """A claim's bound with the constants written out."""
        if claim.bound is None:
            raise NtkVerifyError(f"claim {claim.name!r} of theorem {self.title!r} has no bound; give it one.")
        return self._expanded(claim.bound)[0] * self._factor(claim.name)

    def question_of(self, claim: Claim) -> Question:
        """What a claim over ranges asks, its constants written out.

        Raises
        ------
        NtkVerifyError
            If it measures no expression, or a symbol has no range.
        """
        measured_side = claim.measured_expression
        if measured_side is None:
            raise NtkVerifyError(
                f"claim {claim.name!r} of theorem {self.title!r} has over=... but measures a run; measure an "
                "expression with of=..., or with a function without parameters."
            )
        sides = self.expand(measured_side), self.bound_of(claim)
        left, right = sides[::-1] if claim.from_below else sides
        ranges = {
            symbol: sympy.Interval(self.expand(span.start), self.expand(span.end), span.left_open, span.right_open)
            for symbol, span in (claim.over or {}).items()
        }
        conditions = [condition.func(*map(self.expand, condition.args)) for condition in claim.where]
        try:
            return question(sympy.Le(left, right, evaluate=False), ranges, conditions)
        except NtkVerifyError as error:
            raise NtkVerifyError(f"claim {claim.name!r} of theorem {self.title!r}: {error}") from None

    @contextmanager
    def mutated(self, name: str, factor: sympy.Expr | float) -> Iterator[None]:
        """Scale one constant, or the bound of one claim, for the length of a ``with`` block."""
        if name not in self.constants and name not in self.claims:
            raise NtkVerifyError(f"theorem {self.title!r} has neither a constant nor a claim called {name!r}.")
        self._factors[name] = factor
        try:
            yield
        finally:
            del self._factors[name]

    @contextmanager
    def replaced(self, name: str, part: Constant | Claim) -> Iterator[None]:
        """Put another constant or claim in the place of `name` for the length of a ``with`` block."""
        parts: dict[str, Any] = self.constants if name in self.constants else self.claims
        if name not in parts:
            raise NtkVerifyError(f"theorem {self.title!r} has neither a constant nor a claim called {name!r}.")
        before, written = parts[name], self._expansions
        parts[name], self._expansions = part, {}
        try:
            yield
        finally:
            parts[name], self._expansions = before, written

    @property
    def fingerprints(self) -> dict[str, str]:
        """What the constants are, those of a mutant as it has them: a run may train with any of them."""
        return {name: f"{self._factor(name)}*({_text(c.expression)})" for name, c in self.constants.items()}

    def _factor(self, name: str) -> sympy.Expr:
        return sympy.nsimplify(self._factors.get(name, 1), rational=True)

    # -- showing ----------------------------------------------------------------------------------------------------

    def latex(self, *, document: bool = False) -> str:
        """Statement, assumptions, constants with their meanings, claims and errata, from the sympy objects.

        Parameters
        ----------
        document : bool
            Whether to write a whole document rather than its body, which needs amsmath and amssymb.
        """
        return latex_of(self, document=document)

    def __repr__(self) -> str:
        kinds = [claim.kind for claim in self.claims.values()]
        controls = kinds.count("control")
        return (
            f"<Theorem {self.title!r}: {len(self.assumptions)} assumptions, {len(self.constants)} constants, "
            f"{len(kinds) - controls} claims, {controls} controls>"
        )

    def _repr_html_(self) -> str:
        return page_of(self)

    def _repr_latex_(self) -> str:
        return self.latex()

    # -- checking the parts -----------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Refuse a theorem with a missing or contradictory part.

        Raises
        ------
        NtkVerifyError
            One sentence that names the part and the remedy.
        """
        who = f"theorem {self.title!r}"
        if not self.title.strip() or not self.statement.strip():
            raise NtkVerifyError(f"{who} needs a title and a statement.")
        kinds = {claim.kind for claim in self.claims.values()}
        for kind, remedy in (
            ("conclusion", "add one with @theorem.conclusion"),
            ("control", "add a claim that is false on purpose with @theorem.control"),
        ):
            if kind not in kinds:
                raise NtkVerifyError(f"{who} has no {kind}; {remedy}.")
        observed = [family.name for family in self.families.values() if family.observed]
        if len(observed) > max(1, len(self.families) // 10):
            raise NtkVerifyError(
                f"{who} only observes {', '.join(map(repr, observed))}; that is for one family of instances in ten, "
                "draw cheaper ones."
            )
        for claim in self.claims.values():
            self._validate_claim(claim, f"claim {claim.name!r} of {who}")
        refuse_homonyms(self)
        proof_of(self)

    def _validate_claim(self, claim: Claim, who: str) -> None:
        if not claim.on and not claim.is_symbolic:
            raise NtkVerifyError(f"{who} is checked on no instances; name some with on=....")
        for name in claim.on:
            if name != "*" and name not in self.families:
                raise NtkVerifyError(f"{who} is to be checked on {name!r}, but no @theorem.instances has that name.")
        for name in claim.assumes:
            if name != "*" and name not in self.assumptions:
                raise NtkVerifyError(f"{who} assumes {name!r}, but no @theorem.assumption has that name.")
        if not claim.is_symbolic and not self.families:
            raise NtkVerifyError(f"{who} needs runs, but the theorem has no instances; add @theorem.instances.")
        if not isinstance(claim.quantifier, Quantifier):
            raise NtkVerifyError(
                f"{who} has holds={claim.quantifier!r}; use one of the quantifiers, such as ntkverify.always."
            )
        if objection := claim.quantifier.objection(claim):
            raise NtkVerifyError(f"{who} {objection}")
        if claim.over is not None:
            self.question_of(claim)
