"""The parts of a theorem: where it comes from, its constants, assumptions, claims and families of instances."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.constants.chain import Derived
from ntkverify.theorem.names import refuse_keywords
from ntkverify.theorem.quantifier import Quantifier

Provenance = Literal["quoted", "derived", "reconstructed"]
Kind = Literal["lemma", "conclusion", "control"]


def refuse_provenance(word: object, of: str) -> None:
    """Refuse a provenance that says nothing of where a statement comes from."""
    if word not in get_args(Provenance):
        raise NtkVerifyError(
            f"{of} has provenance={word!r}; say 'quoted' (read in the paper), 'derived' (proved with the constants "
            "given here) or 'reconstructed' (rebuilt because the text was not at hand)."
        )


@dataclass(frozen=True)
class Source:
    """Where a statement comes from.

    Parameters
    ----------
    arxiv : str
        Identifier of the paper, empty for a theorem of one's own.
    version : int
        Version of the paper that is meant; 0 without a paper.
    where : str
        Theorem or section number.
    provenance : {"quoted", "derived", "reconstructed"}
        Read in the paper; proved with the constants given here; or rebuilt because the text was not at hand.
    """

    arxiv: str = ""
    version: int = 0
    where: str = ""
    provenance: Provenance = "derived"

    def __new__(cls, *args: Any, **keywords: Any) -> Source:
        """Keywords are looked at before Python refuses them with an error of its own."""
        refuse_keywords(keywords, tuple(cls.__dataclass_fields__), of="Source")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        refuse_provenance(self.provenance, "Source")

    @property
    def label(self) -> str:
        """One line: paper, version and provenance."""
        return self.labelled(self.provenance)

    def labelled(self, provenance: Provenance) -> str:
        """The same for a statement of this source with a provenance of its own."""
        paper = f"arXiv {self.arxiv}" + (f" v{self.version}" if self.version else "") if self.arxiv else "own"
        return f"{paper}, {provenance}"


@dataclass(frozen=True)
class Constant:
    """A named sympy expression that the module derives, with its derivation."""

    symbol: sympy.Symbol
    expression: sympy.Expr
    meaning: str
    derivation: Derived


@dataclass(frozen=True)
class Assumption:
    """A named predicate: ``margin(run) >= 0`` means that it is met."""

    name: str
    margin: Callable[[Any], float]


def _authors_place() -> str:
    """File and line of the nearest caller outside the library."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        # what dataclasses make has no file
        if not name.startswith("ntkverify.") and not frame.f_code.co_filename.startswith("<"):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@dataclass(frozen=True)
class Claim:
    """A lemma, conclusion or control: a measured quantity, a bound and a quantifier.

    Parameters
    ----------
    name : str
        Sentence that a table can show.
    kind : {"lemma", "conclusion", "control"}
        A control is false on purpose and must be refuted.
    quantifier : Quantifier
        How strongly it is claimed.
    measure : callable
        Takes a run and returns the measured quantity; without a parameter for symbolic identities.
    bound : sympy.Expr or None
        What the quantity is compared with, in symbols that the run answers for.
    from_below : bool
        Whether the quantity must be at least, rather than at most, the bound.
    given : callable or None
        Event on which the claim conditions; returns a bool or a mask over the measured entries.
    error : callable or None
        Absolute rounding error of the measured quantity; see `ntkverify.judging.outcome`.
    assumes : tuple of str
        Names of the assumptions that an instance must meet, else it is vacuous for this claim.
    on : tuple of str
        Names of the families of instances on which the claim is checked.
    attained : bool
        Whether instances are known to reach the bound: there an excess within the rounding error is
        equality, elsewhere it leaves the verdict inconclusive.
    provenance : {"quoted", "derived", "reconstructed"} or None
        Where this statement comes from, if not like its theorem.
    uses : tuple of str
        What its proof rests on besides what its bound says: claims by their sentence or by their function's name, or
        parts by their name.
    part : str
        The part that brought it, see `ntkverify.lemmas`; empty for a claim of the theorem's own.
    over : dict of sympy.Symbol to sympy.Interval, or None
        Ranges of the numbers that the claim is about, where it needs no run: it is decided for all of them.
    where : tuple of sympy relations
        Side conditions on these numbers.
    place : str
        File and line where it is stated, for sentences about it; that of whoever calls the library by default.
    """

    name: str
    kind: Kind
    quantifier: Quantifier
    measure: Callable[..., Any]
    bound: sympy.Expr | None
    from_below: bool
    given: Callable[[Any], Any] | None
    error: Callable[[Any], Any] | None
    assumes: tuple[str, ...]
    on: tuple[str, ...]
    attained: bool = False
    provenance: Provenance | None = None
    uses: tuple[str, ...] = ()
    part: str = ""
    over: Mapping[sympy.Symbol, sympy.Interval] | None = None
    where: tuple[sympy.Basic, ...] = ()
    place: str = field(default_factory=_authors_place, compare=False)

    @property
    def is_symbolic(self) -> bool:
        """Whether the claim is about expressions only and needs no run."""
        return self.over is not None or not inspect.signature(self.measure).parameters

    @property
    def measured_expression(self) -> sympy.Expr | None:
        """What is measured, where that is an expression."""
        if hasattr(self.measure, "expression"):
            return self.measure.expression
        alone = self.over is not None and not inspect.signature(self.measure).parameters
        return sympy.sympify(self.measure()) if alone else None


#: values of a theorem's free parameters, or what chooses them once everything else has a value
Split = Mapping[sympy.Symbol, Any] | Callable[[Mapping[sympy.Symbol, Any]], Mapping[sympy.Symbol, Any]]


@dataclass
class Roles:
    """What plays which part in a theorem, for tables, commands and the graph of its proof.

    Parameters
    ----------
    rate : sympy.Expr or None
        In what the decay of the loss is measured: lambda_0, a sum over two sets of weights, or 1.
    largest_step, width : sympy.Expr or None
        The largest step and the sufficient width.
    data : dict of str to tuple of str
        The blocks of data that an instance carries, by name, and the names of their lengths along each axis.
    parameters : dict of str to number or callable
        What a parameter is where nobody says otherwise: a number, or read from the blocks of data.
    splits : dict of str to Split
        How the slack of the proof may be split, by name, the textbook's first; see `Split`.
    """

    rate: sympy.Expr | None = None
    largest_step: sympy.Expr | None = None
    width: sympy.Expr | None = None
    data: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: dict[str, float | Callable[[Mapping[str, Any]], float]] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A family of instances and how many of them each profile draws.

    Parameters
    ----------
    name : str
        Name that claims refer to.
    build : callable
        Takes Hypothesis' ``draw`` and returns an `Instance` (its seed is replaced by an independent one).
    run : callable
        Turns an instance into a run.
    counts : dict of str to int
        Draws that each profile prescribes.
    observed : str
        Why claims on these instances are too dear to be confirmed; empty if they are not.
    """

    name: str
    build: Callable[..., Any]
    run: Callable[..., Any]
    counts: Mapping[str, int]
    observed: str = ""

    @property
    def draws(self) -> bool:
        """Whether it draws data, rather than having the same every time."""
        return bool(inspect.signature(self.build).parameters)


def measured(of: str | sympy.Expr | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What a run answers for under a name, or an expression at its numbers, as a function of the run."""
    if isinstance(of, str):
        get = operator.attrgetter(of)

        def named(run: Any) -> Any:
            return get(run)

        return named
    if not isinstance(of, sympy.Basic | int | float):
        return of
    expression = sympy.sympify(of)

    def evaluated(run: Any) -> Any:
        return run.evaluate(expression)

    evaluated.expression = expression  # type: ignore[attr-defined]  # the graph of the proof reads its constants
    return evaluated
