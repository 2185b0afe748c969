"""Time the fused CUDA executor against JAX and PyTorch on the same device, side by side in one run.

    python scripts/benchmark_gpu.py
    python scripts/benchmark_gpu.py --json results.json --width 1000000

First the fused CUDA executor against the rivals, then against this library's own CPU executor on the same machine, from
narrow networks to wide ones, and the first theorem's literal check on both. Needs CuPy, and JAX and PyTorch built for
CUDA. Times are medians of five, the contestants taking turns; the device's
peaks (a loop of fused multiply-adds, a copy) are the best seen in the run.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from typing import Any

import numpy as np
from benchmark import LITERAL, draw, executor_of, literal_case, race, show
from benchmark_machine import best_time, describe_machine
from benchmark_rivals import jax_forms, jax_step, torch_step

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.fused.gpu import require_cupy

CASES = [("heat", (200, 50), 1), ("poisson", (200, 50), 1), ("relu", (200,), 3)]
MEMORY_BOUND = ("relu", (2,), 2)
#: where a device begins to pay: samples, coordinates and widths
BESIDE = [
    ("heat", (200, 50), 1, 4 ** np.arange(6, 10)),
    ("poisson", (20, 10), 1, 4 ** np.arange(6, 9)),
    ("relu", (2,), 2, 4 ** np.arange(9, 12)),
]
CHAINS, ROUNDS = 8, 16384

FMA_SOURCE = f"""
extern "C" __global__ void multiply_add(double* x) {{
  const double v = x[blockIdx.x * blockDim.x + threadIdx.x];
  double a[{CHAINS}];
#pragma unroll
  for (int c = 0; c < {CHAINS}; ++c) a[c] = v + c;
  for (int r = 0; r < {ROUNDS}; ++r) {{
#pragma unroll
    for (int c = 0; c < {CHAINS}; ++c) a[c] = a[c] * v + v;
  }}
  double total = 0.0;
#pragma unroll
  for (int c = 0; c < {CHAINS}; ++c) total += a[c];
  x[blockIdx.x * blockDim.x + threadIdx.x] = 0.5 + 1e-9 * total;  // stays near one half
}}
"""


def require_rivals() -> None:
    """JAX and PyTorch on the device: either could run on the processor unnoticed.

    Raises
    ------
    NtkVerifyError
        Saying which one is missing, or has no device.
    """
    # JAX would take three quarters of the device's memory, which the others need
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax
        import torch
    except ImportError as error:
        raise NtkVerifyError(f"the benchmark needs JAX and PyTorch ({error}); install them built for CUDA") from error
    if jax.default_backend() != "gpu":
        raise NtkVerifyError(f"JAX runs on {jax.default_backend()!r} here; pip install 'jax[cuda12]' or 'jax[cuda13]'")
    if not torch.cuda.is_available():
        raise NtkVerifyError("PyTorch finds no CUDA device; install it built for CUDA")


def describe_device(cupy: Any) -> dict[str, Any]:
    """The device, and what compiles for it."""
    runtime = cupy.cuda.runtime
    return {
        "device": runtime.getDeviceProperties(0)["name"].decode(),
        "cupy": cupy.__version__,
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cuda_driver": runtime.driverGetVersion(),
    }


def device_peaks(cupy: Any) -> dict[str, float]:
    """Measured rates of the device: multiply-adds in GFLOP/s, copying in GB/s, read plus written."""
    blocks, threads = 4096, 256
    x = cupy.full(blocks * threads, 0.5)
    kernel = cupy.RawKernel(FMA_SOURCE, "multiply_add")
    source = cupy.ones(1 << 27)
    target = cupy.empty_like(source)

    fma = best_time(_finished(cupy, lambda: kernel((blocks,), (threads,), (x,))), 7)
    moved = best_time(_finished(cupy, lambda: cupy.copyto(target, source)), 7)
    return {
        "fma_gflops": 2 * CHAINS * ROUNDS * blocks * threads / fma / 1e9,
        "copy_gbytes_per_s": 2 * source.nbytes / moved / 1e9,
    }


def step_case(cupy: Any, kind: str, sizes: tuple[int, ...], d: int, m: int, peaks: dict[str, float]) -> dict[str, Any]:
    """One step of gradient descent on the device."""
    eta = 1e-6
    neuron, problem, weights, a = draw(kind, sizes, d, m)
    executor = executor_of(neuron, problem, "gpu")
    mine, frozen = cupy.asarray(weights), cupy.asarray(a)
    state = [executor.forward(mine, frozen)]

    def fused() -> None:
        state[0] = executor.step(mine, frozen, state[0], eta)
        cupy.cuda.get_current_stream().synchronize()

    contestants = {"ntkverify": fused}
    for form in jax_forms(kind):
        contestants[f"jax, {form}"] = jax_step(kind, form, problem, weights, a[:, 0], eta)
    contestants["torch"] = torch_step(kind, problem, weights, a[:, 0], eta, device="cuda")
    times = race(contestants)
    own = times["ntkverify"]
    # those of the CPU's text, which pays less per neuron and sample than the device's
    operations = executor_of(neuron, problem).operations_per_step(m)
    moved = 8 * m * (2 * weights.shape[1] + 1)
    return {
        "case": f"{kind} step n={sizes} d={d} m={m}",
        "seconds": times,
        "ratio": {name: t / own for name, t in times.items() if name != "ntkverify"},
        "gflops": operations / own / 1e9,
        "share_of_fma_peak": operations / own / 1e9 / peaks["fma_gflops"],
        "share_of_copy_peak": moved / own / 1e9 / peaks["copy_gbytes_per_s"],
    }


def beside_case(cupy: Any, kind: str, sizes: tuple[int, ...], d: int, m: int) -> dict[str, Any]:
    """A step, a measured step and a Gram matrix on the device, and on the processor beside it."""
    neuron, problem, weights, a = draw(kind, sizes, d, m)
    contestants: dict[str, Any] = {}
    for backend in ("cpu", "gpu"):
        executor = executor_of(neuron, problem, backend)
        w, frozen = executor.from_host(weights), executor.from_host(a)
        start, forward = w.copy(), executor.forward(w, frozen)
        calls = {
            "step": functools.partial(executor.step, w, frozen, forward, 0.0),
            "measured step": functools.partial(executor.measured_step, w, frozen, forward, 0.0, start=start),
            "gram": functools.partial(executor.gram, w, frozen),
        }
        contestants |= {f"{name}, {backend}": _finished(cupy, call) for name, call in calls.items()}
    times = race(contestants, rounds=3)
    ratio = {name: times[f"{name}, cpu"] / times[f"{name}, gpu"] for name in calls}
    return {"case": f"{kind} beside the processor n={sizes} d={d} m={m}", "seconds": times, "ratio": ratio}


def _finished(cupy: Any, work: Any) -> Any:
    def run() -> None:
        work()
        cupy.cuda.get_current_stream().synchronize()

    return run


def main(arguments: list[str]) -> None:
    """Parse the command line and run all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1_000_000, help="neurons (default: 1000000)")
    parser.add_argument("--json", help="file to write the figures to")
    chosen = parser.parse_args(arguments)
    try:
        cupy = require_cupy()
        require_rivals()
    except NtkVerifyError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    device = describe_device(cupy)
    peaks, rows = device_peaks(cupy), []
    cupy.get_default_memory_pool().free_all_blocks()  # the rivals may need it
    print(device["device"], ", ".join(f"{k} {v:.1f}" for k, v in peaks.items()), flush=True)

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        show(row)
        if chosen.json:
            with open(chosen.json, "w") as file:
                record = {"machine": describe_machine() | device, "peaks": peaks, "rows": rows}
                json.dump(record, file, indent=1)

    for kind, sizes, d, width in [*((*case, chosen.width) for case in CASES), (*MEMORY_BOUND, 10 * chosen.width)]:
        keep(step_case(cupy, kind, sizes, d, width, peaks))
    for kind, sizes, d, widths in BESIDE:
        for m in widths:
            keep(beside_case(cupy, kind, sizes, d, int(m)))
    for options in LITERAL:
        for backend in ("cpu", "gpu"):
            row = literal_case(*options, backend=backend)
            keep(row | {"case": f"{row['case']}, {backend}"})


if __name__ == "__main__":
    main(sys.argv[1:])
