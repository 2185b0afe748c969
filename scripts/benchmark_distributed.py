"""What workers and ranks bring: a campaign with one worker and with two, a network in one process and over ranks.

    python scripts/benchmark_distributed.py campaign
    python scripts/benchmark_distributed.py network --width 200000000 --ranks 2
    python scripts/benchmark_distributed.py model

Every worker and rank computes with one thread, and contestants take turns. On a busy machine the figures mean nothing.
`model` fits the cost model of docs/scaling.md to networks in one process and over two ranks, at widths where they take
moments, and prints what it foretells for the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.execution.sharded import make_sharded, together
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.theorem.files import find_modules
from ntkverify.training import GradientDescent, follow

POINTS, TARGETS = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.5, -0.3])
ETA = 0.1
#: the least that two workers are to bring
MARK = 1.7
#: whose evaluations are networks that are trained
THEOREM = "gradient_descent_regression"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    campaign = commands.add_parser("campaign")
    campaign.add_argument("--evaluations", type=int, default=400)
    campaign.add_argument("--theorem", default=THEOREM)
    campaign.add_argument("--max-width", type=int, default=2**16)
    campaign.add_argument("--repeats", type=int, default=3)
    for name in ("network", "model"):
        chosen = commands.add_parser(name)
        chosen.add_argument("--ranks", type=int, default=2)
        chosen.add_argument("--steps", type=int, default=10)
        chosen.add_argument("--width", type=int, default=20_000_000)
    rank = commands.add_parser("rank")  # what `network` starts on every rank
    rank.add_argument("--width", type=int, required=True)
    rank.add_argument("--steps", type=int, required=True)
    rank.add_argument("--out", required=True)
    return parser.parse_args()


# -- a campaign -------------------------------------------------------------------------------------------------------


def campaign(given: argparse.Namespace) -> None:
    """The same search with one worker and with two; both are Dask's, so that starting them is no difference."""
    from ntkverify.execution.machine.cluster import local_workers
    from ntkverify.search.campaign.cells import cells_of
    from ntkverify.search.campaign.store import Store
    from ntkverify.search.campaign.workers import run
    from ntkverify.theorem.loading import load_theorem

    (path,) = find_modules((given.theorem,))
    theorem = load_theorem(path)
    cells = [
        (str(path), cell)
        for cell in cells_of(
            theorem, path=path, engines=["random"], evaluations=given.evaluations, max_width=given.max_width
        )
    ]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    kept: dict[int, Any] = {}
    folder = Path(tempfile.mkdtemp())
    for repeat in range(given.repeats):
        for workers in (1, 2):
            file = folder / f"{workers}-{repeat}.sqlite"
            with local_workers(workers) as cluster, Store(file) as store:
                cluster.everywhere(_warm, str(path), theorem.id)
                began = time.perf_counter()
                run({str(path): theorem}, cells, store, cluster=cluster)
                seconds[workers].append(time.perf_counter() - began)
            kept[workers] = contents(file)
    one, two = (statistics.median(seconds[workers]) for workers in (1, 2))
    same = "identical but for times" if kept[1] == kept[2] else "DIFFERENT"
    print(f"{len(cells)} cells of {theorem.id}, {given.evaluations} evaluations a claim")
    print(
        f"one worker {one:.1f} s, two workers {two:.1f} s: {one / two:.2f} times as fast (mark {MARK}); stores {same}"
    )
    shutil.rmtree(folder)
    sys.exit(0 if kept[1] == kept[2] and one / two >= MARK else 1)


def _warm(path: str, called: str, dask_worker: Any = None) -> None:
    from ntkverify.search.campaign.spread import theorem_at
    from ntkverify.search.evidence.violation import digest

    # the same for one worker as for two: a processor, and so one thread, whatever the machine has
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {mine[int(dask_worker.name) % len(mine)]})
    theorem_at(path, digest(path), called)


def contents(file: Path) -> list[Any]:
    """All that a store holds but times."""
    with closing(sqlite3.connect(file)) as db:
        return [
            sorted(db.execute(f"SELECT {columns} FROM {table}"), key=repr)
            for table, columns in (
                ("cells", "id, settings, finished"),
                ("evaluations", "cell, vector, margin, failed, doubtful, reason"),
                ("findings", "cell, vector, status, content"),
            )
        ]


# -- a network --------------------------------------------------------------------------------------------------------


def on_rank(given: argparse.Namespace) -> None:
    """Train a share; the first rank writes what the network did."""
    neuron = regression_neuron("relu", dimension=2)
    executor = make_sharded(
        neuron, {"data": POINTS}, {"data": TARGETS}, width=given.width, scale={"data": 1.0}, threads=1
    )
    began = time.perf_counter()
    weights, frozen = executor.draw(0)
    drawn = time.perf_counter() - began
    times: list[float] = []
    found = follow(
        executor, weights, frozen, GradientDescent(ETA), steps=given.steps, in_place=True,
        record={"clock": lambda at: times.append(time.perf_counter()) or 0.0},
    )  # fmt: skip
    began = time.perf_counter()
    for _ in range(100):
        executor.added(np.zeros(2))
    exchange = (time.perf_counter() - began) / 100
    if executor.rank == 0:
        result = {
            "residuals": found.residuals.tolist(), "drawn": drawn, "step": statistics.median(np.diff(times)),
            "exchange": exchange, "bytes": weights.nbytes + frozen.nbytes,
        }  # fmt: skip
        Path(given.out).write_text(json.dumps(result), encoding="utf-8")


def over(ranks: int, width: int, steps: int) -> dict[str, Any]:
    """What so many ranks measured."""
    launcher = Path(sys.executable).parent / "mpiexec"
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "found.json")
        command = [
            str(launcher if launcher.exists() else "mpiexec"), "-n", str(ranks), sys.executable, __file__, "rank",
            "--width", str(width), "--steps", str(steps), "--out", out,
        ]  # fmt: skip
        subprocess.run(command, check=True)
        result: dict[str, Any] = json.loads(Path(out).read_text(encoding="utf-8"))
        return result


def network(given: argparse.Namespace) -> None:
    """One rank against several, a thread each; two orthonormal inputs."""
    one, many = over(1, given.width, given.steps), over(given.ranks, given.width, given.steps)
    a, b = np.array(one["residuals"]), np.array(many["residuals"])
    apart = float(np.abs(a - b).max() / np.abs(a).max())
    gain = one["step"] / many["step"]
    print(f"m = {given.width:.3g}, n = 2, {given.steps} steps; {one['bytes'] / 2**30:.2f} GiB of weights in all")
    for ranks, found in ((1, one), (given.ranks, many)):
        print(f"{ranks} rank(s): drawn in {found['drawn']:.2f} s, a step {found['step']:.3f} s, "
              f"a sum over ranks {1e6 * found['exchange']:.0f} us")  # fmt: skip
    print(f"{gain:.2f} times as fast, efficiency {gain / given.ranks:.0%}; residuals {apart:.1e} of the largest apart")
    sys.exit(0 if apart < 1e-12 else 1)


def model(given: argparse.Namespace) -> None:
    """Fit ``step = c m / R + t`` to one rank, and foretell two."""
    small, large = over(1, given.width // 4, given.steps), over(1, given.width, given.steps)
    slope = (large["step"] - small["step"]) / (given.width - given.width // 4)
    rest = max(0.0, large["step"] - slope * given.width)
    print(f"one rank: {1e9 * slope:.3f} ns a neuron and step, {1e6 * rest:.0f} us besides")
    many = over(given.ranks, given.width, given.steps)
    told = slope * given.width / given.ranks + rest + many["exchange"]
    print(f"{given.ranks} ranks: foretold {told:.4f} s, measured {many['step']:.4f} s ({many['step'] / told:.2f})")


if __name__ == "__main__":
    chosen = arguments()
    if chosen.command == "rank":
        with together():
            on_rank(chosen)
    else:
        {"campaign": campaign, "network": network, "model": model}[chosen.command](chosen)
