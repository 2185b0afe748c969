"""The one place that knows the backends by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.samples import Samples, collect_samples
from ntkverify.symbolic.network.neuron import Neuron

BACKENDS = ("cpu", "gpu", "array", "ball")


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


#: neurons times residuals from which the fused kernels are worth loading
WORTH_COMPILING = 1 << 12


def fastest_backend(samples: Samples, width: int) -> str:
    """What ``auto`` stands for: fused kernels, or the plain evaluator where a sweep takes less than calling them."""
    return "cpu" if width * samples.total >= WORTH_COMPILING else "array"


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
    if backend == "ball":
        from ntkverify.execution.walking.ball import BallExecutor

        return BallExecutor(samples, **options)
    if backend == "array":
        from ntkverify.execution.walking.array import ArrayExecutor

        return ArrayExecutor(samples, **options)
    if backend == "gpu":
        from ntkverify.execution.fused.gpu import GpuExecutor

        return GpuExecutor(samples)
    from ntkverify.execution.fused.cpu import CpuExecutor
    from ntkverify.execution.fused.gemm import GemmExecutor, worthwhile

    if worthwhile(samples.neuron, samples.total):
        return GemmExecutor(samples, **options)
    return CpuExecutor(samples, **options)
