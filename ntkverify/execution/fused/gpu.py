"""The fused GPU executor: CuPy raw kernels generated from the neuron."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.fused.gpu_step import measured_step
from ntkverify.execution.kernels.cuda.step import CudaStep, cuda_step_source
from ntkverify.execution.kernels.cuda.sweep import THREADS, cuda_source
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.samples import Forward, Samples, check_weights
from ntkverify.execution.step import MeasuredStep, Step
from ntkverify.execution.walking.array import ArrayExecutor


def require_cupy() -> Any:
    """CuPy, with a device at hand and what it takes to compile for it.

    Raises
    ------
    NtkVerifyError
        Saying whether the package, the device or the compiler is missing.
    """
    try:
        import cupy
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            raise NtkVerifyError(
                "backend 'gpu' needs CuPy, which is not installed; "
                "pip install 'ntkverify[cuda12]' or 'ntkverify[cuda13]'"
            ) from error
        raise NtkVerifyError(
            f"backend 'gpu' found CuPy, which does not load ({_first_line(error)}); "
            "install the one for your version of CUDA"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise NtkVerifyError(
            f"backend 'gpu' found CuPy but no working CUDA device ({error}); use backend='cpu'"
        ) from error
    if count == 0:
        raise NtkVerifyError("backend 'gpu' found CuPy but no CUDA device; use backend='cpu'")
    try:
        cupy.RawKernel('extern "C" __global__ void nothing() {}', "nothing").compile()
        (cupy.zeros((1, 1)) + 1).sum()  # CuPy's own kernels need CUDA's headers besides
    except Exception as error:  # of which class depends on CuPy's version
        raise NtkVerifyError(
            f"backend 'gpu' found CuPy and a device but cannot compile for it ({_first_line(error)}); install the CUDA "
            "toolkit, or pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]'"
        ) from error
    return cupy


def _first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


# entries of the Jacobian of a chunk of neurons, 64 MiB: subexpressions take up to forty times as much besides
CHUNK_ENTRIES = 1 << 23
_ALWAYS_FREE = 1 << 28  # bytes; asking the device before every step would take longer than a short one


class Namespace:
    """CuPy under the names of the array API, some of which its versions before 14 lack."""

    _older: ClassVar = {"atan": "arctan", "concat": "concatenate", "permute_dims": "transpose"}

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy

    def __getattr__(self, name: str) -> Any:
        cupy = self.__dict__["_cupy"]
        return getattr(cupy, name) if hasattr(cupy, name) else getattr(cupy, self._older.get(name, name))

    def astype(self, array: Any, dtype: Any) -> Any:
        """The array with other entries of the same value."""
        return array.astype(dtype)

    def asarray(self, array: Any, dtype: Any = None, *, copy: bool = False) -> Any:
        """An array on the device; `copy` forces a new one."""
        return self._cupy.array(array, dtype=dtype) if copy else self._cupy.asarray(array, dtype=dtype)


class GpuExecutor(ArrayExecutor):
    """Runs a problem in fused sweeps on one CUDA device; Jacobians and Gram matrices by the array evaluator, in chunks.

    Weights are CuPy arrays (`step` changes them in place); draw them on the host, as for every other
    backend, and move them with ``cupy.asarray``.
    """

    def __init__(self, samples: Samples) -> None:
        cupy = require_cupy()
        super().__init__(samples, Namespace(cupy))
        self._cupy = cupy
        self._kernel = cupy.RawKernel(cuda_source(samples.neuron), "sweep", options=("--std=c++14",))
        self._sizes = cupy.asarray(np.array([b.size for b in samples.blocks], dtype=np.int64))
        self._all_points = self.xp.concat([b.points for b in self.samples.blocks])
        self._features = max(len(b.block.features) for b in samples.blocks)

    def with_samples(self, samples: Samples) -> GpuExecutor:
        """The same executor for other points and targets, on either side and of any precision; they are moved."""
        moved = tuple(
            dataclasses.replace(
                b,
                points=self.xp.asarray(b.points, dtype=self.xp.float64),
                targets=self.xp.asarray(b.targets, dtype=self.xp.float64),
            )
            for b in samples.blocks
        )
        other = super().with_samples(Samples(samples.neuron, moved))
        other._all_points = self.xp.concat([b.points for b in moved])
        return other

    def _rebuilt(self, samples: Samples) -> GpuExecutor:
        return GpuExecutor(samples)

    def forward(self, weights: Any, frozen: Any = None) -> Forward:
        return self._sweep(weights, frozen, None, 0.0, None, add=True)

    def vjp(self, weights: Any, frozen: Any, forward: Forward, vector: Any) -> Any:
        self._check_vector(vector)
        gradient = self.xp.empty((weights.shape[0], len(self.neuron.weights)))
        self._sweep(weights, frozen, self.cotangents(forward, vector, weights.shape[0]), 0.0, gradient, add=False)
        return gradient

    def step(self, weights: Any, frozen: Any, forward: Forward, eta: Any) -> Forward:
        cotangents = self.cotangents(forward, forward.residuals, weights.shape[0])
        return self._sweep(weights, frozen, cotangents, float(eta), None, add=True)

    def jacobian(self, weights: Any, frozen: Any = None) -> Any:
        """The Jacobian (N, m * p), chunk by chunk of neurons, so that no more than it and a chunk need memory."""
        total, p = self.samples.total, len(self.neuron.weights)
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        self._refuse(8 * total * p * len(weights), f"the Jacobian of {total} residuals at m = {len(weights)}")
        result = self.xp.empty((total, p * len(weights)))
        for chunk, rows in self._chunks(weights, frozen):
            result[:, p * chunk.start : p * chunk.stop] = rows
        return result

    def gram(self, weights: Any, frozen: Any = None) -> Any:
        """``J J^T`` from the Jacobians of chunks of neurons: J as a whole is never stored."""
        total = self.samples.total
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        self._refuse(2 * 8 * total**2, f"the Gram matrix of {total} residuals")
        result = self.xp.zeros((total, total))
        for _, rows in self._chunks(weights, frozen):
            result += rows @ rows.T
        return result

    def _chunks(self, weights: Any, frozen: Any) -> Iterator[tuple[slice, Any]]:
        """The Jacobian's columns, by chunks of neurons."""
        slopes = self.slopes(self.forward(weights, frozen))
        m, width = len(weights), max(1, CHUNK_ENTRIES // (self.samples.total * len(self.neuron.weights)))
        for start in range(0, m, width):
            chunk = slice(start, min(start + width, m))
            rows = self._jacobian_of(slopes, weights[chunk, :], frozen[chunk, :])
            # scaled as if it were the whole network's
            yield chunk, rows * math.sqrt((chunk.stop - start) / m)

    def _checked(self, weights: Any, frozen: Any) -> tuple[Any, Any]:
        """The weights, if they are as the kernels read them."""
        weights, frozen = check_weights(self.neuron, weights, self._frozen(weights, frozen))
        for name, array in (("weights", weights), ("frozen", frozen)):
            if not (isinstance(array, self.xp.ndarray) and array.dtype == np.float64 and array.flags.c_contiguous):
                raise NtkVerifyError(
                    f"{name} must be a C-contiguous float64 CuPy array; "
                    f"pass cupy.ascontiguousarray({name}, dtype=float)"
                )
        return weights, frozen

    def _measured(self, step: Step) -> MeasuredStep:
        weights, frozen = self._checked(step.weights, step.frozen)
        return measured_step(self, dataclasses.replace(step, weights=weights, frozen=frozen))

    def measure(
        self, weights: Any, frozen: Any, change: Any, cotangents: Any, eta: float, gradient: Any, partial: Any
    ) -> None:
        """Launch the kernel of `measured_step`; the arrays are its arguments."""
        m = weights.shape[0]
        self._measuring(
            (-(-m // THREADS),),
            (THREADS,),
            (
                weights,
                frozen,
                np.uint64(0) if change is None else change,
                self._all_points,
                cotangents,
                self._sizes,
                np.float64(eta),
                gradient,
                partial,
                np.int64(m),
                np.int64(self.samples.total),
            ),
        )

    @functools.cached_property
    def step_source(self) -> CudaStep:
        """Text of the measured step."""
        return cuda_step_source(self.neuron)

    @functools.cached_property
    def _measuring(self) -> Any:
        return self._cupy.RawKernel(self.step_source.text, "measure", options=("--std=c++14",))

    def contiguous(self, array: Any) -> Any:
        """The array in float64, row by row, as the kernels read it."""
        return self._cupy.ascontiguousarray(array, dtype=np.float64)

    def cotangents(self, forward: Forward, vector: Any, m: int) -> Any:
        """What the gradients of the features are multiplied by, (K, N)."""
        result = self.xp.zeros((self._features, self.samples.total))
        for b, slopes in zip(self.samples.blocks, self.slopes(forward), strict=True):
            for k, slope in enumerate(slopes):
                result[k, b.rows] = slope * self._inverse_root(m) * vector[b.rows]
        return result

    def _sweep(self, weights: Any, frozen: Any, cotangents: Any, eta: float, gradient: Any, *, add: bool) -> Forward:
        weights, frozen = self._checked(weights, frozen)
        m, rows = weights.shape[0], self.samples.total
        blocks = -(-m // THREADS)
        partial = self.partial(blocks, rows) if add else self.xp.empty((1,))
        nothing = np.uint64(0)  # a null pointer
        differentiate = cotangents is not None
        self._kernel(
            (blocks,),
            (THREADS,),
            (
                weights,
                frozen,
                self._all_points,
                cotangents if differentiate else nothing,
                self._sizes,
                np.float64(eta),
                nothing if gradient is None else gradient,
                partial,
                np.int32(differentiate),
                np.int32(differentiate and gradient is None),
                np.int32(add),
                np.int64(m),
                np.int64(rows),
            ),
        )
        if not add:
            return Forward((), partial)
        # first within groups: one sum over all blocks would keep a few of the device's processors busy
        total = partial.sum(axis=1).sum(axis=0) * self._inverse_root(m)
        return self._residuals_of(tuple(total[: len(b.block.features), b.rows] for b in self.samples.blocks))

    def partial(self, blocks: int, rows: int, sums: int = 1) -> Any:
        """Zeros for the sums of every block of threads, in about as many groups as a group has blocks.

        Shape (groups, blocks, sums * K, rows).
        """
        group = 1 << ((blocks - 1).bit_length() + 1) // 2
        shape = (-(-blocks // group), group, sums * self._features, rows)
        self._refuse(8 * math.prod(shape), f"adding {blocks * THREADS} neurons at {rows} samples")
        return self.xp.zeros(shape)

    def _refuse(self, needed: int, what: str) -> None:
        """Refuse what the device has no memory for."""
        if needed > _ALWAYS_FREE:
            free = self._cupy.cuda.runtime.memGetInfo()[0] + self._cupy.get_default_memory_pool().free_bytes()
            refuse_beyond_memory(needed, f"{what} on the GPU", free=int(free))
