"""The widths that the deterministic chains of arXiv 2408.00573 prescribe with their constants written out.

    python scripts/prescribed_widths.py

For two samples with the largest lambda_0 met and for four samples far apart: the width for the initial Gram matrix (by
Chebyshev's inequality), for natural gradient descent with ReLU^3 (drift of the largest neuron, square root of it in the
Jacobian, lambda_0^-4), and with tanh (l^2 sum over the neurons, lambda_0^-2), each at eta = 1/10 and delta = 1/5. The
largest weight depends on the width, so that the latter two are fixed points. Their initial residual is a parameter.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import sympy

from ntkverify import Instance, NtkVerifyError, load_theorem
from ntkverify.glossary import d, delta, m
from ntkverify.problems.pinn import PinnRun

MODULES = Path(__file__).parents[1] / "theorems" / "natural_gradient"
SAMPLES = {
    "two samples": {"interior": [[0.1, 0.5]], "boundary": [[0.5, 1.0]]},
    "four samples": {"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5], [0.5, 1.0]]},
}
ETA, DELTA = 0.1, 0.2
RHO = sympy.Symbol("rho", positive=True)


def fixed_point(width: Any) -> float:
    """The least m with m >= width(m), by iteration from below; `width` grows like a power of a logarithm."""
    found = 1.0
    for _ in range(200):
        found = max(found, width(found))
    return float(found)


def main() -> None:
    gram, jacobian, quadratic = (
        load_theorem(MODULES / f"{name}.py")
        for name in ("initial_gram_pinn", "jacobian_stability", "quadratic_convergence")
    )
    print(f"eta = {ETA}, delta = {DELTA}\n")
    print(
        "| samples | activation | lambda_0 | lemma | initial residual | prescribed width |\n|---|---|---|---|---|---|"
    )
    for title, points in SAMPLES.items():
        runs = {
            name: PinnRun(Instance(data=points, width=1, parameters={"delta": DELTA}), gram, activation=name)
            for name in ("relu3", "tanh")
        }
        run = runs["relu3"]
        chebyshev = run.evaluate(gram.constants["width"].symbol)
        print(f"| {title} | ReLU^3 | {run.lambda_0:.3g} | initial Gram matrix | - | {chebyshev:.2g} |")

        def largest_square(width: float, run: PinnRun = run) -> float:
            """B^2: the largest |w_r|^2 with probability 1 - delta/2, and a drift of 1."""
            at = {d: run.d, delta: DELTA, m: width}
            return float((np.sqrt(float(gram.value(gram.constants["B_2"].symbol, at))) + 1) ** 2)

        at = {RHO: run.rho}
        bound = float(gram.value(gram.constants["C_g"].symbol, at))
        root = float(jacobian.value(jacobian.constants["C_J"].symbol, at))
        slope = float(quadratic.value(quadratic.constants["C_L"].symbol, at))
        for start in (1.0, 0.01):
            squared = (196 * bound * root**2 * start / ((1 - ETA) * run.lambda_0**2)) ** 2
            width = fixed_point(lambda w, s=squared, f=largest_square: s * f(w) ** 6)
            print(f"| {title} | ReLU^3 | {run.lambda_0:.3g} | natural gradient | {start} | {width:.2g} |")
        smooth = runs["tanh"].lambda_0
        for start in (1.0, 0.01):
            # the steps add up to 2 ||r(0)||/sqrt(lambda_0/2), and C_L B^2/sqrt(m) of it is the change of J
            squared = 8 * (7 * slope * start / smooth) ** 2 / (1 - ETA)
            width = fixed_point(lambda w, s=squared, f=largest_square: s * f(w) ** 2)
            print(f"| {title} | tanh | {smooth:.3g} | natural gradient | {start} | {width:.2g} |")


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"prescribed_widths: {error}")
