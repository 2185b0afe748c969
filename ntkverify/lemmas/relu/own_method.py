"""A method of one's own on two-layer ReLU regression: its runs, its families of instances, its rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy
from hypothesis import strategies as st

from ntkverify import with_probability
from ntkverify.glossary import delta, words
from ntkverify.instances import Draw, bounded_targets, families, orthonormal_inputs, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.part import Part
from ntkverify.lemmas.rounding import loss_error, started
from ntkverify.problems.on_data import regression_instance
from ntkverify.problems.regression import RegressionRun
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem
from ntkverify.training import Method

MethodOf = Callable[[Any], Method]
WIDE, SPREAD, LONE = "orthonormal inputs", "random inputs", "one neuron"


class OwnMethodRun(RegressionRun):
    """Two-layer ReLU regression, inner weights trained by a method that the theorem names."""

    def __init__(self, *args: Any, method_of: MethodOf, **options: Any) -> None:
        super().__init__(*args, **options)
        self.method_of = method_of

    def training(self) -> Method:
        """The method, made for this run's step and data."""
        return self.method_of(self)


class OwnMethod(Part):
    """What a theorem on a method of one's own needs besides its rate.

    Unit inputs and bounded targets are assumed, and a step up to the largest. Families: two orthonormal inputs, two
    random ones, both at a width that should do; and a single neuron, which can't fit two orthonormal targets unless it
    is active on both, with probability 1/4.

    Parameters
    ----------
    theorem : Theorem
        Receives premises, families and claims; its largest step is declared.
    method_of : callable
        Takes a run and returns its `ntkverify.training.Method`: ``lambda run: HeavyBall(run.eta, 0.25)``.
    largest_step : sympy.Expr
        In the symbols of the glossary.
    neurons : int
        The width at which the rate is claimed.
    steps : int
        Steps of a run.
    """

    name = "own method"

    def __init__(
        self,
        theorem: Theorem,
        method_of: MethodOf,
        *,
        largest_step: sympy.Expr,
        neurons: int = 4096,
        steps: int = 40,
    ) -> None:
        super().__init__(theorem)
        self.neurons = neurons
        self.eta_max = theorem.constant("eta_max", largest_step, "largest step")
        self.data = premises.unit_inputs(theorem)
        premises.step_at_most(theorem, f"step at most {words(largest_step)}", self.eta_max)
        theorem.declare(parameters={"delta": 0.25})

        def instance(draw: Draw, *, width: int, orthonormal: bool = True) -> Instance:
            inputs = orthonormal_inputs(2) if orthonormal else unit_inputs(draw, 2, 3)
            targets = bounded_targets(draw, 2, 1.0)
            fraction = draw(st.sampled_from([0.5, 1.0])) if not orthonormal else 1.0
            return regression_instance(
                theorem, inputs, targets, width=width, fraction=fraction, steps=steps, C=1.0, delta=0.25
            )

        run = partial(OwnMethodRun, method_of=method_of)
        for name, options in (
            (WIDE, {"width": neurons}),
            (SPREAD, {"width": neurons, "orthonormal": False}),
            (LONE, {"width": 1}),
        ):
            theorem.instances(name, run=run, quick=40)(families.family(instance, **options))

    def rate(self, sentence: str, bound: sympy.Expr, *, of: Any = "losses", spread: bool = True) -> None:
        """Claim a rate, and as a control the same of a single neuron.

        Parameters
        ----------
        sentence : str
            What tables show.
        bound : sympy.Expr
            Of L(k), or of what `of` names, at every step k.
        of : str, sympy.Expr or callable
            What is measured.
        spread : bool
            Whether it is claimed of random inputs too.
        """
        error = loss_error if of == "losses" else None
        options: dict[str, Any] = {"of": of, "holds": with_probability(1 - delta), "bound": bound, "given": started}
        options |= {"error": error} if error else {}
        on = (WIDE, SPREAD) if spread else WIDE
        self.conclusion(f"{self.neurons} neurons: {sentence}", on=on, **options)
        self.control(f"one neuron: {sentence}", on=LONE, **options)
