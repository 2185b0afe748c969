"""The limit Gram matrix of one network: the expectation of a neuron's gradients, as formula, as array and as balls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike

from ntkverify.arrays import Array
from ntkverify.display import details_html, formula_html, tagged
from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expectation.gaussian import half_space_power
from ntkverify.symbolic.expression.choices import ARRAY_FUNCTIONS
from ntkverify.symbolic.expression.scalars import Arithmetic, BallArithmetic, MpmathArithmetic, exact_rows
from ntkverify.symbolic.limit.exact_moments import ScalarMoments
from ntkverify.symbolic.limit.kernels import closed_form_kernel, invariant_kernel
from ntkverify.symbolic.limit.moments import ArrayMoments, has_smooth_form
from ntkverify.symbolic.limit.splitting import Derivation, Slot
from ntkverify.symbolic.network.neuron import Block, Neuron

Points = ArrayLike | Mapping[str, ArrayLike]


@dataclass(frozen=True, repr=False)
class LimitGram:
    """E[grad r_p . grad r_q] over one neuron's weights: the Gram matrix J J^T of an infinitely wide network.

    There is no normalisation by the number of samples, as in `Block`; ``normalise=True`` divides each residual
    by the square root of its block's number of samples (then the trace is an average over the samples).

    Parameters
    ----------
    neuron : Neuron
    derivation : Derivation
        From `derive`.
    """

    neuron: Neuron
    derivation: Derivation

    @cached_property
    def kernel(self) -> sympy.Expr:
        """The kernel in the norms ``rho``, ``rho'``, the inner product ``q`` and the angle ``theta``.

        Coordinates that are not functions of these stay (``x_0`` and ``x_0'``). Each coordinate counts times the
        scale of its normal weight. Only for one linear block.
        """
        return invariant_kernel(self.derivation, *(2 * (self._only_slot(),)), self.neuron.coordinates)

    def kernel_expression(self, left: str, right: str, *, covariance: bool = False) -> sympy.Expr:
        """The kernel between two linear blocks in the coordinates ``x`` and ``x'`` (`primed` makes the latter)."""
        slots = tuple(self._linear_slot(name) for name in (left, right))
        return closed_form_kernel(self.derivation, slots[0], slots[1], self.neuron.coordinates, covariance=covariance)

    def latex(self) -> str:
        """The kernel as LaTeX."""
        return str(sympy.latex(self.kernel))

    def __repr__(self) -> str:
        blocks = ", ".join(f"{b.name}{'' if b.is_linear else ' (nonlinear)'}" for b in self.neuron.blocks)
        return (
            f"<limit Gram matrix of {blocks} over ({', '.join(map(str, self.neuron.coordinates))}), "
            f"{len(self.neuron.weights)} trained weights a neuron>"
        )

    def _repr_latex_(self) -> str | None:
        try:
            return rf"$\displaystyle K(x, x') = {self.latex()}$"
        except NtkVerifyError:  # several blocks, or no closed form
            return None

    def _repr_html_(self) -> str:
        kernel = self._repr_latex_()
        features = "".join(
            tagged("div", block.name) + "".join(formula_html(sympy.latex(feature)) for feature in block.features)
            for block in self.neuron.blocks
        )
        shown = tagged("div", kernel) if kernel else ""
        return tagged("code", repr(self)) + shown + details_html("what one neuron contributes", features)

    def matrix(self, points: Points, *, sums: Mapping[str, ArrayLike] | None = None, normalise: bool = False) -> Array:
        """The limit Gram matrix.

        Parameters
        ----------
        points : array (n, len(coordinates)) or mapping of block name to such arrays
            An array stands for the points of the only block. Blocks come in the neuron's order.
        sums : mapping of block name to array (n_b, K), optional
            For nonlinear blocks: the state Phi_1..Phi_K at each point, at which the residual is linearised.
        normalise : bool
            Divide each residual by the square root of the size of its block.

        Returns
        -------
        array (N, N), N the total number of points

        Raises
        ------
        NtkVerifyError
            For points that are not finite or of the wrong shape, unknown blocks, or a nonlinear block without `sums`.
        """
        return self.matrix_with_error(points, sums=sums, normalise=normalise)[0]

    def matrix_with_error(
        self, points: Points, *, sums: Mapping[str, ArrayLike] | None = None, normalise: bool = False
    ) -> tuple[Array, Array]:
        """`matrix`, and per entry its absolute error: estimated for a quadrature, bounded for smooth closed forms.

        Closed forms of erf under operators lose digits far from the origin, 1e-6 at a norm of 100: a running error
        analysis sees it. The error is 0 for powers of ReLU, whose entries are good to rounding of their natural size
        sqrt(K(x, x) K(x', x')).
        """
        arrays = self.point_arrays(points)
        left = [self._coefficients(b, arrays[b.name], sums) for b in self._present(arrays)]
        full, error = self._features(arrays, covariance=False)
        moduli = [[np.abs(c) for c in block] for block in left]
        return self._combined(left, full, normalise=normalise), self._combined(moduli, error, normalise=normalise)

    @staticmethod
    def _combined(left: list[list[Array]], full: Array, *, normalise: bool) -> Array:
        """The Gram matrix of the residuals from that of the features, by the residuals' derivatives in the sums."""
        blocks, start = [], 0
        rows = sum(next(iter(c)).shape[0] for c in left)
        result = np.zeros((rows, rows))
        offsets = np.cumsum([0] + [c[0].shape[0] for c in left])
        for coefficients in left:
            blocks.append([slice(start + k * len(c), start + (k + 1) * len(c)) for k, c in enumerate(coefficients)])
            start = blocks[-1][-1].stop
        for b, (cb, sb) in enumerate(zip(left, blocks, strict=True)):
            for d, (cd, sd) in enumerate(zip(left, blocks, strict=True)):
                part = sum(
                    u[:, None] * full[s, t] * v[None, :]
                    for u, s in zip(cb, sb, strict=True)
                    for v, t in zip(cd, sd, strict=True)
                )
                scale = np.sqrt(len(cb[0]) * len(cd[0])) if normalise else 1.0
                result[offsets[b] : offsets[b + 1], offsets[d] : offsets[d + 1]] = part / scale
        return result

    def feature_matrix(self, points: Points, *, covariance: bool = False) -> Array:
        """The Gram matrix of all features Phi_k (or, with `covariance`, of the random field Phi itself).

        Rows are ordered by block, then feature, then point. For linear blocks it is `matrix`; for nonlinear
        ones the kernel of the slots, which is deterministic in the limit.
        """
        return self._features(self.point_arrays(points), covariance=covariance)[0]

    def _features(self, arrays: dict[str, Array], *, covariance: bool) -> tuple[Array, Array]:
        slots = [(slot, arrays[b.name]) for b in self._present(arrays) for slot in self._slots(b)]
        offsets = np.cumsum([0] + [len(x) for _, x in slots])
        result = np.empty((2, offsets[-1], offsets[-1]))
        moments = ArrayMoments(self.derivation, self.neuron.coordinates)
        for p, (left, x) in enumerate(slots):
            for q, (right, y) in enumerate(slots[: p + 1]):
                groups = self.derivation.groups(left, right, covariance=covariance)
                for target, part in zip(result, moments.kernel(groups, x, y), strict=True):
                    symmetric = (part + part.T) / 2 if p == q else part
                    target[offsets[p] : offsets[p + 1], offsets[q] : offsets[q + 1]] = symmetric
                    target[offsets[q] : offsets[q + 1], offsets[p] : offsets[p + 1]] = symmetric.T
        if not np.all(np.isfinite(result)):
            raise NtkVerifyError("the limit Gram matrix overflows float64 for points of this size; scale them down.")
        return result[0], result[1]

    def covariance(self, points: Points) -> Array:
        """Covariance of the network's features at initialisation, E[feature feature']."""
        return self.feature_matrix(points, covariance=True)

    def matrix_balls(self, points: Any, bits: int = 128, *, covariance: bool = False) -> Any:
        """Enclosures of the limit Gram matrix of exact rational points, as a python-flint ``arb_mat``.

        Parameters
        ----------
        points : nested sequences of exact numbers, or a mapping of block name to them
            Integers, fractions, sympy rationals; floats count as the dyadic fractions that they are.
        bits : int
            Working precision; guard bits for nearly opposite points are added.
        covariance : bool
            Enclose `covariance` instead.

        Raises
        ------
        NtkVerifyError
            Without python-flint, for nonlinear blocks, or for an activation without closed form.
        """
        rows = self._exact_matrix(points, BallArithmetic(bits), covariance=covariance)
        from flint import arb_mat

        return arb_mat(rows)

    def matrix_mpmath(self, points: Any, digits: int = 50) -> list[list[Any]]:
        """The limit Gram matrix of exact rational points to about `digits` digits, rows of mpmath numbers."""
        return self._exact_matrix(points, MpmathArithmetic(int(digits * 3.33) + 8))

    def _exact_matrix(self, points: Any, arithmetic: Arithmetic, *, covariance: bool = False) -> list[list[Any]]:
        named = dict(points) if isinstance(points, Mapping) else {self._only_block().name: points}
        width = len(self.neuron.coordinates)
        exact = {name: exact_rows(rows, width, self.neuron.block(name).name) for name, rows in named.items()}
        for name, rows in exact.items():
            self.neuron.block(name).check_points(self.neuron.coordinates, rows)
        slots = [(self._linear_slot(b.name), p) for b in self._present(exact) for p in exact[b.name]]
        moments = ScalarMoments(self.derivation, self.neuron.coordinates, arithmetic)
        groups = {}
        size = len(slots)
        result: list[list[Any]] = [[None] * size for _ in range(size)]
        for p, (left, x) in enumerate(slots):
            for q, (right, y) in enumerate(slots[: p + 1]):
                if (left, right) not in groups:
                    groups[left, right] = self.derivation.groups(left, right, covariance=covariance)
                result[p][q] = result[q][p] = moments.kernel(groups[left, right], x, y)
        return result

    def trace_expression(self, block: str | None = None, *, covariance: bool = False) -> sympy.Expr:
        """E||grad feature(x)||^2 at one point of a linear block (or E[feature(x)^2]), in the coordinates."""
        slot = self._only_slot() if block is None else self._linear_slot(block)
        return closed_form_kernel(
            self.derivation, slot, slot, self.neuron.coordinates, covariance=covariance, same_point=True
        )

    def trace(self, points: Points, *, normalise: bool = False) -> float:
        """Trace of `matrix`, by the closed form at each point (from the matrix where there is none)."""
        total = 0.0
        for name, x in self.point_arrays(points).items():
            if not self._has_closed_form(name):
                total += float(np.trace(self.matrix({name: x}, normalise=normalise)))
                continue
            modules = [ARRAY_FUNCTIONS, "scipy", "numpy"]
            diagonal = sympy.lambdify(self.neuron.coordinates, self.trace_expression(name), modules, cse=True)
            with np.errstate(all="ignore"):
                found = diagonal(*x.T)
            values = np.broadcast_to(np.asarray(found, dtype=float), (len(x),))
            total += float(np.mean(values) if normalise else np.sum(values))
        return total

    def _has_closed_form(self, name: str) -> bool:
        slot = self._linear_slot(name)
        if self.derivation.is_isotropic:
            return False  # written out in the coordinates it would be a sum over pairs of them
        if self.derivation.box is not None:
            return False  # its closed forms divide by the coordinates, which the matrix does not
        return all(
            None not in (half_space_power(key[1]), half_space_power(key[3])) or has_smooth_form(key)
            for key in self.derivation.groups(slot, slot)
        )

    def _slots(self, block: Block) -> list[Slot]:
        return [(block.name, k) for k in range(len(block.features))]

    def _only_block(self) -> Block:
        if len(self.neuron.blocks) != 1:
            raise NtkVerifyError(
                f"the neuron has the blocks {', '.join(b.name for b in self.neuron.blocks)}; name the one you mean, "
                "or give points as a mapping from block to array."
            )
        return self.neuron.blocks[0]

    def _only_slot(self) -> Slot:
        return self._linear_slot(self._only_block().name)

    def _linear_slot(self, name: str) -> Slot:
        if not self.neuron.block(name).is_linear:
            raise NtkVerifyError(
                f"block {name!r} is nonlinear, so its limit kernel is random; use feature_matrix, or matrix with sums."
            )
        return (name, 0)

    def _present(self, named: Mapping[str, object]) -> list[Block]:
        return [b for b in self.neuron.blocks if b.name in named]

    def point_arrays(self, points: Points) -> dict[str, Array]:
        """The points of each block as float64 arrays, checked, in the neuron's order."""
        named = dict(points) if isinstance(points, Mapping) else {self._only_block().name: points}
        if not named:
            raise NtkVerifyError("a Gram matrix needs points, but no block was given any.")
        arrays = {}
        for name, values in named.items():
            self.neuron.block(name)
            try:
                given = np.asarray(values)
                array = given.astype(np.float64, casting="unsafe" if given.dtype == object else "same_kind")
            except (TypeError, ValueError) as error:
                raise NtkVerifyError(f"points of block {name!r} must be rows of real numbers: {error}.") from error
            if array.ndim != 2 or array.shape[1] != len(self.neuron.coordinates):
                raise NtkVerifyError(
                    f"points of block {name!r} must have shape (n, {len(self.neuron.coordinates)}), "
                    f"but the array has shape {array.shape}."
                )
            if not np.all(np.isfinite(array)):
                row = int(np.argmin(np.all(np.isfinite(array), axis=1)))
                raise NtkVerifyError(f"points of block {name!r} must be finite, but row {row} is {array[row]}.")
            self.neuron.block(name).check_points(self.neuron.coordinates, array)
            arrays[name] = array
        return {b.name: arrays[b.name] for b in self._present(arrays)}

    def _coefficients(self, block: Block, points: Array, sums: Mapping[str, ArrayLike] | None) -> list[Array]:
        """The derivatives of the residual in its sums, one array (n,) per sum."""
        if block.is_linear:
            return [np.ones(len(points))]
        if sums is None or block.name not in sums:
            raise NtkVerifyError(
                f"block {block.name!r} is nonlinear: give sums[{block.name!r}], the state at which to linearise it."
            )
        state = np.asarray(sums[block.name], dtype=np.float64)
        if state.shape != (len(points), len(block.sums)):
            raise NtkVerifyError(
                f"sums[{block.name!r}] must have shape {(len(points), len(block.sums))}, not {state.shape}."
            )
        function = sympy.lambdify(
            (*self.neuron.coordinates, *block.sums),
            self.neuron.linearisations[block.name],
            [ARRAY_FUNCTIONS, "scipy", "numpy"],
        )
        with np.errstate(all="ignore"):
            values = function(*points.T, *state.T)
        return [np.broadcast_to(np.asarray(v, dtype=float), (len(points),)) for v in values]
