"""What a theorem says of itself without declaring it: its family at given data, its blocks, its contraction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.glossary import k
from ntkverify.judging.draws import simplest_instance
from ntkverify.problems.run import Run
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.names import nearest
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.theorem import Theorem


def blocks_of(theorem: Theorem, drawn: Instance) -> dict[str, tuple[str, ...]]:
    """Blocks of data with the names of their lengths: those that are declared, or those of an instance."""
    declared = theorem.roles.data
    if declared and set(declared) >= set(drawn.data):
        return dict(declared)
    found: dict[str, tuple[str, ...]] = {}
    arrays = {name: np.asarray(drawn.array(name)) for name in drawn.data}
    columns = {x.shape[1] for x in arrays.values() if x.ndim > 1}
    for name, x in arrays.items():
        if x.ndim > 1:  # blocks of points share their coordinates, unless they plainly do not
            found[name] = (f"n_{name}", "coordinates" if len(columns) == 1 else f"columns of {name}")
    for name, x in arrays.items():
        if x.ndim == 1:  # called after its block, or the only one of its length
            near = [b for b in found if name.startswith(b)] or [b for b in found if len(arrays[b]) == len(x)]
            found[name] = (found[near[0]][0] if near else f"n_{name}",)
    return found


def shares_of(theorem: Theorem) -> set[str]:
    """Names of the shares that a split of the slack sets."""
    return {s.name for split in theorem.roles.splits.values() if not callable(split) for s in split}


def parameters_at(
    theorem: Theorem, blocks: Mapping[str, Any], drawn: Instance, given: Mapping[str, float]
) -> dict[str, float]:
    """The theorem's parameters: those that are given, read from the data, or an instance's, but for shares of a split.

    Raises
    ------
    NtkVerifyError
        If one is given that the theorem does not have.
    """
    read = {}
    for name, value in theorem.roles.parameters.items():
        try:
            read[name] = float(value(blocks) if callable(value) else value)
        except KeyError:  # read from a block that was left out
            continue
    known = {name: v for name, v in {**drawn.parameters, **read}.items() if name not in shares_of(theorem)}
    # whole names only: t is a part of delta
    for name in given:
        if name not in known:
            of = f"theorem {theorem.title!r}"
            raise NtkVerifyError(f"{of} has no parameter {name!r}; {nearest(name, sorted(known))}")
    return {**known, **{name: float(value) for name, value in given.items()}}


def family_at(theorem: Theorem, name: str | None = None) -> Family:
    """The family of instances that given data stand in for: the first of the conclusions' that draws such data.

    Raises
    ------
    NtkVerifyError
        If there is none, or none of this name.
    """
    if name is not None:
        if name not in theorem.families:
            raise NtkVerifyError(
                f"theorem {theorem.title!r} has no instances {name!r}; choose one of {sorted(theorem.families)}."
            )
        return theorem.families[name]
    points = {block for block, shape in theorem.roles.data.items() if len(shape) > 1}
    conclusions = [c for c in theorem.claims.values() if c.kind == "conclusion" and not c.is_symbolic]
    lemmas = [c for c in theorem.claims.values() if c.kind == "lemma" and not c.is_symbolic]
    for claim in (*conclusions, *lemmas):
        for family in theorem.families_of(claim):
            drawn = simplest_instance(family)
            if drawn.width and drawn.data and points <= set(drawn.data):
                return family
    raise NtkVerifyError(f"theorem {theorem.title!r} trains no network, so that it says nothing at data of yours.")


def sets_its_step(run: Any, drawn: Instance) -> bool:
    """Whether runs set a step of their own and read no other: their class has it, or instances take steps without one.

    Parameters
    ----------
    run : Run
        Any run of the family.
    drawn : Instance
        What the family draws.
    """
    return type(run).eta is not Run.eta or (drawn.steps > 0 and not drawn.step)


def kind_of_run(run: Callable[..., Any]) -> tuple[Any, ...]:
    """What tells runs of different problems apart; equal where options are."""
    if isinstance(run, functools.partial):
        return (run.func, run.args, sorted(run.keywords.items(), key=lambda item: item[0]))
    return (run, (), [])


def contraction_of(theorem: Theorem) -> tuple[Claim, sympy.Expr] | None:
    """The first conclusion whose bound falls by one factor a step, and that factor; read from the bound itself."""
    for claim in theorem.claims.values():
        if claim.kind != "conclusion" or claim.bound is None or k not in theorem.expand(claim.bound).free_symbols:
            continue
        ratio = sympy.powsimp(sympy.simplify(claim.bound.subs(k, k + 1) / claim.bound))
        if k not in theorem.expand(ratio).free_symbols:
            return claim, ratio
    return None


def split_at(theorem: Theorem, name: str, values: Mapping[sympy.Symbol, Any]) -> dict[str, float]:
    """The free parameters of the proof by one of its splits, at values of everything else."""
    split = theorem.roles.splits[name]
    chosen = split(values) if callable(split) else split
    return {symbol.name: float(value) for symbol, value in chosen.items()}
