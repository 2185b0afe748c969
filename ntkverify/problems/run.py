"""A run: one instance brought to life, answering for every symbol that a bound may contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkverify.errors import NtkVerifyError
from ntkverify.expressions import evaluate
from ntkverify.problems.records import Record, RecordStore
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem


class Run:
    """Base of all runs: parameters, data and constants by name; problems add what they measure.

    Parameters
    ----------
    instance : Instance
        What to run.
    theorem : Theorem
        Whose constants the run answers for.
    backend : str
        Name of the executor, ``"auto"`` to let the problem choose.
    store : RecordStore, optional
        Where the records of sweeps are shared.
    """

    def __init__(
        self, instance: Instance, theorem: Theorem, *, backend: str = "auto", store: RecordStore | None = None
    ) -> None:
        self.instance = instance
        self.theorem = theorem
        self.backend = backend
        self._store = store or RecordStore()
        self._records: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        # only reached when the attribute does not exist: parameters, data, then what the theorem defines
        if name.startswith("_") or name in ("instance", "theorem"):
            raise AttributeError(name)
        if hasattr(type(self), name):  # a property that failed: its own error is the one to show
            return object.__getattribute__(self, name)
        if name in self.instance.parameters:
            return self.instance.parameters[name]
        if name in self.instance.data:
            return self.instance.array(name)
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
    def m(self) -> int:
        """Width."""
        return self.instance.width

    @property
    def eta(self) -> float:
        """Learning rate."""
        return self.instance.step

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.instance.steps

    @property
    def k(self) -> NDArray[np.int64]:
        """The steps 0, 1, ..., `steps`."""
        return np.arange(self.instance.steps + 1)

    def evaluate(self, expression: Any) -> Any:
        """A sympy expression in float64, its symbols answered by this run."""
        return evaluate(self.theorem, expression, self)

    def shared(self, group: str, compute: Callable[[], Record]) -> Record:
        """A sweep's record, computed once in this run and among all processes that share a store."""
        if group not in self._records:
            kind = f"{type(self).__module__}.{type(self).__qualname__}"
            key = f"{kind}|{group}|{self.backend}|{self.instance.to_json()}"
            self._records[group] = self._store.fetch(key, compute)
        record: Record = self._records[group]
        return record

    @property
    def has_measured(self) -> bool:
        """Whether anything was swept yet."""
        return bool(self._records)
