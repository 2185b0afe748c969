"""What a training run would take on this machine: memory by count, time by a short run that is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ntkverify.execution.backends import fastest_backend
from ntkverify.execution.draw import BLOCK
from ntkverify.execution.machine.memory import free_memory
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.theorem.instance import Instance

#: neurons times residuals of the run that is timed; a step of as many takes some milliseconds
TRIED = 1 << 18
#: seconds that a run takes at least whose steps are timed
TIMED = 0.05
_MOST_STEPS = 1024


@dataclass(frozen=True)
class Cost:
    """What one run of `width` neurons over `steps` steps takes.

    Parameters
    ----------
    width, steps : int
        Of the run.
    memory : float
        Bytes: the weights as they are and as they were, what the method works with, Jacobians where it forms them.
    seconds : float
        Extrapolated in the width and in the steps from a short run on this machine, so good to a factor of two.
    backend : str
        What it would run on.
    """

    width: int
    steps: int
    memory: float
    seconds: float
    backend: str

    @property
    def fits(self) -> bool:
        """Whether so much memory is free."""
        return self.memory <= free_memory()

    def __str__(self) -> str:
        fits = "" if self.fits else f" where {bytes_in_words(free_memory())} are free"
        return (
            f"{bytes_in_words(self.memory)}{fits} and about {seconds_in_words(self.seconds)} "
            f"for {self.steps:,} steps on {self.backend!r}"
        )


def memory_of(run: Any, width: int) -> float:
    """Bytes that training `width` neurons of this run's problem takes."""
    p, q = len(run.neuron.weights), len(run.neuron.frozen)
    jacobian = any("jacobian" in measure.needs for measure in run.measures()) or run.method == "natural gradient"
    arrays = p * (2 + run.training().copies) + q + (4 * p * run.samples.total if jacobian else 0)
    return float(8 * width * arrays)


def estimated_cost(make: Callable[..., Any], instance: Instance) -> Cost:
    """What training an instance takes.

    Parameters
    ----------
    make : callable
        Turns an instance into a run, with the option ``backend=``.
    instance : Instance
        Data, width and number of steps.
    """
    sample = make(instance)
    total = max(1, sample.samples.total)
    # at least as many neurons as residuals, that a natural gradient exists; even, for neurons in pairs
    tried = max(64, total, min(instance.width, TRIED // total))
    tried += tried % 2
    backend = fastest_backend(sample.samples, instance.width) if sample.backend == "auto" else sample.backend

    def seconds(steps: int) -> float:
        run = make(replace(instance, width=tried, steps=steps, seed=steps), backend=backend)
        started = time.perf_counter()
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):  # it may diverge, and takes as long
            _ = run.trajectory
        return time.perf_counter() - started

    seconds(1)  # kernels are compiled on first use
    start, steps = seconds(1), 4
    while (long := seconds(steps)) < TIMED and steps < _MOST_STEPS:
        steps *= 4
    # where a start is too short to be told from noise, all is steps
    step = (long - start) / (steps - 1) if long > 2 * start else long / steps
    start = max(start - step, 0.0)
    scale = instance.width / tried
    return Cost(
        width=instance.width,
        steps=instance.steps,
        memory=memory_of(sample, instance.width),
        seconds=scale * (start + instance.steps * step),
        backend=backend,
    )


def cost_of_start(make: Callable[..., Any], instance: Instance) -> Cost:
    """What measuring a network as it is drawn takes: a sweep block by block, which holds no more than a block."""
    sample = make(instance)
    tried = min(max(64, instance.width), BLOCK)
    tried += tried % 2

    def seconds(seed: int) -> float:
        run = make(replace(instance, width=tried, steps=0, seed=seed))
        started = time.perf_counter()
        with one_blas_thread():
            _ = run.at_start
        return time.perf_counter() - started

    seconds(1)
    return Cost(
        width=instance.width,
        steps=0,
        memory=memory_of(sample, min(instance.width, BLOCK)),
        seconds=min(seconds(seed) for seed in (2, 3)) * max(1.0, instance.width / tried),
        backend=sample.backend,
    )


def bytes_in_words(count: float) -> str:
    """1.5 GiB; what has no prefix as a power of ten."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count * 1024:.2g} EiB"


def seconds_in_words(seconds: float) -> str:
    """4 s, 3 min, 5 h, 12 days, 3e+05 years."""
    for size, unit in ((365.25 * 86400, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def count_in_words(count: float) -> str:
    """16,384 or 2.3e+15."""
    return f"{count:,.0f}" if count < 1e9 else f"{count:.3g}"
