"""Time the fused executor against JAX and PyTorch, side by side in one run.

    python scripts/benchmark.py                       all steps
    python scripts/benchmark.py --only pinn gram      some groups of cases
    python scripts/benchmark.py --only literal        the first theorem's literal checks, with their peak memory
    python scripts/benchmark.py --only vast           5e8 neurons, 12 GiB; only when asked for
    python scripts/benchmark.py --json results.json   write the figures, with the machine described

Times are medians of five, the contestants taking turns within each round, so that another
process slows all alike. The machine's own peaks are the best seen in the run, measured again beside each case. GFLOP/s
counts the operations of the generated code, a function such as tanh as one; of a symmetric product only the half
that is done.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from typing import Any

import numpy as np
from benchmark_check import CHECKED, NATURAL, check_case, natural_case
from benchmark_machine import describe_machine, measured_peaks
from benchmark_operator import SIZES, operator_case
from benchmark_problems import draw, executor_of, neuron_of, race
from benchmark_rivals import jax_forms, jax_gram, jax_step, torch_step

from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.measures.steps import Steps
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import GradientDescent, follow


def step_case(kind: str, sizes: tuple[int, ...], d: int, m: int, peaks: dict[str, float]) -> dict[str, Any]:
    """One step of gradient descent."""
    eta = 1e-6
    neuron, problem, weights, a = draw(kind, sizes, d, m)
    executor = executor_of(neuron, problem)
    mine = weights.copy()
    state = [executor.forward(mine, a)]

    def fused() -> None:
        state[0] = executor.step(mine, a, state[0], eta)

    contestants = {"ntkverify": fused}
    for form in jax_forms(kind):
        contestants[f"jax, {form}"] = jax_step(kind, form, problem, weights, a[:, 0], eta)
    contestants["torch"] = torch_step(kind, problem, weights, a[:, 0], eta)
    times = race(contestants)
    operations = executor.operations_per_step(m)
    own = times["ntkverify"]
    # the weights are read and written, the outer weights read
    moved = 8 * m * (2 * weights.shape[1] + 1)
    return {
        "case": f"{kind} step n={sizes} d={d} m={m}",
        "seconds": times,
        "ratio": {name: t / own for name, t in times.items() if name != "ntkverify"},
        "gflops": operations / own / 1e9,
        "share_of_fma_peak": operations / own / 1e9 / peaks["fma_gflops"],
        "share_of_copy_peak": moved / own / 1e9 / peaks["copy_gbytes_per_s"],
        **peaks,
    }


def gram_case(
    kind: str, sizes: tuple[int, ...], d: int, m: int, peaks: dict[str, float], rival: bool
) -> dict[str, Any]:
    """One Gram matrix J J^T."""
    neuron, problem, weights, a = draw(kind, sizes, d, m)
    executor = executor_of(neuron, problem)
    contestants = {"ntkverify": lambda: executor.gram(weights, a)}
    if rival:
        for form in ["by hand"] if kind == "relu" else ["by hand", "by differentiation"]:
            for way in ("jax.jacobian", "vmap(grad)"):
                contestants[f"{way}, {form}"] = jax_gram(
                    kind, form, problem, weights, a[:, 0], by_sample=way == "vmap(grad)"
                )
    else:
        # the panels' products alone, by BLAS in one call: the symmetric one, and the general one with twice the work
        panel = np.random.default_rng(0).random((sum(sizes), m))
        other = panel.copy()
        contestants |= {"dsyrk of that size": lambda: panel @ panel.T, "dgemm of that size": lambda: panel @ other.T}
    times = race(contestants)
    own = times["ntkverify"]
    row = {
        "case": f"{kind} gram n={sizes} d={d} m={m}",
        "seconds": times,
        "ratio": {name: t / own for name, t in times.items() if name != "ntkverify"},
    }
    if kind == "relu":
        # one symmetric product of an (n, m) panel with itself
        row["gflops"] = sum(sizes) ** 2 * m / own / 1e9
        row["share_of_dgemm_rate"] = row["gflops"] / peaks["dgemm_gflops"]
    return row | peaks


def batch_case() -> dict[str, Any]:
    """A thousand small networks trained together and one after another, step by step."""
    neuron, problem, _, _ = draw("relu", (16,), 4, 1024)
    executor = executor_of(neuron, problem)
    rng = np.random.default_rng(0)
    weights, a = rng.standard_normal((1000, 1024, 4)), rng.choice([-1.0, 1.0], (1000, 1024, 1))

    # batches compile on first use
    executor.descend(weights[:2].copy(), a[:2], 0.1, steps=1)

    def together() -> None:
        executor.descend(weights.copy(), a, 0.1, steps=100, every=100)

    def in_turn() -> None:
        w = weights.copy()
        for j in range(1000):
            forward = executor.forward(w[j], a[j])
            for _ in range(100):
                forward = executor.step(w[j], a[j], forward, 0.1)

    times = race({"ntkverify": together, "loop of single steps": in_turn}, warm_up=False)
    return {
        "case": "batch of 1000 networks, m=1024 n=16 d=4, 100 steps",
        "seconds": times,
        "ratio": {"loop of single steps": times["loop of single steps"] / times["ntkverify"]},
    }


def wide_case(n: int, d: int, m: int, steps: int) -> dict[str, Any]:
    """A very wide network, weights drawn and trained; the memory is the process's peak so far."""
    start = time.perf_counter()
    neuron, rng = neuron_of("relu", d), np.random.default_rng(0)
    points = {"data": np.eye(d)[:n]}
    executor = make_executor(neuron, points, {"data": np.ones(n)})
    weights, a = rng.standard_normal((m, d)), np.empty((m, 1))
    for j in range(0, m, 1 << 20):
        a[j : j + (1 << 20), 0] = 2.0 * rng.integers(0, 2, min(1 << 20, m - j)) - 1
    drawn = time.perf_counter()
    forward = executor.forward(weights, a)
    first = float(forward.loss)
    for _ in range(steps):
        forward = executor.step(weights, a, forward, 1.0)
    end = time.perf_counter()
    return {
        "case": f"relu n={n} d={d} m={m}, {steps} steps",
        "seconds": {
            "ntkverify": end - start,
            "of which drawing": drawn - start,
            "per step": (end - drawn) / (steps + 1),
        },
        "ratio": {},
        "loss_ratio": float(forward.loss) / first,
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def literal_case(samples: int, dimension: int, width: int, steps: int, backend: str = "cpu") -> dict[str, Any]:
    """The first theorem's literal check: weights drawn on the host, every step measured for its lemmas."""
    points = np.eye(dimension)[:samples]
    neuron = regression_neuron("relu", dimension=dimension)
    executor = make_executor(neuron, {"data": points}, {"data": np.ones(samples)}, backend=backend)
    start = time.perf_counter()
    weights, frozen = draw_weights(neuron, 0, width)
    weights, frozen = executor.from_host(weights), executor.from_host(frozen)
    method = GradientDescent(1.0)
    found = follow(executor, weights, frozen, method, steps=steps, measures=[Steps()], in_place=True)
    elapsed = time.perf_counter() - start
    return {
        "case": f"literal check n={samples} d={dimension} m={width}, {steps} measured steps, drawing included",
        "seconds": {"ntkverify": elapsed},
        "ratio": {},
        "loss_ratio": float((found.residuals[-1] ** 2).sum() / (found.residuals[0] ** 2).sum()),
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


STEPS = {
    "pinn": [
        ("heat", (200, 50), 1, 16384),
        ("heat", (50, 20), 1, 65536),
        ("poisson", (200, 50), 1, 16384),
        ("poisson", (50, 20), 1, 65536),
    ],
    "relu": [
        ("relu", (200,), 3, 262144),
        ("relu", (64,), 8, 65536),
        ("relu", (64,), 32, 65536),
        ("relu", (256,), 16, 65536),
        ("relu", (2,), 2, 11_200_000),
    ],
    "grid": [("relu", (n,), d, 65536) for n in (2, 16, 64, 256) for d in (2, 8, 32)],
}


GRAMS = [
    ("relu", (256,), 16, 4096, True),
    ("relu", (2,), 2, 1_000_000, True),
    ("heat", (44, 20), 4, 4096, True),
    ("relu", (1000,), 16, 65536, False),
]

# the widths that the first theorem prescribes for two and three samples
WIDE = [(2, 2, 11_200_000, 12), (3, 3, 60_300_000, 8)]
VAST = [(2, 2, 500_000_000, 1)]

# samples, dimension, width and steps of the literal checks; the smaller first, since the memory is a running peak
LITERAL = [(2, 2, 11_190_496, 12), (3, 3, 60_260_026, 12)]

GROUPS = ["literal", "check", *STEPS, "operator", "wide", "batch", "gram"]
LARGE = ["vast"]


def show(row: dict[str, Any]) -> None:
    """Print one line of the table."""
    times = "  ".join(f"{name} {1e3 * t:9.3f} ms" for name, t in row["seconds"].items())
    ratios = ", ".join(f"{r:.1f}x {name}" for name, r in row["ratio"].items())
    figures = ", ".join(f"{key} {row[key]:.3g}" for key in row if isinstance(row[key], float))
    print(f"{row['case']}\n    {times}\n    faster by {ratios or '-'}; {figures}", flush=True)


def main(arguments: list[str]) -> None:
    """Parse the command line and run the chosen cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=GROUPS + LARGE, default=GROUPS)
    parser.add_argument("--json", help="file to write the figures to")
    chosen = parser.parse_args(arguments)
    peaks = measured_peaks()
    print(", ".join(f"{k} {v:.1f}" for k, v in peaks.items()), flush=True)
    rows = []

    def keep(row: dict[str, Any]) -> None:
        # other processes come and go: the machine's own rates are those of the moment
        rows.append(row | {"load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None})
        show(row)
        if chosen.json:
            # after every case: a run that is broken off leaves what it has
            with open(chosen.json, "w") as file:
                json.dump({"machine": describe_machine(), "peaks": peaks, "rows": rows}, file, indent=1)

    def current() -> dict[str, float]:
        """The peaks, measured again beside each case."""
        peaks.update(measured_peaks(known=peaks, repeats=3))
        return dict(peaks)

    for options in LITERAL if "literal" in chosen.only else []:
        keep(literal_case(*options))
    for kind, sizes, d, m in CHECKED if "check" in chosen.only else []:
        keep(check_case(kind, sizes, d, m))
    if "check" in chosen.only:
        keep(natural_case(*NATURAL))
    for group in chosen.only:
        if group in STEPS:
            for kind, sizes, d, m in STEPS[group]:
                keep(step_case(kind, sizes, d, m, current()))
    if "operator" in chosen.only:
        keep(operator_case(SIZES, current()))
    for name, sizes in (("wide", WIDE), ("vast", VAST)):
        for options in sizes if name in chosen.only else []:
            keep(wide_case(*options))
    if "batch" in chosen.only:
        keep(batch_case())
    if "gram" in chosen.only:
        for kind, sizes, d, m, rival in GRAMS:
            keep(gram_case(kind, sizes, d, m, current(), rival))


if __name__ == "__main__":
    main(sys.argv[1:])
