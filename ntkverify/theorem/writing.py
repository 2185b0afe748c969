"""How a theorem is written down: constants, assumptions, instances, claims and controls, one after the other.

A theorem module creates one `Theorem` and fills it from top to bottom, like the mathematics; see
``docs/add_a_theorem.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.constants.chain import Derived
from ntkverify.theorem.names import refuse_keywords
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
from ntkverify.theorem.quantifier import Quantifier

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(eq=False, repr=False)
class Written:
    """The parts of a theorem, and what adds them; see `ntkverify.theorem.theorem.Theorem`."""

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

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Keywords are looked at before Python refuses them with an error of its own."""
        known = ("title", "source", "statement", "id")
        if args or keywords:  # copies are made of nothing
            given = dict.fromkeys((*known[: len(args)], *keywords))
            refuse_keywords(given, known, of="Theorem", needed=known[:3])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not isinstance(self.source, Source):
            raise NtkVerifyError(f"theorem {self.title!r} has source={self.source!r}; give source=Source(...).")

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
