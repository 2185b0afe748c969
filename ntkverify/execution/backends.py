"""The one place that knows the backends by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.samples import collect_samples
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
    if backend not in BACKENDS:
        raise NtkVerifyError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    allowed = {"cpu": {"threads"}, "gpu": set[str](), "array": {"xp"}, "ball": {"bits"}}[backend]
    if set(options) - allowed:
        raise NtkVerifyError(
            f"backend {backend!r} has no option {sorted(set(options) - allowed)[0]!r}; it takes {sorted(allowed)}"
        )
    dtype = object if backend == "ball" else np.float64
    samples = collect_samples(neuron, points, targets, scale, dtype=dtype)
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

    if worthwhile(neuron, samples.total):
        return GemmExecutor(samples, **options)
    return CpuExecutor(samples, **options)
