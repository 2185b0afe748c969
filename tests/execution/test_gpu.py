"""The CUDA kernels: compiled where a compiler is, their arithmetic run on the host, in full where a device is."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from built_neurons import BUILT
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, relu_regression
from simulated_cupy import COMPILER, simulated_cupy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.cuda_source import cuda_source, tile_size
from ntkverify.execution.gpu import require_cupy
from ntkverify.training import (
    adam,
    gradient_descent,
    gradient_flow,
    lbfgs,
    levenberg_marquardt,
    natural_gradient_descent,
)

TRAININGS = [
    (gradient_descent, {"eta": 0.1, "steps": 3}),
    (adam, {"eta": 0.01, "steps": 3}),
    (lbfgs, {"steps": 3}),
    (gradient_flow, {"times": [0.0, 0.1]}),
    (natural_gradient_descent, {"eta": 0.5, "steps": 2, "solver": "cholesky"}),
    (natural_gradient_descent, {"eta": 0.5, "steps": 2, "solver": "qr"}),
    (levenberg_marquardt, {"steps": 2}),
]


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
        # down to machine code, where shared memory and registers are limited
        ["nvcc", "-cubin", "-arch=sm_90", "-std=c++17", "-Werror", "all-warnings", "-Xptxas", "-v", "-o",
         tmp_path / "kernels.cubin", file],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Compiling entry function") == len(makers) > 0
    spills = [line for line in done.stderr.splitlines() if "bytes spill stores" in line]
    assert len(spills) >= len(makers)
    assert all(" 0 bytes spill stores" in line for line in spills)


def test_more_coordinates_than_shared_memory_holds():
    assert tile_size(relu_regression(500)) >= 1
    with pytest.raises(NtkVerifyError, match=r"6000 coordinates.*use backend='cpu'"):
        tile_size(relu_regression(6000))


@pytest.fixture
def simulated(monkeypatch, tmp_path):
    """The GPU executor on the host: the generated kernels with a block's threads as real threads."""
    if COMPILER is None:
        pytest.skip("running the kernels on the host needs g++, which is not on PATH")
    cupy = simulated_cupy(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    # a device's block has 256 threads: as many here would only take longer to start
    monkeypatch.setattr("ntkverify.execution.cuda_source.THREADS", 64)
    monkeypatch.setattr("ntkverify.execution.gpu.THREADS", 64)
    return cupy


@pytest.mark.parametrize("kind", ["heat", "advection", "softplus"])
def test_the_kernels_run_by_the_threads_of_the_host(kind, simulated, monkeypatch):
    neuron = KINDS[kind]()
    # more samples than a tile holds, not a whole number of tiles; blocks of threads that are not full
    sizes = [tile_size(neuron) + 5, 3][: len(neuron.blocks)]
    problem, weights, frozen = draw_problem(neuron, sizes, 150, 2)
    array, gpu = (executor_of(neuron, problem, backend=b) for b in ("array", "gpu"))
    w, f = simulated.asarray(weights.copy()), simulated.asarray(frozen)
    a, g = array.forward(weights, frozen), gpu.forward(w, f)
    assert relative(g.residuals.get(), a.residuals) < 1e-12
    assert relative(gpu.gradient(w, f, g).get(), array.gradient(weights, frozen, a)) < 1e-12
    assert relative(gpu.gram(w, f).get(), array.gram(weights, frozen)) < 1e-12
    monkeypatch.setattr("ntkverify.execution.gpu.CHUNK_ENTRIES", 40 * sum(sizes) * weights.shape[1])
    assert relative(gpu.gram(w, f).get(), array.gram(weights, frozen)) < 1e-12
    before = weights.copy()
    a, g = array.step(weights, frozen, a, 0.01), gpu.step(w, f, g, 0.01)
    assert relative(w.get() - before, weights - before) < 1e-11
    assert relative(g.residuals.get(), a.residuals) < 1e-12


def test_training_on_the_simulated_device(simulated):
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, (4,), 70, 2)
    array, gpu = (executor_of(neuron, problem, backend=b) for b in ("array", "gpu"))
    w, f = simulated.asarray(weights.copy()), simulated.asarray(frozen)
    for train, options in TRAININGS:
        here, there = train(array, weights, frozen, **options), train(gpu, w, f, **options)
        assert type(there.residuals) is np.ndarray
        assert relative(there.residuals, here.residuals) < 1e-9
    batch = gpu.descend(simulated.asarray(np.stack([weights, weights / 2])), simulated.asarray(np.stack([frozen] * 2)),
                        0.1, steps=2)  # fmt: skip
    expected = array.descend(np.stack([weights, weights / 2]), np.stack([frozen] * 2), 0.1, steps=2)
    assert relative(batch.get(), expected) < 1e-12


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
