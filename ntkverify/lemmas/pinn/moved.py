"""Neurons of a physics-informed network moved where its Jacobian changes most, with no sign changed.

Networks in training move their neurons as the data push them, by far less than a change of J allows; here each move is
the worst, and B the longest of the weights that move. J of ReLU^3 is a quadratic polynomial on each side of the kinks,
so that a central difference is its derivative and Simpson's rule over a move is what outputs change by.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import always
from ntkverify.arrays import Array
from ntkverify.instances import generator
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.pinn import PinnRun, pinn
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

WORST, REACH = "neurons in their worst directions", sympy.Symbol("reach", positive=True)
#: of |w|, of central differences
SHORT = 2.0**-10


class MovedNeurons(PinnRun):
    """A network of drawn neurons of length 1 before and after some move; nothing is trained.

    Parameters of the instance: with ``one`` that neuron moves whose J changes most, otherwise all do; each by
    ``length``, the way in which its own derivative is largest.
    """

    @functools.cached_property
    def ends(self) -> tuple[Any, Any]:
        """Weights before and after, (m, p); directions are found in float64."""
        drawn, given = np.asarray(self._drawn[0], np.float64), self.instance.parameters
        weights = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        size, ways = self.plain.steepest(weights)
        if given["one"]:
            ways = np.where(np.arange(len(size))[:, None] == np.argmax(size), ways, 0.0)
        return self.numbers(weights), self.numbers(weights + given["length"] * ways)

    def steepest(self, weights: Array) -> tuple[Array, Array]:
        """Of every neuron ||DJ_r[v]||_F at its unit vector v of largest such, (m,), and v, (m, p).

        Zero where a difference would cross a hyperplane, and where a move of `length` would.
        """
        found = []
        for way in np.eye(weights.shape[1]):
            ahead, back = (np.asarray(self.jacobian_at(weights + s * way)) for s in (SHORT, -SHORT))
            found.append((ahead - back) / (2 * SHORT))
        # (m, N p, p), the last index that of the move
        derivative = np.stack(found, axis=-1).transpose(1, 0, 2, 3).reshape(len(weights), -1, weights.shape[1])
        _, size, ways = np.linalg.svd(derivative)
        inputs = np.asarray(self.sample_inputs, np.float64)
        clear = 2 * max(self.instance.parameters["length"], SHORT) * np.linalg.norm(inputs, axis=1)
        free = (np.abs(weights @ inputs.T) > clear).all(axis=1)
        return size[:, 0] * free, ways[:, 0] * free[:, None]

    @functools.cached_property
    def rows(self) -> list[Any]:
        """J before, halfway and after, (N, m p) each."""
        before, after = self.ends
        found = [self.jacobian_at(weights) for weights in (before, (before + after) / 2, after)]
        return [rows.reshape(len(rows), -1) for rows in found]

    @property
    def distance(self) -> Any:
        """||w' - w||, of all weights."""
        return np.linalg.norm((self.ends[1] - self.ends[0]).ravel())

    @property
    def reach(self) -> Any:
        """The longest weight at either end of what moves; 1 where nothing does."""
        before, after = self.ends
        moves = (before != after).any(axis=1)
        return max((np.linalg.norm(weights[moves], axis=1).max() for weights in self.ends if moves.any()), default=1.0)

    @property
    def changed(self) -> Any:
        """||J(w') - J(w)||_F."""
        return np.linalg.norm((self.rows[2] - self.rows[0]).ravel())

    @property
    def missed(self) -> Any:
        """||r(w) - r(w') - J(w') (w - w')||."""
        before, middle, after = self.rows
        return np.linalg.norm((after - (before + 4 * middle + after) / 6) @ (self.ends[1] - self.ends[0]).ravel())

    @property
    def gram_change(self) -> Any:
        """||H(w') - H(w)||_F."""
        return np.linalg.norm((self.rows[2] @ self.rows[2].T - self.rows[0] @ self.rows[0].T).ravel())

    @property
    def rounding(self) -> Any:
        """Of ||J||_F."""
        return 2**8 * ULP * np.linalg.norm(self.rows[0].ravel())


def keeps_signs(run: Any) -> Any:
    """Whether something moves, and no sign at a sample changes."""
    before, after = (weights @ run.sample_inputs.T for weights in run.ends)
    return (before * after > 0).all() & (run.distance > 0)


def moved(theorem: Theorem, slope: sympy.Expr) -> tuple[str, ...]:
    """What `slope`, of weights up to `REACH`, bounds where neurons move the worst way; returns the lemmas' names."""
    theorem.instances(WORST, run=pinn(activation="relu3", coupled=True, kind=MovedNeurons), quick=40)(_instance)
    move, start = sympy.symbols("move start_norm", positive=True)
    theorem.quantity("reach", lambda run: run.reach)
    theorem.quantity("move", lambda run: run.distance)
    theorem.quantity("start_norm", lambda run: np.linalg.norm(run.rows[0], 2))
    claim: dict[str, Any] = {"holds": always, "assumes": (), "on": WORST, "given": keeps_signs}
    parts: dict[str, tuple[str, str, int, Callable[[sympy.Expr], sympy.Expr], Callable[[Any], Any]]] = {
        "||J(w') - J(w)||_F <= alpha C_L B ||w' - w||/sqrt(m)": (
            "changed",
            "a quarter",
            4,
            lambda q: q,
            lambda run: 2 * run.rounding,
        ),
        "||r(w) - r(w') - J(w') (w - w')|| <= alpha C_L B ||w' - w||^2/(2 sqrt(m))": (
            "missed",
            "a quarter",
            4,
            lambda q: q * move / 2,
            lambda run: 4 * run.rounding * run.distance,
        ),
        "||H(w') - H(w)||_F <= 2 ||J(w)|| q + q^2, q = alpha C_L B ||w' - w||/sqrt(m)": (
            "gram_change",
            "a thirtieth",
            30,
            lambda q: 2 * start * q + q**2,
            lambda run: 4 * run.rounding * np.linalg.norm(run.rows[2].ravel()),
        ),
    }
    names = []
    for sentence, (of, share, parts_of, bound, error) in parts.items():
        names.append(f"{WORST}: {sentence}")
        theorem.lemma(names[-1], of=of, bound=bound(slope * move), error=error, **claim)
        less = bound(slope * move / parts_of)
        theorem.control(f"{share} of C_L: {sentence}", of=of, bound=less, error=error, **claim)
    return tuple(names)


def _instance(draw: Any) -> Instance:
    """An interior and a boundary sample, at which many directions are tried, or pairs that move together."""
    rng, count = generator(draw), draw(st.sampled_from([1, 1, 2, 16]))
    samples = [([[0.1, 0.5]], [[0.5, 1.0]]), (rng.uniform(-1, 1, (1, 2)), [[0.0, 1.0]])]
    interior, boundary = draw(st.sampled_from(samples))
    parameters = {"one": float(count == 1), "length": draw(st.sampled_from([2.0**-10, 2.0**-4]))}
    parameters["alpha"] = draw(st.sampled_from([1.0, 30.0]))
    data = {"interior": interior, "boundary": boundary}
    return Instance(data=data, parameters=parameters, width=256 if count == 1 else count)
