"""Kernels, Hessians, spectra and second-order training of physics-informed networks, linear against nonlinear.

    python scripts/reproduce_nonlinear_regime.py

What the figures of arXiv 2402.03864 show, with settings chosen here and printed: (a) spread of ||K(0)|| and movement of
K over the width, (b) norm and density of the residuals' Hessian, (c) the kernel's spectrum in training, (d) errors of
Levenberg-Marquardt, Adam, L-BFGS and undamped natural gradient at equal processor time on five equations. Interrupt it
at any time: each finished run is a line of OUT/runs.jsonl, and the next call goes on from there. Tables are Markdown;
figures need matplotlib.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from reproduction.command import carry_out, guarded, parser
from reproduction.equations import EQUATIONS
from reproduction.regime import METHODS, draw_figures, hessian, kernel, report, spectrum, train, tuned
from reproduction.runs import Runs

from ntkverify import NtkVerifyError

PARTS = ("kernel", "hessian", "spectrum", "training")
LINEAR = ("u_xx", "u u_x")
WIDTHS = (64, 256, 1024, 4096)


class Study:
    """All runs of the tables, made once each.

    Parameters
    ----------
    runs : Runs
    options : argparse.Namespace
    """

    def __init__(self, runs: Runs, options: argparse.Namespace) -> None:
        self.runs, self.options = runs, options

    def _over_widths(self, part: str, measure: Any) -> Iterator[dict[str, Any]]:
        for equation in LINEAR:
            for width in WIDTHS:
                for seed in range(self.options.draws):
                    yield self.runs.get(
                        (part, equation, "", seed),
                        {"width": width},
                        lambda e=equation, w=width, s=seed: measure(e, w, s),
                    )

    def kernel(self) -> Iterator[dict[str, Any]]:
        """(a) ||K(0)|| and how far K moves."""
        return self._over_widths("kernel", kernel)

    def hessian(self) -> Iterator[dict[str, Any]]:
        """(b) Norm and share of nonzeros of H_r."""
        return self._over_widths("hessian", hessian)

    def spectrum(self) -> Iterator[dict[str, Any]]:
        """(c) Eigenvalues of J J^T along gradient descent and Gauss-Newton, Burgers' equation."""
        for method in ("GD", "GN"):
            yield self.runs.get(("spectrum", "burgers", method, 0), {}, lambda m=method: spectrum(m, 0))

    def training(self) -> Iterator[dict[str, Any]]:
        """(d) Every equation, method and seed, each for the same processor time."""
        for key in self.options.equations:
            seconds = self.options.seconds * EQUATIONS[key].patience
            for method in self.options.methods:
                settings: dict[str, Any] = {"problem": EQUATIONS[key].settings, "seconds": seconds}
                eta = None
                if method == "Adam":
                    pilot = self.runs.get(("pilot", key, method, 0), settings, lambda k=key, t=seconds: tuned(k, t / 5))
                    eta = pilot["eta"]
                for seed in range(self.options.seeds):
                    yield self.runs.get(
                        ("training", key, method, seed),
                        settings | {"eta": eta},
                        lambda k=key, m=method, s=seed, e=eta, t=seconds: train(k, m, s, seconds=t, eta=e),
                    )


def settings(options: argparse.Namespace) -> str:
    """What the paper does not say, chosen here."""
    return "\n".join(
        [
            "One hidden layer, 1/sqrt(m), inner and outer weights and biases trained, residual blocks over sqrt(n_b).",
            f"(a) to (c): {options.draws} draws a width. (d): {options.seeds} seeds and {options.seconds:g} s of",
            "processor time for each method, compilation and tests of the error not counted, one thread.",
            "Levenberg-Marquardt with geodesic acceleration, damping from 1. Adam full batch, its step chosen by pilot",
            "runs of a fifth of the time on another seed; L-BFGS memory 10; NGD undamped with step 1/2, by QR of J^T.",
            "",
            *(f"- {EQUATIONS[key].settings}" for key in options.equations),
        ]
    )


def parse() -> argparse.Namespace:
    lists = {"equations": EQUATIONS, "methods": METHODS, "parts": PARTS}
    found = parser(__doc__.splitlines()[0], "nonlinear_regime_results", **lists)
    found.add_argument("--draws", type=int, default=10, help="networks per width in (a) and (b)")
    found.add_argument("--seeds", type=int, default=3, help="runs per equation and method in (d)")
    found.add_argument("--seconds", type=float, default=5, help="processor time of each run in (d)")
    options = found.parse_args()
    if min(options.draws, options.seeds) < 1 or not options.seconds > 0:
        raise NtkVerifyError("--draws and --seeds must be at least 1 and --seconds positive; raise what is below.")
    return options


def main() -> None:
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    study = Study(Runs(options.out / "runs.jsonl"), options)
    count = len(LINEAR) * len(WIDTHS) * options.draws
    trained = len(options.equations) * len(options.methods) * options.seeds
    carry_out(
        {part: getattr(study, part) for part in options.parts},
        {"kernel": count, "hessian": count, "spectrum": 2, "training": trained},
        settings(options),
        options.out,
        report=report,
        draw_figures=draw_figures,
    )


if __name__ == "__main__":
    guarded(main)
