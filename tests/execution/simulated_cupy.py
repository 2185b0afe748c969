"""Enough of CuPy, under the older of its names, to run the GPU executor without a GPU.

Arrays lie on the host but refuse to become NumPy arrays by themselves, as CuPy's do. Kernels are compiled for the host,
with one thread of the operating system for each of a block's: barriers, shared memory and shuffles do what they
do on a device, one block after the other.
"""

import ctypes
import hashlib
import shutil
import subprocess
import types

import numpy as np

COMPILER = shutil.which("g++")

DEVICE = """
#include <barrier>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>
using namespace std;
#define __global__
#define __device__
#define __shared__ static
struct Index { long long x; };
static Index blockIdx, blockDim;
static thread_local Index threadIdx;
static const int warpSize = 32;
static unique_ptr<barrier<>> all_threads;
static vector<unique_ptr<barrier<>>> warps_of_block;
static double lanes[1024];
static void __syncthreads() { all_threads->arrive_and_wait(); }
static double __shfl_down_sync(unsigned, double value, int offset) {
  auto& warp = *warps_of_block[threadIdx.x / warpSize];
  lanes[threadIdx.x] = value;
  warp.arrive_and_wait();
  const bool inside = threadIdx.x % warpSize + offset < warpSize;
  const double result = inside ? lanes[threadIdx.x + offset] : value;
  warp.arrive_and_wait();
  return result;
}
"""
LAUNCH = """
extern "C" void launch(long long grid, long long block, PARAMETERS) {
  blockDim.x = block;
  all_threads = make_unique<barrier<>>(block);
  warps_of_block.clear();
  for (int w = 0; w < block / warpSize; ++w) warps_of_block.push_back(make_unique<barrier<>>(warpSize));
  for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
    vector<thread> threads;
    for (long long t = 0; t < block; ++t)
      threads.emplace_back([=] {
        threadIdx.x = t;
        KERNEL(ARGUMENTS);
      });
    for (auto& t : threads) t.join();
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
    arguments = [f"argument_{i}" for i in range(len(SIGNATURES[name]))]
    parameters = [f"{NAMES[kind]} {a}" for kind, a in zip(SIGNATURES[name], arguments, strict=True)]
    filled = LAUNCH.replace("PARAMETERS", ", ".join(parameters)).replace("ARGUMENTS", ", ".join(arguments))
    return filled.replace("KERNEL", name)


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
        name = hashlib.sha256(self.code.encode()).hexdigest()[:16]
        path = FOLDER[0] / f"{name}.so"
        if not path.exists():
            source = FOLDER[0] / f"{name}.cpp"
            source.write_text(DEVICE + self.code + launcher(self.name))
            subprocess.run(
                [COMPILER, "-std=c++20", "-O1", "-pthread", "-shared", "-fPIC", "-o", path, source], check=True
            )
        return ctypes.CDLL(str(path))


FOLDER = []
DEVICE_BYTES = 1 << 30


def simulated_cupy(folder):
    """The module; compiled kernels go to `folder`."""
    FOLDER[:] = [folder]
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
