"""Choosing a backend, and what a user is told when something does not fit."""

import multiprocessing
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sympy
import threadpoolctl
from drawing import draw_problem, executor_of
from hand_built_neurons import relu_regression

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.kernels import cache as cache_module
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.symbolic.network.neuron import Block, Neuron

X = np.eye(2)
Y = np.ones(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "abacus"}, "unknown backend"),
        ({"backend": "cpu", "bits": 53}, "no option 'bits'"),
        ({"points": {"wrong": X}}, "missing \\['data'\\]"),
        ({"points": {"data": np.ones((2, 3))}}, "shape \\(n, 2\\)"),
        ({"targets": {"data": np.ones(3)}}, "shape \\(2,\\)"),
        ({"targets": {"data": np.array([1.0, np.nan])}}, "finite"),
        ({"scale": {"other": 1.0}}, "unknown \\['other'\\]"),
        ({"threads": 0}, "at least 1"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    given = {"points": {"data": X}, "targets": {"data": Y}} | arguments
    with pytest.raises(NtkVerifyError, match=message):
        make_executor(relu_regression(2), **given)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(NtkVerifyError, match="python-flint"):
        make_executor(relu_regression(2), {"data": X}, {"data": Y}, backend="ball")


@pytest.mark.parametrize("backend", ["cpu", "array", "ball"])
def test_weights_are_checked(backend):
    executor = make_executor(relu_regression(2), {"data": X}, {"data": Y}, backend=backend)
    with pytest.raises(NtkVerifyError, match="weights must have shape"):
        executor.forward(np.ones((4, 3)), np.ones((4, 1)))
    with pytest.raises(NtkVerifyError, match="frozen must have shape"):
        executor.forward(np.ones((4, 2)), np.ones((3, 1)))


def test_fused_kernels_ask_for_their_layout():
    executor = make_executor(relu_regression(2), {"data": X}, {"data": Y})
    with pytest.raises(NtkVerifyError, match="C-contiguous"):
        executor.forward(np.asfortranarray(np.ones((4, 2))), np.ones((4, 1)))
    with pytest.raises(NtkVerifyError, match="C-contiguous"):
        executor.forward(np.ones((4, 2), dtype=np.float32), np.ones((4, 1)))


def test_an_unknown_function_is_named():
    w, x, p = sympy.symbols("w x p", real=True)
    neuron = Neuron((w,), (), (x,), (Block("data", (sympy.gamma(w * x),), (p,), p),))
    points, targets = {"data": np.ones((1, 1))}, {"data": np.ones(1)}
    with pytest.raises(NtkVerifyError, match="gamma"):
        make_executor(neuron, points, targets, backend="array").forward(np.ones((1, 1)))
    with pytest.raises(NtkVerifyError, match="no compiled form"):
        make_executor(neuron, points, targets, backend="cpu")


def test_symbols_may_be_called_anything():
    """The names of generated temporaries, Python keywords and LaTeX do not clash with a user's symbols."""
    w, a, x, p = sympy.symbols(r"lambda t_0 \hat{x}_{1} z_0")
    neuron = Neuron((w,), (a,), (x,), (Block("data", (a * sympy.tanh(w * x) ** 2,), (p,), p**2),))
    rng = np.random.default_rng(0)
    problem = {"points": {"data": rng.random((4, 1))}, "targets": {"data": rng.random(4)}, "scale": None}
    weights, frozen = rng.random((9, 1)), rng.random((9, 1))
    fused, array = (executor_of(neuron, problem, backend=b) for b in ("cpu", "array"))
    f, r = fused.forward(weights, frozen), array.forward(weights, frozen)
    np.testing.assert_allclose(f.residuals, r.residuals, rtol=1e-13)
    np.testing.assert_allclose(fused.gradient(weights, frozen, f), array.gradient(weights, frozen, r), rtol=1e-12)


def test_missing_symbol():
    with pytest.raises(NtkVerifyError, match="no value was given"):
        evaluate(sympy.Symbol("q"), {}, ArrayAlgebra())


def test_generated_source_is_kept_and_reused(tmp_path, monkeypatch):
    monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path))
    text = "VALUE = 41 + 1\n"
    assert cache_module.load_generated.__wrapped__(text).VALUE == 42
    (path,) = tmp_path.glob("kernels_*.py")
    before = path.stat().st_mtime_ns
    assert cache_module.load_generated.__wrapped__(text).VALUE == 42
    assert path.stat().st_mtime_ns == before


def test_an_unwritable_cache_is_explained(tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(blocker))
    with pytest.raises(NtkVerifyError, match="NTKVERIFY_CACHE_DIR"):
        cache_module.load_generated.__wrapped__("X = 1\n")


SMALL_RUN = """
import numpy as np
from ntkverify.execution import make_executor
from ntkverify.symbolic.network.neuron import regression_neuron
executor = make_executor(regression_neuron("relu", dimension=1), {"data": np.ones((1, 1))}, {"data": np.zeros(1)})
print(executor.residuals(np.ones((1, 1)), np.ones((1, 1))))
"""


@pytest.mark.parametrize("home", ["/proc/none", None])
def test_a_home_that_cannot_be_written_is_no_condition(home, tmp_path):
    """Kernels then live as long as the process, and nothing of them stays behind."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NTKVERIFY_CACHE_DIR", "XDG_CACHE_HOME", "HOME")}
    environment |= {"TMPDIR": str(tmp_path)} | ({} if home is None else {"HOME": home})
    text = SMALL_RUN
    if home is None:
        # as for a user id without an entry in the password file
        text = "import os.path\nos.path.expanduser = lambda path: path\n" + text
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environment, cwd=root)
    assert done.stdout == "[1.]\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_after_a_fork_and_from_several_threads_at_once():
    neuron = relu_regression(3)
    problem, weights, frozen = draw_problem(neuron, (40,), 60_000, 1)
    executor = executor_of(neuron, problem, threads=2)
    expected = executor.residuals(weights, frozen)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: executor.residuals(weights, frozen), range(8)):
            assert (found == expected).all()
    # the child has none of the parent's threads and must start its own
    child = multiprocessing.get_context("fork").Process(
        target=lambda: os._exit(0 if (executor.residuals(weights, frozen) == expected).all() else 1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads about is what is tried here
        child.start()
    child.join(60)
    assert child.exitcode == 0


def test_blas_threads_are_restored_by_the_last_of_several_callers():
    def most():
        return max([info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"])

    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before, first, second = most(), one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert most() == 1
        second.__exit__(None, None, None)
        assert most() == before


def test_the_pass_at_the_end_of_a_step_is_the_pass_at_the_new_weights():
    neuron = relu_regression(3)
    problem, weights, frozen = draw_problem(neuron, (5,), 700, 1)
    executor = executor_of(neuron, problem)
    after = executor.step(weights, frozen, executor.forward(weights, frozen), 0.1)
    np.testing.assert_array_equal(after.residuals, executor.residuals(weights, frozen))
    np.testing.assert_allclose(after.loss, (after.residuals**2).sum() / 2)


def test_a_container_limits_the_free_memory(tmp_path, monkeypatch):
    from ntkverify.execution.machine import memory

    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    everything = memory.free_memory()
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory() > everything / 2
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory.free_memory() == 4000
