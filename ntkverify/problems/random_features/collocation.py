"""Random features and two-layer networks on a grid, their operator applied exactly or by central differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import sympy

from ntkverify.arithmetic.ball_linear import as_object_array
from ntkverify.arithmetic.ball_numbers import raw_array
from ntkverify.arithmetic.balls import BallAlgebra, as_balls
from ntkverify.arithmetic.evaluator import ArrayAlgebra
from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.samples import Samples
from ntkverify.execution.walking.terms import as_samples
from ntkverify.measures.jacobians import correctly_rounded, evaluated_jacobian
from ntkverify.problems.blocks import refuse_other_dimensions
from ntkverify.problems.pinn import TARGETS
from ntkverify.problems.records import RecordStore
from ntkverify.problems.trained import TrainedRun
from ntkverify.symbolic.limit.limits import LimitGram, limit_gram
from ntkverify.symbolic.network.activations import Activation, get_activation
from ntkverify.symbolic.network.laws import Law, Normal, Uniform
from ntkverify.symbolic.network.neuron import Neuron, network_neuron
from ntkverify.symbolic.network.operators import Operator, biharmonic, coordinates, identity, laplacian
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

ACTIVATIONS = ("sin", "tanh", "erf")  #: by the number that an instance's parameter ``activation`` gives
LAWS = (Uniform, Normal)  #: by the number that its parameter ``law`` gives
EQUATIONS = {1: laplacian, 2: biharmonic}  #: by its parameter ``p``, half of the operator's order
PARTS = ("outer", "inner", "inner_bias")

Way = Literal["derivatives", "differences"]


@functools.lru_cache(maxsize=512)
def collocation_neuron(
    activation: str,
    p: int,
    dimension: int,
    law: Law,
    trainable: tuple[str, ...],
    spacing: sympy.Rational | None,
    *,
    boundary: bool,
) -> Neuron:
    """One neuron of ``a sigma(w.x + b)`` hit by Laplacian^p inside and by u itself on the boundary.

    Weights and biases of a feature have one law. With a spacing, derivatives are the shortest central differences.
    """
    points = coordinates(" ".join(f"x_{i}" for i in range(dimension)))
    operators: dict[str, Operator] = {"interior": EQUATIONS[p](points)}
    if boundary:
        operators["boundary"] = identity(points)
    return network_neuron(
        activation,
        operators,
        trainable=trainable,
        inner_bias=True,
        spacings=None if spacing is None else dict.fromkeys(points, spacing),
        laws={"inner": law, "inner_bias": law, "outer": Normal()},
    )


@functools.lru_cache(maxsize=128)
def _limit(neuron: Neuron) -> LimitGram:
    return limit_gram(neuron)


@functools.lru_cache(maxsize=128)
def _enclosed_kernel(neuron: Neuron, bits: int, *points: tuple[str, tuple[int, ...], bytes]) -> Any:
    """The limit kernel in balls at points given as bytes: runs that share them, and all who ask one run, share it."""
    arrays = {name: np.frombuffer(x).reshape(shape) for name, shape, x in points}
    return _limit(neuron).matrix_balls(arrays, bits=bits)


@functools.lru_cache(maxsize=128)
def _limit_kernel(neuron: Neuron, *points: tuple[str, tuple[int, ...], bytes]) -> Array:
    """The same in float64."""
    return correctly_rounded(lambda: as_object_array(_enclosed_kernel(neuron, 256, *points)), bits=256)


class CollocationRun(TrainedRun):
    """Residuals ``(L u - f)(x_i)`` and ``u(y_j) - g_j`` of u(x) = m^-1/2 sum_r a_r sigma(w_r . x + b_r).

    L is Laplacian^p. The instance's data are ``interior`` (N, d), optionally ``boundary`` (N_b, d), and, 0 where
    absent, ``source`` (N,), ``values`` (N_b,). Its parameters are ``p`` (1 Poisson, 2 biharmonic), ``activation`` and
    ``law`` (places in `ACTIVATIONS` and `LAWS`), ``R`` (radius or standard deviation of weights and biases) and ``h``
    (spacing of the stencil, an exact float). The matrix A of the least-squares problem is sqrt(m) times the Jacobian.

    Parameters
    ----------
    trainable : tuple of {"outer", "inner", "inner_bias"}
        ("outer",) is a random feature model; `PARTS` a two-layer network.
    way : {"derivatives", "differences"}
        How the operator is applied; `by` gives the run of the other way, with the same weights.
    """

    def __init__(
        self,
        instance: Instance,
        theorem: Theorem,
        *,
        trainable: Sequence[str] = ("outer",),
        way: Way = "derivatives",
        backend: str = "auto",
        store: RecordStore | None = None,
    ) -> None:
        super().__init__(instance, theorem, backend=backend, store=store)
        self.trainable, self.way = tuple(trainable), way
        where = f"instance of {instance.theorem or 'a theorem'}"
        self._numbers = {
            "p": _chosen(instance, "p", tuple(EQUATIONS), where),
            "activation": _chosen(instance, "activation", range(len(ACTIVATIONS)), where),
            "law": _chosen(instance, "law", range(len(LAWS)), where),
        }
        for name in ("R", "h"):
            if not instance.parameters.get(name, 0.0) > 0:
                raise NtkVerifyError(f"{where}: parameter {name!r} must be there and positive.")
        names = ("interior", "boundary") if "boundary" in instance.data else ("interior",)
        self._points = self.read_points(*names, beside=TARGETS)
        refuse_other_dimensions(self._points, where)
        if instance.width < 1:
            raise NtkVerifyError(f"{where}: width is {instance.width}; a network needs at least one neuron.")

    # -- the problem ------------------------------------------------------------------------------------------------

    @property
    def p(self) -> Any:
        """Half of the operator's order."""
        return self.number(self._numbers["p"])

    @property
    def sigma(self) -> Activation:
        """The activation."""
        return get_activation(ACTIVATIONS[self._numbers["activation"]])

    @property
    def N(self) -> Any:
        """Number of interior points."""
        return self.number(len(self._points["interior"]))

    @property
    def spacing(self) -> sympy.Rational:
        """h, exactly."""
        return sympy.Rational(float(self.instance.parameters["h"]))

    @functools.cached_property
    def neuron(self) -> Neuron:
        """One neuron of the problem."""
        law = LAWS[self._numbers["law"]](sympy.Rational(float(self.instance.parameters["R"])))
        return collocation_neuron(
            self.sigma.name,
            self._numbers["p"],
            self._points["interior"].shape[1],
            law,
            self.trainable,
            self.spacing if self.way == "differences" else None,
            boundary="boundary" in self._points,
        )

    @property
    def kind(self) -> str:
        """What distinguishes this problem among runs of one instance, whose parameters say the rest."""
        return f"{self.way} {self.trainable}"

    @functools.cached_property
    def samples(self) -> Samples:
        """Points and targets."""
        targets = {
            block: self.instance.array(name) if name in self.instance.data else np.zeros(len(self._points[block]))
            for name, block in TARGETS.items()
            if block in self._points
        }
        return as_samples(self.neuron, self._points, targets)

    def by(self, way: Way) -> Self:
        """The run of the same weights on the same points whose operator is applied this way."""
        if way == self.way:
            return self
        if way not in self.__dict__.setdefault("_ways", {}):
            args, options = self._made_with
            other = type(self)(*args, **{**options, "way": way})
            other.__dict__["_ways"] = {self.way: self}
            self.__dict__["_ways"][way] = other
        found: Self = self.__dict__["_ways"][way]
        return found

    @property
    def differences(self) -> Self:
        """The run whose operator is applied by central differences of spacing h."""
        return self.by("differences")

    # -- what is studied --------------------------------------------------------------------------------------------

    @functools.cached_property
    def matrix(self) -> Any:
        """A, (N, m p): sqrt(m) times the Jacobian of the residuals as drawn, by this run's backend."""
        rows = self.jacobian_at(self.weights)
        return rows.reshape(len(rows), -1) * np.sqrt(self.number(self.instance.width))

    def rounded_matrix(self, dtype: Any = np.float64) -> Array:
        """A as an arithmetic of that type evaluates it, (N, m p), whatever this run's backend.

        Weights and points are rounded to the type first.
        """
        found = evaluated_jacobian(
            self.samples, *self._drawn, ArrayAlgebra(np, dtype), functools.partial(np.asarray, dtype=dtype)
        )
        return np.asarray(found)

    def enclosed_matrix(self) -> Any:
        """A in python-flint balls at flint's current precision, an object array (N, m p)."""
        return evaluated_jacobian(self.samples, *self._drawn, BallAlgebra(), as_balls)

    @functools.cached_property
    def truncation(self) -> Any:
        """A by differences less A by derivatives, (N, m p): each entry accurate, though it is all cancellation."""
        first, other = self.by("derivatives"), self.by("differences")
        if self.is_exact:
            return other.matrix - first.matrix
        return correctly_rounded(lambda: other.enclosed_matrix() - first.enclosed_matrix())

    @functools.cached_property
    def rounding(self) -> Any:
        """What float64 computes as A less A itself, (N, m p), each entry accurate."""
        computed = self.rounded_matrix()
        if self.is_exact:
            return self.numbers(computed) - self.matrix
        return correctly_rounded(lambda: as_balls(computed) - self.enclosed_matrix())

    def changed(self, *, width: int | None = None, interior: Any = None, **parameters: float) -> Self:
        """The run of the same seed with other parameters, other interior points or another number of features."""
        args, options = self._made_with
        data = self.instance.data if interior is None else {**self.instance.data, "interior": interior}
        if interior is not None:
            data = {name: value for name, value in data.items() if name != "source"}
        instance = replace(
            self.instance,
            data=data,
            parameters={**self.instance.parameters, **parameters},
            width=self.instance.width if width is None else width,
        )
        return type(self)(instance, *args[1:], **{**options, "way": self.way})

    def at_spacing(self, h: float) -> Self:
        """The run of the same weights on the same points with another spacing of the stencil."""
        return self.changed(h=h)

    @functools.cached_property
    def singular(self) -> Any:
        """Singular values of A, descending, however small: certified to 12 digits, or enclosed on balls."""
        if self.is_exact:
            return self.singular_values(lambda: raw_array(self.matrix))
        return self.shared(f"singular {self.kind}", lambda: self.singular_values(self.enclosed_matrix))

    @functools.cached_property
    def seen(self) -> Any:
        """Singular values of A as float64 computes them, descending; exact numbers for what comes after."""
        return self.numbers(np.linalg.svd(self.rounded_matrix(), compute_uv=False))

    @functools.cached_property
    def limit_kernel(self) -> Any:
        """E[J J^T] of one neuron, the kernel of the flow as the width grows, (N, N), each entry accurate.

        Differences of closed forms lose h^-4p of float64's digits, so that balls evaluate them; refused where an
        expectation has no closed form.
        """
        if self.is_exact:
            return self.numbers(as_object_array(self.enclosed_limit_kernel()))
        return _limit_kernel(self.neuron, *self._bytes_of_points())

    def enclosed_limit_kernel(self) -> Any:
        """The same as an ``arb_mat`` at flint's current precision, for reading only."""
        from flint import ctx

        return _enclosed_kernel(self.neuron, ctx.prec, *self._bytes_of_points())

    def _bytes_of_points(self) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
        return ((name, x.shape, x.tobytes()) for name, x in self._points.items())

    # -- sizes that bounds contain ----------------------------------------------------------------------------------

    def sup(self, order: int) -> Any:
        """sup |sigma^(order)|."""
        return self.number(_supremum(self.sigma.name, order))

    def power_sum(self, order: int) -> Any:
        """sum_r (sum_i w_ri^order)^2 over the neurons and the coordinates, for an even order."""
        return ((self.inner_weights**order).sum(axis=1) ** 2).sum()

    @property
    def inner_weights(self) -> Any:
        """w, (m, d)."""
        return self.numbers(self._columns("w_"))

    @property
    def inner_biases(self) -> Any:
        """b, (m,)."""
        return self.numbers(self._columns("b")[:, 0])

    @property
    def outer_weights(self) -> Any:
        """a, (m,)."""
        return self.numbers(self._columns("a")[:, 0])

    def _columns(self, start: str) -> Array:
        names = [str(s) for s in (*self.neuron.weights, *self.neuron.frozen)]
        return np.concatenate(self._drawn, axis=1)[:, [i for i, name in enumerate(names) if name.startswith(start)]]


@functools.lru_cache(maxsize=64)
def _supremum(activation: str, order: int) -> Any:
    value = get_activation(activation).supremum(order).value
    return float(sympy.N(value, 30)) * (1 + 2.0**-50)


def _chosen(instance: Instance, name: str, allowed: Sequence[int], where: str) -> int:
    value = instance.parameters.get(name, -1)
    if value not in allowed:
        raise NtkVerifyError(f"{where}: parameter {name!r} must be one of {', '.join(map(str, allowed))}, not {value}.")
    return int(value)


def collocation(*, trainable: Sequence[str] = ("outer",)) -> Callable[..., CollocationRun]:
    """What ``run=`` of a family of instances takes: a `CollocationRun` with these parts trained."""
    return functools.partial(CollocationRun, trainable=tuple(trainable))
