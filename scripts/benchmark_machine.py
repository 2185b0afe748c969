"""What this machine can do: a fused multiply-add loop, a copy loop and DGEMM, and a description of it."""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numba import njit

from ntkverify.execution.kernels.fastmath import prefer_wide_vectors
from ntkverify.execution.machine.threads import available_threads, share

CHAINS, DEPTH = 12, 40


@cache
def _multiply_add_kernel():
    """A loop of nothing but fused multiply-adds: CHAINS independent ones hide the latency, lanes fill the vectors."""
    lines = ["def kernel(x, rounds):", "    prefer_wide_vectors()", "    for _ in range(rounds):"]
    lines += ["        for l in range(x.size):", "            v = x[l]"]
    lines += [f"            a{c} = v + {c}.0" for c in range(CHAINS)]
    lines += [f"            a{c} = a{c} * v + v" for _ in range(DEPTH) for c in range(CHAINS)]
    lines.append("            x[l] = 1e-3 * (" + " + ".join(f"a{c}" for c in range(CHAINS)) + ")")
    scope = {"prefer_wide_vectors": prefer_wide_vectors}
    exec("\n".join(lines), scope)
    return njit(nogil=True, fastmath={"contract"}, error_model="numpy")(scope["kernel"])


def best_time(run, repeats):
    """Shortest of wall times in seconds after one warm-up call: other processes only ever lengthen one."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measured_peaks(threads=None, *, known=None, repeats=7):
    """Measured double-precision multiply-add rate, DGEMM rate (GFLOP/s) and copy rate (GB/s, read plus written).

    A peak is the best that was ever seen: with `known`, the larger of each rate and the one known so far.
    """
    threads = threads or available_threads()
    lanes, rounds = 64, 2_000
    arrays = [np.full(lanes, 0.5) for _ in range(threads)]
    kernel = _multiply_add_kernel()
    fma = best_time(lambda: share(lambda i: kernel(arrays[i], rounds), threads, threads), repeats)
    size = 8_000_000
    source, target = np.ones(size), np.zeros(size)
    edges = np.linspace(0, size, threads + 1).astype(int)

    def copy(i):
        target[edges[i] : edges[i + 1]] = source[edges[i] : edges[i + 1]]

    moved = best_time(lambda: share(copy, threads, threads), repeats)
    k = 2000
    a, b = np.random.default_rng(0).random((2, k, k))
    gemm = best_time(lambda: a @ b, repeats)
    found = {
        "fma_gflops": 2 * CHAINS * DEPTH * lanes * rounds * threads / fma / 1e9,
        "dgemm_gflops": 2 * k**3 / gemm / 1e9,
        "copy_gbytes_per_s": 16 * size / moved / 1e9,
    }
    return {name: max(rate, (known or {}).get(name, 0.0)) for name, rate in found.items()}


def describe_machine():
    """Processor, memory and versions, for the record beside the figures."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.processor())
    versions = {}
    for package in ("numpy", "scipy", "sympy", "numba", "llvmlite", "jax", "jaxlib", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "cpu": model,
        "instructions": [f for f in ("avx2", "fma", "avx512f", "amx_tile") if any(f in x.split() for x in lines)],
        "cores": available_threads(),
        "memory_gib": round(memory / 2**30, 1),
        # other processes slow every contestant alike, but the figures per second are only those of a machine at rest
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }
