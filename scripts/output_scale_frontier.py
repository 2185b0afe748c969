"""Which output scale is needed for which width: prescribed by the theorems of `theorems/beyond/`, and measured.

    python scripts/output_scale_frontier.py

Regression: the least width at a scale, the slack split for it, two orthonormal inputs, C = 1, delta = 1/10. Natural
gradient on the ReLU^3 heat equation, four samples, ||r(0)|| = 10, eta = 1/2: the least scale, a power of 2, at which 9
draws of 10 keep J within what the theorem allows over four steps, and what it prescribes where it knows no more.
"""

from __future__ import annotations

import math
import runpy
from pathlib import Path

from sympy import Rational, Symbol

from ntkverify import Instance, load_theorem
from ntkverify.glossary import C, delta, lambda_0, n
from ntkverify.instances import SEPARATED
from ntkverify.lemmas.stability import farthest
from ntkverify.problems.pinn import pinn

MODULES = Path(__file__).parents[1] / "theorems" / "beyond"
DRAWS = 30


def regression() -> None:
    """The table of regression."""
    module = runpy.run_path(str(MODULES / "coupled_regression.py"))
    chain, start = module["chain"].mapped(module["theorem"].expand), module["quarters"]
    print("| alpha | width | what asks for it |\n|---|---|---|")
    for scale in (1, 10, 100, 1000, 10**4):
        data = {n: 2, lambda_0: Rational(scale**2, 2), C: 1, delta: Rational(1, 10)}
        values = {**data, Symbol("alpha", positive=True): scale}
        found = chain.minimise(values, start=start)
        print(f"| {scale} | {found.width} | {found.binding} |")


def heat() -> None:
    """The table of natural gradient."""
    theorem = load_theorem(MODULES / "coupled_natural_gradient.py")
    make = pinn(activation="relu3", method="natural gradient", coupled=True)
    size = 10 / math.sqrt(2)
    data = {**SEPARATED, "source": [size] * 2, "values": [-size] * 2}

    def run(width: int, scale: float, seed: int):  # type: ignore[no-untyped-def]
        parameters = {"alpha": scale, "delta": 0.1}
        return make(
            Instance(data=data, parameters=parameters, width=width, step=0.5, steps=4, seed=seed),
            theorem,
            backend="array",
        )

    def keeps(width: int, scale: float) -> bool:
        runs = (run(width, scale, seed) for seed in range(DRAWS))
        return sum(farthest(r) <= r.gamma * math.sqrt((1 - r.eta) * r.lambda_0) for r in runs) >= 0.9 * DRAWS

    print("| width | measured scale | prescribed scale |\n|---|---|---|")
    for width in (64, 256, 1000, 4096, 16384):
        power = 10
        while power > -4 and keeps(width, 2.0 ** (power - 1)):
            power -= 1
        print(f"| {width} | {2.0**power:g} | {float(run(width, 1.0, 0).alpha_0):.2g} |")


if __name__ == "__main__":
    regression()
    print()
    heat()
