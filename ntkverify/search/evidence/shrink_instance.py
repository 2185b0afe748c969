"""Shrinking: from a violation to the smallest sizes and the simplest numbers that still violate.

First the coordinates of the family are lowered (`ntkverify.search.evidence.shrink_in_family`), which keeps an instance
inside its family: a width prescribed for three samples becomes the one for two. Then the instance of a network is made
smaller by passes that know only what an `Instance` is: steps, width, samples, dimensions, rounded numbers, the seed. A
pass keeps a change when the result still violates, so nothing here has to know the theorem. What may happen to the data
of a network the theorem's assumptions say; the arrays of a claim of linear algebra are tied to each other by their
family alone - singular vectors are orthonormal, say - so that they are left as the family made them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.seeds import AS_DRAWN
from ntkverify.theorem.instance import Instance

Violates = Callable[[Instance], bool]
_MOST = 400  #: attempts altogether
_WORK = 1e9  # neuron updates that a shrink may spend, some ten seconds


class _Budget:
    """Counts attempts; an instance that can't be is no violation."""

    def __init__(self, violates: Violates, most: int) -> None:
        self._violates = violates
        self._known: dict[str, bool] = {}
        self.left = most

    def __call__(self, make: Callable[[], Instance | None]) -> Instance | None:
        """The instance that `make` makes if it violates."""
        if self.left <= 0:
            return None
        try:
            instance = make()
            if instance is None:
                return None
            key = instance.to_json()
            if key not in self._known:
                self.left -= 1
                self._known[key] = self._violates(instance)
        except (NtkVerifyError, ArithmeticError, ValueError, LookupError, TypeError):
            # a measure is any function of arrays, and need not take what is left of them
            return None
        return instance if self._known[key] else None


def attempts_for(instance: Instance) -> int:
    """How many attempts a shrink may make, fewer where one run is long (counted, not timed: shrinks repeat)."""
    entries = sum(np.size(value) for value in instance.data.values())
    work = max(instance.width * (instance.steps + 1) * entries, 1)
    return int(np.clip(_WORK / work, 10, _MOST))


def shrink(instance: Instance, violates: Violates, *, most: int = _MOST) -> Instance:
    """The simplest instance that the passes reach and that still violates.

    Parameters
    ----------
    instance : Instance
        One that violates.
    violates : callable
        Whether an instance violates; a refused one does not.
    most : int
        Attempts altogether.
    """
    test = _Budget(violates, most)
    current = instance
    while test.left > 0:
        before = current
        for candidates in _PASSES:
            current = _greedy(current, candidates, test)
        if current == before:
            break
    return current


def _greedy(current: Instance, candidates: Callable[[Instance], Iterator[Instance]], test: _Budget) -> Instance:
    """Take the first candidate that violates, from there on again, until none does."""
    while test.left > 0:
        options = candidates(current)
        found = None
        while found is None:
            try:
                candidate = next(options)
            except StopIteration:
                return current
            except NtkVerifyError:
                return current
            if candidate != current:
                found = test(lambda candidate=candidate: candidate)  # type: ignore[misc]
        current = found
    return current


def _downwards(value: int, least: int) -> Iterator[int]:
    """Smaller values, the smallest first."""
    tried = {value}
    for smaller in (least, value // 8, value // 2, (3 * value) // 4, value - 1):
        if least <= smaller < value and smaller not in tried:
            tried.add(smaller)
            yield smaller


def _fewer_steps(instance: Instance) -> Iterator[Instance]:
    for steps in _downwards(instance.steps, min(1, instance.steps)):
        yield replace(instance, steps=steps)


def _narrower(instance: Instance) -> Iterator[Instance]:
    for width in _downwards(instance.width, min(1, instance.width)):
        yield replace(instance, width=width)


def _fewer_samples(instance: Instance) -> Iterator[Instance]:
    """Drop one index from every axis of its length: the sample from inputs and targets, the row and column at once."""
    arrays = {name: instance.array(name) for name in instance.data}
    for length in sorted({a.shape[0] for a in arrays.values() if a.ndim} - {0, 1}, reverse=True):
        square = any(a.shape == (length, length) for a in arrays.values())
        for index in reversed(range(length)):
            # a square array is a matrix, or as many rows as they have entries: try both
            for both in (True, False) if square else (False,):
                yield _with(instance, {name: _without(a, length, index, both) for name, a in arrays.items()})


def _without(array: Array, length: int, index: int, both: bool) -> Array:
    if both and array.shape == (length, length):
        array = np.delete(array, index, axis=1)
    return np.delete(array, index, axis=0) if array.ndim and array.shape[0] == length else array


def _fewer_dimensions(instance: Instance) -> Iterator[Instance]:
    """Drop a column of a rectangular array, rows scaled back to their lengths; a square one loses it too."""
    for name in instance.data:
        array = instance.array(name)
        if array.ndim != 2 or array.shape[1] < 2:
            continue
        for column in reversed(range(array.shape[1])):
            less = np.delete(array, column, axis=1)
            yield _with(instance, {name: less})
            yield _with(instance, {name: _at_lengths(less, np.linalg.norm(array, axis=1))})


def _at_lengths(rows: Array, lengths: Array) -> Array:
    present = np.linalg.norm(rows, axis=1)
    factors = np.divide(lengths, present, out=np.ones_like(lengths), where=present > 0)
    scaled: Array = rows * factors[:, None]
    return scaled


def _simpler_numbers(instance: Instance) -> Iterator[Instance]:
    """Whole arrays, then rows and entries, the step and the parameters, with fewer digits."""
    for name in instance.data:
        array = instance.array(name)
        if array.ndim == 2 and array.shape[0] <= array.shape[1]:
            yield from _if_simpler(instance, name, np.eye(*array.shape))
        for digits in (0, 1, 2):
            rounded = np.round(array, digits)
            yield from _if_simpler(instance, name, rounded)
            if array.ndim == 2 and digits:
                yield from _if_simpler(instance, name, _at_lengths(rounded, np.linalg.norm(array, axis=1)))
        if array.size <= 16:
            for index in np.ndindex(array.shape):
                for value in (0.0, 1.0, -1.0, float(np.round(array[index], 1))):
                    changed = array.copy()
                    changed[index] = value
                    yield from _if_simpler(instance, name, changed)
    for value in _rounder(instance.step):
        yield replace(instance, step=value)
    for name, old in instance.parameters.items():
        for value in _rounder(old):
            try:
                simpler = replace(instance, parameters={**instance.parameters, name: value})
            except NtkVerifyError:  # a probability that would round to 1
                continue
            yield simpler


def _if_simpler(instance: Instance, name: str, array: Array) -> Iterator[Instance]:
    if _length(array) < _length(instance.array(name)):
        yield _with(instance, {name: array})


def _length(array: Array) -> int:
    """Characters that the numbers of an array take, the measure of simplicity."""
    numbers = [float(value) for value in array.ravel()]
    return sum(len(repr(value)) + (value < 0) + 2 * (abs(value) not in (0, 1)) for value in numbers)


def _rounder(value: float) -> Iterator[float]:
    """Numbers of fewer digits, the nearest and its neighbour on the other side of the value."""
    for digits in (1, 2, 3):
        nearest = float(f"{value:.{digits}g}")
        unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1) if value else 0.0
        across = float(f"{nearest + math.copysign(unit, value - nearest):.{digits}g}")
        for rounded in (nearest, across):
            if rounded != value and len(repr(rounded)) < len(repr(float(value))):
                yield rounded


def _plain_weights(instance: Instance) -> Iterator[Instance]:
    """One of the first seeds, else no or a rounder factor and evenness, fewer and rounder turns."""
    moved = any(getattr(instance, name) != plain for name, plain in AS_DRAWN.items())
    if instance.seed > 9 or moved:
        for seed in range(10):
            yield instance.with_seed(seed)
    for value in (1.0, float(f"{math.sqrt(instance.scale):.2g}"), *_rounder(instance.scale)):
        if _strangeness(value) < _strangeness(instance.scale):
            yield replace(instance, scale=value)
    for value in (0.0, *_rounder(instance.evenness), 1.0):
        if value <= 1 and (len(repr(value)), value) < (len(repr(instance.evenness)), instance.evenness):
            yield replace(instance, evenness=value)
    turns = list(instance.turns)
    for index, (angle, other) in enumerate(turns):
        before, after = turns[:index], turns[index + 1 :]
        yield replace(instance, turns=before + after)
        for value in _rounder(angle):
            yield replace(instance, turns=[*before, (value, other), *after])
    taken = {instance.seed, *(other for _, other in turns)}
    for seed in sorted(set(range(20)) - taken)[:10] if moved else ():
        if instance.seed > 19:
            yield replace(instance, seed=seed)
        for index, (angle, other) in enumerate(turns):
            if other > 19:
                yield replace(instance, turns=[*turns[:index], (angle, seed), *turns[index + 1 :]])


def _strangeness(scale: float) -> float:
    """How far weights are from typical ones, and how many digits that takes; a tenth of a factor e is worth one."""
    return 10 * abs(math.log(scale)) + len(repr(scale))


_PASSES = (_fewer_steps, _narrower, _fewer_samples, _fewer_dimensions, _simpler_numbers, _plain_weights)


def _with(instance: Instance, arrays: dict[str, Any]) -> Instance:
    return replace(instance, data={**instance.data, **arrays})
