"""Laws of weights: what the draw draws, and what the limit Gram matrix is the expectation under."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import exact_number

K = TypeVar("K")
V = TypeVar("V")


def positive_number(value: Any, what: str) -> sympy.Expr:
    """`value` as an exact positive number; a float counts as the decimal fraction that it prints as.

    Raises
    ------
    NtkVerifyError
        If it is anything else; `what` says of what it was to be the size.
    """
    try:
        exact = exact_number(value)
    except sympy.SympifyError:
        exact = sympy.nan
    if not (exact.is_number and exact.is_finite and exact.is_positive):
        raise NtkVerifyError(f"{what} must be a positive finite number, not {value}.")
    return exact


@dataclass(frozen=True)
class Normal:
    """The normal law with mean 0 and standard deviation `scale`, kept exact."""

    scale: Any = sympy.S.One

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", positive_number(self.scale, "the scale of a normal law"))

    def moment(self, n: int) -> sympy.Expr:
        """The n-th moment."""
        return sympy.S.Zero if n % 2 else self.scale**n * sympy.factorial2(n - 1)

    def __str__(self) -> str:
        return "standard normal" if self.scale == 1 else f"normal with standard deviation {self.scale}"


@dataclass(frozen=True)
class Uniform:
    """The uniform law on [-radius, radius], kept exact."""

    radius: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", positive_number(self.radius, "the radius of a uniform law"))

    def moment(self, n: int) -> sympy.Expr:
        """The n-th moment."""
        return sympy.S.Zero if n % 2 else self.radius**n / (n + 1)

    def __str__(self) -> str:
        return f"uniform on [-{self.radius}, {self.radius}]"


@dataclass(frozen=True)
class FairSign:
    """1 or -1, each with probability 1/2."""

    def moment(self, n: int) -> sympy.Expr:
        """The n-th moment."""
        return sympy.S.Zero if n % 2 else sympy.S.One

    def __str__(self) -> str:
        return "fair sign"


Law = Normal | Uniform | FairSign


class FrozenMapping(Mapping[K, V]):
    """A mapping that never changes, so that what holds it can be hashed."""

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMapping({self._items})"


def completed_laws(
    weights: Iterable[sympy.Symbol], given: Mapping[Any, Any], defaults: Mapping[sympy.Symbol, Law]
) -> FrozenMapping[sympy.Symbol, Law]:
    """One law for each weight, in the order of the weights: the one that is given, or else the default.

    Raises
    ------
    NtkVerifyError
        For a law that is none, or of a weight that is none.
    """
    every = dict.fromkeys(weights)
    for weight, law in given.items():
        if not isinstance(law, Law):
            raise NtkVerifyError(
                f"the law of a weight is one of Normal(scale), Uniform(radius), FairSign(), not {law!r} for {weight}."
            )
        if weight not in every:
            names = ", ".join(map(str, every))
            raise NtkVerifyError(f"a law was given for {weight}, but the weights of the neuron are {names}.")
    return FrozenMapping((w, given[w] if w in given else defaults[w]) for w in every)


def usual_laws(
    weights: Iterable[sympy.Symbol], frozen: Iterable[sympy.Symbol], features: Iterable[sympy.Expr]
) -> dict[sympy.Symbol, Law]:
    """Fair signs for frozen weights that stand as factors before the activation, standard normal for all others."""
    parts = (part for f in features for part in sympy.sympify(f).atoms(sympy.Function, sympy.Pow))
    inside = {symbol for part in parts for symbol in part.free_symbols}
    normal: dict[sympy.Symbol, Law] = dict.fromkeys(weights, Normal())
    return normal | {w: Normal() if w in inside else FairSign() for w in frozen}
