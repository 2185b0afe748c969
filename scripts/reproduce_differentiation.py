"""Automatic against finite differences: for which truncated entropy, where, and in which arithmetic is AD above FD?

    python scripts/reproduce_differentiation.py

The comparison of arXiv 2405.14099 with everything that its text (not at hand) would settle varied instead: definition
of the entropy, cut-off, activation, operator, scale, precision. Interrupt it at any time: each finished draw is a line
of OUT/runs.jsonl, and the next call goes on from there. Tables are Markdown; figures need matplotlib.
"""

# ruff: noqa: E402 - the number of threads must be set before NumPy is imported
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # small matrices: threads of BLAS only get in each other's way
    os.environ.setdefault(name, "1")

import numpy as np
from reproduction.differentiation import EQUATIONS, PRECISIONS, Setting, measure
from reproduction.differentiation_tables import draw_figures, report
from reproduction.runs import Runs
from tqdm import tqdm

from ntkverify import NtkVerifyError
from ntkverify.problems.random_features.collocation import ACTIVATIONS

PARTS = ("above", "correlation", "sizes", "plateau")
SCALES = (1.0, 5.0, 20.0)


def above(options: argparse.Namespace) -> Iterator[tuple[Setting, int]]:
    """Definition by definition: every activation, operator, scale and precision."""
    for precision in options.precisions:
        for equation in options.equations:
            for activation in options.activations:
                for scale in SCALES:
                    if precision == "exact" and (equation == "Poisson 2-D" or scale > 5):
                        continue  # a grid on a square has equal rows up to rounding; steep features fall below 1e-300
                    size = 6 if equation == "Poisson 2-D" else 16 if precision == "exact" else options.size
                    for seed in range(options.exact_draws if precision == "exact" else options.draws):
                        yield Setting(equation, activation, scale, size, precision), seed


def correlation(options: argparse.Namespace) -> Iterator[tuple[Setting, int]]:
    """Problems drawn at random, for random features and for networks."""
    rng = np.random.default_rng(1)
    for seed in range(options.correlated):
        equation, activation = (str(rng.choice(x)) for x in (options.equations, options.activations))
        scale, boundary = float(rng.choice([1.0, 2.0, 5.0, 10.0, 20.0])), bool(rng.integers(2))
        size = int(rng.choice([4, 5, 6] if equation == "Poisson 2-D" else [16, 24, 32]))
        for network in (False, True):
            yield Setting(equation, activation, scale, size, network=network, boundary=boundary), seed


def sizes(options: argparse.Namespace) -> Iterator[tuple[Setting, int]]:
    """Residual losses and training curves over N, with and without boundary rows, at scale 5."""
    for equation in options.equations:
        for activation in options.activations:
            for size in (4, 6, 8) if equation == "Poisson 2-D" else (25, 50, 100):
                for boundary in (False, True):
                    for seed in range(min(options.draws, 20)):
                        yield Setting(equation, activation, 5.0, size, boundary=boundary), seed


def plateau(options: argparse.Namespace) -> Iterator[tuple[Setting, int]]:
    """Spectra over the spacing of the stencil, in every precision, at scale 1."""
    for equation in (e for e in options.equations if e != "Poisson 2-D"):
        for activation in options.activations:
            for precision in options.precisions:
                for refined in (1, 4, 16):
                    for seed in range(min(options.draws, 1 if precision == "exact" else 10)):
                        yield Setting(equation, activation, 1.0, 16, precision, refined=refined), seed


CELLS = {"above": above, "correlation": correlation, "sizes": sizes, "plateau": plateau}


def settings(options: argparse.Namespace) -> str:
    """What the tables rest on."""
    return "\n".join(
        [
            "Weights and biases uniform on [-R, R]; as many features (or neurons) as interior points, spacing of the",
            f"stencil that of the grid; {options.size} points on a line (16 in exact arithmetic, where singular values",
            f"are certified), 36 on a square; {options.draws} draws a cell ({options.exact_draws} exact). The solution",
            "is a sum of three waves with normal coefficients. eps is that of the arithmetic (float64's for exact",
            "values). Intervals: 99 %, exact for shares (Clopper and Pearson), valid for every law for Kendall's tau.",
            "yes/no: the share of draws in which AD is above FD is more/less than a half, the interval says so.",
        ]
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("differentiation_results"), help="folder of runs and tables")
    parser.add_argument("--draws", type=int, default=40, help="draws of each cell")
    parser.add_argument("--exact-draws", type=int, default=20, help="draws of each cell in exact arithmetic")
    parser.add_argument("--correlated", type=int, default=1000, help="problems for the rank correlations")
    parser.add_argument("--size", type=int, default=32, help="points on a line, in floating point")
    parser.add_argument("--equations", nargs="+", choices=EQUATIONS, default=list(EQUATIONS))
    parser.add_argument("--activations", nargs="+", choices=ACTIVATIONS, default=list(ACTIVATIONS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if min(options.draws, options.exact_draws, options.correlated, options.size - 3) < 1:
        raise NtkVerifyError("--draws, --exact-draws and --correlated must be at least 1 and --size at least 4.")
    return options


def main() -> None:
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    print(settings(options))
    runs = Runs(options.out / "runs.jsonl")
    records: list[dict[str, Any]] = []
    for part in options.parts:
        cells = list(CELLS[part](options))
        for setting, seed in tqdm(cells, desc=part, unit="draw"):
            record = runs.get(
                (part, setting.name, setting.precision, seed),
                asdict(setting),
                lambda s=setting, k=seed, p=part: measure(s, k, spectra=p == "plateau"),
            )
            records.append({**record, **asdict(setting), "part": part})
    text = report(records, settings(options), options.activations)
    (options.out / "tables.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    if not draw_figures(records, options.out):
        print("figures need matplotlib: pip install 'ntkverify[report]'", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except NtkVerifyError as error:
        sys.exit(f"reproduce_differentiation: {error}")
