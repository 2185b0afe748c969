"""Enough of CuPy, under the older of its names, to run the GPU executor without a GPU.

Arrays lie on the host but refuse to become NumPy arrays by themselves, as CuPy's do. Kernels are compiled for the host,
and a block's threads take turns there: each runs until it waits at a barrier for the others, so that barriers, shared
memory and shuffles do what they do on a device, one block after the other, and a barrier that is missing shows every
time. Compiled kernels are kept with the library's own.
"""

import ctypes
import functools
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest

from ntkverify.cache import cache_directory
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.fused.gpu import require_cupy

COMPILER = shutil.which("g++")
COMPILE = (COMPILER, "-std=c++20", "-O1", "-shared", "-fPIC")

DEVICE = """
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ucontext.h>
using namespace std;
#define __global__
#define __device__
#define __shared__ static
struct Index { long long x; };
static Index blockIdx, blockDim, threadIdx;
static const int warpSize = 32;
static const long long most = 1024;
static const size_t stack = 1 << 17;
static ucontext_t main_context, contexts[most];
static char* stacks = (char*)malloc(most * stack);
static bool finished[most];
static long long without_progress;
struct Barrier {
  long long arrived, turn;
  void wait(long long members);
};
static Barrier all_threads, warps_of_block[most / 32];
static void pass_on() {
  const long long own = threadIdx.x;
  long long next = own;
  do next = (next + 1) % blockDim.x; while (finished[next] && next != own);
  if (++without_progress > 2 * blockDim.x) {
    fprintf(stderr, "threads of a block wait at different barriers\\n");
    abort();
  }
  threadIdx.x = next;
  if (next != own) swapcontext(&contexts[own], &contexts[next]);
  threadIdx.x = own;
}
void Barrier::wait(long long members) {
  const long long own = turn;
  if (++arrived == members) {
    arrived = 0;
    ++turn;
    without_progress = 0;
  }
  while (turn == own) pass_on();
}
static void __syncthreads() { all_threads.wait(blockDim.x); }
static double lanes[most];
static double __shfl_down_sync(unsigned, double value, int offset) {
  Barrier& warp = warps_of_block[threadIdx.x / warpSize];
  lanes[threadIdx.x] = value;
  warp.wait(warpSize);
  const bool inside = threadIdx.x % warpSize + offset < warpSize;
  const double result = inside ? lanes[threadIdx.x + offset] : value;
  warp.wait(warpSize);
  return result;
}
"""
LAUNCH = """
struct Arguments { MEMBERS };
static Arguments given;
static void run_thread() {
  KERNEL(GIVEN);
  finished[threadIdx.x] = true;
  without_progress = 0;
  long long next = 0;
  while (next < blockDim.x && finished[next]) ++next;
  if (next == blockDim.x) setcontext(&main_context);
  threadIdx.x = next;
  setcontext(&contexts[next]);
}
extern "C" void launch(long long grid, long long block, PARAMETERS) {
  given = {ARGUMENTS};
  blockDim.x = block;
  for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
    for (long long t = 0; t < block; ++t) {
      finished[t] = false;
      getcontext(&contexts[t]);
      contexts[t].uc_stack.ss_sp = stacks + t * stack;
      contexts[t].uc_stack.ss_size = stack;
      contexts[t].uc_link = nullptr;
      makecontext(&contexts[t], run_thread, 0);
    }
    without_progress = 0;
    threadIdx.x = 0;
    swapcontext(&main_context, &contexts[0]);
  }
}
"""
# argument by argument, what a kernel's signature asks for; CuPy takes scalars by their NumPy type
DOUBLES, LONGS = "pointer to doubles", "pointer to long longs"
POINTERS = {DOUBLES: np.float64, LONGS: np.int64}
SIGNATURES = {
    "sweep": [DOUBLES] * 4 + [LONGS, np.float64, DOUBLES, DOUBLES, np.int32, np.int32, np.int32, np.int64, np.int64],
    "measure": [DOUBLES] * 5 + [LONGS, np.float64, DOUBLES, DOUBLES, np.int64, np.int64],
}
NAMES = {DOUBLES: "double*", LONGS: "long long*", np.float64: "double", np.int32: "int", np.int64: "long long"}
SCALARS = {np.float64: ctypes.c_double, np.int32: ctypes.c_int, np.int64: ctypes.c_longlong}


def launcher(name):
    """What launches the kernel of a name."""
    kinds = [NAMES[kind] for kind in SIGNATURES[name]]
    arguments = [f"argument_{i}" for i in range(len(kinds))]
    filled = LAUNCH.replace("PARAMETERS", ", ".join(f"{k} {a}" for k, a in zip(kinds, arguments, strict=True)))
    filled = filled.replace("MEMBERS", " ".join(f"{k} {a};" for k, a in zip(kinds, arguments, strict=True)))
    filled = filled.replace("GIVEN", ", ".join(f"given.{a}" for a in arguments))
    return filled.replace("ARGUMENTS", ", ".join(arguments)).replace("KERNEL", name)


class Array(np.ndarray):
    """An array "on the device"."""

    def get(self):
        """A copy on the host."""
        return np.array(self, subok=False)


def _on_device(function):
    def call(*args, **options):
        for a in args:
            parts = a if isinstance(a, list | tuple) else [a]
            if any(type(p) is np.ndarray and p.ndim for p in parts):
                raise TypeError(f"Unsupported type <class 'numpy.ndarray'> in {function.__name__}")
        return np.asanyarray(function(*args, **options)).view(Array)

    return call


def empty(shape):
    """An array whose entries nobody should read."""
    return np.full(shape, np.nan)


class RawKernel:
    """A kernel, compiled for the host."""

    def __init__(self, code, name, options=()):
        self.code, self.name = code, name

    def compile(self):
        """Nothing yet: what compiles here is the first call."""

    def __call__(self, grid, block, args):
        """Launch; every argument must have the type that the kernel's signature has."""
        values = []
        for argument, kind in zip(args, SIGNATURES[self.name], strict=True):
            if kind in POINTERS and isinstance(argument, Array):
                assert argument.flags.c_contiguous
                assert argument.dtype == POINTERS[kind]
                values.append(ctypes.c_void_p(argument.ctypes.data))
            elif kind in POINTERS:
                assert type(argument) is np.uint64
                assert argument == 0
                values.append(ctypes.c_void_p(None))
            else:
                assert type(argument) is kind
                values.append(SCALARS[kind](argument))
        self.library().launch(ctypes.c_longlong(grid[0]), ctypes.c_longlong(block[0]), *values)

    def library(self):
        """The compiled kernel."""
        source = DEVICE + self.code + launcher(self.name)
        folder = cache_directory() / "simulated device"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hashlib.sha256(f'{source} {COMPILE} {machine()}'.encode()).hexdigest()[:24]}.so"
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                file, made = Path(own) / "kernel.cpp", Path(own) / "kernel.so"
                file.write_text(source)
                subprocess.run([*COMPILE, "-o", made, file], check=True)
                made.replace(path)  # several processes may compile the same
        return ctypes.CDLL(str(path))


@functools.cache
def machine():
    """What a compiled kernel is good for."""
    version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True).stdout
    return f"{version} {platform.platform()} {platform.machine()}"


DEVICE_BYTES = 1 << 30


def simulated_cupy():
    """The module."""
    module = types.ModuleType("cupy")
    alike = (
        "exp log sin cos tan sinh cosh tanh arctan atan asin acos abs sign greater less sqrt log1p maximum where "
        "concatenate transpose broadcast_to stack reshape sum max"
    )
    for name in alike.split():
        setattr(module, name, _on_device(getattr(np, name)))
    for make in (np.asarray, np.array, np.zeros, np.ones, np.ascontiguousarray, empty):
        setattr(module, make.__name__, lambda *a, make=make, **o: make(*a, **o).view(Array))
    module.ndarray, module.float64, module.RawKernel = Array, np.float64, RawKernel
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError, memGetInfo=lambda: (DEVICE_BYTES, DEVICE_BYTES)
    )
    module.get_default_memory_pool = lambda: types.SimpleNamespace(free_bytes=lambda: 0)
    module.cuda = types.SimpleNamespace(runtime=runtime)
    return module


def use_device(patch):
    """The device of this machine, or a simulated one in the place of CuPy where there is none."""
    try:
        require_cupy()
    except NtkVerifyError:
        if COMPILER is None:
            pytest.skip("the simulated device compiles with g++, which is not on PATH")
        patch.setitem(sys.modules, "cupy", simulated_cupy())
