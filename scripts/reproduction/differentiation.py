"""The problems of the comparison of automatic and finite differences, and what is recorded of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkverify.problems.random_features.collocation import ACTIVATIONS, PARTS
from ntkverify.problems.random_features.compared import ComparedRun
from ntkverify.problems.random_features.grids import line_grid, square_boundary, square_grid, wave_source
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.parts import Source
from ntkverify.theorem.theorem import Theorem

PRECISIONS: dict[str, Any] = {"float32": np.float32, "float64": np.float64, "exact": "exact"}
EQUATIONS = {"Poisson": (1, 1), "biharmonic": (1, 2), "Poisson 2-D": (2, 1)}  #: (dimensions, p)
#: (entropy, rule of the cut-off, its relative threshold if not machine epsilon)
DEFINITIONS: tuple[tuple[str, str, float | None], ...] = (
    ("H3", "common", None),
    ("H1", "common", None),
    ("H2", "common", None),
    ("H4", "common", None),
    ("H1", "all", None),
    ("H3", "all", None),
    ("H3", "common", 1e-6),
    ("H1", "noise-aware", None),
    ("H3", "noise-aware", None),
    ("H3", "saturated", None),
    ("H3", "reached", None),
)
STEPS = (0, 1, 10, 100, 1000, 10000, 100000)
_NOTHING = Theorem("automatic against finite differences", Source(), "no theorem: numbers only")


@dataclass(frozen=True)
class Setting:
    """One problem but for its seed.

    Parameters
    ----------
    equation, activation : str
    scale : float
        R, the radius of the uniform weights and biases.
    size : int
        Interior points along an axis; as many features as there are points.
    precision : {"float32", "float64", "exact"}
    network : bool
        All weights trained, rather than the outer ones.
    boundary : bool
        Whether boundary values are residuals too.
    refined : int
        The stencil's spacing is the grid's divided by this.
    """

    equation: str
    activation: str
    scale: float
    size: int
    precision: str = "float64"
    network: bool = False
    boundary: bool = False
    refined: int = 1

    @property
    def name(self) -> str:
        """Equation and activation."""
        return f"{self.equation}, {self.activation}"

    def run(self, seed: int) -> ComparedRun:
        """One draw: the solution is a sum of the first three waves with normal coefficients, zero on the boundary."""
        dimension, p = EQUATIONS[self.equation]
        interior = line_grid(self.size) if dimension == 1 else square_grid(self.size)
        source = wave_source(interior, p, np.random.default_rng(seed).standard_normal(3))
        data: dict[str, Any] = {"interior": interior, "source": source}
        if self.boundary:
            data["boundary"] = np.array([[0.0], [1.0]]) if dimension == 1 else square_boundary(self.size)
        parameters = {
            "p": p,
            "activation": ACTIVATIONS.index(self.activation),
            "law": 0,
            "R": self.scale,
            "h": 1 / (self.size + 1) / self.refined,
        }
        instance = Instance(data=data, parameters=parameters, width=len(interior), seed=seed)
        return ComparedRun(
            instance,
            _NOTHING,
            trainable=PARTS if self.network else ("outer",),
            dtype=PRECISIONS[self.precision],
            backend="array",
        )


def label(entropy: str, rule: str, relative: float | None) -> str:
    """What a definition is called in tables."""
    if rule == "common":
        rule = f"one threshold {relative:g}" if relative else "one threshold N eps"
    return f"{entropy}, {rule}" + (" values" if rule == "all" else "")


def measure(setting: Setting, seed: int, *, spectra: bool) -> dict[str, Any]:
    """Entropies, cut-offs, residual losses and training curves of one draw; AD first in each pair."""
    run = setting.run(seed)
    record: dict[str, Any] = {"seed": seed, "cutoffs": run.cutoffs("common")}
    record["entropies"] = {
        label(*definition): run.entropies(definition[0], definition[1], relative=definition[2]).tolist()
        for definition in DEFINITIONS
    }
    record["isotropic"] = run.losses_after(100).tolist()
    if setting.precision != "exact":
        size = float(np.linalg.norm(run.right))
        record["residual"] = (run.residual_losses / size).tolist()
        record["curves"] = run.fitted_losses(STEPS).tolist()
    if spectra:
        record["spectra"] = [s.tolist() for s in run.spectra]
    return record
