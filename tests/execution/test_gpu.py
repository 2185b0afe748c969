"""The CUDA kernels: compiled where a compiler is, their arithmetic run on the host, in full where a device is."""

import ctypes
import shutil
import subprocess
import sys

import numpy as np
import pytest
from built_neurons import BUILT
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, relu_regression

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.cuda_source import cuda_source, tile_size
from ntkverify.execution.gpu import require_cupy

# CUDA's words for one thread per block: no lane to shuffle from, nobody to wait for
HOST_SHIM = """
#include <cmath>
using namespace std;
#define __global__
#define __device__
#define __shared__ static
struct Index { long long x; };
static Index blockIdx, threadIdx, blockDim = {1};
static const int warpSize = 1;
static void __syncthreads() {}
static double __shfl_down_sync(unsigned, double, int) { return 0.0; }
"""
HOST_LAUNCH = """
extern "C" void launch(double* weights, const double* frozen, const double* points, const double* cotangents,
    const long long* sizes, double eta, double* gradient, double* partial, int differentiate, int update, int add,
    long long m, long long rows) {
  for (blockIdx.x = 0; blockIdx.x < m; ++blockIdx.x)
    sweep(weights, frozen, points, cotangents, sizes, eta, gradient, partial, differentiate, update, add, m, rows);
}
"""


def device_is_missing():
    try:
        require_cupy()
    except NtkVerifyError as error:
        return str(error)
    return ""


def _family(name):
    if name in KINDS:
        return "hand-built"
    return next((f for f in ("regression", "PINN") if name.startswith(f)), "other builders")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="compiling CUDA needs nvcc, which is not on PATH")
@pytest.mark.parametrize("family", ["hand-built", "regression", "PINN", "other builders"])
def test_every_kernel_compiles(family, tmp_path):
    makers = [make for name, make in (KINDS | BUILT).items() if _family(name) == family]
    sources = [cuda_source(make()).replace("void sweep(", f"void sweep_{i}(") for i, make in enumerate(makers)]
    # the helpers of the first source serve all
    helpers = sources[0].split('extern "C"')[0]
    file = tmp_path / "kernels.cu"
    file.write_text(sources[0] + "".join(s.replace(helpers, "") for s in sources[1:]))
    done = subprocess.run(
        ["nvcc", "--ptx", "-std=c++17", "-Werror", "all-warnings", "-o", tmp_path / "kernels.ptx", file],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "kernels.ptx").read_text().count(".entry") == len(makers) > 0


@pytest.mark.skipif(
    shutil.which("g++") is None, reason="running the kernels on the host needs g++, which is not on PATH"
)
@pytest.mark.parametrize("kind", ["heat", "advection", "softplus"])
def test_the_kernels_arithmetic_on_the_host(kind, tmp_path):
    neuron, m = KINDS[kind](), 11
    tile = tile_size(neuron)
    # more samples than a tile holds, and not a whole number of tiles
    sizes = [tile + 5, 3][: len(neuron.blocks)]
    problem, weights, frozen = draw_problem(neuron, sizes, m, 2)
    source = tmp_path / "kernel.cpp"
    source.write_text(HOST_SHIM + cuda_source(neuron) + HOST_LAUNCH)
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-o", tmp_path / "kernel.so", source], check=True)
    launch = ctypes.CDLL(str(tmp_path / "kernel.so")).launch

    array = executor_of(neuron, problem, backend="array")
    forward = array.forward(weights, frozen)
    rows, features = sum(sizes), max(len(b.features) for b in neuron.blocks)
    cotangents, partial = np.zeros((features, rows)), np.zeros((m, features, rows))
    for b, slopes in zip(array.samples.blocks, array.slopes(forward), strict=True):
        for k, slope in enumerate(slopes):
            cotangents[k, b.rows] = slope * m**-0.5 * forward.residuals[b.rows]
    points = np.concatenate([b.points for b in array.samples.blocks])
    moved, gradient, eta = weights.copy(), np.zeros_like(weights), 0.01
    pointer, integer = ctypes.c_void_p, ctypes.c_longlong
    lengths = np.array(sizes, dtype=np.int64)
    launch(
        *(pointer(a.ctypes.data) for a in (moved, frozen, points, cotangents, lengths)),
        ctypes.c_double(eta),
        pointer(gradient.ctypes.data),
        pointer(partial.ctypes.data),
        1, 1, 1, integer(m), integer(rows),
    )  # fmt: skip
    assert relative(gradient, array.gradient(weights, frozen, forward)) < 1e-12
    after = array.step(weights, frozen, forward, eta)
    assert relative(moved, weights) < 1e-13
    for b, sums in zip(array.samples.blocks, after.sums, strict=True):
        assert relative(partial.sum(0)[: len(sums), b.rows] * m**-0.5, sums) < 1e-12


def test_asking_for_a_gpu_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(NtkVerifyError, match="needs CuPy"):
        executor_of(
            relu_regression(2),
            {"points": {"data": np.eye(2)}, "targets": {"data": np.ones(2)}, "scale": None},
            backend="gpu",
        )


@pytest.mark.skipif(bool(device_is_missing()), reason=device_is_missing() or "-")
@pytest.mark.parametrize("kind", KINDS)
def test_gpu_agrees_with_cpu(kind):
    import cupy

    neuron = KINDS[kind]()
    problem, weights, frozen = draw_problem(neuron, (130, 7), 3000, 4)
    cpu, gpu = (executor_of(neuron, problem, backend=b) for b in ("cpu", "gpu"))
    w, f = cupy.asarray(weights), cupy.asarray(frozen)
    c, g = cpu.forward(weights, frozen), gpu.forward(w, f)
    assert relative(g.residuals.get(), c.residuals) < 1e-12
    assert relative(gpu.gradient(w, f, g).get(), cpu.gradient(weights, frozen, c)) < 1e-12
    c, g = cpu.step(weights, frozen, c, 0.01), gpu.step(w, f, g, 0.01)
    assert relative(w.get(), weights) < 1e-12
    assert relative(g.residuals.get(), c.residuals) < 1e-12
