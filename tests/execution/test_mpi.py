"""A network over processes of a real MPI; skipped where there is none."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from train_on_ranks import POINTS, TARGETS

from ntkverify import NtkVerifyError
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.sharded import ranks
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import GradientDescent, follow

HERE = Path(__file__).parent


def launcher():
    """The MPI launcher beside this Python or on the path, and why there is none."""
    if importlib.util.find_spec("mpi4py") is None:
        return None, "mpi4py is not installed: pip install 'ntkverify[mpi]' mpich"
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found, "" if found else "there is no mpiexec: pip install mpich, or apt-get install openmpi-bin"


MPIEXEC, REASON = launcher()
needs_mpi = pytest.mark.skipif(MPIEXEC is None, reason=REASON)


def started(count, out, *options):
    """The script on so many ranks; Open MPI refuses root and more ranks than cores unless told otherwise."""
    out.mkdir(exist_ok=True)
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_MCA_rmaps_base_oversubscribe": "1",
               "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])}  # fmt: skip
    command = [MPIEXEC, "-n", str(count), sys.executable, HERE / "train_on_ranks.py", "--out", out, *options]
    return subprocess.run(
        list(map(str, command)), env={**os.environ, **allowed}, capture_output=True, text=True, timeout=100
    )


def ended(count, out):
    parts = [dict(np.load(out / f"{rank}.npz")) for rank in range(count)]
    return parts[0]["residuals"], np.concatenate([part["weights"] for part in parts])


@needs_mpi
@pytest.mark.parametrize(("count", "backend"), [(2, "array"), (3, "cpu")])
def test_ranks_train_as_one_process_does(count, backend, tmp_path):
    result = started(count, tmp_path, "--backend", backend)
    assert result.returncode == 0, result.stderr
    residuals, weights = ended(count, tmp_path)
    neuron = regression_neuron("relu", dimension=2)
    executor = make_executor(neuron, {"data": POINTS}, {"data": TARGETS}, backend=backend)
    alone = follow(executor, *draw_weights(neuron, 7, 70_001), GradientDescent(0.5), steps=6)
    assert np.abs(residuals - alone.residuals).max() < 1e-12 * np.abs(alone.residuals).max()
    assert np.abs(weights - alone.weights).max() < 1e-12 * np.abs(alone.weights).max()


@needs_mpi
def test_a_rank_that_is_killed_ends_all_and_a_restart_ends_as_if_nothing_had_been(tmp_path):
    assert started(2, tmp_path / "whole").returncode == 0
    kept = ("--checkpoints", tmp_path / "checkpoints")
    killed = started(2, tmp_path / "killed", *kept, "--kill", 1, 5)
    assert killed.returncode != 0
    # the launcher says that a process was killed; no rank adds a traceback
    assert "signal 9" in killed.stderr + killed.stdout
    assert "Traceback" not in killed.stderr
    assert not list((tmp_path / "killed").iterdir())
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000000004"]
    again = started(2, tmp_path / "again", *kept)
    assert again.returncode == 0, again.stderr
    for one, other in zip(ended(2, tmp_path / "again"), ended(2, tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, other)
    fewer = started(1, tmp_path / "fewer", *kept)
    assert fewer.returncode != 0
    assert "ntkverify: process 0 of 1: the checkpoint of step 6" in fewer.stderr
    assert "go on with as many processes as before" in fewer.stderr


@needs_mpi
def test_an_error_of_one_rank_is_one_sentence_and_the_end_of_all(tmp_path):
    result = started(2, tmp_path, "--fail", 1)
    assert result.returncode != 0
    assert "ntkverify: process 1 of 2: this one has enough." in result.stderr
    assert "Traceback" not in result.stderr


def test_without_mpi4py_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(NtkVerifyError, match=r"needs mpi4py, which is not installed: pip install 'ntkverify\[mpi\]'"):
        ranks.Ranks()
