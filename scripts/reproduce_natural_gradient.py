"""Relative L2 errors of gradient descent, Adam, L-BFGS and natural gradient descent on five linear PDEs.

    python scripts/reproduce_natural_gradient.py

The tables of arXiv 2408.00573 with the settings that its text does not give chosen here and printed: distributions over
seeds beside the paper's single numbers. The steps of gradient descent and Adam are chosen by pilot runs on a seed that
no table uses. Interrupt it at any time: each finished run is a line of OUT/runs.jsonl, and the next call goes on from
there. Tables are Markdown; figures need matplotlib.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reproduction.command import carry_out, guarded, parser
from reproduction.problems import METHODS, PROBLEMS, Problem
from reproduction.runs import Key, Runs
from reproduction.tables import draw_figures, report
from reproduction.training import PILOT, PILOT_STEPS, spectrum, train

from ntkverify import NtkVerifyError

PARTS = ("main", "rates", "widths", "spectrum")
RATES = (1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001)  #: of the paper's table
WIDTHS = (20, 80, 320, 1280, 2560)


def sizes(problem: Problem) -> list[Any]:
    """What a record of this problem depends on."""
    return [problem.interior, problem.side, problem.width, *problem.spread, problem.eta, problem.steps]


class Study:
    """All runs of the tables, made once each.

    Parameters
    ----------
    runs : Runs
    options : argparse.Namespace
    """

    def __init__(self, runs: Runs, options: argparse.Namespace) -> None:
        self.runs, self.options = runs, options

    def natural(self, part: str, key: str, seed: int, **changed: Any) -> dict[str, Any]:
        """A run of natural gradient descent, with changed settings of the problem."""
        problem = replace(PROBLEMS[key], **changed)
        return self.runs.get(
            (part, key, "NGD", seed),
            {"problem": sizes(problem)},
            lambda: train(problem, "NGD", seed, eta=problem.eta, steps=problem.steps, every=problem.steps),
        )

    def baseline(
        self, part: str, key: str, method: str, seed: int, *, eta: float, steps: int, seconds: float | None = None
    ) -> dict[str, Any]:
        """A run of another method."""
        problem = PROBLEMS[key]
        return self.runs.get(
            (part, key, method, seed),
            {"problem": sizes(problem), "eta": eta, "steps": steps},
            lambda: train(problem, method, seed, eta=eta, steps=steps, every=problem.steps, seconds=seconds),
        )

    def steps_of(self, key: str, method: str) -> int:
        """Number of steps of a baseline."""
        longest = PROBLEMS[key].longest
        if method == "L-BFGS":
            return int(min(self.options.lbfgs_steps, longest // 2))
        return int(min(self.options.baseline_steps, longest))

    def tuned(self, key: str, method: str) -> float:
        """The step whose pilot run, a fifth as long, ends with the least error on its test points."""
        steps = max(self.steps_of(key, method) // 5, 1)
        tried = [
            self.baseline("pilot", key, method, PILOT, eta=eta, steps=steps) for eta in PILOT_STEPS.get(method, (1.0,))
        ]
        return float(
            min(tried, key=lambda r: r["error"] if r["error"] is not None and r["error"] >= 0 else 1e99)["eta"]
        )

    def main(self) -> Iterator[dict[str, Any]]:
        """Every problem, method and seed."""
        for key in self.options.problems:
            for method in (m for m in METHODS if m in self.options.methods):
                eta = self.tuned(key, method) if method in PILOT_STEPS else 1.0
                for seed in range(self.options.seeds):
                    natural = self.natural("main", key, seed)  # its time is a budget of the others
                    if method == "NGD":
                        yield natural
                    else:
                        seconds, steps = natural["seconds"], self.steps_of(key, method)
                        yield self.baseline("main", key, method, seed, eta=eta, steps=steps, seconds=seconds)

    def rates(self) -> Iterator[dict[str, Any]]:
        """2-D Poisson at the paper's steps: NGD for 20/eta steps, 1000 at the most; baselines a fifth of theirs."""
        for eta in RATES:
            for seed in range(min(self.options.seeds, 3)):
                if "NGD" in self.options.methods:
                    yield self.natural("rates", "poisson-2d", seed, eta=eta, steps=int(min(20 / eta, 1000)))
                for method in ("GD", "Adam"):
                    if method in self.options.methods:
                        steps = max(self.steps_of("poisson-2d", method) // 5, 1)
                        yield self.baseline("rates", "poisson-2d", method, seed, eta=eta, steps=steps)

    def widths(self) -> Iterator[dict[str, Any]]:
        """1-D Poisson by natural gradient descent at the paper's widths, on points few enough for 20 neurons."""
        for width in WIDTHS:
            for seed in range(self.options.seeds):
                yield self.natural("widths", "poisson-1d", seed, width=width, interior=14)

    def spectrum(self) -> Iterator[dict[str, Any]]:
        """Certified least eigenvalues of 1-D Poisson."""
        for interior in (PROBLEMS["poisson-1d"].interior, 32):
            for seed in range(min(self.options.seeds, 3)):
                key: Key = ("spectrum", "poisson-1d", "NGD", seed)
                settings = {"problem": sizes(replace(PROBLEMS["poisson-1d"], interior=interior))}
                yield self.runs.get(key, settings, lambda s=seed, n=interior: spectrum(s, n))


def settings(options: argparse.Namespace) -> str:
    """What the paper does not say, chosen here."""
    multiples = ", ".join(f"{x:.3g}" for x in PILOT_STEPS["GD"])
    return "\n".join(
        [
            "tanh, outer signs frozen, 1/sqrt(m), residual blocks over sqrt(n_b), Chebyshev points in up to two",
            f"dimensions and uniform ones above; NGD undamped, by QR of J^T; {options.seeds} seeds. GD (the paper's",
            f"SGD) and Adam full batch, constant steps (at most {options.baseline_steps}), chosen by pilot runs",
            f"on another seed out of {multiples} / ||H(0)|| and {PILOT_STEPS['Adam']};",
            f"L-BFGS at most {options.lbfgs_steps} iterations, memory 10. One thread; seconds are processor time.",
            "",
            "Widths, scales and NGD's steps were chosen by NGD's error on seeds 0 and 1, which are among those below:",
            "",
            *(f"- {PROBLEMS[key].settings}" for key in options.problems),
        ]
    )


def parse() -> argparse.Namespace:
    lists = {"problems": PROBLEMS, "methods": METHODS, "parts": PARTS}
    found = parser(__doc__.splitlines()[0], "natural_gradient_results", **lists)
    found.add_argument("--seeds", type=int, default=10, help="runs per problem and method")
    found.add_argument("--baseline-steps", type=int, default=10000, help="steps of GD and Adam")
    found.add_argument("--lbfgs-steps", type=int, default=5000)
    options = found.parse_args()
    if min(options.seeds, options.baseline_steps, options.lbfgs_steps) < 1:
        raise NtkVerifyError("--seeds, --baseline-steps and --lbfgs-steps must be at least 1; raise what is below.")
    return options


def main() -> None:
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    study = Study(Runs(options.out / "runs.jsonl"), options)
    carry_out(
        {part: getattr(study, part) for part in options.parts},
        {"main": len(options.problems) * len(options.methods) * options.seeds},
        settings(options),
        options.out,
        report=report,
        draw_figures=draw_figures,
    )


if __name__ == "__main__":
    guarded(main)
