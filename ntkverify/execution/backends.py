"""The one place that knows the backends by name."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.product_samples import ProductSamples
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.symbolic.network.neuron import Neuron

BACKENDS = ("cpu", "gpu", "array", "ball")  #: names of the executors


def make_executor(
    neuron: Neuron,
    points: Mapping[str, Any],
    targets: Mapping[str, Any],
    *,
    scale: Mapping[str, Any] | None = None,
    backend: str = "cpu",
    **options: Any,
) -> Executor:
    """Prepare a problem for running: residuals, gradients, Gram matrices and steps of gradient descent.

    Parameters
    ----------
    neuron : Neuron
        What one neuron contributes to one sample.
    points, targets : mapping from block name to array
        Samples, shape (n_b, number of coordinates), and targets, shape (n_b,).
    scale : mapping from block name to number, optional
        Factor of a block's residuals, often ``n_b**-1/2``; 1 where absent.
    backend : {"cpu", "gpu", "array", "ball"}
        Fused kernels compiled for the processor; the same for a CUDA device (needs CuPy); the plain evaluator
        over array-API arrays (option `xp`, NumPy by default); certified balls (option `bits`, 128 by default).
    **options
        `threads` for "cpu", `xp` for "array", `bits` for "ball".

    Raises
    ------
    NtkVerifyError
        If the backend is unknown or lacks a package, or the samples do not fit the neuron.

    Examples
    --------
    >>> executor = make_executor(neuron, {"data": x}, {"data": y})  # doctest: +SKIP
    >>> forward = executor.forward(weights, frozen)  # doctest: +SKIP
    >>> forward = executor.step(weights, frozen, forward, eta=0.1)  # doctest: +SKIP
    """
    check_options(backend, options)
    dtype = object if backend == "ball" else np.float64
    return executor_of(collect_samples(neuron, points, targets, scale, dtype=dtype), backend=backend, **options)


#: what the networks of a check may run on; "auto" stands for the fastest that is there
RUN_BACKENDS = ("auto", "array", "cpu", "gpu")
#: neurons times residuals from which fused kernels are worth compiling: a sweep of the plain evaluator takes some ten
#: milliseconds there, and compiling what a neuron needs several seconds, once on a machine
WORTH_COMPILING = 1 << 17
#: the same from which a device is worth its launches, half a millisecond a step: there a measured step took as long on
#: 16 processors as on an H200 beside them
WORTH_LAUNCHING = 1 << 20


def fastest_backend(samples: Samples, width: int) -> str:
    """What ``auto`` stands for.

    The plain evaluator below 2^17 neurons times residuals, where it is done before kernels are compiled; a device from
    2^20 on if there is one; the fused CPU kernels between.
    """
    work = width * samples.total
    if work < WORTH_COMPILING:
        return "array"
    return "gpu" if work >= WORTH_LAUNCHING and _device_at_hand() else "cpu"


@functools.cache
def _device_at_hand() -> bool:
    from ntkverify.execution.fused.gpu import require_cupy

    try:
        require_cupy()
    except NtkVerifyError:
        return False
    return True


def chosen_backend(name: str | None = None) -> str:
    """The backend of a check: `name`, else ``$NTKVERIFY_BACKEND``, else ``auto``; one that is not there is refused.

    Raises
    ------
    NtkVerifyError
        If there is no such backend, or it lacks a package, a device or a compiler.
    """
    source = "" if name else "NTKVERIFY_BACKEND: "
    name = name or os.environ.get("NTKVERIFY_BACKEND") or "auto"
    if name not in RUN_BACKENDS:
        raise NtkVerifyError(f"{source}there is no backend {name!r}; choose one of {', '.join(RUN_BACKENDS)}.")
    if name == "gpu":
        from ntkverify.execution.fused.gpu import require_cupy

        require_cupy()
    return name


def check_options(backend: str, options: Mapping[str, Any]) -> None:
    """Refuse a backend that does not exist, or an option that it does not have."""
    if backend not in BACKENDS:
        raise NtkVerifyError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    allowed = {"cpu": {"threads"}, "gpu": set[str](), "array": {"xp"}, "ball": {"bits"}}[backend]
    if set(options) - allowed:
        raise NtkVerifyError(
            f"backend {backend!r} has no option {sorted(set(options) - allowed)[0]!r}; it takes {sorted(allowed)}"
        )


def executor_of(samples: Samples, *, backend: str = "cpu", **options: Any) -> Executor:
    """The executor of samples that are collected already; options as for `make_executor`."""
    check_options(backend, options)
    if isinstance(samples, ProductSamples) and backend != "ball":
        return _of_product(samples, backend, options)
    if backend == "ball":
        from ntkverify.execution.walking.ball import BallExecutor

        return BallExecutor(samples, **options)
    if backend == "array":
        from ntkverify.execution.walking.array import ArrayExecutor

        return ArrayExecutor(samples, **options)
    if backend == "gpu":
        from ntkverify.execution.fused.gpu import GpuExecutor

        return GpuExecutor(samples)
    from ntkverify.execution.fused.gemm import of_processor

    return of_processor(samples, **options)


def _of_product(samples: ProductSamples, backend: str, options: Mapping[str, Any]) -> Executor:
    """Executors that keep both factors of a neuron; balls walk the unrolled one."""
    from ntkverify.execution.walking.factored import FactoredExecutor

    if backend == "gpu":
        from ntkverify.execution.fused.gpu import Namespace, require_cupy

        return FactoredExecutor(samples, Namespace(require_cupy()))
    if backend == "cpu":
        from ntkverify.execution.fused.factored import FactoredCpuExecutor

        return FactoredCpuExecutor(samples, **options)
    return FactoredExecutor(samples, **options)
