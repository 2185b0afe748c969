"""The nouns: a theorem with its source, constants, assumptions, claims, controls and instances.

A theorem module creates one `Theorem` and fills it from top to bottom, like the mathematics; see
``docs/add_a_theorem.md``. Nothing here knows how networks are trained.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.proving.question import Question, question
from ntkverify.symbolic.constants.chain import DIGITS
from ntkverify.theorem.parts import Assumption, Claim, Constant, Family
from ntkverify.theorem.proof import proof_of
from ntkverify.theorem.quantifier import Quantifier
from ntkverify.theorem.showing import latex_of, page_of
from ntkverify.theorem.symbols import refuse_homonyms
from ntkverify.theorem.writing import Written

PROFILES = ("quick", "ci", "thorough")


@functools.lru_cache(maxsize=1024)
def _text(expression: sympy.Expr) -> str:
    return str(expression)


@functools.lru_cache(maxsize=1024)
def _evaluated(expression: sympy.Expr, exact: frozenset[tuple[sympy.Symbol, Any]]) -> sympy.Expr:
    """An expression at exact values, to 50 digits; families ask for widths and steps at the same numbers often."""
    return expression.xreplace(dict(exact)).evalf(DIGITS)


@dataclass(eq=False, repr=False)
class Theorem(Written):
    """A theorem: what is claimed, where it comes from, and how to draw instances of it.

    What adds its parts (`constant`, `instances`, `lemma`, ...) is in `ntkverify.theorem.writing.Written`.

    Parameters
    ----------
    title : str
        One line.
    source : Source
        Paper, version and provenance.
    statement : str
        The theorem in LaTeX.
    """

    _factors: dict[str, sympy.Expr] = field(default_factory=dict, repr=False, init=False)
    _expansions: dict[Any, tuple[sympy.Expr, frozenset[str]]] = field(
        default_factory=dict, repr=False, compare=False, init=False
    )
    _readers: list[set[str]] = field(default_factory=list, repr=False, compare=False, init=False)

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
        written = self.expand(expression)
        asked = {s: v for s, v in values.items() if s in written.free_symbols}
        exact = {s: sympy.Rational(v) if isinstance(v, int | float) else v for s, v in asked.items()}
        result = _evaluated(written, frozenset(exact.items()))
        if result.free_symbols:
            missing = ", ".join(sorted(map(str, result.free_symbols)))
            raise NtkVerifyError(f"theorem {self.title!r}: {expression} needs a value for {missing}.")
        return result

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
        >>> load_theorem("gradient_descent_regression").at("points.csv", unit=True)  # doctest: +SKIP
        """
        from ntkverify import theorem_at  # the face of the library: a theorem knows nothing of what runs it

        return theorem_at(self, data, **options)

    def restricted(self, families: Mapping[str, Family], claims: Mapping[str, Claim] | None = None) -> Theorem:
        """The same theorem on other families of instances, with all or some of its claims.

        Constants are those of this theorem, so that the module's functions, which ask it, see what is made wrong.
        """
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
        """Scale one constant, or the bound of one claim, for the length of a ``with`` block; factors multiply."""
        if name not in self.constants and name not in self.claims:
            raise NtkVerifyError(f"theorem {self.title!r} has neither a constant nor a claim called {name!r}.")
        before = self._factors.get(name)
        self._factors[name] = self._factor(name) * sympy.nsimplify(factor, rational=True)
        try:
            yield
        finally:
            if before is None:
                del self._factors[name]
            else:
                self._factors[name] = before

    @contextmanager
    def replaced(self, name: str, part: Constant | Claim) -> Iterator[None]:
        """Put another constant or claim in the place of `name` for the length of a ``with`` block."""
        parts: dict[str, Any] = self.constants if name in self.constants else self.claims
        if name not in parts:
            raise NtkVerifyError(f"theorem {self.title!r} has neither a constant nor a claim called {name!r}.")
        before, written = parts[name], dict(self._expansions)
        # constants and what is written out are one for all that `restricted` made: emptied, not exchanged
        parts[name] = part
        self._expansions.clear()
        try:
            yield
        finally:
            parts[name] = before
            self._expansions.clear()
            self._expansions.update(written)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What the constants are, those of a mutant as it has them: a run may train with any of them."""
        return {name: f"{self._factor(name)}*({_text(c.expression)})" for name, c in self.constants.items()}

    def _factor(self, name: str) -> sympy.Expr:
        return self._factors.get(name, sympy.S.One)

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
