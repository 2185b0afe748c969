"""Many inputs per neuron: matrix products over panels of neurons, generated arithmetic between them.

Where the weights meet a sample only through one form ``z = w . v(x)`` with many terms, the sweep's own
inner products cannot keep w and its gradient in registers, and its text grows with the number of inputs. Here
BLAS forms ``Z = V W^T`` for a chunk of neurons, a generated loop turns Z into the shared slopes S in
place, BLAS forms the gradient ``S^T V``, and the updated weights go round once more for the sums. A
chunk's panel stays in the second-level cache; nothing of size n x m is stored.

Chunks are a function of the problem's size alone and each is multiplied by one BLAS thread, so
that results are bit for bit the same whatever the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.base import Executor
from ntkverify.execution.cache import load_generated
from ntkverify.execution.chain import Statements, canonical, forward_statements, gradient_statements, live
from ntkverify.execution.cpu import check_layout
from ntkverify.execution.evaluator import ArrayAlgebra, evaluate_all
from ntkverify.execution.memory import refuse_beyond_memory
from ntkverify.execution.numba_source import HEADER
from ntkverify.execution.printer import ScalarPrinter
from ntkverify.execution.samples import Forward, Samples, check_weights
from ntkverify.execution.threads import available_threads, one_blas_thread, share
from ntkverify.symbolic.neuron import Block, Neuron

Array = npt.NDArray[np.float64]

# measured on two AVX-512 cores, fused against this: (n, d) = (64, 32) 34 ms to 15, (256, 32) 69 to 38,
# (16, 32) 13 to 9, but (256, 16) 48 to 47, (64, 16) 8 to 8, and (2, 32) 4 to 5
LEAST_INPUTS, LEAST_SAMPLES = 24, 16
# beyond this many inputs the sweep takes minutes to compile
MOST_FUSED_INPUTS = 64
# samples times neurons of a panel: half a MiB
PANEL_ENTRIES = 65536

FORM, SHARED = sympy.Symbol("z_0", real=True), sympy.Symbol("s_0")


@dataclass(frozen=True)
class Reduction:
    """A neuron many of whose weights meet the samples through one form only.

    Parameters
    ----------
    neuron : Neuron
        In canonical names, with one weight in place of all those of the form, and the others after it.
    grouped : tuple of int
        Weights in the form.
    others : tuple of int
        The other trainable weights.
    vectors : tuple of sympy.Expr
        What multiplies each grouped weight in the form, in the coordinates.
    """

    neuron: Neuron
    grouped: tuple[int, ...]
    others: tuple[int, ...]
    vectors: tuple[sympy.Expr, ...]


@cache
def reduction(neuron: Neuron) -> Reduction | None:
    """The neuron with its one form as a single weight, or None if it has none."""
    neuron = canonical(neuron)
    points = set(neuron.coordinates)
    found = {
        e for b in neuron.blocks for f in b.features for e in f.atoms(sympy.Add) if _vectors(e, neuron) is not None
    }
    # where there are several, the longest; further forms stay in the generated text
    form = max(found, key=lambda e: (len(e.args), sympy.default_sort_key(e)), default=None)
    if form is None:
        return None
    vectors = _vectors(form, neuron)
    assert vectors is not None
    weight, coordinate = sympy.symbols("z_weight z_coordinate", real=True)
    blocks = tuple(
        Block(b.name, tuple(f.xreplace({form: weight * coordinate}) for f in b.features), b.sums, b.residual)
        for b in neuron.blocks
    )
    if any(f.free_symbols & set(vectors) for b in blocks for f in b.features):
        return None
    others = tuple(i for i, w in enumerate(neuron.weights) if w not in vectors)
    reduced = Neuron(
        (weight, *(neuron.weights[i] for i in others)), neuron.frozen, (*neuron.coordinates, coordinate), blocks
    )
    for b in reduced.blocks:
        code = forward_statements(reduced, b)
        # the form must be inside a function: otherwise there is no slope to share
        if [s for s, e in code.mixed if e == weight * coordinate] != [FORM]:
            return None
        if any(weight in e.free_symbols or coordinate in e.free_symbols for e in live(code, frozenset({FORM})).outputs):
            return None
    assert all(v.free_symbols <= points for v in vectors.values())
    grouped = tuple(i for i, w in enumerate(neuron.weights) if w in vectors)
    return Reduction(reduced, grouped, others, tuple(vectors[neuron.weights[i]] for i in grouped))


def _vectors(e: sympy.Add, neuron: Neuron) -> dict[sympy.Symbol, sympy.Expr] | None:
    """What multiplies each trainable weight in a sum of single weights times functions of the sample."""
    weights, points = set(neuron.weights), set(neuron.coordinates)
    result: dict[sympy.Symbol, sympy.Expr] = {}
    for term in e.args:
        factors = term.args if isinstance(term, sympy.Mul) else (term,)
        own = [f for f in factors if f in weights]
        rest = sympy.Mul(*(f for f in factors if f not in weights))
        if len(own) != 1 or own[0] in result or not rest.free_symbols <= points:
            return None
        result[own[0]] = rest
    return result


def worthwhile(neuron: Neuron, count: int) -> bool:
    """Whether products of panels beat the fused sweep at so many samples."""
    if len(neuron.weights) < LEAST_INPUTS:
        return False
    reduced = reduction(neuron)
    if reduced is None or len(reduced.grouped) < LEAST_INPUTS:
        return False
    return len(reduced.grouped) > MOST_FUSED_INPUTS or count >= LEAST_SAMPLES


class GemmExecutor(Executor):
    """Runs a problem by panels of neurons; chosen by backend "cpu" where it wins.

    Parameters
    ----------
    samples : Samples
        The problem.
    threads : int, optional
        Number of threads; all processors that the process may use by default.

    Raises
    ------
    NtkVerifyError
        If no weights meet the samples through one form only.
    """

    def __init__(self, samples: Samples, *, threads: int | None = None) -> None:
        super().__init__(samples, ArrayAlgebra(np))
        if threads is not None and threads < 1:
            raise NtkVerifyError(f"threads must be at least 1, not {threads}")
        found = reduction(samples.neuron)
        if found is None:
            raise NtkVerifyError("panels need weights that meet the samples through one sum only; use CpuExecutor")
        self.threads = available_threads() if threads is None else threads
        self.reduction = found
        self._features = max(len(b.block.features) for b in samples.blocks)
        self._module: ModuleType = load_generated(gemm_source(found))
        self._sizes = np.array([b.size for b in samples.blocks], dtype=np.int64)
        self._gather(samples)

    def operations_per_step(self, m: int) -> int:
        """Arithmetic operations of one step of gradient descent at width m: three products and what lies between."""
        products = 6 * len(self.reduction.grouped)
        codes = zip(self.samples.blocks, self.reduction.neuron.blocks, strict=True)
        each = sum(
            b.size
            * (
                products
                + _backward(self.reduction.neuron, block).operations
                + live(forward_statements(self.reduction.neuron, block), frozenset({FORM})).operations
            )
            for b, block in codes
        )
        return m * each

    def _gather(self, samples: Samples) -> None:
        self._points = np.ascontiguousarray(np.concatenate([b.points for b in samples.blocks]))
        values = {s: self._points[:, i] for i, s in enumerate(self.reduction.neuron.coordinates[:-1])}
        columns = evaluate_all(list(self.reduction.vectors), values, self.algebra)
        self._vectors = np.ascontiguousarray(np.stack([np.broadcast_to(c, samples.total) for c in columns], axis=1))

    def with_samples(self, samples: Samples) -> GemmExecutor:
        other = super().with_samples(samples)
        other._gather(samples)
        return other

    def _rebuilt(self, samples: Samples) -> Executor:
        from ntkverify.execution.cpu import CpuExecutor

        if worthwhile(samples.neuron, samples.total):
            return GemmExecutor(samples, threads=self.threads)
        return CpuExecutor(samples, threads=self.threads)

    def _stack(self, parts: list[Array], axis: int) -> Array:
        return np.stack(parts, axis=axis)

    def forward(self, weights: Array, frozen: Array | None = None) -> Forward:
        return self._sweep(weights, frozen, None, None, 0.0)

    def vjp(self, weights: Array, frozen: Array | None, forward: Forward, vector: Array) -> Array:
        self._check_vector(vector)
        gradient = np.empty((weights.shape[0], len(self.neuron.weights)))
        self._sweep(weights, frozen, self._cotangents(forward, vector, weights.shape[0]), gradient, 0.0)
        return gradient

    def step(self, weights: Array, frozen: Array | None, forward: Forward, eta: float) -> Forward:
        """One step of gradient descent: changes `weights` in place, returns the pass at the new ones."""
        cotangents = self._cotangents(forward, forward.residuals, weights.shape[0])
        return self._sweep(weights, frozen, cotangents, None, float(eta))

    def _cotangents(self, forward: Forward, vector: Array, m: int) -> Array:
        result = np.zeros((self._features, self.samples.total))
        root = 1 / np.sqrt(np.float64(m))
        for b, slopes in zip(self.samples.blocks, self.slopes(forward), strict=True):
            for k, slope in enumerate(slopes):
                result[k, b.rows] = slope * root * vector[b.rows]
        return result

    def _chunk(self) -> int:
        return max(128, min(1024, PANEL_ENTRIES // self.samples.total))

    def _sweep(
        self, weights: Array, frozen: Array | None, cotangents: Array | None, gradient: Array | None, eta: float
    ) -> Forward:
        weights, frozen = check_weights(self.neuron, weights, frozen)
        check_layout(weights=weights, frozen=frozen)
        m, chunk, grouped, others = len(weights), self._chunk(), self._columns(), list(self.reduction.others)
        starts = range(0, m, chunk)
        sums = np.zeros((len(starts), self._features, self.samples.total))

        def work(i: int) -> None:
            rows = slice(starts[i], min(starts[i] + chunk, m))
            w, f = weights[rows], np.ascontiguousarray(frozen[rows].T)
            rest = np.ascontiguousarray(w[:, others].T)
            z = self._vectors @ w[:, grouped].T
            if cotangents is not None:
                g = np.zeros_like(rest)
                self._module.slopes(z, rest, f, self._points, cotangents, self._sizes, g)
                change = z.T @ self._vectors
                if gradient is not None:
                    gradient[rows, grouped] = change
                    gradient[rows, others] = g.T
                    return
                change *= eta
                w[:, grouped] -= change
                rest -= eta * g
                w[:, others] = rest.T
                np.matmul(self._vectors, w[:, grouped].T, out=z)
            self._module.values(z, rest, f, self._points, self._sizes, sums[i])

        with one_blas_thread():
            share(work, len(starts), self.threads)
        if gradient is not None:
            return Forward((), np.empty(0))
        total = sums.sum(axis=0) * (1 / np.sqrt(np.float64(m)))
        return self._residuals_of(tuple(total[: len(b.block.features), b.rows] for b in self.samples.blocks))

    def _columns(self) -> Any:
        first, last = self.reduction.grouped[0], self.reduction.grouped[-1]
        # a range can be multiplied where it lies; scattered columns are copied
        return slice(first, last + 1) if last - first + 1 == len(self.reduction.grouped) else self.reduction.grouped

    def _panels(self, weights: Array, frozen: Array | None) -> tuple[Any, int]:
        """A function that gives, for a chunk, the shared slopes (N, L) and the other gradients, (p', N, L)."""
        weights, frozen = check_weights(self.neuron, weights, frozen)
        check_layout(weights=weights, frozen=frozen)
        if self.samples.is_linear:
            forward = Forward(tuple(np.empty((1, b.size)) for b in self.samples.blocks), np.empty(0))
        else:
            forward = self.forward(weights, frozen)
        cotangents = self._cotangents(forward, np.ones(self.samples.total), len(weights))

        def panel(start: int, stop: int) -> tuple[Array, Array]:
            w, f = weights[start:stop], np.ascontiguousarray(frozen[start:stop].T)
            rest = np.ascontiguousarray(w[:, list(self.reduction.others)].T)
            z = self._vectors @ w[:, self._columns()].T
            each = np.empty((self.samples.total, *rest.shape))
            self._module.panels(z, rest, f, self._points, cotangents, self._sizes, each)
            return z, each.transpose(1, 0, 2)

        return panel, len(weights)

    def jacobian(self, weights: Array, frozen: Array | None = None) -> Array:
        needed = 8 * self.samples.total * weights.size
        refuse_beyond_memory(needed, f"the Jacobian of {self.samples.total} residuals at m = {len(weights)}")
        panel, m = self._panels(weights, frozen)
        result = np.empty((self.samples.total, m, len(self.neuron.weights)))
        for start in range(0, m, self._chunk()):
            stop = min(start + self._chunk(), m)
            slopes, each = panel(start, stop)
            result[:, start:stop, self._columns()] = slopes[:, :, None] * self._vectors[:, None, :]
            result[:, start:stop, list(self.reduction.others)] = each.transpose(1, 2, 0)
        return result.reshape(self.samples.total, -1)

    def gram(self, weights: Array, frozen: Array | None = None) -> Array:
        """``J J^T = (S S^T) * (V V^T)`` plus the products of the other weights' gradients."""
        panel, m = self._panels(weights, frozen)
        shared: Array = np.zeros((self.samples.total, self.samples.total))
        dense: Array = np.zeros_like(shared)
        for start in range(0, m, self._chunk()):
            slopes, each = panel(start, min(start + self._chunk(), m))
            shared += slopes @ slopes.T
            for component in each:
                dense += component @ component.T
        shared *= self._vectors @ self._vectors.T
        return shared + dense


def gemm_source(found: Reduction) -> str:
    """A module with ``slopes``, ``panels`` and ``values``: the arithmetic between the products."""
    neuron = found.neuron
    lines: list[str] = [HEADER]
    head = "z, w, f, points, cotangents, sizes, g"
    for name, kind in (("slopes", "MATRIX"), ("panels", "float64[:, :, ::1]")):
        lines += [
            f"@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, {kind}), fastmath=FAST, **OPTIONS)",
            f"def {name}({head}):",
            "    prefer_wide_vectors()",
            "    row = 0",
        ]
        for index, b in enumerate(neuron.blocks):
            code = _backward(neuron, b)
            target = "g[{}, l] +=" if name == "slopes" else "g[i, {}, l] ="
            finish = [f"{target.format(o)} {ScalarPrinter()(e)}" for o, e in enumerate(code.outputs[1:])]
            names = [f"c{k} = cotangents[{k}, i]" for k in range(len(b.features))]
            lines += _loops(neuron, code, index, names, [*finish, f"z[i, l] = {SHARED.name}"], [], [])
        lines += ["", ""]
    lines += [
        "@njit(void(MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, MATRIX), fastmath=FAST, **OPTIONS)",
        "def values(z, w, f, points, sizes, sums):",
        "    prefer_wide_vectors()",
        "    row = 0",
    ]
    for index, b in enumerate(neuron.blocks):
        code = live(forward_statements(neuron, b), frozenset({FORM}))
        finish = [f"y{k} += {ScalarPrinter()(e)}" for k, e in enumerate(code.outputs)]
        before = [f"y{k} = 0.0" for k in range(len(b.features))]
        after = [f"sums[{k}, i] += y{k}" for k in range(len(b.features))]
        lines += _loops(neuron, code, index, [], finish, before, after)
    return "\n".join(lines) + "\n"


def _backward(neuron: Neuron, block: Block) -> Statements:
    """Code for the shared slope, itself and not times the form's coordinate, and for the other gradients."""
    cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(block.features)))
    code = gradient_statements(neuron, block, cotangents)
    return live(Statements(code.neuron, code.sample, code.mixed, (SHARED, *code.outputs[1:])), frozenset({FORM}))


def _loops(
    neuron: Neuron,
    code: Statements,
    index: int,
    names: list[str],
    finish: list[str],
    before: list[str],
    after: list[str],
) -> list[str]:
    """The loops over one block's samples and the chunk's neurons."""
    printer = ScalarPrinter()
    used = set().union(
        *(e.free_symbols for _, e in (*code.neuron, *code.sample, *code.mixed)), *(e.free_symbols for e in code.outputs)
    )
    of_sample = [f"{s.name} = points[i, {c}]" for c, s in enumerate(neuron.coordinates[:-1]) if s in used]
    of_sample += [*names, *(f"{s.name} = {printer(e)}" for s, e in code.sample), *before]
    of_both = [f"{FORM.name} = z[i, l]"]
    of_both += [f"{s.name} = w[{i}, l]" for i, s in enumerate(neuron.weights[1:]) if s in used]
    of_both += [f"{s.name} = f[{i}, l]" for i, s in enumerate(neuron.frozen) if s in used]
    of_both += [f"{s.name} = {printer(e)}" for s, e in (*code.neuron, *code.mixed)]
    return [
        f"    for i in range(row, row + sizes[{index}]):",
        *(f"        {line}" for line in of_sample),
        "        for l in range(z.shape[1]):",
        *(f"            {line}" for line in (*of_both, *finish)),
        *(f"        {line}" for line in after),
        f"    row += sizes[{index}]",
    ]
