"""Problems that the benchmarks share, and how contestants take turns."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import sympy

from ntkverify.execution import make_executor
from ntkverify.symbolic.expression.functions import PositivePower
from ntkverify.symbolic.network.neuron import Block, Neuron

ROUNDS = 5


def neuron_of(kind: str, d: int) -> Neuron:
    """The neuron of a benchmark problem: `d` counts all coordinates for "relu", those of space otherwise."""
    phi, a = sympy.symbols("Phi_1 a", real=True)
    coordinates = d + (kind == "heat")
    w, x = sympy.symbols(f"w0:{coordinates}", real=True), sympy.symbols(f"x0:{coordinates}", real=True)
    z = sympy.Add(*(p * q for p, q in zip(w, x, strict=True)))
    if kind == "relu":
        return Neuron(w, (a,), x, (Block("data", (a * PositivePower(z, 1),), (phi,), phi),))
    bias = sympy.Symbol("b", real=True)
    u = a * (PositivePower(z + bias, 3) if kind == "heat" else sympy.tanh(z + bias))
    space = x[1:] if kind == "heat" else x
    interior = (sympy.diff(u, x[0]) if kind == "heat" else 0) - sum(sympy.diff(u, v, 2) for v in space)
    blocks = Block("interior", (interior,), (phi,), phi), Block("boundary", (u,), (phi,), phi)
    return Neuron((*w, bias), (a,), x, blocks)


def draw(kind: str, sizes: tuple[int, ...], d: int, m: int, seed: int = 0) -> tuple[Neuron, dict[str, Any], Any, Any]:
    """Random samples and weights of a problem; where there is a bias, the last coordinate of the points is 1."""
    neuron, rng = neuron_of(kind, d), np.random.default_rng(seed)
    k = len(neuron.weights)
    names = [b.name for b in neuron.blocks]
    points = {name: rng.standard_normal((n, k)) / np.sqrt(k) for name, n in zip(names, sizes, strict=True)}
    if kind != "relu":
        for x in points.values():
            x[:, -1] = 1
    targets = {name: rng.standard_normal(n) for name, n in zip(names, sizes, strict=True)}
    problem = {
        "points": points,
        "targets": targets,
        "scale": {name: n**-0.5 for name, n in zip(names, sizes, strict=True)},
    }
    return neuron, problem, rng.standard_normal((m, k)), rng.choice([-1.0, 1.0], (m, 1))


def executor_of(neuron: Neuron, problem: dict[str, Any], backend: str = "cpu") -> Any:
    """The library's executor of a drawn problem; a bias is a weight of its own there, not one of a coordinate."""
    points = {name: x[:, : len(neuron.coordinates)] for name, x in problem["points"].items()}
    return make_executor(neuron, points, problem["targets"], scale=problem["scale"], backend=backend)


def race(contestants: dict[str, Any], rounds: int = ROUNDS, *, warm_up: bool = True) -> dict[str, float]:
    """Median seconds per call of each contestant, taking turns; long calls need no warming up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values() if warm_up else ():
        run()
        run()
    for _ in range(rounds):
        for name, run in contestants.items():
            # the last contestant's threads may spin for a while; let them go to sleep, then wake one's own
            time.sleep(0.3)
            if warm_up:
                run()
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}
