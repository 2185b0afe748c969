"""The reproduction runs in small, resumes from what is there, and names bad options in one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
from reproduction.equations import EQUATIONS, cole_hopf, kovasznay  # noqa: E402


def call(folder, *options):
    return subprocess.run(
        [sys.executable, SCRIPTS / "reproduce_nonlinear_regime.py", "--out", folder, *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.heavy
def test_it_runs_resumes_and_reports(tmp_path):
    options = ("--draws", "2", "--parts", "kernel", "training", "--equations", "poisson", "--seeds", "1")
    options = (*options, "--seconds", "1.5", "--methods", "LM", "L-BFGS")
    first = call(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    runs = (tmp_path / "runs.jsonl").read_text()
    records = [json.loads(line) for line in runs.splitlines()]
    assert [r["part"] for r in records].count("kernel") == 16
    second, limited = (r for r in records if r["part"] == "training")
    assert 0 < second["error"] < limited["error"]
    assert max(second["seconds"], limited["seconds"]) < 10
    linear, nonlinear = (
        [r["relative"] for r in records if r["problem"] == name and r["width"] == 4096] for name in ("u_xx", "u u_x")
    )
    assert max(linear) < min(nonlinear)
    again = call(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "runs.jsonl").read_text() == runs  # nothing was run twice
    assert "| Poisson, two scales | LM |" in (tmp_path / "tables.md").read_text()


def test_exact_solutions_solve_their_equations():
    """Burgers' by differences of the Cole-Hopf solution, the systems' residuals at the solution's derivatives."""
    x, h, viscosity = np.array([[0.4, 0.3], [0.2, -0.6], [0.7, 0.5]]), 1e-4, 0.01 / np.pi
    moved = {d: cole_hopf(x + h * np.array(d))[0] for d in [(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]}
    in_time = (moved[1, 0] - moved[-1, 0]) / (2 * h)
    in_space = (moved[0, 1] - moved[0, -1]) / (2 * h)
    second = (moved[0, 1] + moved[0, -1] - 2 * moved[0, 0]) / h**2
    assert np.abs(in_time + moved[0, 0] * in_space - viscosity * second).max() < 1e-5

    def derivative(i, order=1):
        ends = [kovasznay(x + s * 1e-3 * np.eye(2)[i]) for s in (1, -1, 0)]
        return (ends[0] - ends[1]) / 2e-3 if order == 1 else (ends[0] + ends[1] - 2 * ends[2]) / 1e-6

    (u, v, _), x_, y_ = kovasznay(x), derivative(0), derivative(1)
    diffusion = (derivative(0, 2) + derivative(1, 2)) / 40
    assert np.abs(u * x_[0] + v * y_[0] + x_[2] - diffusion[0]).max() < 1e-3
    assert np.abs(u * x_[1] + v * y_[1] + y_[2] - diffusion[1]).max() < 1e-3
    assert np.abs(x_[0] + y_[1]).max() < 1e-3


@pytest.mark.parametrize("key", list(EQUATIONS))
def test_targets_are_what_the_operators_make_of_the_solutions(key):
    """The operators in X at differences of the solutions in x, block by block."""
    equation = EQUATIONS[key]
    xs, operators = equation.blocks()
    points, h, unit = equation.points(0), 1e-4, np.eye(len(equation.box))
    for name, operator in operators.items():
        at = points[name][:4]

        def moved(i, s, at=at):
            return equation.solution(equation.at(at + s * h * unit[i]))

        values = []
        for slot in operator.slots:
            i = int(np.argmax(slot.orders))
            low, here, high = (moved(i, s)[slot.component] for s in (-1, 0, 1))
            values.append((here, (high - low) / (2 * h), (high + low - 2 * here) / h**2)[slot.order])
        found = sympy.lambdify((*xs, *operator.symbols), operator.residual)(*at.T, *values)
        wanted = np.broadcast_to(equation.targets(name, equation.at(at)), len(at))
        assert np.abs(found - wanted).max() < 1e-2 * max(1, np.abs(wanted).max()), name


def test_bad_options_are_one_sentence(tmp_path):
    found = call(tmp_path, "--seeds", "0")
    assert found.returncode != 0
    assert "must be at least 1" in found.stderr
    assert "Traceback" not in found.stderr
