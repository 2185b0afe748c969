"""``kill -9`` at random moments of a campaign with two processes: nothing is lost, nothing counted twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

from ntkverify import load_theorem
from ntkverify.search.campaign.campaign import results, search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store

#: the whole study is NTKVERIFY_KILLS=20; one keeps the suite short
KILLS = int(os.environ.get("NTKVERIFY_KILLS", "1"))
EVALUATIONS = 400 * KILLS
CLAIMS = ("squares sum to n at most", "the scaled largest entry")


def summary(store, cells):
    keys = ("evaluations", "vacuous", "best_margin", "finished", "findings")
    return [(cell.claim, cell.engine, *(row[key] for key in keys)) for cell, row in results(store, cells)]


def recorded(path):
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path, timeout=30)) as db:
        try:
            return set(db.execute("SELECT cell, vector, margin FROM evaluations"))
        except sqlite3.OperationalError:  # killed before there were tables
            return set()


def test_a_killed_campaign_resumes_without_loss_or_repetition(module, tmp_path):
    path = tmp_path / "s.sqlite"
    command = [
        sys.executable, "-m", "ntkverify.cli", "search", str(module), "--evaluations", str(EVALUATIONS),
        "--processes", "2", "--store", str(path), "--out", str(tmp_path / "out"),
        "--plant", f"{CLAIMS[0]} * 1/2", *[word for claim in CLAIMS for word in ("--claim", claim)],
    ]  # fmt: skip
    clock = random.Random(1)
    before: set[tuple[str, bytes, float]] = set()
    advanced = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if clock.random() < 0.8:  # the others die while they start
            patience = time.monotonic() + 60
            while recorded(path) <= before and process.poll() is None and time.monotonic() < patience:
                time.sleep(0.05)
        time.sleep(clock.uniform(0.0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        after = recorded(path)
        assert before <= after
        advanced += len(after) > len(before)
        before = after
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert before <= recorded(path)
    theorem = load_theorem(module)
    cells = cells_of(theorem, path=module, claims=CLAIMS, plants=[f"{CLAIMS[0]} * 1/2"], evaluations=EVALUATIONS)
    with Store(path) as store, Store(None) as whole:
        for cell in cells:
            search_cell(theorem, cell, whole, path=module)
            name = whole.open_cell(cell.settings())
            assert store.evaluations(name) == whole.evaluations(name)
        assert summary(store, cells) == summary(whole, cells)
    assert advanced or KILLS > 1
    print(f"{KILLS} kills, {advanced} of them in the midst of evaluations, {len(before)} evaluations")
