"""Which class of runs in balls stands for a float64 run."""

from __future__ import annotations

from ntkverify.arithmetic.ball_numbers import NoEnclosure
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.first_step import FirstStepRun
from ntkverify.problems.measured import MeasuredRun
from ntkverify.problems.pinn import PinnRun
from ntkverify.problems.regression import RegressionRun
from ntkverify.problems.run import Run
from ntkverify.search.ball_first_step import BallFirstStepRun
from ntkverify.search.ball_measured import BallMeasuredRun, BallPinnRun
from ntkverify.search.ball_regression import BallRegressionRun
from ntkverify.search.ball_runs import BallRun

#: the first that a run is an instance of is taken; the names that a theorem's own class may redefine
COUNTERPARTS: tuple[tuple[type[Run], type[BallRun], frozenset[str]], ...] = (
    (RegressionRun, BallRegressionRun, frozenset({"activation"})),
    (FirstStepRun, BallFirstStepRun, frozenset()),
    (PinnRun, BallPinnRun, frozenset({"activation", "method"})),
    (MeasuredRun, BallMeasuredRun, frozenset({"samples", "method", "kind"})),
    (AlgebraRun, BallRun, frozenset()),
)


def ball_run(plain: Run) -> BallRun:
    """The run in balls that stands for a float64 run.

    What a theorem's own class adds is computed with balls, by its own code; what it redefines could hide
    a float behind a name that should have an enclosure, and is refused.

    Raises
    ------
    NtkVerifyError
        If there is none.
    """
    kind = type(plain)
    for known, counterpart, free in COUNTERPARTS:
        if isinstance(plain, known):
            own = kind.__mro__[: kind.__mro__.index(known)]
            names = {name for c in own for name in vars(c) if not name.startswith("__")}
            redefined = sorted(name for name in names - free if hasattr(counterpart, name))
            if redefined:
                raise NoEnclosure(f"runs of {kind.__name__} redefine {redefined[0]!r}, which balls know otherwise.")
            # the counterpart comes first, so that the float64 class answers for nothing that it knows
            mixed: type[BallRun] = type(f"Ball{kind.__name__}", (counterpart, *_additions(own)), {})
            return mixed(plain)
    raise NoEnclosure(f"runs of {kind.__name__} have no counterpart in balls.")


def _additions(own: tuple[type, ...]) -> tuple[type, ...]:
    """Plain classes with what the theorem's own classes add, without their float64 bases."""
    skipped = ("__dict__", "__weakref__", "__init__")
    return tuple(
        type(c.__name__, (), {name: value for name, value in vars(c).items() if name not in skipped}) for c in own
    )
