"""Work shared out to Dask's workers: the same answers as in one process, also when a worker is killed in the midst."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.cli import main
from ntkverify.execution.machine.cluster import workers_at
from ntkverify.judging.case import Case
from ntkverify.search.campaign import spread, workers
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store, cell_id
from ntkverify.search.evidence.settle import VIOLATED
from ntkverify.search.frontier.bisection import outcomes
from ntkverify.search.frontier.frontier import frontier
from ntkverify.search.frontier.setting import Setting
from ntkverify.search.frontier.spread import spread_outcomes

pytest.importorskip("distributed", reason="Dask distributed is not installed: pip install 'ntkverify[distributed]'")

CLAIMS = ("squares sum to n at most", "the scaled largest entry")
CLAIM_NEEDS = {CLAIMS[0]: "entries at most 1", CLAIMS[1]: "scale at most 2"}
PLANT = f"{CLAIMS[0]} * 1/2"


def cells_for(module, evaluations, **options):
    theorem = load_theorem(module)
    found = cells_of(theorem, path=module, claims=CLAIMS, plants=[PLANT], evaluations=evaluations, **options)
    return {str(module): theorem}, [(str(module), cell) for cell in found]


def contents(path):
    """All that a store holds but times."""
    with closing(sqlite3.connect(path)) as db:
        return [
            sorted(db.execute(f"SELECT {columns} FROM {table}"), key=repr)
            for table, columns in (
                ("cells", "id, settings, finished"),
                ("evaluations", "cell, vector, margin, failed, doubtful, reason"),
                ("findings", "cell, vector, status, content"),
            )
        ]


@pytest.fixture(scope="module")
def cluster():
    with workers_at(workers=2, scheduler=None) as found:
        yield found


def kill_one(cluster):
    """SIGKILL to a worker; its nanny starts another."""
    pid = min(cluster.everywhere(os.getpid).values())
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.parametrize("killed", [False, True])
def test_a_campaign_s_record_is_that_of_one_process(cluster, module, tmp_path, monkeypatch, killed):
    theorems, cells = cells_for(module, 60)
    with Store(tmp_path / "alone.sqlite") as alone:
        workers.run(theorems, cells, alone)
    windows, gone = [], []

    def watch(count, seconds, margin, claim):
        windows.append(count)
        if killed and not gone and len(windows) >= 2:
            gone.append(kill_one(cluster))

    if killed:  # workers that are killed while they climb, and windows so short that there are many
        cluster.everywhere(setattr, spread, "WINDOW", 0.05)
    with Store(tmp_path / "shared.sqlite") as shared:
        workers.run(theorems, cells, shared, cluster=cluster, watch=watch)
    assert contents(tmp_path / "shared.sqlite") == contents(tmp_path / "alone.sqlite")
    assert not killed or (gone and len(windows) > len(cells))


def test_a_frontier_is_that_of_one_process_when_a_worker_is_killed(cluster, module):
    theorem = load_theorem(module)
    claim = theorem.claims["the scaled largest entry"]
    case, setting = Case(theorem, claim, theorem.families["vectors"]), Setting("scale", low=0.1, high=50)
    alone = frontier(case, setting, draws=40, values=[2, 5])
    gone, seen = [], []

    def watched(case, instances):
        for found in spread_outcomes(module, cluster)(case, instances):
            seen.append(found)
            if len(seen) == 30:
                gone.append(kill_one(cluster))
            yield found

    assert frontier(case, setting, draws=40, values=[2, 5], outcomes=watched) == alone
    assert gone
    assert list(outcomes(case, [])) == []


def test_what_is_answered_is_left_out_as_in_one_process(cluster, module, tmp_path):
    """A question's cells wait for each other, and what the first has found answers the rest."""
    theorem = load_theorem(module)
    cells = [
        (str(module), cell)
        for engine in ("random", "mutation")
        for claim in CLAIMS
        for cell in cells_of(
            theorem, path=module, claims=[claim], relax=[CLAIM_NEEDS[claim]], engines=[engine], evaluations=30
        )
    ]
    for name, given in (("alone", None), ("shared", cluster)):
        with Store(tmp_path / f"{name}.sqlite") as store:

            def answered(cell, store=store):
                alike = [cell_id(c.settings()) for _, c in cells if c.relax == cell.relax and c != cell]
                return any(status in VIOLATED for one in alike for status, _ in store.findings(one).values())

            workers.run({str(module): theorem}, cells, store, cluster=given, answered=answered)
    assert contents(tmp_path / "shared.sqlite") == contents(tmp_path / "alone.sqlite")
    assert 0 < len(contents(tmp_path / "shared.sqlite")[0]) < len(cells)


def test_an_error_of_a_task_is_the_client_s_and_cancels_the_rest(cluster, module, tmp_path):
    theorems, cells = cells_for(module, 50)
    cluster.everywhere(spread.theorem_at.cache_clear)
    moved = tmp_path / "moved.py"
    moved.write_text(module.read_text())
    theorems, cells = cells_for(moved, 50)
    (tmp_path / "elsewhere").mkdir()
    cluster.everywhere(os.chdir, tmp_path / "elsewhere")
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        relative = [("moved.py", cell) for _, cell in cells]
        with Store(None) as store, pytest.raises(NtkVerifyError, match=r"a worker has not the same moved\.py; put"):
            workers.run({"moved.py": theorems[str(moved)]}, relative, store, cluster=cluster)
    finally:
        os.chdir(before)
        cluster.everywhere(os.chdir, before)


def test_what_others_search_is_left_to_them(cluster, module, tmp_path):
    theorems, cells = cells_for(module, 50)
    path = tmp_path / "s.sqlite"
    with Store(path) as other, Store(path) as store:
        name = other.open_cell(cells[0][1].settings())
        with other.claim_cell(name), pytest.raises(NtkVerifyError, match="another process searches 'squares"):
            workers.run(theorems, cells, store, cluster=cluster)


def run(capsys, *words):
    status = main(list(words))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "tcp://no.such.host.invalid:8786"])
def test_a_dead_address_is_one_sentence_within_ten_seconds(module, tmp_path, monkeypatch, capsys, address):
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    status, out, err = run(capsys, "search", str(module), "--scheduler", address)
    assert time.monotonic() - started < 10
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert f"no Dask scheduler answers at {address}" in err
    assert "dask scheduler" in err


def test_two_kinds_of_workers_are_refused(module, capsys):
    status, _, err = run(capsys, "frontier", str(module), "--workers", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert status == 2
    assert "give one" in err


@contextmanager
def started(folder):
    """A scheduler and two workers as anybody starts them, two processes in place of two machines."""
    file = folder / "scheduler.json"
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": environment}
    dask = [sys.executable, "-m", "dask"]
    common = ["--scheduler-file", str(file)]
    processes = [
        subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *common], **quiet)
    ]
    try:
        for _ in range(2):
            processes.append(subprocess.Popen([*dask, "worker", "--nthreads", "1", "--no-dashboard", *common], **quiet))
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=30)


def test_commands_take_a_scheduler(module, tmp_path, monkeypatch, capsys):
    from distributed import Client

    monkeypatch.chdir(tmp_path)
    with started(tmp_path) as address:
        with Client(address, timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
        commands = {
            "search": ["--claim", CLAIMS[0], "--plant", PLANT, "--engine", "random", "--evaluations", "30", "--json"],
            "frontier": ["--claim", CLAIMS[1], "--over", "scale", "--low", "0.1", "--high", "50", "--draws", "20",
                         "--values", "2", "--json"],
            "necessity": ["--claim", CLAIMS[0], "--evaluations", "30", "--json"],
            "check": ["--json"],
        }  # fmt: skip
        for command, words in commands.items():
            found = []
            for name, option in (("alone", []), ("shared", ["--scheduler", address])):
                store = ["--store", f"{name}.sqlite"] if command in ("search", "necessity") else []
                out = ["--out", f"{command}-{name}"] if command != "check" else []
                status, said, err = run(capsys, command, str(module), *words, *option, *store, *out)
                found.append((status, timeless(json.loads(said)), err))
            assert found[0] == found[1], command


def timeless(content):
    """JSON without what times are in, and where files lie."""
    if isinstance(content, dict):
        return {k: timeless(v) for k, v in content.items() if k not in ("seconds", "opened", "file", "files")}
    return [timeless(v) for v in content] if isinstance(content, list) else content
