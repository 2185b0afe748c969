"""A run: one instance brought to life, answering for every symbol that a bound may contain."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import sympy

from ntkverify.arithmetic.ball_numbers import Ball, ball_array, power, raw_array
from ntkverify.arithmetic.ball_singular import certified_singular_values, singular_value_balls
from ntkverify.arithmetic.balls import BallAlgebra
from ntkverify.arithmetic.evaluator import evaluate as walk
from ntkverify.errors import NtkVerifyError
from ntkverify.expressions import evaluate
from ntkverify.problems.records import Record, RecordStore
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem


class _BoundAlgebra(BallAlgebra):
    """Balls, and powers whose exponent is a symbol such as the step k."""

    def __init__(self) -> None:
        super().__init__()
        self.functions = {**self.functions, sympy.Pow: np.frompyfunc(power, 2, 1)}


class Run:
    """Base of all runs: parameters, data and constants by name; problems add what they measure.

    The backend fixes the arithmetic. With ``"ball"`` every number is an enclosure of the exact one, at flint's current
    precision; integers are balls as well, since a quotient of two of them would otherwise be rounded.

    Parameters
    ----------
    instance : Instance
        What to run.
    theorem : Theorem
        Whose constants the run answers for.
    backend : str
        Name of the executor, ``"auto"`` for the fastest.
    store : RecordStore, optional
        Where the records of sweeps are shared.
    """

    #: how much more work an entry of the data is in balls, per neuron and step, than one multiplication
    cost = 1.0

    def __new__(cls, *args: Any, **options: Any) -> Self:
        run = super().__new__(cls)
        run.__dict__["_made_with"] = args, options
        return run

    def __init__(
        self, instance: Instance, theorem: Theorem, *, backend: str = "auto", store: RecordStore | None = None
    ) -> None:
        self.instance = instance
        self.theorem = theorem
        self.backend = backend
        self._store = store or RecordStore()
        self._records: dict[str, Any] = {}
        self._constants_read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        # only reached when the attribute does not exist: parameters, data, then what the theorem defines
        if name.startswith("_") or name in ("instance", "theorem"):
            raise AttributeError(name)
        if hasattr(type(self), name):  # a property that failed: its own error is the one to show
            return object.__getattribute__(self, name)
        if name in self.instance.parameters:
            return self.number(self.instance.parameters[name])
        if name in self.instance.data:
            return self.numbers(self.instance.array(name))
        if name in self.theorem.quantities:
            # measured once: an attribute that exists is never asked for here again
            self.__dict__[name] = self.theorem.quantities[name](self)
            return self.__dict__[name]
        if name in self.theorem.constants:
            return self.evaluate(self.theorem.constants[name].symbol)
        raise NtkVerifyError(
            f"{type(self).__name__} of theorem {self.theorem.title!r} does not know {name!r}: it is no parameter "
            "or data of the instance, no constant of the theorem and nothing that the run measures."
        )

    @property
    def is_exact(self) -> bool:
        """Whether numbers are enclosures."""
        return self.backend == "ball"

    def number(self, value: Any) -> Any:
        """A number of this run's arithmetic; floats, integers and balls are taken as they are."""
        return Ball(value) if self.is_exact else value

    def numbers(self, values: Any) -> Any:
        """An array of them."""
        if not self.is_exact:
            return np.asarray(values)
        result = ball_array(values)
        return result if result.ndim else result[()]

    def singular_values(self, matrix: Callable[[], Any]) -> Any:
        """Singular values, descending, however small: certified to 12 digits, or enclosed by a run in balls.

        Parameters
        ----------
        matrix : callable
            Returns the matrix in python-flint balls at flint's current precision, an object array.
        """
        if self.is_exact:
            return self.numbers(singular_value_balls(matrix()))
        return certified_singular_values(matrix)

    @functools.cached_property
    def plain(self) -> Self:
        """The float64 run of the same instance, which a run in balls asks for what rounding is allowed."""
        return self.on("auto") if self.is_exact else self

    def on(self, backend: str) -> Self:
        """A run of the same on another backend, with nothing measured yet."""
        args, options = self._made_with
        return type(self)(*args, **{**options, "backend": backend})

    @property
    def m(self) -> Any:
        """Width."""
        return self.number(self.instance.width)

    @property
    def eta(self) -> Any:
        """Learning rate."""
        return self.number(self.instance.step)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.instance.steps

    @property
    def k(self) -> Any:
        """The steps 0, 1, ..., `steps`."""
        return self.numbers(np.arange(self.instance.steps + 1))

    def evaluate(self, expression: Any) -> Any:
        """A sympy expression, its symbols answered by this run; in balls with exact rationals at the leaves."""
        self._constants_read |= self.theorem.constants_of(sympy.sympify(expression))
        if not self.is_exact:
            return evaluate(self.theorem, expression, self)
        expression = self.theorem.expand(sympy.sympify(expression))
        values = {s: raw_array(getattr(self, str(s))) for s in expression.free_symbols}
        return self.numbers(walk(expression, values, _BoundAlgebra()))

    def shared(self, group: str, compute: Callable[[], Record]) -> Record:
        """A sweep's record, computed once in this run and among all processes that share a store."""
        if group not in self._records:
            kind = f"{type(self).__module__}.{type(self).__qualname__}"
            key = f"{kind}|{group}|{self.backend}|{self.instance.to_json()}"

            def made() -> tuple[Record, set[str]]:
                with self.theorem.reading() as found:
                    record = compute()
                # what this run has read before it may have kept, and used
                return record, found | self._constants_read

            self._records[group], names = self._store.fetch(key, made, self.theorem.fingerprints)
            self._constants_read.update(names)
            self.theorem.note(names)
        record: Record = self._records[group]
        return record

    @property
    def recorded(self) -> Instance:
        """The instance as it was run, with what the run sets itself."""
        return self.instance

    @property
    def work(self) -> float:
        """What measuring this run costs, in neurons times residuals times sweeps; 1 where nothing is trained."""
        return 1.0

    @property
    def has_overflowed(self) -> bool:
        """Whether the run left the range of float64, so that what is measured of it may be no number."""
        return False

    @property
    def has_measured(self) -> bool:
        """Whether anything was swept yet."""
        return bool(self._records)
