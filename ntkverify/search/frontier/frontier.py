"""Frontiers: where a conclusion starts to hold when one setting is varied, along any quantity of a run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.judging.draws import draw_instances
from ntkverify.search.frontier.bisection import Bisection, Outcomes, Threshold, outcomes
from ntkverify.search.frontier.setting import Setting
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Claim, Family
from ntkverify.theorem.theorem import Theorem

ANY_WIDTH = Setting()
_POOL = 160  # instances drawn to find enough for every value of the horizontal axis


def groups(
    case: Case,
    *,
    against: str,
    values: Sequence[float] | None,
    entropy: int,
    steps: int | None = None,
) -> dict[float, list[Instance]]:
    """Instances by their value on the horizontal axis; one that varies continuously is cut into quintiles.

    With `steps`, they train for that many.

    Raises
    ------
    NtkVerifyError
        If nothing was drawn at a value that was asked for.
    """
    theorem, family = case.theorem, case.family
    found: list[tuple[float, Instance]] = []
    refused: NtkVerifyError | None = None
    for drawn in draw_instances(family, _POOL, entropy=entropy):
        instance = replace(drawn, theorem=theorem.id, family=family.name, steps=drawn.steps if steps is None else steps)
        try:
            found.append((float(getattr(case.run(instance), against)), instance))
        except NtkVerifyError as error:  # a draw that can't be run, or nothing of that name in any of them
            refused = error
        except TypeError:
            raise NtkVerifyError(f"{against!r} is no single number of a run; choose another --against.") from None
    if not found:
        raise refused or NtkVerifyError(f"{family.name!r} has no instances.")
    keys = np.array([key for key, _ in found])
    distinct = np.unique(keys)
    result: dict[float, list[Instance]] = {}
    if len(distinct) <= 12:
        for key, instance in found:
            result.setdefault(key, []).append(instance)
    else:
        edges = np.quantile(keys, np.linspace(0, 1, 6))
        for low, high in itertools.pairwise(edges):
            inside = [(key, instance) for key, instance in found if low <= key <= high]
            result[float(np.median([key for key, _ in inside]))] = [instance for _, instance in inside]
    if values is not None:
        for value in values:
            if value not in result:
                raise NtkVerifyError(
                    f"no instance of {family.name!r} has {against} = {value:g}; drawn were "
                    f"{', '.join(f'{v:g}' for v in sorted(result))}."
                )
        result = {value: result[value] for value in values}
    return dict(sorted(result.items()))


def frontier(
    case: Case,
    setting: Setting = ANY_WIDTH,
    *,
    against: str = "n",
    values: Sequence[float] | None = None,
    fraction: float = 0.9,
    draws: int = 120,
    steps: int | None = None,
    entropy: int = 0,
    progress: Callable[[float, float], object] = lambda at, value: None,
    outcomes: Outcomes = outcomes,
) -> list[Threshold]:
    """The threshold of a setting at which a claim holds in `fraction` of the draws, along `against`.

    Parameters
    ----------
    case : Case
        What is to hold, on which data.
    setting : Setting
        What is varied, and in which range.
    against : str
        Anything that a run answers for with one number: n, d, lambda_0, a parameter.
    values : sequence of float, optional
        Places on the horizontal axis; all that are drawn by default.
    fraction : float
        Share of draws in which the claim must hold.
    draws : int
        Draws at one value, at most.
    steps : int, optional
        Training steps, in place of the family's own: a conclusion about all k is tried up to there.
    entropy : int
        Changes every draw.
    progress : callable
        Called with the place and the value before each evaluation.
    outcomes : callable
        Puts a case to instances; in this process by default.
    """
    if not 0 < fraction < 1 or draws < 1:
        raise NtkVerifyError("the fraction must lie strictly between 0 and 1, and there must be at least one draw.")
    if steps is not None and steps < 1:
        raise NtkVerifyError(f"a frontier needs at least one training step, not {steps}.")
    result = []
    for at, instances in groups(case, against=against, values=values, entropy=entropy, steps=steps).items():
        search = Bisection(case, instances, setting, fraction=fraction, draws=draws, entropy=entropy, outcomes=outcomes)
        result.append(search.threshold(at, progress))
    return result


def best_family(theorem: Theorem, claim: Claim, *, against: str, entropy: int) -> Family:
    """The family with the most values on the horizontal axis among those whose runs the claim can be put to.

    Ties go to the families that the claim is checked on.
    """
    own = theorem.families_of(claim)
    kinds = {family.run for family in own}
    best: tuple[tuple[int, int], Family] | None = None
    for family in theorem.families.values():
        if family.run not in kinds:
            continue
        try:
            instances = draw_instances(family, 16, entropy=entropy)
            count = len({float(getattr(family.run(i, theorem), against)) for i in instances})
        except (NtkVerifyError, TypeError):
            continue
        rank = (count, int(family in own))
        if best is None or rank > best[0]:
            best = rank, family
    if best is None:
        raise NtkVerifyError(f"no instances of theorem {theorem.id!r} know {against!r}; choose another --against.")
    return best[1]


def first_conclusion(theorem: Theorem) -> Claim:
    """The conclusion that a frontier is drawn for unless another claim is named."""
    return next(claim for claim in theorem.claims.values() if claim.kind == "conclusion" and claim.bound is not None)


def prescribes_width(theorem: Theorem, claim: Claim, *, entropy: int = 0) -> bool:
    """Whether the assumptions of a claim ask for a width on one of its families."""
    for family in theorem.families_of(claim):
        drawn = [
            replace(instance, theorem=theorem.id, family=family.name)
            for instance in draw_instances(family, 3, entropy=entropy)
            if instance.width > 0
        ]
        if drawn:
            case = Case(theorem, claim, family)
            if Bisection(case, drawn, ANY_WIDTH, fraction=0.5, draws=1, entropy=entropy).prescribed() is not None:
                return True
    return False
