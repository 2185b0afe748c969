"""Stretches: named ways in which an instance may leave the valid ones once an assumption is relaxed.

The families of a theorem draw valid instances only, so that dropping an assumption would change nothing. A
stretch is one more coordinate u in [0, 1): below `OFF` the instance stays as drawn, from there on it is deformed
more and more. Nobody has to say which stretch belongs to which assumption: `useful` tries them and keeps those that
break what is relaxed while leaving all that is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.search.score import unmet
from ntkverify.theorem.instance import Instance

OFF = 0.25  #: share of a stretch's coordinate that leaves the instance alone
_AMOUNTS = (0.3, 0.6, 0.95)  # where `useful` tries a stretch


@dataclass(frozen=True)
class Stretch:
    """One named deformation of an instance.

    Parameters
    ----------
    name : str
        What is deformed.
    deform : callable
        ``(instance, t) -> instance`` for t in (0, 1].
    """

    name: str
    deform: Callable[[Instance, float], Instance]

    def apply(self, instance: Instance, u: float) -> Instance:
        """The instance at coordinate `u` in [0, 1)."""
        return instance if u < OFF else self.deform(instance, (u - OFF) / (1 - OFF) + 2.0**-20)


def stretches_of(instance: Instance) -> Iterator[Stretch]:
    """All stretches that make sense for an instance."""
    if instance.width > 1:
        yield Stretch("width / 2^20t", lambda i, t: replace(i, width=max(1, round(i.width * 2.0 ** (-20 * t)))))
    if instance.step > 0:
        yield Stretch("step * 64^t", lambda i, t: replace(i, step=i.step * 64.0**t))
    for name in instance.data:
        if not instance.array(name).any():
            continue  # zeros stay zeros
        yield Stretch(f"{name} * 64^t", _scaled(name, 64.0))
        yield Stretch(f"{name} / 64^t", _scaled(name, 1 / 64.0))
        array = instance.array(name)
        if array.ndim == 2 and array.shape[0] > 1:
            yield Stretch(f"rows of {name} nearly parallel", _parallel(name))
        if array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, array.T):
            yield Stretch(f"{name} shifted towards singular and beyond", _shifted(name))
    for name in instance.parameters:
        yield Stretch(f"{name} * 64^t", _parameter(name, 64.0))
        yield Stretch(f"{name} / 64^t", _parameter(name, 1 / 64.0))


def useful(case: Case, instances: Sequence[Instance]) -> list[Stretch]:
    """Stretches that break a relaxed assumption and, somewhere, no other that the claim needs.

    Parameters
    ----------
    case : Case
        The claim, and what is relaxed.
    instances : sequence of Instance
        Valid instances to try them on.
    """
    found: dict[str, Stretch] = {}
    for instance in instances:
        for stretch in stretches_of(instance):
            if stretch.name not in found and any(_breaks_only(case, stretch, instance, u) for u in _AMOUNTS):
                found[stretch.name] = stretch
    return list(found.values())


def _breaks_only(case: Case, stretch: Stretch, instance: Instance, amount: float) -> bool:
    try:
        broken = unmet(case, case.run(stretch.apply(instance, amount)))
    except NtkVerifyError:
        return False
    return bool(broken) and broken <= set(case.relaxed)


def _with_data(instance: Instance, name: str, array: Array) -> Instance:
    return replace(instance, data={**instance.data, name: array})


def _scaled(name: str, factor: float) -> Callable[[Instance, float], Instance]:
    return lambda i, t: _with_data(i, name, i.array(name) * factor**t)


def _parameter(name: str, factor: float) -> Callable[[Instance, float], Instance]:
    def deform(instance: Instance, t: float) -> Instance:
        if name not in instance.parameters:  # a family may give it to some of its instances only
            return instance
        return replace(instance, parameters={**instance.parameters, name: instance.parameters[name] * factor**t})

    return deform


def _parallel(name: str) -> Callable[[Instance, float], Instance]:
    """Turn every row towards the first, down to an angle of about 1e-9, and keep its length."""

    def deform(instance: Instance, t: float) -> Instance:
        rows = instance.array(name)
        if rows.ndim != 2 or len(rows) < 2:
            return instance
        share = 1 - 10.0 ** (-9 * t)
        turned = (1 - share) * rows + share * rows[0]
        lengths = np.linalg.norm(turned, axis=1, keepdims=True)
        if not np.all(lengths > 0):
            return instance
        turned *= np.linalg.norm(rows, axis=1, keepdims=True) / lengths
        turned[0] = rows[0]
        return _with_data(instance, name, turned)

    return deform


def _shifted(name: str) -> Callable[[Instance, float], Instance]:
    """Lower the least eigenvalue of a symmetric matrix from where it is to minus that."""

    def deform(instance: Instance, t: float) -> Instance:
        matrix = instance.array(name)
        least = float(np.linalg.eigvalsh(matrix)[0])
        shift = 2 * t * (abs(least) if math.isfinite(least) else 0.0)
        return _with_data(instance, name, matrix - shift * np.eye(len(matrix)))

    return deform
