"""Time what a user of the symbols waits for: deriving a limit Gram matrix, evaluating it, importing the package.

    python scripts/benchmark_symbols.py
    python scripts/benchmark_symbols.py --json results.json

Seconds of wall time, the best of five where a result is not kept between calls; each beside its mark.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_machine import describe_machine

from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.activations import names
from ntkverify.symbolic.network.neuron import pinn_neuron, regression_neuron

T, X = ops.coordinates("t x")


def seconds(function: Callable[[], Any], runs: int = 5) -> float:
    """Shortest wall time of some calls."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def physics_points() -> dict[str, np.ndarray]:
    """A hundred points inside, fifty on the boundary."""
    rng = np.random.default_rng(0)
    return {"interior": rng.random((100, 2)), "boundary": rng.random((50, 2))}


def pictures() -> tuple[float, float]:
    """The longest derivation and the longest first matrix of 100 points of 28 x 28, over all registered activations."""
    points = np.random.default_rng(0).standard_normal((100, 784)) / 28
    derived, evaluated = [], []
    for activation in names():
        made: list[Any] = []
        derived.append(
            seconds(lambda a=activation, m=made: m.append(limit_gram(regression_neuron(a, dimension=784))), runs=1)
        )
        evaluated.append(seconds(lambda m=made: m[0].matrix(points), runs=1))
    return max(derived), max(evaluated)


def imported() -> float:
    """Seconds that a fresh interpreter takes to import the package."""
    code = "import time; start = time.perf_counter(); import ntkverify; print(time.perf_counter() - start)"
    return min(float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(5))


def rows() -> list[tuple[str, float, float]]:
    """Case, seconds, mark."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NTKVERIFY_CACHE_DIR"] = folder

        def derive(activation: str) -> Any:
            return limit_gram(pinn_neuron(activation, ops.heat(T, [X])))

        first = seconds(lambda: derive("relu3"), runs=1)
        derived, evaluated = pictures()
        assert list(Path(folder).iterdir()), "deriving left nothing in the cache"
        again = seconds(lambda: derive("relu3"))
        closed, smooth = derive("relu3"), derive("tanh")
    inputs = np.random.default_rng(0).standard_normal((500, 10))
    regression = limit_gram(regression_neuron("relu", dimension=10))
    return [
        ("deriving ReLU^3 under the heat operator", first, 10),
        ("the same from the cache", again, 1),
        ("ReLU regression, 500 points", seconds(lambda: regression.matrix(inputs)), 0.1),
        ("ReLU^3 under the heat operator, 150 points", seconds(lambda: closed.matrix(physics_points())), 1),
        ("tanh under the heat operator, 150 points", seconds(lambda: smooth.matrix(physics_points()), runs=1), 10),
        ("784 inputs, the slowest activation to derive", derived, 2),
        ("100 points of 784 inputs, the slowest activation, first time", evaluated, 1),
        ("import ntkverify", imported(), 0.7),
    ]


def main(arguments: list[str]) -> None:
    """Parse the command line and time every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="file to write the figures to")
    chosen = parser.parse_args(arguments)
    found = rows()
    for case, taken, mark in found:
        print(f"{case:45} {taken:8.3f} s   mark {mark:g} s   {'met' if taken < mark else 'NOT MET'}")
    if chosen.json:
        record = {"machine": describe_machine(), "rows": [{"case": c, "seconds": s, "mark": m} for c, s, m in found]}
        Path(chosen.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
