"""The CUDA kernels: compiled where a compiler is, their arithmetic run on the host, in full where a device is."""

import contextlib
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from built_neurons import BUILT
from definitions import assert_defined, defined
from drawing import draw_problem, executor_of, relative
from hand_built_neurons import KINDS, relu_regression
from simulated_cupy import COMPILER, simulated_cupy

from ntkverify.arithmetic.balls import as_balls
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.fused import gpu as gpu_module
from ntkverify.execution.fused.gpu import require_cupy
from ntkverify.execution.kernels.cuda.step import cuda_step_source
from ntkverify.execution.kernels.cuda.sweep import cuda_source, tile_size
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


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="compiling CUDA needs nvcc, which is not on PATH")
@pytest.mark.parametrize("family", ["hand-built", "regression", "PINN", "other builders"])
def test_every_kernel_compiles(family, tmp_path):
    makers = [make for name, make in (KINDS | BUILT).items() if _family(name) == family]
    sources = [cuda_source(make()).replace("void sweep(", f"void sweep_{i}(") for i, make in enumerate(makers)]
    for i, make in enumerate(makers):
        with contextlib.suppress(NtkVerifyError):  # of exp no bound of the rounding error is known
            sources.append(cuda_step_source(make()).text.replace("void measure(", f"void measure_{i}("))
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
    assert done.stderr.count("Compiling entry function") == len(sources) > len(makers) / 2
    # the measured step has the values before and after it at once, and may spill
    sweeps = re.findall(r"entry function 'sweep_\d+'.*?(\d+) bytes spill stores", done.stderr, flags=re.DOTALL)
    assert len(sweeps) == len(makers) > 0
    assert set(sweeps) == {"0"}


def test_more_coordinates_than_shared_memory_holds():
    assert tile_size(relu_regression(500)) >= 1
    with pytest.raises(NtkVerifyError, match=r"6000 coordinates.*use backend='cpu'"):
        tile_size(relu_regression(6000))


@pytest.fixture
def simulated(monkeypatch):
    """The GPU executor on the host: the generated kernels with a block's threads as real threads."""
    if COMPILER is None:
        pytest.skip("running the kernels on the host needs g++, which is not on PATH")
    cupy = simulated_cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    # a device's block has 256 threads: as many here would only take longer to start
    monkeypatch.setattr("ntkverify.execution.kernels.cuda.sweep.THREADS", 64)
    monkeypatch.setattr("ntkverify.execution.fused.gpu.THREADS", 64)
    monkeypatch.setattr("ntkverify.execution.fused.gpu_step.THREADS", 64)
    return cupy


@pytest.fixture(params=["simulated", "device"])
def cupy(request):
    """CuPy, as the host simulates it and on a device."""
    if request.param == "simulated":
        return request.getfixturevalue("simulated")
    if device_is_missing():
        pytest.skip(device_is_missing())
    return require_cupy()


@pytest.mark.parametrize("kind", ["heat", "advection", "softplus"])
def test_every_answer_agrees_with_the_reference(kind, cupy, monkeypatch):
    neuron = KINDS[kind]()
    # more samples than a tile holds, not a whole number of tiles; blocks of threads that are not full
    sizes = [tile_size(neuron) + 5, 3][: len(neuron.blocks)]
    problem, weights, frozen = draw_problem(neuron, sizes, 150, 2)
    array, gpu = (executor_of(neuron, problem, backend=b) for b in ("array", "gpu"))
    w, f = cupy.asarray(weights.copy()), cupy.asarray(frozen)
    a, g = array.forward(weights, frozen), gpu.forward(w, f)
    assert relative(g.residuals.get(), a.residuals) < 1e-12
    assert relative(gpu.gradient(w, f, g).get(), array.gradient(weights, frozen, a)) < 1e-12
    assert relative(gpu.jacobian(w, f).get(), array.jacobian(weights, frozen)) < 1e-12
    assert relative(gpu.gram(w, f).get(), array.gram(weights, frozen)) < 1e-12
    monkeypatch.setattr("ntkverify.execution.fused.gpu.CHUNK_ENTRIES", 40 * sum(sizes) * weights.shape[1])
    assert relative(gpu.gram(w, f).get(), array.gram(weights, frozen)) < 1e-12
    before = weights.copy()
    again, state = cupy.asarray(weights.copy()), gpu.forward(w, f)
    a, g, repeated = array.step(weights, frozen, a, 0.01), gpu.step(w, f, g, 0.01), gpu.step(again, f, state, 0.01)
    assert relative(w.get() - before, weights - before) < 1e-11
    assert relative(g.residuals.get(), a.residuals) < 1e-12
    assert np.array_equal(g.residuals.get(), repeated.residuals.get())
    assert np.array_equal(w.get(), again.get())


def test_a_neuron_without_frozen_weights(cupy):
    neuron = next(neuron for neuron in (make() for make in KINDS.values()) if not neuron.frozen)
    problem, weights, frozen = draw_problem(neuron, (9, 4)[: len(neuron.blocks)], 70, 2)
    array, gpu = (executor_of(neuron, problem, backend=b) for b in ("array", "gpu"))
    w = cupy.asarray(weights)
    a, g = array.forward(weights, frozen), gpu.forward(w)
    assert relative(gpu.gradient(w, None, g).get(), array.gradient(weights, frozen, a)) < 1e-12


def measured(kind, cupy, change=None):
    """A measured step on the device, and what is defined."""
    neuron = (KINDS | BUILT)[kind]()
    problem, weights, frozen = draw_problem(neuron, [3, 2, 2][: len(neuron.blocks)], 70, 2)
    start = weights + 0.1
    wanted = defined(neuron, problem, weights, frozen, start, 0.01, change=change and change(weights))
    gpu, w, f = executor_of(neuron, problem, backend="gpu"), cupy.asarray(weights.copy()), cupy.asarray(frozen)
    given = None if change is None else cupy.asarray(change(weights))
    step = gpu.measured_step(w, f, gpu.forward(w, f), 0.01, start=cupy.asarray(start), change=given)
    return wanted, w.get(), on_host(step)


def on_host(step):
    """The step with its arrays on the host."""
    arrays = {name: getattr(step, name).get() for name in ("errors", "linear", "remainders", "gram")}
    return replace(step, forward=replace(step.forward, residuals=step.forward.residuals.get()), **arrays)


@pytest.mark.parametrize("kind", ["heat", "softplus", "PINN, Burgers, tanh"])
def test_a_measured_step_is_what_is_defined(kind, cupy, monkeypatch):
    # one sample a tile: more than one of them, with few samples
    monkeypatch.setattr("ntkverify.execution.kernels.cuda.sweep.SHARED_DOUBLES", 150)
    wanted, w, step = measured(kind, cupy)
    assert_defined(wanted, w, step)
    again = measured(kind, cupy)[2]
    np.testing.assert_array_equal(again.remainders, step.remainders)
    assert_defined(*measured(kind, cupy, change=lambda weights: np.sin(weights) / 100))


def test_the_device_bounds_its_rounding(cupy):
    _, w, step = measured("softplus", cupy)
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, [3], 70, 2)
    ball, cpu = executor_of(neuron, problem, backend="ball", bits=256), executor_of(neuron, problem)
    exact = ball.forward(as_balls(w), as_balls(frozen)).residuals
    apart = [abs(float(r - float(x))) for r, x in zip(exact, step.forward.residuals, strict=True)]
    assert (np.array(apart) <= step.errors).all()
    # a warp adds by halves, the processor's lanes one after the other
    other = cpu.measured_step(weights, frozen, cpu.forward(weights, frozen), 0.01, start=weights)
    assert (step.errors < other.errors).all()


@pytest.mark.parametrize(("start", "old", "new"), [
    ("g0 += ", "+=", "-="), ("const double h0 = ", "-eta", "eta"), ("const double new_w0 = ", "+ h0", "- h0"),
    ("const double along0 = ", "= ", "= -"), ("const double old0 = ", "= ", "= -"),
    ("const double now0 = ", "= ", "= -"), ("double y3 = ", ") - along0", ") + along0"),
])  # fmt: skip
def test_a_wrong_sign_in_the_measured_kernel_is_caught(start, old, new, simulated, monkeypatch):
    lines = cuda_step_source(KINDS["softplus"]()).text.splitlines()
    spot = next(i for i, line in enumerate(lines) if line.lstrip().startswith(start) and old in line)
    text = "\n".join([*lines[:spot], lines[spot].replace(old, new, 1), *lines[spot + 1 :]])
    monkeypatch.setattr(gpu_module, "cuda_step_source", lambda neuron: replace(cuda_step_source(neuron), text=text))
    wanted, w, step = measured("softplus", simulated)
    with pytest.raises(AssertionError):
        assert_defined(wanted, w, step)


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(0, id="before a tile is overwritten"),
        pytest.param(1, id="before the gradient reads it"),
        pytest.param(3, id="before the sums read it"),
        pytest.param(4, id="before the warps' sums are added"),
    ],
)
def test_a_missing_barrier_is_caught(which, simulated, monkeypatch):
    """Of the two barriers of the gradient's loop over tiles and the three of the sums'."""
    monkeypatch.setattr("ntkverify.execution.kernels.cuda.sweep.SHARED_DOUBLES", 150)
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, [2 * tile_size(neuron) + 1], 70, 2)
    array = executor_of(neuron, problem, backend="array")
    moved = weights.copy()
    expected = array.step(moved, frozen, array.forward(moved, frozen), 0.1).residuals

    def residuals():
        gpu, w, f = executor_of(neuron, problem, backend="gpu"), simulated.asarray(weights), simulated.asarray(frozen)
        return gpu.step(w.copy(), f, gpu.forward(w, f), 0.1).residuals.get()

    assert relative(residuals(), expected) < 1e-12
    barrier = "__syncthreads();"
    parts = cuda_source(neuron).split(barrier)
    assert len(parts) == 6
    text = barrier.join(parts[: which + 1]) + barrier.join(parts[which + 1 :])
    monkeypatch.setattr(gpu_module, "cuda_source", lambda neuron: text)
    assert relative(residuals(), expected) > 1e-6


def test_a_start_of_another_shape_is_refused(simulated):
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, [2], 10, 2)
    gpu, w, f = executor_of(neuron, problem, backend="gpu"), simulated.asarray(weights), simulated.asarray(frozen)
    with pytest.raises(NtkVerifyError, match="start must have the shape"):
        gpu.measured_step(w, f, gpu.forward(w, f), 0.1, start=w[:3])
    with pytest.raises(NtkVerifyError, match="change must have the shape"):
        gpu.measured_step(w, f, gpu.forward(w, f), 0.1, start=w, change=w[:3])


@pytest.mark.parametrize("blocks", [1, 2, 3, 9, 33])
def test_sums_over_blocks_of_threads_come_in_groups(blocks, cupy):
    neuron = relu_regression(2)
    problem, weights, frozen = draw_problem(neuron, (3,), 5, 2)
    gpu = executor_of(neuron, problem, backend="gpu")
    groups, each, features, rows = gpu.partial(blocks, 3).shape
    assert (features, rows) == (1, 3)
    assert blocks <= groups * each < blocks + each
    assert each / 4 <= groups <= 2 * each
    copies = (gpu_module.THREADS * blocks) // 5
    many, signs = np.tile(weights, (copies, 1)), np.tile(frozen, (copies, 1))
    assert -(-5 * copies // gpu_module.THREADS) == blocks
    array = executor_of(neuron, problem, backend="array")
    found = gpu.forward(cupy.asarray(many), cupy.asarray(signs)).residuals.get()
    assert relative(found, array.forward(many, signs).residuals) < 1e-12


def test_training_agrees_with_the_reference(cupy):
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, (4,), 70, 2)
    array, gpu = (executor_of(neuron, problem, backend=b) for b in ("array", "gpu"))
    w, f = cupy.asarray(weights.copy()), cupy.asarray(frozen)
    for train, options in TRAININGS:
        here, there = train(array, weights, frozen, **options), train(gpu, w, f, **options)
        assert type(there.residuals) is np.ndarray
        assert relative(there.residuals, here.residuals) < 1e-9


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("where", ["host", "device"])
def test_a_batch_takes_points_of_any_precision_from_either_side(dtype, where, cupy):
    neuron = KINDS["softplus"]()
    problem, weights, frozen = draw_problem(neuron, (4,), 70, 2)
    array, gpu = (executor_of(neuron, problem, backend=b) for b in ("array", "gpu"))
    w, f = np.stack([weights, weights / 2]), np.stack([frozen] * 2)
    points = {name: np.stack([x, x / 2]).astype(dtype) for name, x in problem["points"].items()}
    targets = {name: np.stack([y, y / 2]).astype(dtype) for name, y in problem["targets"].items()}
    expected = array.descend(
        w.copy(), f, 0.1, steps=2,
        points={name: x.astype(np.float64) for name, x in points.items()},
        targets={name: y.astype(np.float64) for name, y in targets.items()},
    )  # fmt: skip
    if where == "device":
        points, targets = ({name: cupy.asarray(x) for name, x in one.items()} for one in (points, targets))
    found = gpu.descend(cupy.asarray(w), cupy.asarray(f), 0.1, steps=2, points=points, targets=targets)
    assert relative(found.get(), expected) < 1e-12


def test_what_the_device_has_no_memory_for_is_refused(simulated):
    neuron = relu_regression(2)
    problem, _, _ = draw_problem(neuron, (300,), 5, 2)
    gpu = executor_of(neuron, problem, backend="gpu")
    one = simulated.asarray(np.ones(2))
    # views of one neuron, which take no memory
    weights, frozen = (np.broadcast_to(one[:k], (10**6, k)).view(type(one)) for k in (2, 1))
    with pytest.raises(NtkVerifyError, match=r"the Jacobian of 300 residuals at m = 1000000 on the GPU needs 4.47 GiB"):
        gpu.jacobian(weights, frozen)
    with pytest.raises(NtkVerifyError, match=r"adding .* neurons at 300 samples on the GPU needs"):
        gpu.partial(10**6, 300)


def test_a_device_that_can_not_be_compiled_for_says_so(simulated, monkeypatch):
    def fail(self):
        raise RuntimeError("\nCuPy failed to load libnvrtc.so.12\nmore")

    monkeypatch.setattr(simulated.RawKernel, "compile", fail)
    with pytest.raises(NtkVerifyError, match=r"cannot compile for it \(CuPy failed to load libnvrtc.so.12\); install"):
        require_cupy()


def test_a_broken_cupy_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('\\nlibcuda.so.1 is too old\\n')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(NtkVerifyError, match=r"does not load \(libcuda.so.1 is too old\)"):
        require_cupy()


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
